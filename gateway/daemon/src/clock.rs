//! The two clocks: the monotonic one that machines run on, and the wall clock of people and files.
//!
//! Converts moments near now from one to the other, and notices when the wall clock was set.

use std::time::{Duration, Instant, SystemTime};

use model::Timestamp;

/// The wall clock may drift by this much against the monotonic one before that counts as "set".
const DRIFT: Duration = Duration::from_secs(1);

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    pub(crate) instant: Instant,
    pub(crate) wall: Timestamp,
}

impl Clock {
    pub(crate) fn read() -> Self {
        let since_1970 = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let ms = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX);
        Self {
            instant: Instant::now(),
            wall: Timestamp::from_unix_ms(ms),
        }
    }

    /// What the wall clock shows at `instant`.
    pub(crate) fn wall_at(self, instant: Instant) -> Timestamp {
        match instant.checked_duration_since(self.instant) {
            Some(later) => self.wall.saturating_add(later),
            None => self
                .wall
                .saturating_sub(self.instant.saturating_duration_since(instant)),
        }
    }

    /// The moment at which the wall clock shows `wall`; nothing when that is over.
    pub(crate) fn instant_at(self, wall: Timestamp) -> Option<Instant> {
        let ahead = wall.unix_ms().checked_sub(self.wall.unix_ms())?;
        let ahead = Duration::from_millis(u64::try_from(ahead).ok()?);
        self.instant.checked_add(ahead)
    }

    /// Whether somebody has set the wall clock between this reading and a later one.
    pub(crate) fn was_set_before(self, later: Self) -> bool {
        let expected = self.wall_at(later.instant).unix_ms();
        let off = later.wall.unix_ms().abs_diff(expected);
        u128::from(off) > DRIFT.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn moments_go_from_one_clock_to_the_other_and_back() {
        let clock = Clock::read();
        for moment in [clock.instant, clock.instant + 3 * SECOND] {
            assert_eq!(clock.instant_at(clock.wall_at(moment)), Some(moment));
        }
        assert_eq!(clock.instant_at(clock.wall.saturating_sub(SECOND)), None);
    }

    #[test]
    fn a_clock_that_was_set_is_noticed_and_one_that_runs_is_not() {
        let clock = Clock::read();
        let later = |wall: Duration| Clock {
            instant: clock.instant + 10 * SECOND,
            wall: clock.wall.saturating_add(wall),
        };
        assert!(!clock.was_set_before(later(10 * SECOND)));
        assert!(!clock.was_set_before(later(10 * SECOND + SECOND / 2)));
        assert!(clock.was_set_before(later(15 * SECOND)));
        assert!(clock.was_set_before(later(Duration::ZERO)));
    }
}
