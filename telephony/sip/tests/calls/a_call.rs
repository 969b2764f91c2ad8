//! A call that goes as it should, and the plain ways it can end.

use sip::message::{Reason, StatusCode};
use sip::session::{EndCause, Progress, Reject, RejectedBy, Sdp, SessionEvent};

use crate::world::{ALICE, ANSWER, BOB, OFFER, World, ms, secs};

#[test]
fn a_call_rings_is_answered_and_hung_up() {
    let mut world = World::new();
    let caller = world.invite();
    world.settle();
    let incoming = world.incoming(BOB);
    assert_eq!(incoming.offer.as_deref(), Some(OFFER));
    assert_eq!(incoming.from.uri.user(), Some("alice"));
    let callee = incoming.session;

    world
        .tell(BOB, |bob, now| {
            bob.progress(callee, Progress::ringing(), now)
        })
        .unwrap();
    world.settle();
    assert!(matches!(
        world.session_event(ALICE),
        (session, SessionEvent::Progress { code: StatusCode::RINGING, sdp: None, .. }) if session == caller
    ));

    world.accept(BOB, callee);
    world.settle();
    match world.says(ALICE) {
        SessionEvent::Accepted {
            sdp: Some(Sdp::Answer(answer)),
            ..
        } => assert_eq!(answer, ANSWER),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        world.says(BOB),
        SessionEvent::Confirmed { answer: None }
    ));

    world.run(secs(10));
    world.end(ALICE, caller);
    assert_eq!(world.ended(ALICE), EndCause::Local);
    world.settle();
    assert_eq!(world.ended(BOB), EndCause::Bye);
    assert_eq!(world.trace.len(), 6, "{}", world.story());
    world.assert_clean();
}

#[test]
fn the_callee_can_hang_up_and_say_why() {
    let mut world = World::new();
    let (_, callee) = world.talk();
    let reason = Reason::q850(16, "Normal call clearing");
    world
        .tell(BOB, |bob, now| bob.end(callee, Some(reason.clone()), now))
        .unwrap();
    world.settle();
    assert_eq!(world.ended(BOB), EndCause::Local);
    match world.says(ALICE) {
        SessionEvent::Ended {
            cause: EndCause::Bye,
            reason: Some(said),
        } => assert_eq!(said, reason),
        other => panic!("{other:?}"),
    }
    world.assert_clean();
}

#[test]
fn a_refused_call_ends_once_on_each_side() {
    let mut world = World::new();
    let (_, callee) = world.ring();
    let reject = Reject {
        retry_after: Some(secs(7)),
        ..Reject::new(StatusCode::BUSY_HERE)
    };
    world
        .tell(BOB, |bob, now| bob.reject(callee, reject, now))
        .unwrap();
    assert_eq!(world.ended(BOB), EndCause::Local);
    world.settle();
    match world.says(ALICE) {
        SessionEvent::Rejected(rejection) => {
            assert_eq!(
                (rejection.code, rejection.by),
                (StatusCode::BUSY_HERE, RejectedBy::Peer)
            );
            assert_eq!(rejection.retry_after, Some(secs(7)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.sent(ALICE, "ACK"), 1);
    world.assert_clean();
}

#[test]
fn an_unanswered_caller_gives_up() {
    let mut world = World::new();
    let mut invite = world.call_to(BOB);
    invite.ring_limit = Some(secs(20));
    world.place(invite);
    world.settle();
    world.incoming(BOB);
    world.run(secs(21));
    assert_eq!(world.ended(ALICE), EndCause::NoAnswer);
    assert_eq!(world.ended(BOB), EndCause::Cancelled);
    world.assert_clean();
}

#[test]
fn nobody_at_the_other_end_is_a_timeout() {
    let mut world = World::new();
    world.lose(ALICE, "INVITE", 100);
    world.invite();
    world.run(secs(33));
    match world.says(ALICE) {
        SessionEvent::Rejected(rejection) => {
            assert_eq!(
                (rejection.code, rejection.by),
                (StatusCode::REQUEST_TIMEOUT, RejectedBy::Timeout)
            );
        }
        other => panic!("{other:?}"),
    }
    // RFC 3261 17.1.1.2: at 0, T1, 3 T1, 7 T1, 15 T1, 31 T1 and 63 T1.
    assert_eq!(world.sent(ALICE, "INVITE"), 7);
    world.assert_clean();
}

#[test]
fn a_slow_owner_is_covered_by_100_after_200_ms() {
    let mut world = World::new();
    let (_, callee) = world.ring();
    world.run(ms(250));
    assert_eq!(world.sent(BOB, "100 INVITE"), 1);
    world.run(secs(5));
    assert_eq!(world.sent(ALICE, "INVITE"), 1, "{}", world.story());
    world.accept(BOB, callee);
    world.settle();
    assert!(matches!(world.says(ALICE), SessionEvent::Accepted { .. }));
}
