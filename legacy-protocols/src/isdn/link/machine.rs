//! One end of a D channel: sorts frames to links, management and call control's broadcasts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::link::{self, Frame, Kind, Link, Status, Unnumbered};

use super::address::{Address, CALL_CONTROL, MANAGEMENT, Tei};
use super::management::Message;
use super::network::{Act, Removal, Terminals, remove_twice};
use super::terminal::{Change, Said, Terminal};
use super::{Config, Side, Topology};

/// What a D channel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A frame for the line, from its address field on, without a check sequence.
    Transmit(Vec<u8>),
    Event(Event),
    /// Nothing more to say; wake it then.
    Timeout(Option<Instant>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A link did something.
    Link { tei: Tei, event: link::Event },
    /// A message to all, unacknowledged.
    Broadcast(Vec<u8>),
    /// A terminal has an identifier (at the network end), or we have one.
    Assigned(Tei),
    /// It has it no longer; its link is gone.
    Removed(Tei),
    /// The network gave us none; we shall ask again.
    Denied,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    #[error("no terminal has the identifier {0}; it was removed, or never assigned")]
    UnknownTerminal(u8),
    #[error(transparent)]
    Link(#[from] link::SendError),
    #[error("a broadcast longer than the link allows (N201)")]
    TooLong,
}

/// What a D channel refused or dropped; every number only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames without an address field of two octets.
    pub unaddressed: u64,
    /// Frames for service access points that are not spoken here.
    pub not_served: u64,
    /// Frames for other terminals of the bus, which is usual at a user end.
    pub for_others: u64,
    /// Frames from terminals that have no identifier of ours.
    pub unassigned: u64,
    /// Management frames that say nothing known.
    pub management_unknown: u64,
    pub assigned: u64,
    pub denied: u64,
    pub removed: u64,
    /// Identifiers removed because two terminals claimed them.
    pub collisions: u64,
}

#[derive(Debug)]
pub struct Lapd {
    config: Config,
    ends: Ends,
    outputs: VecDeque<Output>,
    counters: Counters,
}

#[derive(Debug)]
enum Ends {
    PointToPoint(Link),
    /// The terminal's end of a bus.
    Terminal {
        terminal: Terminal,
        link: Link,
    },
    /// The network's end of a bus.
    Network(Terminals),
}

impl Lapd {
    /// A point-to-point line waits for [`Self::establish`]; a terminal asks for its identifier at
    /// its first time-out, which is at once; a network end tells terminals of a former life to
    /// ask anew.
    pub fn new(mut config: Config, seed: u64, now: Instant) -> Self {
        // Timers of no length would be due for ever.
        for time in [
            &mut config.check_within,
            &mut config.assign_within,
            &mut config.assign_pause,
        ] {
            *time = (*time).max(Duration::from_millis(10));
        }
        let ends = match (config.topology, config.side) {
            (Topology::PointToPoint, _) => Ends::PointToPoint(Link::new(config.link)),
            (Topology::PointToMultipoint, Side::User) => Ends::Terminal {
                terminal: Terminal::new(seed, now),
                link: Link::new(config.link),
            },
            (Topology::PointToMultipoint, Side::Network) => Ends::Network(Terminals::new()),
        };
        let mut new = Self {
            config,
            ends,
            outputs: VecDeque::new(),
            counters: Counters::default(),
        };
        match &new.ends {
            Ends::Network(_) => new.act(remove_twice(Tei::BROADCAST), now),
            Ends::Terminal { .. } => new.handle_timeout(now),
            Ends::PointToPoint(_) => {}
        }
        new
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Each link there is, with its counters.
    pub fn links(&self) -> Vec<(Tei, Status, link::Counters)> {
        let told = |tei, link: &Link| (tei, link.status(), link.counters());
        match &self.ends {
            Ends::PointToPoint(link) => vec![told(Tei::POINT_TO_POINT, link)],
            Ends::Terminal { terminal, link } => terminal
                .tei()
                .map(|tei| told(tei, link))
                .into_iter()
                .collect(),
            Ends::Network(terminals) => terminals
                .links()
                .map(|(tei, link)| told(tei, link))
                .collect(),
        }
    }

    /// The one link's identifier: 0, or a terminal's own. None at the network end of a bus, and
    /// for a terminal that has none.
    pub fn tei(&self) -> Option<Tei> {
        match &self.ends {
            Ends::PointToPoint(_) => Some(Tei::POINT_TO_POINT),
            Ends::Terminal { terminal, .. } => terminal.tei(),
            Ends::Network(_) => None,
        }
    }

    pub fn status(&self, tei: Tei) -> Status {
        let links = self.links();
        let found = links.iter().find(|(one, ..)| *one == tei);
        found.map_or(Status::Disconnected, |(_, status, _)| *status)
    }

    pub fn establish(&mut self, tei: Tei, now: Instant) {
        if let Some(link) = self.link(tei) {
            link.establish(now);
        }
        self.drain(now);
    }

    pub fn release(&mut self, tei: Tei, now: Instant) {
        if let Some(link) = self.link(tei) {
            link.release(now);
        }
        self.drain(now);
    }

    /// The line below is gone: all links are down without a word.
    pub fn line_lost(&mut self, now: Instant) {
        match &mut self.ends {
            Ends::PointToPoint(link) | Ends::Terminal { link, .. } => link.abandon(),
            Ends::Network(terminals) => {
                for tei in terminals.teis() {
                    if let Some(link) = terminals.link(tei) {
                        link.abandon();
                    }
                }
            }
        }
        self.drain(now);
    }

    /// A message of call control to one terminal, acknowledged. A link that is down is
    /// established first.
    pub fn send(&mut self, tei: Tei, message: Vec<u8>, now: Instant) -> Result<(), SendError> {
        let link = self
            .link(tei)
            .ok_or(SendError::UnknownTerminal(tei.number()))?;
        if link.status() == Status::Disconnected {
            link.establish(now);
        }
        let sent = link.send(message, now);
        self.drain(now);
        Ok(sent?)
    }

    /// A message of call control to all terminals, unacknowledged.
    pub fn broadcast(&mut self, message: &[u8]) -> Result<(), SendError> {
        if message.len() > self.config.link.longest_payload {
            return Err(SendError::TooLong);
        }
        self.unnumbered(CALL_CONTROL, message);
        Ok(())
    }

    /// A frame from the line, from its address field on, its check sequence checked and cut off.
    pub fn receive(&mut self, frame: &[u8], now: Instant) {
        let Some((address, rest)) = Address::decode(frame, self.config.side.other()) else {
            self.counters.unaddressed += 1;
            return;
        };
        let unnumbered = match Frame::decode(rest) {
            Ok(Frame::Unnumbered {
                function: Unnumbered::UnnumberedInformation,
                payload,
                ..
            }) => Some(payload),
            _ => None,
        };
        match (address.sapi, unnumbered) {
            (MANAGEMENT, Some(payload)) => self.manage(payload, now),
            (CALL_CONTROL, Some(payload)) if payload.len() <= self.config.link.longest_payload => {
                let ours = address.tei == Tei::BROADCAST || self.tei() == Some(address.tei);
                if ours || matches!(self.ends, Ends::Network(_)) {
                    self.event(Event::Broadcast(payload.to_vec()));
                } else {
                    self.counters.for_others += 1;
                }
            }
            (CALL_CONTROL, None) => self.call_control(address, rest, now),
            _ => self.counters.not_served += 1,
        }
        self.drain(now);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.ends {
            Ends::PointToPoint(link) => link.handle_timeout(now),
            Ends::Terminal { terminal, link } => {
                link.handle_timeout(now);
                let said = terminal.handle_timeout(&self.config, now);
                self.said(said, now);
            }
            Ends::Network(terminals) => {
                for tei in terminals.teis() {
                    if let Some(link) = terminals.link(tei) {
                        link.handle_timeout(now);
                    }
                }
                let acts = terminals.handle_timeout(&self.config, now);
                self.act(acts, now);
            }
        }
        self.drain(now);
    }

    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        Output::Timeout(match &self.ends {
            Ends::PointToPoint(link) => link.deadline(),
            Ends::Terminal { terminal, link } => earliest([terminal.deadline(), link.deadline()]),
            Ends::Network(terminals) => {
                let links = terminals.links().map(|(_, link)| link.deadline());
                earliest(links.chain([terminals.deadline()]))
            }
        })
    }

    fn link(&mut self, tei: Tei) -> Option<&mut Link> {
        let own = self.tei();
        match &mut self.ends {
            Ends::PointToPoint(link) | Ends::Terminal { link, .. } => {
                (own == Some(tei)).then_some(link)
            }
            Ends::Network(terminals) => terminals.link(tei),
        }
    }

    fn call_control(&mut self, address: Address, rest: &[u8], now: Instant) {
        if let Some(link) = self.link(address.tei) {
            link.receive(Some(address.kind), rest, now);
            return;
        }
        match &mut self.ends {
            Ends::PointToPoint(_) | Ends::Terminal { .. } => self.counters.for_others += 1,
            Ends::Network(terminals) => {
                self.counters.unassigned += 1;
                if address.tei != Tei::BROADCAST {
                    let acts = terminals.unknown(address.tei, &self.config, now);
                    self.act(acts, now);
                }
            }
        }
    }

    fn manage(&mut self, payload: &[u8], now: Instant) {
        let Some(message) = Message::decode(payload) else {
            self.counters.management_unknown += 1;
            return;
        };
        match &mut self.ends {
            // Nothing to manage: the one identifier is fixed.
            Ends::PointToPoint(_) => self.counters.not_served += 1,
            Ends::Terminal { terminal, .. } => {
                let said = terminal.receive(message, &self.config, now);
                self.said(said, now);
            }
            Ends::Network(terminals) => {
                let acts = terminals.receive(message, &self.config, now);
                self.act(acts, now);
            }
        }
    }

    /// What the terminal's management says.
    fn said(&mut self, said: Said, now: Instant) {
        if let Some(message) = said.message {
            self.unnumbered(MANAGEMENT, &message.encode());
        }
        match said.change {
            Some(Change::Assigned(tei)) => {
                self.counters.assigned += 1;
                self.event(Event::Assigned(tei));
            }
            Some(Change::Lost(tei)) => {
                self.counters.removed += 1;
                if let Ends::Terminal { link, .. } = &mut self.ends {
                    link.abandon();
                    drain_link(tei, link, self.config.side, &mut self.outputs);
                }
                self.event(Event::Removed(tei));
            }
            Some(Change::Denied) => {
                self.counters.denied += 1;
                self.event(Event::Denied);
            }
            None => {}
        }
        self.drain(now);
    }

    /// What the network's management does.
    fn act(&mut self, acts: Vec<Act>, now: Instant) {
        for act in acts {
            match act {
                Act::Send(message) => self.unnumbered(MANAGEMENT, &message.encode()),
                Act::Assigned(tei) => {
                    self.counters.assigned += 1;
                    self.event(Event::Assigned(tei));
                }
                Act::Denied => self.counters.denied += 1,
                Act::Removed(tei, why) => {
                    self.counters.removed += 1;
                    self.counters.collisions += u64::from(why == Removal::Doubled);
                    if let Ends::Network(terminals) = &mut self.ends
                        && let Some(mut link) = terminals.remove(tei)
                    {
                        link.abandon();
                        drain_link(tei, &mut link, self.config.side, &mut self.outputs);
                    }
                    self.event(Event::Removed(tei));
                }
            }
        }
        self.drain(now);
    }

    /// Takes what the links have said. An answer nobody asked for makes management doubt.
    fn drain(&mut self, now: Instant) {
        let side = self.config.side;
        match &mut self.ends {
            Ends::PointToPoint(link) => {
                drain_link(Tei::POINT_TO_POINT, link, side, &mut self.outputs);
            }
            Ends::Terminal { terminal, link } => {
                let Some(tei) = terminal.tei() else { return };
                if drain_link(tei, link, side, &mut self.outputs) {
                    let said = terminal.doubt(&self.config, now);
                    self.said(said, now);
                }
            }
            Ends::Network(terminals) => {
                let mut doubted = Vec::new();
                for tei in terminals.teis() {
                    if let Some(link) = terminals.link(tei)
                        && drain_link(tei, link, side, &mut self.outputs)
                    {
                        doubted.extend(terminals.check(tei, &self.config, now));
                    }
                }
                if !doubted.is_empty() {
                    self.act(doubted, now);
                }
            }
        }
    }

    fn unnumbered(&mut self, sapi: u8, payload: &[u8]) {
        let address = Address {
            sapi,
            kind: Kind::Command,
            tei: Tei::BROADCAST,
        };
        let frame = Frame::Unnumbered {
            function: Unnumbered::UnnumberedInformation,
            poll_final: false,
            payload,
        };
        let mut octets = address.encode(self.config.side).to_vec();
        octets.extend(frame.encode());
        self.outputs.push_back(Output::Transmit(octets));
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

/// Moves what a link has said to the line's outputs; true if its address is in doubt.
fn drain_link(tei: Tei, link: &mut Link, side: Side, outputs: &mut VecDeque<Output>) -> bool {
    let mut doubt = false;
    loop {
        match link.poll_output() {
            link::Output::Transmit { kind, octets } => {
                let address = Address {
                    sapi: CALL_CONTROL,
                    kind,
                    tei,
                };
                let mut frame = address.encode(side).to_vec();
                frame.extend(octets);
                outputs.push_back(Output::Transmit(frame));
            }
            link::Output::Event(event) => {
                doubt |= event == link::Event::UnsolicitedAnswer;
                outputs.push_back(Output::Event(Event::Link { tei, event }));
            }
            link::Output::Timeout(_) => return doubt,
        }
    }
}

fn earliest(deadlines: impl IntoIterator<Item = Option<Instant>>) -> Option<Instant> {
    deadlines.into_iter().flatten().min()
}
