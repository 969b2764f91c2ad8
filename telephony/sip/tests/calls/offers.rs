//! Offers after the first: hold and codec changes, glare, offers without SDP (RFC 3261 14, RFC 3264).

use sip::endpoint::{SessionTimerSettings, Settings};
use sip::message::{HeaderName, Method, Response, StatusCode};
use sip::session::{CommandError, EndCause, Sdp, SessionEvent, SessionId};

use crate::world::{ALICE, ANSWER, BOB, HELD, HOLD, OFFER, World, bytes, ms, secs};

fn reoffer(world: &mut World, id: usize, session: SessionId, sdp: &[u8]) {
    world
        .tell(id, |endpoint, now| {
            endpoint.reoffer(session, bytes(sdp), now)
        })
        .unwrap();
}

fn answer(world: &mut World, id: usize, session: SessionId, sdp: &[u8]) {
    world
        .tell(id, |endpoint, now| {
            endpoint.answer(session, bytes(sdp), now)
        })
        .unwrap();
}

#[track_caller]
fn reoffered(world: &mut World, id: usize, wanted: &[u8]) {
    match world.says(id) {
        SessionEvent::Reoffer { sdp } => assert_eq!(sdp, wanted),
        other => panic!("{other:?}: {}", world.story()),
    }
}

#[track_caller]
fn answered(world: &mut World, id: usize, wanted: &[u8]) {
    match world.says(id) {
        SessionEvent::ReofferAnswered { sdp } => assert_eq!(sdp, wanted),
        other => panic!("{other:?}: {}", world.story()),
    }
}

#[test]
fn a_call_is_held_and_taken_back() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    for (offer, reply) in [(HOLD, HELD), (OFFER, ANSWER)] {
        reoffer(&mut world, ALICE, caller, offer);
        world.settle();
        reoffered(&mut world, BOB, offer);
        answer(&mut world, BOB, callee, reply);
        world.settle();
        answered(&mut world, ALICE, reply);
    }
    world.run(secs(5));
    world.quiet(BOB);
    assert_eq!(world.sent(ALICE, "ACK"), 3);
}

#[test]
fn the_callee_can_hold_too() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    reoffer(&mut world, BOB, callee, HELD);
    world.settle();
    reoffered(&mut world, ALICE, HELD);
    answer(&mut world, ALICE, caller, HOLD);
    world.settle();
    answered(&mut world, BOB, HOLD);
    world.run(secs(5));
    world.quiet(ALICE);
}

#[test]
fn a_refused_offer_leaves_the_call_as_it_was() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    reoffer(&mut world, ALICE, caller, HOLD);
    world.settle();
    reoffered(&mut world, BOB, HOLD);
    world
        .tell(BOB, |bob, now| {
            bob.refuse(callee, StatusCode::NOT_ACCEPTABLE_HERE, now)
        })
        .unwrap();
    world.settle();
    assert!(matches!(
        world.says(ALICE),
        SessionEvent::ReofferRefused {
            code: StatusCode::NOT_ACCEPTABLE_HERE
        }
    ));
    reoffer(&mut world, BOB, callee, HELD);
    world.settle();
    reoffered(&mut world, ALICE, HELD);
}

#[test]
fn an_offer_that_changes_nothing_is_answered_without_asking() {
    let mut world = World::new();
    let (caller, _) = world.talk();
    reoffer(&mut world, ALICE, caller, OFFER);
    world.settle();
    world.quiet(BOB);
    answered(&mut world, ALICE, ANSWER);
}

#[test]
fn offers_that_cross_are_both_refused_and_tried_again_in_turn() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    reoffer(&mut world, ALICE, caller, HOLD);
    reoffer(&mut world, BOB, callee, HELD);
    world.settle();
    assert_eq!(
        (
            world.sent(ALICE, "491 INVITE"),
            world.sent(BOB, "491 INVITE")
        ),
        (1, 1)
    );
    world.quiet(ALICE);
    world.quiet(BOB);
    // RFC 3261 14.1: the callee waits at most 2 s, the caller, who made the Call-ID, 2.1 to 4 s.
    world.run(ms(2050));
    reoffered(&mut world, ALICE, HELD);
    answer(&mut world, ALICE, caller, OFFER);
    world.settle();
    answered(&mut world, BOB, OFFER);
    world.run(secs(2));
    reoffered(&mut world, BOB, HOLD);
    answer(&mut world, BOB, callee, HELD);
    world.settle();
    answered(&mut world, ALICE, HELD);
    world.run(secs(10));
    world.quiet(ALICE);
    world.quiet(BOB);
}

#[test]
fn a_second_offer_waits_for_the_first() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    reoffer(&mut world, ALICE, caller, HOLD);
    let second = world.tell(ALICE, |alice, now| alice.reoffer(caller, bytes(OFFER), now));
    assert_eq!(second, Err(CommandError::OfferPending));
    world.settle();
    reoffered(&mut world, BOB, HOLD);
    let crossing = world.tell(BOB, |bob, now| bob.reoffer(callee, bytes(HELD), now));
    assert_eq!(crossing, Err(CommandError::OfferPending));
}

#[test]
fn a_lost_200_to_a_reinvite_is_repeated() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    reoffer(&mut world, ALICE, caller, HOLD);
    world.settle();
    reoffered(&mut world, BOB, HOLD);
    world.lose(BOB, "200 INVITE", 2);
    world.lose(ALICE, "ACK", 2);
    answer(&mut world, BOB, callee, HELD);
    world.run(secs(12));
    answered(&mut world, ALICE, HELD);
    assert_eq!(world.sent(ALICE, "ACK"), 1 + 3);
    world.end(ALICE, caller);
    world.ended(ALICE);
    world.settle();
    world.ended(BOB);
    world.assert_clean();
}

#[test]
fn without_an_ack_to_a_reinvite_the_call_ends() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    world.lose(ALICE, "ACK", 1000);
    reoffer(&mut world, ALICE, caller, HOLD);
    world.settle();
    reoffered(&mut world, BOB, HOLD);
    answer(&mut world, BOB, callee, HELD);
    world.settle();
    answered(&mut world, ALICE, HELD);
    world.run(secs(33));
    assert_eq!(world.ended(BOB), EndCause::NoAck);
    assert_eq!(world.ended(ALICE), EndCause::Bye);
    world.assert_clean();
}

#[test]
fn a_reinvite_nobody_answers_ends_the_call() {
    let mut world = World::new();
    let (caller, _) = world.talk();
    world.lose(ALICE, "INVITE", 1000);
    reoffer(&mut world, ALICE, caller, HOLD);
    world.run(secs(33));
    assert_eq!(world.ended(ALICE), EndCause::TransactionTimeout);
    assert_eq!(world.ended(BOB), EndCause::Bye);
    world.assert_clean();
}

#[test]
fn a_bye_while_an_offer_is_open_answers_it_with_487() {
    let mut world = World::new();
    let (caller, _) = world.talk();
    reoffer(&mut world, ALICE, caller, HOLD);
    world.settle();
    reoffered(&mut world, BOB, HOLD);
    world.end(ALICE, caller);
    assert_eq!(world.ended(ALICE), EndCause::Local);
    world.settle();
    assert_eq!(world.ended(BOB), EndCause::Bye);
    assert_eq!(world.sent(BOB, "487 INVITE"), 1);
    world.assert_clean();
}

#[test]
fn the_callee_offers_when_the_invite_did_not() {
    let mut world = World::new();
    let mut invite = world.call_to(BOB);
    invite.offer = None;
    let caller = world.place(invite);
    world.settle();
    let incoming = world.incoming(BOB);
    assert_eq!(incoming.offer, None);
    let without = world.tell(BOB, |bob, now| bob.accept(incoming.session, None, now));
    assert_eq!(without, Err(CommandError::WrongState));
    world
        .tell(BOB, |bob, now| {
            bob.accept(incoming.session, Some(bytes(HELD)), now)
        })
        .unwrap();
    world.settle();
    match world.says(ALICE) {
        SessionEvent::Accepted {
            sdp: Some(Sdp::Offer(offer)),
            ..
        } => assert_eq!(offer, HELD),
        other => panic!("{other:?}"),
    }
    // The ACK waits for the owner, and the 200 is repeated meanwhile.
    world.run(secs(2));
    world.quiet(ALICE);
    assert_eq!(
        (world.sent(ALICE, "ACK"), world.sent(BOB, "200 INVITE")),
        (0, 3)
    );
    answer(&mut world, ALICE, caller, HOLD);
    world.settle();
    match world.says(BOB) {
        SessionEvent::Confirmed {
            answer: Some(answer),
        } => assert_eq!(answer, HOLD),
        other => panic!("{other:?}"),
    }
    world.run(secs(10));
    world.quiet(BOB);
}

#[test]
fn a_caller_that_hangs_up_instead_of_answering_acknowledges_first() {
    let mut world = World::new();
    let mut invite = world.call_to(BOB);
    invite.offer = None;
    let caller = world.place(invite);
    world.settle();
    let callee = world.incoming(BOB).session;
    world.accept(BOB, callee);
    world.settle();
    world.says(ALICE);
    world.end(ALICE, caller);
    world.ended(ALICE);
    world.settle();
    // An ACK without the answer that was due ends the call, and so does the BYE behind it.
    assert_eq!(world.ended(BOB), EndCause::Protocol);
    world.assert_clean();
}

#[test]
fn a_second_session_keeps_working_while_the_first_is_busy() {
    let mut world = World::new();
    let (first, _) = world.talk();
    reoffer(&mut world, ALICE, first, HOLD);
    world.settle();
    reoffered(&mut world, BOB, HOLD);
    let (second, _) = world.talk();
    world.end(ALICE, second);
    assert_eq!(world.ended(ALICE), EndCause::Local);
    world.settle();
    assert_eq!(world.ended(BOB), EndCause::Bye);
}

#[test]
fn a_reinvite_that_only_rings_is_cancelled_and_the_call_goes_on() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    reoffer(&mut world, ALICE, caller, HOLD);
    world.settle();
    reoffered(&mut world, BOB, HOLD);
    world.run(secs(182));
    assert_eq!(
        (world.sent(ALICE, "CANCEL"), world.sent(BOB, "487 INVITE")),
        (1, 1)
    );
    assert!(matches!(
        world.says(ALICE),
        SessionEvent::ReofferRefused {
            code: StatusCode::REQUEST_TERMINATED
        }
    ));
    // The owner of the other side comes too late.
    let late = world.tell(BOB, |bob, now| bob.answer(callee, bytes(HELD), now));
    assert_eq!(late, Err(CommandError::WrongState));
    reoffer(&mut world, BOB, callee, HELD);
    world.settle();
    reoffered(&mut world, ALICE, HELD);
}

#[test]
fn an_offer_behind_a_refresh_is_not_forgotten_in_a_glare() {
    let timer = SessionTimerSettings {
        interval: Some(secs(100)),
        ..Default::default()
    };
    let mut world = World::empty();
    world.add(Settings {
        session_timer: timer,
        ..Settings::default()
    });
    let bob = world.add_script();
    let caller = world.invite();
    world.settle();
    let invite = world.heard_request(bob);
    let ok = Response::answering(&invite, StatusCode::OK)
        .with_to_tag("b")
        .with_header(HeaderName::Contact, "<sip:b@10.0.0.2>")
        .with_header(HeaderName::Allow, "INVITE, ACK, BYE, CANCEL, UPDATE")
        .with_header(HeaderName::SessionExpires, "100;refresher=uac")
        .with_body("application/sdp", ANSWER);
    world.say(bob, ALICE, ok.to_bytes());
    world.settle();
    world.says(ALICE);
    world.heard_request(bob); // ACK
    world.run(secs(50));
    let refresh = world.heard_request(bob);
    assert_eq!(refresh.method, Method::Update);
    reoffer(&mut world, ALICE, caller, HOLD);
    let glare = Response::answering(&refresh, StatusCode::REQUEST_PENDING);
    world.say(bob, ALICE, glare.to_bytes());
    world.run(secs(2));
    assert!(world.hears_nothing(bob));
    world.run(secs(3));
    let offer = world.heard_request(bob);
    assert_eq!((offer.method, &offer.body[..]), (Method::Invite, HOLD));
}
