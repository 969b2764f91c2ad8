//! The deadlines of many small machines: one per key, the earliest first.
//!
//! Invariant: a key is in the queue exactly when its last `set` named a time, so a cancelled
//! timer leaves nothing behind and the queue is no longer than there are keys.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Instant;

#[derive(Debug)]
pub(crate) struct Deadlines<K> {
    queue: BTreeSet<(Instant, K)>,
    times: HashMap<K, Instant>,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self {
            queue: BTreeSet::new(),
            times: HashMap::new(),
        }
    }
}

impl<K: Copy + Ord + Hash> Deadlines<K> {
    /// Replaces the deadline of `key`; `None` takes it away.
    pub(crate) fn set(&mut self, key: K, at: Option<Instant>) {
        let old = match at {
            Some(at) => self.times.insert(key, at),
            None => self.times.remove(&key),
        };
        if old == at {
            return;
        }
        if let Some(old) = old {
            self.queue.remove(&(old, key));
        }
        if let Some(at) = at {
            self.queue.insert((at, key));
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes the earliest key that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<K> {
        let (at, key) = *self.queue.first()?;
        if at > now {
            return None;
        }
        self.queue.pop_first();
        self.times.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn keys_come_in_the_order_of_their_last_deadline() {
        let now = Instant::now();
        let at = |ms| Some(now + Duration::from_millis(ms));
        let mut deadlines = Deadlines::default();
        deadlines.set(1, at(30));
        deadlines.set(2, at(20));
        deadlines.set(3, at(10));
        deadlines.set(1, at(5));
        deadlines.set(3, None);
        assert_eq!(deadlines.next(), at(5));
        assert_eq!(deadlines.pop_due(now), None);
        let due = now + Duration::from_millis(20);
        assert_eq!(deadlines.pop_due(due), Some(1));
        assert_eq!(deadlines.pop_due(due), Some(2));
        assert_eq!(deadlines.pop_due(due), None);
        assert_eq!(deadlines.next(), None);
    }
}
