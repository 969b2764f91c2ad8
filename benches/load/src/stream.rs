//! RTP legs: paced senders and receivers that measure one-way delay, loss and gaps.
//!
//! The payload carries the send time, where nobody transcodes it; on probed legs the kernel's
//! receive stamp ends the measurement, so that this tool's own scheduling does not count.

use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use media::codec::opus::{self, MAX_PACKET};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};

use crate::agent::socket;
use crate::alignment::{Received, Said};
use crate::material::{Codec, Material};
use crate::report::Samples;
use crate::secure::{self, Secure};
use crate::text::random;

const PACKET_INTERVAL: Duration = Duration::from_millis(20);
const PCMA: u8 = 8;
const PCMA_PAYLOAD: usize = 160;
const MARK: &[u8; 4] = b"LOAD";
const HEADER: usize = 12;

/// What a leg of a transcoded call says and hears, both in its own codec.
#[derive(Debug)]
pub(crate) struct Speech {
    pub(crate) material: Rc<Material>,
    pub(crate) payload_type: u8,
    next: usize,
    pub(crate) said: Said,
    pub(crate) received: Received,
}

impl Speech {
    pub(crate) fn new(material: &Rc<Material>) -> Self {
        let begins_at = random() as usize % material.payloads.len();
        Self {
            material: Rc::clone(material),
            payload_type: material.codec.payload_type(),
            next: begins_at,
            said: Said {
                begins_at,
                at: Vec::new(),
            },
            received: Received::default(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Leg {
    /// `None`: marks in packets of PCMA, for who passes them on as they are.
    pub(crate) speech: Option<Speech>,
    /// `None`: plain RTP.
    pub(crate) secure: Option<Secure>,
    pub(crate) remote: Option<SocketAddrV4>,
    pub(crate) counts: Counts,
    socket: UdpSocket,
    probed: bool,
    sequence: u16,
    timestamp: u32,
    source: u32,
    due: Instant,
    last_arrival: Option<Duration>,
    extended: Option<i64>,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) delays: Samples,
    pub(crate) gaps: Samples,
    /// Of all payloads.
    pub(crate) octets: u64,
    /// Packets of Opus that also carry the one before them.
    pub(crate) redundant: u64,
    first: i64,
    highest: i64,
}

impl Counts {
    pub(crate) fn lost(&self) -> u64 {
        let expected = if self.received == 0 {
            0
        } else {
            self.highest - self.first + 1
        };
        u64::try_from(expected)
            .unwrap_or(0)
            .saturating_sub(self.received)
    }
}

impl Leg {
    pub(crate) fn new(ip: Ipv4Addr, probed: bool) -> Result<Self> {
        let socket = socket(ip)?;
        if probed {
            setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        }
        // Spread over the interval, as independent stations are.
        let offset = Duration::from_micros(random() % 20_000);
        Ok(Self {
            speech: None,
            secure: None,
            remote: None,
            counts: Counts::default(),
            socket,
            probed,
            sequence: random() as u16 & 0x3fff,
            timestamp: random() as u32,
            source: random() as u32,
            due: Instant::now() + offset,
            last_arrival: None,
            extended: None,
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.socket.local_addr().map_or(0, |address| address.port())
    }

    /// Tells the reference relay which leg this socket is.
    pub(crate) fn introduce(&self) {
        if let Some(remote) = self.remote {
            // A lost hello shows at once: the leg receives nothing.
            let _ = self.socket.send_to(b"HELLO", remote);
        }
    }

    fn send(&mut self) {
        let Some(remote) = self.remote else { return };
        let mut packet = [0xd5; HEADER + MAX_PACKET + secure::ROOM];
        let (payload_type, ticks, length) = match &mut self.speech {
            None => {
                packet[12..16].copy_from_slice(MARK);
                packet[16..24].copy_from_slice(&(clock().as_nanos() as u64).to_be_bytes());
                (PCMA, PCMA_PAYLOAD as u32, PCMA_PAYLOAD)
            }
            Some(speech) => {
                let payloads = &speech.material.payloads;
                let payload = &payloads[speech.next % payloads.len()];
                speech.next += 1;
                packet[HEADER..HEADER + payload.len()].copy_from_slice(payload);
                if self.probed {
                    speech.said.at.push(clock());
                }
                let ticks = speech.material.codec.ticks();
                (speech.payload_type, ticks, payload.len())
            }
        };
        packet[0] = 0x80;
        packet[1] = payload_type;
        packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        packet[8..12].copy_from_slice(&self.source.to_be_bytes());
        let length = match &mut self.secure {
            None => Some(HEADER + length),
            Some(secure) => secure.protect(&mut packet, HEADER + length),
        };
        let sent = length.map(|length| self.socket.send_to(&packet[..length], remote));
        if sent.is_some_and(|sent| sent.is_ok()) {
            self.counts.sent += 1;
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(ticks);
    }

    fn receive(&mut self) {
        let mut buffer = [0; 2048];
        while let Some((length, stamp)) = self.next_packet(&mut buffer) {
            let packet = &mut buffer[..length];
            let is_rtcp = length > 1 && (192..=223).contains(&packet[1]);
            if length < HEADER || packet[0] >> 6 != 2 || is_rtcp {
                continue;
            }
            let inside = match &mut self.secure {
                None => Some(length),
                Some(secure) => secure.unprotect(packet),
            };
            if let Some(inside) = inside {
                self.count(&buffer[..inside], stamp);
            }
        }
    }

    fn next_packet(&self, buffer: &mut [u8]) -> Option<(usize, Duration)> {
        if !self.probed {
            return self
                .socket
                .recv(buffer)
                .ok()
                .map(|length| (length, Duration::ZERO));
        }
        let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
        let mut slices = [IoSliceMut::new(buffer)];
        let message = recvmsg::<SockaddrStorage>(
            self.socket.as_raw_fd(),
            &mut slices,
            Some(&mut control),
            MsgFlags::MSG_DONTWAIT,
        )
        .ok()?;
        let stamp = message.cmsgs().ok()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
            _ => None,
        });
        Some((message.bytes, stamp.unwrap_or_else(clock)))
    }

    fn count(&mut self, packet: &[u8], stamp: Duration) {
        let sequence = i64::from(u16::from_be_bytes([packet[2], packet[3]]));
        let extended = self.extended.map_or(sequence, |last| {
            last + i64::from((sequence - last) as u16 as i16)
        });
        self.extended = Some(extended);
        if self.counts.received == 0 {
            self.counts.first = extended;
            self.counts.highest = extended;
        }
        self.counts.received += 1;
        self.counts.octets += (packet.len() - HEADER) as u64;
        self.counts.highest = self.counts.highest.max(extended);
        if let Some(speech) = &mut self.speech {
            let payload = &packet[HEADER..];
            if speech.material.codec == Codec::Opus
                && opus::Packet::parse(payload).is_ok_and(|packet| packet.redundant)
            {
                self.counts.redundant += 1;
            }
            if self.probed {
                speech.received.at.push(stamp);
                speech.received.payloads.push(payload.to_vec());
            }
        }
        if !self.probed {
            return;
        }
        if let Some(last) = self.last_arrival.replace(stamp) {
            self.counts.gaps.push(stamp.saturating_sub(last));
        }
        if self.speech.is_none()
            && packet.len() >= 24
            && &packet[12..16] == MARK
            && let Ok(sent) = packet[16..24].try_into().map(u64::from_be_bytes)
        {
            self.counts
                .delays
                .push(stamp.saturating_sub(Duration::from_nanos(sent)));
        }
    }
}

/// Wall clock, because the kernel stamps packets with it.
fn clock() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

#[derive(Debug)]
pub(crate) struct Pump {
    pub(crate) legs: Vec<Leg>,
    epoll: Epoll,
}

impl Pump {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            legs: Vec::new(),
            epoll: Epoll::new(EpollCreateFlags::empty())?,
        })
    }

    pub(crate) fn add(&mut self, leg: Leg) -> Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, self.legs.len() as u64);
        self.epoll.add(&leg.socket, event)?;
        self.legs.push(leg);
        Ok(())
    }

    pub(crate) fn start_counting(&mut self) {
        for leg in &mut self.legs {
            leg.counts = Counts::default();
            if let Some(speech) = &mut leg.speech {
                speech.received = Received::default();
            }
            leg.last_arrival = None;
        }
    }

    /// Nothing is said from here on: what is sent to a call that is being hung up cannot arrive.
    pub(crate) fn fall_silent(&mut self) {
        for leg in &mut self.legs {
            leg.remote = None;
        }
    }

    /// About a millisecond: sends what is due, reads what came.
    pub(crate) fn turn(&mut self) -> Result<()> {
        let now = Instant::now();
        // Few thousand legs at most: the scan is cheap beside the system calls.
        for leg in self.legs.iter_mut().filter(|leg| leg.due <= now) {
            leg.due += PACKET_INTERVAL;
            if now > leg.due + 10 * PACKET_INTERVAL {
                leg.due = now + PACKET_INTERVAL;
            }
            leg.send();
        }
        let mut events = [EpollEvent::empty(); 512];
        let end = now + Duration::from_millis(1);
        loop {
            let wait = if Instant::now() < end {
                EpollTimeout::from(1_u8)
            } else {
                EpollTimeout::ZERO
            };
            let ready = self.epoll.wait(&mut events, wait)?;
            for event in &events[..ready] {
                self.legs[event.data() as usize].receive();
            }
            if ready == 0 || Instant::now() >= end {
                return Ok(());
            }
        }
    }
}
