//! The directory: every station, door, group, desk and room of a site, checked as a whole.
//!
//! `Directory::build` takes raw lists and either gives a directory or *all* that is wrong with
//! them. A directory in hand has no duplicate numbers or ids, no reference into nothing, no loop
//! that a call could not leave, and keeps the product's limits. It never changes; a reload builds
//! another one.

mod check;
mod problem;

use crate::{
    AccountUser, Address, CallNumber, Conference, ConferenceId, Desk, DeskId, Door, DoorId,
    GroupCall, GroupCallId, RingGroup, RingGroupId, Site, Station, StationId,
};

pub use problem::{Fault, Problem, Problems};

/// What a directory is built from. The positions in these lists are those of a problem's path.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    pub site: Site,
    pub stations: Vec<Station>,
    pub ring_groups: Vec<RingGroup>,
    pub desks: Vec<Desk>,
    pub conferences: Vec<Conference>,
    pub group_calls: Vec<GroupCall>,
}

#[derive(Clone, Debug, Default)]
pub struct Directory {
    lists: Lists,
    // Sorted positions instead of hash maps: a few bytes per entry, the same order on every run.
    by_number: Vec<(CallNumber, Place)>,
    stations_by_id: Vec<u32>,
    stations_by_account: Vec<u32>,
    doors_by_id: Vec<(DoorId, u32)>,
    groups_by_id: Vec<u32>,
    desks_by_id: Vec<u32>,
    conferences_by_id: Vec<u32>,
    group_calls_by_id: Vec<u32>,
}

/// What stands behind an address.
#[derive(Clone, Copy, Debug)]
pub enum Destination<'a> {
    Station(&'a Station),
    RingGroup(&'a RingGroup),
    Desk(&'a Desk),
    Conference(&'a Conference),
    GroupCall(&'a GroupCall),
    /// Whoever calls hears themselves.
    EchoTest(CallNumber),
    /// A device or user that this directory does not describe: another node, SIP, the cloud.
    Elsewhere(&'a Address),
}

/// A position in one of the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Station(u32),
    RingGroup(u32),
    Desk(u32),
    Conference(u32),
    GroupCall(u32),
    EchoTest,
}

impl Directory {
    /// Checks everything and builds the indexes, or tells everything that is wrong.
    pub fn build(lists: Lists) -> Result<Self, Problems> {
        check::too_many(&lists)?;
        let directory = Self::index(lists);
        check::all(&directory)?;
        Ok(directory)
    }

    pub fn site(&self) -> &Site {
        &self.lists.site
    }

    pub fn stations(&self) -> &[Station] {
        &self.lists.stations
    }

    pub fn ring_groups(&self) -> &[RingGroup] {
        &self.lists.ring_groups
    }

    pub fn desks(&self) -> &[Desk] {
        &self.lists.desks
    }

    pub fn conferences(&self) -> &[Conference] {
        &self.lists.conferences
    }

    pub fn group_calls(&self) -> &[GroupCall] {
        &self.lists.group_calls
    }

    pub fn station(&self, id: StationId) -> Option<&Station> {
        let stations = &self.lists.stations;
        find(&self.stations_by_id, |i| stations[i].id.cmp(&id)).map(|i| &stations[i])
    }

    pub fn station_by_account(&self, user: &str) -> Option<&Station> {
        let stations = &self.lists.stations;
        let account = |i: usize| stations[i].account().map_or("", AccountUser::as_str);
        find(&self.stations_by_account, |i| account(i).cmp(user)).map(|i| &stations[i])
    }

    pub fn station_by_number(&self, number: CallNumber) -> Option<&Station> {
        match self.place(number)? {
            Place::Station(i) => self.lists.stations.get(i as usize),
            Place::RingGroup(_)
            | Place::Desk(_)
            | Place::Conference(_)
            | Place::GroupCall(_)
            | Place::EchoTest => None,
        }
    }

    pub fn ring_group(&self, id: RingGroupId) -> Option<&RingGroup> {
        let groups = &self.lists.ring_groups;
        find(&self.groups_by_id, |i| groups[i].id.cmp(&id)).map(|i| &groups[i])
    }

    pub fn desk(&self, id: DeskId) -> Option<&Desk> {
        let desks = &self.lists.desks;
        find(&self.desks_by_id, |i| desks[i].id.cmp(&id)).map(|i| &desks[i])
    }

    pub fn conference(&self, id: ConferenceId) -> Option<&Conference> {
        let rooms = &self.lists.conferences;
        find(&self.conferences_by_id, |i| rooms[i].id.cmp(&id)).map(|i| &rooms[i])
    }

    pub fn group_call(&self, id: GroupCallId) -> Option<&GroupCall> {
        let calls = &self.lists.group_calls;
        find(&self.group_calls_by_id, |i| calls[i].id.cmp(&id)).map(|i| &calls[i])
    }

    /// A door with the station that it belongs to.
    pub fn door(&self, id: DoorId) -> Option<(&Station, &Door)> {
        let at = self
            .doors_by_id
            .binary_search_by_key(&id, |(door, _)| *door)
            .ok()?;
        let (_, station) = self.doors_by_id.get(at)?;
        let station = self.lists.stations.get(*station as usize)?;
        Some((station, station.door(id)?))
    }

    /// Who or what a call number belongs to.
    pub fn by_number(&self, number: CallNumber) -> Option<Destination<'_>> {
        let lists = &self.lists;
        let found = match self.place(number)? {
            Place::Station(i) => Destination::Station(lists.stations.get(i as usize)?),
            Place::RingGroup(i) => Destination::RingGroup(lists.ring_groups.get(i as usize)?),
            Place::Desk(i) => Destination::Desk(lists.desks.get(i as usize)?),
            Place::Conference(i) => Destination::Conference(lists.conferences.get(i as usize)?),
            Place::GroupCall(i) => Destination::GroupCall(lists.group_calls.get(i as usize)?),
            Place::EchoTest => Destination::EchoTest(number),
        };
        Some(found)
    }

    /// What stands behind an address; None for a number, group or desk that does not exist.
    pub fn destination<'a>(&'a self, address: &'a Address) -> Option<Destination<'a>> {
        match address {
            Address::Local(number) => self.by_number(*number),
            Address::Group(id) => self.ring_group(*id).map(Destination::RingGroup),
            Address::Desk(id) => self.desk(*id).map(Destination::Desk),
            Address::Remote { .. } | Address::Sip(_) | Address::CloudUser(_) => {
                Some(Destination::Elsewhere(address))
            }
        }
    }

    fn place(&self, number: CallNumber) -> Option<Place> {
        let at = self
            .by_number
            .binary_search_by_key(&number, |(n, _)| *n)
            .ok()?;
        self.by_number.get(at).map(|(_, place)| *place)
    }

    fn index(lists: Lists) -> Self {
        let mut by_number = Vec::new();
        let mut doors_by_id = Vec::new();
        for (i, station) in positions(&lists.stations) {
            by_number.push((station.number, Place::Station(i)));
            doors_by_id.extend(station.doors.iter().map(|door| (door.id, i)));
        }
        by_number
            .extend(positions(&lists.ring_groups).map(|(i, g)| (g.number, Place::RingGroup(i))));
        by_number.extend(positions(&lists.desks).map(|(i, d)| (d.number, Place::Desk(i))));
        by_number
            .extend(positions(&lists.conferences).map(|(i, c)| (c.number, Place::Conference(i))));
        by_number
            .extend(positions(&lists.group_calls).map(|(i, g)| (g.number, Place::GroupCall(i))));
        by_number.extend(lists.site.echo_test.map(|number| (number, Place::EchoTest)));
        by_number.sort_unstable();
        doors_by_id.sort_unstable();
        let stations_by_id = sorted_positions(&lists.stations, |s| s.id);
        let mut stations_by_account = sorted_positions(&lists.stations, |s| s.account());
        stations_by_account.retain(|i| lists.stations[*i as usize].account().is_some());
        let groups_by_id = sorted_positions(&lists.ring_groups, |g| g.id);
        let desks_by_id = sorted_positions(&lists.desks, |d| d.id);
        let conferences_by_id = sorted_positions(&lists.conferences, |c| c.id);
        let group_calls_by_id = sorted_positions(&lists.group_calls, |g| g.id);
        Self {
            lists,
            by_number,
            stations_by_id,
            stations_by_account,
            doors_by_id,
            groups_by_id,
            desks_by_id,
            conferences_by_id,
            group_calls_by_id,
        }
    }
}

/// The entries of a list with their positions. The lists are far shorter than `u32::MAX`
/// (`check::too_many` comes first).
fn positions<T>(list: &[T]) -> impl Iterator<Item = (u32, &T)> {
    (0u32..).zip(list)
}

fn sorted_positions<'a, T, K: Ord>(list: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<u32> {
    let mut order: Vec<u32> = positions(list).map(|(i, _)| i).collect();
    order.sort_by_key(|i| key(&list[*i as usize]));
    order.shrink_to_fit();
    order
}

fn find(order: &[u32], compare: impl Fn(usize) -> std::cmp::Ordering) -> Option<usize> {
    let at = order.binary_search_by(|i| compare(*i as usize)).ok()?;
    order.get(at).map(|i| *i as usize)
}

#[cfg(test)]
mod tests;
