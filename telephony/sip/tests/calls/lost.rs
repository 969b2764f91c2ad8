//! Messages that the network loses or doubles around the answer and the end of a call.

use sip::session::{EndCause, Progress, SessionEvent};

use crate::world::{ALICE, BOB, World, ms, secs};

#[test]
fn a_lost_200_is_repeated_until_the_ack() {
    let mut world = World::new();
    let (_, callee) = world.ring();
    world.lose(BOB, "200 INVITE", 2);
    world.accept(BOB, callee);
    world.run(secs(4));
    assert!(matches!(world.says(ALICE), SessionEvent::Accepted { .. }));
    assert!(matches!(world.says(BOB), SessionEvent::Confirmed { .. }));
    assert_eq!(world.sent(BOB, "200 INVITE"), 3);
    assert_eq!(world.sent(ALICE, "ACK"), 1);
    world.quiet(ALICE);
    world.quiet(BOB);
}

#[test]
fn a_lost_ack_is_sent_again_for_each_200() {
    let mut world = World::new();
    let (_, callee) = world.ring();
    world.lose(ALICE, "ACK", 3);
    world.accept(BOB, callee);
    world.run(secs(10));
    assert!(matches!(world.says(ALICE), SessionEvent::Accepted { .. }));
    assert!(matches!(world.says(BOB), SessionEvent::Confirmed { .. }));
    assert_eq!(world.sent(BOB, "200 INVITE"), 4);
    assert_eq!(world.sent(ALICE, "ACK"), 4);
    world.quiet(ALICE);
    world.quiet(BOB);
}

#[test]
fn without_any_ack_the_call_ends_after_64_t1() {
    let mut world = World::new();
    let (_, callee) = world.ring();
    world.lose(ALICE, "ACK", 1000);
    world.accept(BOB, callee);
    world.settle();
    assert!(matches!(world.says(ALICE), SessionEvent::Accepted { .. }));
    world.run(secs(31));
    world.quiet(BOB);
    world.run(secs(2));
    assert_eq!(world.ended(BOB), EndCause::NoAck);
    assert_eq!(world.ended(ALICE), EndCause::Bye);
    // T1, 2 T1, 4 T1, then every T2 (RFC 3261 13.3.1.4).
    assert_eq!(world.sent(BOB, "200 INVITE"), 11);
    world.assert_clean();
}

#[test]
fn a_hang_up_before_the_ack_waits_for_it() {
    let mut world = World::new();
    let (_, callee) = world.ring();
    world.lose(ALICE, "ACK", 1);
    world.accept(BOB, callee);
    world.settle();
    world.says(ALICE);
    world.end(BOB, callee);
    assert_eq!(world.ended(BOB), EndCause::Local);
    world.settle();
    assert_eq!(world.sent(BOB, "BYE"), 0);
    world.run(secs(1));
    assert_eq!(world.sent(BOB, "BYE"), 1);
    assert_eq!(world.ended(ALICE), EndCause::Bye);
    world.assert_clean();
}

#[test]
fn a_repeated_invite_after_the_answer_changes_nothing() {
    let mut world = World::new();
    world.double(ALICE, "INVITE", ms(300));
    let caller = world.invite();
    world.run(ms(50));
    let callee = world.incoming(BOB).session;
    world.accept(BOB, callee);
    world.run(secs(1));
    assert!(matches!(world.says(ALICE), SessionEvent::Accepted { .. }));
    assert!(matches!(world.says(BOB), SessionEvent::Confirmed { .. }));
    world.quiet(BOB);
    assert_eq!(world.sent(BOB, "200 INVITE"), 1);
    world.end(ALICE, caller);
    world.ended(ALICE);
    world.settle();
    world.ended(BOB);
    world.assert_clean();
}

#[test]
fn a_repeated_invite_while_it_rings_hears_the_ringing_again() {
    let mut world = World::new();
    world.lose(BOB, "180 INVITE", 1);
    let (_, callee) = world.ring();
    world
        .tell(BOB, |bob, now| {
            bob.progress(callee, Progress::ringing(), now)
        })
        .unwrap();
    world.run(secs(1));
    assert!(matches!(world.says(ALICE), SessionEvent::Progress { .. }));
    assert_eq!(
        (world.sent(ALICE, "INVITE"), world.sent(BOB, "180 INVITE")),
        (2, 2)
    );
    world.quiet(BOB);
}

#[test]
fn a_lost_bye_is_sent_again() {
    let mut world = World::new();
    let (caller, _) = world.talk();
    world.lose(ALICE, "BYE", 3);
    world.end(ALICE, caller);
    world.ended(ALICE);
    world.run(secs(8));
    assert_eq!(world.ended(BOB), EndCause::Bye);
    world.assert_clean();
}

#[test]
fn a_lost_200_to_bye_ends_nothing_twice() {
    let mut world = World::new();
    let (caller, _) = world.talk();
    world.lose(BOB, "200 BYE", 2);
    world.end(ALICE, caller);
    world.ended(ALICE);
    world.run(secs(8));
    assert_eq!(world.ended(BOB), EndCause::Bye);
    assert_eq!(
        (world.sent(ALICE, "BYE"), world.sent(BOB, "200 BYE")),
        (3, 3)
    );
    world.assert_clean();
}

#[test]
fn two_byes_that_cross_end_each_side_once() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    world.end(ALICE, caller);
    world.end(BOB, callee);
    assert_eq!(world.ended(ALICE), EndCause::Local);
    assert_eq!(world.ended(BOB), EndCause::Local);
    world.assert_clean();
}

#[test]
fn a_lost_ack_to_a_refusal_is_sent_again() {
    let mut world = World::new();
    let (_, callee) = world.ring();
    world.lose(ALICE, "ACK", 2);
    world.end(BOB, callee);
    world.ended(BOB);
    world.run(secs(5));
    assert!(matches!(world.says(ALICE), SessionEvent::Rejected(_)));
    assert_eq!(
        (world.sent(BOB, "480 INVITE"), world.sent(ALICE, "ACK")),
        (3, 3)
    );
    world.assert_clean();
}

#[test]
fn a_session_its_owner_has_left_hears_nothing_but_the_end() {
    let mut world = World::new();
    let (caller, callee) = world.ring();
    world.lose(ALICE, "ACK", 1000);
    world.accept(BOB, callee);
    world.settle();
    world.says(ALICE);
    // The BYE of the callee waits for an ACK that does not come.
    world.end(BOB, callee);
    world.ended(BOB);
    world
        .tell(ALICE, |alice, now| {
            alice.digit(caller, '1', ms(100), now)?;
            alice.message(caller, "text/plain", b"x".as_slice().into(), now)
        })
        .unwrap();
    world.settle();
    world.quiet(BOB);
    assert_eq!(
        (world.sent(BOB, "481 INFO"), world.sent(BOB, "481 MESSAGE")),
        (1, 1)
    );
}
