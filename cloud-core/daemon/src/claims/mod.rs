//! Whose a device is, and how it gets its certificate.
//!
//! `units` knows what can be claimed, by codes of which only a keyed hash is kept. `bind` gives a
//! unit to a site, takes it back, puts another in its place. `enrol` hands the claimed device its
//! certificates. What is allowed when is decided in `cloud_logic::claims`.
//!
//! Invariants: at any moment a unit belongs to at most one site; whoever guesses codes cannot tell
//! an unknown one from one that is taken.

mod attempts;
mod bind;
mod enrol;
mod pepper;
mod routes;
mod rows;
mod sheet;
mod units;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use bind::{BindError, Claimed, Wanted, claim, release, replace, revoke};
pub(crate) use enrol::{routes as device_routes, tend};
pub(crate) use routes::routes;
pub(crate) use sheet::{Label, Line, sheet};
pub(crate) use units::{NewUnit, add};
