//! Whose a device is: from an unbound unit to a certificate, to a release and the next owner.
//!
//! A *unit* is a piece of hardware (or a software gateway) with a claim code. A claim binds it to a
//! company's site and gives it a device id; the first certificate burns the code. Every claim of a
//! unit, and every unit that takes the place of another under one device id, is an *epoch* of its
//! own: what carries the number of an older one (certificates, counters, commands) is void.
//!
//! Deliberately absent: codes and proofs (`contract::enrolment`, which devices use too), rows, time
//! but as an argument.

mod attempts;
mod state;

pub use attempts::{AttemptLimit, Attempts};
pub use state::{Claim, ClaimEnd, Enrol, Epoch, Refused, Stage};
