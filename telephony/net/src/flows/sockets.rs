//! Opens sockets for listeners with every option set before the first byte.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use thiserror::Error;

use super::config::{DatagramSettings, Dscp, ListenerSocket, StreamSettings};
use super::flow::ListenerId;

/// Connections the kernel holds until we accept them; it cuts this at `net.core.somaxconn`.
const BACKLOG: i32 = 1_024;

/// A listener could not be set up.
#[derive(Debug, Error)]
pub enum BindError {
    #[error("cannot listen on {address}: {}", remedy(.source))]
    Bind {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("listener {}: the socket handed over is not a {expected} socket", .listener.0)]
    WrongSocket {
        listener: ListenerId,
        expected: &'static str,
    },
    #[error(
        "listener {}: the socket handed over takes IPv4 and IPv6 together; \
         set BindIPv6Only=ipv6-only in its .socket unit and add one for IPv4",
        .0.0
    )]
    DualStack(ListenerId),
    #[error("listener {}: cannot set up the socket", .listener.0)]
    Setup {
        listener: ListenerId,
        source: io::Error,
    },
    #[error("listener id {} is used twice or reserved", .0.0)]
    Id(ListenerId),
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => "another program has this port; `ss -lntup` shows which one",
        io::ErrorKind::PermissionDenied => {
            "not allowed; ports below 1024 need CAP_NET_BIND_SERVICE or a systemd .socket unit"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this host does not have the address; is the interface up, and the zone the right one?"
        }
        _ => "the system refused",
    }
}

/// Returns the socket and the size of its receive buffer.
pub(super) fn datagram(
    listener: ListenerId,
    socket: ListenerSocket,
    settings: &DatagramSettings,
    dscp: Dscp,
) -> Result<(UdpSocket, usize), BindError> {
    let socket = match socket {
        ListenerSocket::Bind(address) => {
            let bind = || {
                let socket = open(address, Type::DGRAM)?;
                socket.bind(&address.into())?;
                Ok(socket)
            };
            bind().map_err(|source| BindError::Bind { address, source })?
        }
        ListenerSocket::Inherited(fd) => inherited(listener, fd, Type::DGRAM)?,
    };
    let set_up = || {
        socket.set_nonblocking(true)?;
        // The kernel cuts both at its limit without a word.
        socket.set_recv_buffer_size(settings.receive_buffer)?;
        socket.set_send_buffer_size(settings.send_buffer)?;
        setsockopt(&socket, sockopt::RxqOvfl, &1)?;
        let address = local(&socket)?;
        match address {
            SocketAddr::V4(_) => {
                socket.set_tos_v4(dscp.traffic_class())?;
                setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
                setsockopt(
                    &socket,
                    sockopt::Ipv4PacketInfo,
                    &address.ip().is_unspecified(),
                )?;
            }
            SocketAddr::V6(_) => {
                socket.set_tclass_v6(dscp.traffic_class())?;
                setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
                setsockopt(
                    &socket,
                    sockopt::Ipv6RecvPacketInfo,
                    &address.ip().is_unspecified(),
                )?;
            }
        }
        socket.recv_buffer_size()
    };
    let receive_buffer = set_up().map_err(|source| BindError::Setup { listener, source })?;
    Ok((socket.into(), receive_buffer))
}

pub(super) fn stream(
    listener: ListenerId,
    socket: ListenerSocket,
    settings: &StreamSettings,
    dscp: Dscp,
) -> Result<TcpListener, BindError> {
    let socket = match socket {
        ListenerSocket::Bind(address) => {
            let bind = || {
                let socket = open(address, Type::STREAM)?;
                // A restart must not wait for connections of the last run to time out.
                socket.set_reuse_address(true)?;
                socket.bind(&address.into())?;
                socket.listen(BACKLOG)?;
                Ok(socket)
            };
            bind().map_err(|source| BindError::Bind { address, source })?
        }
        ListenerSocket::Inherited(fd) => inherited(listener, fd, Type::STREAM)?,
    };
    let set_up = || {
        socket.set_nonblocking(true)?;
        // Linux hands all of these down to accepted connections.
        let is_ipv4 = local(&socket)?.is_ipv4();
        stream_options(SockRef::from(&socket), is_ipv4, settings, dscp)
    };
    set_up().map_err(|source| BindError::Setup { listener, source })?;
    Ok(socket.into())
}

/// For listeners and for connections that we open.
pub(super) fn stream_options(
    socket: SockRef<'_>,
    is_ipv4: bool,
    settings: &StreamSettings,
    dscp: Dscp,
) -> io::Result<()> {
    let keepalive = TcpKeepalive::new()
        .with_time(settings.keepalive.after)
        .with_interval(settings.keepalive.every)
        .with_retries(settings.keepalive.probes);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(settings.unacknowledged_timeout))?;
    if is_ipv4 {
        socket.set_tos_v4(dscp.traffic_class())
    } else {
        socket.set_tclass_v6(dscp.traffic_class())
    }
}

fn open(address: SocketAddr, kind: Type) -> io::Result<Socket> {
    let protocol = if kind == Type::DGRAM {
        Protocol::UDP
    } else {
        Protocol::TCP
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn inherited(listener: ListenerId, fd: OwnedFd, kind: Type) -> Result<Socket, BindError> {
    let socket = Socket::from(fd);
    let fits = socket.r#type().is_ok_and(|is| is == kind)
        && (kind == Type::DGRAM || socket.is_listener().unwrap_or(false));
    match local(&socket) {
        Ok(SocketAddr::V6(_)) if fits && !socket.only_v6().unwrap_or(false) => {
            Err(BindError::DualStack(listener))
        }
        Ok(_) if fits => Ok(socket),
        Ok(_) | Err(_) => Err(BindError::WrongSocket {
            listener,
            expected: if kind == Type::DGRAM {
                "UDP"
            } else {
                "listening TCP"
            },
        }),
    }
}

fn local(socket: &Socket) -> io::Result<SocketAddr> {
    socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn accepted_connections_have_the_options_of_their_listener() {
        let socket = ListenerSocket::Bind("127.0.0.1:0".parse().unwrap());
        let settings = StreamSettings::default();
        let listener = stream(ListenerId(1), socket, &settings, Dscp::CS3).unwrap();
        listener.set_nonblocking(false).unwrap();
        let _station = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let accepted = SockRef::from(&accepted);
        assert!(accepted.tcp_nodelay().unwrap());
        assert!(accepted.keepalive().unwrap());
        assert_eq!(
            accepted.tcp_keepalive_time().unwrap(),
            settings.keepalive.after
        );
        assert_eq!(
            accepted.tcp_keepalive_interval().unwrap(),
            settings.keepalive.every
        );
        assert_eq!(
            accepted.tcp_keepalive_retries().unwrap(),
            settings.keepalive.probes
        );
        let timeout = Some(settings.unacknowledged_timeout);
        assert_eq!(accepted.tcp_user_timeout().unwrap(), timeout);
        assert_eq!(accepted.tos_v4().unwrap(), 24 << 2);
    }
}
