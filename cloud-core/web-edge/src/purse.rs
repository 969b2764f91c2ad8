//! So much may be spent in a second, and some more at once.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Purse {
    left: f64,
    most: f64,
    since: Instant,
}

impl Purse {
    /// Filled within a second.
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        let most = f64::from(per_second);
        Self {
            left: most,
            most,
            since: now,
        }
    }

    pub(crate) fn spend(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.since);
        if passed > Duration::ZERO {
            self.left = (self.left + passed.as_secs_f64() * self.most).min(self.most);
            self.since = now;
        }
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_gets_what_is_in_it_and_then_what_a_second_brings() {
        let start = Instant::now();
        let mut purse = Purse::new(10, start);
        let spent = |purse: &mut Purse, at| (0..100).filter(|_| purse.spend(at)).count();
        assert_eq!(spent(&mut purse, start), 10);
        assert_eq!(spent(&mut purse, start + Duration::from_millis(500)), 5);
        assert_eq!(spent(&mut purse, start + Duration::from_secs(60)), 10);
    }
}
