//! The registrar, with stations that register, guess, vanish and ask too often, and a disk that
//! confirms in its own time.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use sip::digest::server::Realm;
use sip::flow::{ConnectionId, Flow, ListenerId, Transport};
use sip::message::{Limits, Message, Request, parse_datagram};
use sip::registrar::{Answer, Decision, Output, Registrar, Role, Settings, StoreToken};

use crate::contract::{Machine, Step};
use crate::phone::Registration;
use crate::random::Random;
use crate::site::{PASSWORD, REALM, account};

const STATIONS: usize = 5;

/// See the module.
#[derive(Debug)]
pub struct StationRegistrar {
    registrar: Registrar,
    stations: Vec<Station>,
    /// Whose answer waits for the disk.
    held: BTreeMap<StoreToken, (usize, Request)>,
    orders: VecDeque<StoreToken>,
    said: VecDeque<String>,
}

#[derive(Debug)]
struct Station {
    registration: Registration,
    flow: Flow,
    /// What it sends next.
    ready: Option<Bytes>,
}

#[derive(Debug)]
pub enum RegistrarInput {
    Register(usize, Box<Request>),
    Authenticate(usize, Box<Request>),
    Stored(StoreToken),
    StoreFailed(StoreToken),
    FlowClosed(Flow),
    Accounts(usize),
}

impl StationRegistrar {
    fn request(&mut self, random: &mut Random, now: Instant) -> RegistrarInput {
        let nth = random.below(STATIONS);
        let station = &mut self.stations[nth];
        let bytes = match station.ready.take() {
            Some(bytes) => bytes,
            None if random.one_in(5) => station.registration.stop(now),
            None => {
                station.registration.expires = random.pick(&[5, 60, 70, 3_600, 100_000]);
                station.registration.start(now)
            }
        };
        let request = match parse_datagram(&bytes, &Limits::default()) {
            Ok(Message::Request(request)) => Box::new(request),
            other => panic!("a REGISTER is a request: {other:?}"),
        };
        match random.one_in(12) {
            true => RegistrarInput::Authenticate(nth, request),
            false => RegistrarInput::Register(nth, request),
        }
    }

    fn answered(&mut self, nth: usize, request: &Request, answer: &Answer, now: Instant) {
        let station = &mut self.stations[nth];
        station.ready = station
            .registration
            .answered(&answer.to_response(request), now);
    }
}

impl Machine for StationRegistrar {
    type Input = RegistrarInput;

    fn new(seed: u64, now: Instant) -> Self {
        let mut random = Random::new(seed ^ 0x5eed);
        let realm = Realm::new(REALM).expect("a word without quotes");
        let mut registrar = Registrar::new(Settings::new(realm), seed, now);
        registrar.set_accounts((0..STATIONS).map(|nth| account(&format!("10{nth}"))));
        let local = SocketAddr::from(([10, 0, 0, 1], 5060));
        let station = |nth: usize| {
            let remote = SocketAddr::from(([10, 0, 1, nth as u8], 5060));
            let connection = nth % 2 == 1;
            let transport = if connection {
                Transport::Tcp
            } else {
                Transport::Udp
            };
            let password = if nth == 0 { "guess" } else { PASSWORD };
            let user = format!("10{nth}");
            let chance = random.fork();
            let mut registration =
                Registration::new(&user, password, remote, local, transport, chance);
            registration.outbound = connection;
            let mut flow = Flow::udp(ListenerId(0), local, remote);
            if connection {
                flow.transport = Transport::Tcp;
                flow.connection = ConnectionId(nth as u64);
            }
            Station {
                registration,
                flow,
                ready: None,
            }
        };
        Self {
            registrar,
            stations: (0..STATIONS).map(station).collect(),
            held: BTreeMap::new(),
            orders: VecDeque::new(),
            said: VecDeque::new(),
        }
    }

    fn choose(&mut self, random: &mut Random, now: Instant) -> RegistrarInput {
        let order = if random.one_in(3) {
            self.orders.pop_front()
        } else {
            None
        };
        match order {
            Some(token) if random.one_in(4) => return RegistrarInput::StoreFailed(token),
            Some(token) => return RegistrarInput::Stored(token),
            None => {}
        }
        match random.below(40) {
            0 => RegistrarInput::FlowClosed(self.stations[random.below(STATIONS)].flow),
            1 => RegistrarInput::Accounts(STATIONS - random.below(2)),
            2 => RegistrarInput::Stored(StoreToken(random.draw() % 50)),
            _ => self.request(random, now),
        }
    }

    fn handle(&mut self, input: RegistrarInput, now: Instant) {
        match input {
            RegistrarInput::Register(nth, request) => {
                let flow = self.stations[nth].flow;
                let decision = self.registrar.register(&request, &flow, now);
                self.said.push_back(format!("{decision:?}"));
                match decision {
                    Decision::Answer(answer) => self.answered(nth, &request, &answer, now),
                    Decision::Held(token) => drop(self.held.insert(token, (nth, *request))),
                    Decision::Silence => {}
                }
            }
            RegistrarInput::Authenticate(nth, request) => {
                let (flow, user) = (self.stations[nth].flow, format!("10{nth}"));
                let verdict = self
                    .registrar
                    .authenticate(&request, &user, Role::Proxy, &flow, now);
                self.said.push_back(format!("{verdict:?}"));
            }
            RegistrarInput::Stored(token) => self.registrar.stored(token),
            RegistrarInput::StoreFailed(token) => self.registrar.store_failed(token, now),
            RegistrarInput::FlowClosed(flow) => self.registrar.flow_closed(&flow),
            RegistrarInput::Accounts(count) => {
                let accounts = (0..count).map(|nth| account(&format!("10{nth}")));
                self.registrar.set_accounts(accounts);
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.registrar.handle_timeout(now);
    }

    fn poll(&mut self) -> Step {
        if let Some(said) = self.said.pop_front() {
            return Step::Said(said);
        }
        let output = self.registrar.poll_output();
        match &output {
            Output::Timeout(at) => return Step::Timeout(*at),
            Output::Store(store) => self.orders.push_back(store.token),
            Output::Answer { token, answer } => {
                if let Some((nth, request)) = self.held.remove(token) {
                    let station = &mut self.stations[nth];
                    // The station reads it when it is asked next; the moment does not matter to it.
                    let response = answer.to_response(&request);
                    station.ready = station
                        .registration
                        .answered(&response, crate::clock::start());
                }
            }
            Output::Event(_) => {}
        }
        Step::Said(format!("{output:?}"))
    }
}
