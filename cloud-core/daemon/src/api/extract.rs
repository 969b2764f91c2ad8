//! Input of routes, read strictly: what does not fit is a problem that names the place.

use std::error::Error;

use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::{Code, Finding, Problem};
use crate::listener::TooSlow;

/// A body of JSON, coming or going.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(of_body(&rejection)),
        }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A body as it came.
#[derive(Clone, Debug)]
pub(crate) struct Octets(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for Octets {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let read = Bytes::from_request(request, state).await;
        read.map(Self)
            .map_err(|rejection: BytesRejection| unread(&rejection, rejection.status()))
    }
}

fn of_body(rejection: &JsonRejection) -> Problem {
    match rejection {
        JsonRejection::JsonDataError(error) => {
            Problem::invalid(vec![Finding::new("", "wrong_shape", deepest(error))])
        }
        JsonRejection::JsonSyntaxError(error) => Problem::new(Code::Malformed, deepest(error)),
        JsonRejection::MissingJsonContentType(_) => Problem::new(
            Code::NotJson,
            "Send the header content-type: application/json.",
        ),
        _ => unread(rejection, rejection.status()),
    }
}

fn unread(rejection: &(dyn Error + 'static), status: StatusCode) -> Problem {
    if is_too_slow(rejection) {
        return Problem::new(Code::TooSlow, "Send the body faster, or in parts.");
    }
    if status == Code::TooLarge.status() {
        return Problem::new(Code::TooLarge, "Send less at once.");
    }
    Problem::new(Code::Malformed, "The body ended too early.")
}

fn is_too_slow(error: &(dyn Error + 'static)) -> bool {
    error.is::<TooSlow>() || error.source().is_some_and(is_too_slow)
}

/// Parameters after the question mark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(QueryRejection::FailedToDeserializeQueryString(error)) => Err(Problem::invalid(
                vec![Finding::new("?", "wrong_parameter", deepest(&error))],
            )),
            Err(_) => Err(Problem::new(
                Code::Malformed,
                "The parameters cannot be read.",
            )),
        }
    }
}

/// Parts of the address. An id that is none is a thing that does not exist.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read: Result<_, PathRejection> =
            axum::extract::Path::<T>::from_request_parts(parts, state).await;
        read.map(|axum::extract::Path(path)| Self(path))
            .map_err(|_| Problem::not_found())
    }
}

/// The innermost cause, which names the field.
fn deepest(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}
