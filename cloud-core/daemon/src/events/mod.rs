//! What happens now, for pages: a stream of what changed, and the audit log.
//!
//! The stream carries kinds and ids only; whoever wants more asks for it, so permissions stay in one
//! place. After a break it goes on where it ended (`Last-Event-ID`). Invariant: nobody hears of a
//! change of a place that she does not see.

mod audit;
mod stream;
#[cfg(test)]
mod tests;

use utoipa_axum::router::OpenApiRouter;

use crate::core::Core;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .merge(stream::routes())
        .merge(audit::routes())
}
