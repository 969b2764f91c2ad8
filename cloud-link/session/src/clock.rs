//! The core's clock, as this end knows it.
//!
//! Each `ack` tells it; between two it runs on with our own monotonic clock. Invariant: it is known
//! only while the last word of the core is young enough that two drifting clocks still agree within
//! the shortest life of a command.

use std::time::{Duration, Instant};

use contract::document::{Counter, Moment};

/// 200 millionths of drift are 0.7 s in this time; a door's command lives for 10 s.
const TRUSTED_FOR: Duration = Duration::from_secs(60 * 60);

#[derive(Clone, Copy, Debug, Default)]
pub struct CoreClock {
    heard: Option<(Moment, Instant)>,
}

impl CoreClock {
    pub fn heard(&mut self, said: Moment, now: Instant) {
        self.heard = Some((said, now));
    }

    /// What the core's clock shows; nothing when nobody can say.
    pub fn at(&self, now: Instant) -> Option<Moment> {
        let (said, heard) = self.heard?;
        let since = now.saturating_duration_since(heard);
        if since > TRUSTED_FOR {
            return None;
        }
        let since = i64::try_from(since.as_millis()).ok()?;
        Counter::new(said.0.get().checked_add(since)?)
            .ok()
            .map(Moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_on_for_an_hour_after_the_last_word() {
        let start = Instant::now();
        let mut clock = CoreClock::default();
        assert_eq!(clock.at(start), None);
        let said = Moment(Counter::new(1_000_000).expect("a counter"));
        clock.heard(said, start);
        let later = clock.at(start + Duration::from_secs(90));
        assert_eq!(later.map(|moment| moment.0.get()), Some(1_090_000));
        assert_eq!(
            clock.at(start + TRUSTED_FOR + Duration::from_millis(1)),
            None
        );
    }
}
