//! What a 200 says survives the process.

use std::time::{Duration, Instant};

use sip::message::StatusCode;
use sip::registrar::{
    Decision, DownCause, Event, Output, Reach, Registrar, Restored, StoredBinding, UpCause,
};

use super::world::{Confirm, Station, World, account, settings};

fn by_hand() -> World {
    let mut world = World::usual();
    world.confirm = Confirm::ByHand;
    world
}

#[test]
fn the_answer_waits_for_the_store() {
    let mut world = by_hand();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    let line = format!("Contact: {}", station.contact());
    assert_eq!(station.register(&mut world, &[&line]), None);
    assert!(world.events.is_empty());
    let order = world.orders.remove(0);
    assert_eq!((&*order.aor, order.bindings.len()), ("101", 1));
    world.registrar.stored(order.token);
    let answers = world.drain();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].1.status, StatusCode::OK);
    assert!(matches!(world.events[0], Event::StationUp { .. }));
    world.registrar.stored(order.token);
    assert!(
        world.drain().is_empty(),
        "a second confirmation says nothing"
    );
}

#[test]
fn a_failed_store_undoes_the_change() {
    let mut world = by_hand();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    let line = format!("Contact: {}", station.contact());
    station.register(&mut world, &[&line]);
    let order = world.orders.remove(0);
    world.registrar.store_failed(order.token, world.now);
    let answers = world.drain();
    assert_eq!(answers[0].1.status, StatusCode::SERVER_INTERNAL_ERROR);
    assert!(!world.up("101"));
    assert!(world.events.is_empty());
    assert_eq!(world.registrar.counters().store_failed, 1);
}

#[test]
fn failures_of_changes_on_top_of_each_other_undo_what_was_not_stored() {
    let contact = |port: u16| format!("Contact: <sip:101@10.0.0.7:{port}>");
    for (first_fails, second_fails, left) in [
        (true, true, 1),
        (true, false, 3),
        (false, true, 2),
        (false, false, 3),
    ] {
        let mut world = by_hand();
        let mut station = Station::udp("101", "10.0.0.7:5060");
        station.register(&mut world, &[&contact(1)]);
        let order = world.orders.remove(0);
        world.registrar.stored(order.token);
        world.drain();
        station.register(&mut world, &[&contact(2)]);
        station.register(&mut world, &[&contact(3)]);
        let tokens: Vec<_> = world.orders.iter().map(|order| order.token).collect();
        for (token, fails) in tokens.into_iter().zip([first_fails, second_fails]) {
            match fails {
                true => world.registrar.store_failed(token, world.now),
                false => world.registrar.stored(token),
            }
        }
        assert_eq!(world.drain().len(), 2);
        assert_eq!(
            world.contacts("101").len(),
            left,
            "{first_fails} {second_fails}"
        );
    }
}

#[test]
fn too_many_open_orders_are_refused_until_the_store_catches_up() {
    let mut settings = settings();
    settings.pending_max = 1;
    let mut world = World::new(settings, vec![account("101"), account("102")]);
    world.confirm = Confirm::ByHand;
    let mut first = Station::udp("101", "10.0.0.7:5060");
    let mut second = Station::udp("102", "10.0.0.8:5060");
    let line = |station: &Station| format!("Contact: {}", station.contact());
    let wanted = line(&first);
    assert_eq!(first.register(&mut world, &[&wanted]), None);
    let wanted = line(&second);
    let answer = second.register(&mut world, &[&wanted]).unwrap();
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!world.up("102"));
    let order = world.orders.remove(0);
    world.registrar.stored(order.token);
    world.drain();
    assert_eq!(second.register(&mut world, &[&wanted]), None);
    assert_eq!(world.registrar.counters().store_busy, 1);
}

/// What a store would give back: the last order of each station.
fn stored(world: &World) -> Vec<(String, StoredBinding)> {
    let mut table = std::collections::BTreeMap::new();
    for order in &world.orders {
        table.insert(order.aor.to_string(), order.bindings.clone());
    }
    let rows = table.into_iter();
    rows.flat_map(|(aor, all)| all.into_iter().map(move |one| (aor.clone(), one)))
        .collect()
}

#[test]
fn bindings_survive_a_restart() {
    let mut world = World::usual();
    let mut udp = Station::udp("101", "10.0.0.7:5060");
    let mut tls = Station::tls("102", "10.0.0.8:40000", 7);
    udp.up(&mut world);
    tls.up(&mut world);
    let short = "Contact: <sip:103@10.0.0.9>;expires=60";
    Station::udp("103", "10.0.0.9:5060")
        .register(&mut world, &[short])
        .unwrap();
    let outbound = "Contact: <sip:104@10.0.0.9>;reg-id=1;+sip.instance=\"<urn:x>\"";
    let mut flow_bound = Station::tls("104", "10.0.0.9:40000", 8);
    flow_bound
        .register(&mut world, &[outbound, "Supported: outbound"])
        .unwrap();
    let mut rows = stored(&world);
    rows.push(("999".into(), rows[0].1.clone()));
    let damaged = StoredBinding {
        data: [9; 40].into(),
        ..rows[0].1.clone()
    };
    rows.push(("105".into(), damaged));

    let later = world.now + Duration::from_secs(1000);
    let mut registrar = Registrar::new(settings(), 8, later);
    registrar.set_accounts((101..110).map(|n| account(&n.to_string())));
    let restored = registrar.restore(rows, later);
    let expected = Restored {
        bindings: 2,
        expired: 1,
        orphaned: 1,
        unreadable: 1,
        flows_lost: 1,
    };
    assert_eq!(restored, expected);
    let contacts = registrar.contacts("101", later);
    assert_eq!(contacts[0].reach, Reach::Flow(udp.flow));
    assert_eq!(contacts[0].expires_in, Duration::from_secs(2601));
    // Its connection is gone: it is reached at its contact address.
    let listener = tls.flow.listener;
    assert_eq!(
        registrar.contacts("102", later)[0].reach,
        Reach::Resolve { listener }
    );
    let up = |aor: &str| {
        Output::Event(Event::StationUp {
            aor: aor.into(),
            by: UpCause::Restored,
        })
    };
    assert_eq!(registrar.poll_output(), up("101"));
    assert_eq!(registrar.poll_output(), up("102"));
    let Output::Timeout(Some(at)) = registrar.poll_output() else {
        panic!("the restored bindings expire");
    };
    assert_eq!(at, later + Duration::from_secs(2601));
    registrar.handle_timeout(at);
    assert_eq!(registrar.binding_count(), 0);
}

#[test]
fn a_nonce_of_the_former_process_is_stale_and_the_order_of_requests_starts_anew() {
    let mut world = World::usual();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    station.up(&mut world);
    let rows = stored(&world);
    world.registrar = Registrar::new(settings(), 8, world.now);
    world.registrar.set_accounts([account("101")]);
    world.registrar.restore(rows, world.now);
    world.drain();
    station.up(&mut world);
    assert_eq!(world.registrar.counters().stale, 1);
}

#[test]
fn a_removed_account_loses_its_bindings_and_others_keep_theirs() {
    let mut world = World::usual();
    Station::udp("101", "10.0.0.7:5060").up(&mut world);
    Station::udp("102", "10.0.0.8:5060").up(&mut world);
    world
        .registrar
        .set_accounts([account("102"), account("200")]);
    world.drain();
    let down = Event::StationDown {
        aor: "101".into(),
        cause: DownCause::AccountRemoved,
    };
    assert_eq!(world.events.last(), Some(&down));
    let order = world.orders.last().unwrap();
    assert_eq!((&*order.aor, order.bindings.len()), ("101", 0));
    assert!(!world.registrar.has_account("101"));
    assert!(world.up("102"));
    assert_eq!(world.registrar.account_count(), 2);
    Station::udp("200", "10.0.0.9:5060").up(&mut world);
    assert_eq!(world.registrar.binding_count(), 2);
}

#[test]
fn five_thousand_stations_come_back_in_one_go() {
    let accounts = || (0..5000).map(|n| account(&n.to_string()));
    let mut world = World::new(settings(), vec![account("0")]);
    Station::udp("0", "10.0.0.7:5060").up(&mut world);
    let (_, row) = stored(&world).remove(0);
    let now = Instant::now();
    let mut registrar = Registrar::new(settings(), 8, now);
    registrar.set_accounts(accounts());
    let rows = (0..5000).map(|n| (n.to_string(), row.clone()));
    assert_eq!(registrar.restore(rows, now).bindings, 5000);
    assert_eq!(registrar.binding_count(), 5000);
}

#[test]
fn held_answers_are_named_by_their_token() {
    let mut world = by_hand();
    let mut station = Station::udp("101", "10.0.0.7:5060");
    station.register(&mut world, &[]);
    let request = station.request(&["Contact: <sip:101@10.0.0.7>"]);
    let request = station.sign(request);
    let decision = world.registrar.register(&request, &station.flow, world.now);
    world.drain();
    assert_eq!(decision, Decision::Held(world.orders[0].token));
}
