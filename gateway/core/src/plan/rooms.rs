//! Rooms: who hears whom where more than two are in a call.
//!
//! Streams are passed on, not mixed: a room carries the one who began to talk last, to everybody
//! who listens. For a group call, where one talks at a time, that is all there is to hear.

use std::collections::BTreeMap;

use calls::Part;
use model::{CallId, LegId};

#[derive(Debug, Default)]
pub(super) struct Rooms {
    rooms: BTreeMap<CallId, Room>,
}

#[derive(Debug, Default)]
struct Room {
    parts: BTreeMap<LegId, Part>,
    /// In the order in which they began to talk.
    talkers: Vec<LegId>,
}

/// Who is heard, and by whom.
pub(super) type Heard = Option<(LegId, Vec<LegId>)>;

impl Rooms {
    /// What is heard before and after the change.
    pub(super) fn set(&mut self, call: CallId, leg: LegId, part: Part) -> (Heard, Heard) {
        let room = self.rooms.entry(call).or_default();
        let before = room.heard();
        room.talkers.retain(|talker| *talker != leg);
        if part != Part::Listen {
            room.talkers.push(leg);
        }
        room.parts.insert(leg, part);
        (before, room.heard())
    }

    pub(super) fn remove(&mut self, call: CallId, leg: LegId) -> (Heard, Heard) {
        let Some(room) = self.rooms.get_mut(&call) else {
            return (None, None);
        };
        let before = room.heard();
        room.talkers.retain(|talker| *talker != leg);
        room.parts.remove(&leg);
        let after = room.heard();
        if room.parts.is_empty() {
            self.rooms.remove(&call);
        }
        (before, after)
    }

    /// The rooms that a leg is in; one that ends leaves them all.
    pub(super) fn of(&self, leg: LegId) -> Vec<CallId> {
        let there = self
            .rooms
            .iter()
            .filter(|(_, room)| room.parts.contains_key(&leg));
        there.map(|(call, _)| *call).collect()
    }
}

impl Room {
    fn heard(&self) -> Heard {
        let talker = *self.talkers.last()?;
        let listens =
            |(leg, part): (&LegId, &Part)| (*leg != talker && *part != Part::Talk).then_some(*leg);
        Some((talker, self.parts.iter().filter_map(listens).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_hears_the_one_who_talks() {
        let mut rooms = Rooms::default();
        let (call, [a, b, c]) = (CallId::new(1), [1, 2, 3].map(LegId::new));
        rooms.set(call, a, Part::Talk);
        rooms.set(call, b, Part::Listen);
        let (_, heard) = rooms.set(call, c, Part::Listen);
        assert_eq!(heard, Some((a, vec![b, c])));
        rooms.set(call, a, Part::Listen);
        let (_, heard) = rooms.set(call, c, Part::TalkAndListen);
        assert_eq!(heard, Some((c, vec![a, b])));
        let (before, after) = rooms.remove(call, c);
        assert_eq!((before, after), (heard, None));
        assert_eq!(rooms.of(a), [call]);
    }
}
