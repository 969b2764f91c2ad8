//! A conversation of two: connecting, the talk key, and its limit (C8).
//!
//! Invariant: `Connect` holds between two answered legs of one call, and `Disconnect` comes before
//! either of them ends.

use std::time::Instant;

use model::{CallId, EndCause, LegId, LegRole, TalkMode, TalkStyle, Talker};

use crate::call::{Back, KeyState, Member, Presence, Purpose, Side, State, Talking};
use crate::engine::Engine;
use crate::input::Key;
use crate::output::{Alert, Output, Tone, TransferStatus};
use crate::timer::Timer;

impl Engine {
    /// Connects two legs as the conversation of `call`; its limit begins now.
    pub(crate) fn join(&mut self, call: CallId, a: LegId, b: LegId) {
        let limit = self.after(self.config.conversation_limit);
        self.join_until(call, a, b, limit);
    }

    pub(crate) fn join_until(&mut self, call: CallId, a: LegId, b: LegId, limit: Instant) {
        self.answer_leg(a);
        self.answer_leg(b);
        let (side_a, side_b) = (self.side(a), self.side(b));
        let mode = self.talk_mode(side_a, side_b);
        for (leg, other) in [(a, b), (b, a)] {
            if let Some(leg) = self.legs.get_mut(&leg) {
                leg.talked_with = Some(other);
            }
            self.announce(leg);
        }
        let joined = !self.holds(a) && !self.holds(b);
        if joined {
            self.push(Output::Connect { a, b, mode });
        }
        let talking = Talking {
            a: side_a,
            b: side_b,
            mode,
            joined,
        };
        self.set_state(call, State::Talking(talking));
        self.set_limit(call, limit);
        if !joined {
            self.tell_held(a, b);
        }
    }

    /// A microphone that nobody opened by hand is announced.
    pub(crate) fn announce(&mut self, leg: LegId) {
        let Some(entry) = self.legs.get_mut(&leg) else {
            return;
        };
        if entry.alert == Alert::AutoAnswer {
            entry.alert = Alert::Expected;
            self.push(Output::Tone {
                leg,
                tone: Tone::Announce,
            });
        }
    }

    fn side(&self, leg: LegId) -> Side {
        Side {
            leg,
            key: self.key_of(leg),
        }
    }

    pub(crate) fn key_of(&self, leg: LegId) -> KeyState {
        match self.talk_style(leg) {
            TalkStyle::Simplex => KeyState::Up,
            TalkStyle::OpenDuplex | TalkStyle::VoiceSwitched => KeyState::None,
        }
    }

    fn talk_style(&self, leg: LegId) -> TalkStyle {
        let station = self
            .station_of_leg(leg)
            .and_then(|id| self.directory.station(id));
        station.map_or(TalkStyle::OpenDuplex, |station| station.talk)
    }

    fn talk_mode(&self, a: Side, b: Side) -> TalkMode {
        match (self.talk_style(a.leg), self.talk_style(b.leg)) {
            (TalkStyle::Simplex, _) | (_, TalkStyle::Simplex) => TalkMode::Simplex {
                talker: talker(a.key, b.key, Talker::Nobody),
            },
            (TalkStyle::VoiceSwitched, _) | (_, TalkStyle::VoiceSwitched) => {
                TalkMode::VoiceSwitched
            }
            (TalkStyle::OpenDuplex, TalkStyle::OpenDuplex) => TalkMode::OpenDuplex,
        }
    }

    pub(crate) fn talk_key(&mut self, leg: LegId, key: Key) {
        let Some(call) = self.call_of(leg) else {
            self.counters.stale_inputs += 1;
            return;
        };
        if self.room(call).is_some() {
            return self.member_key(call, leg, key);
        }
        let Some(talking) = self.talking(call) else {
            self.counters.unfit_inputs += 1;
            return;
        };
        let Some((side, _)) = talking.sides(leg) else {
            return;
        };
        side.key = match key {
            Key::Pressed => KeyState::Down,
            Key::Released => KeyState::Up,
        };
        let TalkMode::Simplex { talker: before } = talking.mode else {
            return;
        };
        let after = talker(talking.a.key, talking.b.key, before);
        if after == before {
            return;
        }
        talking.mode = TalkMode::Simplex { talker: after };
        let (a, b, mode, joined) = (talking.a.leg, talking.b.leg, talking.mode, talking.joined);
        if joined {
            self.push(Output::SetTalkMode { a, b, mode });
        }
    }

    /// Whether the two of this conversation may hear each other so: a station that talks by its key
    /// does so in every conversation.
    pub fn may_talk_so(&self, leg: LegId, mode: TalkMode) -> bool {
        let Some(State::Talking(talking)) = self
            .call_of(leg)
            .and_then(|call| self.calls.get(&call))
            .map(|call| &call.state)
        else {
            return false;
        };
        let other = talking.other(leg);
        let by_key = other.is_some_and(|other| self.talk_style(other) == TalkStyle::Simplex);
        !by_key || matches!(mode, TalkMode::Simplex { .. })
    }

    pub(crate) fn set_talk_mode(&mut self, leg: LegId, mode: TalkMode) {
        let allowed = self.may_talk_so(leg, mode);
        let call = self.call_of(leg).filter(|_| allowed);
        let Some(talking) = call.and_then(|call| self.talking(call)) else {
            self.counters.unfit_inputs += 1;
            return;
        };
        let mode = match talking.a.leg == leg {
            true => mode,
            false => seen_from_b(mode),
        };
        talking.set_keys(mode);
        talking.mode = mode;
        let (a, b, joined) = (talking.a.leg, talking.b.leg, talking.joined);
        if joined {
            self.push(Output::SetTalkMode { a, b, mode });
        }
    }

    pub(crate) fn set_limit(&mut self, call: CallId, limit: Instant) {
        self.timers.set(Timer::Limit(call), limit);
        let warning = limit.checked_sub(self.config.warning_before);
        match warning.filter(|at| *at > self.now) {
            Some(at) => self.timers.set(Timer::Warning(call), at),
            None => self.timers.cancel(Timer::Warning(call)),
        }
    }

    pub(crate) fn limit_warning(&mut self, call: CallId) {
        let Some(entry) = self.calls.get(&call) else {
            return;
        };
        let hearing: Vec<LegId> = match &entry.state {
            State::Talking(talking) if talking.joined => vec![talking.a.leg, talking.b.leg],
            State::Room(room) => {
                let inside = |m: &&Member| m.presence != Presence::Called;
                room.members.iter().filter(inside).map(|m| m.leg).collect()
            }
            State::Talking(_)
            | State::Summoning(_)
            | State::Ringing(_)
            | State::Queued(_)
            | State::Escalating(_) => Vec::new(),
        };
        for leg in hearing {
            self.push(Output::Tone {
                leg,
                tone: Tone::LimitWarning,
            });
        }
    }

    pub(crate) fn limit_reached(&mut self, call: CallId) {
        self.counters.time_limit += 1;
        self.end_call(call, EndCause::TimeLimit);
    }

    /// Takes a leg out of its connection, before it ends or talks with somebody else.
    pub(crate) fn part(&mut self, leg: LegId) {
        let Some(call) = self.call_of(leg) else {
            return;
        };
        if let Some(talking) = self.talking(call) {
            let (a, b) = (talking.a.leg, talking.b.leg);
            if std::mem::replace(&mut talking.joined, false) {
                self.push(Output::Disconnect { a, b });
            }
        } else if let Some(room) = self.room(call) {
            let inside =
                |m: &&mut Member| m.leg == leg && matches!(m.presence, Presence::Inside { .. });
            if let Some(member) = room.members.iter_mut().find(inside) {
                member.presence = Presence::Held;
                self.push(Output::Unmix { call, leg });
            }
        }
    }

    pub(crate) fn part_all(&mut self, call: CallId) {
        let legs = self
            .calls
            .get(&call)
            .map(|c| c.state.legs())
            .unwrap_or_default();
        for leg in legs {
            self.part(leg);
        }
    }

    /// The other end of a leg is gone.
    pub(crate) fn leg_over(&mut self, leg: LegId, cause: EndCause) {
        let Some(entry) = self.legs.get(&leg) else {
            self.counters.stale_inputs += 1;
            return;
        };
        let call = entry.call;
        let gave_up = entry.role == LegRole::Caller && !entry.is_answered();
        let cause = if gave_up && cause == EndCause::HungUp {
            EndCause::CallerGaveUp
        } else {
            cause
        };
        self.part(leg);
        self.drop_leg(leg, cause);
        self.leg_gone(call, leg, cause);
    }

    /// What follows for a call from the end of one of its legs, which is already out.
    pub(crate) fn leg_gone(&mut self, call: CallId, leg: LegId, cause: EndCause) {
        let Some(entry) = self.calls.get(&call) else {
            return;
        };
        match &entry.state {
            State::Summoning(_) => self.summons_failed(call, cause),
            State::Ringing(ringing) if ringing.caller == leg => self.caller_gone(call, cause),
            State::Ringing(ringing) => match ringing.purpose {
                Purpose::Transfer {
                    back: Some(Back { leg: back, .. }),
                } if back == leg => {
                    if let Some(ringing) = self.ringing(call) {
                        ringing.purpose = Purpose::Transfer { back: None };
                    }
                }
                Purpose::Call | Purpose::Claim { .. } | Purpose::Transfer { .. } => {
                    self.fork_leg_gone(call, leg, cause);
                }
            },
            State::Queued(queued) => {
                let request = queued.request;
                self.request_withdrawn(request);
                self.finish_call(call);
            }
            State::Talking(_) | State::Escalating(_) => self.end_call(call, cause),
            State::Room(_) => self.member_gone(call, leg, cause),
        }
    }

    /// Who waited is gone: all that ring for them stop.
    fn caller_gone(&mut self, call: CallId, cause: EndCause) {
        let Some(ringing) = self.ringing(call) else {
            return;
        };
        let (fork, purpose) = (std::mem::take(&mut ringing.fork), ringing.purpose);
        let why = match cause {
            EndCause::HungUp => EndCause::CallerGaveUp,
            other => other,
        };
        for leg in fork {
            self.end_leg(leg, why);
        }
        match purpose {
            Purpose::Call | Purpose::Transfer { back: None } => self.finish_call(call),
            Purpose::Claim { request } => self.claim_caller_gone(call, request, cause),
            Purpose::Transfer { back: Some(back) } => {
                self.counters.transfers_failed += 1;
                let status = TransferStatus::Failed(cause);
                self.push(Output::TransferStatus {
                    leg: back.leg,
                    status,
                });
                self.end_leg(back.leg, cause);
                self.finish_call(call);
            }
        }
    }
}

impl Talking {
    /// Where one talks at a time, keys decide from now on; elsewhere they do nothing.
    fn set_keys(&mut self, mode: TalkMode) {
        let (a, b) = match mode {
            TalkMode::Simplex { talker } => match talker {
                Talker::A => (KeyState::Down, KeyState::Up),
                Talker::B => (KeyState::Up, KeyState::Down),
                Talker::Nobody => (KeyState::Up, KeyState::Up),
            },
            TalkMode::OpenDuplex
            | TalkMode::VoiceSwitched
            | TalkMode::ListenOnly
            | TalkMode::TalkOnly => (KeyState::None, KeyState::None),
        };
        (self.a.key, self.b.key) = (a, b);
    }
}

const fn seen_from_b(mode: TalkMode) -> TalkMode {
    match mode {
        TalkMode::OpenDuplex | TalkMode::VoiceSwitched => mode,
        TalkMode::Simplex { talker } => TalkMode::Simplex {
            talker: match talker {
                Talker::A => Talker::B,
                Talker::B => Talker::A,
                Talker::Nobody => Talker::Nobody,
            },
        },
        TalkMode::ListenOnly => TalkMode::TalkOnly,
        TalkMode::TalkOnly => TalkMode::ListenOnly,
    }
}

/// Who is heard. A side without a key is heard while the other one's key is up; with two keys, the
/// first to press has the word until they let go.
fn talker(a: KeyState, b: KeyState, now: Talker) -> Talker {
    match (a, b) {
        (KeyState::Down, KeyState::Down) => match now {
            Talker::A | Talker::B => now,
            Talker::Nobody => Talker::A,
        },
        (KeyState::Down, KeyState::Up | KeyState::None) => Talker::A,
        (KeyState::Up | KeyState::None, KeyState::Down) => Talker::B,
        (KeyState::Up, KeyState::None) => Talker::B,
        (KeyState::None, KeyState::Up) => Talker::A,
        (KeyState::Up, KeyState::Up) | (KeyState::None, KeyState::None) => Talker::Nobody,
    }
}
