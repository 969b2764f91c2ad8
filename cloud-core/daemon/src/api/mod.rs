//! The HTTP interface: what all routes have in common.
//!
//! A route is short: it takes checked input (`extract`), asks the domain, answers. Every answer that
//! is no success is a `Problem`. The description of the interface (OpenAPI) is made of the routes
//! themselves. Knows no domain. Invariant: no input leads to a status of 500.

pub(crate) mod answers;
pub(crate) mod check;
mod document;
pub(crate) mod extract;
pub(crate) mod once;
pub(crate) mod page;
pub(crate) mod problem;
mod router;
mod time;
pub(crate) mod version;

pub(crate) use extract::{Json, Path, Query};
pub(crate) use once::{Begun, Once};
pub(crate) use page::{Cursor, Page, PageOf};
pub(crate) use problem::{Code, Finding, Problem};
pub(crate) use router::{api, description, document};
pub(crate) use time::Time;
pub(crate) use version::{IfMatch, Versioned};
