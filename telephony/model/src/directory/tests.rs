use std::time::Duration;

use super::*;
use crate::{
    AutoAnswer, BusyPolicy, CallButton, CloudUserId, ConferenceId, DoorCode, DoorOutput,
    Escalation, Feedback, ForwardWhen, ForwardingRule, GroupCallId, HttpUrl, InCallRight, NodeId,
    Pii, Reach, Schedule, StationKind,
};

fn number(text: &str) -> Address {
    Address::Local(CallNumber::parse(text).unwrap())
}

fn station(text: &str) -> Station {
    let account = AccountUser::parse(&format!("user{text}")).unwrap();
    let number = CallNumber::parse(text).unwrap();
    let reach = Reach::Account(account);
    Station::new(
        StationId::from_key(text),
        number,
        StationKind::Generic,
        reach,
    )
}

fn door(key: &str, code: &str) -> Door {
    let mut door = Door::new(DoorId::from_key(key), DoorOutput::Station { output: 1 });
    door.code = Some(DoorCode::parse(code).unwrap());
    door
}

fn group(text: &str, members: &[&str]) -> RingGroup {
    let members = members.iter().map(|m| number(m)).collect();
    RingGroup::new(
        RingGroupId::from_key(text),
        CallNumber::parse(text).unwrap(),
        members,
    )
}

fn desk(text: &str, positions: &[&str]) -> Desk {
    let positions = positions.iter().map(|p| number(p)).collect();
    Desk::new(
        DeskId::from_key(text),
        CallNumber::parse(text).unwrap(),
        positions,
    )
}

/// A correct site with everything in it.
fn site() -> Lists {
    let mut lists = Lists {
        stations: vec![station("101"), station("102"), station("103")],
        ring_groups: vec![group("501", &["103"]), group("500", &["102", "103"])],
        desks: vec![desk("510", &["102"])],
        conferences: vec![Conference::new(
            ConferenceId::from_key("520"),
            CallNumber::parse("520").unwrap(),
        )],
        group_calls: vec![GroupCall::new(
            GroupCallId::from_key("530"),
            CallNumber::parse("530").unwrap(),
            vec![number("101"), number("102")],
        )],
        ..Lists::default()
    };
    lists.stations[0].doors = vec![door("front", "12"), door("gate", "34")];
    lists.stations[1].may_open = vec![DoorId::from_key("front")];
    lists.stations[0].buttons = vec![CallButton {
        key: 1,
        label: Pii::new("Reception".to_owned()),
        target: number("510"),
        priority: None,
    }];
    lists.ring_groups[1].then = Some(number("501"));
    lists.site.escalation = vec![number("500"), Address::CloudUser(CloudUserId::new(1))];
    lists
}

/// What is wrong after this change, as "path: fault".
fn check(change: impl FnOnce(&mut Lists), expected: &[&str]) {
    let mut lists = site();
    change(&mut lists);
    let problems = match Directory::build(lists) {
        Ok(_) => Vec::new(),
        Err(Problems(list)) => list,
    };
    let found: Vec<String> = problems
        .iter()
        .map(|p| format!("{}: {}", p.path, p.fault))
        .collect();
    assert_eq!(found, expected);
    assert!(problems.iter().all(|p| !p.fault.hint().is_empty()));
}

#[test]
fn a_correct_site_has_no_problems() {
    check(|_| {}, &[]);
}

#[test]
fn everything_is_found_by_number_id_account_and_door() {
    let directory = Directory::build(site()).unwrap();
    let by_number = |text| directory.by_number(CallNumber::parse(text).unwrap());
    assert!(
        matches!(by_number("101"), Some(Destination::Station(s)) if s.id == StationId::from_key("101"))
    );
    assert!(matches!(by_number("500"), Some(Destination::RingGroup(g)) if g.members.len() == 2));
    assert!(matches!(by_number("510"), Some(Destination::Desk(_))));
    assert!(matches!(by_number("520"), Some(Destination::Conference(_))));
    assert!(matches!(by_number("530"), Some(Destination::GroupCall(_))));
    assert!(by_number("10").is_none() && by_number("1011").is_none());
    for text in ["101", "102", "103"] {
        assert_eq!(
            directory
                .station(StationId::from_key(text))
                .unwrap()
                .number
                .as_str(),
            text
        );
        let account = format!("user{text}");
        assert_eq!(
            directory
                .station_by_account(&account)
                .unwrap()
                .number
                .as_str(),
            text
        );
    }
    assert!(directory.station_by_account("").is_none());
    assert!(directory.station_by_account("user1").is_none());
    let (at, front) = directory.door(DoorId::from_key("front")).unwrap();
    assert_eq!(
        (at.number.as_str(), front.id),
        ("101", DoorId::from_key("front"))
    );
    assert!(
        directory
            .conference(ConferenceId::from_key("520"))
            .is_some()
    );
    assert!(directory.group_call(GroupCallId::from_key("530")).is_some());
    let elsewhere = Address::Remote {
        node: NodeId::new(4),
        number: CallNumber::parse("101").unwrap(),
    };
    assert!(matches!(
        directory.destination(&elsewhere),
        Some(Destination::Elsewhere(_))
    ));
    assert!(
        directory
            .destination(&Address::Group(RingGroupId::new(1)))
            .is_none()
    );
}

#[test]
fn numbers_ids_and_accounts_are_given_once() {
    check(
        |l| {
            l.stations[2] = station("102");
            l.ring_groups[0].members = vec![number("101")];
            l.ring_groups[1].members = vec![number("102")];
            l.desks[0].number = CallNumber::parse("500").unwrap();
            l.stations[0].doors[1].id = DoorId::from_key("front");
            l.stations[0].buttons.clear();
        },
        &[
            "stations[0].doors[1].id: the same id is already used by stations[0].doors[0]",
            "stations[2].number: the number 102 is already used by stations[1]",
            "stations[2].id: the same id is already used by stations[1]",
            "stations[2].account: the SIP account is already used by stations[1]",
            "desks[0].number: the number 500 is already used by ring_groups[1]",
        ],
    );
}

#[test]
fn every_reference_leads_somewhere() {
    check(
        |l| {
            l.stations[0].buttons[0].target = number("999");
            l.stations[0].forwarding = vec![ForwardingRule::new(
                ForwardWhen::Busy,
                Address::Group(RingGroupId::new(1)),
            )];
            l.stations[1].may_open = vec![DoorId::new(1)];
            l.stations[1].auto_answer = AutoAnswer::From(vec![number("998")]);
            l.ring_groups[0].members = vec![number("997")];
            l.ring_groups[1].then = Some(Address::Desk(DeskId::new(1)));
            l.desks[0].escalation = Some(Escalation {
                after: Duration::from_secs(60),
                to: number("996"),
            });
            l.site.escalation = vec![number("995")];
        },
        &[
            "site.escalation[0]: nothing in the directory has the number 995",
            "stations[0].buttons[0].target: nothing in the directory has the number 999",
            "stations[0].forwarding[0].to: no such ring group",
            "stations[1].may_open[0]: no such door",
            "stations[1].auto_answer[0]: nothing in the directory has the number 998",
            "ring_groups[0].members[0]: nothing in the directory has the number 997",
            "ring_groups[1].then: no such desk",
            "desks[0].escalation.to: nothing in the directory has the number 996",
        ],
    );
}

#[test]
fn groups_hold_single_devices_and_each_once() {
    check(
        |l| {
            l.ring_groups[0].members = vec![number("500"), number("101"), number("101")];
            l.desks[0].positions = vec![number("520")];
            l.site.escalation = vec![number("530"), number("510"), number("510")];
        },
        &[
            "site.escalation[0]: a conference, group call or echo test cannot stand here: nobody may be there to answer",
            "site.escalation[2]: the same entry is there twice, first at site.escalation[1]",
            "ring_groups[0].members[0]: a group, desk or room cannot stand here, only a single device or user",
            "ring_groups[0].members[2]: the same entry is there twice, first at ring_groups[0].members[1]",
            "desks[0].positions[0]: a group, desk or room cannot stand here, only a single device or user",
        ],
    );
}

#[test]
fn the_echo_test_has_a_number_and_only_buttons_lead_there() {
    let echo = CallNumber::parse("199").unwrap();
    let mut lists = site();
    lists.site.echo_test = Some(echo);
    lists.stations[0].buttons[0].target = number("199");
    let directory = Directory::build(lists).unwrap();
    let found = directory.by_number(echo);
    assert!(matches!(found, Some(Destination::EchoTest(number)) if number == echo));
    assert!(directory.station_by_number(echo).is_none());
    check(
        |l| {
            l.site.echo_test = Some(echo);
            l.stations[0].forwarding = vec![ForwardingRule::new(ForwardWhen::Busy, number("199"))];
            l.ring_groups[0].members = vec![number("199")];
            l.ring_groups[1].then = Some(number("199"));
            l.site.escalation = vec![number("199")];
        },
        &[
            "site.escalation[0]: a conference, group call or echo test cannot stand here: nobody may be there to answer",
            "stations[0].forwarding[0].to: the echo test cannot stand here: nobody is there but whoever calls it",
            "ring_groups[0].members[0]: a group, desk or room cannot stand here, only a single device or user",
            "ring_groups[1].then: the echo test cannot stand here: nobody is there but whoever calls it",
        ],
    );
    check(
        |l| l.site.echo_test = Some(CallNumber::parse("520").unwrap()),
        &["site.echo_test: the number 520 is already used by conferences[0]"],
    );
}

#[test]
fn the_limits_of_the_product_hold_c4_c5_c6() {
    let many = |n: u64| -> Vec<Address> {
        (0..n)
            .map(|n| Address::CloudUser(CloudUserId::new(n.into())))
            .collect()
    };
    check(|l| l.ring_groups[0].members = many(32), &[]);
    check(
        |l| {
            l.ring_groups[0].members = many(33);
            l.ring_groups[1].members.clear();
            let rule = ForwardingRule::new(ForwardWhen::Busy, number("101"));
            l.stations[1].forwarding = vec![rule; 21];
            l.stations[1].busy = BusyPolicy::Wait { up_to: 21 };
            l.stations[2].busy = BusyPolicy::Wait { up_to: 0 };
            l.stations[0].doors.push(door("third", "56"));
        },
        &[
            "stations[0].doors: 3 entries, 0 to 2 are possible",
            "stations[1].forwarding: 21 entries, 0 to 20 are possible",
            "stations[1].busy: 21 entries, 1 to 20 are possible",
            "stations[2].busy: 0 entries, 1 to 20 are possible",
            "ring_groups[0].members: 33 entries, 1 to 32 are possible",
            "ring_groups[1].members: 0 entries, 1 to 32 are possible",
        ],
    );
    check(
        |l| l.stations = vec![station("101"); 100_001],
        &["stations: 100001 entries, 0 to 100000 are possible"],
    );
}

#[test]
fn a_code_that_another_begins_with_is_found() {
    check(
        |l| l.stations[0].doors[1].code = Some(DoorCode::parse("123").unwrap()),
        &[
            "stations[0].doors[1].code: the code begins with the code of stations[0].doors[0], so that one of them could never be dialled",
        ],
    );
    // At two stations the same code is no trouble.
    check(|l| l.stations[1].doors = vec![door("back", "12")], &[]);
}

#[test]
fn doors_make_sense() {
    check(
        |l| {
            let doors = &mut l.stations[0].doors;
            doors[0].output = DoorOutput::Station { output: 0 };
            doors[0].in_call = InCallRight::Listed;
            doors[1].output = DoorOutput::Url(HttpUrl::parse("http://192.0.2.1/open").unwrap());
            doors[1].feedback = Feedback::Contact { input: 1 };
        },
        &[
            "stations[0].doors[0].permitted: a door with the right \"listed\" has nobody on its list",
            "stations[0].doors[0].output: outputs and inputs count from 1",
            "stations[0].doors[1].feedback: the door counts on a contact or the station, but is opened through a URL",
        ],
    );
}

#[test]
fn circles_that_a_call_could_not_leave_are_found() {
    let always = |to| vec![ForwardingRule::new(ForwardWhen::Always, number(to))];
    check(
        |l| {
            l.stations[0].forwarding = always("102");
            l.stations[1].forwarding = always("103");
            l.stations[2].forwarding = always("101");
            l.ring_groups[0].then = Some(number("500"));
        },
        &[
            "stations[0].forwarding: calls would go round in a circle: 101 -> 102 -> 103 -> 101",
            "ring_groups[1].then: calls would go round in a circle: 500 -> 501 -> 500",
        ],
    );
    check(
        |l| l.stations[0].forwarding = always("101"),
        &["stations[0].forwarding: calls would go round in a circle: 101 -> 101"],
    );
    check(
        |l| {
            let to = number("510");
            l.desks[0].escalation = Some(Escalation {
                after: Duration::from_secs(60),
                to,
            });
        },
        &["desks[0].escalation.to: calls would go round in a circle: 510 -> 510"],
    );
}

#[test]
fn colleagues_may_stand_in_for_each_other() {
    check(
        |l| {
            let when = ForwardWhen::NoAnswer {
                after: Duration::from_secs(20),
            };
            l.stations[0].forwarding = vec![ForwardingRule::new(when, number("102"))];
            l.stations[1].forwarding = vec![ForwardingRule::new(ForwardWhen::Busy, number("101"))];
            let mut at_night = ForwardingRule::new(ForwardWhen::Always, number("101"));
            at_night.schedule = Some(Schedule::ALWAYS);
            l.stations[1].forwarding.push(at_night);
        },
        &[],
    );
}

#[test]
fn times_and_names_are_within_reason() {
    check(
        |l| {
            l.ring_groups[0].ring_for = Duration::ZERO;
            l.desks[0].expires_after = Duration::from_secs(100_000);
            let after = Duration::from_secs(3_600);
            let when = ForwardWhen::NoAnswer { after };
            l.stations[1].forwarding = vec![ForwardingRule::new(when, number("103"))];
            l.stations[2].name = Pii::new("Gate\nEast".to_owned());
            l.ring_groups[1].name = Pii::new("x".repeat(129));
        },
        &[
            "stations[1].forwarding[0].after: 3600000 ms, from 1000 to 600000 ms are possible",
            "stations[2].name: the name has control characters in it",
            "ring_groups[0].ring_for: 0 ms, from 1000 to 600000 ms are possible",
            "ring_groups[1].name: the name has 129 bytes, at most 128 are possible",
            "desks[0].expires_after: 100000000 ms, from 1000 to 86400000 ms are possible",
        ],
    );
}

#[test]
fn all_problems_are_told_at_once_each_with_its_remedy() {
    let mut lists = site();
    lists.ring_groups[0].members.clear();
    lists.stations[0].buttons[0].target = number("999");
    let text = Directory::build(lists).unwrap_err().to_string();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(
        text.contains("correct the number or add what it belongs to"),
        "{text}"
    );
}

#[test]
fn a_thousand_stations_cost_little_and_are_found() {
    let stations = (0..5_000)
        .map(|n| station(&format!("{}", 10_000 + n)))
        .collect();
    let directory = Directory::build(Lists {
        stations,
        ..Lists::default()
    })
    .unwrap();
    for n in 0..5_000 {
        let number = CallNumber::parse(&format!("{}", 10_000 + n)).unwrap();
        assert_eq!(directory.station_by_number(number).unwrap().number, number);
    }
    assert!(
        size_of::<Station>() <= 400,
        "{} bytes",
        size_of::<Station>()
    );
}
