//! Which call of which line a leg stands for.
//!
//! Invariant: a call of a line is one leg's at most, and a leg leaves the table when the call engine
//! or the line is done with it.

use std::collections::{BTreeMap, VecDeque};

use legacy_protocols::command::CallRef;
use legacy_protocols::event::TalkMode;
use legacy_protocols::number::Party;
use legacy_protocols::port::AskId;
use model::LegId;

use super::LineId;

#[derive(Debug, Default)]
pub(super) struct LineLegs {
    legs: BTreeMap<LegId, LineLeg>,
    by_call: BTreeMap<(LineId, CallRef), LegId>,
    /// Arrived calls that the other end has no answer to yet.
    pub(super) unanswered: VecDeque<LegId>,
}

#[derive(Clone, Debug)]
pub(super) struct LineLeg {
    pub(super) line: LineId,
    pub(super) call: CallRef,
    pub(super) way: Way,
    /// Who is at the other end, and whom they talk with.
    pub(super) station: Party,
    pub(super) other: Party,
    pub(super) talk: Talk,
    /// What was said of who hears whom.
    pub(super) mode: TalkMode,
    /// The B channel that was joined.
    pub(super) channel: Option<u8>,
}

/// Who set the call up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// They did; `Some`: they wait for an answer to that.
    Arrived(Option<AskId>),
    Started,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Talk {
    Not,
    Answered,
    Held,
}

impl LineLeg {
    /// Who calls, and whom.
    pub(super) const fn ends(&self) -> (Party, Party) {
        match self.way {
            Way::Arrived(_) => (self.station, self.other),
            Way::Started => (self.other, self.station),
        }
    }
}

impl LineLegs {
    pub(super) fn insert(&mut self, id: LegId, leg: LineLeg) {
        self.by_call.insert((leg.line, leg.call), id);
        self.legs.insert(id, leg);
    }

    pub(super) fn get(&self, id: LegId) -> Option<&LineLeg> {
        self.legs.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: LegId) -> Option<&mut LineLeg> {
        self.legs.get_mut(&id)
    }

    pub(super) fn by_call(&self, line: LineId, call: CallRef) -> Option<LegId> {
        self.by_call.get(&(line, call)).copied()
    }

    pub(super) fn remove(&mut self, id: LegId) -> Option<LineLeg> {
        let leg = self.legs.remove(&id)?;
        self.by_call.remove(&(leg.line, leg.call));
        Some(leg)
    }

    pub(super) fn of_line(&self, line: LineId) -> impl Iterator<Item = (LegId, &LineLeg)> {
        let legs = self.legs.iter().filter(move |(_, leg)| leg.line == line);
        legs.map(|(id, leg)| (*id, leg))
    }
}
