//! What the owner says of a leg: its names, its peer, its formats. Plain data.

use std::net::SocketAddr;

use crate::format::Format;
use crate::guard::Protection;
use crate::latch::LatchPolicy;

/// The owner's name for a session; one per media line of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// The owner's name for a leg, unique in its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegKey(pub u64);

/// The owner's small, dense number for a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortKey(pub u32);

/// Whether a talk spurt or a frame is what the marker bit marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    Audio,
    Video,
}

/// Seen from us (RFC 3264 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    SendReceive,
    SendOnly,
    ReceiveOnly,
    Inactive,
}

impl Direction {
    pub(crate) fn sends(self) -> bool {
        matches!(self, Direction::SendReceive | Direction::SendOnly)
    }

    pub(crate) fn receives(self) -> bool {
        matches!(self, Direction::SendReceive | Direction::ReceiveOnly)
    }
}

/// Where the peer's RTCP goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtcpAddress {
    /// The peer wants none.
    None,
    /// RFC 5761: on the RTP port.
    SharesRtp,
    /// RFC 3550 11: the port after RTP's.
    NextPort,
    /// RFC 3605: as the SDP says.
    At(SocketAddr),
}

/// What signalling says about the peer. For link-local addresses the owner
/// fills in the scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remote {
    /// `None`: not told yet; only a packet from the signalling peer's network
    /// can tell.
    pub rtp: Option<SocketAddr>,
    pub rtcp: RtcpAddress,
    pub latch: LatchPolicy,
}

impl Remote {
    pub(super) fn rtcp_address(&self) -> Option<SocketAddr> {
        match self.rtcp {
            RtcpAddress::None | RtcpAddress::SharesRtp => None,
            RtcpAddress::NextPort => self.rtp.and_then(|rtp| {
                let mut next = rtp;
                next.set_port(rtp.port().checked_add(1)?);
                Some(next)
            }),
            RtcpAddress::At(address) => Some(address),
        }
    }
}

/// All that a leg needs to begin.
#[derive(Debug, Clone)]
pub struct LegSetup {
    pub rtp: PortKey,
    pub rtcp: Option<PortKey>,
    pub medium: Medium,
    pub remote: Remote,
    pub formats: Vec<Format>,
    pub direction: Direction,
    pub protection: Protection,
}

/// What new signalling changes; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct LegUpdate {
    /// Opens the latch's window again, even if it is what it was.
    pub remote: Option<Remote>,
    pub formats: Option<Vec<Format>>,
    pub direction: Option<Direction>,
    /// Packets under the keys of before still come in for a while.
    pub protection: Option<Protection>,
}
