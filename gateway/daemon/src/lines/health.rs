//! Whether what comes on a line is what its protocol expects.
//!
//! A wrong speed, a wrong parity or another protocol show in the same way: octets come, and no
//! frame fits. Looked at once a second, from figures that only grow; decides nothing.

use std::fmt;
use std::time::{Duration, Instant};

/// Octets without one right frame that are no accident any more.
const MANY: u64 = 64;
/// And so long it lasts.
const LONG: Duration = Duration::from_secs(5);
/// Of a hundred octets so many are wrong that it is no noise.
const WRONG_PERCENT: u64 = 10;

/// Figures of one look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) octets: u64,
    pub(super) frames: u64,
    pub(super) wrong_octets: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Health {
    /// What was seen when the last right frame was.
    good: Option<(Seen, Instant)>,
    trouble: Option<Trouble>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    NoFrameFits,
    WrongOctets,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoFrameFits => {
                "octets arrive but no frame fits: is the speed right, and the driver?"
            }
            Self::WrongOctets => {
                "octets arrive with wrong parity or stop bits: are speed and parity right?"
            }
        })
    }
}

impl Health {
    pub(super) fn look(&mut self, seen: Seen, now: Instant) {
        let Some((good, since)) = self.good else {
            self.good = Some((seen, now));
            return;
        };
        if seen.frames != good.frames {
            self.good = Some((seen, now));
            self.trouble = None;
            return;
        }
        let octets = seen.octets.saturating_sub(good.octets);
        let wrong = seen.wrong_octets.saturating_sub(good.wrong_octets);
        if octets < MANY || now.duration_since(since) < LONG {
            return;
        }
        self.trouble = Some(match wrong * 100 >= octets * WRONG_PERCENT {
            true => Trouble::WrongOctets,
            false => Trouble::NoFrameFits,
        });
    }

    pub(super) const fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(looks: &[(u64, u64, u64)]) -> Option<Trouble> {
        let start = Instant::now();
        let mut health = Health::default();
        for (second, (octets, frames, wrong_octets)) in (0..).zip(looks.iter().copied()) {
            let seen = Seen {
                octets,
                frames,
                wrong_octets,
            };
            health.look(seen, start + Duration::from_secs(second));
        }
        health.trouble()
    }

    #[test]
    fn octets_without_a_frame_for_long_are_said() {
        let noise = |wrong| (0..7).map(|n| (n * 50, 0, n * wrong)).collect::<Vec<_>>();
        assert_eq!(after(&noise(0)), Some(Trouble::NoFrameFits));
        assert_eq!(after(&noise(20)), Some(Trouble::WrongOctets));
        // Not at once.
        assert_eq!(after(&noise(0)[..5]), None);
        // A silent line is a silent line.
        assert_eq!(after(&[(10, 0, 0); 20]), None);
    }

    #[test]
    fn the_first_right_frame_ends_it() {
        let mut looks: Vec<_> = (0..7).map(|n| (n * 50, 0, 0)).collect();
        looks.push((400, 1, 0));
        assert_eq!(after(&looks), None);
    }
}
