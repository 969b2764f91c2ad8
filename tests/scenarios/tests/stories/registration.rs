//! B4: who registers is there; who is not confirmed is not promised.

use scenarios::clock::{HOUR, MILLISECOND, MINUTE, SECOND};
use scenarios::gateway::Disk;
use scenarios::random::Random;
use scenarios::site::Site;
use scenarios::world::World;
use sip::flow::Transport;

use crate::{goodbye, talk};

fn unregistered() -> World {
    let mut world = World::new(&Site::of(&["101", "102"]));
    for number in ["101", "102"] {
        world.add_phone(number, Transport::Udp);
    }
    world
}

#[test]
fn b4_a_register_is_answered_only_when_it_is_on_disk() {
    let mut world = unregistered();
    world.gateway.storage.disk = Disk::Works(300 * MILLISECOND);
    world.register("101");
    world.wait(290 * MILLISECOND);
    world.expect("101", &[]);
    world.wait(20 * MILLISECOND);
    world.expect("101", &["registered"]);
}

#[test]
fn b4_a_register_that_could_not_be_written_is_answered_500_and_tried_again() {
    let mut world = unregistered();
    world.gateway.storage.disk = Disk::Fails;
    world.register("101");
    world.wait(SECOND);
    world.expect("101", &["registration refused: 500"]);
    world.gateway.storage.disk = Disk::Works(MILLISECOND);
    world.wait(30 * SECOND);
    world.expect("101", &["registered"]);
}

#[test]
fn a_disk_that_hangs_promises_nothing_and_is_caught_up_with() {
    let mut world = unregistered();
    world.gateway.storage.disk = Disk::Hangs;
    world.register("101");
    world.wait(10 * SECOND);
    world.expect("101", &[]);
    world.gateway.storage.disk = Disk::Works(MILLISECOND);
    world.wait(SECOND);
    world.expect("101", &["registered"]);
}

#[test]
fn a_registration_that_is_refreshed_lasts_and_one_that_is_not_runs_out() {
    let mut world = World::of(&Site::of(&["101", "102"]), &["101", "102"]);
    world.wait(5 * HOUR);
    world.skip();
    talk(&mut world, "101", "102");
    goodbye(&mut world, &["101"]);
    world.switch_off("102");
    world.wait(HOUR + MINUTE);
    world.skip();
    world.dial("101", "102");
    world.wait(SECOND);
    world.expect("101", &["refused: 480 (Subscriber absent)"]);
}

#[test]
fn who_unregisters_is_gone_at_once() {
    let mut world = World::of(&Site::of(&["101", "102"]), &["101", "102"]);
    world.unregister("102");
    world.wait(SECOND);
    world.expect("102", &["unregistered"]);
    world.dial("101", "102");
    world.wait(SECOND);
    world.expect("101", &["refused: 480 (Subscriber absent)"]);
    world.expect_nothing_left();
}

#[test]
fn a_wrong_password_is_refused_and_others_are_not_disturbed() {
    let mut world = unregistered();
    world.phone_mut("101").set_password("guess", Random::new(1));
    world.register("101");
    world.register("102");
    world.wait(SECOND);
    world.expect("101", &["registration refused: 401"]);
    world.expect("102", &["registered"]);
}

#[test]
fn registrations_get_through_foul_weather() {
    for seed in 0..20 {
        let site = Site::of(&["101", "102"]);
        let mut world = World::with(&site, seed, |_| {});
        world.network.weather = scenarios::network::Weather::FOUL;
        world.add_phone("101", Transport::Udp);
        world.register("101");
        world.wait(60 * SECOND);
        assert!(world.phone("101").registration.is_on(), "seed {seed}");
    }
}
