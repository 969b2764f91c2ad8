//! Settings of devices: what they shall be set to, and how far they are (S3, D4).
//!
//! A change is held against the table of known settings, becomes the next revision, and goes down by
//! the front door of whichever node holds the device. Not here: what devices report (`front_door`
//! writes it), many devices at once (`edits`). Invariant: a revision is given once per device.

mod device;
mod routes;
pub(crate) mod rows;
mod set;
#[cfg(test)]
mod tests;

use utoipa_axum::router::OpenApiRouter;

use crate::core::Core;

pub(in crate::devices) use set::{By, SetError, set};

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .merge(routes::routes())
        .merge(device::routes())
}
