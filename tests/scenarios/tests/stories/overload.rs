//! More calls than there is room for: refused with a time to come back, but never an alarm.

use scenarios::clock::SECOND;
use scenarios::site::Site;
use scenarios::world::World;

use crate::{goodbye, talk};

const ALL: [&str; 8] = ["101", "102", "103", "104", "105", "106", "107", "199"];

#[test]
fn a_full_house_refuses_with_503_and_retry_after_while_an_alarm_gets_through() {
    let site = Site::of(&ALL).emergency_point("199", "106");
    let mut world = World::with(&site, 1, |config| config.calls.max_calls = 2);
    world.add_phones(&ALL);
    talk(&mut world, "101", "102");
    talk(&mut world, "103", "104");
    world.dial("105", "106");
    world.wait(SECOND);
    world.expect(
        "105",
        &["refused: 503 (Switching equipment congestion), later"],
    );
    world.dial("199", "106");
    world.wait(2 * SECOND);
    world.expect_talk("199", "106", "G722");
    world.expect_talk("101", "102", "G722");
    goodbye(&mut world, &["101", "103", "199"]);
}

#[test]
fn a_full_sip_stack_does_the_same() {
    let site = Site::of(&ALL).emergency_point("199", "106");
    let mut world = World::with(&site, 1, |config| {
        config.sip.capacity.sessions_soft = 4;
    });
    world.add_phones(&ALL);
    talk(&mut world, "101", "102");
    talk(&mut world, "103", "104");
    world.dial("105", "107");
    world.wait(SECOND);
    let log = world.phone_mut("105").take_log();
    assert!(
        log.len() == 1 && log[0].starts_with("refused: 503") && log[0].ends_with("later"),
        "{log:?}"
    );
    world.dial("199", "106");
    world.wait(2 * SECOND);
    world.expect_talk("199", "106", "G722");
    goodbye(&mut world, &["101", "103", "199"]);
}

#[test]
fn a_source_that_calls_too_often_is_slowed_down_and_others_are_not() {
    let site = Site::of(&ALL).emergency_point("199", "106");
    let mut world = World::with(&site, 1, |config| {
        config.sip.admission.invites = sip::admission::Rate::per_second(1, 4);
    });
    world.add_phones(&ALL);
    for _ in 0..30 {
        world.dial("105", "999");
    }
    world.wait(SECOND);
    let log = world.phone_mut("105").take_log();
    let slowed = log
        .iter()
        .filter(|line| line.starts_with("refused: 503"))
        .count();
    assert!(slowed > 20, "{log:?}");
    talk(&mut world, "101", "102");
    goodbye(&mut world, &["101"]);
}

#[test]
fn without_a_free_media_port_a_call_is_refused_and_ports_come_back() {
    let site = Site::of(&ALL);
    let mut world = World::of(&site, &ALL);
    let free = world.gateway.media.free_ports();
    for _ in 0..150 {
        world.dial("101", "102");
        world.wait(SECOND / 2);
        world.act("101", scenarios::phone::Act::HangUp);
        world.wait(SECOND / 2);
    }
    world.expect_nothing_left();
    assert_eq!(world.gateway.media.free_ports(), free);
}
