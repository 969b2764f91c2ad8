//! Small directories in a few words.

use std::time::Duration;

use model::{
    AccountUser, Conference, ConferenceId, Desk, DeskId, Directory, Door, DoorCode, DoorId,
    DoorOutput, ForwardWhen, ForwardingRule, GroupCall, GroupCallId, Lists, Reach, RingGroup,
    RingGroupId, Station, StationKind,
};

use super::{digits, number, station};

#[derive(Clone, Default)]
pub(crate) struct Plan(pub(crate) Lists);

/// Stations with these numbers, and nothing special about them.
pub(crate) fn stations(numbers: &[&str]) -> Plan {
    let mut plan = Plan::default();
    for number in numbers {
        let reach = Reach::Account(AccountUser::parse(&format!("user{number}")).unwrap());
        let kind = StationKind::Generic;
        plan.0
            .stations
            .push(Station::new(station(number), digits(number), kind, reach));
    }
    plan
}

impl Plan {
    pub(crate) fn change(mut self, number: &str, change: impl FnOnce(&mut Station)) -> Self {
        let id = station(number);
        change(
            self.0
                .stations
                .iter_mut()
                .find(|s| s.id == id)
                .expect("a station of the plan"),
        );
        self
    }

    pub(crate) fn forward(self, from: &str, when: ForwardWhen, to: &str) -> Self {
        let rule = ForwardingRule::new(when, number(to));
        self.change(from, |s| s.forwarding.push(rule))
    }

    /// A door of this station, opened by its key as id and by this code.
    pub(crate) fn door(self, at: &str, key: &str, code: Option<&str>) -> Self {
        let mut door = Door::new(DoorId::from_key(key), DoorOutput::Station { output: 1 });
        door.code = code.map(|code| DoorCode::parse(code).unwrap());
        self.change(at, |s| s.doors.push(door))
    }

    pub(crate) fn change_door(self, key: &str, change: impl FnOnce(&mut Door)) -> Self {
        let mut plan = self;
        let doors = plan.0.stations.iter_mut().flat_map(|s| &mut s.doors);
        let id = DoorId::from_key(key);
        change(
            doors
                .into_iter()
                .find(|d| d.id == id)
                .expect("a door of the plan"),
        );
        plan
    }

    pub(crate) fn group(mut self, own: &str, members: &[&str]) -> Self {
        let members = members.iter().map(|m| number(m)).collect();
        self.0.ring_groups.push(RingGroup::new(
            RingGroupId::from_key(own),
            digits(own),
            members,
        ));
        self
    }

    pub(crate) fn change_group(mut self, change: impl FnOnce(&mut RingGroup)) -> Self {
        change(self.0.ring_groups.last_mut().expect("a group of the plan"));
        self
    }

    pub(crate) fn desk(mut self, own: &str, positions: &[&str]) -> Self {
        let positions = positions.iter().map(|p| number(p)).collect();
        self.0
            .desks
            .push(Desk::new(DeskId::from_key(own), digits(own), positions));
        self
    }

    pub(crate) fn change_desk(mut self, change: impl FnOnce(&mut Desk)) -> Self {
        change(self.0.desks.last_mut().expect("a desk of the plan"));
        self
    }

    pub(crate) fn conference(mut self, own: &str, members: &[&str]) -> Self {
        let mut room = Conference::new(ConferenceId::from_key(own), digits(own));
        room.members = members.iter().map(|m| number(m)).collect();
        self.0.conferences.push(room);
        self
    }

    pub(crate) fn group_call(mut self, own: &str, members: &[&str]) -> Self {
        let members = members.iter().map(|m| number(m)).collect();
        self.0.group_calls.push(GroupCall::new(
            GroupCallId::from_key(own),
            digits(own),
            members,
        ));
        self
    }

    pub(crate) fn escalation(mut self, to: &[&str]) -> Self {
        self.0.site.escalation = to.iter().map(|n| number(n)).collect();
        self.0.site.escalation_ring = Duration::from_secs(20);
        self
    }

    pub(crate) fn build(self) -> Directory {
        Directory::build(self.0).unwrap_or_else(|problems| panic!("{problems}"))
    }
}
