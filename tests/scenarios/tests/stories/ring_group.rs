//! B3, C5: many ring, one answers, the others fall silent and know why.

use scenarios::clock::SECOND;
use scenarios::phone::{Act, Manner};
use scenarios::site::Site;
use scenarios::world::World;
use sip::message::StatusCode;

const GROUP: [&str; 4] = ["101", "102", "103", "104"];

fn group() -> World {
    World::of(
        &Site::of(&GROUP).group("500", &["102", "103", "104"]),
        &GROUP,
    )
}

#[test]
fn b3_the_first_to_answer_has_the_call_and_the_others_fall_silent_with_completed_elsewhere() {
    let mut world = group();
    world.dial("101", "500");
    world.wait(SECOND);
    world.expect("101", &["hears 180"]);
    world.act("103", Act::Answer);
    world.wait(SECOND);
    world.expect("101", &["talks"]);
    world.expect("103", &["rings: 101", "talks"]);
    for loser in ["102", "104"] {
        world.expect(
            loser,
            &["rings: 101", "over: cancelled (Call completed elsewhere)"],
        );
    }
    world.expect_talk("101", "103", "G722");
    world.act("103", Act::HangUp);
    world.wait(SECOND);
    world.expect_nothing_left();
    assert_eq!(
        world.take_causes(),
        [
            "102: answered_elsewhere answered_elsewhere",
            "104: answered_elsewhere answered_elsewhere",
            "103: answered hung_up",
            "101: answered hung_up",
        ]
    );
}

#[test]
fn b3_of_two_answers_at_once_one_wins_and_the_other_is_ended_with_completed_elsewhere() {
    let mut world = group();
    world.manner("102", Manner::Answers(2 * SECOND));
    world.manner("104", Manner::Answers(2 * SECOND));
    world.dial("101", "500");
    world.wait(3 * SECOND);
    world.expect("102", &["rings: 101", "talks"]);
    world.expect(
        "104",
        &[
            "rings: 101",
            "talks",
            "over: the other end hung up (Call completed elsewhere)",
        ],
    );
    world.expect(
        "103",
        &["rings: 101", "over: cancelled (Call completed elsewhere)"],
    );
    world.expect_talk("101", "102", "G722");
    world.expect_no_talk("101", "104");
    world.act("101", Act::HangUp);
    world.wait(SECOND);
    world.expect_nothing_left();
}

#[test]
fn c5_thirty_two_ring_at_once() {
    let all: Vec<String> = (101..=133).map(|n: u32| n.to_string()).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let mut world = World::of(&Site::of(&all).group("500", &all[1..]), &all);
    world.dial("101", "500");
    world.wait(SECOND);
    for member in &all[1..] {
        world.expect(member, &["rings: 101"]);
    }
    world.act("133", Act::Answer);
    world.wait(SECOND);
    world.expect_talk("101", "133", "G722");
    for loser in &all[1..32] {
        world.expect(loser, &["over: cancelled (Call completed elsewhere)"]);
    }
    world.act("101", Act::HangUp);
    world.wait(SECOND);
    world.expect_nothing_left();
}

#[test]
fn b3_one_that_refuses_or_is_busy_does_not_stop_the_others() {
    let mut world = group();
    world.manner("102", Manner::Refuses(StatusCode::BUSY_HERE));
    world.manner("103", Manner::Refuses(StatusCode::DECLINE));
    world.manner("104", Manner::Answers(5 * SECOND));
    world.dial("101", "500");
    world.wait(8 * SECOND);
    world.expect_talk("101", "104", "G722");
    world.act("101", Act::HangUp);
    world.wait(SECOND);
    world.expect_nothing_left();
}

#[test]
fn b3_when_the_caller_gives_up_all_fall_silent() {
    let mut world = group();
    world.dial("101", "500");
    world.wait(2 * SECOND);
    world.act("101", Act::HangUp);
    world.wait(SECOND);
    for member in &GROUP[1..] {
        world.expect(
            member,
            &["rings: 101", "over: cancelled (Normal call clearing)"],
        );
    }
    world.expect_nothing_left();
}
