//! All routes in one place, and the description made of them.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;

use super::problem::{Code, Problem, ProblemBody};
use crate::core::Core;
use crate::tenancy;
use crate::{claims, devices, people, service};

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
