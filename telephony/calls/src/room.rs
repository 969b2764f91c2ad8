//! Conversations of other than two: conferences (many talk to many), group calls (one talks), and
//! the echo test (one hears itself).
//!
//! A room never has more than 32 legs. A conference lives while somebody is inside; a group call
//! and an echo test live as long as the leg that makes them.

use model::{
    Address, AnswerBack, CallId, ConferenceId, Destination, EndCause, GroupCallId, LegId,
    MAX_GROUP_MEMBERS, RoomTalk,
};

use crate::call::{KeyState, Member, Presence, Purpose, Ringing, Room, RoomKind, State};
use crate::engine::Engine;
use crate::input::Key;
use crate::leg::{Hold, Start};
use crate::output::{Alert, Event, Output, Part, Target, Tone};
use crate::route::{Asking, Availability};
use crate::timer::Timer;

/// Who may have the word in a room.
#[derive(Clone, Copy)]
enum Rule {
    Everybody,
    FirstKey,
    Owner {
        owner: LegId,
        answer_back: AnswerBack,
    },
    HearsItself,
    /// Nobody but the gateway itself.
    HearsUs,
}

impl Engine {
    pub(crate) fn join_conference(&mut self, call: CallId, id: ConferenceId) {
        let Some(ringing) = self.ringing(call) else {
            return;
        };
        let (caller, purpose) = (ringing.caller, ringing.purpose);
        let host = match self.rooms.get(&id).copied() {
            Some(host)
                if self
                    .room(host)
                    .is_some_and(|r| r.members.len() >= MAX_GROUP_MEMBERS) =>
            {
                return self.nowhere(call, EndCause::Busy);
            }
            Some(host) => {
                self.move_leg(caller, host);
                host
            }
            None => {
                self.rooms.insert(id, call);
                let kind = RoomKind::Conference(id);
                let room = Room {
                    kind,
                    members: Vec::new(),
                    talker: None,
                };
                self.set_state(call, State::Room(room));
                let limit = self.after(self.config.conversation_limit);
                self.set_limit(call, limit);
                call
            }
        };
        let key = self.key_of(caller);
        if let Some(room) = self.room(host) {
            room.members.push(Member {
                leg: caller,
                presence: Presence::Called,
                key,
            });
        }
        self.enter_room(host, caller);
        if let Purpose::Transfer { back } = purpose {
            self.transfer_done(back);
        }
        if host == call {
            self.call_fixed_members(call, id);
        } else {
            self.finish_call(call);
        }
    }

    fn call_fixed_members(&mut self, call: CallId, id: ConferenceId) {
        let directory = self.directory.clone();
        let room = directory.conference(id);
        let members = room.map(|room| room.members.as_slice()).unwrap_or_default();
        if members.is_empty() {
            return;
        }
        self.call_members(call, members);
        let until = self.after(self.config.answer_timeout);
        self.timers.set(Timer::NoAnswer(call), until);
    }

    pub(crate) fn start_group_call(&mut self, call: CallId, id: GroupCallId) {
        let Some(ringing) = self.ringing(call) else {
            return;
        };
        let (owner, purpose) = (ringing.caller, ringing.purpose);
        if purpose != Purpose::Call || !self.is_known(owner) {
            return self.nowhere(call, EndCause::NotAllowed);
        }
        let directory = self.directory.clone();
        let Some(group) = directory.group_call(id) else {
            return self.nowhere(call, EndCause::UnknownNumber);
        };
        if let Some(call) = self.calls.get_mut(&call) {
            call.priority = call.priority.min(group.priority);
        }
        let kind = RoomKind::GroupCall { id, owner };
        let member = Member {
            leg: owner,
            presence: Presence::Called,
            key: self.key_of(owner),
        };
        let room = Room {
            kind,
            members: vec![member],
            talker: Some(owner),
        };
        self.set_state(call, State::Room(room));
        self.call_members(call, &group.members);
        if self.room(call).is_some_and(|room| room.members.len() == 1) {
            return self.announcement_failed(call, owner, EndCause::Busy);
        }
        let until = self.after(self.config.answer_timeout);
        self.timers.set(Timer::NoAnswer(call), until);
    }

    /// The caller hears itself, behind a sign that tells what this is.
    pub(crate) fn start_echo_test(&mut self, call: CallId) {
        let Some(ringing) = self.ringing(call) else {
            return;
        };
        let (caller, purpose) = (ringing.caller, ringing.purpose);
        let member = Member {
            leg: caller,
            presence: Presence::Called,
            key: self.key_of(caller),
        };
        let room = Room {
            kind: RoomKind::EchoTest,
            members: vec![member],
            talker: None,
        };
        self.set_state(call, State::Room(room));
        let limit = self.after(self.config.conversation_limit);
        self.set_limit(call, limit);
        self.enter_room(call, caller);
        self.push(Output::Tone {
            leg: caller,
            tone: Tone::EchoTest,
        });
        if let Purpose::Transfer { back } = purpose {
            self.transfer_done(back);
        }
    }

    /// Starts a leg to each of these that can be called.
    fn call_members(&mut self, call: CallId, members: &[Address]) {
        let directory = self.directory.clone();
        let first = self
            .room(call)
            .and_then(|room| room.members.first())
            .map(|m| m.leg);
        let asking = Asking {
            call: Some(call),
            caller: first,
            priority: self.priority_of(call),
        };
        let party = first.map(|leg| self.party_of_leg(leg)).unwrap_or_default();
        let dialled = self.calls.get(&call).map(|c| c.dialled.clone());
        for whom in members {
            if self
                .room(call)
                .is_none_or(|room| room.members.len() >= MAX_GROUP_MEMBERS)
            {
                return;
            }
            let (to, alert) = match directory.destination(whom) {
                Some(Destination::Station(station)) if !self.asks(asking, station.id) => {
                    let alert = match self.availability(station, asking) {
                        Availability::Free => self.alert(station, asking),
                        Availability::Waits => Alert::Wait,
                        Availability::Evict(legs) => {
                            self.evict(&legs, call);
                            self.alert(station, asking)
                        }
                        Availability::Taken(cause) => {
                            self.event(Event::Skipped {
                                call,
                                whom: whom.clone(),
                                cause,
                            });
                            continue;
                        }
                    };
                    (Target::Station(station.id), alert)
                }
                Some(Destination::Elsewhere(_)) => (Target::Elsewhere(whom.clone()), Alert::Ring),
                Some(
                    Destination::Station(_)
                    | Destination::RingGroup(_)
                    | Destination::Desk(_)
                    | Destination::Conference(_)
                    | Destination::GroupCall(_)
                    | Destination::EchoTest(_),
                )
                | None => continue,
            };
            let start = Start {
                caller: party.clone(),
                dialled: dialled.clone(),
                by_way_of: dialled.clone(),
                ..Start::of(to, alert)
            };
            let leg = self.start_leg(call, start);
            let key = self.key_of(leg);
            if let Some(room) = self.room(call) {
                room.members.push(Member {
                    leg,
                    presence: Presence::Called,
                    key,
                });
            }
        }
    }

    pub(crate) fn member_answered(&mut self, call: CallId, leg: LegId) {
        self.hold_other_calls(call, leg);
        let Some(room) = self.room(call) else { return };
        if let RoomKind::GroupCall { owner, .. } = room.kind {
            let silent = |m: &Member| m.leg == owner && m.presence == Presence::Called;
            if room.members.iter().any(silent) {
                let limit = self.after(self.config.conversation_limit);
                self.set_limit(call, limit);
                self.enter_room(call, owner);
            }
            if let Some(leg) = self.legs.get_mut(&leg) {
                leg.talked_with = Some(owner);
            }
        }
        if let Some(RoomKind::Playback(playback)) = self.room(call).map(|room| room.kind) {
            self.playback_opens(call, leg, playback);
        }
        self.enter_room(call, leg);
    }

    /// Lets an answered (or to be answered) member hear and be heard, by the rule of the room.
    fn enter_room(&mut self, call: CallId, leg: LegId) {
        self.answer_leg(leg);
        self.announce(leg);
        self.member_inside(call, leg);
        self.touch_leg(leg);
    }

    fn member_inside(&mut self, call: CallId, leg: LegId) {
        let (rule, holds) = (self.rule_of(call), self.holds(leg));
        let Some(room) = self.room(call) else { return };
        let part = part_of(rule, room.talker, leg);
        let Some(member) = room.members.iter_mut().find(|m| m.leg == leg) else {
            return;
        };
        if holds {
            member.presence = Presence::Held;
        } else {
            member.presence = Presence::Inside { part };
            self.push(match rule {
                Rule::HearsItself => Output::Echo { leg },
                Rule::HearsUs => Output::Play { call, leg },
                Rule::Everybody | Rule::FirstKey | Rule::Owner { .. } => {
                    Output::Mix { call, leg, part }
                }
            });
        }
    }

    pub(crate) fn member_hold(&mut self, call: CallId, leg: LegId, hold: Hold) {
        match hold {
            Hold::On => {
                self.part(leg);
                self.member_key(call, leg, Key::Released);
            }
            Hold::Off => self.member_inside(call, leg),
        }
    }

    pub(crate) fn member_key(&mut self, call: CallId, leg: LegId, key: Key) {
        let Some(room) = self.room(call) else { return };
        if let Some(member) = room.members.iter_mut().find(|m| m.leg == leg) {
            member.key = match key {
                Key::Pressed => KeyState::Down,
                Key::Released => KeyState::Up,
            };
        }
        self.pass_the_word(call);
    }

    /// Decides who has the word now, and tells those whose part changes.
    fn pass_the_word(&mut self, call: CallId) {
        let rule = self.rule_of(call);
        let Some(room) = self.room(call) else { return };
        let inside = |m: &&Member| matches!(m.presence, Presence::Inside { .. });
        let pressed = |leg: LegId| {
            room.members
                .iter()
                .filter(inside)
                .any(|m| m.leg == leg && m.key == KeyState::Down)
        };
        let stays = room.talker.filter(|leg| pressed(*leg));
        let first = room
            .members
            .iter()
            .filter(inside)
            .find(|m| m.key == KeyState::Down);
        let by_key = stays.or(first.map(|m| m.leg));
        let talker = match rule {
            Rule::Everybody | Rule::HearsItself | Rule::HearsUs => None,
            Rule::FirstKey => by_key,
            Rule::Owner {
                owner,
                answer_back: AnswerBack::Forbidden,
            } => Some(owner),
            Rule::Owner { owner, .. } if pressed(owner) => Some(owner),
            Rule::Owner {
                owner,
                answer_back: AnswerBack::Allowed,
            } => by_key.or(Some(owner)),
        };
        room.talker = talker;
        let mut changed = Vec::new();
        for member in &mut room.members {
            let part = part_of(rule, talker, member.leg);
            match member.presence {
                Presence::Inside { part: before } if before != part => {
                    member.presence = Presence::Inside { part };
                    changed.push((member.leg, part));
                }
                Presence::Inside { .. } | Presence::Called | Presence::Held => {}
            }
        }
        for (leg, part) in changed {
            self.push(Output::Mix { call, leg, part });
        }
    }

    fn rule_of(&mut self, call: CallId) -> Rule {
        let Some(kind) = self.room(call).map(|room| room.kind) else {
            return Rule::Everybody;
        };
        match kind {
            RoomKind::Conference(id) => {
                let room = self.directory.conference(id);
                match room.map_or(RoomTalk::Everybody, |room| room.talk) {
                    RoomTalk::Everybody => Rule::Everybody,
                    RoomTalk::TalkKey => Rule::FirstKey,
                }
            }
            RoomKind::GroupCall { id, owner } => {
                let group = self.directory.group_call(id);
                let answer_back = group.map_or(AnswerBack::Forbidden, |group| group.answer_back);
                Rule::Owner { owner, answer_back }
            }
            RoomKind::EchoTest => Rule::HearsItself,
            RoomKind::Playback(_) => Rule::HearsUs,
        }
    }

    pub(crate) fn member_gone(&mut self, call: CallId, leg: LegId, cause: EndCause) {
        let Some(room) = self.room(call) else { return };
        room.members.retain(|m| m.leg != leg);
        let anybody_inside = room.members.iter().any(|m| m.presence != Presence::Called);
        match room.kind {
            RoomKind::EchoTest | RoomKind::Playback(_) => self.end_call(call, cause),
            RoomKind::GroupCall { owner, .. } if owner == leg => self.end_call(call, cause),
            RoomKind::GroupCall { owner, .. } if room.members.len() == 1 => {
                if anybody_inside {
                    self.end_call(call, EndCause::HungUp);
                } else {
                    self.announcement_failed(call, owner, cause);
                }
            }
            RoomKind::Conference(_) if !anybody_inside => {
                self.end_call(call, EndCause::CallerGaveUp);
            }
            RoomKind::Conference(_) | RoomKind::GroupCall { .. } => self.pass_the_word(call),
        }
    }

    /// Those who were called and have not answered are not waited for any longer.
    pub(crate) fn room_members_missing(&mut self, call: CallId) {
        let Some(room) = self.room(call) else { return };
        let owner = match room.kind {
            RoomKind::GroupCall { owner, .. } => Some(owner),
            RoomKind::Conference(_) | RoomKind::EchoTest | RoomKind::Playback(_) => None,
        };
        let missing = |m: &&Member| m.presence == Presence::Called && Some(m.leg) != owner;
        let missing: Vec<LegId> = room.members.iter().filter(missing).map(|m| m.leg).collect();
        for leg in missing {
            self.end_leg(leg, EndCause::NoAnswer);
            self.member_gone(call, leg, EndCause::NoAnswer);
        }
    }

    /// Nobody heard the announcement: like any other call that reached nobody.
    fn announcement_failed(&mut self, call: CallId, owner: LegId, cause: EndCause) {
        self.timers.cancel(Timer::NoAnswer(call));
        self.set_state(call, State::Ringing(Ringing::new(owner, Purpose::Call)));
        self.nowhere(call, cause);
    }
}

fn part_of(rule: Rule, talker: Option<LegId>, leg: LegId) -> Part {
    match rule {
        Rule::Everybody | Rule::HearsItself | Rule::HearsUs => Part::TalkAndListen,
        Rule::FirstKey | Rule::Owner { .. } if talker == Some(leg) => Part::Talk,
        Rule::FirstKey | Rule::Owner { .. } => Part::Listen,
    }
}
