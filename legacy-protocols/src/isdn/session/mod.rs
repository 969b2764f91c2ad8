//! Call control of one D channel after Q.931: basic calls, user and network side, DSS1 and QSIG.
//!
//! [`Line`] owns the D channel's [LAPD](super::link) and its B channels. The owner says who shall
//! be called and how calls that arrive are answered; the line says what became of them, with the
//! message that said so. En-bloc and overlap dialling, RESTART, status and the timers of Q.931
//! are here. Hold, suspend, supplementary services and packet data are not; Facility is handed on
//! as it came. Audio belongs to whoever carries the B channels.
//!
//! A call to a bus of terminals goes to all of them; the first that answers has it. The others are
//! released and forgotten at once: what they still say belongs to no call, and is answered so.
//!
//! Invariant: each call ends with exactly one [`CallEvent::Ended`], and no two calls hold one B
//! channel.

mod call;
mod channels;
mod commands;
mod config;
mod event;
mod line;
mod messages;
mod multipoint;
mod restart;
mod timers;

#[cfg(test)]
mod tests;

pub use call::CallId;
pub use config::{Config, Dialect, Hunt, Timers};
pub use event::{
    CallError, CallEvent, CommandError, Event, IncomingCall, Output, Restart, RestartError, Setup,
};
pub use line::{Counters, Line};
