//! One UDP listener, read and written directly by the owner: no task and no queue lies between the
//! kernel and it, but for datagrams that the kernel's send buffer has no room for.
//!
//! Answers leave from the address the question came to, also when the socket is bound to every
//! address (RFC 3581 4: "from the same IP address and port").

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use nix::cmsg_space;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg,
};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::config::{DatagramSettings, Dscp, ListenerSocket};
use super::counters::Counters;
use super::flow::{Flow, ListenerId, Obstacle, SendError};
use super::sockets::{self, BindError};

#[derive(Debug)]
pub(super) struct DatagramListener {
    pub(super) id: ListenerId,
    pub(super) local: SocketAddr,
    pub(super) receive_buffer: usize,
    pub(super) socket: Arc<UdpSocket>,
    waiting: VecDeque<Waiting>,
    may_wait: usize,
    /// The kernel's own count of what its full receive buffer cost us (`SO_RXQ_OVFL`).
    lost: u32,
}

#[derive(Debug)]
struct Waiting {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Bytes,
}

/// Room for one datagram and what the kernel tells about it; one serves all listeners.
pub(super) struct ReceiveSpace {
    datagram: Box<[u8]>,
    control: Vec<u8>,
}

impl fmt::Debug for ReceiveSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiveSpace")
            .field("longest", &self.datagram.len())
            .finish_non_exhaustive()
    }
}

impl ReceiveSpace {
    pub(super) fn new(settings: &DatagramSettings) -> Self {
        Self {
            datagram: vec![0; settings.longest].into(),
            control: cmsg_space!(in6_pktinfo, u32),
        }
    }

    pub(super) fn datagram(&self, length: usize) -> &[u8] {
        &self.datagram[..length]
    }
}

impl DatagramListener {
    pub(super) fn bind(
        id: ListenerId,
        socket: ListenerSocket,
        settings: &DatagramSettings,
        dscp: Dscp,
    ) -> Result<Self, BindError> {
        let (socket, receive_buffer) = sockets::datagram(id, socket, settings, dscp)?;
        let setup = |source| BindError::Setup {
            listener: id,
            source,
        };
        let socket = UdpSocket::from_std(socket).map_err(setup)?;
        Ok(Self {
            id,
            local: socket.local_addr().map_err(setup)?,
            receive_buffer,
            socket: Arc::new(socket),
            waiting: VecDeque::new(),
            may_wait: settings.waiting,
            lost: 0,
        })
    }

    /// The next datagram into `space`; `None` when the kernel has no more.
    pub(super) fn receive(
        &mut self,
        space: &mut ReceiveSpace,
        counters: &mut Counters,
    ) -> Option<(Flow, usize)> {
        // Errors of earlier sends come back here, once each; their story is told by the error
        // queue. The bound keeps a broken socket from holding the owner.
        for _ in 0..16 {
            let arrived = self
                .socket
                .try_io(Interest::READABLE, || arrival(&self.socket, space));
            match arrived {
                Ok(arrival) => {
                    if let Some(lost) = arrival.lost {
                        counters.datagrams_lost += u64::from(lost.wrapping_sub(self.lost));
                        self.lost = lost;
                    }
                    if arrival.truncated {
                        counters.datagrams_truncated += 1;
                        continue;
                    }
                    let Some(remote) = arrival.remote else {
                        counters.receive_errors += 1;
                        continue;
                    };
                    counters.datagrams_received += 1;
                    counters.datagram_bytes_received += arrival.length as u64;
                    let local = self.local_of(arrival.destination);
                    return Some((Flow::datagrams(self.id, local, remote), arrival.length));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => counters.receive_errors += 1,
            }
        }
        None
    }

    pub(super) fn send(
        &mut self,
        flow: &Flow,
        bytes: &[u8],
        counters: &mut Counters,
    ) -> Result<(), SendError> {
        let to = self.scoped(flow);
        if !self.waiting.is_empty() {
            return self.wait(flow.local, to, bytes, counters);
        }
        match self.transmit(flow.local, to, bytes) {
            Ok(()) => {
                counters.datagrams_sent += 1;
                counters.datagram_bytes_sent += bytes.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.wait(flow.local, to, bytes, counters)
            }
            Err(error) => {
                let why = Obstacle::from_errno(error.raw_os_error().unwrap_or_default());
                counters.send_errors.count(why);
                Err(SendError::Refused(why))
            }
        }
    }

    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        // An error here is found again, and counted, by `receive`.
        self.socket.poll_recv_ready(cx).map(|_| ())
    }

    /// Sends what waits, as far as the kernel takes it; pending means it all went or the kernel
    /// will say when there is room.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>, counters: &mut Counters) {
        while let Some(next) = self.waiting.front() {
            let Poll::Ready(Ok(())) = self.socket.poll_send_ready(cx) else {
                return;
            };
            let send = || self.transmit(next.from, next.to, &next.bytes);
            match self.socket.try_io(Interest::WRITABLE, send) {
                Ok(()) => {
                    counters.datagrams_sent += 1;
                    counters.datagram_bytes_sent += next.bytes.len() as u64;
                }
                // The readiness is cleared now, so that the next turn waits for the kernel.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => counters.send_errors.count(Obstacle::from_errno(
                    error.raw_os_error().unwrap_or_default(),
                )),
            }
            self.waiting.pop_front();
        }
    }

    fn wait(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
        counters: &mut Counters,
    ) -> Result<(), SendError> {
        if self.waiting.len() >= self.may_wait {
            counters.datagrams_overflowed += 1;
            return Err(SendError::QueueFull);
        }
        counters.datagrams_queued += 1;
        self.waiting.push_back(Waiting {
            from,
            to,
            bytes: Bytes::copy_from_slice(bytes),
        });
        Ok(())
    }

    /// Asks the kernel itself: the runtime's own idea of readiness comes a turn late.
    fn transmit(&self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let once = || {
            if self.local.ip().is_unspecified() && !from.ip().is_unspecified() {
                depart(&self.socket, from, to, bytes)
            } else {
                SockRef::from(&*self.socket).send_to(bytes, &to.into())
            }
        };
        let sent = match once() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                // With an error queue the first call after an ICMP report fails on behalf of an
                // earlier datagram, perhaps to another peer; this one has not been tried yet.
                once()
            }
            outcome => outcome,
        };
        sent.map(|_| ())
    }

    /// Where a datagram came to: the listener's own address, unless that means every address.
    fn local_of(&self, destination: Option<SocketAddr>) -> SocketAddr {
        match destination {
            Some(mut destination)
                if self.local.ip().is_unspecified() && !destination.ip().is_multicast() =>
            {
                destination.set_port(self.local.port());
                destination
            }
            Some(_) | None => self.local,
        }
    }

    /// A link-local peer without scope is meant on the link of our own end.
    fn scoped(&self, flow: &Flow) -> SocketAddr {
        let scope = |address| match address {
            SocketAddr::V6(address) => address.scope_id(),
            SocketAddr::V4(_) => 0,
        };
        match flow.remote {
            SocketAddr::V6(to) if to.scope_id() == 0 && to.ip().is_unicast_link_local() => {
                let scope = scope(flow.local).max(scope(self.local));
                SocketAddrV6::new(*to.ip(), to.port(), 0, scope).into()
            }
            to @ (SocketAddr::V4(_) | SocketAddr::V6(_)) => to,
        }
    }
}

struct Arrival {
    length: usize,
    truncated: bool,
    remote: Option<SocketAddr>,
    destination: Option<SocketAddr>,
    lost: Option<u32>,
}

fn arrival(socket: &UdpSocket, space: &mut ReceiveSpace) -> io::Result<Arrival> {
    let mut pieces = [IoSliceMut::new(&mut space.datagram)];
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut pieces,
        Some(&mut space.control),
        MsgFlags::MSG_DONTWAIT,
    )?;
    let mut arrival = Arrival {
        length: message.bytes,
        truncated: message.flags.contains(MsgFlags::MSG_TRUNC),
        remote: message.address.as_ref().and_then(socket_address),
        destination: None,
        lost: None,
    };
    for control in message.cmsgs()? {
        match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                // The local address, where `ipi_addr` may be a broadcast address.
                let ip = Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes());
                arrival.destination = Some(SocketAddr::new(ip.into(), 0));
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let ip = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                let scope = if ip.is_unicast_link_local() {
                    info.ipi6_ifindex
                } else {
                    0
                };
                arrival.destination = Some(SocketAddrV6::new(ip, 0, 0, scope).into());
            }
            ControlMessageOwned::RxqOvfl(lost) => arrival.lost = Some(lost),
            _ => {}
        }
    }
    Ok(arrival)
}

/// Sends from one address of a socket that is bound to all.
fn depart(socket: &UdpSocket, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> io::Result<usize> {
    let pieces = [IoSlice::new(bytes)];
    let fd = socket.as_raw_fd();
    let to = SockaddrStorage::from(to);
    let sent = match from {
        SocketAddr::V4(from) => {
            let address = u32::from_ne_bytes(from.ip().octets());
            let info = in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: nix::libc::in_addr { s_addr: address },
                ipi_addr: nix::libc::in_addr { s_addr: 0 },
            };
            let control = [ControlMessage::Ipv4PacketInfo(&info)];
            sendmsg(fd, &pieces, &control, MsgFlags::MSG_DONTWAIT, Some(&to))?
        }
        SocketAddr::V6(from) => {
            let info = in6_pktinfo {
                ipi6_addr: nix::libc::in6_addr {
                    s6_addr: from.ip().octets(),
                },
                ipi6_ifindex: from.scope_id(),
            };
            let control = [ControlMessage::Ipv6PacketInfo(&info)];
            sendmsg(fd, &pieces, &control, MsgFlags::MSG_DONTWAIT, Some(&to))?
        }
    };
    Ok(sent)
}

pub(super) fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(ipv4) = storage.as_sockaddr_in() {
        return Some(SocketAddr::from(*ipv4));
    }
    let ipv6 = storage.as_sockaddr_in6()?;
    Some(SocketAddrV6::new(ipv6.ip(), ipv6.port(), 0, ipv6.scope_id()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_kernel_keep_their_scope() {
        let address: SocketAddr = "[fe80::1%7]:5060".parse().unwrap();
        assert_eq!(
            socket_address(&SockaddrStorage::from(address)),
            Some(address)
        );
    }
}
