//! Talking to systemd: ready, stopping, status, watchdog, and sockets opened before us.
//!
//! Outside systemd every call does nothing. The watchdog is pinged by the main loop after it has
//! turned and by nobody else: a ping says that calls are being handled, not that a process exists.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// Tells systemd what the service is doing; a failure is worth a line, not a stop.
pub(crate) fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told about the state of the service");
    }
}

/// Pings the watchdog from within the main loop.
#[derive(Debug)]
pub(crate) struct Watchdog {
    /// How often to ping; absent when systemd watches nothing.
    every: Option<Duration>,
    due: Instant,
}

impl Watchdog {
    pub(crate) fn from_environment(now: Instant) -> Self {
        Self::new(sd_notify::watchdog_enabled(), now)
    }

    fn new(limit: Option<Duration>, now: Instant) -> Self {
        Self {
            // A third of the limit: one late turn does no harm, two stuck ones do.
            every: limit.map(|limit| limit / 3),
            due: now,
        }
    }

    /// When the main loop has to wake up for a ping, even if nothing else happens.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.every.map(|_| self.due)
    }

    /// To be called once per turn, after the work of the turn. Answers whether a ping is due.
    pub(crate) fn turned(&mut self, now: Instant) -> bool {
        match self.every {
            Some(every) if now >= self.due => {
                self.due = now + every;
                true
            }
            Some(_) | None => false,
        }
    }
}

/// Whether a service manager runs this process and starts it again when it ends with a fault.
pub(crate) fn starts_us_again() -> bool {
    // systemd.exec(5): set for every unit that it runs.
    std::env::var_os("INVOCATION_ID").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_pinged_three_times_per_limit_and_only_by_turns() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(Some(Duration::from_secs(30)), start);
        assert!(watchdog.turned(start));
        assert_eq!(watchdog.due(), Some(start + Duration::from_secs(10)));
        assert!(!watchdog.turned(start + Duration::from_secs(9)));
        assert!(watchdog.turned(start + Duration::from_secs(10)));
    }

    #[test]
    fn without_a_watchdog_the_loop_is_never_woken_for_it() {
        let now = Instant::now();
        let mut watchdog = Watchdog::new(None, now);
        assert_eq!(watchdog.due(), None);
        assert!(!watchdog.turned(now));
    }
}
