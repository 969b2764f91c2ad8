//! How many requests somebody may make: a purse that fills by itself.
//!
//! Each key has a purse of `burst` requests, into which `per_second` come every second (the generic
//! cell rate algorithm). A purse that is full again is forgotten. Keeps no clock: the caller says what
//! time it is, and a clock that is set back costs nobody more than an empty purse. Invariant: never
//! more than `capacity` purses; when there are as many, whoever is new shares one with all who are.

use std::collections::BTreeMap;
use std::time::Duration;

use model::Timestamp;

/// How much, of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// At least 1.
    pub per_second: u32,
    pub burst: u32,
    /// So many purses at most.
    pub capacity: usize,
}

/// The purses of many keys.
#[derive(Debug, Clone)]
pub struct Rates<K> {
    rate: Rate,
    /// When each purse is full again, in microseconds.
    full: BTreeMap<K, i64>,
    /// The purse of those for whom there is no room.
    rest: i64,
    swept: i64,
}

/// What is left after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    pub requests: u32,
    /// Until the purse is full.
    pub full_in: Duration,
}

/// Not now: the next request may come after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests; wait {} seconds", .0.as_secs().max(1))]
pub struct TooFast(pub Duration);

/// Looking through all purses costs time, so not with each request of a flood.
const SWEPT_EVERY: i64 = 1_000_000;

impl<K: Ord + Clone> Rates<K> {
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            full: BTreeMap::new(),
            rest: 0,
            swept: i64::MIN,
        }
    }

    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// One request.
    pub fn take(&mut self, key: &K, now: Timestamp) -> Result<Left, TooFast> {
        let now = now.unix_ms().saturating_mul(1000);
        if let Some(full) = self.full.get_mut(key) {
            return taken(self.rate, full, now);
        }
        if self.full.len() >= self.rate.capacity {
            self.sweep(now);
        }
        if self.full.len() >= self.rate.capacity {
            return taken(self.rate, &mut self.rest, now);
        }
        let mut full = now;
        let left = taken(self.rate, &mut full, now)?;
        self.full.insert(key.clone(), full);
        Ok(left)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.full.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.full.is_empty()
    }

    /// Forgets purses that are full.
    fn sweep(&mut self, now: i64) {
        if (self.swept..self.swept.saturating_add(SWEPT_EVERY)).contains(&now) {
            return;
        }
        self.swept = now;
        self.full.retain(|_, full| *full > now);
    }
}

/// One request out of the purse that is full again at `full`.
fn taken(rate: Rate, full: &mut i64, now: i64) -> Result<Left, TooFast> {
    let each = (1_000_000 / i64::from(rate.per_second.max(1))).max(1);
    let empty = each.saturating_mul(i64::from(rate.burst));
    // Fuller than full it is never; emptier than empty only if the clock was set back.
    let debt = full.saturating_sub(now).clamp(0, empty);
    let debt_after = debt.saturating_add(each);
    if debt_after > empty {
        return Err(TooFast(micros(debt_after - empty)));
    }
    *full = now.saturating_add(debt_after);
    Ok(Left {
        requests: u32::try_from((empty - debt_after) / each).unwrap_or(u32::MAX),
        full_in: micros(debt_after),
    })
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(micros.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: Rate = Rate {
        per_second: 2,
        burst: 4,
        capacity: 8,
    };

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    #[test]
    fn a_purse_is_emptied_at_once_and_fills_by_itself() {
        let mut rates = Rates::new(RATE);
        let left: Vec<_> = (0..4)
            .map(|_| rates.take(&"her", at(0)).unwrap().requests)
            .collect();
        assert_eq!(left, [3, 2, 1, 0]);
        assert_eq!(
            rates.take(&"her", at(0)),
            Err(TooFast(Duration::from_millis(500)))
        );
        assert!(rates.take(&"him", at(0)).is_ok(), "others have their own");
        assert!(rates.take(&"her", at(499)).is_err());
        assert_eq!(rates.take(&"her", at(500)).unwrap().requests, 0);
        assert_eq!(rates.take(&"her", at(2500)).unwrap().requests, 3);
    }

    #[test]
    fn a_clock_that_is_set_back_costs_an_empty_purse_at_most() {
        let mut rates = Rates::new(RATE);
        rates.take(&1, at(3_600_000)).unwrap();
        assert_eq!(
            rates.take(&1, at(0)),
            Err(TooFast(Duration::from_millis(500)))
        );
        assert!(rates.take(&1, at(3_600_000)).is_ok());
    }

    #[test]
    fn a_flood_of_keys_shares_one_purse_and_those_who_were_there_keep_theirs() {
        let mut rates = Rates::new(RATE);
        for known in 0..8 {
            rates.take(&known, at(0)).unwrap();
        }
        let new = (100..1000).filter(|new| rates.take(new, at(1)).is_ok());
        assert_eq!(new.count(), 4);
        assert!(rates.take(&7, at(1)).is_ok());
        assert!(rates.take(&1000, at(5000)).is_ok(), "they are full again");
        assert_eq!(rates.len(), 1);
    }

    proptest! {
        #[test]
        fn no_key_gets_more_than_its_rate_and_there_are_never_too_many(
            tries in proptest::collection::vec((0..20u32, 0..200i64), 0..500)
        ) {
            let mut rates = Rates::new(RATE);
            let mut now = 0;
            let mut of_zero = 0u32;
            let mut there_from_the_start = rates.take(&0, at(0)).is_ok();
            for (key, wait) in tries {
                now += wait;
                let good = rates.take(&key, at(now)).is_ok();
                of_zero += u32::from(key == 0 && good);
                there_from_the_start &= rates.len() <= RATE.capacity;
            }
            prop_assert!(there_from_the_start);
            // The burst, what came in meanwhile, and as much again from the purse that is shared.
            let most = 2 * (4 + u32::try_from(now).unwrap() / 500 + 1);
            prop_assert!(of_zero <= most, "{of_zero} of {most}");
        }
    }
}
