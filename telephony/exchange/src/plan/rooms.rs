//! Rooms: who hears and sees whom where more than two are in a call.
//!
//! The media threads mix the voices; they are told the part of each leg. Pictures are not mixed:
//! everybody sees the one who began to talk last.
//!
//! Invariant: a leg is in one room at most, and the media threads know of it as soon as it has a
//! stream of audio.

use std::collections::BTreeMap;

use calls::Part;
use model::{CallId, LegId};
use sip::sdp::Kind;

use super::{MediaCommand, MediaPlan, StreamIndex};

#[derive(Debug, Default)]
pub(super) struct Rooms {
    rooms: BTreeMap<CallId, Room>,
    /// What the media threads were told.
    told: BTreeMap<LegId, Mixed>,
}

#[derive(Debug, Default)]
struct Room {
    parts: BTreeMap<LegId, Part>,
    /// In the order in which they began to talk.
    talkers: Vec<LegId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mixed {
    room: CallId,
    stream: StreamIndex,
    part: Part,
}

/// Who is seen, and by whom.
type Seen = Option<(LegId, Vec<LegId>)>;

impl MediaPlan {
    pub(crate) fn mix(&mut self, call: CallId, leg: LegId, part: Part) {
        if let Some(other) = self.rooms.of(leg).filter(|other| *other != call) {
            self.unmix(other, leg);
        }
        let there = self.rooms.members(call).next();
        if let Some(there) = there {
            self.bring_together(leg, there);
        }
        let (before, after) = self.rooms.set(call, leg, part);
        self.joined(leg);
        self.see(before, after);
        self.refresh_room(leg);
    }

    /// The leg hears and sees itself.
    pub(crate) fn echo(&mut self, leg: LegId) {
        self.joined(leg);
        self.route(leg, leg);
    }

    pub(crate) fn unmix(&mut self, call: CallId, leg: LegId) {
        self.unroute(leg, leg);
        let (before, after) = self.rooms.remove(call, leg);
        self.see(before, after);
        self.refresh_room(leg);
    }

    pub(super) fn leave_room(&mut self, leg: LegId) {
        if let Some(call) = self.rooms.of(leg) {
            self.unmix(call, leg);
        }
    }

    /// Tells the media threads what is other than they know.
    pub(super) fn refresh_room(&mut self, leg: LegId) {
        let wanted = self.rooms.part(leg).and_then(|(room, part)| {
            let stream = self.live(leg, &Kind::Audio)?;
            Some(Mixed { room, stream, part })
        });
        if self.rooms.told.get(&leg).copied() == wanted {
            return;
        }
        self.commands.push_back(match wanted {
            Some(mixed) => {
                self.rooms.told.insert(leg, mixed);
                let Mixed { room, stream, part } = mixed;
                MediaCommand::Mix {
                    room,
                    leg,
                    stream,
                    part,
                }
            }
            None => {
                self.rooms.told.remove(&leg);
                MediaCommand::Unmix { leg }
            }
        });
    }

    fn see(&mut self, before: Seen, after: Seen) {
        let (before, after) = (pairs(before), pairs(after));
        for (from, to) in before.iter().filter(|pair| !after.contains(pair)) {
            self.unroute(*from, *to);
        }
        for (from, to) in after.iter().filter(|pair| !before.contains(pair)) {
            self.route(*from, *to);
        }
    }
}

/// (who is seen, by whom)
fn pairs(seen: Seen) -> Vec<(LegId, LegId)> {
    let (talker, others) = seen.map_or((None, Vec::new()), |(t, l)| (Some(t), l));
    let pair = |other| Some((talker?, other));
    others.into_iter().filter_map(pair).collect()
}

impl Rooms {
    /// Whom the others see before and after the change.
    fn set(&mut self, call: CallId, leg: LegId, part: Part) -> (Seen, Seen) {
        let room = self.rooms.entry(call).or_default();
        let before = room.seen();
        room.talkers.retain(|talker| *talker != leg);
        if part != Part::Listen {
            room.talkers.push(leg);
        }
        room.parts.insert(leg, part);
        (before, room.seen())
    }

    fn remove(&mut self, call: CallId, leg: LegId) -> (Seen, Seen) {
        let Some(room) = self.rooms.get_mut(&call) else {
            return (None, None);
        };
        let before = room.seen();
        room.talkers.retain(|talker| *talker != leg);
        room.parts.remove(&leg);
        let after = room.seen();
        if room.parts.is_empty() {
            self.rooms.remove(&call);
        }
        (before, after)
    }

    /// The call whose room the leg is in.
    fn of(&self, leg: LegId) -> Option<CallId> {
        self.part(leg).map(|(call, _)| call)
    }

    fn part(&self, leg: LegId) -> Option<(CallId, Part)> {
        let mut rooms = self.rooms.iter();
        rooms.find_map(|(call, room)| Some((*call, *room.parts.get(&leg)?)))
    }

    /// Who is seen by whom in the room of a leg.
    pub(super) fn sights_of(&self, leg: LegId) -> Vec<(LegId, LegId)> {
        let room = self.of(leg).and_then(|call| self.rooms.get(&call));
        pairs(room.and_then(Room::seen))
    }

    /// Whether these two are together, so that only pictures go from one to the other.
    pub(super) fn together(&self, a: LegId, b: LegId) -> bool {
        let mut rooms = self.rooms.values();
        rooms.any(|room| room.parts.contains_key(&a) && room.parts.contains_key(&b))
    }

    /// Who is in the room that a leg is in.
    pub(super) fn mates_of(&self, leg: LegId) -> impl Iterator<Item = LegId> + '_ {
        self.of(leg).into_iter().flat_map(|call| self.members(call))
    }

    fn members(&self, call: CallId) -> impl Iterator<Item = LegId> + '_ {
        let room = self.rooms.get(&call);
        room.into_iter().flat_map(|room| room.parts.keys().copied())
    }
}

impl Room {
    fn seen(&self) -> Seen {
        let talker = *self.talkers.last()?;
        let looks =
            |(leg, part): (&LegId, &Part)| (*leg != talker && *part != Part::Talk).then_some(*leg);
        Some((talker, self.parts.iter().filter_map(looks).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_sees_the_one_who_began_to_talk_last() {
        let mut rooms = Rooms::default();
        let (call, [a, b, c]) = (CallId::new(1), [1, 2, 3].map(LegId::new));
        rooms.set(call, a, Part::Talk);
        rooms.set(call, b, Part::Listen);
        let (_, seen) = rooms.set(call, c, Part::Listen);
        assert_eq!(seen, Some((a, vec![b, c])));
        rooms.set(call, a, Part::Listen);
        let (_, seen) = rooms.set(call, c, Part::TalkAndListen);
        assert_eq!(seen, Some((c, vec![a, b])));
        assert!(rooms.together(a, c));
        let (before, after) = rooms.remove(call, c);
        assert_eq!((before, after), (seen, None));
        assert_eq!(rooms.of(a), Some(call));
        assert!(!rooms.together(a, c));
    }
}
