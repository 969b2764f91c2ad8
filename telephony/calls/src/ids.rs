//! Ids that are never used twice, not even after a restart.
//!
//! The upper 24 bits are the number of this start, the lower 40 count.

use std::time::Duration;

use model::{CallId, CommandId, LegId, RecordId, RequestId};

#[derive(Debug)]
pub(crate) struct Ids {
    legs: Counter,
    calls: Counter,
    requests: Counter,
    records: Counter,
    commands: Counter,
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    first: u64,
    next: u64,
}

impl Counter {
    fn take(&mut self) -> u64 {
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        id
    }
}

impl Ids {
    pub(crate) fn new(start_count: u32) -> Self {
        let first = u64::from(start_count & 0x00ff_ffff) << 40 | 1;
        let counter = Counter { first, next: first };
        Self {
            legs: counter,
            calls: counter,
            requests: counter,
            records: counter,
            commands: counter,
        }
    }

    pub(crate) fn leg(&mut self) -> LegId {
        LegId::new(self.legs.take())
    }

    pub(crate) fn call(&mut self) -> CallId {
        CallId::new(self.calls.take())
    }

    pub(crate) fn request(&mut self) -> RequestId {
        RequestId::new(self.requests.take())
    }

    pub(crate) fn record(&mut self) -> RecordId {
        RecordId::new(self.records.take())
    }

    /// Ids of commands that arise in here begin with 64 zero bits; no UUID (RFC 9562) does.
    pub(crate) fn command(&mut self) -> CommandId {
        CommandId::new(u128::from(self.commands.take()))
    }

    /// Whether a leg of this id was ever given out since the start.
    pub(crate) fn gave_out(&self, leg: LegId) -> bool {
        (self.legs.first..self.legs.next).contains(&leg.get())
    }
}

/// Spreads those who are told to come back later. Not for secrets.
#[derive(Debug)]
pub(crate) struct Spread(u64);

impl Spread {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Between `least` and twice that.
    pub(crate) fn from(&mut self, least: Duration) -> Duration {
        let least = least.min(Duration::from_secs(86_400));
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let part = u32::try_from((z >> 31) & 0x3ff).unwrap_or_default();
        least + least * part / 1_024
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_two_starts_never_meet() {
        let (mut first, mut second) = (Ids::new(1), Ids::new(2));
        let (a, b) = (first.leg(), second.leg());
        assert_ne!(a, b);
        assert!(first.gave_out(a) && !first.gave_out(b));
    }

    #[test]
    fn who_is_refused_for_load_comes_back_at_different_times() {
        let least = Duration::from_secs(5);
        let mut spread = Spread::new(7);
        let waits: Vec<_> = (0..50).map(|_| spread.from(least)).collect();
        assert!(waits.iter().all(|w| *w >= least && *w < 2 * least));
        let mut distinct = waits.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert!(distinct.len() > 40, "{waits:?}");
    }
}
