//! What a person may ask for by law: all that is known of her, and to be forgotten (G1).
//!
//! An export is one document of JSON that people can read, made beside the request and kept for a week
//! as a blob; erasure is at once. What must stay after her - who opened which door - stays with her id,
//! which then leads nowhere: names and addresses stand outside of what is chained
//! (docs/adr/0022). Invariant: after erasure no table holds her mail address or her name.

mod content;
mod erase;
mod make;
mod routes;
mod rows;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use erase::forget_again;
pub(crate) use make::tend;
pub(super) use routes::routes;

/// How long an export can be fetched.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
