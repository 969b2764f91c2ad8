//! Which version of a thing is meant: `ETag` on the way out, `If-Match` on the way in.
//!
//! Two people who edit the same thing do not overwrite each other: the second is told. Invariant: a
//! route that takes `IfMatch` changes nothing without it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::extract::Json;
use super::problem::{Code, Problem};

/// The version the caller has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IfMatch(pub(crate) i64);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let header = parts.headers.get(header::IF_MATCH).ok_or_else(|| {
            Problem::new(
                Code::VersionMissing,
                "Send the ETag you have read in the header if-match.",
            )
        })?;
        let version = header.to_str().ok().and_then(|text| {
            let quoted = text.trim().strip_prefix('"')?.strip_suffix('"')?;
            quoted.parse().ok()
        });
        version.map(Self).ok_or_else(stale)
    }
}

impl IfMatch {
    /// After an update that names the version: whether it found its row.
    pub(crate) fn changed(self, rows: u64) -> Result<(), Problem> {
        if rows == 0 { Err(stale()) } else { Ok(()) }
    }

    /// Whether it is the version that is there now.
    pub(crate) fn check(self, current: i64) -> Result<(), Problem> {
        if self.0 == current {
            Ok(())
        } else {
            Err(stale())
        }
    }
}

pub(crate) fn stale() -> Problem {
    Problem::new(
        Code::VersionStale,
        "Somebody changed it since you have read it. Read it again, then change it.",
    )
}

/// A body with its version.
#[derive(Debug)]
pub(crate) struct Versioned<T>(pub(crate) i64, pub(crate) T);

impl<T: Serialize> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.1).into_response();
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", self.0)) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}
