//! Handing a conversation over by REFER (RFC 3515, RFC 3891).

use scenarios::clock::SECOND;
use scenarios::phone::{Act, Manner};
use scenarios::world::World;
use sip::message::StatusCode;

use crate::{four, goodbye, talk};

fn blind(to: &str) -> World {
    let mut world = four();
    talk(&mut world, "101", "102");
    world.act("102", Act::Transfer(to.into()));
    world
}

#[test]
fn a_blind_transfer_joins_the_other_two_and_lets_the_one_in_the_middle_go() {
    let mut world = blind("103");
    world.wait(SECOND);
    world.expect("103", &["rings: 101"]);
    world.act("103", Act::Answer);
    world.wait(SECOND);
    world.expect_talk("101", "103", "G722");
    let log = world.phone_mut("102").take_log();
    assert_eq!(
        log.first().map(String::as_str),
        Some("transfer: 202"),
        "{log:?}"
    );
    assert!(log.contains(&"transfer: 200".to_owned()), "{log:?}");
    assert_eq!(world.phone("102").lines().count(), 0);
    goodbye(&mut world, &["101"]);
    assert_eq!(world.gateway.records.len(), 3);
}

#[test]
fn a_blind_transfer_to_somebody_who_does_not_answer_gives_the_conversation_back() {
    let mut world = four();
    world.manner("103", Manner::Refuses(StatusCode::BUSY_HERE));
    talk(&mut world, "101", "102");
    world.act("102", Act::Transfer("103".into()));
    world.wait(2 * SECOND);
    let log = world.phone_mut("102").take_log();
    assert!(log.contains(&"transfer: 486".to_owned()), "{log:?}");
    world.expect_talk("101", "102", "G722");
    goodbye(&mut world, &["101"]);
}

#[test]
fn a_blind_transfer_to_an_unknown_number_is_refused_and_the_conversation_stays() {
    let mut world = blind("999");
    world.wait(2 * SECOND);
    let log = world.phone_mut("102").take_log();
    assert!(log.iter().any(|line| line == "transfer: 404"), "{log:?}");
    world.expect_talk("101", "102", "G722");
    goodbye(&mut world, &["102"]);
}

#[test]
fn the_one_who_hands_over_may_leave_while_it_still_rings() {
    let mut world = blind("103");
    world.wait(SECOND);
    world.act("102", Act::HangUp);
    world.wait(SECOND);
    world.act("103", Act::Answer);
    world.wait(SECOND);
    world.expect_talk("101", "103", "G722");
    goodbye(&mut world, &["103"]);
}

#[test]
fn an_attended_transfer_joins_both_other_ends() {
    let mut world = four();
    talk(&mut world, "101", "102");
    world.act("102", Act::Hold);
    world.wait(SECOND);
    world.dial("102", "103");
    world.wait(SECOND);
    world.act("103", Act::Answer);
    world.wait(SECOND);
    world.expect_talk("102", "103", "G722");
    world.skip();
    world.act("102", Act::Join);
    world.wait(2 * SECOND);
    let log = world.phone_mut("102").take_log();
    assert!(log.contains(&"transfer: 200".to_owned()), "{log:?}");
    world.expect_talk("101", "103", "G722");
    assert_eq!(world.phone("102").lines().count(), 0);
    goodbye(&mut world, &["101"]);
}

#[test]
fn an_attended_transfer_in_the_other_direction_too() {
    let mut world = four();
    // 101 was called by 102 and calls 103.
    talk(&mut world, "102", "101");
    world.act("101", Act::Hold);
    world.wait(SECOND);
    talk(&mut world, "101", "103");
    world.act("101", Act::Join);
    world.wait(2 * SECOND);
    world.expect_talk("102", "103", "G722");
    assert_eq!(world.phone("101").lines().count(), 0);
    goodbye(&mut world, &["103"]);
}
