//! The other end of a line: an older intercom server that speaks the open link profile, or ISDN.
//!
//! Its port is the server's half of the same protocol; what it tells and asks, a story says. It
//! answers a question about its picture by itself, and everything else as the story has set it.
//! What is on the line takes a millisecond, and is lost when the line is cut.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use exchange::{Driver, LineEvent, LineId};
use legacy_protocols::acdp;
use legacy_protocols::command::{Answer, Command, Purpose, Verdict};
use legacy_protocols::event::Event;
use legacy_protocols::isdn;
use legacy_protocols::isdn::link::Side;
use legacy_protocols::isdn::session::{self, Dialect};
use legacy_protocols::number::{Node, Number, Party};
use legacy_protocols::open_link::{self, Role};
use legacy_protocols::port::{
    self, AskId, Config, LinkState, Opening, Output, Port, Protocol, Reference,
};

/// The system number of the server, and that of the gateway.
pub const THERE: Node = Node(1);
pub const HERE: Node = Node(2);

const WAY: Duration = Duration::from_millis(1);

/// See the module.
#[derive(Debug)]
pub struct OldServer {
    pub line: LineId,
    port: Port,
    deadline: Option<Instant>,
    cable: Cable,
    transport: Transport,
    to_gateway: VecDeque<(Instant, LineEvent)>,
    to_server: VecDeque<(Instant, Vec<u8>)>,
    /// What it tells when it is asked what is.
    pub picture: Vec<Event>,
    /// How it answers commands; none: not at all, until the story does.
    pub answers: Option<Verdict>,
    /// What it was asked, told and answered since the last time.
    pub asked: Vec<(Option<AskId>, Command)>,
    pub told: Vec<Event>,
    pub done: Vec<(Reference, Answer)>,
    /// The ports of the gateway that its channels are joined with.
    pub channels: BTreeMap<u8, SocketAddr>,
    next: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cable {
    Whole,
    Cut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Open,
    Closed,
}

/// A station behind the server.
pub fn there(number: &str) -> Party {
    party(THERE, number)
}

/// A station of the gateway, as the server knows it.
pub fn here(number: &str) -> Party {
    party(HERE, number)
}

fn party(node: Node, number: &str) -> Party {
    Party {
        node,
        number: Number::new(number).expect("a test writes digits"),
    }
}

impl OldServer {
    /// One that speaks what the gateway's end of the line does.
    pub fn facing(driver: &Driver, line: LineId, seed: u64, now: Instant) -> Self {
        match driver {
            Driver::Isdn(ours) => {
                let config = isdn::port::Config {
                    line: session::Config::primary_rate(Side::Network, Dialect::Dss1),
                    own: THERE,
                    other: HERE,
                    ..**ours
                };
                let session = isdn::port::Session::new(config);
                Self::speaking(Protocol::Isdn(Box::new(session)), line, seed, now)
            }
            Driver::Acdp(config) => {
                let server = acdp::Server::new(acdp::Config {
                    own: config.server,
                    server: config.own,
                    ..*config
                });
                Self::speaking(Protocol::AcdpServer(Box::new(server)), line, seed, now)
            }
            Driver::Versicle(_) | Driver::Table(_) | Driver::Missing { .. } => {
                let session = open_link::Config::tcp(Role::Server, THERE, HERE, "old");
                let session = open_link::Session::new(session, now);
                Self::speaking(Protocol::OpenLink(Box::new(session)), line, seed, now)
            }
        }
    }

    fn speaking(protocol: Protocol, line: LineId, seed: u64, now: Instant) -> Self {
        let config = Config {
            opening: Opening::Theirs,
            ..Config::default()
        };
        Self {
            line,
            port: Port::new(config, protocol, seed, now),
            deadline: None,
            cable: Cable::Whole,
            transport: Transport::Closed,
            to_gateway: VecDeque::new(),
            to_server: VecDeque::new(),
            picture: Vec::new(),
            answers: Some(Verdict::Done),
            asked: Vec::new(),
            told: Vec::new(),
            done: Vec::new(),
            channels: BTreeMap::new(),
            next: 1,
        }
    }

    /// What it was told since the last time.
    pub fn take_told(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.told)
    }

    /// What it was asked since the last time.
    pub fn take_asked(&mut self) -> Vec<Command> {
        let asked = std::mem::take(&mut self.asked);
        asked.into_iter().map(|(_, command)| command).collect()
    }

    /// How its commands were answered since the last time.
    pub fn take_done(&mut self) -> Vec<Verdict> {
        let done = std::mem::take(&mut self.done);
        done.into_iter().map(|(_, answer)| answer.verdict).collect()
    }

    pub fn link(&self) -> LinkState {
        self.port.link()
    }

    pub fn next(&self) -> Option<Instant> {
        let arrivals = self.to_gateway.front().map(|(at, _)| *at);
        let others = self.to_server.front().map(|(at, _)| *at);
        [self.deadline, arrivals, others]
            .into_iter()
            .flatten()
            .min()
    }

    /// The gateway opens the line.
    pub(crate) fn opened(&mut self, now: Instant) {
        let event = match self.cable {
            Cable::Whole => LineEvent::Opened,
            Cable::Cut => LineEvent::Closed,
        };
        self.to_gateway.push_back((now + WAY, event));
        if self.cable == Cable::Whole {
            self.transport = Transport::Open;
            self.give(port::Input::Opened, now);
        }
    }

    /// The gateway sends.
    pub(crate) fn sent(&mut self, bytes: Vec<u8>, now: Instant) {
        if self.transport == Transport::Open {
            self.to_server.push_back((now + WAY, bytes));
        }
    }

    /// The gateway closes the line.
    pub(crate) fn closed(&mut self, now: Instant) {
        self.transport = Transport::Closed;
        self.to_server.clear();
        self.to_gateway.clear();
        self.give(port::Input::Closed, now);
    }

    /// Both ends notice at once; what was on the way is lost.
    pub(crate) fn cut(&mut self, now: Instant) {
        self.cable = Cable::Cut;
        self.closed(now);
        self.to_gateway.push_back((now, LineEvent::Closed));
    }

    pub(crate) fn mend(&mut self) {
        self.cable = Cable::Whole;
    }

    /// What reaches the gateway now.
    pub(crate) fn arrives(&mut self, now: Instant) -> Option<LineEvent> {
        let (_, event) = self.to_gateway.pop_front_if(|(at, _)| *at <= now)?;
        Some(event)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, bytes)) = self.to_server.pop_front_if(|(at, _)| *at <= now) {
            self.give(port::Input::Received(&bytes), now);
        }
        if self.deadline.is_some_and(|due| due <= now) {
            self.port.handle_timeout(now);
            self.drain(now);
        }
    }

    pub(crate) fn give(&mut self, input: port::Input<'_>, now: Instant) {
        self.port.handle(input, now);
        self.drain(now);
    }

    pub(crate) fn ask(&mut self, command: Command, purpose: Purpose, now: Instant) -> Reference {
        let reference = Reference(self.next);
        self.next += 1;
        let input = port::Input::Command {
            reference,
            command,
            purpose,
        };
        self.give(input, now);
        reference
    }

    fn drain(&mut self, now: Instant) {
        loop {
            match self.port.poll_output() {
                Output::Timeout(deadline) => {
                    self.deadline = deadline;
                    return;
                }
                Output::Send(bytes) if self.transport == Transport::Open => {
                    let event = LineEvent::Received(bytes.into());
                    self.to_gateway.push_back((now + WAY, event));
                }
                Output::Close { .. } if self.transport == Transport::Open => {
                    self.transport = Transport::Closed;
                    self.to_gateway.push_back((now + WAY, LineEvent::Closed));
                }
                // It opens nothing itself.
                Output::Send(_)
                | Output::Close { .. }
                | Output::Open
                | Output::Link(_)
                | Output::Picture(_) => {}
                Output::Happened { event, .. } => self.told.push(event),
                Output::Asked { ask, command, .. } => self.asked(ask, command, now),
                Output::Done { reference, answer } => self.done.push((reference, answer)),
            }
        }
    }

    fn asked(&mut self, ask: Option<AskId>, command: Command, now: Instant) {
        let Some(id) = ask else {
            return self.asked.push((ask, command));
        };
        if command == Command::Snapshot {
            for event in self.picture.clone() {
                self.port.handle(port::Input::Item { ask: id, event }, now);
            }
            let answer = Verdict::Done.into();
            self.port
                .handle(port::Input::Answer { ask: id, answer }, now);
            return;
        }
        self.asked.push((ask, command));
        if let Some(verdict) = self.answers {
            let answer = verdict.into();
            self.port
                .handle(port::Input::Answer { ask: id, answer }, now);
        }
    }
}
