//! An alarm must always find somebody: when its own way ends, it goes through the site's
//! escalation list, round after round, until somebody answers or the caller gives up.
//!
//! Invariant: between two rounds there is a pause, so that a site where nothing answers costs
//! nothing but time.

use model::{Address, CallId, LegId};

use crate::call::{Escalating, Purpose, Shown, State};
use crate::engine::Engine;
use crate::output::{CallerProgress, Event, Output};
use crate::timer::Timer;

impl Engine {
    /// This way led to nobody: the next one, or a pause when all were tried.
    pub(crate) fn escalate(&mut self, call: CallId) {
        let Some(caller) = self.caller_of(call) else {
            return;
        };
        let list = self.directory.site().escalation.len();
        let round = self.calls.get(&call).map_or(0, |c| c.round);
        let all_tried = list == 0 || (round > 0 && round.is_multiple_of(list));
        if !all_tried {
            return self.try_next(call, caller);
        }
        self.set_state(call, State::Escalating(Escalating { caller }));
        if self.legs.get(&caller).is_some_and(|leg| !leg.is_answered()) {
            let progress = CallerProgress::Ringing;
            self.push(Output::ShowProgress {
                leg: caller,
                progress,
            });
        }
        let until = self.after(self.config.alarm_pause);
        self.timers.set(Timer::AlarmPause(call), until);
    }

    pub(crate) fn alarm_pause_over(&mut self, call: CallId) {
        if let Some(caller) = self.caller_of(call) {
            self.try_next(call, caller);
        }
    }

    fn try_next(&mut self, call: CallId, caller: LegId) {
        let Some(entry) = self.calls.get_mut(&call) else {
            return;
        };
        let list = &self.directory.site().escalation;
        let to: Address = match list.get(entry.round.checked_rem(list.len()).unwrap_or(0)) {
            Some(to) => to.clone(),
            None => entry.dialled.clone(),
        };
        entry.round = entry.round.wrapping_add(1);
        self.counters.alarms_escalated += 1;
        self.event(Event::AlarmEscalated {
            call,
            to: to.clone(),
        });
        self.start_ringing(call, caller, Purpose::Call);
        // The caller hears that it goes on, and never goes back to "trying".
        self.show(call, Shown::Ringing);
        self.route(call, to);
    }
}
