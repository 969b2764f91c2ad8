//! A plain page to try calls with. Everything it needs comes from here.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::core::Core;

/// Own scripts and styles only, nothing from elsewhere, in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

pub(super) fn routes() -> Router<Core> {
    let html = "text/html; charset=utf-8";
    let script = "text/javascript; charset=utf-8";
    let style = "text/css; charset=utf-8";
    Router::new()
        .route("/test/calls", file(include_str!("page/calls.html"), html))
        .route(
            "/test/calls.js",
            file(include_str!("page/calls.js"), script),
        )
        .route(
            "/test/signalling.js",
            file(include_str!("page/signalling.js"), script),
        )
        .route(
            "/test/calls.css",
            file(include_str!("page/calls.css"), style),
        )
}

fn file(text: &'static str, kind: &'static str) -> axum::routing::MethodRouter<Core> {
    get(async move || answer(text, kind))
}

fn answer(text: &'static str, kind: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}
