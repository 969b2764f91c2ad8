//! How late packets come, compared with the fastest of the last seconds.
//!
//! Keeps the transit times (arrival minus media time) of the last 512 packets.
//! Their least is the path without its jitter; as a window moves, it follows a
//! sender's clock that runs fast or slow. How far the slow ones lie behind it
//! says how long a buffer must wait.
//!
//! Invariant: the reach is what was measured, never more than the latest packet.

/// Ten seconds of packets.
const WINDOW: usize = 512;

/// A full reckoning comes so often, and with each packet later than expected.
const EVERY: u32 = 25;

/// Microseconds throughout.
#[derive(Debug)]
pub(super) struct Delays {
    /// Subtracted from all that is kept, so that it fits.
    origin: i64,
    kept: [i32; WINDOW],
    count: usize,
    next: usize,
    base: i32,
    reach: i64,
    since: u32,
}

impl Delays {
    pub(super) fn new() -> Delays {
        Delays {
            origin: 0,
            kept: [0; WINDOW],
            count: 0,
            next: 0,
            base: 0,
            reach: 0,
            since: 0,
        }
    }

    pub(super) fn add(&mut self, transit: i64) {
        if self.count == 0 {
            self.origin = transit;
        }
        let relative = transit.saturating_sub(self.origin);
        let relative = relative.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        let leaving = self.kept[self.next];
        let full = self.count == WINDOW;
        self.kept[self.next] = relative;
        self.next = (self.next + 1) % WINDOW;
        self.count = (self.count + 1).min(WINDOW);
        if self.count == 1 || relative < self.base {
            self.base = relative;
        }
        self.since += 1;
        let later = i64::from(relative) - i64::from(self.base) > self.reach;
        if later || self.since >= EVERY || (full && leaving == self.base) {
            self.reckon();
        }
    }

    /// The path without jitter.
    pub(super) fn base(&self) -> i64 {
        self.origin + i64::from(self.base)
    }

    /// How long after the fastest packet nearly all have come.
    pub(super) fn reach(&self) -> i64 {
        self.reach
    }

    /// The path or the sender's clock is another one; the jitter is believed to be as it was.
    pub(super) fn move_base(&mut self, transit: i64) {
        self.origin = transit - i64::from(self.base);
    }

    /// Three in a hundred packets come after the 97th percentile; played
    /// without them, speech suffers audibly. For the usual tail (exponential)
    /// half as much again leaves one in two hundred, and a percentile that is
    /// so far out could not be measured in ten seconds.
    fn reckon(&mut self) {
        self.since = 0;
        let mut sorted = self.kept;
        let sorted = &mut sorted[..self.count];
        let at = (self.count * 97 / 100).min(self.count - 1);
        let (below, percentile, above) = sorted.select_nth_unstable(at);
        let percentile = *percentile;
        let latest = above.iter().copied().max().unwrap_or(percentile);
        let least = below.iter().copied().min().unwrap_or(percentile);
        self.base = least;
        let behind = |transit: i32| i64::from(transit) - i64::from(least);
        self.reach = (behind(percentile) * 3 / 2).min(behind(latest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_path_has_no_reach_wherever_its_clocks_began() {
        for start in [0, -7_000_000_000, 7_000_000_000] {
            let mut delays = Delays::new();
            for _ in 0..600 {
                delays.add(start);
            }
            assert_eq!((delays.base(), delays.reach()), (start, 0));
        }
    }

    #[test]
    fn the_reach_covers_nearly_all_and_forgets_after_ten_seconds() {
        let mut delays = Delays::new();
        for n in 0..512 {
            delays.add(if n % 10 == 0 { 40_000 } else { n % 7 * 1000 });
        }
        assert_eq!((delays.base(), delays.reach()), (0, 40_000));
        for _ in 0..540 {
            delays.add(5000);
        }
        assert_eq!((delays.base(), delays.reach()), (5000, 0));
    }

    #[test]
    fn a_rare_straggler_does_not_count_but_a_burst_does_at_once() {
        let mut delays = Delays::new();
        for _ in 0..400 {
            delays.add(0);
        }
        delays.add(90_000);
        assert_eq!(delays.reach(), 0);
        for _ in 0..20 {
            delays.add(90_000);
        }
        assert_eq!(delays.reach(), 90_000);
    }

    #[test]
    fn a_new_base_keeps_the_jitter() {
        let mut delays = Delays::new();
        for n in 0..100 {
            delays.add(n % 2 * 30_000);
        }
        delays.move_base(1_000_000);
        assert_eq!((delays.base(), delays.reach()), (1_000_000, 30_000));
        delays.add(1_010_000);
        assert_eq!(delays.base(), 1_000_000);
    }
}
