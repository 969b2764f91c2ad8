//! L1oIP: an ISDN line in UDP datagrams, as Linux' mISDN speaks it (default port 931).
//!
//! Octet 0: version (2 bits, 0), primary rate (1), identity follows (1), coding (4); the identity
//! (4 octets, big endian); then per channel: more follow (1) and channel (7), the length of the
//! data if more follow (0 means 256), the time base (2 octets) and the data. The time base counts
//! octets of a B channel and frames of the D channel, which is channel 3 of a basic and 16 of a
//! primary rate line. [P: the kernel's l1oip_core.c]
//!
//! Its only protection is the identity: run it inside a tunnel or a network of its own. Only
//! transparent coding is spoken; the order of bits in B channels is the peer's [not verified
//! against a kernel, which no longer has it].
//!
//! Invariant: a line is active from the first good datagram until none came for
//! [`Config::dead_after`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::isdn::codec::Interface;

/// One channel's part of a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub channel: u8,
    pub time: u16,
    pub data: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    pub interface: Interface,
    pub identity: Option<u32>,
    /// 0: as it is. 1 to 3 are compressed in ways not spoken here.
    pub coding: u8,
    pub parts: Vec<Part>,
}

/// Why octets are no datagram of ours; the peer is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DatagramError {
    #[error("too short for a datagram of L1oIP")]
    TooShort,
    #[error("version {0} of L1oIP is not known; 0 is")]
    Version(u8),
    #[error("a part's length goes beyond the datagram")]
    Length,
}

const PRIMARY: u8 = 0x20;
const IDENTITY: u8 = 0x10;
const MORE: u8 = 0x80;

impl Datagram {
    pub fn decode(octets: &[u8]) -> Result<Self, DatagramError> {
        let (&first, mut rest) = octets.split_first().ok_or(DatagramError::TooShort)?;
        if first >> 6 != 0 {
            return Err(DatagramError::Version(first >> 6));
        }
        let identity = if first & IDENTITY == 0 {
            None
        } else {
            let (identity, after) = rest.split_first_chunk().ok_or(DatagramError::TooShort)?;
            rest = after;
            Some(u32::from_be_bytes(*identity))
        };
        let mut parts = Vec::new();
        loop {
            let (&channel, after) = rest.split_first().ok_or(DatagramError::TooShort)?;
            let more = channel & MORE != 0;
            let (length, after) = if more {
                let (&length, after) = after.split_first().ok_or(DatagramError::TooShort)?;
                let length = if length == 0 { 256 } else { length.into() };
                (Some(length), after)
            } else {
                (None, after)
            };
            let (time, after) = after.split_first_chunk().ok_or(DatagramError::TooShort)?;
            let length = length.unwrap_or(after.len());
            let (data, after) = after
                .split_at_checked(length)
                .ok_or(DatagramError::Length)?;
            parts.push(Part {
                channel: channel & !MORE,
                time: u16::from_be_bytes(*time),
                data: data.to_vec(),
            });
            if !more {
                break;
            }
            rest = after;
        }
        Ok(Self {
            interface: if first & PRIMARY == 0 {
                Interface::BasicRate
            } else {
                Interface::PrimaryRate
            },
            identity,
            coding: first & 0x0F,
            parts,
        })
    }

    /// None: no parts, or parts before the last one that are empty or longer than 256 octets,
    /// which the format cannot say.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let (last, before) = self.parts.split_last()?;
        let mut first = self.coding & 0x0F;
        if self.interface == Interface::PrimaryRate {
            first |= PRIMARY;
        }
        let mut octets = vec![first];
        if let Some(identity) = self.identity {
            octets[0] |= IDENTITY;
            octets.extend(identity.to_be_bytes());
        }
        for part in before {
            if part.data.is_empty() || part.data.len() > 256 {
                return None;
            }
            // 256 is said as 0.
            octets.extend([part.channel | MORE, part.data.len() as u8]);
            octets.extend(part.time.to_be_bytes());
            octets.extend(&part.data);
        }
        octets.push(last.channel & !MORE);
        octets.extend(last.time.to_be_bytes());
        octets.extend(&last.data);
        Some(octets)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    pub interface: Interface,
    /// Both ends have the same, or none.
    pub identity: Option<u32>,
    /// Something is said at least so often.
    pub keep_alive: Duration,
    pub dead_after: Duration,
}

impl Config {
    pub fn new(interface: Interface, identity: Option<u32>) -> Self {
        Self {
            interface,
            identity,
            keep_alive: Duration::from_secs(15),
            dead_after: Duration::from_secs(65),
        }
    }

    fn d_channel(&self) -> u8 {
        match self.interface {
            Interface::BasicRate => 3,
            Interface::PrimaryRate => 16,
        }
    }
}

/// The kernel's driver says its first keep-alive so soon.
const FIRST_KEEP_ALIVE: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A datagram for the peer.
    Transmit(Vec<u8>),
    /// The peer is there, or is there no longer.
    Active,
    Inactive,
    /// A frame of the D channel, from its address field on.
    Frame(Vec<u8>),
    /// Octets of a B channel, and when they were said, in octets.
    Samples {
        channel: u8,
        time: u16,
        octets: Vec<u8>,
    },
    Timeout(Option<Instant>),
}

/// What was refused; every number only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub undecodable: u64,
    pub wrong_identity: u64,
    pub wrong_interface: u64,
    /// Compressed audio.
    pub coding: u64,
    pub wrong_channel: u64,
}

/// One end of a line in UDP.
#[derive(Debug)]
pub struct Tunnel {
    config: Config,
    keep_alive_at: Instant,
    alive_until: Option<Instant>,
    /// The time base of each channel.
    times: [u16; 32],
    outputs: VecDeque<Output>,
    counters: Counters,
}

impl Tunnel {
    pub fn new(mut config: Config, now: Instant) -> Self {
        // Timers of no length would be due for ever.
        config.keep_alive = config.keep_alive.max(Duration::from_millis(10));
        config.dead_after = config.dead_after.max(Duration::from_millis(10));
        Self {
            keep_alive_at: now + FIRST_KEEP_ALIVE.min(config.keep_alive),
            alive_until: None,
            times: [0; 32],
            outputs: VecDeque::new(),
            counters: Counters::default(),
            config,
        }
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    pub fn is_active(&self) -> bool {
        self.alive_until.is_some()
    }

    /// A datagram from the peer.
    pub fn receive(&mut self, octets: &[u8], now: Instant) {
        let Ok(datagram) = Datagram::decode(octets) else {
            self.counters.undecodable += 1;
            return;
        };
        if datagram.identity != self.config.identity {
            self.counters.wrong_identity += 1;
            return;
        }
        if datagram.interface != self.config.interface {
            self.counters.wrong_interface += 1;
            return;
        }
        if self.alive_until.is_none() {
            self.outputs.push_back(Output::Active);
        }
        self.alive_until = Some(now + self.config.dead_after);
        for part in datagram.parts {
            self.part(part, datagram.coding);
        }
    }

    fn part(&mut self, part: Part, coding: u8) {
        let Part {
            channel,
            time,
            data,
        } = part;
        if data.is_empty() {
            // A keep-alive.
        } else if channel == self.config.d_channel() {
            self.outputs.push_back(Output::Frame(data));
        } else if !self.is_b_channel(channel) {
            self.counters.wrong_channel += 1;
        } else if coding != 0 {
            self.counters.coding += 1;
        } else {
            let octets = data;
            self.outputs.push_back(Output::Samples {
                channel,
                time,
                octets,
            });
        }
    }

    /// A frame for the D channel.
    pub fn send_frame(&mut self, frame: Vec<u8>, now: Instant) {
        let channel = self.config.d_channel();
        let time = self.times[usize::from(channel)];
        self.times[usize::from(channel)] = time.wrapping_add(1);
        self.send(channel, time, frame, now);
    }

    /// Octets for a B channel; a channel there is not is ignored and counted.
    pub fn send_samples(&mut self, channel: u8, octets: Vec<u8>, now: Instant) {
        if !self.is_b_channel(channel) {
            self.counters.wrong_channel += 1;
            return;
        }
        let time = self.times[usize::from(channel)];
        self.times[usize::from(channel)] = time.wrapping_add(octets.len() as u16);
        self.send(channel, time, octets, now);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.alive_until.is_some_and(|until| until <= now) {
            self.alive_until = None;
            self.outputs.push_back(Output::Inactive);
        }
        if self.keep_alive_at <= now {
            self.send(0, 0, Vec::new(), now);
        }
    }

    pub fn poll_output(&mut self) -> Output {
        let said = self.outputs.pop_front();
        said.unwrap_or_else(|| {
            let alive = self.alive_until.unwrap_or(self.keep_alive_at);
            Output::Timeout(Some(alive.min(self.keep_alive_at)))
        })
    }

    fn send(&mut self, channel: u8, time: u16, data: Vec<u8>, now: Instant) {
        let datagram = Datagram {
            interface: self.config.interface,
            identity: self.config.identity,
            coding: 0,
            parts: vec![Part {
                channel,
                time,
                data,
            }],
        };
        self.keep_alive_at = now + self.config.keep_alive;
        self.outputs.extend(datagram.encode().map(Output::Transmit));
    }

    fn is_b_channel(&self, channel: u8) -> bool {
        self.config.interface.channels().any(|one| one == channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(channel: u8, time: u16, data: &[u8]) -> Part {
        Part {
            channel,
            time,
            data: data.to_vec(),
        }
    }

    #[test]
    fn datagrams_have_the_octets_of_the_kernels_driver() {
        let check = |octets: &[u8], datagram: Datagram| {
            assert_eq!(datagram.encode().as_deref(), Some(octets));
            assert_eq!(Datagram::decode(octets), Ok(datagram));
        };
        // A keep-alive of a basic rate line, and a D frame with an identity on a primary one.
        check(
            &[0x00, 0x00, 0x00, 0x00],
            Datagram {
                interface: Interface::BasicRate,
                identity: None,
                coding: 0,
                parts: vec![part(0, 0, &[])],
            },
        );
        check(
            &[0x30, 0, 0, 0, 7, 0x10, 0x01, 0x02, 0x02, 0x01, 0x7F],
            Datagram {
                interface: Interface::PrimaryRate,
                identity: Some(7),
                coding: 0,
                parts: vec![part(16, 0x0102, &[0x02, 0x01, 0x7F])],
            },
        );
        // Two channels in one.
        check(
            &[0x00, 0x81, 0x01, 0x00, 0x08, 0xD5, 0x02, 0x00, 0x09, 0xD6],
            Datagram {
                interface: Interface::BasicRate,
                identity: None,
                coding: 0,
                parts: vec![part(1, 8, &[0xD5]), part(2, 9, &[0xD6])],
            },
        );
    }

    fn drain(tunnel: &mut Tunnel) -> Vec<Output> {
        let mut said = Vec::new();
        loop {
            match tunnel.poll_output() {
                Output::Timeout(_) => return said,
                other => said.push(other),
            }
        }
    }

    #[test]
    fn a_line_lives_by_keep_alives_and_dies_without_them() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let config = Config::new(Interface::BasicRate, Some(1));
        let mut tunnel = Tunnel::new(config, start);
        let keep_alive = Output::Transmit(vec![0x10, 0, 0, 0, 1, 0, 0, 0]);
        tunnel.handle_timeout(at(2));
        assert_eq!(drain(&mut tunnel), std::slice::from_ref(&keep_alive));
        tunnel.receive(&[0x10, 0, 0, 0, 1, 0, 0, 0], at(2));
        assert_eq!(drain(&mut tunnel), [Output::Active]);
        tunnel.handle_timeout(at(16));
        assert_eq!(drain(&mut tunnel), []);
        tunnel.handle_timeout(at(17));
        assert_eq!(drain(&mut tunnel), std::slice::from_ref(&keep_alive));
        tunnel.handle_timeout(at(67));
        assert_eq!(drain(&mut tunnel), [Output::Inactive, keep_alive]);
        assert!(!tunnel.is_active());
    }

    #[test]
    fn two_ends_carry_frames_and_samples() {
        let now = Instant::now();
        let config = Config::new(Interface::PrimaryRate, None);
        let (mut one, mut other) = (Tunnel::new(config, now), Tunnel::new(config, now));
        one.send_frame(vec![0x00, 0x01, 0x7F], now);
        one.send_samples(31, vec![0xD5; 160], now);
        one.send_samples(31, vec![0xD5; 160], now);
        one.send_samples(16, vec![0xD5], now);
        for said in drain(&mut one) {
            if let Output::Transmit(octets) = said {
                other.receive(&octets, now);
            }
        }
        let samples = |time| Output::Samples {
            channel: 31,
            time,
            octets: vec![0xD5; 160],
        };
        let frame = Output::Frame(vec![0x00, 0x01, 0x7F]);
        let expected = [Output::Active, frame, samples(0), samples(160)];
        assert_eq!(drain(&mut other), expected);
        assert_eq!(one.counters().wrong_channel, 1);
    }

    #[test]
    fn strangers_are_not_heard() {
        let now = Instant::now();
        let config = Config::new(Interface::BasicRate, Some(1));
        let mut tunnel = Tunnel::new(config, now);
        tunnel.receive(&[0x10, 0, 0, 0, 2, 3, 0, 0, 1], now);
        tunnel.receive(&[0x00, 3, 0, 0, 1], now);
        tunnel.receive(&[0x30, 0, 0, 0, 1, 3, 0, 0, 1], now);
        tunnel.receive(&[0x50, 0, 0, 0, 1, 3, 0, 0, 1], now);
        assert_eq!(drain(&mut tunnel), []);
        let counters = tunnel.counters();
        let counts = (
            counters.wrong_identity,
            counters.wrong_interface,
            counters.undecodable,
        );
        assert_eq!(counts, (2, 1, 1));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(datagram) = Datagram::decode(&octets) {
                let again = datagram.encode().unwrap();
                prop_assert_eq!(&again, &octets);
            }
        }
    }
}
