//! Session timers (RFC 4028): refreshes, and calls whose peer has vanished.

use sip::endpoint::{SessionTimerSettings, Settings};
use sip::message::{HeaderName, Response, StatusCode};
use sip::session::{EndCause, SessionEvent};

use crate::world::{ALICE, ANSWER, BOB, World, secs};

fn settings(interval: u64) -> Settings {
    let session_timer = SessionTimerSettings {
        interval: Some(secs(interval)),
        ..Default::default()
    };
    Settings {
        session_timer,
        ..Settings::default()
    }
}

#[test]
fn the_refresher_refreshes_at_half_time_and_the_call_lives_on() {
    let mut world = World::with(settings(100));
    let (caller, _) = world.talk();
    world.run(secs(1000));
    world.quiet(ALICE);
    world.quiet(BOB);
    let refreshes = world.sent(ALICE, "UPDATE") + world.sent(BOB, "UPDATE");
    assert!((19..=20).contains(&refreshes), "{}", world.story());
    world.end(ALICE, caller);
    world.ended(ALICE);
    world.settle();
    world.ended(BOB);
    world.assert_clean();
}

#[test]
fn when_the_network_dies_both_sides_end_the_call() {
    let mut world = World::with(settings(100));
    world.talk();
    world.lose(ALICE, "UPDATE", 10_000);
    world.lose(BOB, "UPDATE", 10_000);
    world.lose(ALICE, "BYE", 10_000);
    world.lose(BOB, "BYE", 10_000);
    world.run(secs(110));
    assert_eq!(world.ended(ALICE), EndCause::SessionTimer);
    assert_eq!(world.ended(BOB), EndCause::SessionTimer);
    world.assert_clean();
}

#[test]
fn a_peer_without_update_is_refreshed_by_reinvite() {
    let mut world = World::empty();
    world.add(settings(100));
    let bob = world.add_script();
    world.invite();
    world.settle();
    let invite = world.heard_request(bob);
    assert_eq!(
        invite.headers.get(HeaderName::SessionExpires),
        Some(b"100".as_slice())
    );
    let ok = Response::answering(&invite, StatusCode::OK)
        .with_to_tag("b")
        .with_header(HeaderName::Contact, "<sip:b@10.0.0.2>")
        .with_header(HeaderName::Allow, "INVITE, ACK, BYE, CANCEL")
        .with_header(HeaderName::Require, "timer")
        .with_header(HeaderName::SessionExpires, "100;refresher=uac")
        .with_body("application/sdp", ANSWER);
    world.say(bob, ALICE, ok.to_bytes());
    world.settle();
    world.says(ALICE);
    world.heard_request(bob);
    world.run(secs(51));
    let refresh = world.heard_request(bob);
    assert_eq!(refresh.body, invite.body);
    assert_eq!(
        refresh.headers.get(HeaderName::SessionExpires),
        Some(b"100;refresher=uac".as_slice())
    );
    let ok = Response::answering(&refresh, StatusCode::OK)
        .with_header(HeaderName::Contact, "<sip:b@10.0.0.2>")
        .with_header(HeaderName::SessionExpires, "100;refresher=uac")
        .with_body("application/sdp", ANSWER);
    world.say(bob, ALICE, ok.to_bytes());
    world.run(secs(1));
    world.quiet(ALICE);
}

#[test]
fn a_peer_that_asks_for_more_time_gets_it() {
    let mut world = World::empty();
    world.add(settings(100));
    let patient = SessionTimerSettings {
        interval: Some(secs(600)),
        min: secs(300),
    };
    world.add(Settings {
        session_timer: patient,
        ..Settings::default()
    });
    world.talk();
    assert_eq!(
        (world.sent(ALICE, "INVITE"), world.sent(BOB, "422 INVITE")),
        (2, 1)
    );
    world.run(secs(140));
    assert_eq!(world.sent(ALICE, "UPDATE"), 0);
    world.run(secs(20));
    assert_eq!(world.sent(ALICE, "UPDATE"), 1);
}

#[test]
fn a_peer_that_knows_no_timers_is_left_alone() {
    let mut world = World::empty();
    world.add(settings(100));
    let bob = world.add_script();
    world.invite();
    world.settle();
    let invite = world.heard_request(bob);
    let ok = Response::answering(&invite, StatusCode::OK)
        .with_to_tag("b")
        .with_header(HeaderName::Contact, "<sip:b@10.0.0.2>")
        .with_body("application/sdp", ANSWER);
    world.say(bob, ALICE, ok.to_bytes());
    world.settle();
    assert!(matches!(world.says(ALICE), SessionEvent::Accepted { .. }));
    world.heard_request(bob);
    world.run(secs(4000));
    world.quiet(ALICE);
    assert!(world.hears_nothing(bob));
}
