//! CANCEL against provisional responses and answers (RFC 3261 9, 15).

use sip::message::{HeaderName, Method, Reason, Response, StatusCode};
use sip::session::{EndCause, Progress, SessionEvent};

use crate::world::{ALICE, ANSWER, BOB, World, ms, secs};

#[test]
fn a_ringing_call_is_cancelled_with_the_callers_reason() {
    let mut world = World::new();
    let (caller, callee) = world.ring();
    world
        .tell(BOB, |bob, now| {
            bob.progress(callee, Progress::ringing(), now)
        })
        .unwrap();
    world.settle();
    world.says(ALICE);
    let reason = Reason::sip(200, "Call completed elsewhere");
    world
        .tell(ALICE, |alice, now| {
            alice.end(caller, Some(reason.clone()), now)
        })
        .unwrap();
    assert_eq!(world.ended(ALICE), EndCause::Local);
    world.settle();
    match world.says(BOB) {
        SessionEvent::Ended {
            cause: EndCause::Cancelled,
            reason: Some(said),
        } => assert_eq!(said, reason),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        (world.sent(BOB, "200 CANCEL"), world.sent(BOB, "487 INVITE")),
        (1, 1)
    );
    assert_eq!(world.sent(ALICE, "ACK"), 1);
    world.assert_clean();
}

#[test]
fn a_cancel_is_held_until_a_provisional_response() {
    let mut world = World::new();
    let (caller, callee) = world.ring();
    world.end(ALICE, caller);
    assert_eq!(world.ended(ALICE), EndCause::Local);
    world.settle();
    assert_eq!(world.sent(ALICE, "CANCEL"), 0);
    world
        .tell(BOB, |bob, now| {
            bob.progress(callee, Progress::ringing(), now)
        })
        .unwrap();
    world.settle();
    assert_eq!(world.sent(ALICE, "CANCEL"), 1);
    assert_eq!(world.ended(BOB), EndCause::Cancelled);
    world.assert_clean();
}

#[test]
fn a_cancel_before_100_goes_out_when_the_100_comes() {
    let mut world = World::new();
    let (caller, _) = world.ring();
    world.end(ALICE, caller);
    world.ended(ALICE);
    world.run(secs(1));
    assert_eq!(world.sent(BOB, "100 INVITE"), 1);
    assert_eq!(world.sent(ALICE, "CANCEL"), 1);
    assert_eq!(world.ended(BOB), EndCause::Cancelled);
    world.assert_clean();
}

#[test]
fn an_answer_that_crosses_the_cancel_is_acknowledged_and_ended() {
    let mut world = World::new();
    let (caller, callee) = world.ring();
    world
        .tell(BOB, |bob, now| {
            bob.progress(callee, Progress::ringing(), now)
        })
        .unwrap();
    world.settle();
    world.says(ALICE);
    // Both decide at the same moment.
    world.end(ALICE, caller);
    world.accept(BOB, callee);
    assert_eq!(world.ended(ALICE), EndCause::Local);
    world.settle();
    assert!(matches!(world.says(BOB), SessionEvent::Confirmed { .. }));
    assert_eq!(world.ended(BOB), EndCause::Bye);
    assert_eq!(
        (
            world.sent(ALICE, "CANCEL"),
            world.sent(ALICE, "ACK"),
            world.sent(ALICE, "BYE")
        ),
        (1, 1, 1)
    );
    assert_eq!(world.sent(BOB, "200 CANCEL"), 1);
    world.assert_clean();
}

#[test]
fn an_answer_before_any_provisional_response_ends_a_held_cancel() {
    let mut world = World::new();
    let (caller, callee) = world.ring();
    world.end(ALICE, caller);
    world.accept(BOB, callee);
    world.ended(ALICE);
    world.settle();
    assert!(matches!(world.says(BOB), SessionEvent::Confirmed { .. }));
    assert_eq!(world.ended(BOB), EndCause::Bye);
    assert_eq!(world.sent(ALICE, "CANCEL"), 0);
    world.assert_clean();
}

#[test]
fn a_late_answer_after_the_cancel_was_confirmed_is_ended_too() {
    let mut world = World::empty();
    world.add(Default::default());
    let bob = world.add_script();
    let caller = world.invite();
    world.settle();
    let invite = world.heard_request(bob);
    world.say(
        bob,
        ALICE,
        Response::answering(&invite, StatusCode::RINGING)
            .with_to_tag("b")
            .to_bytes(),
    );
    world.settle();
    world.says(ALICE);
    world.end(ALICE, caller);
    world.ended(ALICE);
    world.settle();
    let cancel = world.heard_request(bob);
    assert_eq!(cancel.method, Method::Cancel);
    assert_eq!(
        cancel.headers.get(HeaderName::Via),
        invite.headers.get(HeaderName::Via)
    );
    world.say(
        bob,
        ALICE,
        Response::answering(&cancel, StatusCode::OK).to_bytes(),
    );
    world.run(secs(5));
    let late = Response::answering(&invite, StatusCode::OK)
        .with_to_tag("b")
        .with_header(HeaderName::Contact, "<sip:b@10.0.0.2>")
        .with_body("application/sdp", ANSWER);
    world.say(bob, ALICE, late.to_bytes());
    world.settle();
    assert_eq!(world.heard_request(bob).method, Method::Ack);
    let bye = world.heard_request(bob);
    assert_eq!(bye.method, Method::Bye);
    assert_eq!(bye.headers.to().unwrap().tag(), Some("b"));
    world.say(
        bob,
        ALICE,
        Response::answering(&bye, StatusCode::OK).to_bytes(),
    );
    world.settle();
    world.quiet(ALICE);
    // The 2xx once more: the same ACK again, no second BYE.
    world.say(bob, ALICE, late.to_bytes());
    world.settle();
    assert_eq!(world.heard_request(bob).method, Method::Ack);
    assert!(world.hears_nothing(bob));
    world.assert_clean();
}

#[test]
fn a_lost_cancel_is_sent_again() {
    let mut world = World::new();
    let (caller, callee) = world.ring();
    world
        .tell(BOB, |bob, now| {
            bob.progress(callee, Progress::ringing(), now)
        })
        .unwrap();
    world.settle();
    world.says(ALICE);
    world.lose(ALICE, "CANCEL", 2);
    world.end(ALICE, caller);
    world.ended(ALICE);
    world.run(secs(3));
    assert_eq!(world.ended(BOB), EndCause::Cancelled);
    world.assert_clean();
}

#[test]
fn a_cancelled_invite_without_a_final_response_is_given_up() {
    let mut world = World::empty();
    world.add(Default::default());
    let bob = world.add_script();
    let caller = world.invite();
    world.settle();
    let invite = world.heard_request(bob);
    world.say(
        bob,
        ALICE,
        Response::answering(&invite, StatusCode::TRYING).to_bytes(),
    );
    world.settle();
    world.end(ALICE, caller);
    world.ended(ALICE);
    world.settle();
    let cancel = world.heard_request(bob);
    world.say(
        bob,
        ALICE,
        Response::answering(&cancel, StatusCode::OK).to_bytes(),
    );
    world.assert_clean();
}

#[test]
fn a_cancel_that_comes_twice_is_confirmed_twice_and_ends_once() {
    let mut world = World::new();
    let (caller, callee) = world.ring();
    world
        .tell(BOB, |bob, now| {
            bob.progress(callee, Progress::ringing(), now)
        })
        .unwrap();
    world.settle();
    world.says(ALICE);
    world.double(ALICE, "CANCEL", ms(40));
    world.end(ALICE, caller);
    world.ended(ALICE);
    world.settle();
    assert_eq!(world.ended(BOB), EndCause::Cancelled);
    assert_eq!(world.sent(BOB, "200 CANCEL"), 2);
    assert_eq!(world.sent(BOB, "487 INVITE"), 1);
    world.assert_clean();
}

#[test]
fn the_callee_refuses_while_the_cancel_is_on_its_way() {
    let mut world = World::new();
    let (caller, callee) = world.ring();
    world
        .tell(BOB, |bob, now| {
            bob.progress(callee, Progress::ringing(), now)
        })
        .unwrap();
    world.settle();
    world.says(ALICE);
    world.end(ALICE, caller);
    world
        .tell(BOB, |bob, now| bob.end(callee, None, now))
        .unwrap();
    assert_eq!(world.ended(ALICE), EndCause::Local);
    assert_eq!(world.ended(BOB), EndCause::Local);
    world.assert_clean();
}
