//! The checks of a directory. Each looks at the whole and reports all it finds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Destination, Directory, Fault, Lists, Place, Problem, Problems};
use crate::{
    Address, AutoAnswer, BusyPolicy, CallNumber, Conference, Desk, Door, DoorId, DoorOutput,
    Feedback, ForwardWhen, GroupCall, InCallRight, Pii, RingGroup, Station, limits,
};

const RING_TIMES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));
const DESK_TIMES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(86_400));

/// Lists so long that they are not worth a closer look.
pub(super) fn too_many(lists: &Lists) -> Result<(), Problems> {
    let mut found = Found::default();
    found.count("stations", lists.stations.len(), 0, limits::MAX_STATIONS);
    found.count(
        "ring_groups",
        lists.ring_groups.len(),
        0,
        limits::MAX_GROUPS,
    );
    found.count("desks", lists.desks.len(), 0, limits::MAX_GROUPS);
    found.count(
        "conferences",
        lists.conferences.len(),
        0,
        limits::MAX_GROUPS,
    );
    found.count(
        "group_calls",
        lists.group_calls.len(),
        0,
        limits::MAX_GROUPS,
    );
    found.result()
}

pub(super) fn all(directory: &Directory) -> Result<(), Problems> {
    let lists = &directory.lists;
    let mut found = Found::default();
    duplicates(lists, &mut found);
    site(directory, &mut found);
    for (i, entry) in lists.stations.iter().enumerate() {
        station(directory, entry, &format!("stations[{i}]"), &mut found);
    }
    for (i, entry) in lists.ring_groups.iter().enumerate() {
        ring_group(directory, entry, &format!("ring_groups[{i}]"), &mut found);
    }
    for (i, entry) in lists.desks.iter().enumerate() {
        desk(directory, entry, &format!("desks[{i}]"), &mut found);
    }
    for (i, entry) in lists.conferences.iter().enumerate() {
        conference(directory, entry, &format!("conferences[{i}]"), &mut found);
    }
    for (i, entry) in lists.group_calls.iter().enumerate() {
        group_call(directory, entry, &format!("group_calls[{i}]"), &mut found);
    }
    loops(directory, &mut found);
    found.result()
}

/// Numbers are unique over everything, ids within their kind.
fn duplicates(lists: &Lists, found: &mut Found) {
    let mut numbers = BTreeMap::new();
    let mut ids = BTreeMap::new();
    let mut accounts = BTreeMap::new();
    let mut doors: BTreeMap<DoorId, String> = BTreeMap::new();
    for (i, station) in lists.stations.iter().enumerate() {
        let path = format!("stations[{i}]");
        found.number(&mut numbers, station.number, &path);
        found.id(&mut ids, ("station", station.id.get()), &path);
        if let Some(account) = station.account()
            && let Some(by) = accounts.insert(account, path.clone())
        {
            found.push(format!("{path}.account"), Fault::AccountTaken { by });
        }
        for (j, door) in station.doors.iter().enumerate() {
            let path = format!("{path}.doors[{j}]");
            if let Some(by) = doors.insert(door.id, path.clone()) {
                found.push(format!("{path}.id"), Fault::IdTaken { by });
            }
        }
    }
    for (i, group) in lists.ring_groups.iter().enumerate() {
        let path = format!("ring_groups[{i}]");
        found.number(&mut numbers, group.number, &path);
        found.id(&mut ids, ("ring group", group.id.get()), &path);
    }
    for (i, desk) in lists.desks.iter().enumerate() {
        let path = format!("desks[{i}]");
        found.number(&mut numbers, desk.number, &path);
        found.id(&mut ids, ("desk", desk.id.get()), &path);
    }
    for (i, room) in lists.conferences.iter().enumerate() {
        let path = format!("conferences[{i}]");
        found.number(&mut numbers, room.number, &path);
        found.id(&mut ids, ("conference", room.id.get()), &path);
    }
    for (i, call) in lists.group_calls.iter().enumerate() {
        let path = format!("group_calls[{i}]");
        found.number(&mut numbers, call.number, &path);
        found.id(&mut ids, ("group call", call.id.get()), &path);
    }
    if let Some(number) = lists.site.echo_test
        && let Some(by) = numbers.get(&number).cloned()
    {
        let path = "site.echo_test".to_owned();
        found.push(path, Fault::NumberTaken { number, by });
    }
}

fn site(directory: &Directory, found: &mut Found) {
    let site = &directory.lists.site;
    found.count(
        "site.escalation",
        site.escalation.len(),
        0,
        limits::MAX_ESCALATION,
    );
    found.duration("site.escalation_ring", site.escalation_ring, RING_TIMES);
    for (i, address) in site.escalation.iter().enumerate() {
        let path = format!("site.escalation[{i}]");
        match directory.destination(address) {
            Some(
                Destination::Conference(_) | Destination::GroupCall(_) | Destination::EchoTest(_),
            ) => found.push(path, Fault::ARoom),
            Some(
                Destination::Station(_)
                | Destination::RingGroup(_)
                | Destination::Desk(_)
                | Destination::Elsewhere(_),
            ) => {}
            None => found.known(directory, address, &path),
        }
    }
    found.no_twins(&site.escalation, "site.escalation");
}

fn station(directory: &Directory, station: &Station, path: &str, found: &mut Found) {
    found.name(&station.name, path);
    found.count(
        &format!("{path}.doors"),
        station.doors.len(),
        0,
        limits::MAX_DOORS,
    );
    found.count(
        &format!("{path}.may_open"),
        station.may_open.len(),
        0,
        limits::MAX_PERMISSIONS,
    );
    let (buttons, rules) = (&station.buttons, &station.forwarding);
    found.count(
        &format!("{path}.buttons"),
        buttons.len(),
        0,
        limits::MAX_BUTTONS,
    );
    found.count(
        &format!("{path}.forwarding"),
        rules.len(),
        0,
        limits::MAX_FORWARDING_RULES,
    );
    for (i, entry) in station.doors.iter().enumerate() {
        door(directory, entry, &format!("{path}.doors[{i}]"), found);
    }
    hidden_codes(&station.doors, path, found);
    for (i, id) in station.may_open.iter().enumerate() {
        if directory.door(*id).is_none() {
            found.push(format!("{path}.may_open[{i}]"), Fault::UnknownDoor);
        }
    }
    let mut keys = BTreeMap::new();
    for (i, button) in buttons.iter().enumerate() {
        let here = format!("{path}.buttons[{i}]");
        found.name(&button.label, &here);
        found.known(directory, &button.target, &format!("{here}.target"));
        if let Some(first) = keys.insert(button.key, here.clone()) {
            found.push(format!("{here}.key"), Fault::Twice { first });
        }
    }
    if let AutoAnswer::From(callers) = &station.auto_answer {
        let here = format!("{path}.auto_answer");
        found.count(&here, callers.len(), 1, limits::MAX_PERMISSIONS);
        found.single_devices(directory, callers, &here);
    }
    if let BusyPolicy::Wait { up_to } = station.busy {
        let max = usize::from(limits::MAX_WAITING_CALLS);
        found.count(&format!("{path}.busy"), usize::from(up_to), 1, max);
    }
    for (i, rule) in rules.iter().enumerate() {
        let here = format!("{path}.forwarding[{i}]");
        found.somebody(directory, &rule.to, &format!("{here}.to"));
        if let ForwardWhen::NoAnswer { after } = rule.when {
            found.duration(&format!("{here}.after"), after, RING_TIMES);
        }
    }
}

fn door(directory: &Directory, door: &Door, path: &str, found: &mut Found) {
    found.name(&door.name, path);
    let list = format!("{path}.permitted");
    found.count(&list, door.permitted.len(), 0, limits::MAX_PERMISSIONS);
    found.single_devices(directory, &door.permitted, &list);
    if door.in_call == InCallRight::Listed && door.permitted.is_empty() {
        found.push(list, Fault::NobodyPermitted);
    }
    match (&door.output, door.feedback) {
        (DoorOutput::Station { output: 0 }, _) => {
            found.push(format!("{path}.output"), Fault::OutputZero);
        }
        (DoorOutput::Url(_), Feedback::Contact { .. } | Feedback::Station) => {
            found.push(format!("{path}.feedback"), Fault::FeedbackOfUrl);
        }
        (DoorOutput::Station { .. }, Feedback::Contact { input: 0 }) => {
            found.push(format!("{path}.feedback"), Fault::OutputZero);
        }
        (DoorOutput::Url(_) | DoorOutput::Station { .. }, _) => {}
    }
}

/// Digits come one by one: a code that another one begins with would always fire first.
fn hidden_codes(doors: &[Door], path: &str, found: &mut Found) {
    let codes = doors
        .iter()
        .enumerate()
        .filter_map(|(i, d)| Some((i, d.code.as_ref()?.digits())));
    let codes: Vec<_> = codes.collect();
    for (n, (i, code)) in codes.iter().enumerate() {
        let earlier = codes
            .iter()
            .take(n)
            .find(|(_, c)| c.starts_with(code) || code.starts_with(c));
        if let Some((j, _)) = earlier {
            let other = format!("{path}.doors[{j}]");
            found.push(
                format!("{path}.doors[{i}].code"),
                Fault::CodeHidden { other },
            );
        }
    }
}

fn ring_group(directory: &Directory, group: &RingGroup, path: &str, found: &mut Found) {
    found.name(&group.name, path);
    let here = format!("{path}.members");
    found.count(&here, group.members.len(), 1, limits::MAX_GROUP_MEMBERS);
    found.single_devices(directory, &group.members, &here);
    found.duration(&format!("{path}.ring_for"), group.ring_for, RING_TIMES);
    if let Some(then) = &group.then {
        found.somebody(directory, then, &format!("{path}.then"));
    }
}

fn desk(directory: &Directory, desk: &Desk, path: &str, found: &mut Found) {
    found.name(&desk.name, path);
    let here = format!("{path}.positions");
    found.count(&here, desk.positions.len(), 1, limits::MAX_DESK_POSITIONS);
    found.single_devices(directory, &desk.positions, &here);
    found.duration(
        &format!("{path}.remind_every"),
        desk.remind_every,
        DESK_TIMES,
    );
    found.duration(
        &format!("{path}.expires_after"),
        desk.expires_after,
        DESK_TIMES,
    );
    if let Some(escalation) = &desk.escalation {
        found.somebody(directory, &escalation.to, &format!("{path}.escalation.to"));
        found.duration(
            &format!("{path}.escalation.after"),
            escalation.after,
            DESK_TIMES,
        );
    }
}

fn conference(directory: &Directory, room: &Conference, path: &str, found: &mut Found) {
    found.name(&room.name, path);
    let here = format!("{path}.members");
    found.count(&here, room.members.len(), 0, limits::MAX_GROUP_MEMBERS);
    found.single_devices(directory, &room.members, &here);
}

fn group_call(directory: &Directory, call: &GroupCall, path: &str, found: &mut Found) {
    found.name(&call.name, path);
    let here = format!("{path}.members");
    found.count(&here, call.members.len(), 1, limits::MAX_GROUP_MEMBERS);
    found.single_devices(directory, &call.members, &here);
}

/// Circles that a call could not leave: forwardings without a condition, groups that go on to each
/// other, desks that escalate to each other. Circles through "busy" or "no answer" are left to the
/// hop list of the running call: two colleagues may well stand in for each other.
fn loops(directory: &Directory, found: &mut Found) {
    let mut seen = BTreeSet::new();
    for (_, start) in &directory.by_number {
        let mut way: Vec<Place> = Vec::new();
        let mut at = Some(*start);
        while let Some(place) = at {
            if let Some(begin) = way.iter().position(|p| *p == place) {
                let (path, way) = describe_loop(directory, &way[begin..]);
                found.push(path, Fault::Loop { way });
                break;
            }
            if !seen.insert(place) {
                break;
            }
            way.push(place);
            at = next_place(directory, place);
        }
    }
}

/// Where a call at this place surely goes on to.
fn next_place(directory: &Directory, place: Place) -> Option<Place> {
    let lists = &directory.lists;
    let to = match place {
        Place::Station(i) => {
            let rules = &lists.stations[i as usize].forwarding;
            rules
                .iter()
                .find(|rule| rule.is_unconditional())
                .map(|rule| &rule.to)
        }
        Place::RingGroup(i) => lists.ring_groups[i as usize].then.as_ref(),
        Place::Desk(i) => lists.desks[i as usize].escalation.as_ref().map(|e| &e.to),
        Place::Conference(_) | Place::GroupCall(_) | Place::EchoTest => None,
    };
    match directory.destination(to?)? {
        Destination::Station(s) => directory.place(s.number),
        Destination::RingGroup(g) => directory.place(g.number),
        Destination::Desk(d) => directory.place(d.number),
        Destination::Conference(_)
        | Destination::GroupCall(_)
        | Destination::EchoTest(_)
        | Destination::Elsewhere(_) => None,
    }
}

fn describe_loop(directory: &Directory, way: &[Place]) -> (String, String) {
    let lists = &directory.lists;
    let number = |place: &Place| match *place {
        Place::Station(i) => Some(lists.stations[i as usize].number),
        Place::RingGroup(i) => Some(lists.ring_groups[i as usize].number),
        Place::Desk(i) => Some(lists.desks[i as usize].number),
        Place::Conference(i) => Some(lists.conferences[i as usize].number),
        Place::GroupCall(i) => Some(lists.group_calls[i as usize].number),
        Place::EchoTest => lists.site.echo_test,
    };
    let path = match way.first() {
        Some(Place::Station(i)) => format!("stations[{i}].forwarding"),
        Some(Place::RingGroup(i)) => format!("ring_groups[{i}].then"),
        Some(Place::Desk(i)) => format!("desks[{i}].escalation.to"),
        Some(Place::Conference(_) | Place::GroupCall(_) | Place::EchoTest) | None => String::new(),
    };
    let numbers: Vec<String> = way
        .iter()
        .chain(way.first())
        .filter_map(|place| Some(number(place)?.to_string()))
        .collect();
    (path, numbers.join(" -> "))
}

#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn push(&mut self, path: String, fault: Fault) {
        self.0.push(Problem { path, fault });
    }

    fn result(self) -> Result<(), Problems> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Problems(self.0))
        }
    }

    fn count(&mut self, path: &str, count: usize, min: usize, max: usize) {
        if count < min || count > max {
            self.push(path.to_owned(), Fault::Count { count, min, max });
        }
    }

    fn duration(&mut self, path: &str, value: Duration, (min, max): (Duration, Duration)) {
        if value < min || value > max {
            let (ms, min_ms, max_ms) = (value.as_millis(), min.as_millis(), max.as_millis());
            self.push(path.to_owned(), Fault::Duration { ms, min_ms, max_ms });
        }
    }

    fn name(&mut self, name: &Pii<String>, path: &str) {
        let name = name.reveal();
        if name.len() > limits::MAX_NAME_BYTES {
            self.push(format!("{path}.name"), Fault::NameTooLong(name.len()));
        }
        if name.chars().any(char::is_control) {
            self.push(format!("{path}.name"), Fault::NameWithControl);
        }
    }

    fn number(&mut self, taken: &mut BTreeMap<CallNumber, String>, number: CallNumber, path: &str) {
        if let Some(by) = taken.get(&number) {
            self.push(
                format!("{path}.number"),
                Fault::NumberTaken {
                    number,
                    by: by.clone(),
                },
            );
        } else {
            taken.insert(number, path.to_owned());
        }
    }

    fn id(
        &mut self,
        taken: &mut BTreeMap<(&'static str, u64), String>,
        id: (&'static str, u64),
        path: &str,
    ) {
        if let Some(by) = taken.get(&id) {
            self.push(format!("{path}.id"), Fault::IdTaken { by: by.clone() });
        } else {
            taken.insert(id, path.to_owned());
        }
    }

    /// Where a call may be sent on to.
    fn somebody(&mut self, directory: &Directory, address: &Address, path: &str) {
        match directory.destination(address) {
            Some(Destination::EchoTest(_)) => self.push(path.to_owned(), Fault::AnEcho),
            Some(_) | None => self.known(directory, address, path),
        }
    }

    fn known(&mut self, directory: &Directory, address: &Address, path: &str) {
        if directory.destination(address).is_some() {
            return;
        }
        match address {
            Address::Local(number) => self.push(path.to_owned(), Fault::UnknownNumber(*number)),
            Address::Group(_) => self.push(path.to_owned(), Fault::UnknownGroup),
            Address::Desk(_) => self.push(path.to_owned(), Fault::UnknownDesk),
            Address::Remote { .. } | Address::Sip(_) | Address::CloudUser(_) => {}
        }
    }

    /// A list in which each entry is known, a device or user of its own, and there once.
    fn single_devices(&mut self, directory: &Directory, list: &[Address], path: &str) {
        for (i, address) in list.iter().enumerate() {
            let here = format!("{path}[{i}]");
            match directory.destination(address) {
                Some(Destination::Station(_) | Destination::Elsewhere(_)) => {}
                Some(
                    Destination::RingGroup(_)
                    | Destination::Desk(_)
                    | Destination::Conference(_)
                    | Destination::GroupCall(_)
                    | Destination::EchoTest(_),
                ) => self.push(here, Fault::NotASingleDevice),
                None => self.known(directory, address, &here),
            }
        }
        self.no_twins(list, path);
    }

    fn no_twins(&mut self, list: &[Address], path: &str) {
        let mut first_at = BTreeMap::new();
        for (i, address) in list.iter().enumerate() {
            if let Some(first) = first_at.get(address) {
                let first = format!("{path}[{first}]");
                self.push(format!("{path}[{i}]"), Fault::Twice { first });
            } else {
                first_at.insert(address, i);
            }
        }
    }
}
