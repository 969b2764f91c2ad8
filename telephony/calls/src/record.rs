//! One record for each leg, written in the moment in which the leg is over (C7).
//!
//! Durations come from the monotonic clock. The moments on the wall clock are reckoned back from
//! the end, so that a corrected clock never makes a call end before it began.

use model::{CallRecord, DialStatus, EndCause, LegId};

use crate::engine::Engine;
use crate::leg::{Leg, LegState};
use crate::output::Output;

impl Engine {
    pub(crate) fn record(&mut self, id: LegId, leg: Leg, cause: EndCause) {
        let ended = self.wall();
        let since = |moment| self.now.saturating_duration_since(moment);
        let (answered, rang_for, talked_for) = match leg.state {
            LegState::Answered { at } => {
                let talked_for = since(at);
                let rang_for = at.saturating_duration_since(leg.started);
                (Some(ended.saturating_sub(talked_for)), rang_for, talked_for)
            }
            LegState::Trying | LegState::Ringing | LegState::Early => {
                (None, since(leg.started), std::time::Duration::ZERO)
            }
        };
        let status = match answered {
            Some(_) => DialStatus::Answered,
            None => DialStatus::of_unanswered(cause),
        };
        self.counters.leg_ended(status);
        if cause == EndCause::PreEmpted {
            self.counters.pre_empted += 1;
        }
        let record = CallRecord {
            id: self.ids.record(),
            call: leg.call,
            leg: id,
            role: leg.role,
            party: self.party(&leg.who),
            dialled: leg.dialled,
            by_way_of: leg.by_way_of,
            priority: self.priority_of(leg.call),
            started: ended.saturating_sub(since(leg.started)),
            answered,
            ended,
            rang_for,
            talked_for,
            talked_with: leg.talked_with,
            status,
            cause,
            // Audio is the owner's; it knows the figures when the leg's media are closed.
            audio: None,
        };
        self.push(Output::Record(Box::new(record)));
    }
}
