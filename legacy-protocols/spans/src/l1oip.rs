//! A line of ISDN in UDP.
//!
//! The line is open while the peer is heard. B channels are paced by our own clock, 20 ms at a
//! time: nobody on such a line has a clock that counts more.

use std::io;
use std::net::{SocketAddr, UdpSocket as StdUdpSocket};
use std::time::{Duration, Instant};

use legacy_protocols::isdn::layer1::l1oip::{Config, Output, Tunnel};
use net::lines::{LineEnd, LineEvent, LineOrders, Order, Turn};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use crate::{Bearing, Sound};

const PACE: Duration = Duration::from_millis(20);
/// Longer datagrams are no datagrams of this protocol: 31 channels of 256 octets.
const LONGEST: usize = 9_216;

#[derive(Debug)]
pub struct L1oip {
    socket: StdUdpSocket,
    peer: SocketAddr,
    config: Config,
}

struct Served {
    tunnel: Tunnel,
    peer: SocketAddr,
    turn: Option<Turn>,
}

impl L1oip {
    /// Datagrams go to and come from `peer` alone.
    pub fn bind(bind: SocketAddr, peer: SocketAddr, config: Config) -> io::Result<Self> {
        let socket = StdUdpSocket::bind(bind)?;
        // Strangers' datagrams are not even read.
        socket.connect(peer)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            peer,
            config,
        })
    }

    /// Until its owner is gone; fails only where there is no runtime.
    pub async fn serve(
        self,
        mut orders: LineOrders,
        mut bearings: mpsc::Receiver<Bearing>,
        mut sound: Sound,
    ) -> io::Result<()> {
        let socket = UdpSocket::from_std(self.socket)?;
        let mut served = Served {
            tunnel: Tunnel::new(self.config, Instant::now()),
            peer: self.peer,
            turn: None,
        };
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut datagram = vec![0; LONGEST];
        loop {
            let due = served.drain(&socket, &mut sound).await;
            let now = tokio::select! {
                order = orders.next(served.turn.as_ref()) => {
                    let now = Instant::now();
                    match order {
                        Order::Open => served.open(&orders).await,
                        Order::Send(frame) => served.tunnel.send_frame(frame.to_vec(), now),
                        Order::Close => served.turn = None,
                        Order::Gone => return Ok(()),
                    }
                    now
                }
                received = socket.recv(&mut datagram) => {
                    let now = Instant::now();
                    // An error is the peer's host saying that nobody listens there.
                    if let Ok(length) = received {
                        served.tunnel.receive(&datagram[..length], now);
                    }
                    now
                }
                Some(bearing) = bearings.recv() => {
                    sound.bear(bearing);
                    Instant::now()
                }
                () = sound.take() => Instant::now(),
                _ = pace.tick(), if sound.is_used() => {
                    let now = Instant::now();
                    for (channel, octets) in sound.next_of_all() {
                        served.tunnel.send_samples(channel, octets, now);
                    }
                    now
                }
                () = sleep_until(due.into()) => Instant::now(),
            };
            served.tunnel.handle_timeout(now);
        }
    }
}

impl Served {
    async fn open(&mut self, orders: &LineOrders) {
        let turn = orders.begin();
        if self.tunnel.is_active() {
            self.opened(&turn).await;
        }
        self.turn = Some(turn);
    }

    async fn opened(&self, turn: &Turn) {
        let peer = self.peer.to_string();
        turn.tell(LineEvent::Opened { peer }).await;
    }

    /// Carries out what the tunnel wants; answers when it wants to be woken.
    async fn drain(&mut self, socket: &UdpSocket, sound: &mut Sound) -> Instant {
        loop {
            match self.tunnel.poll_output() {
                // What the system has no room for is lost on the way; layer 2 says it again.
                Output::Transmit(datagram) => drop(socket.try_send(&datagram)),
                Output::Active => {
                    if let Some(turn) = &self.turn {
                        self.opened(turn).await;
                    }
                }
                Output::Inactive => {
                    sound.leave_all();
                    if let Some(turn) = self.turn.take() {
                        turn.tell(LineEvent::Closed(LineEnd::ByPeer)).await;
                    }
                }
                Output::Frame(frame) => {
                    if let Some(turn) = &self.turn {
                        turn.tell(LineEvent::Received(frame.into())).await;
                    }
                }
                Output::Samples {
                    channel, octets, ..
                } => sound.said(channel, &octets),
                Output::Timeout(due) => return due.unwrap_or_else(|| Instant::now() + PACE),
            }
        }
    }
}
