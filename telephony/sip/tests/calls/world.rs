//! Endpoints on a simulated network in virtual time.
//!
//! Messages can be lost, delayed or doubled by name ("200 INVITE" is the 200 to an INVITE, "ACK" the
//! request). After every input the machine contract is checked: the drain ends, no deadline lies in
//! the past, and an early `handle_timeout` changes nothing.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::endpoint::{Endpoint, Event, Listener, Output, Settings};
use sip::flow::{ConnectionId, Destination, Flow, Hop, ListenerId, Transport};
use sip::message::{Limits, Message, NameAddr, Request, Response, Uri, parse_datagram};
use sip::session::{EndCause, Incoming, Invite, SessionEvent, SessionId};

pub(crate) const OFFER: &[u8] = b"v=0\r\no=a 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";
pub(crate) const ANSWER: &[u8] = b"v=0\r\no=b 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\n";
pub(crate) const HOLD: &[u8] = b"v=0\r\no=a 1 2 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\na=sendonly\r\n";
pub(crate) const HELD: &[u8] = b"v=0\r\no=b 1 2 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\na=recvonly\r\n";

pub(crate) type NodeId = usize;
pub(crate) const ALICE: NodeId = 0;
pub(crate) const BOB: NodeId = 1;
pub(crate) const CAROL: NodeId = 2;

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn bytes(text: &[u8]) -> Bytes {
    Bytes::copy_from_slice(text)
}

pub(crate) struct World {
    pub(crate) now: Instant,
    start: Instant,
    nodes: Vec<Node>,
    wire: BTreeMap<(Instant, u64), Packet>,
    sequence: u64,
    faults: Vec<Fault>,
    pub(crate) delay: Duration,
    /// `ms from>to label` of every message that left, and what became of it.
    pub(crate) trace: Vec<String>,
    pub(crate) noise: Option<Noise>,
    connections: u64,
    recorded: Option<Vec<Vec<u8>>>,
}

struct Node {
    addr: SocketAddr,
    kind: Kind,
    events: VecDeque<Event>,
    deadline: Option<Instant>,
    stores: Stores,
}

/// Whether the store of a node confirms at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stores {
    AtOnce,
}

enum Kind {
    Endpoint(Box<Endpoint>),
    /// Played by the test itself.
    Script(VecDeque<(Flow, Message)>),
}

#[derive(Clone)]
struct Packet {
    to: NodeId,
    flow: Flow,
    bytes: Bytes,
}

struct Fault {
    from: NodeId,
    label: &'static str,
    left: usize,
    act: Act,
}

#[derive(Clone, Copy)]
enum Act {
    Lose,
    Delay(Duration),
    Double(Duration),
}

/// Random loss, doubling and reordering.
pub(crate) struct Noise {
    pub(crate) state: u64,
    /// In percent.
    pub(crate) loss: u64,
    pub(crate) double: u64,
    pub(crate) jitter_ms: u64,
}

impl Noise {
    pub(crate) fn next(&mut self, below: u64) -> u64 {
        // splitmix64
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }
}

impl World {
    /// Two endpoints that speak UDP.
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let mut world = Self::empty();
        world.add(settings.clone());
        world.add(settings);
        world
    }

    pub(crate) fn empty() -> Self {
        let start = Instant::now();
        Self {
            now: start,
            start,
            nodes: Vec::new(),
            wire: BTreeMap::new(),
            sequence: 0,
            faults: Vec::new(),
            delay: ms(10),
            trace: Vec::new(),
            noise: None,
            connections: 0,
            recorded: None,
        }
    }

    fn addr(id: NodeId) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, id as u8 + 1], 5060))
    }

    pub(crate) fn add(&mut self, settings: Settings) -> NodeId {
        let id = self.nodes.len();
        self.add_seeded(settings, [id as u8 + 1; 32])
    }

    pub(crate) fn add_seeded(&mut self, mut settings: Settings, seed: [u8; 32]) -> NodeId {
        let id = self.nodes.len();
        let addr = Self::addr(id);
        if settings.listeners.is_empty() {
            settings.listeners = vec![
                Listener::new(ListenerId(0), Transport::Udp, addr),
                Listener::new(ListenerId(1), Transport::Tcp, addr),
            ];
        }
        let endpoint = Endpoint::new(settings, seed, self.now);
        self.push(Kind::Endpoint(Box::new(endpoint)))
    }

    /// A peer whose every message the test writes.
    pub(crate) fn add_script(&mut self) -> NodeId {
        self.push(Kind::Script(VecDeque::new()))
    }

    fn push(&mut self, kind: Kind) -> NodeId {
        let id = self.nodes.len();
        self.nodes.push(Node {
            addr: Self::addr(id),
            kind,
            events: VecDeque::new(),
            deadline: None,
            stores: Stores::AtOnce,
        });
        id
    }

    /// Keeps every message from now on.
    pub(crate) fn record(&mut self) {
        self.recorded = Some(Vec::new());
    }

    pub(crate) fn recorded(&mut self) -> Vec<Vec<u8>> {
        self.recorded.take().unwrap_or_default()
    }

    pub(crate) fn lose(&mut self, from: NodeId, label: &'static str, times: usize) {
        self.faults.push(Fault {
            from,
            label,
            left: times,
            act: Act::Lose,
        });
    }

    pub(crate) fn delay(&mut self, from: NodeId, label: &'static str, by: Duration) {
        self.faults.push(Fault {
            from,
            label,
            left: 1,
            act: Act::Delay(by),
        });
    }

    pub(crate) fn double(&mut self, from: NodeId, label: &'static str, after: Duration) {
        self.faults.push(Fault {
            from,
            label,
            left: 1,
            act: Act::Double(after),
        });
    }

    /// Gives an endpoint an input, and does what it says.
    pub(crate) fn tell<T>(
        &mut self,
        id: NodeId,
        input: impl FnOnce(&mut Endpoint, Instant) -> T,
    ) -> T {
        let now = self.now;
        let value = input(self.endpoint(id), now);
        self.drain(id);
        value
    }

    pub(crate) fn endpoint(&mut self, id: NodeId) -> &mut Endpoint {
        match &mut self.nodes[id].kind {
            Kind::Endpoint(endpoint) => endpoint,
            Kind::Script(_) => panic!("node {id} is played by the test"),
        }
    }

    fn drain(&mut self, id: NodeId) {
        let deadline = self.drain_once(id);
        assert!(
            deadline.is_none_or(|at| at > self.now),
            "a deadline lies in the past: {}",
            self.story()
        );
        let now = self.now;
        self.endpoint(id).handle_timeout(now);
        match self.endpoint(id).poll_output() {
            Output::Timeout(again) => {
                assert_eq!(again, deadline, "an early timeout changed the deadline");
            }
            other => panic!("an early timeout said {other:?}: {}", self.story()),
        }
        self.nodes[id].deadline = deadline;
    }

    fn drain_once(&mut self, id: NodeId) -> Option<Instant> {
        for _ in 0..10_000 {
            match self.endpoint(id).poll_output() {
                Output::Transmit { to, bytes } => self.transmit(id, &to, bytes),
                Output::CloseFlow { .. } => {}
                Output::Store(store) => {
                    assert!(self.nodes[id].stores == Stores::AtOnce);
                    let now = self.now;
                    self.endpoint(id).stored(store.token, now);
                }
                Output::Event(event) => self.nodes[id].events.push_back(event),
                Output::Timeout(at) => return at,
            }
        }
        panic!("a drain does not end: {}", self.story());
    }

    fn transmit(&mut self, from: NodeId, hop: &Hop, bytes: Bytes) {
        if let Some(recorded) = &mut self.recorded {
            recorded.push(bytes.to_vec());
        }
        let addr = hop.remote();
        let label = label(&bytes);
        let to = self.nodes.iter().position(|node| node.addr == addr);
        let millis = (self.now - self.start).as_millis();
        let Some(to) = to else {
            self.trace
                .push(format!("{millis} {from}>? {label} nobody at {addr}"));
            return;
        };
        let fault = self
            .faults
            .iter_mut()
            .find(|f| f.from == from && f.label == label && f.left > 0);
        let act = fault.map(|fault| {
            fault.left -= 1;
            fault.act
        });
        let mut copies = match act {
            None => vec![self.delay],
            Some(Act::Lose) => vec![],
            Some(Act::Delay(by)) => vec![self.delay + by],
            Some(Act::Double(after)) => vec![self.delay, self.delay + after],
        };
        if let Some(noise) = &mut self.noise {
            copies.retain(|_| noise.next(100) >= noise.loss);
            if noise.next(100) < noise.double {
                copies.extend(copies.first().copied());
            }
            for copy in &mut copies {
                *copy += ms(noise.next(noise.jitter_ms + 1));
            }
        }
        let fate = match copies.len() {
            0 => " lost",
            1 => "",
            _ => " doubled",
        };
        self.trace
            .push(format!("{millis} {from}>{to} {label}{fate}"));
        let flow = self.flow_at(to, from, hop);
        for delay in copies {
            self.sequence += 1;
            let packet = Packet {
                to,
                flow,
                bytes: bytes.clone(),
            };
            self.wire.insert((self.now + delay, self.sequence), packet);
        }
    }

    /// How the receiver sees the way of a message.
    fn flow_at(&self, to: NodeId, from: NodeId, hop: &Hop) -> Flow {
        let connection = match hop {
            Hop::Flow(flow) => flow.connection,
            // One connection per direction and pair is enough here.
            Hop::Destination(d) if d.transport == Transport::Tcp => {
                ConnectionId(1 + (from * 100 + to) as u64)
            }
            Hop::Destination(_) => ConnectionId::NONE,
        };
        Flow {
            transport: hop.transport(),
            listener: if hop.transport() == Transport::Udp {
                ListenerId(0)
            } else {
                ListenerId(1)
            },
            remote: self.nodes[from].addr,
            local: self.nodes[to].addr,
            connection,
        }
    }

    /// The next thing in time; `false` when nothing is left before `until`.
    fn step(&mut self, until: Instant) -> bool {
        let packet = self.wire.first_key_value().map(|(key, _)| key.0);
        let timer = self
            .nodes
            .iter()
            .enumerate()
            .filter_map(|(id, node)| Some((node.deadline?, id)))
            .min();
        let next = [packet, timer.map(|(at, _)| at)]
            .into_iter()
            .flatten()
            .min();
        let Some(next) = next.filter(|at| *at <= until) else {
            self.now = until;
            return false;
        };
        self.now = next;
        if packet == Some(next) {
            let (_, packet) = self.wire.pop_first().expect("there is one");
            self.deliver(packet);
        } else if let Some((_, id)) = timer {
            let now = self.now;
            self.tell(id, |endpoint, _| endpoint.handle_timeout(now));
        }
        true
    }

    fn deliver(&mut self, packet: Packet) {
        let Packet {
            to, flow, bytes, ..
        } = packet;
        match &mut self.nodes[to].kind {
            Kind::Endpoint(_) => {
                self.tell(to, |endpoint, now| endpoint.receive(&flow, &bytes, now));
            }
            Kind::Script(received) => {
                // The answer to half a request may lack what the request lacked.
                if let Ok(message) = parse_datagram(&bytes, &Limits::default()) {
                    received.push_back((flow, message));
                }
            }
        }
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
    }

    /// Until everything that was sent has arrived; timers do not run.
    pub(crate) fn settle(&mut self) {
        while let Some((at, _)) = self.wire.first_key_value().map(|(key, _)| *key) {
            self.step(at);
        }
    }

    /// The next event of a node.
    pub(crate) fn event(&mut self, id: NodeId) -> Event {
        match self.nodes[id].events.pop_front() {
            Some(event) => event,
            None => panic!("node {id} has nothing to say: {}", self.story()),
        }
    }

    pub(crate) fn has_event(&self, id: NodeId) -> bool {
        !self.nodes[id].events.is_empty()
    }

    #[track_caller]
    pub(crate) fn quiet(&self, id: NodeId) {
        let events = &self.nodes[id].events;
        assert!(
            events.is_empty(),
            "node {id} says {events:?}: {}",
            self.story()
        );
    }

    pub(crate) fn incoming(&mut self, id: NodeId) -> Incoming {
        match self.event(id) {
            Event::Incoming(incoming) => *incoming,
            other => panic!("no call: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn session_event(&mut self, id: NodeId) -> (SessionId, SessionEvent) {
        match self.event(id) {
            Event::Session { session, event } => (session, event),
            other => panic!("no session event: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn says(&mut self, id: NodeId) -> SessionEvent {
        self.session_event(id).1
    }

    #[track_caller]
    pub(crate) fn ended(&mut self, id: NodeId) -> EndCause {
        match self.says(id) {
            SessionEvent::Ended { cause, .. } => cause,
            other => panic!("not ended but {other:?}: {}", self.story()),
        }
    }

    /// All sessions, transactions and packets are gone after a while.
    #[track_caller]
    pub(crate) fn assert_clean(&mut self) {
        self.run(secs(200));
        for id in 0..self.nodes.len() {
            if let Kind::Endpoint(endpoint) = &self.nodes[id].kind {
                let left = (endpoint.session_count(), endpoint.transaction_count());
                assert_eq!(
                    left,
                    (0, 0),
                    "sessions and transactions of {id} are left: {}",
                    self.story()
                );
            }
            self.quiet(id);
        }
    }

    pub(crate) fn story(&self) -> String {
        format!("\n{}\n", self.trace.join("\n"))
    }

    /// How often a message left.
    pub(crate) fn sent(&self, from: NodeId, label: &str) -> usize {
        let wanted = |line: &&String| {
            let mut words = line.splitn(3, ' ').skip(1);
            let from_here = words
                .next()
                .is_some_and(|way| way.starts_with(&format!("{from}>")));
            let rest = words.next().unwrap_or_default();
            from_here && rest.trim_end_matches(" lost").trim_end_matches(" doubled") == label
        };
        self.trace.iter().filter(wanted).count()
    }
}

/// Calls between the first two nodes.
impl World {
    pub(crate) fn hop_to(&self, id: NodeId) -> Hop {
        Hop::Destination(Destination::new(Transport::Udp, Self::addr(id)))
    }

    pub(crate) fn tcp_to(&self, id: NodeId) -> Hop {
        Hop::Destination(Destination::new(Transport::Tcp, Self::addr(id)))
    }

    pub(crate) fn call_to(&self, id: NodeId) -> Invite {
        let target = uri(&format!("sip:{id}@{}", Self::addr(id)));
        let from = NameAddr::new(uri("sip:alice@10.0.0.1"));
        Invite::new(target, self.hop_to(id), from, bytes(OFFER))
    }

    pub(crate) fn invite(&mut self) -> SessionId {
        let invite = self.call_to(BOB);
        self.place(invite)
    }

    pub(crate) fn place(&mut self, invite: Invite) -> SessionId {
        self.tell(ALICE, |alice, now| alice.invite(invite, now))
            .expect("a call can be placed")
    }

    /// A call up to its first event at the callee.
    pub(crate) fn ring(&mut self) -> (SessionId, SessionId) {
        let caller = self.invite();
        self.settle();
        (caller, self.incoming(BOB).session)
    }

    pub(crate) fn accept(&mut self, id: NodeId, session: SessionId) {
        self.tell(id, |endpoint, now| {
            endpoint.accept(session, Some(bytes(ANSWER)), now)
        })
        .expect("it can be accepted");
    }

    pub(crate) fn end(&mut self, id: NodeId, session: SessionId) {
        self.tell(id, |endpoint, now| endpoint.end(session, None, now))
            .expect("it can be ended");
    }

    /// A call that both sides know to be answered.
    pub(crate) fn talk(&mut self) -> (SessionId, SessionId) {
        let invite = self.call_to(BOB);
        self.talk_as(invite)
    }

    pub(crate) fn talk_as(&mut self, invite: Invite) -> (SessionId, SessionId) {
        let caller = self.place(invite);
        self.settle();
        let callee = self.incoming(BOB).session;
        self.accept(BOB, callee);
        self.settle();
        assert!(matches!(self.says(ALICE), SessionEvent::Accepted { .. }));
        assert!(matches!(self.says(BOB), SessionEvent::Confirmed { .. }));
        (caller, callee)
    }
}

/// Connections.
impl World {
    /// A TCP connection from one node to another: what each side calls it.
    pub(crate) fn connect(&mut self, from: NodeId, to: NodeId) -> (Flow, Flow) {
        self.connections += 1;
        let connection = ConnectionId(1_000 + self.connections);
        let side = |local: NodeId, remote: NodeId| Flow {
            transport: Transport::Tcp,
            listener: ListenerId(1),
            remote: Self::addr(remote),
            local: Self::addr(local),
            connection,
        };
        let (near, far) = (side(from, to), side(to, from));
        self.tell(from, |endpoint, now| endpoint.flow_opened(&near, now));
        self.tell(to, |endpoint, now| endpoint.flow_opened(&far, now));
        (near, far)
    }

    pub(crate) fn close(&mut self, id: NodeId, flow: &Flow) {
        self.tell(id, |endpoint, now| endpoint.flow_closed(flow, now));
    }
}

/// Peers played by the test.
impl World {
    #[track_caller]
    pub(crate) fn heard(&mut self, id: NodeId) -> Message {
        let story = self.story();
        match &mut self.nodes[id].kind {
            Kind::Script(received) => {
                received
                    .pop_front()
                    .unwrap_or_else(|| panic!("{id} heard nothing: {story}"))
                    .1
            }
            Kind::Endpoint(_) => panic!("node {id} is an endpoint"),
        }
    }

    #[track_caller]
    pub(crate) fn heard_request(&mut self, id: NodeId) -> Request {
        match self.heard(id) {
            Message::Request(request) => request,
            Message::Response(response) => panic!("a response: {response:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn heard_response(&mut self, id: NodeId) -> Response {
        match self.heard(id) {
            Message::Response(response) => response,
            Message::Request(request) => panic!("a request: {request:?}"),
        }
    }

    pub(crate) fn hears_nothing(&self, id: NodeId) -> bool {
        matches!(&self.nodes[id].kind, Kind::Script(received) if received.is_empty())
    }

    /// Sends bytes of a script over UDP.
    pub(crate) fn say(&mut self, from: NodeId, to: NodeId, message: impl AsRef<[u8]>) {
        self.transmit(
            from,
            &self.hop_to(to),
            Bytes::copy_from_slice(message.as_ref()),
        );
    }
}

pub(crate) fn uri(text: &str) -> Uri {
    text.parse().expect("a URI")
}

/// What a message is called in tests.
fn label(bytes: &[u8]) -> String {
    match parse_datagram(bytes, &Limits::default()) {
        Ok(Message::Request(request)) => request.method.to_string(),
        Ok(Message::Response(response)) => {
            let method = response
                .headers
                .cseq()
                .map(|cseq| cseq.method.to_string())
                .unwrap_or_default();
            format!("{} {method}", response.status)
        }
        Err(_) => "bytes".to_owned(),
    }
}
