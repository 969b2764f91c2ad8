//! Digest within the endpoint: calls that must be authenticated, and challenges we answer.

use sip::admission::{self, Network};
use sip::digest::server::Realm;
use sip::digest::{Ha1Set, Md5Use, client::Identity};
use sip::endpoint::{Event, InviteAuth, Listener, Settings};
use sip::flow::{ListenerId, Transport};
use sip::message::{HeaderName, Response, StatusCode};
use sip::registrar::{self, Account};
use sip::session::{EndCause, SessionEvent};

use crate::world::{ALICE, ANSWER, BOB, World, bytes, secs};

fn realm() -> Realm {
    Realm::new("house").unwrap()
}

fn guarded(invite_auth: InviteAuth) -> Settings {
    let listener = Listener {
        invite_auth,
        ..Listener::new(ListenerId(0), Transport::Udp, ([10, 0, 0, 2], 5060).into())
    };
    Settings {
        listeners: vec![listener],
        registrar: Some(registrar::Settings::new(realm())),
        ..Settings::default()
    }
}

fn world(invite_auth: InviteAuth) -> World {
    let mut world = World::empty();
    world.add(Settings::default());
    world.add(guarded(invite_auth));
    let account = Account::new(
        "alice",
        Ha1Set::from_password("alice", "house", "secret", Md5Use::Refused),
    );
    world.tell(BOB, |bob, now| bob.set_accounts([account], now));
    world
}

#[test]
fn a_call_of_an_account_is_let_in_by_its_password() {
    let mut world = world(InviteAuth::Accounts);
    let mut invite = world.call_to(BOB);
    invite.credentials = Some(Identity::new("alice", "secret"));
    let caller = world.place(invite);
    world.settle();
    let incoming = world.incoming(BOB);
    assert_eq!(incoming.account.as_deref(), Some("alice"));
    assert_eq!(
        (world.sent(ALICE, "INVITE"), world.sent(BOB, "401 INVITE")),
        (2, 1)
    );
    world.accept(BOB, incoming.session);
    world.settle();
    world.says(ALICE);
    world.says(BOB);
    world.end(ALICE, caller);
    world.ended(ALICE);
    world.settle();
    assert_eq!(world.ended(BOB), EndCause::Bye);
    world.assert_clean();
}

#[test]
fn a_wrong_password_is_tried_once() {
    for identity in [None, Some(Identity::new("alice", "wrong"))] {
        let mut world = world(InviteAuth::Accounts);
        let tries = if identity.is_some() { 2 } else { 1 };
        let mut invite = world.call_to(BOB);
        invite.credentials = identity;
        world.place(invite);
        world.settle();
        match world.says(ALICE) {
            SessionEvent::Rejected(rejection) => {
                assert_eq!(rejection.code, StatusCode::UNAUTHORIZED);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(world.sent(ALICE, "INVITE"), tries);
        world.quiet(BOB);
        world.assert_clean();
    }
}

#[test]
fn a_stranger_is_let_in_only_where_everybody_is() {
    for (policy, wanted) in [
        (InviteAuth::Accounts, None),
        (InviteAuth::Everybody, Some("403 INVITE")),
    ] {
        let mut world = world(policy);
        let mut invite = world.call_to(BOB);
        invite.from = sip::message::NameAddr::new(crate::world::uri("sip:stranger@elsewhere"));
        world.place(invite);
        world.settle();
        match wanted {
            None => assert_eq!(world.incoming(BOB).account, None),
            Some(refusal) => assert_eq!(world.sent(BOB, refusal), 1),
        }
    }
}

#[test]
fn a_trusted_network_is_not_asked() {
    let mut world = World::empty();
    world.add(Settings::default());
    let mut settings = guarded(InviteAuth::Everybody);
    settings.admission = admission::Settings {
        trusted: vec![Network {
            address: [10, 0, 0, 0].into(),
            prefix: 24,
        }],
        ..Default::default()
    };
    world.add(settings);
    world.invite();
    world.settle();
    assert_eq!(world.incoming(BOB).account, None);
}

/// A trunk that challenges every request with a nonce of its own.
#[test]
fn challenges_within_a_call_are_answered_too() {
    let mut world = World::empty();
    world.add(Settings::default());
    let trunk = world.add_script();
    let mut invite = world.call_to(trunk);
    invite.credentials = Some(Identity::new("alice", "secret"));
    let session = world.place(invite);
    let challenge = |nonce: &str| {
        format!("Digest realm=\"trunk\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\"")
    };
    let ask = |request: &sip::message::Request, nonce: &str| {
        Response::answering(request, StatusCode::PROXY_AUTHENTICATION_REQUIRED)
            .with_to_tag("x")
            .with_header(HeaderName::ProxyAuthenticate, challenge(nonce))
            .to_bytes()
    };
    world.settle();
    let first = world.heard_request(trunk);
    world.say(trunk, ALICE, ask(&first, "n1"));
    world.settle();
    world.heard_request(trunk); // ACK
    let second = world.heard_request(trunk);
    let credentials = second
        .headers
        .get_str(HeaderName::ProxyAuthorization)
        .unwrap();
    assert!(credentials.contains("username=\"alice\"") && credentials.contains("nonce=\"n1\""));
    assert_eq!(
        (first.headers.call_id(), first.headers.get(HeaderName::From)),
        (
            second.headers.call_id(),
            second.headers.get(HeaderName::From)
        )
    );
    assert_eq!(second.headers.cseq().unwrap().number, 2);
    let ok = Response::answering(&second, StatusCode::OK)
        .with_to_tag("b")
        .with_header(HeaderName::Contact, "<sip:b@10.0.0.2>")
        .with_body("application/sdp", ANSWER);
    world.say(trunk, ALICE, ok.to_bytes());
    world.settle();
    assert!(matches!(world.says(ALICE), SessionEvent::Accepted { .. }));
    let ack = world.heard_request(trunk);
    assert!(
        ack.headers.has(HeaderName::ProxyAuthorization),
        "RFC 3261 22.1"
    );

    world
        .tell(ALICE, |alice, now| {
            alice.info(session, "text/plain", bytes(b"x"), now)
        })
        .unwrap();
    world.settle();
    let info = world.heard_request(trunk);
    let stale = Response::answering(&info, StatusCode::PROXY_AUTHENTICATION_REQUIRED).with_header(
        HeaderName::ProxyAuthenticate,
        format!("{}, stale=true", challenge("n2")),
    );
    world.say(trunk, ALICE, stale.to_bytes());
    world.settle();
    let again = world.heard_request(trunk);
    assert!(
        again
            .headers
            .get_str(HeaderName::ProxyAuthorization)
            .unwrap()
            .contains("nonce=\"n2\"")
    );
    assert_eq!(
        again.headers.cseq().unwrap().number,
        info.headers.cseq().unwrap().number + 1
    );
    assert_eq!(again.body, info.body);
    world.say(
        trunk,
        ALICE,
        Response::answering(&again, StatusCode::OK).to_bytes(),
    );
    world.settle();

    world.end(ALICE, session);
    assert_eq!(world.ended(ALICE), EndCause::Local);
    world.settle();
    let bye = world.heard_request(trunk);
    let stale = Response::answering(&bye, StatusCode::PROXY_AUTHENTICATION_REQUIRED).with_header(
        HeaderName::ProxyAuthenticate,
        format!("{}, stale=true", challenge("n3")),
    );
    world.say(trunk, ALICE, stale.to_bytes());
    world.settle();
    let again = world.heard_request(trunk);
    assert!(
        again
            .headers
            .get_str(HeaderName::ProxyAuthorization)
            .unwrap()
            .contains("nonce=\"n3\"")
    );
    world.say(
        trunk,
        ALICE,
        Response::answering(&again, StatusCode::OK).to_bytes(),
    );
    world.assert_clean();
}

#[test]
fn a_station_registers_and_is_announced() {
    let mut world = world(InviteAuth::Accounts);
    let station = world.add_script();
    let register = |number: u32, more: &str| {
        format!(
            "REGISTER sip:house SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.3:5060;branch=z9hG4bKr{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:alice@house>;tag=r\r\nTo: <sip:alice@house>\r\nCall-ID: r\r\nCSeq: {number} REGISTER\r\n\
             Contact: <sip:alice@10.0.0.3>\r\nExpires: 600\r\n{more}Content-Length: 0\r\n\r\n"
        )
    };
    world.say(station, BOB, register(1, ""));
    world.settle();
    let challenge = world.heard_response(station);
    assert_eq!(challenge.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        world.endpoint(BOB).transaction_count(),
        0,
        "a challenge costs no state"
    );
    let values = challenge.headers.all(HeaderName::WwwAuthenticate);
    let mut answerer = sip::digest::client::Answerer::choose(values).unwrap();
    let asked = sip::digest::client::Asked {
        method: "REGISTER",
        uri: "sip:house",
        body: b"",
    };
    let value = answerer
        .authorization(&Identity::new("alice", "secret"), asked, "c0ffee")
        .unwrap();
    let second = register(2, &format!("Authorization: {value}\r\n"));
    world.say(station, BOB, &second);
    // The network doubles it: one binding, the same answer again.
    world.say(station, BOB, &second);
    world.settle();
    for _ in 0..2 {
        assert_eq!(world.heard_response(station).status, StatusCode::OK);
    }
    assert!(matches!(
        world.event(BOB),
        Event::Registrar(registrar::Event::StationUp { aor, .. }) if &*aor == "alice"
    ));
    let now = world.now;
    assert_eq!(world.endpoint(BOB).contacts("alice", now).len(), 1);
    world.run(secs(700));
    assert!(matches!(
        world.event(BOB),
        Event::Registrar(registrar::Event::StationDown { .. })
    ));
}
