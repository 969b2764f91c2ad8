//! Random histories: what always holds, whatever stations, clock and store do.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sip::registrar::{Event, Output};

use super::world::{Confirm, Station, World};

#[derive(Clone, Debug)]
enum Step {
    Register {
        station: usize,
        port: u16,
        expires: u32,
    },
    RemoveAll {
        station: usize,
    },
    Wrong {
        station: usize,
    },
    Close {
        connection: u64,
    },
    Wait {
        seconds: u64,
    },
    Stored,
    Failed,
}

fn step() -> impl Strategy<Value = Step> {
    let station = 0..6usize;
    prop_oneof![
        6 => (station.clone(), 1..6u16, prop_oneof![Just(0u32), 60..400u32])
            .prop_map(|(station, port, expires)| Step::Register { station, port, expires }),
        1 => station.clone().prop_map(|station| Step::RemoveAll { station }),
        1 => station.prop_map(|station| Step::Wrong { station }),
        1 => (1..4u64).prop_map(|connection| Step::Close { connection }),
        2 => (1..200u64).prop_map(|seconds| Step::Wait { seconds }),
        4 => Just(Step::Stored),
        1 => Just(Step::Failed),
    ]
}

fn station(index: usize) -> Station {
    let user = (101 + index % 3).to_string();
    match index < 3 {
        true => Station::udp(&user, &format!("10.0.0.{}:5060", 7 + index)),
        false => Station::tls(
            &user,
            &format!("10.0.0.{}:40000", 7 + index),
            index as u64 - 2,
        ),
    }
}

/// What the owner believes, from outputs alone.
#[derive(Default)]
struct Owner {
    up: BTreeMap<String, bool>,
}

impl Owner {
    fn learn(&mut self, world: &mut World) {
        for event in std::mem::take(&mut world.events) {
            match event {
                Event::StationUp { aor, .. } => drop(self.up.insert(aor.to_string(), true)),
                Event::StationDown { aor, .. } => drop(self.up.insert(aor.to_string(), false)),
                Event::SourceBarred { .. } | Event::AccountBarred { .. } => {}
            }
        }
    }
}

fn run(steps: &[Step]) -> (World, Vec<String>) {
    let mut world = World::usual();
    world.confirm = Confirm::ByHand;
    let mut stations: Vec<Station> = (0..6).map(station).collect();
    let mut owner = Owner::default();
    let mut log = Vec::new();
    for step in steps {
        match step {
            Step::Register {
                station,
                port,
                expires,
            } => {
                let station = &mut stations[*station];
                let line = format!("Contact: <sip:x@10.0.0.7:{port}>;expires={expires}");
                let answer = station.register(&mut world, &[&line]);
                log.push(format!("{:?}", answer.map(|a| (a.status, a.headers.len()))));
            }
            Step::RemoveAll { station } => {
                stations[*station].register(&mut world, &["Contact: *", "Expires: 0"]);
            }
            Step::Wrong { station } => {
                let mut guesser = stations[*station].clone();
                guesser.password = "guess".into();
                guesser.flow.remote.set_port(6666);
                guesser.register(&mut world, &["Contact: <sip:evil@10.6.6.6>"]);
            }
            Step::Close { connection } => {
                let flow = Station::tls("x", "10.0.0.1:1", *connection).flow;
                world.registrar.flow_closed(&flow);
            }
            Step::Wait { seconds } => world.wait(*seconds),
            Step::Stored | Step::Failed if world.orders.is_empty() => {}
            Step::Stored => world.registrar.stored(world.orders.remove(0).token),
            Step::Failed => {
                let token = world.orders.remove(0).token;
                world.registrar.store_failed(token, world.now);
            }
        }
        world.drain();
        owner.learn(&mut world);
        check(&mut world);
    }
    // Once all orders are confirmed, the owner knows who is there.
    while !world.orders.is_empty() {
        let order = world.orders.remove(0);
        world.registrar.stored(order.token);
        world.drain();
    }
    owner.learn(&mut world);
    for (aor, up) in &owner.up {
        assert_eq!(world.up(aor), *up, "{aor}");
    }
    log.push(format!("{:?}", world.registrar.counters()));
    (world, log)
}

fn check(world: &mut World) {
    let mut total = 0;
    for (aor, contacts) in world.registrar.stations(world.now) {
        assert!(contacts.len() <= 4);
        assert!(!contacts.iter().any(|c| c.uri.contains("evil")), "{aor}");
        total += contacts.len();
    }
    assert_eq!(world.registrar.binding_count(), total);
    // An early timeout changes nothing.
    let before = world.registrar.poll_output();
    world.registrar.handle_timeout(world.now);
    assert_eq!(world.registrar.poll_output(), before);
    assert!(matches!(before, Output::Timeout(_)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn histories_keep_the_invariants(steps in proptest::collection::vec(step(), 1..60)) {
        run(&steps);
    }

    #[test]
    fn equal_histories_give_equal_answers(steps in proptest::collection::vec(step(), 1..40)) {
        prop_assert_eq!(run(&steps).1, run(&steps).1);
    }
}
