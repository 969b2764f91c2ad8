//! Handing a conversation over: blind (to an address) and attended (two conversations of one
//! station become one).
//!
//! A blind transfer does not burn its bridge: until somebody answers, the one who hands over may
//! stay, and gets the conversation back if nobody does. If they leave, the search goes on without
//! them.

use model::{Address, CallId, EndCause, LegId};

use crate::call::{Back, Purpose, State};
use crate::engine::Engine;
use crate::output::{Output, Tone, TransferStatus};
use crate::timer::Timer;

impl Engine {
    pub(crate) fn transfer(&mut self, leg: LegId, to: Address) {
        let Some(call) = self.call_of(leg) else {
            self.counters.stale_inputs += 1;
            return;
        };
        let Some(other) = self.talking(call).and_then(|t| t.other(leg)) else {
            return self.transfer_refused(leg, EndCause::NotAllowed);
        };
        if !self.is_known(leg) {
            return self.transfer_refused(leg, EndCause::NotAllowed);
        }
        if self.directory.destination(&to).is_none() {
            return self.transfer_refused(leg, EndCause::UnknownNumber);
        }
        self.counters.transfers += 1;
        self.part(leg);
        let back = Some(Back {
            leg,
            limit: self.timers.deadline(Timer::Limit(call)),
        });
        self.cancel_call_timers(call);
        self.push(Output::TransferStatus {
            leg,
            status: TransferStatus::Trying,
        });
        self.start_ringing(call, other, Purpose::Transfer { back });
        self.route(call, to);
    }

    fn transfer_refused(&mut self, leg: LegId, cause: EndCause) {
        self.counters.transfers_failed += 1;
        self.push(Output::TransferStatus {
            leg,
            status: TransferStatus::Failed(cause),
        });
    }

    /// Somebody has answered (or the caller waits at a desk, or is in a room): the one who handed
    /// over is done.
    pub(crate) fn transfer_done(&mut self, back: Option<Back>) {
        let Some(Back { leg, .. }) = back else { return };
        self.push(Output::TransferStatus {
            leg,
            status: TransferStatus::Done,
        });
        self.end_leg(leg, EndCause::Transferred);
    }

    /// Nobody answered: the conversation is again what it was.
    pub(crate) fn transfer_failed(&mut self, call: CallId, back: Back, cause: EndCause) {
        let Some(caller) = self.caller_of(call) else {
            return;
        };
        self.transfer_refused(back.leg, cause);
        let limit = back
            .limit
            .unwrap_or_else(|| self.after(self.config.conversation_limit));
        if limit <= self.now {
            return self.limit_reached(call);
        }
        self.join_until(call, back.leg, caller, limit);
    }

    pub(crate) fn transfer_attended(&mut self, leg: LegId, with: LegId) {
        let (Some(first), Some(second)) = (self.call_of(leg), self.call_of(with)) else {
            self.counters.stale_inputs += 1;
            return;
        };
        let one_owner = match (self.legs.get(&leg), self.legs.get(&with)) {
            (Some(one), Some(other)) => one.who == other.who,
            (Some(_) | None, _) => false,
        };
        let Some(b) = self.talking(first).and_then(|t| t.other(leg)) else {
            return self.transfer_refused(leg, EndCause::NotAllowed);
        };
        if first == second || !one_owner || !self.is_known(leg) {
            return self.transfer_refused(leg, EndCause::NotAllowed);
        }
        if let Some(c) = self.talking(second).and_then(|t| t.other(with)) {
            if self.same_station(b, c) {
                return self.transfer_refused(leg, EndCause::NotAllowed);
            }
            self.merge_conversations((first, leg, b), (second, with, c));
        } else if self.waits_for_answer(second, with) {
            self.hand_to_ringing((first, leg, b), (second, with));
        } else {
            self.transfer_refused(leg, EndCause::NotAllowed);
        }
    }

    /// Both conversations are established: their far ends talk with each other.
    fn merge_conversations(
        &mut self,
        (first, leg, b): (CallId, LegId, LegId),
        (second, with, c): (CallId, LegId, LegId),
    ) {
        self.counters.transfers += 1;
        self.part(leg);
        self.part(with);
        self.move_leg(c, first);
        let urgency = self.priority_of(second);
        if let Some(call) = self.calls.get_mut(&first) {
            call.priority = call.priority.min(urgency);
        }
        self.push(Output::TransferStatus {
            leg,
            status: TransferStatus::Done,
        });
        self.end_leg(leg, EndCause::Transferred);
        self.end_leg(with, EndCause::Transferred);
        self.join(first, b, c);
        self.finish_call(second);
    }

    /// The second call still rings: who was talked with waits there from now on.
    fn hand_to_ringing(
        &mut self,
        (first, leg, b): (CallId, LegId, LegId),
        (second, with): (CallId, LegId),
    ) {
        self.counters.transfers += 1;
        self.part(leg);
        self.move_leg(b, second);
        if let Some(State::Ringing(ringing)) = self.calls.get_mut(&second).map(|c| &mut c.state) {
            ringing.caller = b;
        }
        self.push(Output::Tone {
            leg: b,
            tone: Tone::Ringback,
        });
        self.push(Output::TransferStatus {
            leg,
            status: TransferStatus::Done,
        });
        self.end_leg(leg, EndCause::Transferred);
        self.end_leg(with, EndCause::Transferred);
        self.finish_call(first);
    }

    fn same_station(&self, one: LegId, other: LegId) -> bool {
        let station = self.station_of_leg(one);
        station.is_some() && station == self.station_of_leg(other)
    }

    fn waits_for_answer(&mut self, call: CallId, leg: LegId) -> bool {
        self.ringing(call)
            .is_some_and(|ringing| ringing.caller == leg && ringing.purpose == Purpose::Call)
    }

    /// From now on the leg belongs to this call.
    pub(crate) fn move_leg(&mut self, leg: LegId, to: CallId) {
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.call = to;
        }
        self.touch_leg(leg);
    }
}
