//! What an exchange needs of the world, in the gateway and in the cloud core alike.
//!
//! [`MediaShell`] plugs the media relay into threads with sockets; [`Outgoing`] finds the connection
//! that a message to an address takes. Both carry out what `exchange` has decided and decide nothing
//! about calls. Whoever owns an exchange drains it into these two.

mod frames;
mod media;
mod outgoing;

pub use frames::{Frame, FrameSender};
pub use media::{Heard, MediaOptions, MediaShell, Wanted, ports_for_alarms};
pub use outgoing::{NotSent, Outgoing, net_connection, sip_flow, sip_transport};
