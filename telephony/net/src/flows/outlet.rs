//! Everything the owner may do with flows while it looks at an event: send, connect, close. No call
//! here ever waits.

use std::io;
use std::net::SocketAddr;

use socket2::SockRef;
use thiserror::Error;
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::config::Dscp;
use super::connection::Start;
use super::connections::Connections;
use super::counters::Counters;
use super::datagram::DatagramListener;
use super::flow::{ConnectionId, Flow, SendError, Transport};
use super::outbox::Order;
use super::sockets;
use crate::tls::{ClientTls, PeerCertificate};

#[derive(Debug)]
pub struct Outlet {
    pub(super) datagrams: Vec<DatagramListener>,
    pub(super) connections: Connections,
    pub(super) counters: Counters,
    pub(super) client_tls: Option<ClientTls>,
    pub(super) dscp: Dscp,
}

/// Where to open a connection to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    pub transport: Transport,
    /// A link-local address needs its scope id.
    pub remote: SocketAddr,
    /// The address to come from; `None` leaves it to the routing table. Port 0 is usual.
    pub from: Option<SocketAddr>,
    /// TLS: what the certificate must be valid for, a DNS name or an address; `None` means the
    /// remote address.
    pub server_name: Option<String>,
}

/// Why no connection attempt was started.
#[derive(Debug, Error)]
pub enum ConnectError {
    #[error("UDP has no connections")]
    Datagrams,
    #[error("as many outgoing connections are open as are allowed")]
    TooMany,
    #[error("outgoing TLS is not configured: no trusted certificates were given")]
    NoTls,
    #[error("{0:?} is not a name that a certificate can carry")]
    ServerName(String),
    #[error("cannot open a socket")]
    Socket(#[from] io::Error),
}

impl Outlet {
    /// Takes all the bytes or none. UDP: one datagram, gone or waiting on return. TCP, TLS: queued;
    /// also before the connection is open. A queue that runs over closes the connection.
    pub fn send(&mut self, flow: &Flow, bytes: &[u8]) -> Result<(), SendError> {
        match flow.transport {
            Transport::Udp => {
                let listener = self.datagrams.iter_mut().find(|at| at.id == flow.listener);
                let listener = listener.ok_or(SendError::NoListener)?;
                listener.send(flow, bytes, &mut self.counters)
            }
            Transport::Tcp | Transport::Tls => {
                self.connections.send(flow.connection, bytes)?;
                self.counters.stream_bytes_sent += bytes.len() as u64;
                Ok(())
            }
        }
    }

    /// Starts to open a connection. The flow may be sent to at once; `Opened` or `Closed` follow.
    pub fn connect(&mut self, to: &Destination) -> Result<Flow, ConnectError> {
        let tls = self.client_tls.clone();
        self.connect_with(to, tls.as_ref())
    }

    /// As [`Outlet::connect`], but as whoever `tls` says, to whom it believes.
    pub fn connect_as(&mut self, to: &Destination, tls: &ClientTls) -> Result<Flow, ConnectError> {
        self.connect_with(to, Some(tls))
    }

    fn connect_with(
        &mut self,
        to: &Destination,
        tls: Option<&ClientTls>,
    ) -> Result<Flow, ConnectError> {
        if to.transport == Transport::Udp {
            return Err(ConnectError::Datagrams);
        }
        if !self.connections.has_room_outgoing() {
            self.counters.refused_outgoing += 1;
            return Err(ConnectError::TooMany);
        }
        let tls = match to.transport {
            Transport::Tls => Some(tls_to(to, tls.ok_or(ConnectError::NoTls)?)?),
            Transport::Tcp | Transport::Udp => None,
        };
        let socket = self.socket_to(to)?;
        let start = match tls {
            Some((connector, name)) => Start::ConnectTls(socket, to.remote, connector, name),
            None => Start::Connect(socket, to.remote),
        };
        Ok(self.connections.connect(to.transport, to.remote, start))
    }

    /// What is queued is still sent. `Closed` follows; bytes that arrived before may come first.
    pub fn close(&mut self, connection: ConnectionId) {
        self.connections.order(connection, Order::Finish);
    }

    /// Who the peer proved to be; `None` without TLS, without a certificate, and when closed.
    pub fn peer_certificate(&self, connection: ConnectionId) -> Option<&PeerCertificate> {
        self.connections.peer_certificate(connection)
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Incoming connections right now, those in a handshake included.
    pub fn incoming(&self) -> usize {
        self.connections.incoming()
    }

    /// Incoming TLS handshakes in progress.
    pub fn handshakes(&self) -> usize {
        self.connections.handshakes()
    }

    /// Connections that we opened or try to open.
    pub fn outgoing(&self) -> usize {
        self.connections.outgoing()
    }

    fn socket_to(&self, to: &Destination) -> io::Result<TcpSocket> {
        let is_ipv4 = to.remote.is_ipv4();
        let socket = if is_ipv4 {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        let settings = &self.connections.settings;
        sockets::stream_options(SockRef::from(&socket), is_ipv4, settings, self.dscp)?;
        if let Some(from) = to.from {
            socket.bind(from)?;
        }
        Ok(socket)
    }
}

fn tls_to(
    to: &Destination,
    tls: &ClientTls,
) -> Result<(TlsConnector, ServerName<'static>), ConnectError> {
    let name = match &to.server_name {
        Some(name) => ServerName::try_from(name.clone())
            .map_err(|_| ConnectError::ServerName(name.clone()))?,
        None => ServerName::from(to.remote.ip()),
    };
    Ok((TlsConnector::from(tls.config()), name))
}
