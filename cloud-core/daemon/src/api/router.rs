//! All routes in one place, and the description made of them.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use bytes::Bytes;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;

use super::problem::{Code, Problem, ProblemBody};
use super::{limits, requests};
use crate::core::Core;
use crate::{
    calls, claims, devices, events, mail, notices, people, service, subscriptions, tenancy,
    web_calls,
};

/// A body of more than this is refused, where a route does not say more.
const BODY: usize = 64 * 1024;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Antiphon cloud core",
        description = "Companies, devices, calls and keys of the Antiphon cloud core. Every answer \
                       that is no success is a problem of RFC 9457 with a code that never changes."
    ),
    components(schemas(ProblemBody))
)]
struct Description;

fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::with_openapi(Description::openapi())
        .merge(service::routes())
        .merge(people::routes())
        .merge(mail::routes())
        .merge(notices::routes())
        .merge(subscriptions::routes())
        .merge(claims::routes())
        .merge(devices::routes())
        .merge(tenancy::routes())
        .merge(calls::routes())
        .merge(events::routes())
        .merge(claims::device_routes())
        .merge(devices::uploads::device_routes())
}

/// The interface.
pub(crate) fn api(core: Core) -> Router {
    let (router, _) = routes().split_for_parts();
    let description = Bytes::from(description());
    let json = [(header::CONTENT_TYPE, "application/json")];
    router
        .route(
            "/api/v1/openapi.json",
            get(async move || (json, description.clone())),
        )
        .merge(service::status::page_routes())
        .merge(web_calls::page_routes())
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || {
            Problem::new(
                Code::NoSuchMethod,
                "The description tells which ones it takes.",
            )
        })
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn_with_state(core.clone(), limits::limited))
        .layer(from_fn_with_state(core.clone(), requests::counted))
        .with_state(core)
}

/// What the routes say of themselves.
pub(crate) fn document() -> Document {
    routes().split_for_parts().1
}

/// The description of the interface, as text.
pub(crate) fn description() -> String {
    format!("{:#}\n", super::document::finished(&document()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs are written against this file: it changes when the interface does, in one commit.
    #[test]
    fn the_description_that_is_kept_is_that_of_the_routes() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi.json");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(file, description()).unwrap();
        }
        let kept = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            kept == description(),
            "cloud-core/openapi.json is of another day: antiphon-cloud openapi > cloud-core/openapi.json, or run this with UPDATE_DOCS=1"
        );
    }
}
