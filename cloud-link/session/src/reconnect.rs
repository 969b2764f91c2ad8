//! When the core is tried again: 1, 2, 4 ... 60 seconds, each drawn anew between a third of it and
//! all of it, so that a thousand gateways do not come back in one moment. A core that refuses us is
//! asked less often.

use std::time::{Duration, Instant};

use chance::Chance;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
const REFUSED: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(crate) struct Reconnect {
    chance: Chance,
    failures: u32,
    at: Option<Instant>,
}

impl Reconnect {
    pub(crate) const fn new(seed: u64, first: Instant) -> Self {
        Self {
            chance: Chance::new(seed),
            failures: 0,
            at: Some(first),
        }
    }

    pub(crate) const fn at(&self) -> Option<Instant> {
        self.at
    }

    pub(crate) fn due(&mut self, now: Instant) -> bool {
        let due = self.at.is_some_and(|at| at <= now);
        if due {
            self.at = None;
        }
        due
    }

    pub(crate) fn failed(&mut self, now: Instant) {
        let ceiling = FIRST.saturating_mul(1 << self.failures.min(6)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.after(ceiling, now);
    }

    pub(crate) fn refused(&mut self, now: Instant) {
        self.after(REFUSED, now);
    }

    /// The connection has proved to work.
    pub(crate) const fn settled(&mut self) {
        self.failures = 0;
    }

    fn after(&mut self, ceiling: Duration, now: Instant) {
        let least = ceiling / 3;
        self.at = Some(now + least + self.chance.wait(ceiling - least));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_start_over_once_the_link_works() {
        let now = Instant::now();
        let mut reconnect = Reconnect::new(1, now);
        assert!(reconnect.due(now) && !reconnect.due(now));
        for ceiling in [1, 2, 4, 8, 16, 32, 60, 60] {
            reconnect.failed(now);
            let wait = reconnect.at().expect("it is tried again") - now;
            let ceiling = Duration::from_secs(ceiling);
            assert!(
                wait >= ceiling / 3 && wait <= ceiling,
                "{wait:?} of {ceiling:?}"
            );
        }
        reconnect.settled();
        reconnect.failed(now);
        assert!(reconnect.at().expect("it is tried again") - now <= FIRST);
    }
}
