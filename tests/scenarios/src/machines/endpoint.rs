//! The SIP endpoint, and a second one as its peer, both with owners who do anything.
//!
//! Only one of the two is watched. What the peer sends waits in a bag: datagrams are taken out of
//! it in any order, twice or never; the connection keeps its order.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use sip::endpoint::{Endpoint, Event, InviteAuth, Listener, Output, Settings};
use sip::flow::{ConnectionId, Destination, Flow, Hop, ListenerId, Transport};

use super::owner::{Command, Owner};
use crate::contract::{Machine, Step};
use crate::random::Random;

const UDP: ListenerId = ListenerId(0);
const TCP: ListenerId = ListenerId(1);

/// See the module.
#[derive(Debug)]
pub struct SipEndpoint {
    endpoint: Endpoint,
    owner: Owner,
    address: SocketAddr,
    peer: Peer,
    /// What lies on the way to the endpoint.
    bag: Vec<(Flow, Bytes)>,
    stream: VecDeque<Bytes>,
    failed: VecDeque<Destination>,
    connected: Connected,
}

#[derive(Debug)]
struct Peer {
    endpoint: Endpoint,
    owner: Owner,
    address: SocketAddr,
    /// What lies on the way to the peer.
    bag: VecDeque<(Flow, Bytes)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connected {
    No,
    Yes(ConnectionId),
}

#[derive(Debug)]
pub enum EndpointInput {
    Receive(Flow, Bytes),
    FlowOpened(Flow),
    FlowClosed(Flow),
    Unreachable(Destination),
    Command(Box<Command>),
}

fn settings(address: SocketAddr) -> Settings {
    let listener = |id, transport| Listener {
        invite_auth: InviteAuth::None,
        ..Listener::new(id, transport, address)
    };
    Settings {
        listeners: vec![listener(UDP, Transport::Udp), listener(TCP, Transport::Tcp)],
        ..Settings::default()
    }
}

fn connection(id: ConnectionId, local: SocketAddr, remote: SocketAddr) -> Flow {
    Flow {
        transport: Transport::Tcp,
        listener: TCP,
        remote,
        local,
        connection: id,
    }
}

impl Peer {
    /// It lives on to this moment: its timers, its mail, its owner's ideas.
    fn live(&mut self, random: &mut Random, now: Instant) {
        self.endpoint.handle_timeout(now);
        while let Some((flow, bytes)) = self.bag.pop_front() {
            if !random.one_in(8) {
                self.endpoint.receive(&flow, &bytes, now);
            }
        }
        if random.one_in(3) {
            let command = self
                .owner
                .command(random, Hop::Destination(udp(self.owner.far)));
            command.carry(&mut self.endpoint, &mut self.owner, now);
        }
    }
}

fn udp(to: SocketAddr) -> Destination {
    Destination::new(Transport::Udp, to)
}

impl SipEndpoint {
    fn collect(&mut self) {
        loop {
            match self.peer.endpoint.poll_output() {
                Output::Transmit { to, bytes } if to.transport() == Transport::Udp => {
                    self.bag
                        .push((Flow::udp(UDP, self.address, self.peer.address), bytes));
                }
                Output::Transmit { bytes, .. } => self.stream.push_back(bytes),
                Output::Event(event) => self.peer.owner.learn(&event),
                Output::CloseFlow { .. } | Output::Store(_) => {}
                Output::Timeout(_) => return,
            }
        }
    }

    fn connection(&mut self, random: &mut Random, now: Instant) -> Option<EndpointInput> {
        let (here, there) = (self.address, self.peer.address);
        match self.connected {
            Connected::No if random.one_in(4) => {
                let id = ConnectionId(random.draw());
                self.connected = Connected::Yes(id);
                self.peer
                    .endpoint
                    .flow_opened(&connection(id, there, here), now);
                Some(EndpointInput::FlowOpened(connection(id, here, there)))
            }
            Connected::Yes(id) if random.one_in(20) => {
                self.connected = Connected::No;
                self.stream.clear();
                self.peer
                    .endpoint
                    .flow_closed(&connection(id, there, here), now);
                Some(EndpointInput::FlowClosed(connection(id, here, there)))
            }
            Connected::Yes(id) => {
                let bytes = self.stream.pop_front()?;
                Some(EndpointInput::Receive(connection(id, here, there), bytes))
            }
            Connected::No => None,
        }
    }
}

impl Machine for SipEndpoint {
    type Input = EndpointInput;

    fn new(seed: u64, now: Instant) -> Self {
        let mut random = Random::new(seed ^ 0xe9d);
        let (address, far) = (([10, 0, 0, 1], 5060).into(), ([10, 0, 0, 2], 5060).into());
        let peer = Peer {
            endpoint: Endpoint::new(settings(far), random.seed(), now),
            owner: Owner::new(far, address),
            address: far,
            bag: VecDeque::new(),
        };
        Self {
            endpoint: Endpoint::new(settings(address), random.seed(), now),
            owner: Owner::new(address, far),
            address,
            peer,
            bag: Vec::new(),
            stream: VecDeque::new(),
            failed: VecDeque::new(),
            connected: Connected::No,
        }
    }

    fn choose(&mut self, random: &mut Random, now: Instant) -> EndpointInput {
        self.peer.live(random, now);
        self.collect();
        if let Some(destination) = self.failed.pop_front() {
            return EndpointInput::Unreachable(destination);
        }
        if random.one_in(4)
            && let Some(input) = self.connection(random, now)
        {
            return input;
        }
        if !self.bag.is_empty() && !random.one_in(4) {
            let nth = random.below(self.bag.len());
            let (flow, bytes) = match random.one_in(6) {
                true => self.bag[nth].clone(),
                false => self.bag.swap_remove(nth),
            };
            return EndpointInput::Receive(flow, bytes);
        }
        if random.one_in(40) {
            let flow = Flow::udp(UDP, self.address, self.peer.address);
            let nonsense = vec![random.draw() as u8; random.below(60)];
            return EndpointInput::Receive(flow, nonsense.into());
        }
        let hop = match self.connected {
            Connected::Yes(id) if random.one_in(3) => {
                Hop::Flow(connection(id, self.address, self.peer.address))
            }
            Connected::Yes(_) | Connected::No if random.one_in(8) => {
                Hop::Destination(Destination::new(Transport::Tcp, self.peer.address))
            }
            Connected::Yes(_) | Connected::No => Hop::Destination(udp(self.peer.address)),
        };
        EndpointInput::Command(Box::new(self.owner.command(random, hop)))
    }

    fn handle(&mut self, input: EndpointInput, now: Instant) {
        match input {
            EndpointInput::Receive(flow, bytes) => self.endpoint.receive(&flow, &bytes, now),
            EndpointInput::FlowOpened(flow) => self.endpoint.flow_opened(&flow, now),
            EndpointInput::FlowClosed(flow) => self.endpoint.flow_closed(&flow, now),
            EndpointInput::Unreachable(destination) => {
                self.endpoint.unreachable(&destination, now);
            }
            EndpointInput::Command(command) => {
                command.carry(&mut self.endpoint, &mut self.owner, now);
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
    }

    fn poll(&mut self) -> Step {
        let output = self.endpoint.poll_output();
        match &output {
            Output::Timeout(at) => return Step::Timeout(*at),
            Output::Transmit { to, bytes } => match (to, self.connected) {
                (
                    Hop::Flow(Flow {
                        transport: Transport::Tcp,
                        ..
                    }),
                    Connected::Yes(id),
                ) => {
                    let flow = connection(id, self.peer.address, self.address);
                    self.peer.bag.push_back((flow, bytes.clone()));
                }
                (Hop::Destination(to), _) if to.transport == Transport::Tcp => {
                    self.failed.push_back(to.clone());
                }
                (_, _) => {
                    let flow = Flow::udp(UDP, self.peer.address, self.address);
                    self.peer.bag.push_back((flow, bytes.clone()));
                }
            },
            Output::Event(event) => self.owner.learn(event),
            Output::CloseFlow { .. } => self.connected = Connected::No,
            Output::Store(_) => {}
        }
        Step::Said(words(&output))
    }
}

fn words(output: &Output) -> String {
    match output {
        Output::Transmit { to, bytes } => {
            format!("to {}: {}", to.remote(), String::from_utf8_lossy(bytes))
        }
        Output::Event(Event::Incoming(incoming)) => format!("{:?} arrives", incoming.session),
        output => format!("{output:?}"),
    }
}
