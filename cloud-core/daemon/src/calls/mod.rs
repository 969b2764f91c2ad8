//! Calls in the core: whom a number reaches, and the exchanges that ring them.
//!
//! `directory` is what people set: groups, numbers, forwarding. Not here: SIP, call rules and media,
//! which are `telephony`'s. Invariant: what stands in the tables of one company never meets that
//! of another.

pub(crate) mod directory;

use utoipa_axum::router::OpenApiRouter;

use crate::core::Core;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new().merge(directory::routes())
}
