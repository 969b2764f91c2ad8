//! The open link profile, "Versicle": our own protocol between intercom servers and gateways.
//!
//! It is no vendor's. `docs/open-link-profile.md` specifies it for strangers; the numbers of
//! sections in this folder are that document's. One session speaks both ends, by its role: the
//! gateway's, and the server's for adapters and simulators.
//!
//! Frames of HDLC's kind (2), the link engine (3), messages of typed fields (4), a session with
//! hello, picture and keep-alive (5). Sound never travels here; messages tell where it goes (10).

mod codec;
#[cfg(test)]
mod every_word;
mod field;
mod link_time;
mod message;
mod pdu;
mod session;
#[cfg(test)]
mod vectors;

pub use codec::{Deframer, FrameFault, LONGEST_PAYLOAD, frame, printable};
pub use message::{Body, Ends, Hello, Meaning, MessageFault, Pulse, Times, express, understand};
pub use pdu::{Flags, Pdu, PduFault};
pub use session::{Config, Role, Session};
