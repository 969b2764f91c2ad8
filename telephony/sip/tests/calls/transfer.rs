//! REFER with its NOTIFYs (RFC 3515), Replaces (RFC 3891).

use sip::message::{HeaderName, NameAddr, Response, StatusCode};
use sip::session::{EndCause, Refer, ReferAnswer, ReferState, SessionEvent, SessionId};

use crate::world::{ALICE, BOB, CAROL, World, secs, uri};

fn refer_to(text: &str) -> Refer {
    Refer {
        to: NameAddr::new(uri(text)),
        referred_by: None,
    }
}

#[test]
fn a_blind_transfer_is_followed_to_its_end() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    let refer = world
        .tell(ALICE, |alice, now| {
            alice.refer(caller, refer_to("sip:300@10.0.0.3"), now)
        })
        .unwrap();
    world.settle();
    let theirs = match world.says(BOB) {
        SessionEvent::Refer {
            refer,
            to,
            replaces: None,
            ..
        } => {
            assert_eq!(to.as_str(), "sip:300@10.0.0.3");
            refer
        }
        other => panic!("{other:?}"),
    };
    world
        .tell(BOB, |bob, now| {
            bob.answer_refer(callee, theirs, ReferAnswer::Accept, now)
        })
        .unwrap();
    world.settle();
    let progress = |world: &mut World| match world.says(ALICE) {
        SessionEvent::ReferProgress {
            refer: id,
            code,
            state,
        } => {
            assert_eq!(id, refer);
            (code, state)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(
        progress(&mut world),
        (StatusCode::ACCEPTED, ReferState::Running)
    );
    assert_eq!(
        progress(&mut world),
        (StatusCode::TRYING, ReferState::Running)
    );
    for code in [StatusCode::RINGING, StatusCode::OK] {
        world
            .tell(BOB, |bob, now| bob.notify_refer(callee, theirs, code, now))
            .unwrap();
        world.settle();
    }
    assert_eq!(
        progress(&mut world),
        (StatusCode::RINGING, ReferState::Running)
    );
    assert_eq!(progress(&mut world), (StatusCode::OK, ReferState::Finished));
    let over = world.tell(BOB, |bob, now| {
        bob.notify_refer(callee, theirs, StatusCode::OK, now)
    });
    assert!(over.is_err());
    world.end(ALICE, caller);
    world.ended(ALICE);
    world.settle();
    assert_eq!(world.ended(BOB), EndCause::Bye);
    world.assert_clean();
}

#[test]
fn a_refused_transfer_is_finished() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    world
        .tell(ALICE, |alice, now| {
            alice.refer(caller, refer_to("sip:300@10.0.0.3"), now)
        })
        .unwrap();
    world.settle();
    let SessionEvent::Refer { refer, .. } = world.says(BOB) else {
        panic!()
    };
    let answer = ReferAnswer::Refuse(StatusCode::DECLINE);
    world
        .tell(BOB, |bob, now| bob.answer_refer(callee, refer, answer, now))
        .unwrap();
    world.settle();
    assert!(matches!(
        world.says(ALICE),
        SessionEvent::ReferProgress {
            code: StatusCode::DECLINE,
            state: ReferState::Finished,
            ..
        }
    ));
}

/// Alice talks to Bob and to Carol, and brings the two together.
#[test]
fn an_attended_transfer_replaces_the_second_call() {
    let mut world = World::new();
    world.add(Default::default());
    let (to_bob, with_alice) = world.talk();
    let invite = world.call_to(CAROL);
    let to_carol = world.place(invite);
    world.settle();
    let carols = world.incoming(CAROL).session;
    world.accept(CAROL, carols);
    world.settle();
    world.says(ALICE);
    world.says(CAROL);

    let replaces = world
        .endpoint(ALICE)
        .replaces(to_carol)
        .expect("it is confirmed");
    let target = uri("sip:2@10.0.0.3:5060").with_header("Replaces", &replaces.to_string());
    let refer = Refer {
        to: NameAddr::new(target),
        referred_by: None,
    };
    world
        .tell(ALICE, |alice, now| alice.refer(to_bob, refer, now))
        .unwrap();
    world.settle();
    let (refer, asked) = match world.says(BOB) {
        SessionEvent::Refer {
            refer,
            to,
            replaces: Some(asked),
            ..
        } => {
            assert_eq!(to.as_str(), "sip:2@10.0.0.3:5060");
            (refer, asked)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(asked, replaces);
    world
        .tell(BOB, |bob, now| {
            bob.answer_refer(with_alice, refer, ReferAnswer::Accept, now)
        })
        .unwrap();
    let mut invite = world.call_to(CAROL);
    invite.headers.push(HeaderName::Replaces, asked.to_string());
    let bobs: SessionId = world.tell(BOB, |bob, now| bob.invite(invite, now)).unwrap();
    world.settle();
    let incoming = world.incoming(CAROL);
    assert_eq!(incoming.replaces, Some(carols));
    world.accept(CAROL, incoming.session);
    world.end(CAROL, carols);
    assert_eq!(world.ended(CAROL), EndCause::Local);
    world.settle();
    assert!(matches!(world.session_event(BOB), (id, SessionEvent::Accepted { .. }) if id == bobs));
    world.says(ALICE); // 202
    world.says(ALICE); // 100
    assert!(
        matches!(world.session_event(ALICE), (id, SessionEvent::Ended { .. }) if id == to_carol)
    );
    world.run(secs(5));
}

#[test]
fn replacing_what_is_not_there_is_refused() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    let known = world.endpoint(ALICE).replaces(caller).unwrap();
    let cases = [("nobody", "481 INVITE"), ("early-only", "486 INVITE")];
    for (case, wanted) in cases {
        let mut replaces = known.clone();
        match case {
            "nobody" => replaces.call_id = "other".into(),
            _ => replaces.early_only = true,
        }
        let mut invite = world.call_to(BOB);
        invite
            .headers
            .push(HeaderName::Replaces, replaces.to_string());
        world.place(invite);
        world.settle();
        assert!(matches!(world.says(ALICE), SessionEvent::Rejected(_)));
        assert_eq!(world.sent(BOB, wanted), 1, "{}", world.story());
    }
    world.quiet(BOB);
    world.end(BOB, callee);
}

#[test]
fn a_notify_for_no_refer_is_told_so() {
    let mut world = World::empty();
    world.add(Default::default());
    let bob = world.add_script();
    world.invite();
    world.settle();
    let invite = world.heard_request(bob);
    let ok = Response::answering(&invite, StatusCode::OK)
        .with_to_tag("b")
        .with_header(HeaderName::Contact, "<sip:b@10.0.0.2>")
        .with_body("application/sdp", crate::world::ANSWER);
    world.say(bob, ALICE, ok.to_bytes());
    world.settle();
    world.says(ALICE);
    let ack = world.heard_request(bob);
    let notify = format!(
        "NOTIFY sip:alice@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKn1\r\nMax-Forwards: 70\r\n\
         From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 5 NOTIFY\r\nEvent: refer\r\n\
         Subscription-State: active\r\nContent-Length: 0\r\n\r\n",
        ack.headers.to().unwrap(),
        ack.headers.from().unwrap(),
        ack.headers.call_id().unwrap(),
    );
    world.say(bob, ALICE, notify);
    world.settle();
    assert_eq!(
        world.heard_response(bob).status,
        StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST
    );
}
