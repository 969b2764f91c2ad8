//! Where browsers reach the edge.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};
use str0m::Candidate;
use str0m::net::TcpType;

/// Tries to find a number that is free in both UDP and TCP, where any will do.
const TRIES: usize = 16;
/// Room for a burst of pictures of many legs.
const BUFFER: usize = 4 << 20;

/// An address that the edge listens on, by UDP and TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub bind: SocketAddr,
    /// The address that browsers are told: another one behind a router that translates.
    pub told: IpAddr,
}

/// A bound place.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) udp: UdpSocket,
    pub(crate) tcp: TcpListener,
    /// As browsers know it.
    pub(crate) told: SocketAddr,
}

impl Place {
    pub(crate) fn open(self) -> io::Result<Open> {
        let mut tries = 0;
        loop {
            let udp = bind_udp(self.bind)?;
            let local = udp.local_addr()?;
            match bind_tcp(local) {
                Ok(tcp) => {
                    let told = (self.told, local.port()).into();
                    return Ok(Open { udp, tcp, told });
                }
                Err(error) if self.bind.port() != 0 || tries == TRIES => return Err(error),
                Err(_) => tries += 1,
            }
        }
    }
}

impl Open {
    pub(crate) fn candidates(&self) -> Result<[Candidate; 2], str0m::error::IceError> {
        let tcp = Candidate::builder().tcp().host(self.told);
        let tcp = tcp.tcptype(TcpType::Passive).build()?;
        Ok([Candidate::host(self.told, "udp")?, tcp])
    }
}

pub(crate) fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM.nonblocking(),
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A system that gives less gives what it can.
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    Ok(socket.into())
}
