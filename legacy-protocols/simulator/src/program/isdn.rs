//! A line of ISDN in UDP, from the exchange's end: its D channel as a line, its B channels as RTP.
//!
//! Whose call a channel carries the site says; how octets become packets `isdn::layer1` says. The
//! channels share one socket: whose packet it is, its sender says.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket as StdUdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use legacy_protocols::isdn::layer1::bearer::{Bearers, PACKET};
use legacy_protocols::isdn::layer1::l1oip::{Config, Output, Tunnel};
use net::lines::{LineEnd, LineEvent, LineOrders, Order, Turn};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::file::L1oipEntry;

const PACE: Duration = Duration::from_millis(20);
/// 31 channels of 256 octets.
const LONGEST: usize = 9_216;
/// Joins and partings that wait for the task.
const WAITING: usize = 256;

#[derive(Clone, Copy, Debug)]
pub(super) enum Bearing {
    Join { channel: u8, ours: SocketAddr },
    Leave { channel: u8 },
}

/// The owner's end of the B channels.
#[derive(Debug)]
pub(super) struct Channels {
    bearings: mpsc::Sender<Bearing>,
    address: SocketAddr,
}

impl Channels {
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn bear(&self, bearing: Bearing) {
        // A task that takes none of so many has ended, and the line with it.
        let _ = self.bearings.try_send(bearing);
    }
}

/// Within a runtime.
///
/// Its sound is told and taken at `sound_at`.
pub(super) fn start(entry: &L1oipEntry, sound_at: IpAddr, orders: LineOrders) -> Result<Channels> {
    let line = open(entry.bind).with_context(|| entry.bind.to_string())?;
    let sound = open((sound_at, 0).into())?;
    let address = sound.local_addr()?;
    let (bearings, borne) = mpsc::channel(WAITING);
    let config = Config::new(entry.interface(), entry.identity);
    let span = Span {
        line,
        peer: entry.peer,
        sound,
        tunnel: Tunnel::new(config, Instant::now()),
        bearers: Bearers::new(1),
        ours: BTreeMap::new(),
        turn: None,
    };
    tokio::spawn(span.serve(orders, borne));
    Ok(Channels { bearings, address })
}

fn open(at: SocketAddr) -> io::Result<UdpSocket> {
    let socket = StdUdpSocket::bind(at)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

struct Span {
    line: UdpSocket,
    peer: SocketAddr,
    sound: UdpSocket,
    tunnel: Tunnel,
    bearers: Bearers,
    /// The site's end that each joined channel belongs to.
    ours: BTreeMap<u8, SocketAddr>,
    turn: Option<Turn>,
}

impl Span {
    /// Until its owner is gone.
    async fn serve(mut self, mut orders: LineOrders, mut borne: mpsc::Receiver<Bearing>) {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut datagram, mut packet) = (vec![0; LONGEST], vec![0; LONGEST]);
        loop {
            let due = self.drain().await;
            tokio::select! {
                order = orders.next(self.turn.as_ref()) => match order {
                    Order::Open => self.opened(&orders).await,
                    Order::Send(frame) => self.tunnel.send_frame(frame.to_vec(), Instant::now()),
                    Order::Close => self.turn = None,
                    Order::Gone => return,
                },
                Ok((length, from)) = self.line.recv_from(&mut datagram) => {
                    if from == self.peer {
                        self.tunnel.receive(&datagram[..length], Instant::now());
                    }
                }
                Ok((length, from)) = self.sound.recv_from(&mut packet) => {
                    let mut ours = self.ours.iter();
                    if let Some((channel, _)) = ours.find(|(_, ours)| **ours == from) {
                        self.bearers.received(*channel, &packet[..length]);
                    }
                }
                Some(bearing) = borne.recv() => self.bear(bearing),
                _ = pace.tick(), if !self.ours.is_empty() => self.say(),
                () = sleep_until(due.into()) => {}
            }
            self.tunnel.handle_timeout(Instant::now());
        }
    }

    async fn opened(&mut self, orders: &LineOrders) {
        let turn = orders.begin();
        if self.tunnel.is_active() {
            self.tell_opened(&turn).await;
        }
        self.turn = Some(turn);
    }

    async fn tell_opened(&self, turn: &Turn) {
        let peer = self.peer.to_string();
        turn.tell(LineEvent::Opened { peer }).await;
    }

    fn bear(&mut self, bearing: Bearing) {
        match bearing {
            Bearing::Join { channel, ours } => {
                self.ours.insert(channel, ours);
                self.bearers.join(channel);
            }
            Bearing::Leave { channel } => {
                self.ours.remove(&channel);
                self.bearers.leave(channel);
            }
        }
    }

    /// 20 ms of each joined channel.
    fn say(&mut self) {
        let now = Instant::now();
        for channel in self.ours.keys() {
            let octets = self.bearers.next(*channel, PACKET);
            self.tunnel.send_samples(*channel, octets, now);
        }
    }

    /// Carries out what the tunnel wants; answers when it wants to be woken.
    async fn drain(&mut self) -> Instant {
        loop {
            match self.tunnel.poll_output() {
                // What the system has no room for is lost on the way; layer 2 says it again.
                Output::Transmit(datagram) => {
                    drop(self.line.try_send_to(&datagram, self.peer));
                }
                Output::Active => {
                    if let Some(turn) = &self.turn {
                        self.tell_opened(turn).await;
                    }
                }
                Output::Inactive => {
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
                } => {
                    if let Some(ours) = self.ours.get(&channel) {
                        for packet in self.bearers.said(channel, &octets) {
                            // One that the system has no room for is a lost packet.
                            let _ = self.sound.try_send_to(&packet, *ours);
                        }
                    }
                }
                Output::Timeout(due) => return due.unwrap_or_else(|| Instant::now() + PACE),
            }
        }
    }
}
