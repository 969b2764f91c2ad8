//! Calls over connections: flow affinity, keep-alives, connections that close (RFC 5626).

use sip::endpoint::Event;
use sip::flow::{Flow, Hop};
use sip::session::{EndCause, RejectedBy, SessionEvent, SessionId};

use crate::world::{ALICE, BOB, World, bytes, secs};

/// A call over a connection that Alice has opened.
fn talk(world: &mut World) -> (SessionId, SessionId, Flow, Flow) {
    let (near, far) = world.connect(ALICE, BOB);
    let mut invite = world.call_to(BOB);
    invite.hop = Hop::Flow(near);
    let (caller, callee) = world.talk_as(invite);
    (caller, callee, near, far)
}

#[test]
fn requests_to_a_caller_go_back_over_its_connection() {
    let mut world = World::new();
    let (_, callee, ..) = talk(&mut world);
    world.end(BOB, callee);
    assert_eq!(world.ended(BOB), EndCause::Local);
    world.settle();
    assert_eq!(world.ended(ALICE), EndCause::Bye);
    // Over a connection nothing lingers but what forks need.
    world.assert_clean();
}

#[test]
fn nothing_is_repeated_on_a_connection_but_what_is_end_to_end() {
    let mut world = World::new();
    let (near, _) = world.connect(ALICE, BOB);
    let mut invite = world.call_to(BOB);
    invite.hop = Hop::Flow(near);
    world.lose(ALICE, "INVITE", 1);
    world.place(invite);
    world.run(secs(20));
    assert_eq!(world.sent(ALICE, "INVITE"), 1);
    world.run(secs(20));
    assert!(matches!(world.says(ALICE), SessionEvent::Rejected(r) if r.by == RejectedBy::Timeout));
}

#[test]
fn a_call_that_waits_on_a_closing_connection_fails_at_once() {
    let mut world = World::new();
    let (near, far) = world.connect(ALICE, BOB);
    let mut invite = world.call_to(BOB);
    invite.hop = Hop::Flow(near);
    world.place(invite);
    world.settle();
    world.incoming(BOB);
    world.close(ALICE, &near);
    world.close(BOB, &far);
    match world.says(ALICE) {
        SessionEvent::Rejected(rejection) => assert_eq!(rejection.by, RejectedBy::Transport),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.ended(BOB), EndCause::FlowLost);
    world.assert_clean();
}

#[test]
fn a_call_in_progress_survives_its_connection() {
    let mut world = World::new();
    let (caller, callee, near, far) = talk(&mut world);
    world.close(ALICE, &near);
    world.close(BOB, &far);
    world.run(secs(10));
    world.quiet(ALICE);
    world.quiet(BOB);
    // Alice comes back over another connection and is found there.
    let (_, far) = world.connect(ALICE, BOB);
    let held = world.tell(ALICE, |alice, now| {
        alice.info(caller, "application/dtmf", bytes(b"1"), now)
    });
    held.unwrap();
    world.settle();
    assert!(matches!(
        world.says(BOB),
        SessionEvent::Digit { digit: '1', .. }
    ));
    world.end(BOB, callee);
    world.ended(BOB);
    world.settle();
    assert_eq!(world.ended(ALICE), EndCause::Bye);
    world.close(BOB, &far);
    world.assert_clean();
}

#[test]
fn an_unreachable_destination_fails_the_call_at_once() {
    let mut world = World::new();
    let mut invite = world.call_to(BOB);
    invite.hop = world.tcp_to(BOB);
    world.lose(ALICE, "INVITE", 1);
    let Hop::Destination(mut destination) = invite.hop.clone() else {
        panic!()
    };
    destination.listener = Some(sip::flow::ListenerId(1));
    world.place(invite);
    world.tell(ALICE, |alice, now| alice.unreachable(&destination, now));
    assert!(
        matches!(world.says(ALICE), SessionEvent::Rejected(r) if r.by == RejectedBy::Transport)
    );
    world.assert_clean();
}

#[test]
fn a_ping_gets_its_pong() {
    let mut world = World::new();
    let (_, far) = world.connect(ALICE, BOB);
    world.tell(BOB, |bob, now| bob.receive(&far, b"\r\n\r\n", now));
    assert_eq!(world.endpoint(BOB).counters().keep_alives, 1);
    assert_eq!(world.trace.len(), 1);
    world.settle();
}

#[test]
fn a_stream_in_pieces_is_read_and_a_broken_one_is_closed() {
    let mut world = World::new();
    let (_, far) = world.connect(ALICE, BOB);
    let message = "MESSAGE sip:7@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.1;branch=z9hG4bKm\r\n\
        From: <sip:a@h>;tag=a\r\nTo: <sip:7@h>\r\nCall-ID: m\r\nCSeq: 1 MESSAGE\r\nContent-Length: 2\r\n\r\nhi";
    for piece in message.as_bytes().chunks(7) {
        world.tell(BOB, |bob, now| bob.receive(&far, piece, now));
    }
    assert!(
        matches!(world.event(BOB), Event::Message(message) if &message.request.body[..] == b"hi")
    );
    world.tell(BOB, |bob, now| {
        bob.receive(&far, b"\x16\x03\x01 this is TLS", now);
    });
    assert_eq!(world.endpoint(BOB).counters().refused.framing, 1);
}

#[test]
fn a_station_on_udp_learns_that_its_way_is_open() {
    let mut world = World::new();
    let local = "10.0.0.2:5060".parse().unwrap();
    let flow = Flow::udp(
        sip::flow::ListenerId(0),
        local,
        "10.0.0.1:5060".parse().unwrap(),
    );
    let request = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
    world.tell(BOB, |bob, now| bob.receive(&flow, &request, now));
    world.tell(BOB, |bob, now| bob.receive(&flow, b"\r\n\r\n", now));
    assert_eq!(world.endpoint(BOB).counters().keep_alives, 2);
    assert_eq!(world.sent(BOB, "bytes"), 1);
}
