//! The gateway's end of the link to the cloud core, version 1 (`docs/link.md`), as a machine.
//!
//! [`Session`] is told what the transport, the disk and the gateway do, and says what is to be
//! published, stored and done. Deliberately not here: MQTT, TLS, files, clocks (`client` has them),
//! and what settings, events and commands mean to the gateway.
//!
//! Invariants, whatever the order of losses, crashes and returns:
//! - What was stored goes to the core in the order in which it happened, and leaves the disk only
//!   when the core has acknowledged it, or by a rule of [`outbox`] that counts it.
//! - A command that must not be done twice is written down before it is done.
//! - Nothing waits behind [`Output::Timeout`].

pub mod clock;
pub mod commands;
pub mod figures;
pub mod outbox;
pub mod phase;
mod reconnect;
mod reported;
mod session;
#[cfg(test)]
mod tests;

pub use figures::Figures;
pub use phase::Phase;
pub use session::{Config, Happened, Input, Memory, Output, Session, Tag, Ticket, Why, Write};
