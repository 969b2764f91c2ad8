//! A call that a proxy forks: several early dialogs, several answers (RFC 3261 13.2.2.4).

use sip::message::{HeaderName, Method, Request, Response, StatusCode};
use sip::session::{EndCause, ForkId, SessionEvent, SessionId};

use crate::world::{ALICE, ANSWER, World, secs};

const PROXY: usize = 1;

fn called() -> (World, SessionId, Request) {
    let mut world = World::empty();
    world.add(Default::default());
    world.add_script();
    let session = world.invite();
    world.settle();
    let invite = world.heard_request(PROXY);
    (world, session, invite)
}

fn response(invite: &Request, code: StatusCode, tag: &str) -> Response {
    Response::answering(invite, code)
        .with_to_tag(tag)
        .with_header(HeaderName::Contact, format!("<sip:{tag}@10.0.0.2>"))
}

fn answer(invite: &Request, tag: &str) -> Response {
    response(invite, StatusCode::OK, tag).with_body("application/sdp", ANSWER)
}

#[test]
fn each_branch_has_its_number_and_the_first_answer_wins() {
    let (mut world, session, invite) = called();
    for tag in ["one", "two", "one"] {
        world.say(
            PROXY,
            ALICE,
            response(&invite, StatusCode::RINGING, tag).to_bytes(),
        );
    }
    world.settle();
    let mut forks = Vec::new();
    for _ in 0..3 {
        match world.says(ALICE) {
            SessionEvent::Progress { fork, .. } => forks.push(fork),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(forks, [ForkId(0), ForkId(1), ForkId(0)]);
    world.say(PROXY, ALICE, answer(&invite, "two").to_bytes());
    world.settle();
    assert!(matches!(
        world.says(ALICE),
        SessionEvent::Accepted {
            fork: ForkId(1),
            ..
        }
    ));
    let ack = world.heard_request(PROXY);
    assert_eq!(
        (ack.method.clone(), ack.headers.to().unwrap().tag()),
        (Method::Ack, Some("two"))
    );
    assert_eq!(ack.uri.as_str(), "sip:two@10.0.0.2");

    // The second answer loses and is told so.
    world.say(PROXY, ALICE, answer(&invite, "one").to_bytes());
    world.settle();
    world.quiet(ALICE);
    let ack = world.heard_request(PROXY);
    assert_eq!(
        (ack.method.clone(), ack.headers.to().unwrap().tag()),
        (Method::Ack, Some("one"))
    );
    let bye = world.heard_request(PROXY);
    assert_eq!(
        (bye.method.clone(), bye.headers.to().unwrap().tag()),
        (Method::Bye, Some("one"))
    );
    world.say(
        PROXY,
        ALICE,
        Response::answering(&bye, StatusCode::OK).to_bytes(),
    );

    // Repetitions of both answers get their ACKs again and nothing else.
    for tag in ["one", "two"] {
        world.say(PROXY, ALICE, answer(&invite, tag).to_bytes());
        world.settle();
        let ack = world.heard_request(PROXY);
        assert_eq!(
            (ack.method.clone(), ack.headers.to().unwrap().tag()),
            (Method::Ack, Some(tag))
        );
    }
    assert!(world.hears_nothing(PROXY));

    world.end(ALICE, session);
    assert_eq!(world.ended(ALICE), EndCause::Local);
    world.settle();
    let bye = world.heard_request(PROXY);
    assert_eq!(
        (bye.method.clone(), bye.headers.to().unwrap().tag()),
        (Method::Bye, Some("two"))
    );
    world.say(
        PROXY,
        ALICE,
        Response::answering(&bye, StatusCode::OK).to_bytes(),
    );
    world.assert_clean();
}

#[test]
fn an_answer_after_the_winner_hung_up_is_still_ended() {
    let (mut world, session, invite) = called();
    world.say(PROXY, ALICE, answer(&invite, "one").to_bytes());
    world.settle();
    world.says(ALICE);
    world.heard_request(PROXY);
    world.end(ALICE, session);
    world.ended(ALICE);
    world.settle();
    let bye = world.heard_request(PROXY);
    world.say(
        PROXY,
        ALICE,
        Response::answering(&bye, StatusCode::OK).to_bytes(),
    );
    world.run(secs(5));
    world.say(PROXY, ALICE, answer(&invite, "two").to_bytes());
    world.settle();
    assert_eq!(world.heard_request(PROXY).method, Method::Ack);
    let bye = world.heard_request(PROXY);
    assert_eq!(
        (bye.method.clone(), bye.headers.to().unwrap().tag()),
        (Method::Bye, Some("two"))
    );
    world.say(
        PROXY,
        ALICE,
        Response::answering(&bye, StatusCode::OK).to_bytes(),
    );
    world.assert_clean();
}

#[test]
fn more_branches_than_anybody_needs_are_not_kept() {
    let (mut world, session, invite) = called();
    for n in 0..100 {
        world.say(
            PROXY,
            ALICE,
            response(&invite, StatusCode::RINGING, &format!("t{n}")).to_bytes(),
        );
    }
    world.settle();
    let mut told = 0;
    while world.has_event(ALICE) {
        world.says(ALICE);
        told += 1;
    }
    assert_eq!(told, 40);
    assert_eq!(world.endpoint(ALICE).counters().refused.conflicts, 60);
    // An answer of one that was not kept is still an answer.
    world.say(PROXY, ALICE, answer(&invite, "t99").to_bytes());
    world.settle();
    assert!(
        matches!(world.session_event(ALICE), (id, SessionEvent::Accepted { .. }) if id == session)
    );
}

#[test]
fn a_branch_that_refuses_last_refuses_the_call() {
    let (mut world, _, invite) = called();
    world.say(
        PROXY,
        ALICE,
        response(&invite, StatusCode::RINGING, "one").to_bytes(),
    );
    world.settle();
    world.says(ALICE);
    world.say(
        PROXY,
        ALICE,
        response(&invite, StatusCode::DECLINE, "two").to_bytes(),
    );
    world.settle();
    assert!(matches!(world.says(ALICE), SessionEvent::Rejected(_)));
    let ack = world.heard_request(PROXY);
    assert_eq!(ack.headers.to().unwrap().tag(), Some("two"));
    assert_eq!(
        ack.headers.get(HeaderName::Via),
        invite.headers.get(HeaderName::Via)
    );
    world.assert_clean();
}
