//! Notices: what people are told without having asked, in the portal and by mail (D2).
//!
//! One node at a time watches: it reads what changed, marks sites whose devices came or went, and
//! looks at each marked site as a whole (`cloud_logic::notices`). What it concludes, the notices and
//! the letters about them are one transaction. Deliberately not here: whether a device is online
//! (`front_door`), how letters leave (`mail`). Invariants: whatever stops in between, nothing is
//! forgotten, because what is to be looked at is a row too; nothing is told twice, because a notice
//! is open once and its letters are written with it.

mod audience;
mod choices;
mod conditions;
mod look;
mod policy;
mod routes;
mod rows;
#[cfg(test)]
mod tests;
mod texts;
mod watch;

use utoipa_axum::router::OpenApiRouter;

pub(crate) use rows::{New, open_of_company};
pub(crate) use watch::run;

use crate::core::Core;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .merge(routes::routes())
        .merge(policy::routes())
        .merge(choices::routes())
}
