//! What becomes of a leg's sound where it is decoded here: late packets, invented sound, waits.
//!
//! A leg's sound may be decoded several times over, once for each who hears it, and one after
//! another, as listeners come and go. The figures of decodings at the same time are about the same
//! packets, so the worst of them counts; those of decodings one after another add up.
//!
//! Invariant: no figure of a leg gets smaller but the wait of this moment and the level.

use std::time::{Duration, Instant};

use crate::rate::SampleRate;

/// Figures of a leg's sound as far as it was decoded here.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Decoded {
    /// Packets that came too late to be heard, or were given up to catch up.
    pub late: u64,
    /// Sound that was invented in place of what was missing.
    pub concealed: Duration,
    /// How long a packet waits for others, now and at most.
    pub wait: Duration,
    pub longest_wait: Duration,
    /// Of what is said, not of the silence between, in dBov (RFC 6465).
    pub level: Option<f32>,
    /// The rate at which it is heard now.
    pub rate: Option<SampleRate>,
}

impl Decoded {
    /// Another decoding of the same packets.
    fn or_worse(self, other: Decoded) -> Decoded {
        Decoded {
            late: self.late.max(other.late),
            concealed: self.concealed.max(other.concealed),
            wait: self.wait.max(other.wait),
            longest_wait: self.longest_wait.max(other.longest_wait),
            level: other.level.or(self.level),
            rate: self.rate.max(other.rate),
        }
    }

    /// A decoding of later packets.
    fn and_then(self, later: Decoded) -> Decoded {
        Decoded {
            late: self.late + later.late,
            concealed: self.concealed + later.concealed,
            longest_wait: self.longest_wait.max(later.longest_wait),
            wait: later.wait,
            level: later.level.or(self.level),
            rate: later.rate.or(self.rate),
        }
    }
}

/// One listener's decodings of one leg, of which the last may go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decoding {
    pub(crate) figures: Decoded,
    pub(crate) since: Instant,
    /// The last packet of it.
    pub(crate) until: Instant,
}

impl Decoding {
    /// The same listener decodes on, in another way.
    pub(crate) fn and_then(self, later: Decoding) -> Decoding {
        Decoding {
            figures: self.figures.and_then(later.figures),
            since: self.since,
            until: later.until,
        }
    }
}

/// All that was decoded of a leg and is no more.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Past {
    before: Decoded,
    /// The worst of those that ended last and went on at the same time.
    together: Option<(Decoded, Instant)>,
}

impl Past {
    pub(crate) fn add(&mut self, ended: Decoding) {
        self.together = Some(match self.together {
            Some((figures, end)) if ended.since < end => {
                (figures.or_worse(ended.figures), end.max(ended.until))
            }
            Some((figures, _)) => {
                self.before = self.before.and_then(figures);
                (ended.figures, ended.until)
            }
            None => (ended.figures, ended.until),
        });
    }

    /// With what is being decoded now; `None`: nothing ever was.
    pub(crate) fn with(&self, now: impl Iterator<Item = Decoding>) -> Option<Decoded> {
        let live = now.reduce(|a, b| Decoding {
            figures: a.figures.or_worse(b.figures),
            since: a.since.min(b.since),
            until: a.until.max(b.until),
        });
        let (mut before, mut last) = (self.before, live.map(|live| live.figures));
        if let Some((figures, end)) = self.together {
            last = Some(match live {
                Some(live) if live.since < end => figures.or_worse(live.figures),
                Some(live) => {
                    before = before.and_then(figures);
                    live.figures
                }
                None => Decoded {
                    wait: Duration::ZERO,
                    ..figures
                },
            });
        }
        last.map(|last| before.and_then(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoding(start: Instant, since: u64, until: u64, late: u64) -> Decoding {
        let at = |seconds| start + Duration::from_secs(seconds);
        Decoding {
            figures: Decoded {
                late,
                ..Decoded::default()
            },
            since: at(since),
            until: at(until),
        }
    }

    #[test]
    fn decodings_at_the_same_time_count_once_and_later_ones_add_up() {
        let start = Instant::now();
        let mut past = Past::default();
        assert_eq!(past.with(std::iter::empty()), None);
        // Thirty who rang heard the same early media.
        for _ in 0..30 {
            past.add(decoding(start, 0, 10, 5));
        }
        let late = |past: &Past, now: &[Decoding]| past.with(now.iter().copied()).unwrap().late;
        assert_eq!(late(&past, &[]), 5);
        // One of them answered, and has heard on since.
        assert_eq!(late(&past, &[decoding(start, 1, 15, 7)]), 7);
        // Another one was joined later.
        assert_eq!(late(&past, &[decoding(start, 11, 20, 2)]), 7);
        past.add(decoding(start, 11, 20, 2));
        past.add(decoding(start, 21, 30, 1));
        assert_eq!(late(&past, &[]), 8);
        assert_eq!(
            late(
                &past,
                &[decoding(start, 31, 40, 1), decoding(start, 32, 40, 3)]
            ),
            11
        );
    }
}
