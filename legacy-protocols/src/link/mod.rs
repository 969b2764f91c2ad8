//! The link engine: Q.921's multiple-frame operation, modulo 128, without I/O.
//!
//! One [`Link`] makes one connection over a line that loses frames reliable: go-back-N within a
//! window, acknowledgements, polls, recovery. It sees control fields and payloads; the carrier adds
//! addresses, flags and check sequences, and sorts out unnumbered information (LAPD's broadcasts)
//! before it comes here. [`Addressing`] says whether the carrier can tell commands from responses.
//!
//! It never negotiates (XID), never sends FRMR (Q.921 answers a rejected frame by establishing the
//! link anew, as we do) and never re-establishes a link that was given up: its owner decides.
//!
//! Invariant: between two [`Event::Established`] each payload handed to [`Link::send`] comes out at
//! the other end at most once, in order, and what may be lost was announced as
//! [`Event::Established`] or [`Event::Released`] at both ends. The queue holds at most
//! [`Config::queue`] payloads.

mod config;
mod counters;
mod frame;
mod machine;
mod transfer;

#[cfg(test)]
mod tests;

pub use config::{Addressing, Config};
pub use counters::Counters;
pub use frame::{Frame, FrameError, Kind, Supervision, Unnumbered};
pub use machine::{Cause, Event, Link, Output, ReleaseCause, SendError, Status};
