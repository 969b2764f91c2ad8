//! Keys pressed during a call, read from RTP (RFC 4733).
//!
//! A press arrives as many packets with one timestamp: updates while the key
//! is down and three copies of its end. The reader tells each press once, with
//! its duration, also when every end was lost (by the next press or by a
//! silence) or when only an end arrived. Knows nothing of what digits mean.
//!
//! Invariant: one timestamp is told at most once.

use std::time::{Duration, Instant};

/// Of an event without redundancy (RFC 4733 2.3).
pub(crate) const LEN: usize = 4;

/// A press without an update for so long has ended; senders update at least
/// every 50 ms (RFC 4733 2.5.1.2).
const END_LOST_AFTER: Duration = Duration::from_millis(300);

/// A press longer than the duration field is sent as joined segments
/// (RFC 4733 2.5.1.3).
const SEGMENT: u32 = 0xffff;

/// A key of a telephone, or the hook flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digit {
    Key(char),
    Flash,
}

impl Digit {
    fn of(event: u8) -> Option<Digit> {
        Some(match event {
            0..=9 => Digit::Key(char::from(b'0' + event)),
            10 => Digit::Key('*'),
            11 => Digit::Key('#'),
            12..=15 => Digit::Key(char::from(b'A' + (event - 12))),
            16 => Digit::Flash,
            17.. => return None,
        })
    }

    /// RFC 4733 3.2; `None`: no telephone has this key.
    pub(crate) fn event(self) -> Option<u8> {
        Some(match self {
            Digit::Key(key @ '0'..='9') => key as u8 - b'0',
            Digit::Key('*') => 10,
            Digit::Key('#') => 11,
            Digit::Key(key @ 'A'..='D') => key as u8 - b'A' + 12,
            Digit::Key(_) => return None,
            Digit::Flash => 16,
        })
    }
}

/// A finished press.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Press {
    pub digit: Digit,
    pub duration: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    digit: Digit,
    /// Timestamp of the segment that is being heard.
    timestamp: u32,
    /// Ticks of the segments before it.
    before: u32,
    ticks: u16,
    clock_rate: u32,
    heard: Instant,
}

impl Held {
    fn press(&self) -> Press {
        let ticks = u64::from(self.before) + u64::from(self.ticks);
        Press {
            digit: self.digit,
            duration: Duration::from_millis(ticks * 1000 / u64::from(self.clock_rate.max(1))),
        }
    }
}

/// A packet that tells of a key, as it came, and on which clock it is to be told on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyPacket<'p> {
    pub(crate) timestamp: u32,
    pub(crate) clock_rate: u32,
    pub(crate) told_clock_rate: u32,
    pub(crate) payload: &'p [u8],
}

/// What one packet brought: a press that it showed to be over, and its own.
pub(crate) type Presses = [Option<Press>; 2];

#[derive(Debug, Default)]
pub(crate) struct Reader {
    held: Option<Held>,
    /// The last timestamp that was told.
    told: Option<u32>,
    /// The key that was told last, and when it was heard last.
    last: Option<(Digit, Instant)>,
}

impl Reader {
    /// `None`: not a telephone event of a key.
    pub(crate) fn read(
        &mut self,
        payload: &[u8],
        timestamp: u32,
        clock_rate: u32,
        now: Instant,
    ) -> Option<Presses> {
        // RFC 4733 2.3: event, E R volume, duration.
        let [event, flags, duration @ ..] = *payload.first_chunk::<4>()?;
        let digit = Digit::of(event)?;
        let ticks = u16::from_be_bytes(duration);
        let end = flags & 0x80 != 0;
        if self.told.is_some_and(|told| !newer(timestamp, told)) {
            return Some([None, None]);
        }
        let mut presses = [None, None];
        match &mut self.held {
            Some(held) if held.timestamp == timestamp => {
                held.ticks = held.ticks.max(ticks);
                held.heard = now;
            }
            Some(held) if !newer(timestamp, held.timestamp) => return Some(presses),
            Some(held) if held.digit == digit && held.joins(timestamp) => {
                held.before = held.before.saturating_add(SEGMENT);
                held.timestamp = timestamp;
                held.ticks = ticks;
                held.heard = now;
            }
            Some(_) | None => {
                presses[0] = self.finish();
                self.held = Some(Held {
                    digit,
                    timestamp,
                    before: 0,
                    ticks,
                    clock_rate,
                    heard: now,
                });
            }
        }
        if end {
            presses[1] = self.finish();
        }
        Some(presses)
    }

    /// Whether this key is being heard, or was a moment ago.
    pub(crate) fn hears(&self, digit: Digit, now: Instant) -> bool {
        let held = self.held.as_ref().map(|held| (held.digit, held.heard));
        let recent = |at: Instant| now.saturating_duration_since(at) < END_LOST_AFTER;
        let known = held.into_iter().chain(self.last);
        known
            .into_iter()
            .any(|(key, at)| key == digit && recent(at))
    }

    /// When the press that is being heard counts as ended.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.held.as_ref().map(|held| held.heard + END_LOST_AFTER)
    }

    pub(crate) fn expire(&mut self, now: Instant) -> Option<Press> {
        self.deadline().filter(|deadline| *deadline <= now)?;
        self.finish()
    }

    /// The stream ends or changes: what is held was pressed.
    pub(crate) fn finish(&mut self) -> Option<Press> {
        let held = self.held.take()?;
        self.told = Some(held.timestamp);
        self.last = Some((held.digit, held.heard));
        Some(held.press())
    }

    /// Another stream begins: its timestamps say nothing about the old ones.
    pub(crate) fn restart(&mut self) -> Option<Press> {
        let last = self.finish();
        self.told = None;
        last
    }
}

impl Held {
    fn joins(&self, timestamp: u32) -> bool {
        timestamp.wrapping_sub(self.timestamp) == SEGMENT
    }
}

fn newer(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (milliseconds, event, end, timestamp, duration)
    type Packet = (u64, u8, bool, u32, u16);

    /// Feeds packets, expires in between, returns (digit, milliseconds).
    fn heard(packets: &[Packet]) -> Vec<(char, u64)> {
        let start = Instant::now();
        let mut reader = Reader::default();
        let mut told = Vec::new();
        for (at, event, end, timestamp, duration) in packets {
            let now = start + Duration::from_millis(*at);
            told.extend(reader.expire(now));
            let [high, low] = duration.to_be_bytes();
            let payload = [*event, u8::from(*end) << 7 | 10, high, low];
            let presses = reader.read(&payload, *timestamp, 8000, now).unwrap();
            told.extend(presses.into_iter().flatten());
        }
        told.extend(reader.expire(start + Duration::from_secs(100)));
        let plain = |press: Press| {
            let Digit::Key(key) = press.digit else {
                panic!("{press:?}")
            };
            (key, press.duration.as_millis() as u64)
        };
        told.into_iter().map(plain).collect()
    }

    #[test]
    fn a_press_is_told_once_however_often_it_is_sent() {
        let packets = [
            (0, 5, false, 1000, 160),
            (20, 5, false, 1000, 320),
            (40, 5, true, 1000, 480),
            (60, 5, true, 1000, 480),
            (80, 5, true, 1000, 480),
        ];
        assert_eq!(heard(&packets), [('5', 60)]);
    }

    #[test]
    fn lost_ends_are_made_good_by_the_next_press_or_by_silence() {
        let packets = [
            (0, 1, false, 1000, 160),
            (20, 1, false, 1000, 320),
            (200, 1, false, 3000, 160),
            (900, 11, false, 9000, 800),
        ];
        assert_eq!(heard(&packets), [('1', 40), ('1', 20), ('#', 100)]);
    }

    #[test]
    fn an_end_alone_is_a_press() {
        assert_eq!(heard(&[(0, 10, true, 77, 400)]), [('*', 50)]);
    }

    #[test]
    fn late_copies_of_an_older_press_are_not_another_press() {
        let packets = [
            (0, 1, true, 1000, 400),
            (20, 2, false, 2000, 160),
            (25, 1, true, 1000, 400),
            (30, 2, true, 2000, 400),
            (35, 2, false, 2000, 160),
            (40, 1, true, 1000, 400),
        ];
        assert_eq!(heard(&packets), [('1', 50), ('2', 50)]);
    }

    #[test]
    fn reordered_updates_do_not_shorten_a_press() {
        let packets = [
            (0, 4, false, 1000, 480),
            (5, 4, false, 1000, 320),
            (10, 4, true, 1000, 480),
        ];
        assert_eq!(heard(&packets), [('4', 60)]);
    }

    #[test]
    fn segments_of_a_long_press_are_one_press() {
        let next = 1000u32 + 0xffff;
        let packets = [
            (0, 7, false, 1000, 0xffff),
            (50, 7, false, next, 400),
            (100, 7, true, next, 800),
        ];
        assert_eq!(heard(&packets), [('7', (0xffff + 800) / 8)]);
    }

    #[test]
    fn timestamps_may_wrap() {
        let packets = [(0, 1, true, u32::MAX - 10, 400), (200, 2, true, 1000, 400)];
        assert_eq!(heard(&packets), [('1', 50), ('2', 50)]);
    }

    #[test]
    fn short_payloads_and_other_events_are_not_keys() {
        let mut reader = Reader::default();
        let now = Instant::now();
        assert_eq!(reader.read(&[1, 0, 0], 1, 8000, now), None);
        assert_eq!(reader.read(&[32, 0x80, 0, 1], 1, 8000, now), None);
        assert!(reader.read(&[16, 0x80, 0, 8], 1, 8000, now).is_some());
    }
}
