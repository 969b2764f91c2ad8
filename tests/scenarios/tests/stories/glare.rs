//! Both ends offer anew at the same moment (RFC 3261 14.1).

use scenarios::clock::{MILLISECOND, SECOND};
use scenarios::phone::Act;

use crate::{four, goodbye, talk};

#[test]
fn two_holds_at_once_are_both_carried_out() {
    let mut world = four();
    world.network.weather.delay = 40 * MILLISECOND;
    talk(&mut world, "101", "102");
    world.act("101", Act::Hold);
    world.act("102", Act::Hold);
    world.wait(10 * SECOND);
    world.expect_no_talk("101", "102");
    world.act("101", Act::Resume);
    world.act("102", Act::Resume);
    world.wait(10 * SECOND);
    world.expect_talk("101", "102", "G722");
    goodbye(&mut world, &["101"]);
}

#[test]
fn an_offer_that_needs_the_other_side_meets_one_of_the_other_side() {
    let mut world = four();
    world.network.weather.delay = 40 * MILLISECOND;
    talk(&mut world, "101", "102");
    // Each of them turns to codecs that were not agreed on, so the gateway has to ask the other
    // one, and meets its offer there.
    world.offer_other_codecs("101", &[sip::sdp::Codec::Pcma]);
    world.offer_other_codecs("102", &[sip::sdp::Codec::Pcma]);
    world.wait(15 * SECOND);
    world.expect_talk("101", "102", "PCMA");
    goodbye(&mut world, &["102"]);
}
