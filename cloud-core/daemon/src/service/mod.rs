//! The core about itself: whether it lives and whether it can serve, its figures, and how the service is.

mod health;
pub(crate) mod metrics;
pub(crate) mod state;
pub(crate) mod status;

use utoipa_axum::router::OpenApiRouter;

use crate::core::Core;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    health::routes().merge(status::routes())
}
