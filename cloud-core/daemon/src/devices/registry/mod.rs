//! Devices as people see them: list, search, look, rename, sort into place (D2, S3).
//!
//! What a list shows or filters by stands in the device's own row; whoever changes the state of a
//! device (claims, the front door) tells it here in the same transaction. Not here: settings of
//! the device itself. Invariant: `presence` and `since` are those of the device's connection.

mod overview;
mod routes;
pub(crate) mod rows;
#[cfg(test)]
mod tests;
mod wanted;

use utoipa_axum::router::OpenApiRouter;

use crate::core::Core;

pub(in crate::devices) use wanted::Wanted;

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .merge(routes::routes())
        .merge(overview::routes())
}
