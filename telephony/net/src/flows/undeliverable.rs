//! Reads the error queue of a UDP socket (`IP_RECVERR`), so that a request to a host where nobody
//! listens fails at once and not after 32 seconds (RFC 3261 18.4: ICMP errors are passed on).
//!
//! A task per UDP listener, idle until the kernel reports an error.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use nix::cmsg_space;
use nix::libc::{SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6, sock_extended_err, sockaddr_in6};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::connection::TaskEvent;
use super::datagram::socket_address;
use super::flow::{Flow, ListenerId, Obstacle};

pub(super) async fn watch(
    listener: ListenerId,
    local: SocketAddr,
    socket: Arc<UdpSocket>,
    events: mpsc::Sender<TaskEvent>,
) {
    let mut control = cmsg_space!(sock_extended_err, sockaddr_in6, u32, [u8; 32]);
    while socket.ready(Interest::ERROR).await.is_ok() {
        loop {
            let report = socket.try_io(Interest::ERROR, || next(&socket, &mut control));
            let (remote, why) = match report {
                Ok(Some(report)) => report,
                Ok(None) => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The socket itself is broken; its listener will say so.
                Err(_) => return,
            };
            let flow = Flow::datagrams(listener, local, remote);
            if events
                .send(TaskEvent::Undeliverable(flow, why))
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

fn next(socket: &UdpSocket, control: &mut [u8]) -> io::Result<Option<(SocketAddr, Obstacle)>> {
    // The datagram itself comes along, cut by the network; nobody needs it.
    let mut pieces = [IoSliceMut::new(&mut [])];
    let report = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut pieces,
        Some(control),
        MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT,
    )?;
    let Some(remote) = report.address.as_ref().and_then(socket_address) else {
        return Ok(None);
    };
    let Ok(mut controls) = report.cmsgs() else {
        return Ok(None);
    };
    let obstacle = controls.find_map(|control| match control {
        ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
            obstacle(&error)
        }
        _ => None,
    });
    Ok(obstacle.map(|obstacle| (remote, obstacle)))
}

fn obstacle(error: &sock_extended_err) -> Option<Obstacle> {
    if error.ee_origin != SO_EE_ORIGIN_ICMP && error.ee_origin != SO_EE_ORIGIN_ICMP6 {
        return None;
    }
    match Obstacle::from_errno(i32::try_from(error.ee_errno).ok()?) {
        // The kernel has learnt the path's MTU; the retransmission leaves in fragments.
        Obstacle::TooLarge => None,
        obstacle @ (Obstacle::NoRoute
        | Obstacle::NobodyListens
        | Obstacle::Denied
        | Obstacle::Congested
        | Obstacle::Other(_)) => Some(obstacle),
    }
}
