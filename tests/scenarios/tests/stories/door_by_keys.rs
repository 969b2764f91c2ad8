//! C4: a door is opened from a call, once for one command.

use exchange::{Answer, OperatorCommand};
use model::{Authority, DoorResult, KeyWay};
use scenarios::clock::SECOND;
use scenarios::network::{Loss, What};
use scenarios::phone::{Act, Keypad};
use scenarios::site::{Site, door};
use scenarios::world::World;
use sip::message::Method;

use crate::{goodbye, talk};

const ALL: [&str; 3] = ["101", "102", "103"];

/// 101 is the station at the door, with an output of its own.
fn at_the_door() -> World {
    World::of(&Site::of(&ALL).door("101", "front", Some("12")), &ALL)
}

#[test]
fn c4_the_code_in_the_sound_opens_the_door_once_and_leaves_one_line_in_the_journal() {
    let mut world = at_the_door();
    talk(&mut world, "101", "102");
    world.keys_in_sound("102", "12");
    world.wait(5 * SECOND);
    world.expect("101", &["key 1"]);
    let [record] = &world.gateway.door_records[..] else {
        panic!("{:?}", world.gateway.door_records);
    };
    assert_eq!(record.door, door("front"));
    assert_eq!(record.result, DoorResult::SentNotConfirmed);
    assert!(matches!(record.authority, Authority::Leg(_)));
    goodbye(&mut world, &["101"]);
}

#[test]
fn c4_the_code_by_info_does_the_same() {
    let mut world = at_the_door();
    talk(&mut world, "101", "102");
    world.act("102", Act::Press('1'));
    world.wait(SECOND);
    world.act("102", Act::Press('2'));
    world.wait(5 * SECOND);
    world.expect("101", &["key 1"]);
    assert_eq!(world.gateway.door_records.len(), 1);
    goodbye(&mut world, &["101"]);
}

#[test]
fn c4_a_repeated_info_is_one_key() {
    let mut world = at_the_door();
    talk(&mut world, "101", "102");
    // The answers to the first keys are lost: the telephone repeats its requests.
    let caller = world.host("102");
    world
        .network
        .lose(Loss::of(What::Response(200, Method::Info), 2).to(caller));
    world.act("102", Act::Press('1'));
    world.wait(2 * SECOND);
    world.act("102", Act::Press('2'));
    world.wait(8 * SECOND);
    world.expect("101", &["key 1"]);
    assert_eq!(world.gateway.door_records.len(), 1);
    goodbye(&mut world, &["102"]);
}

#[test]
fn c4_a_wrong_code_opens_nothing() {
    let mut world = at_the_door();
    talk(&mut world, "101", "102");
    world.keys_in_sound("102", "13");
    world.wait(5 * SECOND);
    let pulses = world.gateway.state().calls().counters().door_pulses;
    assert_eq!(pulses, 0);
    goodbye(&mut world, &["101"]);
}

#[test]
fn c4_a_door_of_a_device_beside_the_station_is_asked_once() {
    let site = Site::of(&ALL).door_by_url("101", "gate", Some("7"));
    let mut world = World::of(&site, &ALL);
    talk(&mut world, "102", "101");
    world.keys_in_sound("102", "7");
    world.wait(5 * SECOND);
    assert_eq!(world.gateway.url_requests.len(), 1);
    assert_eq!(world.gateway.door_records.len(), 1);
    goodbye(&mut world, &["101"]);
}

#[test]
fn c4_an_operator_opens_from_the_idle_view_once_for_one_id() {
    let site = Site::of(&ALL).door_by_url("101", "gate", None);
    let mut world = World::of(&site, &ALL);
    let id = world.gateway.fresh_command();
    let command = OperatorCommand::Open(id, door("gate"));
    assert!(matches!(world.operator(command.clone()), Answer::Done));
    world.wait(SECOND);
    assert!(matches!(world.operator(command), Answer::Refused(_)));
    world.wait(5 * SECOND);
    assert_eq!(world.gateway.url_requests.len(), 1);
    assert_eq!(world.gateway.door_records.len(), 1);
    world.expect_nothing_left();
}

#[test]
fn c4_who_is_not_in_the_call_opens_nothing() {
    let mut world = at_the_door();
    talk(&mut world, "102", "103");
    world.keys_in_sound("102", "12");
    world.wait(5 * SECOND);
    assert_eq!(world.gateway.state().calls().counters().door_pulses, 0);
    goodbye(&mut world, &["102"]);
}

#[test]
fn c4_tones_of_an_old_telephone_open_the_door() {
    let mut world = at_the_door();
    world.phone_mut("102").keypad = Keypad::Tones;
    talk(&mut world, "101", "102");
    world.keys_as_tones("102", "12");
    world.wait(5 * SECOND);
    world.expect("101", &["key 1"]);
    assert_eq!(world.gateway.door_records.len(), 1);
    goodbye(&mut world, &["101"]);
}

#[test]
fn c4_nobody_listens_for_tones_where_they_could_open_nothing() {
    let mut world = at_the_door();
    world.phone_mut("102").keypad = Keypad::Tones;
    talk(&mut world, "102", "103");
    world.keys_as_tones("102", "12");
    world.wait(5 * SECOND);
    // It would have been passed on.
    world.expect("103", &[]);
    assert_eq!(world.events_at("103"), "");
    goodbye(&mut world, &["102"]);
}

#[test]
fn c4_keys_that_come_in_two_forms_are_heard_once() {
    let mut world = at_the_door();
    talk(&mut world, "101", "102");
    for key in ['1', '2'] {
        world.keys_in_sound("102", &key.to_string());
        world.act("102", Act::Press(key));
        world.wait(SECOND);
    }
    world.wait(5 * SECOND);
    world.expect("101", &["key 1"]);
    assert_eq!(world.gateway.door_records.len(), 1);
    assert_eq!(world.gateway.state().counters().keys_ignored, 2);
    let wrong = world.gateway.state().calls().counters().door_codes_wrong;
    assert_eq!(wrong, 0);
    goodbye(&mut world, &["101"]);
}

#[test]
fn c4_a_station_opens_only_in_the_form_that_it_is_to_use() {
    for (way, opened) in [(KeyWay::Tones, 1), (KeyWay::Info, 0), (KeyWay::Events, 0)] {
        let site = Site::of(&ALL)
            .door("101", "front", Some("12"))
            .keys("102", way);
        let mut world = World::of(&site, &ALL);
        talk(&mut world, "101", "102");
        world.keys_as_tones("102", "12");
        world.wait(5 * SECOND);
        assert_eq!(world.gateway.door_records.len(), opened, "{way:?}");
        world.skip();
        goodbye(&mut world, &["101"]);
    }
}
