//! What a leg sends to us: order, loss, jitter (RFC 3550 A.1, A.3, A.8).
//!
//! Gives each packet of the stream an extended sequence number, finds copies
//! and latecomers, and decides when a new stream has taken the place of the
//! old one. Does not look at payloads or addresses.
//!
//! Invariant: within one epoch an extended number is accepted at most once.

use std::time::{Duration, Instant};

use crate::rtp::{Header, ticks};

/// RFC 3550 A.1: a longer step forward is a restart, not loss.
const MAX_DROPOUT: i64 = 3000;

/// How far back copies are told from latecomers.
const WINDOW: i64 = 128;

/// A new SSRC is believed when the old one has been silent for so long: three
/// packets of 20 ms. Until then a forged one cannot push the real one out.
const SILENT: Duration = Duration::from_millis(60);

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted(Position),
    /// Seen before.
    Duplicate,
    /// Older than the window, or the first packet after an unlikely jump.
    OutOfPlace,
    /// Another SSRC while the known one still speaks.
    Foreign,
}

/// Where an accepted packet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// Changes with each new stream of the leg.
    pub(crate) epoch: u32,
    /// The sequence number without its wraps, counted from the epoch's first.
    pub(crate) extended: i64,
}

/// See [`Source::stream_figures`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamFigures {
    pub(crate) expected: u64,
    pub(crate) received: u64,
    pub(crate) highest: i64,
    /// In ticks.
    pub(crate) jitter: u32,
}

#[derive(Debug)]
struct Stream {
    ssrc: u32,
    first: i64,
    highest: i64,
    /// Bit n: `highest - n` has arrived.
    seen: u128,
    received: u64,
    /// RFC 3550 A.1 bad_seq: what would confirm a jump.
    jump: Option<u16>,
    last: Instant,
    jitter: Jitter,
}

/// Counted over all streams of the leg.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) packets: u64,
    pub(crate) octets: u64,
    pub(crate) duplicates: u64,
    pub(crate) reordered: u64,
    lost_before: u64,
    expected_before: u64,
}

#[derive(Debug)]
pub(crate) struct Source {
    started: Instant,
    stream: Option<Stream>,
    epoch: u32,
    /// The owner said that the stream may change: the next SSRC is believed.
    expect_change: bool,
    tally: Tally,
}

impl Source {
    pub(crate) fn new(now: Instant) -> Source {
        Source {
            started: now,
            stream: None,
            epoch: 0,
            expect_change: false,
            tally: Tally::default(),
        }
    }

    pub(crate) fn expect_change(&mut self) {
        self.expect_change = true;
    }

    pub(crate) fn ssrc(&self) -> Option<u32> {
        self.stream.as_ref().map(|stream| stream.ssrc)
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(crate) fn receive(&mut self, header: &Header, octets: usize, now: Instant) -> Verdict {
        let verdict = self.judge(header, now);
        match verdict {
            Verdict::Accepted(_) => {
                self.tally.packets += 1;
                self.tally.octets += octets as u64;
            }
            Verdict::Duplicate => self.tally.duplicates += 1,
            Verdict::OutOfPlace | Verdict::Foreign => {}
        }
        verdict
    }

    fn judge(&mut self, header: &Header, now: Instant) -> Verdict {
        let Some(stream) = &mut self.stream else {
            return self.begin(header, now);
        };
        if stream.ssrc != header.ssrc {
            let silent = now.saturating_duration_since(stream.last) >= SILENT;
            return match silent || self.expect_change {
                true => self.begin(header, now),
                false => Verdict::Foreign,
            };
        }
        let step = header.sequence.wrapping_sub(stream.highest as u16) as i16;
        let step = i64::from(step);
        if (1..MAX_DROPOUT).contains(&step) {
            let moved = u32::try_from(step).ok().filter(|step| *step < 128);
            stream.seen = moved.map_or(0, |step| stream.seen << step) | 1;
            stream.highest += step;
        } else if (1 - WINDOW..=0).contains(&step) {
            let bit = 1u128 << -step;
            if stream.seen & bit != 0 {
                stream.last = now;
                return Verdict::Duplicate;
            }
            stream.seen |= bit;
            self.tally.reordered += 1;
        } else if stream.jump == Some(header.sequence) {
            return self.begin(header, now);
        } else {
            stream.jump = Some(header.sequence.wrapping_add(1));
            return Verdict::OutOfPlace;
        }
        let extended = stream.highest + step.min(0);
        stream.first = stream.first.min(extended);
        stream.received += 1;
        stream.jump = None;
        stream.last = now;
        Verdict::Accepted(Position {
            epoch: self.epoch,
            extended,
        })
    }

    fn begin(&mut self, header: &Header, now: Instant) -> Verdict {
        if let Some(old) = self.stream.take() {
            self.tally.lost_before += old.lost();
            self.tally.expected_before += old.expected();
        }
        self.epoch = self.epoch.wrapping_add(1);
        self.expect_change = false;
        let extended = i64::from(header.sequence);
        self.stream = Some(Stream {
            ssrc: header.ssrc,
            first: extended,
            highest: extended,
            seen: 1,
            received: 1,
            jump: None,
            last: now,
            jitter: Jitter::default(),
        });
        Verdict::Accepted(Position {
            epoch: self.epoch,
            extended,
        })
    }

    /// Takes an accepted packet into the jitter. Not for telephone events,
    /// whose packets repeat one timestamp.
    pub(crate) fn time(&mut self, timestamp: u32, clock_rate: u32, now: Instant) {
        let since = now.saturating_duration_since(self.started);
        if let Some(stream) = &mut self.stream {
            stream.jitter.add(since, timestamp, clock_rate);
        }
    }

    /// When the last packet came.
    pub(crate) fn last(&self) -> Option<Instant> {
        self.stream.as_ref().map(|stream| stream.last)
    }

    /// The stream of this moment, as a receiver reports it (RFC 3550 6.4.1).
    pub(crate) fn stream_figures(&self) -> Option<StreamFigures> {
        let stream = self.stream.as_ref()?;
        Some(StreamFigures {
            expected: stream.expected(),
            received: stream.received,
            highest: stream.highest,
            jitter: stream.jitter.scaled >> 4,
        })
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    pub(crate) fn lost(&self) -> u64 {
        self.tally.lost_before + self.stream.as_ref().map_or(0, Stream::lost)
    }

    pub(crate) fn expected(&self) -> u64 {
        self.tally.expected_before + self.stream.as_ref().map_or(0, Stream::expected)
    }

    pub(crate) fn jitter(&self) -> Duration {
        self.stream
            .as_ref()
            .map_or(Duration::ZERO, |stream| stream.jitter.value())
    }
}

impl Stream {
    fn expected(&self) -> u64 {
        (self.highest - self.first + 1).unsigned_abs()
    }

    fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }
}

/// RFC 3550 A.8, in the integers that it gives.
#[derive(Debug, Default)]
struct Jitter {
    clock_rate: u32,
    transit: Option<u32>,
    /// Sixteen times the estimate, in ticks.
    scaled: u32,
}

impl Jitter {
    fn add(&mut self, arrival: Duration, timestamp: u32, clock_rate: u32) {
        if clock_rate != self.clock_rate {
            *self = Jitter {
                clock_rate,
                ..Jitter::default()
            };
        }
        let transit = ticks(arrival, clock_rate).wrapping_sub(timestamp);
        if let Some(last) = self.transit.replace(transit) {
            let difference = (transit.wrapping_sub(last) as i32).unsigned_abs();
            // A step of seconds is a new time base, not jitter.
            if difference < clock_rate.saturating_mul(2) {
                self.scaled = (self.scaled + difference).saturating_sub((self.scaled + 8) >> 4);
            }
        }
    }

    fn value(&self) -> Duration {
        let ticks = u64::from(self.scaled >> 4);
        Duration::from_micros(ticks * 1_000_000 / u64::from(self.clock_rate.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(ssrc: u32, sequence: u16) -> Header {
        let mut packet = [0u8; 12];
        packet[0] = 0x80;
        let blank = Header::parse(&packet).unwrap();
        Header {
            sequence,
            ssrc,
            ..blank
        }
    }

    fn accepted(verdict: Verdict) -> (u32, i64) {
        match verdict {
            Verdict::Accepted(position) => (position.epoch, position.extended),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn order_is_kept_over_wraps_and_losses_are_counted() {
        let now = Instant::now();
        let mut source = Source::new(now);
        for sequence in [65533u16, 65534, 0, 2, 1, 1, 5] {
            source.receive(&header(1, sequence), 172, now);
        }
        let (_, extended) = accepted(source.receive(&header(1, 6), 172, now));
        assert_eq!(extended, 65536 + 6);
        let tally = source.tally();
        assert_eq!((tally.packets, tally.octets), (7, 7 * 172));
        assert_eq!((tally.duplicates, tally.reordered), (1, 1));
        assert_eq!((source.expected(), source.lost()), (10, 3));
    }

    #[test]
    fn a_packet_before_the_first_is_counted_from_there() {
        let now = Instant::now();
        let mut source = Source::new(now);
        source.receive(&header(1, 1), 1, now);
        let before = source.receive(&header(1, 65535), 1, now);
        assert_eq!(accepted(before), (1, -1));
        assert_eq!((source.expected(), source.lost()), (3, 1));
    }

    #[test]
    fn another_ssrc_waits_until_the_first_is_silent() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut source = Source::new(start);
        source.receive(&header(1, 10), 1, at(0));
        assert_eq!(source.receive(&header(2, 500), 1, at(20)), Verdict::Foreign);
        assert_eq!(
            accepted(source.receive(&header(2, 502), 1, at(60))),
            (2, 502)
        );
        assert_eq!(source.receive(&header(1, 11), 1, at(70)), Verdict::Foreign);
        source.expect_change();
        assert_eq!(accepted(source.receive(&header(3, 7), 1, at(71))), (3, 7));
        assert_eq!(source.ssrc(), Some(3));
    }

    #[test]
    fn a_jump_is_a_restart_only_when_the_next_packet_confirms_it() {
        let now = Instant::now();
        let mut source = Source::new(now);
        source.receive(&header(1, 10), 1, now);
        let receive = |source: &mut Source, sequence| source.receive(&header(1, sequence), 1, now);
        assert_eq!(receive(&mut source, 30000), Verdict::OutOfPlace);
        assert_eq!(accepted(receive(&mut source, 11)), (1, 11));
        assert_eq!(receive(&mut source, 30000), Verdict::OutOfPlace);
        assert_eq!(accepted(receive(&mut source, 30001)), (2, 30001));
        assert_eq!(source.lost(), 0);
    }

    #[test]
    fn jitter_follows_the_standards_estimate() {
        let start = Instant::now();
        let mut source = Source::new(start);
        source.receive(&header(1, 0), 1, start);
        for n in 0..200u32 {
            let late = u64::from(n % 2) * 10;
            let at = start + Duration::from_millis(u64::from(n) * 20 + late);
            source.time(n * 160, 8000, at);
        }
        let jitter = source.jitter().as_millis();
        assert!((9..=10).contains(&jitter), "{jitter} ms");
    }

    #[test]
    fn even_packets_have_no_jitter() {
        let start = Instant::now();
        let mut source = Source::new(start);
        source.receive(&header(1, 0), 1, start);
        for n in 0..100u32 {
            let at = start + Duration::from_millis(u64::from(n) * 20);
            source.time(n.wrapping_mul(160).wrapping_sub(800), 8000, at);
        }
        assert_eq!(source.jitter(), Duration::ZERO);
    }
}
