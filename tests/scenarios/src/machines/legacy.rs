//! Lines to older intercom servers: both ends of the open link profile on one bad line and of ISDN on
//! another, and a line of ACDP and one of a table with somebody who writes to them.

use std::collections::VecDeque;
use std::time::Instant;

use legacy_protocols::acdp;
use legacy_protocols::command::{
    Authority, CallRef, CallSetup, Cause, Command, OutputAction, OutputCommand, OutputId, Purpose,
    Verdict,
};
use legacy_protocols::event::{Event, StationState, TalkMode};
use legacy_protocols::isdn::{self, link::Side, session::Dialect};
use legacy_protocols::number::{Node, Number, Party};
use legacy_protocols::open_link::{self, Role};
use legacy_protocols::port::{AskId, Config, Input, Opening, Output, Port, Protocol, Reference};
use legacy_protocols::priority::Priority;
use legacy_protocols::table::{self, presets::mcip_ascii};

use crate::clock::SECOND;
use crate::contract::{Machine, Step};
use crate::random::Random;

/// See the module. Ports 0 and 1 are the two ends of one line, 2 and 3 those of another.
#[derive(Debug)]
pub struct LegacyPorts {
    ports: Vec<Port>,
    /// On the way to each of those.
    underway: [VecDeque<Vec<u8>>; JOINED],
    asks: VecDeque<(usize, AskId)>,
    next_reference: u64,
}

#[derive(Debug)]
pub enum LegacyInput {
    Opened(usize),
    Closed(usize),
    Received(usize, Vec<u8>),
    Command(usize, Reference, Command, Purpose),
    Tell(usize, Event),
    Item(usize, AskId, Event),
    Answer(usize, AskId, Verdict),
}

/// Ports that are joined in pairs.
const JOINED: usize = 4;
const LINES: [&[u8]; 6] = [
    b"014101FF2118410015003632018002=54\r\n",
    b"014101FF211A410017004007D706070B1A2D32018002320180090201=76\r\n",
    b"014101FF211B41001800",
    b"Ackd Ical 1 101\r\n",
    b"Icrq 101 1\r\n",
    b"\x7E\x7F\x08\x7B\x7E",
];

impl LegacyPorts {
    fn command(random: &mut Random, now: Instant) -> Command {
        let number = |text| Party {
            node: Node(1),
            number: Number::new(text).expect("a number"),
        };
        let (station, other) = (number("101"), number("1"));
        let call = CallRef(random.below(4) as u64);
        match random.below(5) {
            0 => Command::CallSetup(CallSetup {
                call,
                from: other,
                to: station,
                priority: Priority::NORMAL,
                mode: TalkMode::OpenDuplex,
                text: None,
                sound: None,
            }),
            1 => Command::CallRelease {
                call,
                cause: Cause::NORMAL,
            },
            2 => Command::Snapshot,
            3 => Command::LineTest { station },
            _ => Command::DoorOpen(OutputCommand {
                id: OutputId(random.below(20) as u64),
                station,
                output: random.below(3) as u16,
                action: OutputAction::Pulse(SECOND),
                authority: Authority::new(b"token").expect("short"),
                valid_until: now + SECOND * random.below(12) as u32,
            }),
        }
    }

    fn line(&mut self, random: &mut Random) -> Option<LegacyInput> {
        let end = random.below(JOINED);
        let mut bytes = self.underway[end].pop_front()?;
        if random.one_in(12) {
            return None;
        }
        if random.one_in(12) {
            self.underway[end].push_back(bytes.clone());
        }
        if random.one_in(12) {
            let bit = random.below(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        Some(LegacyInput::Received(end, bytes))
    }

    fn owner(&mut self, random: &mut Random, now: Instant) -> LegacyInput {
        let port = random.below(self.ports.len());
        let station = Party {
            node: Node(1),
            number: Number::SERVER,
        };
        let state = random.pick(&[StationState::Idle, StationState::InCall]);
        let event = Event::StationState { station, state };
        match random.below(12) {
            0 => LegacyInput::Closed(port),
            1 | 2 => LegacyInput::Opened(port),
            3 | 4 => LegacyInput::Tell(port, event),
            5 | 6 => match self.asks.pop_front() {
                Some((port, ask)) if random.one_in(2) => {
                    self.asks.push_front((port, ask));
                    LegacyInput::Item(port, ask, event)
                }
                Some((port, ask)) => LegacyInput::Answer(port, ask, Verdict::Done),
                None => LegacyInput::Answer(port, AskId(random.below(9) as u64), Verdict::Busy),
            },
            7 | 8 => LegacyInput::Received(port, random.pick(&LINES).to_vec()),
            _ => {
                self.next_reference += 1;
                let purpose = random.pick(&[Purpose::Live, Purpose::Live, Purpose::Test]);
                let command = Self::command(random, now);
                LegacyInput::Command(port, Reference(self.next_reference), command, purpose)
            }
        }
    }

    fn give(&mut self, port: usize, input: Input<'_>, now: Instant) {
        self.ports[port].handle(input, now);
    }
}

impl Machine for LegacyPorts {
    type Input = LegacyInput;

    fn new(seed: u64, now: Instant) -> Self {
        let open_link = |role, own, other| {
            let config = open_link::Config::serial(role, Node(own), Node(other), "test");
            Protocol::OpenLink(Box::new(open_link::Session::new(config, now)))
        };
        let isdn = |side, own, other| {
            let session = isdn::port::Session::new(isdn::port::Config {
                line: isdn::session::Config::primary_rate(side, Dialect::Dss1),
                own: Node(own),
                other: Node(other),
                whole_number: None,
                seed,
            });
            Protocol::Isdn(Box::new(session))
        };
        let device = |device| acdp::Device { node: 1, device };
        let acdp = acdp::Session::new(acdp::Config {
            own: device(1),
            server: device(0x41),
            checksum: acdp::Checksum::Required,
            hops: 1,
        });
        let table = table::Session::new(mcip_ascii()).expect("a preset is valid");
        let theirs = Config {
            opening: Opening::Theirs,
            ..Config::default()
        };
        let ours = Config::default();
        Self {
            ports: vec![
                Port::new(ours.clone(), open_link(Role::Gateway, 2, 1), seed, now),
                Port::new(theirs, open_link(Role::Server, 1, 2), seed, now),
                Port::new(ours.clone(), isdn(Side::User, 2, 1), seed, now),
                Port::new(ours.clone(), isdn(Side::Network, 1, 2), seed, now),
                Port::new(ours.clone(), Protocol::Acdp(Box::new(acdp)), seed, now),
                Port::new(ours, Protocol::Table(Box::new(table)), seed, now),
            ],
            underway: Default::default(),
            asks: VecDeque::new(),
            next_reference: 0,
        }
    }

    fn choose(&mut self, random: &mut Random, now: Instant) -> LegacyInput {
        if !random.one_in(4)
            && let Some(input) = self.line(random)
        {
            return input;
        }
        self.owner(random, now)
    }

    fn handle(&mut self, input: LegacyInput, now: Instant) {
        match input {
            LegacyInput::Opened(port) => self.give(port, Input::Opened, now),
            LegacyInput::Closed(port) => {
                if let Some(underway) = self.underway.get_mut(port) {
                    underway.clear();
                }
                self.give(port, Input::Closed, now);
            }
            LegacyInput::Received(port, bytes) => self.give(port, Input::Received(&bytes), now),
            LegacyInput::Command(port, reference, command, purpose) => {
                let input = Input::Command {
                    reference,
                    command,
                    purpose,
                };
                self.give(port, input, now);
            }
            LegacyInput::Tell(port, event) => self.give(port, Input::Tell(event), now),
            LegacyInput::Item(port, ask, event) => {
                self.give(port, Input::Item { ask, event }, now);
            }
            LegacyInput::Answer(port, ask, verdict) => {
                let answer = verdict.into();
                self.give(port, Input::Answer { ask, answer }, now);
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        for port in &mut self.ports {
            port.handle_timeout(now);
        }
    }

    fn poll(&mut self) -> Step {
        let mut deadlines = Vec::new();
        for (at, port) in self.ports.iter_mut().enumerate() {
            match port.poll_output() {
                Output::Timeout(deadline) => deadlines.extend(deadline),
                Output::Send(bytes) => {
                    let words = format!("{at} sends {bytes:02x?}");
                    if let Some(underway) = self.underway.get_mut(at ^ 1) {
                        underway.push_back(bytes);
                    }
                    return Step::Said(words);
                }
                output => {
                    if let Output::Asked { ask: Some(ask), .. } = &output {
                        self.asks.push_back((at, *ask));
                    }
                    return Step::Said(format!("{at}: {output:?}"));
                }
            }
        }
        Step::Timeout(deadlines.into_iter().min())
    }
}
