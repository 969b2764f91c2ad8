//! Requests that act in the world act once, however often they are sent (`Idempotency-Key`).
//!
//! The key is kept in the transaction of the act, with the answer: who tries again after a broken
//! connection hears the answer of the first try, and a try that failed leaves the key free. Several
//! requests may share the transaction; the second of two tries in it hears the first one's answer, and
//! of two on different nodes the later one finds the key taken when it writes, and looks again. Not for
//! answers that hold a secret: they would lie in the store. Invariant: no key without its act, no act
//! without its key.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use model::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;

use super::extract::{Json, Octets};
use super::problem::{Code, Finding, Problem};
use crate::people::Caller;
use crate::store::{Row, Rows, StoreError, Tx, query};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const LONGEST: usize = 64;

/// The header, for descriptions of routes.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it only describes")]
pub(crate) struct OnceKey {
    /// Made up by you, the same for each try of the same request. What was answered to the first one
    /// is answered again, with `idempotency-replayed: true`. Kept for a day.
    #[param(rename = "idempotency-key", pattern = "^[!-~]{1,64}$")]
    idempotency_key: String,
}

/// A body of JSON with the key of its request: the last argument of a route that acts.
#[derive(Debug)]
pub(crate) struct Once<T> {
    pub(crate) body: T,
    key: String,
    /// Of method, address and body.
    print: Vec<u8>,
}

impl<T> Once<T> {
    /// The body, and what the request is known by.
    pub(crate) fn apart(self, caller: &Caller) -> (T, Known) {
        let known = Known {
            place: (caller.actor().name, self.key),
            print: self.print,
        };
        (self.body, known)
    }
}

/// What is kept of a request.
#[derive(Debug)]
struct Earlier {
    print: Vec<u8>,
    /// Nothing while its act goes on.
    answer: Option<(StatusCode, String)>,
}

impl Earlier {
    fn of(row: &Row) -> Result<Self, StoreError> {
        let status = row.maybe_int("status")?.map(|status| {
            let status = u16::try_from(status).ok();
            let status = status.and_then(|status| StatusCode::from_u16(status).ok());
            status.unwrap_or(StatusCode::OK)
        });
        Ok(Self {
            print: row.octets("fingerprint")?,
            answer: status.zip(row.maybe_text("body")?),
        })
    }

    /// Its answer, for a request that is the same one.
    fn again(&self, print: &[u8]) -> Result<Response, Problem> {
        if self.print != print {
            return Err(used_for_another());
        }
        let (status, body) = self.answer.as_ref().ok_or_else(under_way)?;
        let mut again = json(*status, body.clone());
        again
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(again)
    }
}

/// What a request is known by when it comes again.
#[derive(Debug)]
pub(crate) struct Known {
    /// Whose, and the key.
    place: (String, String),
    print: Vec<u8>,
}

/// The keys of requests that share a transaction.
#[derive(Debug)]
pub(crate) struct Keys {
    kept: BTreeMap<(String, String), Earlier>,
    new: Vec<(String, String)>,
}

impl Keys {
    /// What is kept of these requests already.
    pub(crate) async fn of(
        tx: &mut Tx,
        known: impl IntoIterator<Item = &Known>,
    ) -> Result<Self, StoreError> {
        let mut asked = query("WITH asked (caller, key) AS (VALUES ");
        let mut places: Vec<_> = known.into_iter().map(|known| &known.place).collect();
        let last = places.last().copied();
        let length = places.len().next_power_of_two();
        // Few texts, each prepared once: the last one stands there more than once.
        places.extend(last.into_iter().cycle().take(length - places.len()));
        for (number, (caller, key)) in places.into_iter().enumerate() {
            let comma = if number == 0 { "(" } else { ", (" };
            asked = asked
                .text(comma)
                .value(caller)
                .text(", ")
                .value(key)
                .text(")");
        }
        // In this order: SQLite reads the whole table for `(caller, key) IN`.
        let asked = asked.text(
            ") SELECT i.caller, i.key, i.fingerprint, i.status, i.body
             FROM asked a CROSS JOIN idempotency i WHERE i.caller = a.caller AND i.key = a.key",
        );
        let rows = tx.all(asked).await?;
        let kept = rows.iter().map(|row| {
            let place = (row.text("caller")?, row.text("key")?);
            Ok((place, Earlier::of(row)?))
        });
        Ok(Self {
            kept: kept.collect::<Result<_, StoreError>>()?,
            new: Vec::new(),
        })
    }

    /// The answer, if the request was carried out before, or just now.
    pub(crate) fn before(&self, known: &Known) -> Option<Result<Response, Problem>> {
        let earlier = self.kept.get(&known.place)?;
        Some(earlier.again(&known.print))
    }

    /// Keeps the answer of a request that is carried out, and makes it.
    pub(crate) fn answer(
        &mut self,
        known: &Known,
        status: StatusCode,
        body: &impl Serialize,
    ) -> Result<Response, Problem> {
        let body = written(body)?;
        let earlier = Earlier {
            print: known.print.clone(),
            answer: Some((status, body.clone())),
        };
        self.kept.insert(known.place.clone(), earlier);
        self.new.push(known.place.clone());
        Ok(json(status, body))
    }

    /// Before the commit. Fails when another node has carried out one of them meanwhile.
    pub(crate) async fn write(self, tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
        let mut rows = Rows::new(
            "INSERT INTO idempotency (caller, key, fingerprint, status, body, created) VALUES",
            6,
        );
        for place in &self.new {
            let Some(Earlier { print, answer }) = self.kept.get(place) else {
                continue;
            };
            let status = answer
                .as_ref()
                .map(|(status, _)| i64::from(status.as_u16()));
            let body = answer.as_ref().map(|(_, body)| body.as_str());
            rows.bind(&place.0)
                .bind(&place.1)
                .bind(print.as_slice())
                .bind(status)
                .bind(body)
                .bind(now);
        }
        tx.insert(rows).await?;
        Ok(())
    }
}

impl<T, S> FromRequest<S> for Once<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let key = key(request.headers())?;
        let method = request.method().clone();
        let address = request.uri().clone();
        let address = address.path_and_query().map_or("", |at| at.as_str());
        let print = |octets: &Bytes| print(&method, address, octets);
        let (parts, body) = request.into_parts();
        let whole = Request::from_parts(parts.clone(), body);
        let Octets(octets) = Octets::from_request(whole, state).await?;
        let print = print(&octets);
        let again = Request::from_parts(parts, Body::from(octets));
        let Json(body) = Json::from_request(again, state).await?;
        Ok(Self { body, key, print })
    }
}

fn written(body: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(body).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written");
        Problem::new(Code::Fault, "The core could not finish this.")
    })
}

fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let text = headers.get(KEY).and_then(|value| value.to_str().ok());
    let fits = |key: &&str| {
        (1..=LONGEST).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
    };
    text.filter(fits).map(str::to_owned).ok_or_else(|| {
        let detail = "Make up a text of 1 to 64 letters, digits and signs for this request and send it \
                      in this header; send the same one when you try again.";
        Problem::invalid(vec![Finding::new(KEY.as_str(), "missing", detail)])
    })
}

fn print(method: &Method, address: &str, body: &Bytes) -> Vec<u8> {
    Sha256::new()
        .chain_update(method.as_str())
        .chain_update([0])
        .chain_update(address)
        .chain_update([0])
        .chain_update(body)
        .finalize()
        .to_vec()
}

fn used_for_another() -> Problem {
    let detail = "It was used for another request. Make up a new one.";
    Problem::invalid(vec![Finding::new(KEY.as_str(), "used_for_another", detail)])
}

fn under_way() -> Problem {
    let detail = "The first request with this idempotency-key is still being carried out.";
    Problem::new(Code::Conflict, detail).retry_after(1)
}

fn json(status: StatusCode, body: String) -> Response {
    let kind = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, kind)], body).into_response()
}
