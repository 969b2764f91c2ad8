//! What a flow is, and what happens to one.
//!
//! A flow is a path to one peer: a UDP remote address as seen by one listener, or one TCP or TLS
//! connection. Nothing here does I/O.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use nix::errno::Errno;
use thiserror::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        })
    }
}

/// Chosen by the owner, one per listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u16);

impl ListenerId {
    /// The listener of connections that we opened ourselves. No listener may carry this id.
    pub const OUTGOING: Self = Self(u16::MAX);
}

/// Counts up from 1 and is never used twice in one process. 0 is every UDP flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

impl ConnectionId {
    pub const NONE: Self = Self(0);
}

/// Names a path to a peer; plain data, so that it may be kept, compared and come too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    pub transport: Transport,
    pub listener: ListenerId,
    /// IPv6 link-local addresses keep their scope id.
    pub remote: SocketAddr,
    /// The address a datagram came to, and from which the answer leaves. Unspecified (`0.0.0.0`,
    /// `::`) leaves the choice to the kernel; so does a connection that is not open yet.
    pub local: SocketAddr,
    pub connection: ConnectionId,
}

impl Flow {
    /// The path of datagrams from `local` (as the listener was bound) to `remote`.
    pub fn datagrams(listener: ListenerId, local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            transport: Transport::Udp,
            listener,
            remote,
            local,
            connection: ConnectionId::NONE,
        }
    }
}

/// What the owner of [`Flows`](super::Flows) is told.
///
/// Per connection the order is `Opened`, any number of `Received`, `Closed`. A connection we tried
/// to open and could not says `Closed` without `Opened`; an incoming one that fails its handshake
/// says `Refused` only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowEvent<B = Bytes> {
    /// UDP: one datagram. TCP, TLS: a piece of the stream, cut anywhere.
    Received { flow: Flow, bytes: B },
    /// The connection can carry bytes both ways; with TLS the handshake is done.
    Opened { flow: Flow },
    /// The last word about a connection.
    Closed { flow: Flow, why: CloseReason },
    /// A peer was turned away. Meant for the log: under a flood some are only counted.
    Refused {
        listener: ListenerId,
        remote: SocketAddr,
        why: Refusal,
    },
    /// The network reports that datagrams do not reach this peer. Anyone may forge such a report:
    /// a reason to give up one attempt, never to forget a binding.
    Undeliverable { flow: Flow, why: Obstacle },
}

impl<B> FlowEvent<B> {
    pub(super) fn map<C>(self, convert: impl FnOnce(B) -> C) -> FlowEvent<C> {
        match self {
            Self::Received { flow, bytes } => FlowEvent::Received {
                flow,
                bytes: convert(bytes),
            },
            Self::Opened { flow } => FlowEvent::Opened { flow },
            Self::Closed { flow, why } => FlowEvent::Closed { flow, why },
            Self::Refused {
                listener,
                remote,
                why,
            } => FlowEvent::Refused {
                listener,
                remote,
                why,
            },
            Self::Undeliverable { flow, why } => FlowEvent::Undeliverable { flow, why },
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CloseReason {
    #[error("closed by us")]
    Local,
    #[error("closed by the peer")]
    Peer,
    #[error("broken: {0}")]
    Broken(io::ErrorKind),
    #[error("the peer was silent for too long")]
    Idle,
    #[error("the peer opened the connection and never sent anything")]
    NeverSpoke,
    #[error("the peer does not read: more bytes wait for it than one connection may hold")]
    NotReading,
    #[error("could not connect: {0}")]
    Connect(io::ErrorKind),
    #[error("no answer to the connection attempt in time")]
    ConnectTimeout,
    #[error("TLS handshake failed: {0}")]
    Handshake(String),
    #[error("TLS handshake not done in time")]
    HandshakeTimeout,
    #[error("displaced by a newer connection: too many TLS handshakes in progress")]
    Displaced,
    #[error("a fault of ours: the task of this connection panicked")]
    Fault,
}

/// Why an incoming connection was turned away before it opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error("as many connections are open as are allowed in total")]
    Total,
    #[error("as many connections are open as are allowed for one source address")]
    Source,
    /// Failed, came too late or was displaced during the TLS handshake.
    #[error(transparent)]
    Handshake(CloseReason),
}

/// Why bytes were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    #[error("no UDP listener has this id")]
    NoListener,
    #[error("the connection is closed")]
    Closed,
    #[error("the peer does not read; its connection is being closed")]
    NotReading,
    #[error("the kernel takes no more datagrams and the waiting queue is full")]
    QueueFull,
    #[error("the kernel refused the datagram: {0}")]
    Refused(Obstacle),
}

/// Why a datagram does not reach its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Obstacle {
    #[error("no route to the host")]
    NoRoute,
    #[error("nobody listens on that port")]
    NobodyListens,
    /// RFC 3261 18.1.1: such a request goes over TCP.
    #[error("longer than a datagram may be")]
    TooLarge,
    #[error("a firewall or a missing right forbids it")]
    Denied,
    #[error("the kernel has no room for it")]
    Congested,
    #[error("system error {0}")]
    Other(i32),
}

impl Obstacle {
    pub(super) fn from_errno(errno: i32) -> Self {
        match Errno::from_raw(errno) {
            Errno::ENETUNREACH
            | Errno::EHOSTUNREACH
            | Errno::ENETDOWN
            | Errno::EHOSTDOWN
            | Errno::EADDRNOTAVAIL
            | Errno::ENONET => Self::NoRoute,
            Errno::ECONNREFUSED | Errno::ENOPROTOOPT => Self::NobodyListens,
            Errno::EMSGSIZE => Self::TooLarge,
            Errno::EPERM | Errno::EACCES => Self::Denied,
            Errno::ENOBUFS | Errno::ENOMEM => Self::Congested,
            _ => Self::Other(errno),
        }
    }
}

/// Groups addresses that one host can use at will, so that a cap per source means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Source(IpAddr);

impl Source {
    pub(super) fn of(remote: SocketAddr) -> Self {
        Self(match remote.ip() {
            IpAddr::V6(ip) if !ip.is_unicast_link_local() && !ip.is_loopback() => {
                // A host owns its whole /64 (RFC 8981 temporary addresses).
                let prefix = u128::from(ip) & !u128::from(u64::MAX);
                IpAddr::V6(prefix.into())
            }
            ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str) -> Source {
        Source::of(address.parse().unwrap())
    }

    #[test]
    fn a_network_of_64_bits_is_one_source() {
        assert_eq!(source("[2001:db8::1]:1"), source("[2001:db8::2]:9"));
        assert_ne!(source("[2001:db8::1]:1"), source("[2001:db8:0:1::1]:1"));
    }

    #[test]
    fn link_local_and_ipv4_addresses_are_sources_of_their_own() {
        assert_ne!(source("[fe80::1]:1"), source("[fe80::2]:1"));
        assert_ne!(source("192.0.2.1:1"), source("192.0.2.2:1"));
        assert_eq!(source("192.0.2.1:1"), source("192.0.2.1:2"));
    }
}
