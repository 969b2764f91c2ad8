//! RFC 3261 10.3, RFC 3327, RFC 5626: what a REGISTER does to the bindings.

use sip::flow::Flow;
use sip::message::{HeaderName, StatusCode};
use sip::registrar::{Account, DownCause, Event, Reach, Transports, UpCause};

use super::world::{Station, World, account, header, settings};

fn status(answer: Option<sip::registrar::Answer>) -> u16 {
    answer.map_or(0, |answer| answer.status.code())
}

#[test]
fn a_station_registers_is_found_and_goes() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    let answer = station.up(&mut world);
    assert_eq!(
        header(&answer, HeaderName::Contact),
        ["<sip:101@10.0.0.7:5060>;expires=3600"]
    );
    assert_eq!(world.contacts("101")[0].reach, Reach::Flow(station.flow));
    let line = format!("Contact: {};expires=0", station.contact());
    let answer = station.register(&mut world, &[&line]).unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    assert!(header(&answer, HeaderName::Contact).is_empty());
    assert!(!world.up("101"));
    let up = Event::StationUp {
        aor: "101".into(),
        by: UpCause::Registered,
    };
    let down = Event::StationDown {
        aor: "101".into(),
        cause: DownCause::Unregistered,
    };
    assert_eq!(world.events, [up, down]);
}

// RFC 3261 10.3 (1), (5)
#[test]
fn users_of_other_domains_are_not_found() {
    let mut settings = settings();
    settings.domains = sip::registrar::Domains::These(vec![
        sip::message::Host::parse("Antiphon.Example").unwrap(),
    ]);
    let mut world = World::new(settings, vec![account("101")]);
    let mut station = Station::udp("101", "10.0.0.7:5060");
    station.up(&mut world);
    let elsewhere = station.request(&[]).headers.to().unwrap().to_string();
    let mut request = station.request(&[]);
    request
        .headers
        .replace(HeaderName::To, elsewhere.replace("antiphon", "other"));
    let request = station.sign(request);
    assert_eq!(status(world.give(&request, &station.flow)), 404);
    assert_eq!(world.registrar.counters().unknown_domain, 1);
}

// RFC 3261 10.3 (2)
#[test]
fn an_unknown_required_extension_is_refused_by_name() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    let answer = station
        .register(&mut world, &["Require: path, gruu, x"])
        .unwrap();
    assert_eq!(answer.status, StatusCode::BAD_EXTENSION);
    assert_eq!(header(&answer, HeaderName::Unsupported), ["gruu, x"]);
}

// RFC 3261 10.3 (6)
#[test]
fn no_contact_asks_for_the_bindings_and_changes_nothing() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    station.up(&mut world);
    let orders = world.orders.len();
    world.wait(600);
    let answer = station.register(&mut world, &[]).unwrap();
    assert_eq!(
        header(&answer, HeaderName::Contact),
        ["<sip:101@10.0.0.7:5060>;expires=3000"]
    );
    assert_eq!(world.orders.len(), orders);
    assert_eq!(world.registrar.counters().queries, 1);
}

// RFC 3261 10.3 (6)
#[test]
fn the_asterisk_removes_all_and_comes_alone_with_zero() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    let two = "Contact: <sip:101@10.0.0.7:5060>, <sip:101@10.0.0.7:5070>";
    assert_eq!(status(station.register(&mut world, &[two])), 200);
    assert_eq!(world.uris("101").len(), 2);
    assert_eq!(status(station.register(&mut world, &["Contact: *"])), 400);
    assert_eq!(
        status(station.register(&mut world, &["Contact: *", "Expires: 60"])),
        400
    );
    let both = ["Contact: *", "Contact: <sip:101@10.0.0.7>", "Expires: 0"];
    assert_eq!(status(station.register(&mut world, &both)), 400);
    assert_eq!(world.uris("101").len(), 2);
    assert_eq!(
        status(station.register(&mut world, &["Contact: *", "Expires: 0"])),
        200
    );
    assert!(!world.up("101"));
    assert_eq!(
        status(station.register(&mut world, &["Contact: *", "Expires: 0"])),
        200
    );
}

// RFC 3261 10.3 (7)
#[test]
fn expiry_is_taken_from_contact_then_header_then_default_within_limits() {
    let cases: [(&[&str], u16, &str); 8] = [
        (&["Contact: <sip:101@10.0.0.7:5060>"], 200, "3600"),
        (
            &["Contact: <sip:101@10.0.0.7:5060>", "Expires: 120"],
            200,
            "120",
        ),
        (
            &[
                "Contact: <sip:101@10.0.0.7:5060>;expires=90",
                "Expires: 120",
            ],
            200,
            "90",
        ),
        (
            &["Contact: <sip:101@10.0.0.7:5060>;expires=86400"],
            200,
            "7200",
        ),
        (
            &["Contact: <sip:101@10.0.0.7:5060>;expires=4294967295"],
            200,
            "7200",
        ),
        (
            &[
                "Contact: <sip:101@10.0.0.7:5060>;expires=soon",
                "Expires: 120",
            ],
            200,
            "3600",
        ),
        (
            &["Contact: <sip:101@10.0.0.7:5060>", "Expires: later"],
            200,
            "3600",
        ),
        (&["Contact: <sip:101@10.0.0.7:5060>;expires=59"], 423, ""),
    ];
    for (lines, code, expires) in cases {
        let mut world = World::usual();
        let mut station = Station::udp("101", "10.0.0.7:5060");
        let answer = station.register(&mut world, lines).unwrap();
        assert_eq!(answer.status.code(), code, "{lines:?}");
        if code == 423 {
            assert_eq!(header(&answer, HeaderName::MinExpires), ["60"]);
            assert!(!world.up("101"));
        } else {
            let contact = header(&answer, HeaderName::Contact)[0];
            assert!(
                contact.ends_with(&format!(";expires={expires}")),
                "{lines:?}: {contact}"
            );
        }
    }
}

// RFC 3261 10.3 (7)
#[test]
fn a_binding_expires_on_time_and_not_before() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    let line = "Contact: <sip:101@10.0.0.7:5060>;expires=60";
    assert_eq!(status(station.register(&mut world, &[line])), 200);
    world.wait(60);
    assert!(world.up("101"));
    world.wait(1);
    assert!(!world.up("101"));
    let down = Event::StationDown {
        aor: "101".into(),
        cause: DownCause::Expired,
    };
    assert_eq!(world.events.last(), Some(&down));
    assert!(world.orders.last().unwrap().bindings.is_empty());
    assert_eq!(world.registrar.counters().expired, 1);
}

#[test]
fn a_refresh_moves_the_expiry_and_keeps_one_binding() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    for _ in 0..100 {
        station.up(&mut world);
        world.wait(1800);
        assert_eq!(world.uris("101").len(), 1);
    }
    world.wait(3600);
    assert!(!world.up("101"));
    let ups = world
        .events
        .iter()
        .filter(|e| matches!(e, Event::StationUp { .. }));
    assert_eq!(ups.count(), 1);
}

// RFC 3261 10.3 (7), 19.1.4
#[test]
fn equal_uris_are_one_binding_however_they_are_written() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    for uri in [
        "sip:101@host.example",
        "sip:%3101@Host.Example",
        "SIP:101@HOST.example",
    ] {
        let line = format!("Contact: <{uri}>");
        assert_eq!(status(station.register(&mut world, &[&line])), 200);
        assert_eq!(world.uris("101"), [uri]);
    }
    let line = "Contact: <sip:101@host.example:5061>";
    assert_eq!(status(station.register(&mut world, &[line])), 200);
    assert_eq!(world.uris("101").len(), 2);
}

// RFC 3261 10.3 (7)
#[test]
fn a_request_that_was_overtaken_changes_nothing() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    station.up(&mut world);
    let cseq = station.cseq;
    for late in [cseq, cseq - 1] {
        station.cseq = late - 1;
        let line = format!("Contact: {};expires=0", station.contact());
        assert_eq!(status(station.register(&mut world, &[&line])), 500);
        station.cseq = late - 1;
        assert_eq!(
            status(station.register(&mut world, &["Contact: *", "Expires: 0"])),
            500
        );
        assert!(world.up("101"));
    }
    assert_eq!(world.registrar.counters().out_of_order, 4);
    // Another Call-ID is another boot of the station (RFC 3261 10.2.4).
    let mut rebooted = Station::udp("101", "10.0.0.7:5060");
    rebooted.call_id = "other".into();
    rebooted.up(&mut world);
}

#[test]
fn a_station_that_lost_its_memory_gets_in_again() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    station.cseq = 500;
    station.up(&mut world);
    world.wait(33);
    station.cseq = 0;
    station.up(&mut world);
}

// RFC 3261 10.3 (7): all or nothing
#[test]
fn one_bad_contact_leaves_the_others_alone() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    for bad in ["<tel:101>", "<sip:101@10.0.0.7>;expires=5", "<mailto:a@b>"] {
        let line = format!("Contact: <sip:101@10.0.0.7:5070>, {bad}");
        let code = status(station.register(&mut world, &[&line]));
        assert!(code == 400 || code == 423, "{bad}: {code}");
        assert!(!world.up("101"));
    }
}

// RFC 3261 10.3 (8), 16.5: preference
#[test]
fn contacts_come_in_the_order_of_q_then_of_freshness() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    let line = "Contact: <sip:a@10.0.0.7>;q=0.2, <sip:b@10.0.0.7>;q=0.9, <sip:c@10.0.0.7>;q=0.9";
    assert_eq!(status(station.register(&mut world, &[line])), 200);
    world.wait(5);
    let line = "Contact: <sip:c@10.0.0.7>;q=0.9, <sip:d@10.0.0.7>";
    let answer = station.register(&mut world, &[line]).unwrap();
    assert!(
        header(&answer, HeaderName::Contact)
            .iter()
            .any(|c| c.ends_with(";q=0.200"))
    );
    let users: Vec<_> = world.uris("101").iter().map(|uri| &uri[4..5]).collect();
    assert_eq!(users, ["d", "c", "b", "a"]);
}

#[test]
fn a_full_account_forgets_the_contact_refreshed_longest_ago() {
    let account = Account {
        max_contacts: 2,
        ..account("101")
    };
    let mut world = World::new(settings(), vec![account]);
    let mut station = Station::udp("101", "10.0.0.7:5060");
    for port in 1..=4 {
        let line = format!("Contact: <sip:101@10.0.0.7:{port}>");
        assert_eq!(status(station.register(&mut world, &[&line])), 200);
        world.wait(1);
    }
    assert_eq!(
        world.uris("101"),
        ["sip:101@10.0.0.7:4", "sip:101@10.0.0.7:3"]
    );
    assert_eq!(world.registrar.counters().replaced, 2);
    let three = "Contact: <sip:a@10.0.0.7>, <sip:b@10.0.0.7>, <sip:c@10.0.0.7>";
    assert_eq!(status(station.register(&mut world, &[three])), 403);
    assert_eq!(world.registrar.counters().too_many_contacts, 1);
}

#[test]
fn an_account_may_be_bound_to_a_transport() {
    let account = Account {
        transports: Transports::NONE.with(sip::flow::Transport::Tls),
        ..account("101")
    };
    let mut world = World::new(settings(), vec![account]);
    assert_eq!(
        status(Station::udp("101", "10.0.0.7:5060").register(&mut world, &[])),
        403
    );
    Station::tls("101", "10.0.0.7:40000", 1).up(&mut world);
}

#[test]
fn the_way_back_follows_from_contact_via_and_source() {
    let reach = |line: &str, via: &str| {
        let mut world = World::usual();
        let mut station = Station::udp("101", "10.0.0.7:6000");
        station.register(&mut world, &[]);
        let mut request = station.request(&[&format!("Contact: {line}")]);
        let branch = "branch=z9hG4bKx";
        request
            .headers
            .replace(HeaderName::Via, format!("SIP/2.0/UDP {via};{branch}"));
        let request = station.sign(request);
        assert_eq!(status(world.give(&request, &station.flow)), 200);
        (world.contacts("101")[0].reach, station.flow)
    };
    // The host it sent from: the port of its Contact, through the same socket.
    let (way, flow) = reach("<sip:101@10.0.0.7:5070>", "10.0.0.7:6000");
    let contact = Flow {
        remote: "10.0.0.7:5070".parse().unwrap(),
        ..flow
    };
    assert_eq!(way, Reach::Flow(contact));
    let (way, flow) = reach("<sip:101@10.0.0.7>", "10.0.0.7:6000");
    let contact = Flow {
        remote: "10.0.0.7:5060".parse().unwrap(),
        ..flow
    };
    assert_eq!(way, Reach::Flow(contact));
    // Behind a NAT: back where it came from.
    let (way, flow) = reach("<sip:101@192.168.1.7:5060>", "192.168.1.7:5060");
    assert_eq!(way, Reach::Flow(flow));
    // It registers a contact elsewhere.
    let (way, flow) = reach("<sip:101@10.9.9.9:5060>", "10.0.0.7:6000");
    assert_eq!(
        way,
        Reach::Resolve {
            listener: flow.listener
        }
    );
    let (way, flow) = reach("<sip:101@10.0.0.7;transport=tcp>", "10.0.0.7:6000");
    assert_eq!(
        way,
        Reach::Resolve {
            listener: flow.listener
        }
    );
}

// RFC 3327 5.3
#[test]
fn path_is_kept_for_calls_and_told_to_stations_that_understand_it() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.9:5060");
    let lines = [
        "Contact: <sip:101@192.168.1.7>",
        "Path: <sip:edge1.example;lr>",
        "Path: <sip:edge2.example;lr>",
    ];
    let answer = station.register(&mut world, &lines).unwrap();
    assert!(header(&answer, HeaderName::Path).is_empty());
    let answer = station
        .register(&mut world, &[&lines[..], &["Supported: path"]].concat())
        .unwrap();
    let path = "<sip:edge1.example;lr>, <sip:edge2.example;lr>";
    assert_eq!(header(&answer, HeaderName::Path), [path]);
    let contact = &world.contacts("101")[0];
    assert_eq!(contact.reach, Reach::Flow(station.flow));
    let routes: Vec<_> = contact.routes().iter().map(|r| r.uri.to_string()).collect();
    assert_eq!(routes, ["sip:edge1.example;lr", "sip:edge2.example;lr"]);
    assert_eq!(
        status(station.register(&mut world, &[lines[0], "Path: <sip:"])),
        400
    );
}

const INSTANCE: &str = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"";

fn outbound(port: u16, reg_id: u32) -> String {
    format!("Contact: <sip:101@192.168.1.7:{port};transport=tls>;reg-id={reg_id};{INSTANCE}")
}

// RFC 5626 6
#[test]
fn an_outbound_binding_is_the_instance_and_reg_id_not_the_uri() {
    let mut world = World::usual();
    let mut first = Station::tls("101", "10.0.0.7:40001", 1);
    let mut second = Station::tls("101", "10.0.0.7:40002", 2);
    let answer = first
        .register(&mut world, &[&outbound(1, 1), "Supported: outbound"])
        .unwrap();
    assert_eq!(header(&answer, HeaderName::Require), ["outbound"]);
    assert!(header(&answer, HeaderName::Contact)[0].ends_with(&format!(";{INSTANCE};reg-id=1")));
    second
        .register(&mut world, &[&outbound(2, 2), "Supported: outbound"])
        .unwrap();
    assert_eq!(world.contacts("101").len(), 2);
    // The first flow failed and comes back over another connection.
    let mut again = Station::tls("101", "10.0.0.7:40003", 3);
    again
        .register(&mut world, &[&outbound(3, 1), "Supported: outbound"])
        .unwrap();
    let contacts = world.contacts("101");
    assert_eq!(contacts.len(), 2);
    assert!(contacts.iter().any(|c| c.reach == Reach::Flow(again.flow)));
    assert!(!contacts.iter().any(|c| c.reach == Reach::Flow(first.flow)));
}

// RFC 5626 5.3
#[test]
fn a_closed_connection_takes_its_outbound_bindings_along() {
    let mut world = World::usual();
    let mut station = Station::tls("101", "10.0.0.7:40001", 1);
    station
        .register(&mut world, &[&outbound(1, 1), "Supported: outbound"])
        .unwrap();
    let mut plain = Station::tls("102", "10.0.0.7:40001", 1);
    plain.up(&mut world);
    world
        .registrar
        .flow_closed(&Station::tls("x", "10.0.0.7:9", 9).flow);
    world.registrar.flow_closed(&station.flow);
    world.drain();
    assert!(!world.up("101"));
    let down = Event::StationDown {
        aor: "101".into(),
        cause: DownCause::FlowClosed,
    };
    assert_eq!(world.events.last(), Some(&down));
    // The other is called at its contact address.
    let listener = plain.flow.listener;
    assert_eq!(world.contacts("102")[0].reach, Reach::Resolve { listener });
    assert_eq!(world.registrar.counters().flows_lost, 1);
}

// RFC 5626 6
#[test]
fn a_proxy_that_keeps_no_flows_blocks_outbound() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.9:5060");
    station.register(&mut world, &[]);
    let mut send = |lines: &[&str]| {
        let mut request = station.request(lines);
        request
            .headers
            .insert_first(HeaderName::Via, "SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKp");
        let request = station.sign(request);
        status(world.give(&request, &station.flow))
    };
    let contact = outbound(1, 1);
    assert_eq!(send(&[&contact, "Supported: outbound, path"]), 439);
    let edge = "Path: <sip:edge.example;lr;ob>";
    assert_eq!(send(&[&contact, "Supported: outbound, path", edge]), 200);
    // Who does not speak of outbound registers as ever.
    assert_eq!(send(&[&contact]), 200);
}

// RFC 5626 4.2
#[test]
fn two_outbound_contacts_in_one_request_are_refused() {
    let mut world = World::usual();
    let mut station = Station::tls("101", "10.0.0.7:40001", 1);
    let lines = [&*outbound(1, 1), &*outbound(2, 2), "Supported: outbound"];
    assert_eq!(status(station.register(&mut world, &lines)), 400);
}

#[test]
fn a_link_local_station_keeps_its_scope() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "[fe80::7%3]:5060");
    let line = "Contact: <sip:101@[fe80::7]:5062>";
    assert_eq!(status(station.register(&mut world, &[line])), 200);
    let Reach::Flow(flow) = world.contacts("101")[0].reach else {
        panic!("a UDP station on our link is reached over our socket");
    };
    assert_eq!(flow.remote.to_string(), "[fe80::7%3]:5062");
}
