//! Overload: what is turned away, what is let through, and that memory stays bounded.

use sip::admission::{self, EmergencyMarks, Network, Rate};
use sip::endpoint::{Capacity, Load, Settings};
use sip::message::HeaderName;
use sip::session::{CommandError, SessionEvent, Urgency};

use crate::world::{ALICE, BOB, World, secs};

const GATEWAY: usize = 0;
const PEER: usize = 1;

fn invite(n: usize, more: &str) -> String {
    format!(
        "INVITE sip:7@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKi{n}\r\nMax-Forwards: 70\r\n\
         From: <sip:p@10.0.0.2>;tag=t{n}\r\nTo: <sip:7@10.0.0.1>\r\nCall-ID: c{n}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:p@10.0.0.2>\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

fn world(settings: Settings) -> World {
    let mut world = World::empty();
    world.add(settings);
    world.add_script();
    world
}

fn few(capacity: Capacity) -> Settings {
    Settings {
        capacity,
        ..Settings::default()
    }
}

#[test]
fn above_the_soft_limit_only_emergencies_are_let_in() {
    let mut world = world(few(Capacity {
        sessions_soft: 3,
        sessions: 5,
        ..Capacity::default()
    }));
    for n in 0..5 {
        world.say(PEER, GATEWAY, invite(n, ""));
    }
    world.settle();
    for _ in 0..3 {
        assert_eq!(world.incoming(GATEWAY).urgency, Urgency::Normal);
    }
    world.quiet(GATEWAY);
    for _ in 0..2 {
        let refused = world.heard_response(PEER);
        assert_eq!(refused.status.code(), 503);
        assert_eq!(refused.headers.retry_after(), Ok(Some(5)));
    }
    for n in 5..8 {
        world.say(PEER, GATEWAY, invite(n, "Priority: emergency\r\n"));
    }
    world.settle();
    for _ in 0..2 {
        assert_eq!(world.incoming(GATEWAY).urgency, Urgency::Emergency);
    }
    world.quiet(GATEWAY);
    assert_eq!(world.heard_response(PEER).status.code(), 503);
    assert_eq!(world.endpoint(GATEWAY).counters().refused.overload, 3);
}

#[test]
fn emergencies_are_known_by_number_and_by_resource_priority_too() {
    let mut world = world(Settings::default());
    let marks = EmergencyMarks {
        users: ["7".to_owned()].into(),
        resource_priorities: ["esnet.0".to_owned()].into(),
        ..EmergencyMarks::default()
    };
    world.tell(GATEWAY, |gateway, _| gateway.set_emergency(marks));
    world.tell(GATEWAY, |gateway, _| gateway.set_load(Load::Overloaded));
    world.say(PEER, GATEWAY, invite(1, ""));
    world.say(
        PEER,
        GATEWAY,
        invite(2, "Resource-Priority: ESNET.0\r\n").replace("sip:7@", "sip:8@"),
    );
    world.say(PEER, GATEWAY, invite(3, "").replace("sip:7@", "sip:8@"));
    world.settle();
    assert_eq!(world.incoming(GATEWAY).urgency, Urgency::Emergency);
    assert_eq!(world.incoming(GATEWAY).urgency, Urgency::Emergency);
    world.quiet(GATEWAY);
    assert_eq!(world.heard_response(PEER).status.code(), 503);
}

#[test]
fn an_overloaded_owner_keeps_its_calls() {
    let mut world = World::new();
    let (caller, _) = world.talk();
    world.tell(BOB, |bob, _| bob.set_load(Load::Overloaded));
    let refused = world.invite();
    world.settle();
    assert!(matches!(world.session_event(ALICE), (id, SessionEvent::Rejected(_)) if id == refused));
    world.quiet(BOB);
    world.end(ALICE, caller);
    world.ended(ALICE);
    world.settle();
    world.ended(BOB);
    world.assert_clean();
}

#[test]
fn one_source_cannot_take_all_calls_and_a_trusted_one_may() {
    let limited = admission::Settings {
        invites: Rate::per_second(1, 4),
        ..Default::default()
    };
    let trusting = admission::Settings {
        trusted: vec![Network {
            address: [10, 0, 0, 2].into(),
            prefix: 32,
        }],
        ..limited.clone()
    };
    for (admission, wanted) in [(limited, 4), (trusting, 20)] {
        let mut world = world(Settings {
            admission,
            ..Settings::default()
        });
        for n in 0..20 {
            world.say(PEER, GATEWAY, invite(n, ""));
        }
        world.settle();
        let mut calls = 0;
        while world.has_event(GATEWAY) {
            world.incoming(GATEWAY);
            calls += 1;
        }
        assert_eq!(calls, wanted);
        let refused = world.endpoint(GATEWAY).counters().refused.call_rate;
        assert_eq!(refused, 20 - wanted);
    }
}

#[test]
fn a_flood_is_dropped_unread() {
    let admission = admission::Settings {
        messages: Rate::per_second(10, 50),
        ..Default::default()
    };
    let mut world = world(Settings {
        admission,
        ..Settings::default()
    });
    for n in 0..500 {
        world.say(PEER, GATEWAY, format!("SIP/2.0 200 OK\r\nX: {n}\r\n\r\n"));
    }
    world.settle();
    let refused = world.endpoint(GATEWAY).counters().refused.clone();
    assert_eq!((refused.malformed, refused.flood), (50, 450));
}

#[test]
fn transactions_are_bounded_and_what_ends_calls_still_works() {
    let capacity = Capacity {
        transactions: 6,
        transactions_soft: 4,
        ..Capacity::default()
    };
    let mut world = world(few(capacity));
    for n in 0..50 {
        world.say(PEER, GATEWAY, invite(n, "Priority: emergency\r\n"));
    }
    world.settle();
    assert_eq!(world.endpoint(GATEWAY).transaction_count(), 6);
    let mut sessions = Vec::new();
    while world.has_event(GATEWAY) {
        sessions.push(world.incoming(GATEWAY).session);
    }
    assert_eq!(sessions.len(), 6);
    for session in sessions {
        world.end(GATEWAY, session);
        world.ended(GATEWAY);
    }
    world.run(secs(70));
    world.assert_clean();
}

#[test]
fn a_full_gateway_tells_its_owner() {
    let mut world = World::with(few(Capacity {
        sessions: 1,
        ..Capacity::default()
    }));
    world.invite();
    let invite = world.call_to(BOB);
    let second = world.tell(ALICE, |alice, now| alice.invite(invite, now));
    assert_eq!(second, Err(CommandError::Full));
}

#[test]
fn the_product_is_named_when_it_may_be() {
    let mut world = world(Settings {
        product: Some("Antiphon/1".to_owned()),
        ..Settings::default()
    });
    world.say(PEER, GATEWAY, invite(1, "Require: wings\r\n"));
    world.settle();
    let refused = world.heard_response(PEER);
    assert_eq!(
        refused.headers.get_str(HeaderName::Server),
        Some("Antiphon/1")
    );
    let call = world.call_to(PEER);
    world.place(call);
    world.settle();
    let sent = world.heard_request(PEER);
    assert_eq!(
        sent.headers.get_str(HeaderName::UserAgent),
        Some("Antiphon/1")
    );
}

#[test]
fn one_source_cannot_fill_the_gateway_with_emergencies() {
    let admission = admission::Settings {
        emergencies: Rate::per_second(1, 3),
        ..Default::default()
    };
    let mut world = world(Settings {
        admission,
        ..Settings::default()
    });
    for n in 0..10 {
        world.say(PEER, GATEWAY, invite(n, "Priority: emergency\r\n"));
    }
    world.settle();
    for _ in 0..3 {
        world.incoming(GATEWAY);
    }
    world.quiet(GATEWAY);
}
