//! A call and its states: one struct per state, holding only what is valid there.

use std::time::Instant;

use model::{
    Address, CallId, ConferenceId, EarlyMedia, EndCause, GroupCallId, LegId, Party, Priority,
    RequestId, RingGroupId, StationId, TalkMode,
};

use crate::engine::{Engine, Service};
use crate::input::Playback;
use crate::output::{Event, Part, Phase};
use crate::timer::Timer;

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) priority: Priority,
    /// Who began it.
    pub(crate) from: Party,
    pub(crate) dialled: Address,
    pub(crate) started: Instant,
    /// How many entries of the escalation list this alarm has gone through.
    pub(crate) round: usize,
    pub(crate) state: State,
}

#[derive(Debug)]
pub(crate) enum State {
    Summoning(Summoning),
    Ringing(Ringing),
    Queued(Queued),
    Talking(Talking),
    Room(Room),
    Escalating(Escalating),
}

/// A call by command: its first leg is being called.
#[derive(Debug)]
pub(crate) struct Summoning {
    pub(crate) leg: LegId,
    pub(crate) then: AfterSummons,
}

#[derive(Clone, Debug)]
pub(crate) enum AfterSummons {
    Call(Address),
    /// The one who answers took this request; call back who asked.
    CallBack(RequestId),
    /// The one who answers made this request, which nobody took; put them through to `to`.
    Escalate {
        request: RequestId,
        to: Address,
    },
}

/// Somebody waits, and others ring for them. An empty fork is being routed.
#[derive(Debug)]
pub(crate) struct Ringing {
    pub(crate) caller: LegId,
    pub(crate) fork: Vec<LegId>,
    pub(crate) purpose: Purpose,
    /// What this call has gone through so far, the last one being rung now.
    pub(crate) trail: Vec<Address>,
    /// Whose rules say what comes next.
    pub(crate) place: Place,
    pub(crate) early_media: EarlyMedia,
    pub(crate) shown: Shown,
    /// The best reason so far why nobody answered.
    pub(crate) cause: Option<EndCause>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Call,
    /// Brings together who took a request with who made it.
    Claim {
        request: RequestId,
    },
    /// The caller is being handed over.
    Transfer {
        back: Option<Back>,
    },
}

/// The one who hands over, who gets the conversation back if nobody answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Back {
    pub(crate) leg: LegId,
    pub(crate) limit: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Station(StationId),
    Group(RingGroupId),
    /// Nobody's rules: a device that the directory does not describe, or the taker of a request.
    Nobody,
}

/// What the caller was last told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Nothing,
    Trying,
    Ringing,
    Early { from: LegId },
}

/// The call waits at a desk.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) caller: LegId,
    pub(crate) request: RequestId,
    /// What the call went through before it came to wait.
    pub(crate) trail: Vec<Address>,
}

#[derive(Debug)]
pub(crate) struct Talking {
    pub(crate) a: Side,
    pub(crate) b: Side,
    pub(crate) mode: TalkMode,
    /// Whether `Connect` holds, or hold parted the two.
    pub(crate) joined: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Side {
    pub(crate) leg: LegId,
    pub(crate) key: KeyState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyState {
    /// The station has no talk key.
    None,
    Up,
    Down,
}

#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) kind: RoomKind,
    pub(crate) members: Vec<Member>,
    /// Who has the word, where only one may have it.
    pub(crate) talker: Option<LegId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoomKind {
    Conference(ConferenceId),
    /// The announcement of this leg.
    GroupCall {
        id: GroupCallId,
        owner: LegId,
    },
    /// One alone, who hears itself.
    EchoTest,
    /// One alone, who is played something.
    Playback(Playback),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) leg: LegId,
    pub(crate) presence: Presence,
    pub(crate) key: KeyState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Called,
    Inside {
        part: Part,
    },
    /// It put the room on hold, or is about to leave.
    Held,
}

/// An alarm that reached nobody in the last round, before the next one.
#[derive(Debug)]
pub(crate) struct Escalating {
    pub(crate) caller: LegId,
}

impl State {
    pub(crate) fn phase(&self) -> Phase {
        match self {
            Self::Summoning(_) => Phase::Summoning,
            Self::Ringing(ringing) => match ringing.purpose {
                Purpose::Call | Purpose::Claim { .. } => Phase::Ringing,
                Purpose::Transfer { .. } => Phase::Transferring,
            },
            Self::Queued(_) => Phase::Queued,
            Self::Talking(talking) if talking.joined => Phase::Talking,
            Self::Talking(_) => Phase::Held,
            Self::Room(room) => match room.kind {
                RoomKind::Conference(_) => Phase::Conference,
                RoomKind::GroupCall { .. } => Phase::GroupCall,
                RoomKind::EchoTest => Phase::EchoTest,
                RoomKind::Playback(_) => Phase::Playback,
            },
            Self::Escalating(_) => Phase::Escalating,
        }
    }

    /// All legs of the call.
    pub(crate) fn legs(&self) -> Vec<LegId> {
        match self {
            Self::Summoning(summoning) => vec![summoning.leg],
            Self::Ringing(ringing) => {
                let back = match ringing.purpose {
                    Purpose::Transfer { back } => back.map(|b| b.leg),
                    Purpose::Call | Purpose::Claim { .. } => None,
                };
                let waiting = [Some(ringing.caller), back].into_iter().flatten();
                waiting.chain(ringing.fork.iter().copied()).collect()
            }
            Self::Queued(queued) => vec![queued.caller],
            Self::Talking(talking) => vec![talking.a.leg, talking.b.leg],
            Self::Room(room) => room.members.iter().map(|m| m.leg).collect(),
            Self::Escalating(escalating) => vec![escalating.caller],
        }
    }
}

impl Ringing {
    pub(crate) fn new(caller: LegId, purpose: Purpose) -> Self {
        Self {
            caller,
            fork: Vec::new(),
            purpose,
            trail: Vec::new(),
            place: Place::Nobody,
            early_media: EarlyMedia::Off,
            shown: Shown::Nothing,
            cause: None,
        }
    }
}

impl Talking {
    /// This leg's side and the other one.
    pub(crate) fn sides(&mut self, leg: LegId) -> Option<(&mut Side, &mut Side)> {
        if self.a.leg == leg {
            Some((&mut self.a, &mut self.b))
        } else if self.b.leg == leg {
            Some((&mut self.b, &mut self.a))
        } else {
            None
        }
    }

    pub(crate) fn other(&self, leg: LegId) -> Option<LegId> {
        if self.a.leg == leg {
            Some(self.b.leg)
        } else if self.b.leg == leg {
            Some(self.a.leg)
        } else {
            None
        }
    }
}

impl Room {
    /// Those who are inside together with this leg.
    pub(crate) fn partners(&self, leg: LegId) -> Vec<LegId> {
        let inside = |m: &&Member| m.presence != Presence::Called;
        if !self.members.iter().filter(inside).any(|m| m.leg == leg) {
            return Vec::new();
        }
        self.members
            .iter()
            .filter(inside)
            .map(|m| m.leg)
            .filter(|l| *l != leg)
            .collect()
    }
}

impl Engine {
    /// A call that nobody belongs to yet; `ringing` is being routed.
    pub(crate) fn add_call(
        &mut self,
        from: Party,
        dialled: Address,
        priority: Priority,
        state: State,
    ) -> CallId {
        let id = self.ids.call();
        if self.service == Service::Drained {
            self.service = Service::Draining;
        }
        self.counters.calls += 1;
        if priority.is_alarm() {
            self.counters.alarms += 1;
        }
        self.event(Event::CallStarted {
            call: id,
            from: from.clone(),
            dialled: dialled.clone(),
            priority,
        });
        // A call begins by ringing, unless it says otherwise.
        let phase = state.phase();
        if phase != Phase::Ringing {
            self.event(Event::CallChanged { call: id, phase });
        }
        let started = self.now;
        self.calls.insert(
            id,
            Call {
                priority,
                from,
                dialled,
                started,
                round: 0,
                state,
            },
        );
        id
    }

    pub(crate) fn set_state(&mut self, id: CallId, state: State) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let (before, after) = (call.state.phase(), state.phase());
        let mut touched = call.state.legs();
        call.state = state;
        touched.extend(call.state.legs());
        for leg in touched {
            self.touch_leg(leg);
        }
        if before != after {
            self.event(Event::CallChanged {
                call: id,
                phase: after,
            });
        }
    }

    /// Takes a call out; all its legs are over or belong to another call.
    pub(crate) fn finish_call(&mut self, id: CallId) {
        let Some(call) = self.calls.remove(&id) else {
            return;
        };
        if let State::Room(Room {
            kind: RoomKind::Conference(conference),
            ..
        }) = call.state
        {
            self.rooms.remove(&conference);
        }
        self.programmes.remove(&id);
        self.cancel_call_timers(id);
        self.event(Event::CallEnded { call: id });
        self.tell_if_drained();
    }

    pub(crate) fn cancel_call_timers(&mut self, id: CallId) {
        for timer in [
            Timer::NoAnswer(id),
            Timer::Warning(id),
            Timer::Limit(id),
            Timer::AlarmPause(id),
        ] {
            self.timers.cancel(timer);
        }
    }

    /// Ends all legs of a call, and the call.
    pub(crate) fn end_call(&mut self, id: CallId, cause: EndCause) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let legs = call.state.legs();
        self.part_all(id);
        self.close_request_of(id, cause);
        for leg in legs {
            self.end_leg(leg, cause);
        }
        self.finish_call(id);
    }

    pub(crate) fn priority_of(&self, call: CallId) -> Priority {
        self.calls
            .get(&call)
            .map_or(Priority::DEFAULT, |call| call.priority)
    }

    pub(crate) fn is_alarm(&self, call: CallId) -> bool {
        self.priority_of(call).is_alarm()
    }

    pub(crate) fn ringing(&mut self, id: CallId) -> Option<&mut Ringing> {
        match &mut self.calls.get_mut(&id)?.state {
            State::Ringing(ringing) => Some(ringing),
            State::Summoning(_)
            | State::Queued(_)
            | State::Talking(_)
            | State::Room(_)
            | State::Escalating(_) => None,
        }
    }

    pub(crate) fn talking(&mut self, id: CallId) -> Option<&mut Talking> {
        match &mut self.calls.get_mut(&id)?.state {
            State::Talking(talking) => Some(talking),
            State::Summoning(_)
            | State::Ringing(_)
            | State::Queued(_)
            | State::Room(_)
            | State::Escalating(_) => None,
        }
    }

    pub(crate) fn room(&mut self, id: CallId) -> Option<&mut Room> {
        match &mut self.calls.get_mut(&id)?.state {
            State::Room(room) => Some(room),
            State::Summoning(_)
            | State::Ringing(_)
            | State::Queued(_)
            | State::Talking(_)
            | State::Escalating(_) => None,
        }
    }
}
