//! B9: an alarm makes way for itself.

use scenarios::clock::SECOND;
use scenarios::phone::Act;
use scenarios::site::Site;
use scenarios::world::World;

use crate::{goodbye, talk};

const ALL: [&str; 4] = ["101", "102", "103", "199"];

fn site() -> Site {
    Site::of(&ALL).emergency_point("199", "102")
}

#[test]
fn b9_an_alarm_ends_the_conversation_of_the_one_it_calls_and_opens_the_line_at_once() {
    let mut world = World::of(&site(), &ALL);
    talk(&mut world, "101", "102");
    world.dial("199", "102");
    world.wait(2 * SECOND);
    world.expect("101", &["over: the other end hung up (Preemption)"]);
    world.expect_talk("199", "102", "G722");
    let log = world.phone_mut("102").take_log();
    assert_eq!(log[0], "over: the other end hung up (Preemption)");
    assert!(
        log[1].starts_with("rings: 199") && log[1].contains("emergency, opens"),
        "{log:?}"
    );
    goodbye(&mut world, &["199"]);
}

#[test]
fn b9_an_alarm_is_not_pre_empted_by_another_call() {
    let mut world = World::of(&site(), &ALL);
    world.dial("199", "102");
    world.wait(2 * SECOND);
    world.expect_talk("199", "102", "G722");
    world.skip();
    world.dial("103", "102");
    world.wait(2 * SECOND);
    world.expect("103", &["refused: 486 (User busy)"]);
    world.expect_talk("199", "102", "G722");
    goodbye(&mut world, &["102"]);
}

#[test]
fn b9_an_alarm_that_nobody_takes_goes_on_to_the_escalation() {
    let site = site().escalation(&["103"], 20 * SECOND);
    let mut world = World::of(&site, &ALL);
    world.switch_off("102");
    world.dial("199", "102");
    world.wait(120 * SECOND);
    world.expect_talk("199", "103", "G722");
    goodbye(&mut world, &["103"]);
}

#[test]
fn somebody_who_is_no_emergency_point_does_not_pre_empt_by_saying_so() {
    let mut world = World::of(&site(), &ALL);
    talk(&mut world, "101", "102");
    world.act("103", Act::Dial("102".into()));
    world.wait(SECOND);
    world.expect("103", &["refused: 486 (User busy)"]);
    world.expect_talk("101", "102", "G722");
    goodbye(&mut world, &["101"]);
}
