//! What ends by itself when nobody says anything more.

use std::time::Duration;

use scenarios::clock::{HOUR, MINUTE, SECOND};
use scenarios::phone::Manner;
use scenarios::site::Site;
use scenarios::world::World;
use sip::endpoint::SessionTimerSettings;

use crate::{four, goodbye, talk};

#[test]
fn an_invite_without_any_answer_ends_after_64_t1() {
    let mut world = four();
    world.manner("102", Manner::Mute);
    let callee = world.host("102");
    world.network.cut_off(callee);
    world.dial("101", "102");
    world.wait(33 * SECOND);
    assert_eq!(world.phone("101").lines().count(), 0);
    world.network.join(callee);
    world.expect_nothing_left();
}

#[test]
fn a_callee_that_vanishes_in_a_call_is_found_out_by_the_session_timer() {
    let site = Site::of(&["101", "102"]);
    let mut world = World::with(&site, 3, |config| {
        config.sip.session_timer = SessionTimerSettings {
            interval: Some(Duration::from_secs(90)),
            ..Default::default()
        };
        // So that the limit of a conversation does not come first.
        config.calls.conversation_limit = HOUR;
    });
    world.add_phones(&["101", "102"]);
    talk(&mut world, "101", "102");
    world.switch_off("102");
    world.wait(5 * MINUTE);
    world.expect(
        "101",
        &["over: the other end hung up (Network out of order)"],
    );
    assert_eq!(
        world.take_causes(),
        [
            "102: answered connection_lost",
            "101: answered connection_lost"
        ]
    );
    world.expect_nothing_left();
}

#[test]
fn a_call_whose_session_is_refreshed_goes_on() {
    let site = Site::of(&["101", "102"]);
    let mut world = World::with(&site, 3, |config| {
        config.sip.session_timer = SessionTimerSettings {
            interval: Some(Duration::from_secs(90)),
            ..Default::default()
        };
        config.calls.conversation_limit = HOUR;
    });
    world.add_phones(&["101", "102"]);
    talk(&mut world, "101", "102");
    world.wait(20 * MINUTE);
    world.expect_talk("101", "102", "G722");
    goodbye(&mut world, &["102"]);
}

#[test]
fn a_conversation_in_which_nobody_speaks_any_more_ends() {
    let mut world = four();
    talk(&mut world, "101", "102");
    world.switch_off("101");
    world.switch_off("102");
    world.wait(2 * MINUTE);
    let causes = [
        "101: answered connection_lost",
        "102: answered connection_lost",
    ];
    assert_eq!(world.take_causes(), causes);
    world.expect_nothing_left();
}
