//! What the owner decides about listeners and connections. Plain values, taken as they are: whoever
//! reads them from a file checks them.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::flow::ListenerId;
use crate::tls::{ClientTls, ServerTls};

#[derive(Debug, Default)]
pub struct FlowsConfig {
    pub listeners: Vec<ListenerConfig>,
    pub datagrams: DatagramSettings,
    pub streams: StreamSettings,
    /// Needed to open TLS connections; without it every attempt is refused.
    pub client_tls: Option<ClientTls>,
    /// Of everything we send. Signalling is CS3 (RFC 4594 4.2).
    pub dscp: Dscp,
}

#[derive(Debug)]
pub struct ListenerConfig {
    pub id: ListenerId,
    pub socket: ListenerSocket,
    pub kind: ListenerKind,
}

#[derive(Debug)]
pub enum ListenerSocket {
    /// IPv6 sockets are IPv6 only: `0.0.0.0` and `[::]` can be bound side by side.
    Bind(SocketAddr),
    /// Already bound by somebody else, such as systemd (socket activation).
    Inherited(OwnedFd),
}

#[derive(Debug)]
pub enum ListenerKind {
    Udp,
    Tcp,
    Tls(ServerTls),
}

/// A code point of RFC 2474: 0 to 63.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dscp(u8);

impl Dscp {
    pub const DEFAULT_FORWARDING: Self = Self(0);
    pub const CS3: Self = Self(24);

    /// `None` above 63.
    pub fn new(code_point: u8) -> Option<Self> {
        (code_point < 64).then_some(Self(code_point))
    }

    /// As the kernel wants it: the upper six bits of the traffic class.
    pub(super) fn traffic_class(self) -> u32 {
        u32::from(self.0) << 2
    }
}

impl Default for Dscp {
    fn default() -> Self {
        Self::CS3
    }
}

#[derive(Clone, Copy, Debug)]
pub struct DatagramSettings {
    /// Asked of the kernel (`SO_RCVBUF`); what it gave stands in
    /// [`ListenerInfo`](super::ListenerInfo).
    pub receive_buffer: usize,
    /// Asked of the kernel (`SO_SNDBUF`).
    pub send_buffer: usize,
    /// Longer datagrams are dropped and counted. No UDP datagram is longer than the default.
    pub longest: usize,
    /// Datagrams per listener that may wait for room in the kernel's send buffer.
    pub waiting: usize,
}

impl Default for DatagramSettings {
    fn default() -> Self {
        Self {
            receive_buffer: 4 << 20,
            send_buffer: 1 << 20,
            longest: 65_535,
            waiting: 256,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct StreamSettings {
    /// Incoming connections in all, those in a handshake included.
    pub incoming: usize,
    /// Incoming connections per source address; an IPv6 /64 counts as one.
    pub per_source: usize,
    /// Incoming TLS handshakes at a time, at least 1; more wait in the kernel.
    pub handshakes: usize,
    /// While others wait, a handshake that takes longer than this is displaced.
    pub handshake_patience: Duration,
    /// Connections we opened or try to open.
    pub outgoing: usize,
    pub connect_timeout: Duration,
    pub handshake_timeout: Duration,
    /// How long an incoming connection may stay without its first byte.
    pub first_bytes_timeout: Duration,
    /// How long a connection may stay without a byte from the peer.
    pub idle_timeout: Duration,
    /// How long the last bytes may take to leave when we close.
    pub close_timeout: Duration,
    /// Bytes that may wait for a peer to read, per connection.
    pub queued_bytes: usize,
    pub keepalive: Keepalive,
    /// Unacknowledged bytes older than this end the connection (`TCP_USER_TIMEOUT`, RFC 5482).
    pub unacknowledged_timeout: Duration,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            incoming: 4_000,
            per_source: 64,
            handshakes: 128,
            handshake_patience: Duration::from_millis(500),
            outgoing: 1_000,
            connect_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(5),
            first_bytes_timeout: Duration::from_secs(10),
            // Stations without keep-alive speak at least when they renew a one hour registration.
            idle_timeout: Duration::from_secs(3_900),
            close_timeout: Duration::from_secs(2),
            queued_bytes: 256 << 10,
            keepalive: Keepalive::default(),
            unacknowledged_timeout: Duration::from_secs(30),
        }
    }
}

/// Probes of the kernel that find a peer which vanished without a word.
#[derive(Clone, Copy, Debug)]
pub struct Keepalive {
    pub after: Duration,
    pub every: Duration,
    pub probes: u32,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self {
            after: Duration::from_secs(60),
            every: Duration::from_secs(10),
            probes: 3,
        }
    }
}
