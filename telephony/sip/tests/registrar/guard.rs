//! Floods and guesses: what they cost the attacker, and that they cost the others nothing.

use std::time::Duration;

use sip::message::{HeaderName, StatusCode};
use sip::registrar::{Event, OnBar, OnFlood, Rate, Settings};

use super::world::{Station, World, account, header, settings};

/// One wrong password with a nonce of its own; the answer's status, 0 for silence.
fn guess(world: &mut World, user: &str, remote: &str) -> u16 {
    let mut station = Station::udp(user, remote);
    station.password = "guess".into();
    let answer = station.register(world, &[]);
    answer.map_or(0, |answer| answer.status.code())
}

#[test]
fn a_source_that_guesses_is_barred_and_told_to_wait() {
    let mut world = World::usual();
    let codes: Vec<u16> = (0..8)
        .map(|_| guess(&mut world, "101", "10.6.6.6:5060"))
        .collect();
    assert_eq!(codes, [401, 401, 401, 401, 401, 401, 403, 403]);
    let barred = world
        .events
        .iter()
        .filter(|e| matches!(e, Event::SourceBarred { .. }));
    assert_eq!(barred.count(), 1);
    let counters = world.registrar.counters();
    assert_eq!((counters.wrong_credentials, counters.barred), (6, 2));
    // Another port of the same source does not help, nor another account.
    assert_eq!(guess(&mut world, "102", "10.6.6.6:5061"), 403);
    world.wait(2);
    assert_eq!(guess(&mut world, "102", "10.6.6.6:5061"), 401);
    assert_eq!(guess(&mut world, "102", "10.6.6.6:5061"), 403);
    world.wait(3);
    assert_eq!(guess(&mut world, "102", "10.6.6.6:5061"), 403);
    world.wait(1);
    assert_eq!(guess(&mut world, "102", "10.6.6.6:5061"), 401);
}

#[test]
fn silence_may_be_the_answer_to_a_barred_source() {
    let mut settings = settings();
    settings.guard.on_bar = OnBar::Silence;
    settings.guard.free_failures = 0;
    let mut world = World::new(settings, vec![account("101")]);
    assert_eq!(guess(&mut world, "101", "10.6.6.6:5060"), 401);
    assert_eq!(guess(&mut world, "101", "10.6.6.6:5060"), 0);
}

#[test]
fn an_account_guessed_at_from_everywhere_is_guarded_for_seconds_only() {
    let mut world = World::usual();
    let codes: Vec<u16> = (0..23)
        .map(|n| guess(&mut world, "101", &format!("10.6.6.{n}:5060")))
        .collect();
    assert_eq!(codes[..21], [401; 21]);
    assert_eq!(codes[21..], [403; 2]);
    assert_eq!(guess(&mut world, "102", "10.6.6.7:5060"), 401);
    let barred = Event::AccountBarred {
        aor: "101".into(),
        failures: 21,
        duration: Duration::from_secs(2),
    };
    assert!(world.events.contains(&barred));
    world.wait(10);
    Station::udp("101", "10.0.0.7:5060").up(&mut world);
}

#[test]
fn a_station_at_its_own_address_is_not_locked_out_by_others() {
    let mut world = World::usual();
    let mut udp = Station::udp("101", "10.0.0.7:5060");
    let mut tls = Station::tls("102", "10.0.0.8:40000", 1);
    udp.up(&mut world);
    tls.up(&mut world);
    // From everywhere, and from the very hosts the stations are on.
    for n in 0..30 {
        for user in ["101", "102"] {
            guess(&mut world, user, &format!("10.6.6.{n}:5060"));
        }
        guess(&mut world, "999", "10.0.0.7:6666");
        guess(&mut world, "999", "10.0.0.8:6666");
    }
    assert_eq!(guess(&mut world, "101", "10.6.6.200:5060"), 403);
    assert_eq!(guess(&mut world, "103", "10.0.0.7:6666"), 403);
    udp.up(&mut world);
    tls.up(&mut world);
}

#[test]
fn forged_addresses_cannot_bar_the_host_they_name() {
    let mut world = World::usual();
    let mut victim = Station::udp("101", "10.0.0.7:5060");
    // The attacker has a nonce of its own, and writes the victim's address into its packets.
    let mut attacker = Station::udp("101", "10.6.6.6:5060");
    attacker.password = "guess".into();
    let request = attacker.request(&[]);
    let challenge = world.give(&request, &attacker.flow).unwrap();
    attacker.challenged(&challenge);
    for _ in 0..100 {
        let request = attacker.request(&[]);
        let request = attacker.sign(request);
        let answer = world.give(&request, &victim.flow).unwrap();
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(world.registrar.counters().wrong_credentials, 0);
    victim.up(&mut world);
}

fn slow(on_flood: OnFlood) -> Settings {
    let mut settings = settings();
    settings.guard.unproven = Rate {
        per_second: 1,
        burst: 3,
    };
    settings.guard.proven = Rate {
        per_second: 1,
        burst: 4,
    };
    settings.guard.on_flood = on_flood;
    settings
}

#[test]
fn a_flood_is_answered_503_with_retry_after_and_counted() {
    let mut world = World::new(slow(OnFlood::Unavailable), vec![account("101")]);
    let mut station = Station::udp("101", "10.0.0.7:5060");
    for n in 0..5 {
        let request = station.request(&[]);
        let answer = world.give(&request, &station.flow).unwrap();
        if n < 3 {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        } else {
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(header(&answer, HeaderName::RetryAfter), ["1"]);
        }
    }
    assert_eq!(world.registrar.counters().flooded, 2);
    Station::udp("101", "10.0.0.8:5060").up(&mut world);
}

#[test]
fn a_flood_for_nobody_is_limited_too() {
    let mut world = World::new(slow(OnFlood::Silence), vec![account("101")]);
    let mut station = Station::udp("101", "10.0.0.7:5060");
    let codes: Vec<u16> = (0..5)
        .map(|_| {
            let mut request = station.request(&[]);
            request.headers.replace(HeaderName::To, "<tel:101>");
            let answer = world.give(&request, &station.flow);
            answer.map_or(0, |answer| answer.status.code())
        })
        .collect();
    assert_eq!(codes, [404, 404, 404, 0, 0]);
}

#[test]
fn a_flood_may_meet_silence() {
    let mut world = World::new(slow(OnFlood::Silence), vec![account("101")]);
    let mut station = Station::udp("101", "10.0.0.7:5060");
    let answers: Vec<_> = (0..5)
        .map(|_| {
            let request = station.request(&[]);
            world.give(&request, &station.flow).is_some()
        })
        .collect();
    assert_eq!(answers, [true, true, true, false, false]);
}

#[test]
fn a_station_with_a_current_nonce_gets_in_during_a_forged_flood() {
    let mut world = World::new(slow(OnFlood::Silence), vec![account("101")]);
    let mut station = Station::udp("101", "10.0.0.7:5060");
    station.up(&mut world);
    let mut forger = Station::udp("101", "10.0.0.7:5060");
    forger.call_id = "forged".into();
    for _ in 0..50 {
        let request = forger.request(&[]);
        world.give(&request, &forger.flow);
    }
    station.up(&mut world);
}
