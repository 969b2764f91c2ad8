//! Group calls, where one talks and all listen, and conferences, where all hear all.
//!
//! Both live inside the site: lines say who joins, not what is heard (a line's group call has no
//! sound here). Invariant: a number is one gathering at most, and who is in it is in nothing else.

use std::time::Instant;

use legacy_protocols::command::GroupRef;
use legacy_protocols::number::Party;
use legacy_protocols::priority::Priority;

use super::calls::is_alarm;
use super::plan::MOST_MEMBERS;
use super::station::Busy;
use super::wires::{Circuit, Member, Part, Voice};
use super::{Output, Site};

/// Circuits of gatherings are numbered apart from those of calls.
const CIRCUITS: u64 = 1 << 40;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gathering {
    Group {
        talker: Party,
        listeners: Vec<Party>,
    },
    Conference {
        members: Vec<Party>,
    },
}

#[cfg(test)]
impl Gathering {
    pub(super) fn has(&self, party: Party) -> bool {
        match self {
            Self::Group { talker, listeners } => *talker == party || listeners.contains(&party),
            Self::Conference { members } => members.contains(&party),
        }
    }
}

impl Site {
    /// False: there is no such group, or somebody talks to it.
    pub(super) fn group_start(
        &mut self,
        group: u16,
        talker: Party,
        priority: Priority,
        now: Instant,
    ) -> bool {
        let Some(plan) = self.groups.get(&group) else {
            return false;
        };
        if self.gatherings.contains_key(&group) {
            return false;
        }
        let members = plan.members.clone();
        let mut listeners = Vec::new();
        for member in members.into_iter().filter(|member| *member != talker) {
            if is_alarm(priority) {
                self.make_free(member, now);
            }
            if self.is_free(member)
                && let Some(station) = self.change(member)
            {
                station.busy = Busy::Listening(GroupRef(group));
                listeners.push(member);
            }
        }
        if let Some(station) = self.change(talker) {
            station.busy = Busy::Announcing(GroupRef(group));
        }
        let title = self.title(talker);
        self.note(format!("{title} talks to group {group}"));
        self.gather(group, Gathering::Group { talker, listeners });
        true
    }

    pub(super) fn group_stop(&mut self, group: u16, talker: Party) -> bool {
        match self.gatherings.get(&group) {
            Some(Gathering::Group { talker: known, .. }) if *known == talker => {
                self.leave_gathering(group, talker);
                true
            }
            Some(Gathering::Group { .. } | Gathering::Conference { .. }) | None => false,
        }
    }

    /// False: no such conference, no room, or the station is busy.
    pub(super) fn join(&mut self, conference: u16, station: Party) -> bool {
        let known = self.groups.contains_key(&conference);
        if !known || !self.is_free(station) {
            return false;
        }
        let mut members = match self.gatherings.get(&conference) {
            None => Vec::new(),
            Some(Gathering::Conference { members }) => members.clone(),
            Some(Gathering::Group { .. }) => return false,
        };
        if members.len() >= MOST_MEMBERS {
            return false;
        }
        members.push(station);
        if let Some(station) = self.change(station) {
            station.busy = Busy::Conference(GroupRef(conference));
        }
        self.gather(conference, Gathering::Conference { members });
        true
    }

    pub(super) fn leave(&mut self, conference: u16, station: Party) -> bool {
        let inside = matches!(
            self.gatherings.get(&conference),
            Some(Gathering::Conference { members }) if members.contains(&station)
        );
        if inside {
            self.leave_gathering(conference, station);
        }
        inside
    }

    /// A group call ends with its talker, a conference with its last member.
    pub(super) fn leave_gathering(&mut self, number: u16, who: Party) {
        let Some(gathering) = self.gatherings.remove(&number) else {
            return;
        };
        let stays = match gathering {
            Gathering::Group { talker, listeners } if talker == who => {
                self.free_of_gathering(talker);
                for listener in listeners {
                    self.free_of_gathering(listener);
                }
                None
            }
            Gathering::Group {
                talker,
                mut listeners,
            } => {
                listeners.retain(|listener| *listener != who);
                self.free_of_gathering(who);
                Some(Gathering::Group { talker, listeners })
            }
            Gathering::Conference { mut members } => {
                members.retain(|member| *member != who);
                self.free_of_gathering(who);
                (!members.is_empty()).then_some(Gathering::Conference { members })
            }
        };
        match stays {
            Some(gathering) => self.gather(number, gathering),
            None => self.wire_gathering(number, Vec::new()),
        }
    }

    fn free_of_gathering(&mut self, party: Party) {
        if let Some(station) = self.change(party) {
            station.busy = Busy::No;
        }
    }

    fn gather(&mut self, number: u16, gathering: Gathering) {
        let member = |party: &Party, part| Member {
            voice: Voice::Station(*party),
            part,
        };
        let members = match &gathering {
            Gathering::Group { talker, listeners } => {
                let heard = listeners.iter().map(|party| member(party, Part::HEARS));
                std::iter::once(member(talker, Part::TALKS))
                    .chain(heard)
                    .collect()
            }
            Gathering::Conference { members } => members
                .iter()
                .map(|party| member(party, Part::BOTH))
                .collect(),
        };
        self.gatherings.insert(number, gathering);
        self.wire_gathering(number, members);
    }

    fn wire_gathering(&mut self, number: u16, members: Vec<Member>) {
        let id = CIRCUITS + u64::from(number);
        self.outputs
            .push_back(Output::Circuit(Circuit { id, members }));
    }
}
