//! C8: a conversation lasts at most ten minutes.

use scenarios::clock::{MINUTE, SECOND};
use scenarios::phone::Act;

use crate::{four, goodbye, talk};

#[test]
fn c8_after_ten_minutes_the_call_ends_for_both() {
    let mut world = four();
    talk(&mut world, "101", "102");
    world.wait(10 * MINUTE - 2 * SECOND);
    world.expect_talk("101", "102", "G722");
    world.wait(2 * SECOND);
    for number in ["101", "102"] {
        world.expect(
            number,
            &["over: the other end hung up (Recovery on timer expiry)"],
        );
    }
    assert_eq!(
        world.take_causes(),
        ["101: answered time_limit", "102: answered time_limit"]
    );
    world.expect_nothing_left();
}

#[test]
fn c8_hold_does_not_stop_the_clock() {
    let mut world = four();
    talk(&mut world, "101", "102");
    world.act("101", Act::Hold);
    world.wait(10 * MINUTE + SECOND);
    assert_eq!(world.phone("101").lines().count(), 0);
    assert_eq!(world.phone("102").lines().count(), 0);
    world.expect_nothing_left();
}

#[test]
fn c8_the_next_call_has_ten_minutes_of_its_own() {
    let mut world = four();
    for _ in 0..2 {
        talk(&mut world, "101", "102");
        world.wait(9 * MINUTE);
        world.expect_talk("101", "102", "G722");
        goodbye(&mut world, &["102"]);
    }
}
