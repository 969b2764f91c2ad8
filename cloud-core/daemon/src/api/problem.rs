//! What went wrong, for people and for programs (RFC 9457).
//!
//! `code` is for programs and for translation and never changes; `detail` says in words what to do.
//! Invariant: a problem says nothing about things the caller may not see.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::StoreError;

/// Every kind of problem there is: status, code, title.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $code:literal, $title:literal;)*) => {
        /// What kind of problem it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),*];

            pub(crate) fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            pub(crate) fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    /// The body is not JSON at all, or not what the route takes.
    Malformed = BAD_REQUEST, "malformed", "The request cannot be read";
    /// Something in it is not as it must be; `errors` says what.
    Invalid = UNPROCESSABLE_ENTITY, "invalid", "Something in the request is not right";
    NotSignedIn = UNAUTHORIZED, "not_signed_in", "Sign in first";
    /// Mail address and password, passkey, link or token: which of it is wrong is not told.
    WrongCredentials = UNAUTHORIZED, "wrong_credentials", "That does not fit";
    /// The place is visible, the action is not allowed.
    NotAllowed = FORBIDDEN, "not_allowed", "Your role does not allow this";
    /// The route asks for a password or passkey shown a short while ago.
    ProofNeeded = FORBIDDEN, "proof_needed", "Show once more that it is you";
    /// A request that another page may have caused.
    ForeignOrigin = FORBIDDEN, "foreign_origin", "The request comes from another site";
    /// Nothing that runs is cut off: only what is begun anew is refused with it.
    SubscriptionMissing = PAYMENT_REQUIRED, "subscription_missing", "A subscription is missing";
    /// There is none, or none the caller may see.
    NotFound = NOT_FOUND, "not_found", "There is no such thing";
    NoSuchMethod = METHOD_NOT_ALLOWED, "no_such_method", "This address does not take that method";
    NotJson = UNSUPPORTED_MEDIA_TYPE, "not_json", "The body must be JSON";
    TooLarge = PAYLOAD_TOO_LARGE, "too_large", "The body is too large";
    TooSlow = REQUEST_TIMEOUT, "too_slow", "The body came too slowly";
    /// A name that is taken, a state that does not allow it.
    Conflict = CONFLICT, "conflict", "This does not fit what is there";
    VersionMissing = PRECONDITION_REQUIRED, "version_missing", "Say which version you change";
    VersionStale = PRECONDITION_FAILED, "version_stale", "It was changed meanwhile";
    TooMany = TOO_MANY_REQUESTS, "too_many", "Too many requests";
    /// A part of the core that is needed for this is not there now.
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "Not possible at the moment";
    Fault = INTERNAL_SERVER_ERROR, "fault", "The core made a mistake";
}

/// One thing that is not right in the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Finding {
    /// Where in the body (RFC 6901), or the name of a parameter.
    #[schema(example = "/name")]
    pub(crate) pointer: String,
    /// For programs and for translation.
    #[schema(example = "too_long")]
    pub(crate) code: String,
    /// What to do about it.
    pub(crate) detail: String,
}

impl Finding {
    pub(crate) fn new(pointer: &str, code: &str, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.to_owned(),
            code: code.to_owned(),
            detail: detail.into(),
        }
    }
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    pub(crate) detail: String,
    pub(crate) errors: Vec<Finding>,
    /// Seconds, for `Retry-After`.
    pub(crate) retry_after: Option<u32>,
}

/// A problem as it is written.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    #[serde(rename = "type")]
    #[schema(rename = "type", example = "urn:antiphon:problem:not_found")]
    kind: String,
    /// The same words for each problem of this kind.
    title: String,
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What to do about this one.
    detail: String,
    /// For programs and for translation; never changes.
    #[schema(example = "not_found")]
    code: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Finding>,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// The one answer for what is not there and for what must not be seen.
    pub(crate) fn not_found() -> Self {
        Self::new(
            Code::NotFound,
            "There is no such thing, or you have no access to it.",
        )
    }

    /// Findings in the body, all at once.
    pub(crate) fn invalid(errors: Vec<Finding>) -> Self {
        Self {
            errors,
            ..Self::new(
                Code::Invalid,
                "Nothing was changed. Mend what `errors` names.",
            )
        }
    }

    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Duplicate(_) => {
                Self::new(Code::Conflict, "There is one with this name already.")
            }
            StoreError::Reference(_) => Self::new(
                Code::Conflict,
                "It is still used, or it names something that is gone.",
            ),
            StoreError::Unstorable => Self::invalid(vec![Finding::new(
                "",
                "not_text",
                "A text holds a character of code 0. Take it out.",
            )]),
            StoreError::Engine(sqlx::Error::PoolTimedOut) => {
                tracing::warn!("no connection to the database was free in time");
                Self::new(Code::Unavailable, "The database is busy.").retry_after(2)
            }
            error @ (StoreError::Engine(_) | StoreError::Content { .. }) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
                Self::new(
                    Code::Fault,
                    "The core could not finish this. Its log says why.",
                )
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let body = ProblemBody {
            kind: format!("urn:antiphon:problem:{}", self.code.as_str()),
            title: self.code.title().to_owned(),
            status: status.as_u16(),
            detail: self.detail,
            code: self.code.as_str().to_owned(),
            errors: self.errors,
        };
        let mut response = (status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_problem_has_a_code_of_its_own() {
        let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
    }
}
