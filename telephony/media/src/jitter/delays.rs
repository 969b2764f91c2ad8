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

/// Microseconds in a step: two octets then hold half a second, four times the longest wait.
const STEP: i64 = 8;

/// A full reckoning comes so often, and with each packet later than expected.
const EVERY: u32 = 25;

#[derive(Debug)]
pub(super) struct Delays {
    /// The least of all that is kept, in microseconds.
    base: i64,
    /// How far each packet lies behind it, in steps; no further than the type goes.
    behind: [u16; WINDOW],
    count: usize,
    next: usize,
    /// In microseconds.
    reach: i64,
    since: u32,
}

impl Delays {
    pub(super) fn new() -> Delays {
        Delays {
            base: 0,
            behind: [0; WINDOW],
            count: 0,
            next: 0,
            reach: 0,
            since: 0,
        }
    }

    /// Microseconds.
    pub(super) fn add(&mut self, transit: i64) {
        if self.count == 0 {
            self.base = transit;
        }
        if transit < self.base {
            self.lower_base(transit);
        }
        let behind = steps(transit.saturating_sub(self.base));
        let leaving = self.behind[self.next];
        let full = self.count == WINDOW;
        self.behind[self.next] = behind;
        self.next = (self.next + 1) % WINDOW;
        self.count = (self.count + 1).min(WINDOW);
        self.since += 1;
        let later = micros(behind) > self.reach;
        if later || self.since >= EVERY || (full && leaving == 0) {
            self.reckon();
        }
    }

    /// The path without jitter.
    pub(super) fn base(&self) -> i64 {
        self.base
    }

    /// How long after the fastest packet nearly all have come.
    pub(super) fn reach(&self) -> i64 {
        self.reach
    }

    /// The path or the sender's clock is another one; the jitter is believed to be as it was.
    pub(super) fn move_base(&mut self, transit: i64) {
        self.base = transit;
    }

    /// By whole steps, or what is rounded would add up while a fast sender's transit falls.
    fn lower_base(&mut self, transit: i64) {
        let missing = self.base.saturating_sub(transit).saturating_add(STEP - 1) / STEP;
        self.base = self.base.saturating_sub(missing * STEP);
        let missing = u16::try_from(missing).unwrap_or(u16::MAX);
        for behind in &mut self.behind[..self.count] {
            *behind = behind.saturating_add(missing);
        }
    }

    /// Three in a hundred packets come after the 97th percentile; played
    /// without them, speech suffers audibly. For the usual tail (exponential)
    /// half as much again leaves one in two hundred, and a percentile that is
    /// so far out could not be measured in ten seconds.
    fn reckon(&mut self) {
        self.since = 0;
        let kept = &mut self.behind[..self.count];
        let least = kept.iter().copied().min().unwrap_or_default();
        self.base += micros(least);
        for behind in kept {
            *behind -= least;
        }
        let mut sorted = self.behind;
        let sorted = &mut sorted[..self.count];
        let at = (self.count * 97 / 100).min(self.count - 1);
        let (_, percentile, above) = sorted.select_nth_unstable(at);
        let percentile = micros(*percentile);
        let latest = above.iter().copied().max().map_or(percentile, micros);
        self.reach = (percentile * 3 / 2).min(latest);
    }
}

fn steps(micros: i64) -> u16 {
    u16::try_from(micros / STEP).unwrap_or(u16::MAX)
}

fn micros(steps: u16) -> i64 {
    i64::from(steps) * STEP
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
    fn a_clock_that_runs_fast_or_slow_is_followed() {
        for drift in [-3, 3] {
            let mut delays = Delays::new();
            for n in 0..100_000 {
                delays.add(n * drift + n % 2 * 10_000);
            }
            // The fastest of a slow sender are those of ten seconds ago.
            let least = if drift < 0 { 99_998 } else { 99_488 } * drift;
            assert!(
                (least - 8..=least + 8 + 25 * 3).contains(&delays.base()),
                "{drift}: {}",
                delays.base()
            );
            let reach = 10_000 + 512 * 3;
            assert!(
                (10_000 - 16..=reach).contains(&delays.reach()),
                "{drift}: {}",
                delays.reach()
            );
        }
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
