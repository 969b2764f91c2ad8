//! Lists of void certificates over plain HTTP (port 80): they are signed, and whoever checks a
//! certificate cannot first check ours. Nothing here redirects to HTTPS.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use cloud_logic::ids::AuthorityId;

use super::authority::{self, List};
use crate::core::Core;

/// Caches may keep a list for an hour: half a day passes between two, and what is void at once is
/// void at the core.
const CACHED: &str = "public, max-age=3600";

/// The whole of the plain listener.
pub(crate) fn revocation_lists(core: Core) -> Router {
    Router::new()
        .route("/crl/{authority}/{file}", get(list))
        .with_state(core)
}

async fn list(
    State(core): State<Core>,
    Path((authority, file)): Path<(String, String)>,
    headers: axum::http::HeaderMap,
) -> Response {
    let shard = file.strip_suffix(".crl").and_then(|n| n.parse().ok());
    let (Ok(authority), Some(shard)) = (authority.parse::<AuthorityId>(), shard) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let read = async {
        let mut tx = core.store.read().await?;
        authority::read_list(&mut tx, authority, shard).await
    };
    match read.await {
        Ok(Some(list)) => answer(list, headers.get(header::IF_NONE_MATCH)),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a list of void certificates could not be read"
            );
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

fn answer(list: List, known: Option<&HeaderValue>) -> Response {
    let tag = format!("\"{}\"", list.number);
    let headers = [
        (header::CONTENT_TYPE, "application/pkix-crl"),
        (header::CACHE_CONTROL, CACHED),
        (header::ETAG, tag.as_str()),
    ];
    if known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, list.der).into_response()
}
