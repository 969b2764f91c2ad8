//! Lines of ISDN over sockets: a D channel for a machine, and the sound of B channels as RTP.
//!
//! `l1oip` carries a line in UDP, `sound` is the end of RTP that every carrier of B channels shares.
//! What the frames mean the machine says; how octets become packets `isdn::layer1` says. A gateway
//! and the legacy site are the two ends of it. Invariant: a B channel that is not joined is silent.

mod l1oip;
mod sound;

use std::net::SocketAddr;

pub use l1oip::L1oip;
pub use sound::{Sound, SoundEnd};

/// Joins and partings of B channels that may wait for the task of a line.
pub const MOST_BEARINGS: usize = 256;

/// Whom the sound of a B channel goes to and comes from.
#[derive(Clone, Copy, Debug)]
pub enum Bearing {
    Join { channel: u8, ours: SocketAddr },
    Leave { channel: u8 },
}
