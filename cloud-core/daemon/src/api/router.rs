//! All routes in one place, and the description made of them.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;

use super::problem::{Code, Problem, ProblemBody};
use crate::core::Core;
use crate::{claims, devices, events, people, service, tenancy};

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
        .merge(claims::routes())
        .merge(devices::commands::routes())
        .merge(tenancy::routes())
        .merge(events::routes())
        .merge(claims::device_routes())
}

/// The interface.
pub(crate) fn api(core: Core) -> Router {
    let (router, _) = routes().split_for_parts();
    router
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || {
            Problem::new(
                Code::NoSuchMethod,
                "The description tells which ones it takes.",
            )
        })
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(core)
}

/// Its description.
pub(crate) fn document() -> Document {
    routes().split_for_parts().1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs are written against this file: it changes when the interface does, in one commit.
    #[test]
    fn the_description_that_is_kept_is_that_of_the_routes() {
        let kept = include_str!("../../../openapi.json");
        let made = document().to_pretty_json().expect("it is JSON");
        assert!(
            kept.trim_end() == made.trim_end(),
            "cloud-core/openapi.json is of another day: antiphon-cloud openapi > cloud-core/openapi.json"
        );
    }
}
