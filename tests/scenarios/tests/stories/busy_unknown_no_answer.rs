//! A caller always learns what is the matter.

use scenarios::clock::SECOND;
use scenarios::phone::{Act, Manner};
use scenarios::site::Site;
use scenarios::world::World;
use sip::message::StatusCode;

use crate::{four, goodbye, talk};

#[test]
fn an_unknown_number_is_answered_404() {
    let mut world = four();
    world.dial("101", "999");
    world.wait(SECOND);
    world.expect("101", &["refused: 404 (Unallocated number)"]);
    world.expect_nothing_left();
}

#[test]
fn who_calls_somebody_in_a_call_hears_busy_and_the_call_is_not_disturbed() {
    let mut world = four();
    talk(&mut world, "101", "102");
    world.dial("103", "102");
    world.wait(SECOND);
    world.expect("103", &["refused: 486 (User busy)"]);
    world.expect("102", &[]);
    world.expect_talk("101", "102", "G722");
    goodbye(&mut world, &["101"]);
}

#[test]
fn a_telephone_that_says_busy_or_declines_is_quoted() {
    let mut world = four();
    world.manner("102", Manner::Refuses(StatusCode::BUSY_HERE));
    world.manner("103", Manner::Refuses(StatusCode::DECLINE));
    world.dial("101", "102");
    world.wait(SECOND);
    world.expect("101", &["refused: 486 (User busy)"]);
    world.dial("101", "103");
    world.wait(SECOND);
    world.expect("101", &["refused: 603 (Call rejected)"]);
    world.expect_nothing_left();
}

#[test]
fn c7_nobody_answers_and_the_call_ends_by_itself_with_a_record_that_says_so() {
    let mut world = four();
    world.dial("101", "102");
    world.wait(31 * SECOND);
    world.expect("101", &["hears 180", "refused: 480 (No answer from user)"]);
    world.expect(
        "102",
        &["rings: 101", "over: cancelled (No answer from user)"],
    );
    assert_eq!(
        world.take_causes(),
        ["102: no_answer no_answer", "101: no_answer no_answer"]
    );
    world.expect_nothing_left();
}

#[test]
fn a_station_that_never_registered_is_said_to_be_unreachable() {
    let mut world = World::of(&Site::of(&["101", "102"]), &["101"]);
    world.dial("101", "102");
    world.wait(SECOND);
    world.expect("101", &["refused: 480 (Subscriber absent)"]);
    world.expect_nothing_left();
}

#[test]
fn a_telephone_without_power_is_found_out_and_the_caller_may_give_up_before() {
    let mut world = four();
    world.switch_off("102");
    world.dial("101", "102");
    world.wait(10 * SECOND);
    world.act("101", Act::HangUp);
    world.wait(SECOND);
    world.expect("101", &["over: hung up"]);
    world.dial("101", "102");
    world.wait(40 * SECOND);
    assert_eq!(
        world.phone("101").log().len(),
        1,
        "{:?}",
        world.phone("101").log()
    );
    world.expect_nothing_left();
}

#[test]
fn somebody_with_a_wrong_password_does_not_get_in() {
    let mut world = four();
    let random = scenarios::random::Random::new(5);
    world.phone_mut("103").set_password("guess", random);
    world.dial("103", "102");
    world.wait(2 * SECOND);
    let log = world.phone_mut("103").take_log();
    assert!(
        log.iter().all(|line| line.starts_with("refused: 40")),
        "{log:?}"
    );
    world.expect("102", &[]);
    world.expect_nothing_left();
}
