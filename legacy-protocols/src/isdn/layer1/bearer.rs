//! B channels as RTP: the octets of a line to packets of G.711 A-law and back.
//!
//! A channel that is joined gives a packet for each 20 ms of its octets, and takes from a short
//! play-out buffer what is to be said on the line; with nothing there it says silence. The line's
//! clock and that of the packets differ a little: where the buffer grows beyond what a jittery
//! network needs, the oldest sound is left out, and counted. No transcoding, no echo, no RTCP.
//!
//! Invariant: a channel that is not joined says silence and sends nothing.

use std::collections::{BTreeMap, VecDeque};

use chance::Chance;

/// Octets of A-law in a packet: 20 ms.
pub const PACKET: usize = 160;
/// What silence is in A-law on the line (G.711, even bits inverted).
pub const SILENCE: u8 = 0xD5;

/// PCMA of RFC 3551.
const PAYLOAD_TYPE: u8 = 8;
const HEADER: usize = 12;
/// Sound that waits before the first octet is played: a packet may come 20 ms late.
const WAIT: usize = 2 * PACKET;
/// More than this is left out: 120 ms.
const MOST_WAITING: usize = 6 * PACKET;
/// A packet so far from the expected one begins a new stream.
const FAR: u16 = 100;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that are no RTP of A-law.
    pub foreign_packets: u64,
    /// Packets that came twice, or after a later one.
    pub late_packets: u64,
    /// Packets that never came.
    pub lost_packets: u64,
    /// Octets left out because too many waited.
    pub left_out: u64,
    /// Octets of silence said because nothing was there.
    pub starved: u64,
}

/// The B channels of one line.
#[derive(Debug)]
pub struct Bearers {
    chance: Chance,
    joined: BTreeMap<u8, Bearer>,
    counters: Counters,
}

#[derive(Debug)]
struct Bearer {
    /// What the line has said and no packet holds yet.
    heard: Vec<u8>,
    source: u32,
    sequence: u16,
    time: u32,
    begun: Begun,
    /// What is to be said on the line.
    waiting: VecDeque<u8>,
    play: Play,
    expected: Option<u16>,
}

/// Whether a packet was sent already; the first one is marked (RFC 3551 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    No,
    Yes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Play {
    /// Until some sound has gathered.
    Gathering,
    Playing,
}

impl Bearers {
    /// From `seed` come what RFC 3550 wants to be random; take it from the system.
    pub fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            joined: BTreeMap::new(),
            counters: Counters::default(),
        }
    }

    pub fn join(&mut self, channel: u8) {
        let (source, first) = (self.chance.draw(), self.chance.draw());
        let bearer = Bearer {
            heard: Vec::with_capacity(2 * PACKET),
            source: (source >> 32) as u32,
            sequence: first as u16,
            time: (first >> 32) as u32,
            begun: Begun::No,
            waiting: VecDeque::new(),
            play: Play::Gathering,
            expected: None,
        };
        self.joined.insert(channel, bearer);
    }

    pub fn leave(&mut self, channel: u8) {
        self.joined.remove(&channel);
    }

    pub fn is_joined(&self, channel: u8) -> bool {
        self.joined.contains_key(&channel)
    }

    pub fn channels(&self) -> impl Iterator<Item = u8> {
        self.joined.keys().copied()
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Octets that the line said; answers the packets that are full now.
    pub fn said(&mut self, channel: u8, octets: &[u8]) -> Vec<Vec<u8>> {
        let Some(bearer) = self.joined.get_mut(&channel) else {
            return Vec::new();
        };
        bearer.heard.extend_from_slice(octets);
        let whole = bearer.heard.len() / PACKET * PACKET;
        let heard: Vec<u8> = bearer.heard.drain(..whole).collect();
        heard
            .chunks_exact(PACKET)
            .map(|sound| bearer.packet(sound))
            .collect()
    }

    /// A packet for the line.
    pub fn received(&mut self, channel: u8, packet: &[u8]) {
        let Some(bearer) = self.joined.get_mut(&channel) else {
            return;
        };
        match sound_of(packet) {
            Some((sequence, sound)) => bearer.take(sequence, sound, &mut self.counters),
            None => self.counters.foreign_packets += 1,
        }
    }

    /// The next `count` octets to say on the line.
    pub fn next(&mut self, channel: u8, count: usize) -> Vec<u8> {
        match self.joined.get_mut(&channel) {
            Some(bearer) => bearer.play(count, &mut self.counters),
            None => vec![SILENCE; count],
        }
    }
}

impl Bearer {
    /// RFC 3550 5.1.
    fn packet(&mut self, sound: &[u8]) -> Vec<u8> {
        let marker = match self.begun {
            Begun::No => 0x80,
            Begun::Yes => 0,
        };
        self.begun = Begun::Yes;
        let mut packet = Vec::with_capacity(HEADER + sound.len());
        packet.extend([0x80, marker | PAYLOAD_TYPE]);
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.time.to_be_bytes());
        packet.extend(self.source.to_be_bytes());
        packet.extend_from_slice(sound);
        self.sequence = self.sequence.wrapping_add(1);
        self.time = self.time.wrapping_add(sound.len() as u32);
        packet
    }

    fn take(&mut self, sequence: u16, sound: &[u8], counters: &mut Counters) {
        let ahead = self.expected.map_or(0, |next| sequence.wrapping_sub(next));
        match ahead {
            0 => {}
            // What is missing is played as silence, so that what follows keeps its time.
            lost @ 1..FAR => {
                counters.lost_packets += u64::from(lost);
                let missing = usize::from(lost) * sound.len();
                let room = MOST_WAITING.saturating_sub(self.waiting.len());
                self.waiting
                    .extend(std::iter::repeat_n(SILENCE, missing.min(room)));
            }
            _ if ahead > u16::MAX - FAR => {
                counters.late_packets += 1;
                return;
            }
            // Another stream.
            _ => {}
        }
        self.expected = Some(sequence.wrapping_add(1));
        self.waiting.extend(sound);
        if self.waiting.len() > MOST_WAITING {
            let too_many = self.waiting.len() - WAIT;
            self.waiting.drain(..too_many);
            counters.left_out += too_many as u64;
        }
        if self.waiting.len() >= WAIT {
            self.play = Play::Playing;
        }
    }

    fn play(&mut self, count: usize, counters: &mut Counters) -> Vec<u8> {
        let there = match self.play {
            Play::Gathering => 0,
            Play::Playing => count.min(self.waiting.len()),
        };
        let mut octets: Vec<u8> = self.waiting.drain(..there).collect();
        if there < count && self.play == Play::Playing {
            counters.starved += (count - there) as u64;
            self.play = Play::Gathering;
        }
        octets.resize(count, SILENCE);
        octets
    }
}

/// Sequence and sound of a packet of A-law. RFC 3550 5.1, 5.3.1.
fn sound_of(packet: &[u8]) -> Option<(u16, &[u8])> {
    let (header, mut rest) = packet.split_first_chunk::<HEADER>()?;
    let [first, second, high, low, ..] = *header;
    if first >> 6 != 2 || second & 0x7F != PAYLOAD_TYPE {
        return None;
    }
    rest = rest.get(usize::from(first & 0x0F) * 4..)?;
    if first & 0x10 != 0 {
        let (extension, after) = rest.split_first_chunk::<4>()?;
        let words = u16::from_be_bytes([extension[2], extension[3]]);
        rest = after.get(usize::from(words) * 4..)?;
    }
    if first & 0x20 != 0 {
        let padding = usize::from(*rest.last()?);
        rest = rest.get(..rest.len().checked_sub(padding)?)?;
    }
    Some((u16::from_be_bytes([high, low]), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rtp(sequence: u16, sound: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, PAYLOAD_TYPE];
        packet.extend(sequence.to_be_bytes());
        packet.extend([0; 8]);
        packet.extend_from_slice(sound);
        packet
    }

    fn joined() -> Bearers {
        let mut bearers = Bearers::new(1);
        bearers.join(1);
        bearers
    }

    #[test]
    fn the_octets_of_a_line_come_out_of_the_other_line_in_order() {
        let (mut here, mut there) = (joined(), joined());
        let speech: Vec<u8> = (0..10 * PACKET).map(|n| (n % 251) as u8).collect();
        let mut played = Vec::new();
        // A line gives its octets in pieces of any size.
        for piece in speech.chunks(70) {
            for packet in here.said(1, piece) {
                there.received(1, &packet);
            }
            played.extend(there.next(1, piece.len()));
        }
        let silence = played.iter().take_while(|octet| **octet == SILENCE).count();
        let heard = &played[silence..];
        assert!(silence <= WAIT + PACKET, "{silence}");
        assert!(heard.len() > 7 * PACKET);
        assert_eq!(heard, &speech[..heard.len()]);
        assert_eq!(there.counters(), Counters::default());
    }

    #[test]
    fn packets_have_the_header_of_rfc_3550() {
        let mut bearers = joined();
        let packets = bearers.said(1, &[0x55; 2 * PACKET]);
        let [first, second] = packets.as_slice() else {
            panic!("{packets:?}");
        };
        assert_eq!((first[0], first[1], second[1]), (0x80, 0x88, 0x08));
        let number = |packet: &[u8], at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        assert_eq!(number(second, 2), number(first, 2).wrapping_add(1));
        assert_eq!(number(second, 6), number(first, 6).wrapping_add(160));
        assert_eq!(first[8..12], second[8..12]);
        assert_eq!(first.len(), HEADER + PACKET);
    }

    #[test]
    fn what_is_lost_is_silence_and_what_is_late_is_nothing() {
        let mut bearers = joined();
        for sequence in [10, 11, 13, 12, 13] {
            bearers.received(1, &rtp(sequence, &[sequence as u8; PACKET]));
        }
        let played = bearers.next(1, 4 * PACKET);
        let pieces: Vec<u8> = played.chunks(PACKET).map(|piece| piece[0]).collect();
        assert_eq!(pieces, [10, 11, SILENCE, 13]);
        let counters = bearers.counters();
        assert_eq!((counters.lost_packets, counters.late_packets), (1, 2));
    }

    #[test]
    fn a_faster_clock_at_the_other_end_does_not_grow_the_delay() {
        let mut bearers = joined();
        let mut longest = 0;
        for turn in 0..2000 {
            bearers.received(1, &rtp(turn, &[1; PACKET]));
            // The line takes one octet less for each packet.
            bearers.next(1, PACKET - 1);
            longest = longest.max(bearers.joined[&1].waiting.len());
        }
        assert!(longest <= MOST_WAITING, "{longest}");
        assert!(bearers.counters().left_out > 0);
    }

    #[test]
    fn a_channel_that_nobody_has_joined_is_silent() {
        let mut bearers = joined();
        bearers.leave(1);
        bearers.received(1, &rtp(0, &[1; PACKET]));
        assert_eq!(bearers.said(1, &[1; PACKET]), Vec::<Vec<u8>>::new());
        assert_eq!(bearers.next(1, 3), [SILENCE; 3]);
    }

    proptest! {
        #[test]
        fn any_packet_is_taken_or_refused_and_little_is_kept(
            packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..400), 0..40)
        ) {
            let mut bearers = joined();
            for mut packet in packets {
                // Half of them look like ours at first sight.
                if let [first, second, ..] = packet.as_mut_slice() && *first % 2 == 0 {
                    *first = 0x80 | (*first & 0x3F);
                    *second = PAYLOAD_TYPE;
                }
                bearers.received(1, &packet);
                prop_assert!(bearers.joined[&1].waiting.len() <= MOST_WAITING);
                prop_assert_eq!(bearers.next(1, 50).len(), 50);
            }
        }
    }
}
