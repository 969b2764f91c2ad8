//! The reference relay: one socket per leg, receive and send, nothing else. What is below it,
//! only the kernel could save.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

#[derive(Args, Debug)]
pub(crate) struct Floor {
    #[arg(long, default_value_t = 100)]
    calls: usize,
    /// First of two ports per call.
    #[arg(long, default_value_t = 41_000)]
    port: u16,
    #[arg(long, default_value_t = 60.0)]
    secs: f64,
}

impl Floor {
    pub(crate) fn run(self) -> Result<()> {
        let legs = (2 * self.calls.min(3000)) as u16;
        let sockets: Vec<UdpSocket> = (0..legs)
            .map(|leg| {
                let port = self.port + leg;
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))
                    .with_context(|| format!("port {port} is taken: choose another --port"))?;
                socket.set_nonblocking(true)?;
                Ok(socket)
            })
            .collect::<Result<_>>()?;
        let epoll = Epoll::new(EpollCreateFlags::empty())?;
        for (leg, socket) in sockets.iter().enumerate() {
            epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, leg as u64))?;
        }
        println!("ready");
        relay(
            &sockets,
            &epoll,
            Duration::from_secs_f64(self.secs.clamp(0.1, 300.0)),
        )
    }
}

fn relay(sockets: &[UdpSocket], epoll: &Epoll, at_most: Duration) -> Result<()> {
    let mut peers: Vec<Option<SocketAddr>> = vec![None; sockets.len()];
    let mut events = [EpollEvent::empty(); 256];
    let mut buffer = [0; 2048];
    let end = Instant::now() + at_most;
    while Instant::now() < end {
        let ready = epoll.wait(&mut events, EpollTimeout::from(50_u8))?;
        for event in &events[..ready] {
            let leg = event.data() as usize;
            let Ok((length, from)) = sockets[leg].recv_from(&mut buffer) else {
                continue;
            };
            peers[leg] = Some(from);
            if let (Some(to), false) = (peers[leg ^ 1], &buffer[..length] == b"HELLO") {
                // A full buffer drops, as it would in any relay.
                let _ = sockets[leg ^ 1].send_to(&buffer[..length], to);
            }
        }
    }
    Ok(())
}
