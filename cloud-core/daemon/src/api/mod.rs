//! The HTTP interface: what all routes have in common.
//!
//! A route is short: it takes checked input (`extract`), asks the domain, answers. Every answer that
//! is no success is a `Problem`. The description of the interface (OpenAPI) is made of the routes
//! themselves. Knows no domain. Invariant: no input leads to a status of 500.

use std::sync::Arc;

pub(crate) mod answers;
pub(crate) mod check;
mod document;
pub(crate) mod extract;
mod limits;
pub(crate) mod once;
pub(crate) mod page;
pub(crate) mod problem;
#[cfg(test)]
mod published;
mod requests;
mod router;
mod time;
pub(crate) mod version;

pub(crate) use extract::{Json, Path, Query};
pub(crate) use limits::{Limits, PerSecond, Standing};
pub(crate) use once::Once;
pub(crate) use page::{Cursor, Page, PageOf};
pub(crate) use problem::{Code, Finding, Problem};
pub(crate) use requests::Requests;
#[cfg(test)]
pub(crate) use requests::{SECONDS, TOTAL};
#[cfg(test)]
pub(crate) use router::document;
pub(crate) use router::{api, description};
pub(crate) use time::Time;
pub(crate) use version::{IfMatch, Versioned};

/// What the interface keeps count of. A clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) limits: Limits,
    pub(crate) requests: Arc<Requests>,
}

impl Tally {
    pub(crate) fn new(per_second: PerSecond) -> Self {
        Self {
            limits: Limits::new(per_second),
            requests: Arc::default(),
        }
    }
}
