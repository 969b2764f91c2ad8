//! Slowing down who guesses: after a few failures each further try has to wait, twice as long
//! every time.
//!
//! A try counts as a failure from its beginning and is forgiven when it succeeds, so a thousand
//! tries at once get no more answers than one after the other. Keeps no disk busy: what is
//! counted is lost with the process. Invariant: never more than `capacity` keys.

use std::collections::BTreeMap;
use std::time::Duration;

use model::Timestamp;

/// How patient to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// So many failures cost nothing.
    pub free: u32,
    /// The first wait; each further failure doubles it.
    pub first_wait: Duration,
    pub longest_wait: Duration,
    /// After so long without a failure everything is forgotten.
    pub memory: Duration,
    /// So many keys at most; the one that failed longest ago goes first.
    pub capacity: usize,
}

/// The tries of many keys: accounts, addresses, codes.
#[derive(Debug, Clone)]
pub struct Attempts<K> {
    patience: Patience,
    failures: BTreeMap<K, Failures>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

/// Not now: try again after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many tries; wait {} seconds", .0.as_secs().max(1))]
pub struct TooEarly(pub Duration);

impl<K: Ord + Clone> Attempts<K> {
    #[must_use]
    pub fn new(patience: Patience) -> Self {
        Self {
            patience,
            failures: BTreeMap::new(),
        }
    }

    /// Whether a try may be made now. Counts nothing.
    pub fn check(&self, key: &K, now: Timestamp) -> Result<(), TooEarly> {
        let Some(failures) = self.remembered(key, now) else {
            return Ok(());
        };
        let free_again = failures.last.saturating_add(self.wait(failures.count));
        let left = free_again.unix_ms().saturating_sub(now.unix_ms());
        match u64::try_from(left) {
            Ok(left) if left > 0 => Err(TooEarly(Duration::from_millis(left))),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Begins a try, if one may be made now.
    pub fn begin(&mut self, key: &K, now: Timestamp) -> Result<(), TooEarly> {
        self.check(key, now)?;
        let before = self
            .remembered(key, now)
            .map_or(0, |failures| failures.count);
        if !self.failures.contains_key(key) {
            self.make_room(now);
        }
        let failures = Failures {
            count: before.saturating_add(1),
            last: now,
        };
        self.failures.insert(key.clone(), failures);
        Ok(())
    }

    /// The key has shown that it knows: all is forgiven.
    pub fn forgive(&mut self, key: &K) {
        self.failures.remove(key);
    }

    /// This one try was no failure; what came before it stays.
    pub fn take_back(&mut self, key: &K) {
        if let Some(failures) = self.failures.get_mut(key) {
            failures.count = failures.count.saturating_sub(1);
            if failures.count == 0 {
                self.failures.remove(key);
            }
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.failures.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.failures.is_empty()
    }

    fn remembered(&self, key: &K, now: Timestamp) -> Option<Failures> {
        let failures = self.failures.get(key)?;
        (now < failures.last.saturating_add(self.patience.memory)).then_some(*failures)
    }

    fn wait(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(self.patience.free.max(1)) else {
            return Duration::ZERO;
        };
        let factor = 2u32.saturating_pow(doublings);
        self.patience
            .first_wait
            .saturating_mul(factor)
            .min(self.patience.longest_wait)
    }

    /// Drops what is forgotten; where that is nothing, the eighth that failed longest ago.
    fn make_room(&mut self, now: Timestamp) {
        if self.failures.len() < self.patience.capacity {
            return;
        }
        let memory = self.patience.memory;
        self.failures
            .retain(|_, failures| now < failures.last.saturating_add(memory));
        if self.failures.len() < self.patience.capacity {
            return;
        }
        let mut by_age: Vec<_> = self
            .failures
            .iter()
            .map(|(key, failures)| (failures.last, key.clone()))
            .collect();
        by_age.sort();
        for (_, key) in by_age.into_iter().take(self.patience.capacity / 8 + 1) {
            self.failures.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATIENCE: Patience = Patience {
        free: 3,
        first_wait: Duration::from_secs(1),
        longest_wait: Duration::from_secs(60),
        memory: Duration::from_secs(3600),
        capacity: 16,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ms(seconds * 1000)
    }

    #[test]
    fn each_failure_after_the_free_ones_doubles_the_wait() {
        let mut attempts = Attempts::new(PATIENCE);
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..12 {
            if let Err(TooEarly(wait)) = attempts.begin(&"her", now) {
                waits.push(wait.as_secs());
                now = now.saturating_add(wait);
                attempts.begin(&"her", now).expect("the wait is over");
            }
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(attempts.begin(&"him", now), Ok(()), "others do not wait");
    }

    #[test]
    fn many_tries_at_once_get_no_more_answers_than_one_by_one() {
        let mut attempts = Attempts::new(PATIENCE);
        let begun = (0..1000).filter(|_| attempts.begin(&1, at(0)).is_ok());
        assert_eq!(begun.count(), 3);
    }

    #[test]
    fn success_forgives_and_time_forgets() {
        let mut attempts = Attempts::new(PATIENCE);
        while attempts.begin(&1, at(0)).is_ok() {}
        attempts.forgive(&1);
        assert_eq!(attempts.check(&1, at(0)), Ok(()));
        while attempts.begin(&1, at(0)).is_ok() {}
        assert!(attempts.check(&1, at(0)).is_err());
        for _ in 0..3 {
            assert_eq!(attempts.begin(&1, at(3600)), Ok(()));
        }
    }

    #[test]
    fn an_own_success_does_not_wash_away_the_failures_of_a_shared_address() {
        let mut attempts = Attempts::new(PATIENCE);
        for _ in 0..2 {
            attempts.begin(&1, at(0)).unwrap();
        }
        attempts.begin(&1, at(0)).unwrap();
        attempts.take_back(&1);
        assert_eq!(attempts.begin(&1, at(0)), Ok(()));
        assert!(attempts.check(&1, at(0)).is_err());
    }

    proptest! {
        #[test]
        fn there_are_never_more_keys_than_allowed(tries in proptest::collection::vec((0..200u32, 0..5000i64), 0..400)) {
            let mut attempts = Attempts::new(PATIENCE);
            for (key, second) in tries {
                let _ = attempts.begin(&key, at(second));
                prop_assert!(attempts.len() <= PATIENCE.capacity);
            }
        }
    }
}
