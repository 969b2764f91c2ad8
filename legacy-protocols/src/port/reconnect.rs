//! When a line is opened again: 1, 2, 4 ... 60 seconds, each drawn anew between nothing and that,
//! so that the ports of a house do not all come back in one moment.

use std::time::{Duration, Instant};

use chance::Chance;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// Even a lucky draw leaves the other end a moment.
const SHORTEST: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Reconnect {
    chance: Chance,
    failures: u32,
    at: Option<Instant>,
}

impl Reconnect {
    pub(super) const fn new(seed: u64, first: Option<Instant>) -> Self {
        Self {
            chance: Chance::new(seed),
            failures: 0,
            at: first,
        }
    }

    pub(super) const fn at(&self) -> Option<Instant> {
        self.at
    }

    pub(super) fn due(&mut self, now: Instant) -> bool {
        let due = self.at.is_some_and(|at| at <= now);
        if due {
            self.at = None;
        }
        due
    }

    pub(super) fn failed(&mut self, now: Instant) {
        let ceiling = FIRST.saturating_mul(1 << self.failures.min(6)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let wait = self.chance.wait(ceiling).max(SHORTEST);
        self.at = Some(now + wait);
    }

    /// It is open, by whomever.
    pub(super) const fn opened(&mut self) {
        self.at = None;
    }

    /// The line has proved to work.
    pub(super) const fn up(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_start_over_once_the_line_works() {
        let now = Instant::now();
        let mut reconnect = Reconnect::new(1, None);
        for ceiling in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            reconnect.failed(now);
            let wait = reconnect.at().unwrap() - now;
            assert!(
                wait >= SHORTEST && wait <= Duration::from_secs(ceiling),
                "{wait:?}"
            );
        }
        reconnect.up();
        reconnect.failed(now);
        assert!(reconnect.at().unwrap() - now <= FIRST);
        assert!(!reconnect.due(now));
        assert!(reconnect.due(now + FIRST));
        assert_eq!(reconnect.at(), None);
    }

    #[test]
    fn two_seeds_do_not_come_back_together() {
        let now = Instant::now();
        let draws = [1, 2].map(|seed| {
            let mut reconnect = Reconnect::new(seed, None);
            for _ in 0..7 {
                reconnect.failed(now);
            }
            reconnect.at()
        });
        assert_ne!(draws[0], draws[1]);
    }
}
