//! Requests that are turned down, each with the code and the header that tell its sender why.

use sip::message::{HeaderName, Response};
use sip::session::SessionEvent;

use crate::world::{ANSWER, OFFER, World, ms, secs};

const GATEWAY: usize = 0;
const PEER: usize = 1;

fn world() -> World {
    let mut world = World::empty();
    world.add(Default::default());
    world.add_script();
    world
}

/// A request with what a test changes: the request line and extra lines.
fn request(line: &str, branch: &str, more: &str, body: &str) -> String {
    let method = line.split(' ').next().unwrap_or_default();
    format!(
        "{line} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK{branch}\r\nFrom: <sip:p@10.0.0.2>;tag=p\r\n\
         Call-ID: {branch}\r\nCSeq: 1 {method}\r\nContact: <sip:p@10.0.0.2>\r\n{more}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

const TO: &str = "To: <sip:7@10.0.0.1>\r\nMax-Forwards: 70\r\n";

/// The one response to a request.
fn answer_to(world: &mut World, request: &str) -> Response {
    world.say(PEER, GATEWAY, request);
    world.settle();
    let response = world.heard_response(PEER);
    assert!(world.hears_nothing(PEER));
    response
}

#[track_caller]
fn check(line: &str, more: &str, body: &str, wanted: u16, header: Option<(HeaderName, &str)>) {
    let mut world = world();
    let response = answer_to(&mut world, &request(line, "a", more, body));
    assert_eq!(response.status.code(), wanted, "{line} {more}");
    if let Some((name, value)) = header {
        assert_eq!(response.headers.get_str(&name), Some(value), "{line}");
    }
    assert!(response.headers.to().unwrap().tag().is_some());
    world.quiet(GATEWAY);
    assert_eq!(
        world.endpoint(GATEWAY).transaction_count(),
        0,
        "a refusal costs no state"
    );
}

#[test]
fn each_refusal_says_what_would_do() {
    let allow = "INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, PRACK, UPDATE, INFO, REFER, SUBSCRIBE, NOTIFY, MESSAGE";
    let invite = "INVITE sip:7@10.0.0.1";
    let typed = |kind: &str| format!("{TO}Content-Type: {kind}\r\n");
    check(
        "DANCE sip:7@10.0.0.1",
        TO,
        "",
        405,
        Some((HeaderName::Allow, allow)),
    );
    check(
        "PUBLISH sip:7@10.0.0.1",
        TO,
        "",
        405,
        Some((HeaderName::Allow, allow)),
    );
    check(
        "REGISTER sip:10.0.0.1",
        TO,
        "",
        405,
        Some((HeaderName::Allow, allow)),
    );
    check("INVITE http://10.0.0.1/7", TO, "", 416, None);
    check(
        invite,
        &format!("{TO}Require: 100rel, wings\r\n"),
        "",
        420,
        Some((HeaderName::Unsupported, "wings")),
    );
    check(
        invite,
        &typed("text/plain"),
        "hello",
        415,
        Some((HeaderName::Accept, "application/sdp")),
    );
    check(
        invite,
        &format!("{}Content-Encoding: gzip\r\n", typed("application/sdp")),
        "x",
        415,
        Some((HeaderName::AcceptEncoding, "identity")),
    );
    check(
        invite,
        "To: <sip:7@10.0.0.1>\r\nMax-Forwards: 0\r\n",
        "",
        483,
        None,
    );
    check("BYE sip:7@10.0.0.1", TO, "", 481, None);
    check(
        "BYE sip:7@10.0.0.1",
        "To: <sip:7@10.0.0.1>;tag=nobody\r\n",
        "",
        481,
        None,
    );
    check(
        "INVITE sip:7@10.0.0.1",
        "To: <sip:7@10.0.0.1>;tag=nobody\r\n",
        OFFER_TEXT,
        481,
        None,
    );
    check("INFO sip:7@10.0.0.1", TO, "", 481, None);
    check("NOTIFY sip:7@10.0.0.1", TO, "", 481, None);
    check("CANCEL sip:7@10.0.0.1", TO, "", 481, None);
    check(
        "REFER sip:7@10.0.0.1",
        &format!("{TO}Refer-To: <sip:8@10.0.0.1>\r\n"),
        "",
        403,
        None,
    );
    check(
        "OPTIONS sip:7@10.0.0.1",
        "To: <sip:7@10.0.0.1>\r\nMax-Forwards: 0\r\n",
        "",
        200,
        None,
    );
}

const OFFER_TEXT: &str = "v=0\r\n";

#[test]
fn an_optional_body_we_cannot_read_is_passed_over() {
    let mut world = world();
    let more = format!(
        "{TO}Content-Type: text/plain\r\nContent-Disposition: render;handling=optional\r\n"
    );
    world.say(
        PEER,
        GATEWAY,
        request("INVITE sip:7@10.0.0.1", "a", &more, "hello"),
    );
    world.settle();
    assert_eq!(world.incoming(GATEWAY).offer, None);
}

#[test]
fn an_ack_is_never_answered() {
    let mut world = world();
    for more in [TO, "To: <sip:7@10.0.0.1>;tag=nobody\r\nRequire: wings\r\n"] {
        world.say(PEER, GATEWAY, request("ACK ftp:nonsense", "b", more, ""));
        world.settle();
        assert!(world.hears_nothing(PEER));
    }
    assert_eq!(world.endpoint(GATEWAY).counters().stray_acks, 2);
}

#[test]
fn a_call_that_comes_on_two_ways_is_taken_once() {
    let mut world = world();
    let first = request("INVITE sip:7@10.0.0.1", "one", TO, "");
    let second = first.replace("z9hG4bKone", "z9hG4bKtwo");
    world.say(PEER, GATEWAY, &first);
    world.settle();
    world.incoming(GATEWAY);
    assert_eq!(answer_to(&mut world, &second).status.code(), 482);
    world.quiet(GATEWAY);
    assert_eq!(world.endpoint(GATEWAY).counters().refused.loops, 1);
}

#[test]
fn a_request_of_ours_that_comes_back_is_a_loop() {
    let mut world = world();
    let invite = world.call_to(PEER);
    world.place(invite);
    world.settle();
    let sent = world.heard_request(PEER);
    let via = sent.headers.get_str(HeaderName::Via).unwrap();
    let back = request(
        "INVITE sip:7@10.0.0.1",
        "p",
        &format!("Via: {via}\r\n{TO}"),
        "",
    );
    assert_eq!(answer_to(&mut world, &back).status.code(), 482);
}

#[test]
fn an_invite_without_contact_is_malformed() {
    let mut world = world();
    let text =
        request("INVITE sip:7@10.0.0.1", "a", TO, "").replace("Contact: <sip:p@10.0.0.2>\r\n", "");
    assert_eq!(answer_to(&mut world, &text).status.code(), 400);
    world.quiet(GATEWAY);
}

#[test]
fn a_malformed_request_is_answered_to_where_it_came_from() {
    let mut world = world();
    let text =
        request("INVITE sip:7@10.0.0.1", "a", TO, "").replace("CSeq: 1 INVITE", "CSeq: 1 BYE");
    let response = answer_to(&mut world, &text);
    assert_eq!(response.status.code(), 400);
    world.say(PEER, GATEWAY, "complete nonsense\r\n\r\n");
    world.say(PEER, GATEWAY, "SIP/2.0 200 OK\r\nnonsense");
    world.settle();
    assert!(world.hears_nothing(PEER));
    assert_eq!(world.endpoint(GATEWAY).counters().refused.malformed, 3);
}

#[test]
fn a_request_within_a_call_that_comes_late_is_out_of_order() {
    let mut world = world();
    let more = format!("{TO}Content-Type: application/sdp\r\n");
    let offer = String::from_utf8(OFFER.to_vec()).unwrap();
    let invite =
        request("INVITE sip:7@10.0.0.1", "a", &more, &offer).replace("CSeq: 1 ", "CSeq: 10 ");
    world.say(PEER, GATEWAY, invite);
    world.settle();
    let session = world.incoming(GATEWAY).session;
    world
        .tell(GATEWAY, |gateway, now| {
            gateway.accept(session, Some(crate::world::bytes(ANSWER)), now)
        })
        .unwrap();
    world.settle();
    let ok = world.heard_response(PEER);
    let to = format!("To: {}\r\n", ok.headers.to().unwrap());
    let ack = request("ACK sip:7@10.0.0.1", "a", &to, "")
        .replace("bKa\r", "bKack\r")
        .replace("CSeq: 1 ", "CSeq: 10 ");
    world.say(PEER, GATEWAY, ack);
    world.settle();
    assert!(matches!(
        world.says(GATEWAY),
        SessionEvent::Confirmed { .. }
    ));
    let info = |number: u32, branch: &str| {
        request("INFO sip:7@10.0.0.1", "a", &to, "")
            .replace("bKa\r", &format!("bK{branch}\r"))
            .replace("CSeq: 1 ", &format!("CSeq: {number} "))
    };
    assert_eq!(answer_to(&mut world, &info(12, "i1")).status.code(), 200);
    assert_eq!(answer_to(&mut world, &info(11, "i2")).status.code(), 500);
    assert_eq!(answer_to(&mut world, &info(12, "i3")).status.code(), 500);
    assert_eq!(answer_to(&mut world, &info(13, "i4")).status.code(), 200);
    // The same once more is the network's doing, and gets the same answer.
    assert_eq!(answer_to(&mut world, &info(13, "i4")).status.code(), 200);
    // Another end of the dialog is nobody.
    let stranger = info(14, "i5").replace("tag=p", "tag=q");
    assert_eq!(answer_to(&mut world, &stranger).status.code(), 481);
    let package = info(15, "i6").replace("Contact:", "Info-Package: lamp\r\nContact:");
    assert_eq!(answer_to(&mut world, &package).status.code(), 469);
    let dance = info(16, "i7").replace("INFO", "SUBSCRIBE");
    assert_eq!(answer_to(&mut world, &dance).status.code(), 489);
    world.quiet(GATEWAY);
}

#[test]
fn a_caller_of_rfc_2543_is_served() {
    let mut world = world();
    let plain = |line: &str, to: &str| {
        request(line, "old", to, "")
            .replace(";branch=z9hG4bKold", "")
            .replace(";tag=p", "")
    };
    let to = "To: <sip:7@10.0.0.1>\r\n";
    let invite = plain("INVITE sip:7@10.0.0.1", to);
    world.say(PEER, GATEWAY, &invite);
    world.say(PEER, GATEWAY, &invite);
    world.settle();
    let session = world.incoming(GATEWAY).session;
    world.quiet(GATEWAY);
    world.end(GATEWAY, session);
    world.ended(GATEWAY);
    world.settle();
    let refused = world.heard_response(PEER);
    assert_eq!(refused.status.code(), 480);
    let to = format!("To: {}\r\n", refused.headers.to().unwrap());
    let ack = plain("ACK sip:7@10.0.0.1", &to);
    world.say(PEER, GATEWAY, ack);
    world.run(ms(600));
    assert!(
        world.hears_nothing(PEER),
        "the refusal is not repeated after its ACK"
    );
    world.run(secs(40));
    world.assert_clean();
}
