//! A station goes on with its call at another of its telephones (RFC 3891).

use scenarios::clock::SECOND;
use scenarios::phone::Act;
use scenarios::world::World;
use sip::flow::Transport;

use crate::{four, goodbye, talk};

/// Station 102 has a second telephone, which is not registered and so does not ring.
fn with_a_second_device() -> World {
    let mut world = four();
    world.add_device("102 upstairs", "102", Transport::Udp);
    world.add_device("a device of 103", "103", Transport::Udp);
    world
}

fn take_over(world: &mut World, from: &str, at: &str) {
    let replaces = world.phone(from).newest_call().expect("a call");
    world.act(at, Act::TakeOver(replaces));
    world.wait(2 * SECOND);
}

#[test]
fn a_conversation_goes_on_at_the_second_telephone() {
    let mut world = with_a_second_device();
    talk(&mut world, "101", "102");
    take_over(&mut world, "102", "102 upstairs");
    world.expect_talk("101", "102 upstairs", "G722");
    assert_eq!(world.phone("102").lines().count(), 0);
    goodbye(&mut world, &["101"]);
}

#[test]
fn what_rings_at_the_first_is_answered_at_the_second() {
    let mut world = with_a_second_device();
    world.dial("101", "102");
    world.wait(SECOND);
    take_over(&mut world, "102", "102 upstairs");
    world.expect_talk("101", "102 upstairs", "G722");
    assert_eq!(world.phone("102").lines().count(), 0);
    goodbye(&mut world, &["102 upstairs"]);
}

#[test]
fn a_device_of_another_station_is_refused_and_nothing_changes() {
    let mut world = with_a_second_device();
    talk(&mut world, "101", "102");
    take_over(&mut world, "102", "a device of 103");
    let log = world.phone_mut("a device of 103").take_log();
    assert!(log.iter().any(|line| line.contains("403")), "{log:?}");
    world.expect_talk("101", "102", "G722");
    goodbye(&mut world, &["101"]);
}
