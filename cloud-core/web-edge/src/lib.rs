//! Calls in browsers: WebRTC on one side, plain RTP on loopback on the other.
//!
//! An [`Edge`] is one thread with all its sockets: a UDP port for every browser, the same number in
//! TCP for networks without UDP, a port that tells people their address (STUN), and a socket of
//! loopback for each stream of a leg. Both sides of a leg are described in SDP: the browser's in that
//! of WebRTC, the far end's with plain RTP, so that whoever carries calls needs to know nothing of
//! ICE, DTLS or SRTP. Pictures pass as they are; sound is Opus on both sides.
//!
//! Knows no people, calls or signalling. Invariants: nothing that comes from the network makes it
//! grow without bound or end; what is dropped is counted ([`Figures`]); the thread never waits for
//! its owner.

mod crypto;
mod edge;
mod figures;
mod leg;
mod order;
mod places;
mod plain;
mod purse;
mod stun;
mod tcp;
#[cfg(test)]
mod tests;
mod thread;

pub use crypto::CertificateError;
pub use edge::{Config, Edge, StartError};
pub use figures::Figures;
pub use leg::LegError;
pub use order::{LegId, LegNews, News, Ringing, Taken};
pub use places::Place;
