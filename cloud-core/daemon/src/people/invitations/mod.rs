//! Invitations: a link by which somebody joins with a right that was promised to her.
//!
//! The link goes by mail, and is told to the one who invites, for a QR code or another way. It
//! counts once, for a week, and only while the one who invited could still give that right.

mod accepting;
mod inviting;
mod rows;

use utoipa_axum::router::OpenApiRouter;

pub(super) use rows::forget;

use crate::core::Core;

pub(super) fn routes() -> OpenApiRouter<Core> {
    inviting::routes().merge(accepting::routes())
}
