//! The invariants of the engine, checked on every output and after every drain.
//!
//! This is a second, much simpler reading of the contract: it only knows which legs are alive, who
//! is connected with whom, and what must never happen twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use calls::{Arrival, Config, Engine, Event, Input, Output, RequestChange, Takeover};
use model::{CallId, CommandId, DoorDenial, DoorResult, LegId, LegRole, RequestId};

pub(crate) struct Checker {
    config: Config,
    legs: BTreeMap<LegId, Leg>,
    records: BTreeSet<LegId>,
    calls: BTreeSet<CallId>,
    connected: BTreeMap<(LegId, LegId), Instant>,
    talking_since: BTreeMap<(LegId, LegId), Instant>,
    pulsed: BTreeSet<CommandId>,
    door_records: BTreeSet<CommandId>,
    requests: BTreeMap<RequestId, Request>,
}

struct Leg {
    role: LegRole,
    call: Option<CallId>,
    answered: bool,
    /// It answered in the moment in which a deadline was due: either may be first.
    doubtful: bool,
    over: bool,
    mixed: bool,
}

#[derive(PartialEq, Eq)]
enum Request {
    Waiting,
    Taken,
    Closed,
}

impl Checker {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            legs: BTreeMap::new(),
            records: BTreeSet::new(),
            calls: BTreeSet::new(),
            connected: BTreeMap::new(),
            talking_since: BTreeMap::new(),
            pulsed: BTreeSet::new(),
            door_records: BTreeSet::new(),
            requests: BTreeMap::new(),
        }
    }

    pub(crate) fn input(&mut self, input: &Input, deadline_due: bool) {
        match input {
            Input::LegArrived(Arrival { leg: id, .. })
            | Input::LegTakesOver(Takeover { leg: id, .. }) => {
                let role = LegRole::Caller;
                let leg = Leg {
                    role,
                    call: None,
                    answered: false,
                    doubtful: false,
                    over: false,
                    mixed: false,
                };
                assert!(self.legs.insert(*id, leg).is_none(), "arrived twice");
            }
            Input::LegAnswered { leg } => {
                if let Some(leg) = self.legs.get_mut(leg)
                    && !leg.over
                    && leg.role == LegRole::Callee
                {
                    leg.answered = !deadline_due;
                    leg.doubtful = deadline_due;
                }
            }
            Input::LegRefused { leg, .. }
            | Input::LegEnded { leg, .. }
            | Input::LegRedirected { leg, .. } => {
                if let Some(leg) = self.legs.get_mut(leg) {
                    leg.over = true;
                }
            }
            _ => {}
        }
    }

    pub(crate) fn output(&mut self, output: &Output, now: Instant) {
        match output {
            Output::StartLeg(start) => {
                let (role, call) = (LegRole::Callee, Some(start.call));
                let leg = Leg {
                    role,
                    call,
                    answered: false,
                    doubtful: false,
                    over: false,
                    mixed: false,
                };
                assert!(self.legs.insert(start.leg, leg).is_none(), "started twice");
                let rings = self.legs.values().filter(|l| {
                    l.call == call && l.role == LegRole::Callee && !l.over && !l.answered
                });
                assert!(rings.count() <= 32, "a fork of more than 32");
            }
            Output::ShowProgress { leg, .. } => {
                let leg = self.alive(*leg);
                assert!(
                    leg.role == LegRole::Caller && !leg.answered,
                    "progress after the answer"
                );
            }
            Output::AnswerLeg { leg } => {
                let leg = self.alive(*leg);
                assert!(
                    leg.role == LegRole::Caller && !leg.answered,
                    "answered twice"
                );
                leg.answered = true;
            }
            Output::RefuseLeg { leg, .. } => {
                let leg = self.alive(*leg);
                assert!(
                    leg.role == LegRole::Caller && !leg.answered,
                    "refused after the answer"
                );
                leg.over = true;
            }
            Output::EndLeg { leg, .. } => self.leg_ends(*leg),
            Output::Connect { a, b, .. } => {
                assert_ne!(a, b);
                for leg in [a, b] {
                    assert!(self.peers(*leg).is_empty(), "{leg} connected twice");
                    let leg = self.alive(*leg);
                    assert!(
                        (leg.answered || leg.doubtful) && !leg.mixed,
                        "connected before the answer"
                    );
                }
                self.connected.insert((*a, *b), now);
                self.talking_since.entry((*a, *b)).or_insert(now);
            }
            Output::SetTalkMode { a, b, .. } => {
                assert!(self.connected.contains_key(&(*a, *b)), "not connected");
            }
            Output::Disconnect { a, b } => {
                assert!(self.connected.remove(&(*a, *b)).is_some(), "not connected");
            }
            Output::Mix { leg, .. } => {
                assert!(self.peers(*leg).is_empty(), "in a room and connected");
                let leg = self.alive(*leg);
                assert!(leg.answered, "in a room before the answer");
                leg.mixed = true;
            }
            Output::Echo { leg } | Output::Play { leg, .. } => {
                let leg = self.alive(*leg);
                assert!(
                    leg.answered && !leg.mixed,
                    "an echo before the answer, or twice"
                );
                leg.mixed = true;
            }
            Output::Unmix { leg, .. } => {
                let leg = self.legs.get_mut(leg).expect("a known leg");
                assert!(std::mem::replace(&mut leg.mixed, false), "not in a room");
            }
            Output::EarlyMedia { from, to } => {
                self.alive(*from);
                self.alive(*to);
            }
            Output::Tone { leg, .. } | Output::SendDigit { leg, .. } => {
                assert!(
                    self.alive(*leg).answered,
                    "a tone to a leg that is not answered"
                );
            }
            Output::TransferStatus { leg, .. } => {
                self.alive(*leg);
            }
            Output::PulseDoor(pulse) => {
                assert!(
                    self.pulsed.insert(pulse.command),
                    "a second pulse for one command"
                );
                assert!(pulse.valid_until > now, "a pulse after its validity");
                assert!(
                    !self.door_records.contains(&pulse.command),
                    "a pulse after the record"
                );
            }
            Output::DoorRecord(record) => {
                // What comes again long after its validity is told again, as expired.
                let expired = record.result == DoorResult::Denied(DoorDenial::Expired);
                let first = self.door_records.insert(record.command);
                assert!(first || expired, "a second door record");
                assert!(record.asked <= record.concluded);
            }
            Output::Record(record) => {
                let leg = self.legs.get(&record.leg).expect("a record of a known leg");
                assert!(leg.over, "a record of a leg that is not over");
                assert!(leg.doubtful || leg.answered == record.answered.is_some());
                assert!(record.started <= record.ended);
                assert!(self.records.insert(record.leg), "a second record");
            }
            Output::Event(event) => self.event(event),
            Output::ClaimAtHome { .. } | Output::Timeout(_) => {}
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::CallStarted { call, .. } => {
                assert!(self.calls.insert(*call), "a call started twice");
            }
            Event::CallEnded { call } => {
                assert!(self.calls.remove(call), "a call ended twice");
            }
            Event::Request { request, change } => {
                let before = self.requests.get(request);
                let after = match change {
                    RequestChange::Queued { .. } => {
                        assert!(before.is_none(), "a request queued twice");
                        Request::Waiting
                    }
                    RequestChange::Taken { .. } => {
                        assert!(before == Some(&Request::Waiting), "a request taken twice");
                        Request::Taken
                    }
                    RequestChange::Returned { .. } => Request::Waiting,
                    RequestChange::Closed { .. } => {
                        assert!(before != Some(&Request::Closed), "a request closed twice");
                        Request::Closed
                    }
                    RequestChange::Reminder | RequestChange::AlsoAt { .. } => {
                        assert!(
                            before == Some(&Request::Waiting),
                            "of a request not waiting"
                        );
                        Request::Waiting
                    }
                };
                self.requests.insert(*request, after);
            }
            _ => {}
        }
    }

    /// What must hold whenever nothing is left to be done.
    pub(crate) fn drained(&mut self, engine: &Engine, now: Instant) {
        for (id, leg) in &self.legs {
            assert_eq!(
                leg.over,
                self.records.contains(id),
                "{id}: over, but without a record"
            );
            assert_eq!(
                !leg.over,
                engine.call_of_leg(*id).is_some(),
                "{id}: known to the engine"
            );
            assert!(!(leg.over && leg.mixed), "{id} is over and in a room");
        }
        for (a, b) in self.connected.keys() {
            assert!(
                !self.legs[a].over && !self.legs[b].over,
                "connected with a leg that is over"
            );
            let since = self.talking_since[&(*a, *b)];
            assert!(
                now < since + self.config.conversation_limit,
                "{a}-{b} outlives its limit"
            );
        }
        let gauges = engine.gauges();
        let alive = self.legs.values().filter(|l| !l.over).count();
        assert_eq!(gauges.legs, alive, "legs that the engine forgot or keeps");
        assert_eq!(gauges.calls, self.calls.len(), "calls without an end");
        let open = self
            .requests
            .values()
            .filter(|r| **r != Request::Closed)
            .count();
        assert_eq!(gauges.requests, open, "requests without an end");
        assert!(
            gauges.timers
                <= 4 * gauges.calls + 4 * gauges.requests + gauges.legs + 2 * gauges.door_commands,
            "timers of what is gone: {gauges:?}"
        );
        for call in engine.calls() {
            assert!(!call.legs.is_empty(), "{call:?} has no legs");
            for leg in &call.legs {
                assert_eq!(engine.call_of_leg(leg.leg), Some(call.call), "{call:?}");
            }
        }
        // What is long over needs no second look.
        if self.legs.len() > 4 * (alive + 64) {
            self.legs.retain(|_, leg| !leg.over);
        }
    }

    fn leg_ends(&mut self, id: LegId) {
        assert!(self.peers(id).is_empty(), "{id} ends while connected");
        // An answer that crossed our ending brings it once more.
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if leg.over {
            return;
        }
        assert!(!leg.mixed, "{id} ends in a room");
        assert!(
            leg.role == LegRole::Callee || leg.answered,
            "ended instead of refused"
        );
        leg.over = true;
    }

    #[track_caller]
    fn alive(&mut self, id: LegId) -> &mut Leg {
        let leg = self.legs.get_mut(&id).expect("a known leg");
        assert!(!leg.over, "{id} is over");
        leg
    }

    fn peers(&self, leg: LegId) -> Vec<LegId> {
        let both = self.connected.keys();
        both.filter(|(a, b)| *a == leg || *b == leg)
            .map(|(a, b)| if *a == leg { *b } else { *a })
            .collect()
    }
}
