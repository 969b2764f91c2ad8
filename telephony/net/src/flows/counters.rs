//! Figures about all flows; plain numbers, because one task owns them.

use super::flow::{CloseReason, Obstacle};

/// Everything that happened since the start. Never counts down; gauges are
/// [`Outlet::connections`](super::Outlet::connections) and its neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    pub datagrams_received: u64,
    pub datagrams_sent: u64,
    pub datagram_bytes_received: u64,
    pub datagram_bytes_sent: u64,
    /// Longer than the receive space, dropped.
    pub datagrams_truncated: u64,
    /// Dropped by the kernel, because its receive buffer was full: we were too slow.
    pub datagrams_lost: u64,
    /// Had to wait, because the kernel's send buffer was full.
    pub datagrams_queued: u64,
    /// Dropped, because the queue of waiting ones was full too.
    pub datagrams_overflowed: u64,
    /// Mostly the echo of an ICMP report, which is counted as `undeliverable` too.
    pub receive_errors: u64,
    pub send_errors: SendErrors,
    /// Reports of the network (ICMP) that a datagram did not arrive.
    pub undeliverable: u64,

    pub accepted: u64,
    pub connected: u64,
    pub refused_total: u64,
    pub refused_source: u64,
    /// Outgoing attempts that we refused to start.
    pub refused_outgoing: u64,
    /// The system could not give us a waiting connection, mostly for want of file descriptors.
    pub accept_errors: u64,
    /// Reports of refusals that nobody was told, because too many came at once.
    pub refusals_untold: u64,
    pub stream_bytes_received: u64,
    pub stream_bytes_sent: u64,
    pub closed: CloseCounts,
}

/// Datagrams that the kernel refused to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendErrors {
    pub no_route: u64,
    pub nobody_listens: u64,
    pub too_large: u64,
    pub denied: u64,
    pub congested: u64,
    pub other: u64,
}

/// Connections that ended, opened or not, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseCounts {
    pub local: u64,
    pub peer: u64,
    pub broken: u64,
    pub idle: u64,
    pub never_spoke: u64,
    pub not_reading: u64,
    pub connect: u64,
    pub connect_timeout: u64,
    pub handshake: u64,
    pub handshake_timeout: u64,
    pub displaced: u64,
    pub fault: u64,
}

impl SendErrors {
    pub(super) fn count(&mut self, why: Obstacle) {
        let counter = match why {
            Obstacle::NoRoute => &mut self.no_route,
            Obstacle::NobodyListens => &mut self.nobody_listens,
            Obstacle::TooLarge => &mut self.too_large,
            Obstacle::Denied => &mut self.denied,
            Obstacle::Congested => &mut self.congested,
            Obstacle::Other(_) => &mut self.other,
        };
        *counter += 1;
    }

    pub fn sum(&self) -> u64 {
        self.no_route
            + self.nobody_listens
            + self.too_large
            + self.denied
            + self.congested
            + self.other
    }
}

impl CloseCounts {
    pub(super) fn count(&mut self, why: &CloseReason) {
        let counter = match why {
            CloseReason::Local => &mut self.local,
            CloseReason::Peer => &mut self.peer,
            CloseReason::Broken(_) => &mut self.broken,
            CloseReason::Idle => &mut self.idle,
            CloseReason::NeverSpoke => &mut self.never_spoke,
            CloseReason::NotReading => &mut self.not_reading,
            CloseReason::Connect(_) => &mut self.connect,
            CloseReason::ConnectTimeout => &mut self.connect_timeout,
            CloseReason::Handshake(_) => &mut self.handshake,
            CloseReason::HandshakeTimeout => &mut self.handshake_timeout,
            CloseReason::Displaced => &mut self.displaced,
            CloseReason::Fault => &mut self.fault,
        };
        *counter += 1;
    }

    pub fn sum(&self) -> u64 {
        let Self {
            local,
            peer,
            broken,
            idle,
            never_spoke,
            not_reading,
            connect,
            connect_timeout,
            handshake,
            handshake_timeout,
            displaced,
            fault,
        } = self;
        local
            + peer
            + broken
            + idle
            + never_spoke
            + not_reading
            + connect
            + connect_timeout
            + handshake
            + handshake_timeout
            + displaced
            + fault
    }
}
