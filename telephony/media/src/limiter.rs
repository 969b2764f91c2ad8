//! A packet rate with a burst, kept in one instant.
//!
//! The generic cell rate algorithm: cheaper than a bucket of tokens, and
//! exact. Does not queue: what comes too fast is refused.

use std::time::{Duration, Instant};

/// How many packets a second, and how many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub per_second: u32,
    pub burst: u32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Limiter {
    interval: Duration,
    tolerance: Duration,
    /// When the next packet would be due if they came evenly.
    due: Instant,
}

impl Limiter {
    pub(crate) fn new(rate: Rate, now: Instant) -> Limiter {
        let interval = Duration::from_secs(1) / rate.per_second.max(1);
        Limiter {
            interval,
            tolerance: interval.saturating_mul(rate.burst.saturating_sub(1)),
            due: now,
        }
    }

    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        if self.due.saturating_duration_since(now) > self.tolerance {
            return false;
        }
        self.due = self.due.max(now) + self.interval;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_a_burst_then_the_rate() {
        let start = Instant::now();
        let rate = Rate {
            per_second: 100,
            burst: 5,
        };
        let mut limiter = Limiter::new(rate, start);
        assert_eq!((0..50).filter(|_| limiter.admit(start)).count(), 5);
        let second = (1..=1000).map(|ms| start + Duration::from_millis(ms));
        assert_eq!(second.filter(|at| limiter.admit(*at)).count(), 100);
        let later = start + Duration::from_secs(60);
        assert_eq!((0..50).filter(|_| limiter.admit(later)).count(), 5);
    }
}
