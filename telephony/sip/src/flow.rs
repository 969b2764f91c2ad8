//! Where bytes come from and go to, as this crate sees it.
//!
//! The types mirror what a network layer knows about a socket or a connection, so that a
//! shell maps one to the other without work. Nothing here opens, resolves or sends.
//! Invariant: a [`Flow`] names one way to one remote address; two flows of the same
//! connection are equal.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// The transport below a SIP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

impl Transport {
    /// Whether the transport retransmits by itself, so that SIP must not (RFC 3261 17).
    pub fn is_reliable(self) -> bool {
        match self {
            Transport::Udp => false,
            Transport::Tcp | Transport::Tls => true,
        }
    }

    /// The name in a Via header field.
    pub fn via_name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
        }
    }

    /// The value of a `transport` URI parameter.
    pub fn uri_name(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        }
    }

    /// Reads a transport name from a Via header field or a URI parameter.
    pub fn from_name(name: &str) -> Option<Transport> {
        [Transport::Udp, Transport::Tcp, Transport::Tls]
            .into_iter()
            .find(|transport| name.eq_ignore_ascii_case(transport.via_name()))
    }

    /// RFC 3261 19.1.2: 5060, and 5061 over TLS.
    pub fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri_name())
    }
}

/// A listening socket of the shell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u16);

/// A TCP or TLS connection of the shell; zero on UDP, never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

impl ConnectionId {
    /// The value on datagram flows.
    pub const NONE: ConnectionId = ConnectionId(0);
}

/// One way to one peer: a remote address through a UDP socket, or a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    pub transport: Transport,
    pub listener: ListenerId,
    /// IPv6 scope ids are kept, so that link-local peers stay reachable.
    pub remote: SocketAddr,
    pub local: SocketAddr,
    pub connection: ConnectionId,
}

impl Flow {
    /// A datagram flow.
    pub fn udp(listener: ListenerId, local: SocketAddr, remote: SocketAddr) -> Flow {
        Flow {
            transport: Transport::Udp,
            listener,
            remote,
            local,
            connection: ConnectionId::NONE,
        }
    }
}

/// Where to send when no flow exists yet. The address is already resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    pub transport: Transport,
    pub addr: SocketAddr,
    /// The name the certificate of the peer must carry; needed on TLS.
    pub server_name: Option<Arc<str>>,
    /// The listener whose address we write into Via and Contact (and whose socket sends,
    /// on UDP). `None`: the first listener of the transport and address family.
    pub listener: Option<ListenerId>,
}

impl Destination {
    pub fn new(transport: Transport, addr: SocketAddr) -> Destination {
        Destination {
            transport,
            addr,
            server_name: None,
            listener: None,
        }
    }
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Hop {
    /// Over this flow and no other (RFC 5626 5.3).
    Flow(Flow),
    /// To this address; the shell reuses a connection to it or opens one.
    Destination(Destination),
}

impl Hop {
    pub fn transport(&self) -> Transport {
        match self {
            Hop::Flow(flow) => flow.transport,
            Hop::Destination(destination) => destination.transport,
        }
    }

    pub fn remote(&self) -> SocketAddr {
        match self {
            Hop::Flow(flow) => flow.remote,
            Hop::Destination(destination) => destination.addr,
        }
    }

    /// The connection the hop is bound to, if it is bound to one.
    pub fn connection(&self) -> Option<ConnectionId> {
        match self {
            Hop::Flow(flow) if flow.connection != ConnectionId::NONE => Some(flow.connection),
            Hop::Flow(_) | Hop::Destination(_) => None,
        }
    }
}
