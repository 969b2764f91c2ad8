//! Where messages go: responses (RFC 3261 18.2, RFC 3581), requests within dialogs (12.2.1.1),
//! NATs, large requests.

use std::net::SocketAddr;

use sip::endpoint::{Endpoint, LargeRequests, Listener, Output, Settings};
use sip::flow::{Destination, Flow, Hop, ListenerId, Transport};
use sip::message::{
    HeaderName, Limits, Message, NameAddr, Request, Response, StatusCode, parse_datagram,
};
use sip::session::{Invite, SessionEvent};

use crate::world::{ALICE, ANSWER, OFFER, World, bytes, uri};

const PEER: usize = 1;

/// One endpoint without a network: what it sends, and where to.
struct Lone {
    endpoint: Endpoint,
    now: std::time::Instant,
    local: SocketAddr,
}

impl Lone {
    fn at(local: &str) -> Self {
        let local: SocketAddr = local.parse().unwrap();
        let listeners = vec![
            Listener::new(ListenerId(0), Transport::Udp, local),
            Listener::new(ListenerId(1), Transport::Tcp, local),
        ];
        let now = std::time::Instant::now();
        Self {
            endpoint: Endpoint::new(
                Settings {
                    listeners,
                    ..Settings::default()
                },
                [9; 32],
                now,
            ),
            now,
            local,
        }
    }

    fn hear(&mut self, from: &str, text: impl AsRef<[u8]>) {
        let flow = Flow::udp(ListenerId(0), self.local, from.parse().unwrap());
        self.endpoint.receive(&flow, text, self.now);
    }

    fn sent(&mut self) -> Vec<(Hop, Message)> {
        let mut sent = Vec::new();
        loop {
            match self.endpoint.poll_output() {
                Output::Transmit { to, bytes } => {
                    sent.push((to, parse_datagram(&bytes, &Limits::default()).unwrap()));
                }
                Output::Timeout(_) => return sent,
                Output::CloseFlow { .. } | Output::Store(_) | Output::Event(_) => {}
            }
        }
    }

    fn answered(&mut self) -> (SocketAddr, Response) {
        match self.sent().pop() {
            Some((to, Message::Response(response))) => (to.remote(), response),
            other => panic!("{other:?}"),
        }
    }

    fn asked(&mut self) -> (Hop, Request) {
        match self.sent().pop() {
            Some((to, Message::Request(request))) => (to, request),
            other => panic!("{other:?}"),
        }
    }
}

fn options(via: &str) -> String {
    format!(
        "OPTIONS sip:h SIP/2.0\r\nVia: {via}\r\nFrom: <sip:p@h>;tag=p\r\nTo: <sip:h>\r\nCall-ID: o\r\n\
         CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn responses_go_where_via_and_source_say() {
    let cases = [
        // sent-by, source, where the response goes, received, rport
        (
            "10.0.0.2:5070",
            "10.0.0.2:33000",
            "10.0.0.2:5070",
            None,
            None,
        ),
        ("10.0.0.2", "10.0.0.2:33000", "10.0.0.2:5060", None, None),
        (
            "10.0.0.2:5070;rport",
            "10.0.0.2:33000",
            "10.0.0.2:33000",
            Some("10.0.0.2"),
            Some("33000"),
        ),
        (
            "192.168.1.2:5070;rport",
            "10.0.0.9:33000",
            "10.0.0.9:33000",
            Some("10.0.0.9"),
            Some("33000"),
        ),
        (
            "192.168.1.2:5070",
            "10.0.0.9:33000",
            "10.0.0.9:5070",
            Some("10.0.0.9"),
            None,
        ),
        (
            "panel.example",
            "10.0.0.9:33000",
            "10.0.0.9:5060",
            Some("10.0.0.9"),
            None,
        ),
        // A client that writes these itself gains nothing.
        (
            "10.0.0.2;received=1.2.3.4;rport=9",
            "10.0.0.2:5060",
            "10.0.0.2:5060",
            Some("10.0.0.2"),
            Some("5060"),
        ),
    ];
    for (sent_by, source, goes, received, rport) in cases {
        let mut lone = Lone::at("10.0.0.1:5060");
        lone.hear(
            source,
            options(&format!(
                "SIP/2.0/UDP {};branch=z9hG4bKo",
                sent_by.replacen(';', ";x;", 1)
            )),
        );
        let (to, response) = lone.answered();
        let via = response.headers.via_top().unwrap();
        assert_eq!(to, goes.parse().unwrap(), "{sent_by}");
        assert_eq!(via.params.value("received"), received, "{sent_by}");
        assert_eq!(via.params.value("rport"), rport, "{sent_by}");
    }
}

#[test]
fn an_ipv6_source_is_received_without_brackets_and_keeps_its_interface() {
    let mut lone = Lone::at("[fe80::1%3]:5060");
    lone.hear(
        "[fe80::2%3]:5070",
        options("SIP/2.0/UDP [fe80::9%eth0]:5070;rport;branch=z9hG4bKo"),
    );
    let (to, response) = lone.answered();
    assert_eq!(to, "[fe80::2%3]:5070".parse().unwrap());
    assert_eq!(
        response.headers.via_top().unwrap().params.value("received"),
        Some("fe80::2")
    );
}

#[test]
fn our_own_zone_stays_at_home() {
    let mut lone = Lone::at("[fe80::1%3]:5060");
    let to = Destination::new(Transport::Udp, "[fe80::2%3]:5060".parse().unwrap());
    let invite = Invite::new(
        uri("sip:7@[fe80::2]"),
        Hop::Destination(to),
        NameAddr::new(uri("sip:a@[fe80::1]")),
        bytes(OFFER),
    );
    lone.endpoint.invite(invite, lone.now).unwrap();
    let (to, request) = lone.asked();
    assert_eq!(to.remote(), "[fe80::2%3]:5060".parse().unwrap());
    assert!(
        request
            .headers
            .get_str(HeaderName::Via)
            .unwrap()
            .starts_with("SIP/2.0/UDP [fe80::1]:5060;branch=")
    );
    assert_eq!(
        request.headers.get(HeaderName::Contact),
        Some(b"<sip:a@[fe80::1]:5060>".as_slice())
    );
}

fn invite(from: &str, more: &str, contact: &str) -> String {
    format!(
        "INVITE sip:7@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKi\r\n{more}Max-Forwards: 70\r\n\
         From: <sip:p@h>;tag=p\r\nTo: <sip:7@h>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContact: <{contact}>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{}",
        OFFER.len(),
        str::from_utf8(OFFER).unwrap()
    )
}

/// Where the BYE of a callee goes, with its Request-URI and Routes.
#[track_caller]
fn check_bye(source: &str, text: &str, goes: &str, target: &str, routes: &[&str]) {
    let mut lone = Lone::at("10.0.0.1:5060");
    lone.hear(source, text);
    let session = loop {
        match lone.endpoint.poll_output() {
            Output::Event(sip::endpoint::Event::Incoming(incoming)) => break incoming.session,
            Output::Timeout(_) => panic!("no call"),
            Output::Transmit { .. }
            | Output::CloseFlow { .. }
            | Output::Store(_)
            | Output::Event(_) => {}
        }
    };
    lone.endpoint
        .accept(session, Some(bytes(ANSWER)), lone.now)
        .unwrap();
    let (_, ok) = lone.answered();
    let ack = format!(
        "ACK sip:7@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKa\r\nFrom: <sip:p@h>;tag=p\r\nTo: {}\r\n\
         Call-ID: c\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
        ok.headers.to().unwrap()
    );
    lone.hear(source, ack);
    lone.endpoint.end(session, None, lone.now).unwrap();
    let (to, bye) = lone.asked();
    assert_eq!(to.remote(), goes.parse().unwrap());
    assert_eq!(bye.uri.as_str(), target);
    let sent: Vec<_> = bye
        .headers
        .routes()
        .unwrap()
        .iter()
        .map(|route| route.uri.to_string())
        .collect();
    assert_eq!(sent, routes);
}

#[test]
fn requests_to_a_caller_find_its_contact_its_route_or_its_nat() {
    let direct = invite("10.0.0.2:5060", "", "sip:p@10.0.0.2:5099");
    check_bye(
        "10.0.0.2:33000",
        &direct,
        "10.0.0.2:5099",
        "sip:p@10.0.0.2:5099",
        &[],
    );
    // Behind a NAT the Contact means nothing here.
    let nat = invite("192.168.1.2:5060;rport", "", "sip:p@192.168.1.2:5060");
    check_bye(
        "10.0.0.9:33000",
        &nat,
        "10.0.0.9:33000",
        "sip:p@192.168.1.2:5060",
        &[],
    );
    // A proxy that stays in the way.
    let more = "Via: SIP/2.0/UDP 10.0.0.3;branch=z9hG4bKp\r\nRecord-Route: <sip:10.0.0.2;lr>, <sip:10.0.0.3:5070;lr>\r\n";
    let routed = invite("10.0.0.2", more, "sip:p@10.0.0.4");
    let routes = ["sip:10.0.0.2;lr", "sip:10.0.0.3:5070;lr"];
    check_bye(
        "10.0.0.2:5060",
        &routed,
        "10.0.0.2:5060",
        "sip:p@10.0.0.4",
        &routes,
    );
    // One that does not.
    let passed = invite(
        "10.0.0.2",
        "Via: SIP/2.0/UDP 10.0.0.4;branch=z9hG4bKp\r\n",
        "sip:p@10.0.0.4",
    );
    check_bye(
        "10.0.0.2:5060",
        &passed,
        "10.0.0.4:5060",
        "sip:p@10.0.0.4",
        &[],
    );
    // A strict router of RFC 2543.
    let strict = invite(
        "10.0.0.2",
        "Record-Route: <sip:10.0.0.2>\r\n",
        "sip:p@10.0.0.4",
    );
    check_bye(
        "10.0.0.2:5060",
        &strict,
        "10.0.0.2:5060",
        "sip:10.0.0.2",
        &["sip:p@10.0.0.4"],
    );
    // A Contact that would make us talk to ourselves.
    let evil = invite(
        "10.0.0.2",
        "Via: SIP/2.0/UDP 10.0.0.4;branch=z9hG4bKp\r\n",
        "sip:p@127.0.0.1:22",
    );
    check_bye(
        "10.0.0.2:5060",
        &evil,
        "10.0.0.2:5060",
        "sip:p@127.0.0.1:22",
        &[],
    );
}

#[test]
fn a_caller_reverses_the_route_of_the_answer() {
    let mut world = World::empty();
    world.add(Settings::default());
    world.add_script();
    let mut call = world.call_to(PEER);
    call.route = vec![NameAddr::new(uri("sip:10.0.0.2;lr"))];
    let session = world.place(call);
    world.settle();
    let invite = world.heard_request(PEER);
    assert_eq!(
        invite.headers.get(HeaderName::Route),
        Some(b"<sip:10.0.0.2;lr>".as_slice())
    );
    let ok = Response::answering(&invite, StatusCode::OK)
        .with_to_tag("b")
        .with_header(
            HeaderName::RecordRoute,
            "<sip:far;lr>, <sip:10.0.0.2;lr;near>",
        )
        .with_header(HeaderName::Contact, "<sip:b@192.168.7.7>")
        .with_body("application/sdp", ANSWER);
    world.say(PEER, ALICE, ok.to_bytes());
    world.settle();
    assert!(matches!(world.says(ALICE), SessionEvent::Accepted { .. }));
    let ack = world.heard_request(PEER);
    assert_eq!(ack.uri.as_str(), "sip:b@192.168.7.7");
    let routes: Vec<_> = ack
        .headers
        .routes()
        .unwrap()
        .iter()
        .map(|route| route.uri.to_string())
        .collect();
    assert_eq!(routes, ["sip:10.0.0.2;lr;near", "sip:far;lr"]);
    world.end(ALICE, session);
    world.settle();
    assert_eq!(world.heard_request(PEER).headers.routes().unwrap().len(), 2);
}

fn large(to: Hop) -> Invite {
    let sdp = [OFFER, "a=x\r\n".repeat(400).as_bytes()].concat();
    Invite::new(
        uri("sip:7@10.0.0.2"),
        to,
        NameAddr::new(uri("sip:a@10.0.0.1")),
        bytes(&sdp),
    )
}

#[test]
fn a_large_request_goes_over_tcp_and_back_to_udp_when_that_fails() {
    let mut lone = Lone::at("10.0.0.1:5060");
    let udp = Destination::new(Transport::Udp, "10.0.0.2:5060".parse().unwrap());
    lone.endpoint
        .invite(large(Hop::Destination(udp)), lone.now)
        .unwrap();
    let (to, request) = lone.asked();
    assert_eq!(to.transport(), Transport::Tcp);
    assert!(
        request
            .headers
            .get_str(HeaderName::Via)
            .unwrap()
            .starts_with("SIP/2.0/TCP ")
    );
    let Hop::Destination(tcp) = to else { panic!() };
    lone.endpoint.unreachable(&tcp, lone.now);
    let (to, again) = lone.asked();
    assert_eq!(to.transport(), Transport::Udp);
    assert!(
        again
            .headers
            .get_str(HeaderName::Via)
            .unwrap()
            .starts_with("SIP/2.0/UDP ")
    );
    assert_eq!(again.body, request.body);
    assert_eq!(
        again.headers.via_top().unwrap().branch(),
        request.headers.via_top().unwrap().branch()
    );
}

#[test]
fn a_large_request_stays_on_udp_where_it_is_told_to() {
    let mut lone = Lone::at("10.0.0.1:5060");
    let listeners = vec![Listener::new(ListenerId(0), Transport::Udp, lone.local)];
    let settings = Settings {
        listeners,
        large_requests: LargeRequests::StayOnUdp,
        ..Settings::default()
    };
    lone.endpoint = Endpoint::new(settings, [9; 32], lone.now);
    let udp = Destination::new(Transport::Udp, "10.0.0.2:5060".parse().unwrap());
    lone.endpoint
        .invite(large(Hop::Destination(udp)), lone.now)
        .unwrap();
    assert_eq!(lone.asked().0.transport(), Transport::Udp);
}

#[test]
fn a_secure_call_has_a_secure_contact() {
    let local: SocketAddr = "10.0.0.1:5061".parse().unwrap();
    let mut lone = Lone::at("10.0.0.1:5060");
    let listeners = vec![Listener::new(ListenerId(3), Transport::Tls, local)];
    lone.endpoint = Endpoint::new(
        Settings {
            listeners,
            ..Settings::default()
        },
        [9; 32],
        lone.now,
    );
    let mut tls = Destination::new(Transport::Tls, "10.0.0.2:5061".parse().unwrap());
    tls.server_name = Some("panel.example".into());
    for (target, contact) in [
        ("sips:7@panel.example", "<sips:a@10.0.0.1:5061>"),
        ("sip:7@panel.example", "<sip:a@10.0.0.1:5061;transport=tls>"),
    ] {
        let invite = Invite::new(
            uri(target),
            Hop::Destination(tls.clone()),
            NameAddr::new(uri("sip:a@10.0.0.1")),
            bytes(OFFER),
        );
        lone.endpoint.invite(invite, lone.now).unwrap();
        let (_, request) = lone.asked();
        assert_eq!(request.headers.get_str(HeaderName::Contact), Some(contact));
    }
}
