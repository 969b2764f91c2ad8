//! Two to four ends on one bus, and single ends against hand-made frames.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::link as engine;

use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);

/// A bus: the network end, which is heard by all, and terminals, which only it hears.
struct Bus {
    network: Lapd,
    terminals: Vec<Lapd>,
    now: Instant,
    /// What each end reported: the network, then the terminals.
    events: Vec<Vec<Event>>,
    frames: usize,
}

impl Bus {
    fn new(network: Config, terminals: usize) -> Self {
        let now = Instant::now();
        let user = Config {
            side: Side::User,
            ..network
        };
        let seeds = 1..=terminals as u64;
        let mut new = Self {
            network: Lapd::new(network, 0, now),
            terminals: seeds.map(|seed| Lapd::new(user, seed, now)).collect(),
            now,
            events: vec![Vec::new(); terminals + 1],
            frames: 0,
        };
        new.settle();
        new
    }

    /// All that is said is heard, until nobody says more.
    fn settle(&mut self) {
        loop {
            let mut silent = true;
            loop {
                match self.network.poll_output() {
                    Output::Transmit(frame) => {
                        silent = false;
                        for terminal in &mut self.terminals {
                            terminal.receive(&frame, self.now);
                        }
                        self.frames += 1;
                    }
                    Output::Event(event) => self.events[0].push(event),
                    Output::Timeout(_) => break,
                }
            }
            for (index, terminal) in self.terminals.iter_mut().enumerate() {
                loop {
                    match terminal.poll_output() {
                        Output::Transmit(frame) => {
                            silent = false;
                            self.network.receive(&frame, self.now);
                            self.frames += 1;
                        }
                        Output::Event(event) => self.events[index + 1].push(event),
                        Output::Timeout(_) => break,
                    }
                }
            }
            if silent {
                return;
            }
            assert!(self.frames < 10_000, "they never stop talking");
        }
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let all = std::iter::once(&mut self.network).chain(&mut self.terminals);
            let deadlines = all.filter_map(|end| match end.poll_output() {
                Output::Timeout(at) => at,
                other => panic!("not drained: {other:?}"),
            });
            let Some(next) = deadlines.min().filter(|at| *at <= until) else {
                self.now = until;
                return;
            };
            assert!(next >= self.now);
            self.now = next;
            self.network.handle_timeout(next);
            for terminal in &mut self.terminals {
                terminal.handle_timeout(next);
            }
            self.settle();
        }
    }

    fn take_events(&mut self, end: usize) -> Vec<Event> {
        std::mem::take(&mut self.events[end])
    }
}

fn bus() -> Config {
    Config::basic_rate(Side::Network, Topology::PointToMultipoint)
}

fn tei(number: u8) -> Tei {
    Tei::new(number).unwrap()
}

#[test]
fn each_terminal_gets_an_identifier_of_its_own() {
    let mut bus = Bus::new(bus(), 3);
    bus.run(10 * MILLISECOND);
    let mut given: Vec<Option<Tei>> = bus.terminals.iter().map(Lapd::tei).collect();
    given.sort();
    assert_eq!(given, [Some(tei(64)), Some(tei(65)), Some(tei(66))]);
}

#[test]
fn a_full_bus_denies_checks_and_makes_room_when_a_terminal_is_gone() {
    let mut bus = Bus::new(
        Config {
            terminals: 1,
            ..bus()
        },
        2,
    );
    bus.run(10 * MILLISECOND);
    assert_eq!(bus.terminals[0].tei(), Some(tei(64)));
    assert_eq!(bus.take_events(2), [Event::Denied]);
    // The first one is unplugged; the second one asks again later.
    bus.terminals.remove(0);
    bus.events.remove(1);
    bus.run(Duration::from_secs(90));
    assert_eq!(bus.terminals[0].tei(), Some(tei(64)));
    assert_eq!(bus.network.counters().removed, 1);
    assert_eq!(bus.network.links().len(), 1);
}

#[test]
fn two_terminals_with_one_identifier_are_found_out_and_get_new_ones() {
    let mut bus = Bus::new(bus(), 2);
    bus.run(10 * MILLISECOND);
    // Both are told 64, as after a line was swapped between two buses.
    let now = bus.now;
    let config = *bus.terminals[1].config();
    let mut twin = Lapd::new(config, 9, now);
    let Output::Transmit(request) = twin.poll_output() else {
        panic!("it asks at once");
    };
    twin.receive(
        &[0xFE, 0xFF, 0x03, 0x0F, request[4], request[5], 2, 0x81],
        now,
    );
    bus.terminals[1] = twin;
    bus.settle();
    bus.network.establish(tei(64), now);
    bus.settle();
    // Two acknowledgements came for one SABME, so the network checks.
    bus.run(Duration::from_secs(30));
    let mut given: Vec<Option<Tei>> = bus.terminals.iter().map(Lapd::tei).collect();
    given.sort();
    assert_eq!(bus.network.counters().collisions, 1);
    assert!(given[0].is_some() && given[0] != given[1], "{given:?}");
}

#[test]
fn messages_go_to_one_terminal_or_to_all() {
    let mut bus = Bus::new(bus(), 2);
    bus.run(10 * MILLISECOND);
    for end in 0..3 {
        bus.take_events(end);
    }
    bus.network.send(tei(65), vec![8, 1], bus.now).unwrap();
    bus.network.broadcast(&[8, 2]).unwrap();
    bus.settle();
    let heard = |events: &[Event], message: Vec<u8>| {
        events.iter().any(|event| match event {
            Event::Broadcast(heard)
            | Event::Link {
                event: engine::Event::Received(heard),
                ..
            } => *heard == message,
            _ => false,
        })
    };
    let (first, second) = (bus.take_events(1), bus.take_events(2));
    assert!(!heard(&first, vec![8, 1]) && heard(&second, vec![8, 1]));
    assert!(heard(&first, vec![8, 2]) && heard(&second, vec![8, 2]));
}

#[test]
fn a_terminal_of_a_former_life_is_told_to_ask_anew() {
    let network_end = bus();
    let mut bus = Bus::new(network_end, 1);
    bus.run(10 * MILLISECOND);
    bus.network = Lapd::new(network_end, 7, bus.now);
    bus.settle();
    assert_eq!(bus.terminals[0].tei(), None);
    bus.run(Duration::from_secs(5));
    assert_eq!(bus.terminals[0].tei(), Some(tei(64)));

    // Likewise when it missed that and talks on.
    let mut network = Lapd::new(network_end, 7, bus.now);
    while !matches!(network.poll_output(), Output::Timeout(_)) {}
    bus.network = network;
    bus.terminals[0].establish(tei(64), bus.now);
    bus.settle();
    assert_eq!(bus.network.counters().unassigned, 1);
    bus.run(Duration::from_secs(5));
    assert_eq!(bus.network.links().len(), 1);
}

#[test]
fn a_terminal_without_an_answer_asks_on_for_ever() {
    let mut terminal = Lapd::new(
        Config::basic_rate(Side::User, Topology::PointToMultipoint),
        5,
        Instant::now(),
    );
    let mut requests = 0;
    for _ in 0..100 {
        match terminal.poll_output() {
            Output::Transmit(frame) => {
                assert_eq!((&frame[..4], frame[6]), (&[0xFC, 0xFF, 0x03, 0x0F][..], 1));
                requests += 1;
            }
            Output::Event(event) => panic!("{event:?}"),
            Output::Timeout(at) => terminal.handle_timeout(at.unwrap()),
        }
    }
    assert!(requests > 20);
}

#[test]
fn a_point_to_point_line_is_one_link() {
    let mut bus = Bus::new(Config::primary_rate(Side::Network), 1);
    bus.network.establish(Tei::POINT_TO_POINT, bus.now);
    bus.settle();
    let up = |cause| Event::Link {
        tei: Tei::POINT_TO_POINT,
        event: engine::Event::Established(cause),
    };
    assert_eq!(bus.take_events(0), [up(engine::Cause::Requested)]);
    assert_eq!(bus.take_events(1), [up(engine::Cause::Peer)]);
}

#[test]
fn what_is_not_served_is_counted_and_unanswered() {
    let mut lapd = Lapd::new(Config::primary_rate(Side::User), 0, Instant::now());
    for frame in [
        &[0x42, 0x01, 0x7F][..],               // SAPI 16
        &[0x02, 0x03, 0x7F],                   // TEI 1
        &[0x02],                               // no address
        &[0xFE, 0xFF, 0x03, 15, 0, 0, 9, 255], // unknown management
        &[0x02, 0x01, 0xAF, 0x82],             // XID
    ] {
        lapd.receive(frame, Instant::now());
        assert!(matches!(lapd.poll_output(), Output::Timeout(None)));
    }
    let counters = lapd.counters();
    let counts = [
        counters.not_served,
        counters.for_others,
        counters.unaddressed,
        counters.management_unknown,
        lapd.links()[0].2.not_spoken,
    ];
    assert_eq!(counts, [1; 5]);
}

proptest! {
    #[test]
    fn any_frames_leave_it_bounded(
        network in any::<bool>(),
        multipoint in any::<bool>(),
        frames in proptest::collection::vec(frame(), 0..60),
    ) {
        let side = if network { Side::Network } else { Side::User };
        let topology = if multipoint { Topology::PointToMultipoint } else { Topology::PointToPoint };
        let mut now = Instant::now();
        let mut lapd = Lapd::new(Config::basic_rate(side, topology), 1, now);
        for frame in frames {
            lapd.receive(&frame, now);
            let mut said = 0;
            let deadline = loop {
                match lapd.poll_output() {
                    Output::Timeout(at) => break at,
                    Output::Transmit(_) | Output::Event(_) => said += 1,
                }
            };
            prop_assert!(said < 50);
            prop_assert!(lapd.links().len() <= 8);
            if let Some(at) = deadline {
                prop_assert!(at > now);
                now += Duration::from_millis(frame.len() as u64 * 100);
                if at <= now {
                    lapd.handle_timeout(now);
                }
            }
            while !matches!(lapd.poll_output(), Output::Timeout(_)) {}
        }
    }
}

/// Mostly management and frames of one terminal, since others get nowhere.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let anything = proptest::collection::vec(any::<u8>(), 0..12);
    let management = (any::<bool>(), any::<u16>(), 0u8..9, any::<u8>()).prop_map(
        |(network, reference, kind, action)| {
            let [high, low] = reference.to_be_bytes();
            let first = if network { 0xFE } else { 0xFC };
            vec![first, 0xFF, 0x03, 0x0F, high, low, kind, action | 1]
        },
    );
    let link = (
        prop_oneof![Just(0u8), Just(2)],
        prop_oneof![Just(0x01u8), Just(0x81), Just(0x83)],
        proptest::collection::vec(any::<u8>(), 1..5),
    )
        .prop_map(|(first, second, rest)| [vec![first, second], rest].concat());
    prop_oneof![anything, management, link]
}
