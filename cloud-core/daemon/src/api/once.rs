//! Requests that act in the world act once, however often they are sent (`Idempotency-Key`).
//!
//! The key is kept in the transaction of the act, with the answer: who tries again after a broken
//! connection hears the answer of the first try, and a try that failed leaves the key free. Two tries
//! at the same instant take turns in the database, the second hears the first one's answer. Not for
//! answers that hold a secret: they would lie in the store. Invariant: no key without its act, no act
//! without its key.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;

use super::extract::{Json, Octets};
use super::problem::{Code, Finding, Problem};
use crate::people::Caller;
use crate::store::{Tx, query};

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

/// Whether a request comes for the first time.
#[must_use]
pub(crate) enum Begun<'a> {
    First(First<'a>),
    /// It was carried out before, and answered with this.
    Before(Response),
}

/// The place where the answer is kept. Whoever does not keep it has not finished the request.
#[derive(Debug)]
#[must_use]
pub(crate) struct First<'a> {
    caller: String,
    key: &'a str,
}

impl<T> Once<T> {
    /// Right after the permission was checked, in the transaction that acts.
    pub(crate) async fn begin(&self, tx: &mut Tx, caller: &Caller) -> Result<Begun<'_>, Problem> {
        let name = caller.actor().name;
        // Two tries at the same instant: the second waits here for the first one's commit.
        let kept = query(
            "INSERT INTO idempotency (caller, key, fingerprint, created)
             VALUES ($1, $2, $3, $4) ON CONFLICT (caller, key) DO NOTHING",
        );
        let kept = kept.bind(&name).bind(&self.key).bind(self.print.as_slice());
        if tx.execute(kept.bind(caller.now)).await? > 0 {
            let caller = name;
            let key = &self.key;
            return Ok(Begun::First(First { caller, key }));
        }
        let asked = query(
            "SELECT fingerprint, status, body FROM idempotency WHERE caller = $1 AND key = $2",
        );
        let earlier = tx.optional(asked.bind(&name).bind(&self.key)).await?;
        // Forgotten this instant, or its act is made of several transactions and goes on.
        let Some(earlier) = earlier else {
            return Err(under_way());
        };
        if earlier.octets("fingerprint")? != self.print {
            return Err(used_for_another());
        }
        let (Some(status), Some(body)) =
            (earlier.maybe_int("status")?, earlier.maybe_text("body")?)
        else {
            return Err(under_way());
        };
        let status = u16::try_from(status).ok();
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        let mut again = json(status.unwrap_or(StatusCode::OK), body);
        again
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(Begun::Before(again))
    }
}

impl First<'_> {
    /// Keeps the answer, and makes it. Before the commit.
    pub(crate) async fn answer(
        self,
        tx: &mut Tx,
        status: StatusCode,
        body: &impl Serialize,
    ) -> Result<Response, Problem> {
        let body = serde_json::to_string(body).map_err(|error| {
            tracing::error!(%error, "an answer cannot be written");
            Problem::new(Code::Fault, "The core could not finish this.")
        })?;
        let kept =
            query("UPDATE idempotency SET status = $1, body = $2 WHERE caller = $3 AND key = $4");
        let kept = kept.bind(i64::from(status.as_u16())).bind(&body);
        tx.execute(kept.bind(self.caller).bind(self.key)).await?;
        Ok(json(status, body))
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
