//! Subscriptions to the dialogs of a resource (RFC 6665, RFC 4235).

use sip::endpoint::{Event, IncomingSubscribe};
use sip::message::{HeaderName, Request, Response, StatusCode};
use sip::subscription::{DialogInfo, DialogState, DialogStatus, Direction, Party};

use crate::world::{World, ms, secs, uri};

const WATCHER: usize = 1;
const GATEWAY: usize = 0;

fn world() -> World {
    let mut world = World::empty();
    world.add(Default::default());
    world.add_script();
    world
}

fn state(state: DialogState) -> DialogInfo {
    let party = |text: &str| Party {
        display: String::new(),
        identity: uri(text),
        target: uri(text),
    };
    DialogInfo {
        entity: uri("sip:200@10.0.0.1"),
        dialogs: vec![DialogStatus {
            id: "1".into(),
            dialog: None,
            direction: Direction::Recipient,
            state,
            local: party("sip:200@10.0.0.1"),
            remote: None,
        }],
    }
}

fn subscribe(to: &str, number: u32, expires: u32, event: &str) -> String {
    format!(
        "SUBSCRIBE sip:200@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKs{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:w@10.0.0.2>;tag=w\r\nTo: {to}\r\nCall-ID: watch\r\nCSeq: {number} SUBSCRIBE\r\n\
         Contact: <sip:w@10.0.0.2>\r\nEvent: {event}\r\nExpires: {expires}\r\nContent-Length: 0\r\n\r\n"
    )
}

fn subscribed(world: &mut World, expires: u32) -> (IncomingSubscribe, Response) {
    world.say(
        WATCHER,
        GATEWAY,
        subscribe("<sip:200@10.0.0.1>", 1, expires, "dialog"),
    );
    world.settle();
    let Event::Subscribe(asked) = world.event(GATEWAY) else {
        panic!()
    };
    assert_eq!(asked.resource.user(), Some("200"));
    let id = asked.subscription;
    let info = state(DialogState::Trying);
    world
        .tell(GATEWAY, |gateway, now| {
            gateway.accept_subscription(id, &info, now)
        })
        .unwrap();
    world.settle();
    let ok = world.heard_response(WATCHER);
    assert_eq!(ok.status, StatusCode::OK);
    (*asked, ok)
}

fn notified(world: &mut World) -> Request {
    let notify = world.heard_request(WATCHER);
    world.say(
        WATCHER,
        GATEWAY,
        Response::answering(&notify, StatusCode::OK).to_bytes(),
    );
    world.settle();
    notify
}

fn body(request: &Request) -> String {
    String::from_utf8(request.body.to_vec()).unwrap()
}

#[test]
fn a_watcher_hears_each_change_in_order_and_at_most_one_a_second() {
    let mut world = world();
    let (asked, _) = subscribed(&mut world, 600);
    let first = notified(&mut world);
    assert!(
        first
            .headers
            .get_str(HeaderName::SubscriptionState)
            .unwrap()
            .starts_with("active;expires=600")
    );
    assert!(
        body(&first).contains("version=\"0\"") && body(&first).contains("<state>trying</state>")
    );
    for step in [DialogState::Early, DialogState::Confirmed] {
        let info = state(step);
        world
            .tell(GATEWAY, |gateway, now| {
                gateway.notify(asked.subscription, &info, now)
            })
            .unwrap();
    }
    world.run(ms(900));
    assert!(world.hears_nothing(WATCHER));
    world.run(ms(200));
    let second = notified(&mut world);
    assert!(
        body(&second).contains("version=\"1\"")
            && body(&second).contains("<state>confirmed</state>")
    );
    world.run(secs(5));
    assert!(world.hears_nothing(WATCHER));
}

#[test]
fn a_subscription_is_refreshed_and_ended_by_its_watcher() {
    let mut world = world();
    let (asked, ok) = subscribed(&mut world, 100);
    notified(&mut world);
    let to = ok.headers.to().unwrap().to_string();
    world.run(secs(80));
    world.say(WATCHER, GATEWAY, subscribe(&to, 2, 100, "dialog"));
    world.settle();
    assert_eq!(world.heard_response(WATCHER).status, StatusCode::OK);
    notified(&mut world);
    world.run(secs(80));
    world.quiet(GATEWAY);
    world.say(WATCHER, GATEWAY, subscribe(&to, 3, 0, "dialog"));
    world.settle();
    assert_eq!(world.heard_response(WATCHER).status, StatusCode::OK);
    let last = notified(&mut world);
    assert_eq!(
        last.headers.get_str(HeaderName::SubscriptionState),
        Some("terminated;reason=timeout")
    );
    assert!(
        matches!(world.event(GATEWAY), Event::SubscriptionEnded { subscription } if subscription == asked.subscription)
    );
    world.assert_clean();
}

#[test]
fn a_subscription_runs_out() {
    let mut world = world();
    subscribed(&mut world, 100);
    notified(&mut world);
    world.run(secs(101));
    let last = notified(&mut world);
    assert_eq!(
        last.headers.get_str(HeaderName::SubscriptionState),
        Some("terminated;reason=timeout")
    );
    assert!(matches!(
        world.event(GATEWAY),
        Event::SubscriptionEnded { .. }
    ));
    assert_eq!(world.endpoint(GATEWAY).subscription_count(), 0);
}

#[test]
fn a_watcher_that_is_gone_is_forgotten() {
    let mut world = world();
    subscribed(&mut world, 600);
    world.run(secs(40));
    assert!(matches!(
        world.event(GATEWAY),
        Event::SubscriptionEnded { .. }
    ));
    assert_eq!(world.endpoint(GATEWAY).subscription_count(), 0);
}

#[test]
fn a_fetch_gets_one_notify() {
    let mut world = world();
    subscribed(&mut world, 0);
    let only = notified(&mut world);
    assert_eq!(
        only.headers.get_str(HeaderName::SubscriptionState),
        Some("terminated;reason=timeout")
    );
    assert!(body(&only).contains("<state>trying</state>"));
    assert!(matches!(
        world.event(GATEWAY),
        Event::SubscriptionEnded { .. }
    ));
    world.assert_clean();
}

#[test]
fn what_we_cannot_tell_is_refused_with_what_we_can() {
    let mut world = world();
    world.say(
        WATCHER,
        GATEWAY,
        subscribe("<sip:200@10.0.0.1>", 1, 600, "presence"),
    );
    world.settle();
    let refused = world.heard_response(WATCHER);
    assert_eq!(refused.status, StatusCode::BAD_EVENT);
    assert_eq!(
        refused.headers.get(HeaderName::AllowEvents),
        Some(b"dialog".as_slice())
    );
    world.say(
        WATCHER,
        GATEWAY,
        subscribe("<sip:200@10.0.0.1>", 2, 5, "dialog"),
    );
    world.settle();
    let brief = world.heard_response(WATCHER);
    assert_eq!(brief.status, StatusCode::INTERVAL_TOO_BRIEF);
    assert_eq!(brief.headers.min_expires(), Ok(Some(60)));
    world.quiet(GATEWAY);
}

#[test]
fn a_refused_watcher_gets_nothing() {
    let mut world = world();
    world.say(
        WATCHER,
        GATEWAY,
        subscribe("<sip:200@10.0.0.1>", 1, 600, "dialog"),
    );
    world.settle();
    let Event::Subscribe(asked) = world.event(GATEWAY) else {
        panic!()
    };
    let id = asked.subscription;
    world
        .tell(GATEWAY, |gateway, now| {
            gateway.refuse_subscription(id, StatusCode::FORBIDDEN, now)
        })
        .unwrap();
    world.settle();
    assert_eq!(world.heard_response(WATCHER).status, StatusCode::FORBIDDEN);
    assert!(matches!(
        world.event(GATEWAY),
        Event::SubscriptionEnded { .. }
    ));
    world.assert_clean();
}
