//! How much is kept of one sender, so that a flood does not push out what others said.
//!
//! A token bucket for each address, far above what a busy telephone system says. Invariant: the
//! number of addresses is bounded; an address that is forgotten begins anew.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

/// Messages a second that are kept of one address for long.
const RATE: f64 = 200.0;
/// How many may come at once.
const BURST: f64 = 2_000.0;
const ADDRESSES: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Sources {
    all: HashMap<IpAddr, Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * RATE).min(BURST);
        self.at = now;
    }
}

impl Sources {
    /// Whether one more message of `source` is kept.
    pub(super) fn admit(&mut self, source: IpAddr, now: Instant) -> bool {
        if self.all.len() >= ADDRESSES && !self.all.contains_key(&source) {
            self.forget(now);
        }
        let bucket = self.all.entry(source).or_insert(Bucket {
            left: BURST,
            at: now,
        });
        bucket.fill(now);
        let admitted = bucket.left >= 1.0;
        if admitted {
            bucket.left -= 1.0;
        }
        admitted
    }

    /// Those that are quiet; if all are loud, all.
    fn forget(&mut self, now: Instant) {
        self.all.retain(|_, bucket| {
            bucket.fill(now);
            bucket.left < BURST
        });
        if self.all.len() >= ADDRESSES {
            self.all.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_is_cut_and_others_are_not() {
        let (mut sources, now) = (Sources::default(), Instant::now());
        let [loud, quiet] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        let kept = (0..10_000).filter(|_| sources.admit(loud, now)).count();
        assert_eq!(kept, 2_000);
        assert!(sources.admit(quiet, now));
        let later = now + Duration::from_secs(1);
        let kept = (0..10_000).filter(|_| sources.admit(loud, later)).count();
        assert_eq!(kept, 200);
    }

    #[test]
    fn ever_new_addresses_do_not_fill_the_memory() {
        let (mut sources, now) = (Sources::default(), Instant::now());
        for address in 0..100_000_u32 {
            assert!(sources.admit(Ipv4Addr::from_bits(address).into(), now));
        }
        assert!(sources.all.len() <= ADDRESSES);
    }
}
