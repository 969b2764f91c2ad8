//! The small listener behind `/metrics`, `/live` and `/ready`, for machines that watch this one.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Sources;
use crate::service::health;

const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) fn app(sources: Sources) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/live", get(async || "live\n"))
        .route("/ready", get(ready))
        .fallback(async || {
            (
                StatusCode::NOT_FOUND,
                "here are /metrics, /live and /ready\n",
            )
        })
        .with_state(Arc::new(sources))
}

async fn metrics(State(sources): State<Arc<Sources>>) -> Response {
    let text = sources.render().await;
    ([(header::CONTENT_TYPE, PROMETHEUS)], text).into_response()
}

async fn ready(State(sources): State<Arc<Sources>>) -> Response {
    match health::store_answers(&sources.core).await {
        true => "ready\n".into_response(),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the store does not answer\n",
        )
            .into_response(),
    }
}
