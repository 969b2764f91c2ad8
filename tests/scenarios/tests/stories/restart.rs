//! The gateway dies at any moment and comes back.

use scenarios::clock::{HOUR, MILLISECOND, MINUTE, SECOND};
use scenarios::gateway::Disk;
use scenarios::phone::{Act, Manner};

use crate::{four, goodbye, talk};

#[test]
fn b4_after_a_restart_stations_are_reached_without_registering_again() {
    let mut world = four();
    world.skip();
    world.crash();
    world.wait(10 * SECOND);
    world.start_gateway();
    world.wait(SECOND);
    for number in ["101", "102"] {
        world.expect(number, &[]);
    }
    talk(&mut world, "101", "102");
    goodbye(&mut world, &["101"]);
}

#[test]
fn what_ran_out_while_it_was_down_is_not_taken_back() {
    let mut world = four();
    world.skip();
    world.switch_off("102");
    world.crash();
    world.wait(2 * HOUR);
    world.start_gateway();
    world.wait(5 * MINUTE);
    world.skip();
    world.dial("101", "102");
    world.wait(SECOND);
    world.expect("101", &["refused: 480 (Subscriber absent)"]);
    world.expect_nothing_left();
}

#[test]
fn a_call_that_was_running_ends_at_the_telephones_and_a_new_one_is_possible() {
    let mut world = four();
    talk(&mut world, "101", "102");
    world.crash();
    world.wait(SECOND);
    world.start_gateway();
    // The user notices silence and hangs up; the BYE finds no dialog.
    world.act("101", Act::HangUp);
    world.act("102", Act::HangUp);
    world.wait(40 * SECOND);
    talk(&mut world, "101", "102");
    goodbye(&mut world, &["102"]);
}

#[test]
fn ids_of_calls_and_records_are_never_used_twice() {
    let mut world = four();
    for _ in 0..3 {
        world.manner("102", Manner::Answers(SECOND));
        world.dial("101", "102");
        world.wait(3 * SECOND);
        world.act("101", Act::HangUp);
        world.wait(SECOND);
        world.crash();
        world.wait(SECOND);
        world.start_gateway();
    }
    let mut ids: Vec<_> = world
        .gateway
        .records
        .iter()
        .map(|record| record.id)
        .collect();
    assert_eq!(ids.len(), 6);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6);
}

#[test]
fn a_binding_in_a_200_survives_a_crash_at_any_moment() {
    for after in 0..40 {
        let mut world = four();
        world.unregister("102");
        world.wait(2 * SECOND);
        world.gateway.storage.disk = Disk::Works(20 * MILLISECOND);
        world.skip();
        world.register("102");
        world.wait(after * MILLISECOND);
        let promised = world.phone("102").registration.is_on();
        world.crash();
        world.wait(100 * MILLISECOND);
        let kept = world.gateway.storage.knows("102");
        assert!(kept || !promised, "confirmed {after} ms after, and lost");
    }
}
