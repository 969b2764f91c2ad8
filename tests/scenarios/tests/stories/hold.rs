//! Hold and resume by re-INVITE (RFC 3264 8.4).

use scenarios::clock::SECOND;
use scenarios::phone::Act;

use crate::{four, goodbye, talk};

#[test]
fn a_held_one_hears_nothing_and_after_resume_both_hear_again() {
    let mut world = four();
    talk(&mut world, "101", "102");
    world.act("102", Act::Hold);
    world.wait(SECOND);
    world.expect("102", &["offer accepted"]);
    world.expect_no_talk("101", "102");
    world.act("102", Act::Resume);
    world.wait(SECOND);
    world.expect("102", &["offer accepted"]);
    world.expect_talk("101", "102", "G722");
    goodbye(&mut world, &["101"]);
}

#[test]
fn who_holds_one_call_takes_another_and_comes_back() {
    let mut world = four();
    talk(&mut world, "101", "102");
    world.act("101", Act::Hold);
    world.wait(SECOND);
    let first = world.phone("101").lines().next().unwrap().0;
    world.dial("101", "103");
    world.wait(SECOND);
    world.act("103", Act::Answer);
    world.wait(SECOND);
    world.expect_talk("101", "103", "G722");
    world.expect_no_talk("101", "102");
    world.act("103", Act::HangUp);
    world.wait(SECOND);
    world.act_on("101", first, Act::Resume);
    world.wait(SECOND);
    world.expect_talk("101", "102", "G722");
    goodbye(&mut world, &["102"]);
}

#[test]
fn a_held_call_can_be_hung_up_by_either() {
    for ends in ["101", "102"] {
        let mut world = four();
        talk(&mut world, "101", "102");
        world.act("102", Act::Hold);
        world.wait(SECOND);
        goodbye(&mut world, &[ends]);
        assert_eq!(world.gateway.records.len(), 2);
    }
}
