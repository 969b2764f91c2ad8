//! Until when a command is valid, without a common clock (section 5.4).
//!
//! Each end counts the time of the link from its establishment, by a clock that nobody sets. Hello
//! and keep-alives tell it. What arrives was always underway for some time, so the sample that puts
//! the other end's zero earliest is the best; samples are kept for a minute only, as clocks drift.
//! The estimate errs by the shortest way seen, to the later side.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const KEPT: usize = 8;
const A_DAY: u64 = 24 * 60 * 60 * 1000;

#[derive(Debug)]
pub(super) struct LinkTime {
    own_zero: Instant,
    /// Where each sample puts the other end's zero.
    zeros: VecDeque<Instant>,
}

impl LinkTime {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            own_zero: now,
            zeros: VecDeque::new(),
        }
    }

    /// Milliseconds since the link was established here.
    pub(super) fn own(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.own_zero).as_millis() as u64
    }

    /// The other end says that its link is so old now.
    pub(super) fn heard(&mut self, milliseconds: u64, now: Instant) {
        // Both ends count from the same event; drift does not make a day of it.
        if milliseconds > self.own(now).saturating_add(A_DAY) {
            return;
        }
        let Some(zero) = now.checked_sub(Duration::from_millis(milliseconds)) else {
            return;
        };
        if self.zeros.len() == KEPT {
            self.zeros.pop_front();
        }
        self.zeros.push_back(zero);
    }

    /// The moment that the other end means. None before it has told its time.
    pub(super) fn theirs(&self, milliseconds: u64) -> Option<Instant> {
        let zero = self.zeros.iter().min()?;
        zero.checked_add(Duration::from_millis(milliseconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn the_sample_with_the_shortest_way_counts() {
        let start = Instant::now();
        let mut time = LinkTime::new(start);
        assert_eq!(time.theirs(0), None);
        time.heard(1000, start + MILLISECOND * 1400);
        time.heard(2000, start + MILLISECOND * 2010);
        time.heard(3000, start + MILLISECOND * 3900);
        assert_eq!(time.theirs(5000), Some(start + MILLISECOND * 5010));
        assert_eq!(time.own(start + MILLISECOND * 77), 77);
    }

    #[test]
    fn old_samples_are_forgotten_as_clocks_drift() {
        let start = Instant::now();
        let mut time = LinkTime::new(start);
        time.heard(0, start);
        for sample in 1..=8 {
            time.heard(
                sample * 10_000,
                start + MILLISECOND * (sample as u32 * 10_001),
            );
        }
        assert_eq!(time.theirs(0), Some(start + MILLISECOND));
    }

    #[test]
    fn a_time_beyond_all_clocks_is_no_sample() {
        let mut time = LinkTime::new(Instant::now());
        time.heard(u64::MAX, Instant::now());
        assert_eq!(time.theirs(1), None);
    }
}
