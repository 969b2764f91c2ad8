//! A SIP core without I/O: messages, transactions, dialogs, registration, digest, SDP offer and answer.
//!
//! Bytes and commands go into [`endpoint::Endpoint`], bytes and events come out; time and the seed of
//! all randomness are arguments. There is no socket, clock, file or log in here, and nothing knows
//! stations, doors or calls: who composes this crate translates. Bottom up:
//!
//! - [`message`] reads, judges, builds and writes messages; [`framer`] cuts streams into them.
//! - [`flow`] names where bytes came from and where they may go; [`admission`] limits each source.
//! - [`transaction`] holds the four machines of RFC 3261 17 with RFC 6026.
//! - [`session`] is the INVITE usage of a dialog, [`subscription`] the SUBSCRIBE usage.
//! - [`digest`] and [`registrar`] know who may be reached where.
//! - [`sdp`] answers offers; the layers above carry bodies as bytes.
//! - [`endpoint`] owns all of these and passes what one says to the next.

pub mod admission;
mod deadlines;
mod dialog;
pub mod digest;
pub mod endpoint;
pub mod flow;
pub mod framer;
pub mod message;
pub mod registrar;
pub mod sdp;
pub mod session;
pub mod subscription;
mod tokens;
pub mod transaction;

pub use tokens::secret_for;
