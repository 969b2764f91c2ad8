//! A connection breaks: the call on it ends, and the station is not there until it comes back.

use model::StationState;
use scenarios::clock::{MINUTE, SECOND};
use scenarios::phone::Act;
use scenarios::site::{Site, station};
use scenarios::world::World;
use sip::flow::Transport;

use crate::{goodbye, talk};

fn state(world: &World, number: &str) -> StationState {
    world.gateway.state().calls().station_state(station(number))
}

/// 101 over UDP, 102 over a connection that its binding lives and dies with (RFC 5626).
fn over_a_connection() -> World {
    let mut world = World::of(&Site::of(&["101", "102"]), &["101"]);
    world.add_phone("102", Transport::Tcp);
    world.phone_mut("102").registration.outbound = true;
    world.register("102");
    world.wait(SECOND);
    world.expect("102", &["registered"]);
    world
}

#[test]
fn a_station_is_called_over_the_connection_it_registered_on() {
    let mut world = over_a_connection();
    talk(&mut world, "101", "102");
    goodbye(&mut world, &["102"]);
    talk(&mut world, "102", "101");
    goodbye(&mut world, &["102"]);
}

#[test]
fn when_the_connection_breaks_the_station_is_not_there_until_it_is_back() {
    let mut world = over_a_connection();
    world.switch_off("102");
    world.wait(SECOND);
    assert_eq!(state(&world, "102"), StationState::Unknown);
    world.dial("101", "102");
    world.wait(SECOND);
    world.expect("101", &["refused: 480 (Subscriber absent)"]);
    world.switch_on("102");
    world.wait(SECOND);
    assert_eq!(state(&world, "102"), StationState::Idle);
    talk(&mut world, "101", "102");
    goodbye(&mut world, &["101"]);
}

#[test]
fn a_call_that_only_rings_ends_with_the_connection_of_its_caller() {
    let mut world = over_a_connection();
    world.dial("102", "101");
    world.wait(SECOND);
    world.switch_off("102");
    world.wait(SECOND);
    world.expect(
        "101",
        &["rings: 102", "over: cancelled (Network out of order)"],
    );
    world.expect_nothing_left();
}

#[test]
fn a_call_that_only_rings_ends_with_the_connection_of_its_callee() {
    let mut world = over_a_connection();
    world.dial("101", "102");
    world.wait(SECOND);
    world.switch_off("102");
    world.wait(SECOND);
    world.expect("101", &["hears 180", "refused: 480 (Subscriber absent)"]);
    world.expect_nothing_left();
}

/// Sound does not use the connection: a conversation goes on over a break of it.
#[test]
fn a_conversation_outlives_its_connection() {
    let mut world = over_a_connection();
    talk(&mut world, "101", "102");
    world.break_connections("102");
    world.wait(10 * SECOND);
    world.expect("102", &["connection lost", "registered"]);
    world.expect_talk("101", "102", "G722");
    goodbye(&mut world, &["101"]);
}

#[test]
fn who_is_gone_for_good_is_unknown_as_soon_as_the_other_one_hangs_up() {
    let mut world = over_a_connection();
    talk(&mut world, "101", "102");
    world.switch_off("102");
    world.wait(MINUTE);
    assert_eq!(state(&world, "102"), StationState::InCall);
    world.act("101", Act::HangUp);
    world.wait(SECOND);
    assert_eq!(state(&world, "102"), StationState::Unknown);
    world.expect_nothing_left();
}

#[test]
fn a_cable_that_is_pulled_for_a_while_breaks_the_connection_for_both() {
    let mut world = over_a_connection();
    let host = world.host("102");
    world.network.cut_off(host);
    world.dial("101", "102");
    world.wait(2 * MINUTE);
    assert_eq!(world.phone("101").lines().count(), 0);
    world.network.join(host);
    world.skip();
    world.register("102");
    world.wait(2 * SECOND);
    talk(&mut world, "101", "102");
    goodbye(&mut world, &["101"]);
}
