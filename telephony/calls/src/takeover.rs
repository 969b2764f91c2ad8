//! A station takes its own conversation over at another of its devices, or answers there what rings
//! at the first (RFC 3891).
//!
//! Only a station itself may do that, with a leg of its own. Rooms, queues and callers that wait are
//! not taken over: whoever wants that ends the one and calls with the other.

use model::{CallId, EndCause, LegId, StationId};

use crate::call::State;
use crate::digits::Typed;
use crate::engine::Engine;
use crate::input::Takeover;
use crate::leg::{Hold, Leg, LegState, Who};
use crate::output::Alert;
use crate::timer::Timer;

impl Engine {
    /// Whether a leg of this station that arrives now may take the place of `replaced`.
    pub fn may_take_over(&self, station: StationId, replaced: LegId) -> bool {
        let own = |leg: &&Leg| leg.who == Who::Station(station);
        let Some(old) = self.legs.get(&replaced).filter(own) else {
            return false;
        };
        match self.calls.get(&old.call).map(|call| &call.state) {
            Some(State::Talking(_)) => true,
            Some(State::Ringing(ringing)) => ringing.fork.contains(&replaced),
            Some(
                State::Summoning(_) | State::Queued(_) | State::Escalating(_) | State::Room(_),
            )
            | None => false,
        }
    }

    pub(crate) fn leg_takes_over(&mut self, takeover: Takeover) {
        let Takeover {
            leg,
            station,
            replaced,
            video,
        } = takeover;
        let is_new = !self.legs.contains_key(&leg) && self.ids.gave_out(leg);
        let (true, true, Some(old)) = (
            is_new,
            self.may_take_over(station, replaced),
            self.legs.get(&replaced),
        ) else {
            self.counters.unfit_inputs += 1;
            return;
        };
        let (call, role) = (old.call, old.role);
        let new = Leg {
            call,
            who: Who::Station(station),
            role,
            state: LegState::Trying,
            started: self.now,
            video,
            alert: Alert::Expected,
            hold: Hold::Off,
            talked_with: None,
            dialled: old.dialled.clone(),
            by_way_of: old.by_way_of.clone(),
            typed: Typed::default(),
        };
        self.counters.takeovers += 1;
        self.add_leg(leg, new);
        self.take_place(call, leg, replaced);
    }

    fn take_place(&mut self, call: CallId, leg: LegId, replaced: LegId) {
        if let Some(ringing) = self.ringing(call) {
            ringing.fork.push(leg);
            return self.won(call, leg);
        }
        let Some(other) = self.talking(call).and_then(|talk| talk.other(replaced)) else {
            return;
        };
        let limit = self.timers.deadline(Timer::Limit(call));
        let limit = limit.unwrap_or_else(|| self.after(self.config.conversation_limit));
        self.part(replaced);
        self.end_leg(replaced, EndCause::Transferred);
        self.join_until(call, leg, other, limit);
    }
}
