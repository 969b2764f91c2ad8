//! The end of RTP of one line: a socket for all its B channels.
//!
//! Which channel a packet is for its sender says: each leg has a port of its own. Packets of
//! anybody else are dropped. Nothing here waits for a packet to leave.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket as StdUdpSocket};

use legacy_protocols::isdn::layer1::bearer::{Bearers, PACKET};
use tokio::net::UdpSocket;

use crate::Bearing;

/// Longer packets are no A-law.
const LONGEST: usize = 2_048;

/// The socket before there is a runtime.
#[derive(Debug)]
pub struct SoundEnd {
    socket: StdUdpSocket,
    address: SocketAddr,
    seed: u64,
}

#[derive(Debug)]
pub struct Sound {
    socket: UdpSocket,
    bearers: Bearers,
    /// Our port that each joined channel belongs to.
    ours: BTreeMap<u8, SocketAddr>,
}

impl SoundEnd {
    /// At any port of this address. `seed` is random.
    pub fn open(at: IpAddr, seed: u64) -> io::Result<Self> {
        let socket = StdUdpSocket::bind((at, 0))?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok(Self {
            socket,
            address,
            seed,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Within a runtime.
    pub fn attach(self) -> io::Result<Sound> {
        Ok(Sound {
            socket: UdpSocket::from_std(self.socket)?,
            bearers: Bearers::new(self.seed),
            ours: BTreeMap::new(),
        })
    }
}

impl Sound {
    pub fn bear(&mut self, bearing: Bearing) {
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

    pub fn leave_all(&mut self) {
        for channel in self.channels() {
            self.bear(Bearing::Leave { channel });
        }
    }

    pub fn is_used(&self) -> bool {
        !self.ours.is_empty()
    }

    pub fn channels(&self) -> Vec<u8> {
        self.bearers.channels().collect()
    }

    /// Takes one packet of ours. Cancel-safe.
    pub async fn take(&mut self) {
        let mut packet = [0; LONGEST];
        let Ok((length, from)) = self.socket.recv_from(&mut packet).await else {
            return;
        };
        let mut ours = self.ours.iter();
        if let Some((channel, _)) = ours.find(|(_, ours)| **ours == from) {
            self.bearers.received(*channel, &packet[..length]);
        }
    }

    /// What the line has said.
    pub fn said(&mut self, channel: u8, octets: &[u8]) {
        let Some(ours) = self.ours.get(&channel).copied() else {
            return;
        };
        for packet in self.bearers.said(channel, octets) {
            // A packet that the system has no room for is a lost packet.
            let _ = self.socket.try_send_to(&packet, ours);
        }
    }

    /// The next octets to say on the line.
    pub fn next(&mut self, channel: u8, count: usize) -> Vec<u8> {
        self.bearers.next(channel, count)
    }

    /// 20 ms of each joined channel.
    pub fn next_of_all(&mut self) -> Vec<(u8, Vec<u8>)> {
        let channels = self.channels().into_iter();
        channels
            .map(|channel| (channel, self.bearers.next(channel, PACKET)))
            .collect()
    }
}
