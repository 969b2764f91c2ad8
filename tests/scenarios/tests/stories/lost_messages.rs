//! Messages that never arrive: SIP's repetitions, and what happens when they do not help either.

use scenarios::clock::SECOND;
use scenarios::network::{Loss, What};
use scenarios::phone::Act;
use scenarios::world::World;
use sip::message::Method;

use crate::{four, goodbye};

fn ringing() -> World {
    let mut world = four();
    world.dial("101", "102");
    world.wait(SECOND);
    world.skip();
    world
}

#[test]
fn a_lost_ack_is_made_up_for_by_the_repeated_200() {
    let mut world = ringing();
    let ack = Loss::of(What::Request(Method::Ack), 2).from(world.host("101"));
    world.network.lose(ack);
    world.act("102", Act::Answer);
    world.wait(10 * SECOND);
    world.expect("101", &["talks"]);
    world.expect_talk("101", "102", "G722");
    goodbye(&mut world, &["101"]);
}

#[test]
fn an_ack_that_never_comes_ends_the_call_for_both() {
    let mut world = ringing();
    let ack = Loss::of(What::Request(Method::Ack), u32::MAX).from(world.host("101"));
    world.network.lose(ack);
    world.act("102", Act::Answer);
    world.wait(60 * SECOND);
    // RFC 3261 13.3.1.4: after 64 T1 without an ACK the dialog is ended by BYE.
    assert_eq!(world.phone("101").lines().count(), 0);
    assert_eq!(world.phone("102").lines().count(), 0);
    assert_eq!(
        world.take_causes(),
        [
            "101: answered connection_lost",
            "102: answered connection_lost"
        ]
    );
    world.network.lose_no_more();
    world.expect_nothing_left();
}

#[test]
fn a_lost_200_is_repeated_to_the_caller() {
    let mut world = ringing();
    let ok = Loss::of(What::Response(200, Method::Invite), 3).to(world.host("101"));
    world.network.lose(ok);
    world.act("102", Act::Answer);
    world.wait(10 * SECOND);
    world.expect("101", &["talks"]);
    world.expect_talk("101", "102", "G722");
    goodbye(&mut world, &["102"]);
}

#[test]
fn a_lost_200_is_repeated_by_the_callee() {
    let mut world = ringing();
    let ok = Loss::of(What::Response(200, Method::Invite), 3).from(world.host("102"));
    world.network.lose(ok);
    world.act("102", Act::Answer);
    world.wait(10 * SECOND);
    world.expect("101", &["talks"]);
    world.expect_talk("101", "102", "G722");
    goodbye(&mut world, &["102"]);
}

#[test]
fn a_200_that_never_reaches_the_caller_ends_the_call_for_both() {
    let mut world = ringing();
    let ok = Loss::of(What::Response(200, Method::Invite), u32::MAX).to(world.host("101"));
    world.network.lose(ok);
    world.act("102", Act::Answer);
    world.wait(60 * SECOND);
    assert_eq!(world.phone("102").lines().count(), 0);
    assert_eq!(world.take_causes().len(), 2);
    world.network.lose_no_more();
    // The caller heard of it by BYE, which it may refuse or accept in an early dialog.
    goodbye(&mut world, &["101"]);
}

#[test]
fn every_single_message_may_be_lost_once() {
    // Whatever is lost, the n-th datagram of a whole call, it comes to the same good end.
    for lost in 0..14 {
        let mut world = four();
        world.network.lose_nth_from_now(lost);
        world.dial("101", "102");
        world.wait(5 * SECOND);
        world.act("102", Act::Answer);
        world.wait(5 * SECOND);
        world.expect_talk("101", "102", "G722");
        world.act("101", Act::HangUp);
        world.wait(10 * SECOND);
        assert_eq!(
            world.phone("102").lines().count(),
            0,
            "when datagram {lost} was lost"
        );
        world.expect_nothing_left();
    }
}
