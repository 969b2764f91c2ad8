//! Hold: a leg that holds hears nobody and is heard by nobody; the other side is told by a tone.
//!
//! Whether a leg holds is a matter of the leg, not of its conversation: who puts a call on hold to
//! hand it over and gets it back still holds it.

use model::{CallId, LegId};

use crate::call::State;
use crate::engine::Engine;
use crate::leg::Hold;
use crate::output::{Event, Output, Phase, Tone};

impl Engine {
    pub(crate) fn set_hold(&mut self, leg: LegId, hold: Hold) {
        let Some(entry) = self.legs.get_mut(&leg) else {
            self.counters.stale_inputs += 1;
            return;
        };
        if !entry.is_answered() || entry.hold == hold {
            self.counters.unfit_inputs += 1;
            return;
        }
        entry.hold = hold;
        let call = entry.call;
        match self.calls.get(&call).map(|c| &c.state) {
            Some(State::Talking(_)) => self.part_or_rejoin(call, leg),
            Some(State::Room(_)) => self.member_hold(call, leg, hold),
            Some(
                State::Summoning(_) | State::Ringing(_) | State::Queued(_) | State::Escalating(_),
            )
            | None => {}
        }
    }

    fn part_or_rejoin(&mut self, call: CallId, changed: LegId) {
        let Some(talking) = self.talking(call) else {
            return;
        };
        let (a, b, mode, joined) = (talking.a.leg, talking.b.leg, talking.mode, talking.joined);
        let other = if a == changed { b } else { a };
        let join = !self.holds(a) && !self.holds(b);
        if let Some(talking) = self.talking(call) {
            talking.joined = join;
        }
        let phase = match (joined, join) {
            (false, true) => {
                self.push(Output::Connect { a, b, mode });
                Phase::Talking
            }
            (true, false) => {
                self.push(Output::Disconnect { a, b });
                Phase::Held
            }
            (false, false) | (true, true) => Phase::Held,
        };
        if joined != join {
            self.event(Event::CallChanged { call, phase });
        }
        self.tell_held(changed, other);
    }

    /// Who waits because the other one holds, hears so.
    pub(crate) fn tell_held(&mut self, one: LegId, other: LegId) {
        let waits = match (self.holds(one), self.holds(other)) {
            (true, false) => other,
            (false, true) => one,
            (false, false) | (true, true) => return,
        };
        self.push(Output::Tone {
            leg: waits,
            tone: Tone::Hold,
        });
    }

    /// Who answers a second call leaves the first one on hold.
    pub(crate) fn hold_other_calls(&mut self, call: CallId, winner: LegId) {
        let Some(station) = self.station_of_leg(winner) else {
            return;
        };
        for leg in self.stations.legs(station).to_vec() {
            let Some(other) = self.call_of(leg).filter(|other| *other != call) else {
                continue;
            };
            let talks = self.talking(other).is_some_and(|t| t.other(leg).is_some());
            if talks && !self.holds(leg) {
                self.set_hold(leg, Hold::On);
            }
        }
    }

    pub(crate) fn holds(&self, leg: LegId) -> bool {
        self.legs.get(&leg).is_some_and(|leg| leg.hold == Hold::On)
    }
}
