//! The settings of a device that the core knows: their names, what they take, whom they fit.
//!
//! One table. A patch (RFC 7396) is held against it before it becomes part of what a device shall
//! have; everything that is wrong is told at once. Deliberately not here: what a device makes of a
//! setting. Invariant: a document made of nothing but checked patches holds known settings only.

mod check;
mod table;

pub use check::{Refusal, check, touches};
pub use table::{KNOWN, Kind, Needs, Setting};
