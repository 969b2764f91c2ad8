//! B6: a key reaches the one it is meant for once, in a form that their telephone understands.

use model::KeyWay;
use scenarios::clock::SECOND;
use scenarios::phone::{Act, Keypad};
use scenarios::site::Site;
use scenarios::world::World;

use crate::{four, goodbye, talk};

#[test]
fn b6_a_key_by_info_is_told_as_an_event_where_events_are_agreed_on() {
    let mut world = four();
    talk(&mut world, "101", "102");
    for key in ['5', '#'] {
        world.act("101", Act::Press(key));
        world.wait(SECOND);
    }
    world.expect("102", &[]);
    assert_eq!(world.events_at("102"), "5#");
    assert_eq!(world.events_at("101"), "");
    goodbye(&mut world, &["101"]);
}

#[test]
fn b6_a_telephone_without_events_is_told_a_key_by_info() {
    let mut world = four();
    world.phone_mut("102").keypad = Keypad::Tones;
    talk(&mut world, "101", "102");
    world.act("101", Act::Press('5'));
    world.wait(SECOND);
    world.expect("102", &["key 5"]);
    assert_eq!(world.events_at("102"), "");
    goodbye(&mut world, &["101"]);
}

#[test]
fn b6_a_station_that_is_to_use_info_alone_is_told_so() {
    let numbers = ["101", "102"];
    let site = Site::of(&numbers).keys("102", KeyWay::Info);
    let mut world = World::of(&site, &numbers);
    talk(&mut world, "101", "102");
    world.act("101", Act::Press('5'));
    world.wait(SECOND);
    world.expect("102", &["key 5"]);
    assert_eq!(world.events_at("102"), "");
    goodbye(&mut world, &["101"]);
}

#[test]
fn b6_a_key_in_both_forms_is_not_told_beside_the_packets_that_are_passed_on() {
    let mut world = four();
    talk(&mut world, "101", "102");
    world.keys_in_sound("101", "5");
    world.act("101", Act::Press('5'));
    world.wait(SECOND);
    world.expect("102", &[]);
    assert_eq!(world.events_at("102"), "");
    goodbye(&mut world, &["101"]);
}
