//! The page, and the same for programs. For everybody, signed in or not.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{self, Freshness};
use super::{Status, measured};
use crate::api::Json;
use crate::core::Core;

/// Whoever looks often does not ask the store each time.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=10");

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new().routes(routes!(status))
}

/// A page is no part of the described interface.
pub(crate) fn page_routes() -> Router<Core> {
    Router::new().route("/status", get(shown))
}

/// How the service is
///
/// Its parts, and what operators say about troubles. `GET /status` shows the same as a page.
#[utoipa::path(
    get,
    path = "/status.json",
    tag = "service",
    extensions(("x-permission" = json!("public"))),
    responses((status = 200, description = "As far as is known.", body = Status))
)]
async fn status(State(core): State<Core>) -> Response {
    let headers = [(header::CACHE_CONTROL, CACHED)];
    (headers, Json(measured::now(&core).await)).into_response()
}

async fn shown(State(core): State<Core>, headers: HeaderMap) -> Response {
    let status = measured::now(&core).await;
    page::answer(&status, Freshness::Now, page::language(&headers))
}
