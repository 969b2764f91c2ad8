//! Reliable provisional responses (RFC 3262), and UPDATE before the answer (RFC 3311).

use sip::message::{HeaderName, Method, Response, StatusCode};
use sip::session::{
    CommandError, Delivery, EndCause, Progress, ReliableProvisional, Sdp, SessionEvent, SessionId,
};

use crate::world::{ALICE, ANSWER, BOB, HELD, HOLD, OFFER, World, bytes, ms, secs};

fn early(sdp: &[u8]) -> Progress {
    Progress {
        code: StatusCode::SESSION_PROGRESS,
        sdp: Some(bytes(sdp)),
        delivery: Delivery::Reliable,
        ..Progress::ringing()
    }
}

/// A call whose answer has travelled in a reliable 183.
fn with_early_media(world: &mut World) -> (SessionId, SessionId) {
    let (caller, callee) = world.ring();
    world
        .tell(BOB, |bob, now| bob.progress(callee, early(ANSWER), now))
        .unwrap();
    world.settle();
    match world.says(ALICE) {
        SessionEvent::Progress {
            sdp: Some(Sdp::Answer(sdp)),
            ..
        } => assert_eq!(sdp, ANSWER),
        other => panic!("{other:?}"),
    }
    (caller, callee)
}

#[test]
fn an_answer_in_a_reliable_183_needs_no_second_one() {
    let mut world = World::new();
    let (_, callee) = with_early_media(&mut world);
    assert_eq!(
        (world.sent(ALICE, "PRACK"), world.sent(BOB, "200 PRACK")),
        (1, 1)
    );
    world
        .tell(BOB, |bob, now| bob.accept(callee, None, now))
        .unwrap();
    world.settle();
    assert!(matches!(
        world.says(ALICE),
        SessionEvent::Accepted { sdp: None, .. }
    ));
    assert!(matches!(world.says(BOB), SessionEvent::Confirmed { .. }));
}

#[test]
fn a_reliable_response_is_repeated_until_its_prack() {
    let mut world = World::new();
    world.lose(BOB, "183 INVITE", 2);
    let (_, callee) = world.ring();
    world
        .tell(BOB, |bob, now| bob.progress(callee, early(ANSWER), now))
        .unwrap();
    world.run(secs(4));
    assert!(matches!(world.says(ALICE), SessionEvent::Progress { .. }));
    world.quiet(ALICE);
    assert_eq!(world.sent(ALICE, "PRACK"), 1);
}

#[test]
fn a_lost_prack_is_repeated_and_a_repeated_response_is_told_once() {
    let mut world = World::new();
    world.lose(ALICE, "PRACK", 2);
    let (_, callee) = world.ring();
    world
        .tell(BOB, |bob, now| bob.progress(callee, early(ANSWER), now))
        .unwrap();
    world.run(secs(4));
    assert!(matches!(world.says(ALICE), SessionEvent::Progress { .. }));
    world.quiet(ALICE);
    assert_eq!(world.sent(BOB, "200 PRACK"), 1);
}

#[test]
fn an_answer_waits_for_the_prack() {
    let mut world = World::new();
    world.lose(ALICE, "PRACK", 1);
    let (_, callee) = world.ring();
    world
        .tell(BOB, |bob, now| bob.progress(callee, early(ANSWER), now))
        .unwrap();
    world
        .tell(BOB, |bob, now| bob.accept(callee, None, now))
        .unwrap();
    world.settle();
    assert_eq!(world.sent(BOB, "200 INVITE"), 0);
    world.run(secs(2));
    assert!(matches!(world.says(ALICE), SessionEvent::Progress { .. }));
    assert!(matches!(
        world.says(ALICE),
        SessionEvent::Accepted { sdp: None, .. }
    ));
    assert!(matches!(world.says(BOB), SessionEvent::Confirmed { .. }));
}

#[test]
fn responses_queue_up_behind_an_unconfirmed_one() {
    let mut world = World::new();
    let mut invite = world.call_to(BOB);
    invite.reliable = ReliableProvisional::Required;
    world.place(invite);
    world.settle();
    let callee = world.incoming(BOB).session;
    for code in [
        StatusCode::RINGING,
        StatusCode::CALL_IS_BEING_FORWARDED,
        StatusCode::QUEUED,
    ] {
        let progress = Progress {
            code,
            ..Progress::ringing()
        };
        world
            .tell(BOB, |bob, now| bob.progress(callee, progress, now))
            .unwrap();
    }
    assert_eq!(world.sent(BOB, "181 INVITE"), 0);
    world.settle();
    for wanted in [
        StatusCode::RINGING,
        StatusCode::CALL_IS_BEING_FORWARDED,
        StatusCode::QUEUED,
    ] {
        assert!(matches!(world.says(ALICE), SessionEvent::Progress { code, .. } if code == wanted));
    }
    assert_eq!(world.sent(ALICE, "PRACK"), 3);
}

#[test]
fn without_any_prack_the_call_is_refused() {
    let mut world = World::new();
    world.lose(ALICE, "PRACK", 1000);
    let (_, callee) = world.ring();
    world
        .tell(BOB, |bob, now| bob.progress(callee, early(ANSWER), now))
        .unwrap();
    world.run(secs(33));
    assert_eq!(world.ended(BOB), EndCause::NoAck);
    world.says(ALICE);
    match world.says(ALICE) {
        SessionEvent::Rejected(rejection) => {
            assert_eq!(rejection.code, StatusCode::SERVER_TIME_OUT);
        }
        other => panic!("{other:?}"),
    }
    world.assert_clean();
}

#[test]
fn a_cancel_crosses_the_prack() {
    let mut world = World::new();
    let (caller, callee) = world.ring();
    world.delay(ALICE, "PRACK", ms(100));
    world
        .tell(BOB, |bob, now| bob.progress(callee, early(ANSWER), now))
        .unwrap();
    world.run(ms(15));
    world.says(ALICE);
    world.end(ALICE, caller);
    world.ended(ALICE);
    world.run(secs(1));
    assert_eq!(world.ended(BOB), EndCause::Cancelled);
    assert_eq!(world.sent(BOB, "481 PRACK"), 1);
    world.assert_clean();
}

#[test]
fn the_callee_offers_in_183_and_the_prack_answers() {
    let mut world = World::new();
    let mut invite = world.call_to(BOB);
    invite.offer = None;
    let caller = world.place(invite);
    world.settle();
    let callee = world.incoming(BOB).session;
    let unreliable = Progress {
        delivery: Delivery::Unreliable,
        ..early(HELD)
    };
    let refused = world.tell(BOB, |bob, now| bob.progress(callee, unreliable, now));
    assert_eq!(refused, Err(CommandError::WrongState));
    world
        .tell(BOB, |bob, now| bob.progress(callee, early(HELD), now))
        .unwrap();
    world.settle();
    match world.says(ALICE) {
        SessionEvent::Progress {
            sdp: Some(Sdp::Offer(offer)),
            ..
        } => assert_eq!(offer, HELD),
        other => panic!("{other:?}"),
    }
    world
        .tell(ALICE, |alice, now| alice.answer(caller, bytes(HOLD), now))
        .unwrap();
    world.settle();
    match world.says(BOB) {
        SessionEvent::ReofferAnswered { sdp } => assert_eq!(sdp, HOLD),
        other => panic!("{other:?}"),
    }
    world
        .tell(BOB, |bob, now| bob.accept(callee, None, now))
        .unwrap();
    world.settle();
    assert!(matches!(
        world.says(ALICE),
        SessionEvent::Accepted { sdp: None, .. }
    ));
}

#[test]
fn an_unreliable_preview_is_repeated_in_the_answer() {
    let mut world = World::new();
    let mut invite = world.call_to(BOB);
    invite.reliable = ReliableProvisional::Off;
    world.place(invite);
    world.settle();
    let callee = world.incoming(BOB).session;
    world
        .tell(BOB, |bob, now| bob.progress(callee, early(ANSWER), now))
        .unwrap();
    world.settle();
    assert!(matches!(
        world.says(ALICE),
        SessionEvent::Progress {
            sdp: Some(Sdp::Answer(_)),
            ..
        }
    ));
    assert_eq!(world.sent(ALICE, "PRACK"), 0);
    world
        .tell(BOB, |bob, now| bob.accept(callee, None, now))
        .unwrap();
    world.settle();
    match world.says(ALICE) {
        SessionEvent::Accepted {
            sdp: Some(Sdp::Answer(sdp)),
            ..
        } => assert_eq!(sdp, ANSWER),
        other => panic!("{other:?}"),
    }
}

#[test]
fn early_media_is_changed_by_update_from_either_side() {
    let mut world = World::new();
    let (caller, callee) = with_early_media(&mut world);
    world
        .tell(ALICE, |alice, now| alice.reoffer(caller, bytes(HOLD), now))
        .unwrap();
    world.settle();
    assert!(matches!(world.says(BOB), SessionEvent::Reoffer { .. }));
    world
        .tell(BOB, |bob, now| bob.answer(callee, bytes(HELD), now))
        .unwrap();
    world.settle();
    assert!(matches!(
        world.says(ALICE),
        SessionEvent::ReofferAnswered { .. }
    ));
    world
        .tell(BOB, |bob, now| bob.reoffer(callee, bytes(ANSWER), now))
        .unwrap();
    world.settle();
    assert!(matches!(world.says(ALICE), SessionEvent::Reoffer { .. }));
    world
        .tell(ALICE, |alice, now| alice.answer(caller, bytes(OFFER), now))
        .unwrap();
    world.settle();
    assert!(matches!(
        world.says(BOB),
        SessionEvent::ReofferAnswered { .. }
    ));
    assert_eq!(
        (world.sent(ALICE, "UPDATE"), world.sent(BOB, "UPDATE")),
        (1, 1)
    );
    world
        .tell(BOB, |bob, now| bob.accept(callee, None, now))
        .unwrap();
    world.settle();
    assert!(matches!(world.says(ALICE), SessionEvent::Accepted { .. }));
}

#[test]
fn updates_that_cross_are_both_refused() {
    let mut world = World::new();
    let (caller, callee) = with_early_media(&mut world);
    world
        .tell(ALICE, |alice, now| alice.reoffer(caller, bytes(HOLD), now))
        .unwrap();
    world
        .tell(BOB, |bob, now| bob.reoffer(callee, bytes(HELD), now))
        .unwrap();
    world.settle();
    assert!(matches!(
        world.says(ALICE),
        SessionEvent::ReofferRefused {
            code: StatusCode::REQUEST_PENDING
        }
    ));
    assert!(matches!(
        world.says(BOB),
        SessionEvent::ReofferRefused {
            code: StatusCode::REQUEST_PENDING
        }
    ));
}

#[test]
fn the_answer_waits_while_an_update_is_unanswered() {
    let mut world = World::new();
    let (caller, callee) = with_early_media(&mut world);
    world
        .tell(ALICE, |alice, now| alice.reoffer(caller, bytes(HOLD), now))
        .unwrap();
    world.settle();
    world.says(BOB);
    let accepted = world.tell(BOB, |bob, now| bob.accept(callee, None, now));
    assert_eq!(accepted, Err(CommandError::OfferPending));
    world
        .tell(BOB, |bob, now| {
            bob.refuse(callee, StatusCode::NOT_ACCEPTABLE_HERE, now)
        })
        .unwrap();
    world
        .tell(BOB, |bob, now| bob.accept(callee, None, now))
        .unwrap();
}

#[test]
fn a_prack_for_nothing_is_told_so() {
    let mut world = World::empty();
    let script = 1;
    world.add(Default::default());
    world.add_script();
    world.invite();
    world.settle();
    let invite = world.heard_request(script);
    let reliable = |rseq: &str| {
        Response::answering(&invite, StatusCode::RINGING)
            .with_to_tag("b")
            .with_header(HeaderName::Contact, "<sip:b@10.0.0.2>")
            .with_header(HeaderName::Require, "100rel")
            .with_header(HeaderName::RSeq, rseq)
            .to_bytes()
    };
    world.say(script, ALICE, reliable("7"));
    world.settle();
    let prack = world.heard_request(script);
    assert_eq!(prack.method, Method::Prack);
    assert_eq!(
        prack.headers.get(HeaderName::RAck),
        Some(b"7 1 INVITE".as_slice())
    );
    world.say(
        script,
        ALICE,
        Response::answering(&prack, StatusCode::OK).to_bytes(),
    );
    // Out of order: not confirmed, not told (RFC 3262 4).
    world.says(ALICE);
    world.say(script, ALICE, reliable("9"));
    world.say(script, ALICE, reliable("7"));
    world.settle();
    world.quiet(ALICE);
    assert!(world.hears_nothing(script));
    world.say(script, ALICE, reliable("8"));
    world.settle();
    assert_eq!(
        world.heard_request(script).headers.get(HeaderName::RAck),
        Some(b"8 1 INVITE".as_slice())
    );
}
