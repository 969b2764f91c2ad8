//! The engine's deadlines: a closed set of kinds, at most one deadline for each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use model::{CallId, CommandId, LegId, RequestId};

/// What a deadline is for. The order decides between deadlines of the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Nobody answered the fork of this call.
    NoAnswer(CallId),
    /// The conversation ends soon.
    Warning(CallId),
    /// The conversation is over its limit.
    Limit(CallId),
    /// The next round of an alarm.
    AlarmPause(CallId),
    /// The digits of a door code came too slowly.
    Digits(LegId),
    Remind(RequestId),
    Escalate(RequestId),
    Expire(RequestId),
    /// The server at home of a request did not say who won.
    Verdict(RequestId),
    DoorConfirm(CommandId),
    /// The command id need not be remembered any longer.
    DoorForget(CommandId),
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_time: BTreeSet<(Instant, Timer)>,
    by_kind: BTreeMap<Timer, Instant>,
}

impl Timers {
    /// Sets the deadline, in place of an earlier one of the same kind.
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.cancel(timer);
        self.by_kind.insert(timer, at);
        self.by_time.insert((at, timer));
    }

    pub(crate) fn cancel(&mut self, timer: Timer) {
        if let Some(at) = self.by_kind.remove(&timer) {
            self.by_time.remove(&(at, timer));
        }
    }

    pub(crate) fn deadline(&self, timer: Timer) -> Option<Instant> {
        self.by_kind.get(&timer).copied()
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes out the first timer that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.cancel(timer);
        Some(timer)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_time.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_timer_set_again_is_due_only_once_and_at_the_new_time() {
        let t0 = Instant::now();
        let (timer, second) = (Timer::Limit(CallId::new(1)), Duration::from_secs(1));
        let mut timers = Timers::default();
        timers.set(timer, t0 + second);
        timers.set(timer, t0 + 2 * second);
        assert_eq!(timers.pop_due(t0 + second), None);
        assert_eq!(timers.next(), Some(t0 + 2 * second));
        assert_eq!(timers.pop_due(t0 + 3 * second), Some(timer));
        assert_eq!((timers.next(), timers.len()), (None, 0));
    }
}
