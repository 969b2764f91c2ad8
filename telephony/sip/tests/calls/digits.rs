//! INFO and MESSAGE within a call, and requests outside one.

use std::time::Duration;

use sip::endpoint::{Event, OutgoingRequest, RequestFailure, RequestOutcome};
use sip::message::{HeaderName, Headers, Method, NameAddr, StatusCode};
use sip::session::SessionEvent;

use crate::world::{ALICE, BOB, World, bytes, ms, secs, uri};

#[test]
fn a_digit_arrives_once_whatever_the_network_does() {
    let mut world = World::new();
    let (caller, _) = world.talk();
    world.lose(ALICE, "INFO", 1);
    world.lose(BOB, "200 INFO", 1);
    world
        .tell(ALICE, |alice, now| alice.digit(caller, '#', ms(200), now))
        .unwrap();
    world.run(secs(5));
    match world.says(BOB) {
        SessionEvent::Digit {
            digit: '#',
            duration,
        } => assert_eq!(duration, Duration::from_millis(200)),
        other => panic!("{other:?}"),
    }
    world.quiet(BOB);
    world.quiet(ALICE);
}

#[test]
fn another_info_is_handed_over_as_it_is() {
    let mut world = World::new();
    let (_, callee) = world.talk();
    world
        .tell(BOB, |bob, now| {
            bob.info(callee, "application/x-lamp", bytes(b"on"), now)
        })
        .unwrap();
    world.settle();
    match world.says(ALICE) {
        SessionEvent::Info { content_type, body } => {
            assert_eq!(
                (content_type.as_str(), &body[..]),
                ("application/x-lamp", b"on".as_slice())
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_within_a_call_is_answered_by_the_owner() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    let sent = world
        .tell(ALICE, |alice, now| {
            alice.message(caller, "text/plain", bytes(b"hello"), now)
        })
        .unwrap();
    world.settle();
    let Event::Message(message) = world.event(BOB) else {
        panic!()
    };
    assert_eq!(
        (message.session, &message.request.body[..]),
        (Some(callee), b"hello".as_slice())
    );
    world
        .tell(BOB, |bob, now| {
            bob.answer_message(message.message, StatusCode::OK, now)
        })
        .unwrap();
    world.settle();
    match world.event(ALICE) {
        Event::RequestAnswered { request, outcome } => {
            assert_eq!((request, outcome.code()), (sent, StatusCode::OK));
        }
        other => panic!("{other:?}"),
    }
    let again = world.tell(BOB, |bob, now| {
        bob.answer_message(message.message, StatusCode::OK, now)
    });
    assert!(again.is_err());
}

fn request(world: &World, method: Method) -> OutgoingRequest {
    OutgoingRequest {
        method,
        target: uri("sip:bob@10.0.0.2"),
        hop: world.hop_to(BOB),
        from: NameAddr::new(uri("sip:alice@10.0.0.1")),
        to: None,
        route: Vec::new(),
        headers: Headers::default(),
        body: bytes(b""),
    }
}

#[test]
fn a_message_outside_a_call_reaches_the_owner() {
    let mut world = World::new();
    let mut text = request(&world, Method::Message);
    text.headers.push(HeaderName::ContentType, "text/plain");
    text.body = bytes(b"the lift is stuck");
    world
        .tell(ALICE, |alice, now| alice.request(text, now))
        .unwrap();
    world.settle();
    let Event::Message(message) = world.event(BOB) else {
        panic!()
    };
    assert_eq!(message.session, None);
    world
        .tell(BOB, |bob, now| {
            bob.answer_message(message.message, StatusCode::ACCEPTED, now)
        })
        .unwrap();
    world.settle();
    assert!(matches!(
        world.event(ALICE),
        Event::RequestAnswered { outcome, .. } if outcome.code() == StatusCode::ACCEPTED
    ));
    world.assert_clean();
}

#[test]
fn a_message_nobody_answers_is_given_up_on_both_sides() {
    let mut world = World::new();
    let text = request(&world, Method::Message);
    world
        .tell(ALICE, |alice, now| alice.request(text, now))
        .unwrap();
    world.settle();
    let Event::Message(message) = world.event(BOB) else {
        panic!()
    };
    world.run(secs(40));
    assert!(matches!(
        world.event(ALICE),
        Event::RequestAnswered {
            outcome: RequestOutcome::Failed(RequestFailure::Timeout),
            ..
        }
    ));
    let late = world.tell(BOB, |bob, now| {
        bob.answer_message(message.message, StatusCode::OK, now)
    });
    assert!(late.is_err());
    world.assert_clean();
}

#[test]
fn options_are_answered_with_what_we_can_do() {
    let mut world = World::new();
    let asked = request(&world, Method::Options);
    world
        .tell(ALICE, |alice, now| alice.request(asked, now))
        .unwrap();
    world.settle();
    let Event::RequestAnswered {
        outcome: RequestOutcome::Answered(response),
        ..
    } = world.event(ALICE)
    else {
        panic!()
    };
    assert_eq!(response.status, StatusCode::OK);
    assert!(
        response
            .headers
            .tokens(HeaderName::Allow)
            .any(|method| method == "UPDATE")
    );
    assert!(response.headers.supports("100rel"));
    world.quiet(BOB);
    world.assert_clean();
}
