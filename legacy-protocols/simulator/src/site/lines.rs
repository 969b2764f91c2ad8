//! The site's ends of its lines: one port each, and what was asked over it.

use std::collections::BTreeMap;
use std::time::Instant;

use legacy_protocols::command::{Answer, CallRef, Command, Purpose, RequestRef, Verdict};
use legacy_protocols::event::{Event, StationState};
use legacy_protocols::number::{Node, Party};
use legacy_protocols::port::{self, AskId, Input, LinkState, Port, Protocol, Reference};

use super::plan::LinePlan;
use super::station::CallId;
use super::{LineCommand, LineEvent, Output, Site};

/// Stations of the other end whose lamps are known at most.
const MOST_THEIRS: usize = 4096;

#[derive(Debug)]
pub struct Line {
    pub name: String,
    pub gateway: Node,
    port: Port,
    pub(super) channels: Option<std::net::SocketAddr>,
    /// Whether numbers of calls and requests that we choose carry the port's bit: where the protocol
    /// passes numbers on, we are the end that sets it.
    of_port: bool,
    deadline: Option<Instant>,
    next_reference: u64,
    pub(super) pending: BTreeMap<Reference, Pending>,
    theirs: BTreeMap<Party, StationState>,
}

/// What a command of ours was for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pending {
    SetUp(CallId),
    Claim {
        desk: Party,
        request: RequestRef,
    },
    Door {
        desk: Party,
    },
    /// Whoever did it is told when it did not work.
    Other(Option<Party>),
}

impl Line {
    pub(super) fn new(plan: LinePlan, now: Instant) -> Self {
        Self {
            name: plan.name,
            gateway: plan.gateway,
            channels: plan.channels,
            of_port: matches!(plan.protocol, Protocol::OpenLink(_)),
            port: Port::new(plan.port, plan.protocol, plan.seed, now),
            deadline: None,
            next_reference: 1,
            pending: BTreeMap::new(),
            theirs: BTreeMap::new(),
        }
    }

    pub fn state(&self) -> LinkState {
        self.port.link()
    }

    pub fn is_up(&self) -> bool {
        matches!(self.state(), LinkState::Up(_) | LinkState::Suspect)
    }

    /// The lamp of a station at the other end, as we were told.
    pub fn theirs(&self) -> impl Iterator<Item = (Party, StationState)> {
        self.theirs.iter().map(|(party, state)| (*party, *state))
    }

    pub(super) fn handle(&mut self, event: LineEvent<'_>, now: Instant) {
        let input = match event {
            LineEvent::Opened => Input::Opened,
            LineEvent::Closed => Input::Closed,
            LineEvent::Received(bytes) => Input::Received(bytes),
        };
        self.port.handle(input, now);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|at| at <= now) {
            self.port.handle_timeout(now);
        }
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn tell(&mut self, event: Event, now: Instant) {
        self.port.handle(Input::Tell(event), now);
    }

    pub(super) fn item(&mut self, ask: AskId, event: Event, now: Instant) {
        self.port.handle(Input::Item { ask, event }, now);
    }

    pub(super) fn answer(&mut self, ask: Option<AskId>, answer: Answer, now: Instant) {
        if let Some(ask) = ask {
            self.port.handle(Input::Answer { ask, answer }, now);
        }
    }

    pub(super) fn ask(&mut self, command: Command, pending: Pending, now: Instant) {
        let reference = Reference(self.next_reference);
        self.next_reference += 1;
        self.pending.insert(reference, pending);
        let purpose = Purpose::Live;
        self.port.handle(
            Input::Command {
                reference,
                command,
                purpose,
            },
            now,
        );
    }

    /// The B channel of a call, once it has one.
    pub(super) fn channel(&self, call: CallRef) -> Option<u8> {
        self.port.channel(call)
    }

    /// A number of ours, for a call or a request on this line.
    pub(super) const fn number(&self, fresh: u64) -> u64 {
        if self.of_port {
            fresh | CallRef::OF_PORT
        } else {
            fresh
        }
    }

    fn learn(&mut self, station: Party, state: StationState) {
        if self.theirs.len() < MOST_THEIRS || self.theirs.contains_key(&station) {
            self.theirs.insert(station, state);
        }
    }
}

impl Site {
    /// Takes what the ports have said. False: nothing.
    pub(super) fn hear_lines(&mut self, now: Instant) -> bool {
        let mut anything = false;
        for line in 0..self.lines.len() {
            loop {
                let output = self.lines[line].port.poll_output();
                if let port::Output::Timeout(deadline) = output {
                    self.lines[line].deadline = deadline;
                    break;
                }
                anything = true;
                self.said(line, output, now);
            }
        }
        anything
    }

    fn said(&mut self, line: usize, output: port::Output, now: Instant) {
        let command = match output {
            port::Output::Open => LineCommand::Open,
            port::Output::Send(bytes) => LineCommand::Send(bytes),
            port::Output::Close { why } => LineCommand::Close { why },
            port::Output::Link(state) => return self.line_is(line, state, now),
            port::Output::Happened { event, .. } => return self.heard(line, event, now),
            port::Output::Asked { ask, command, .. } => {
                return self.asked(line, ask, command, now);
            }
            port::Output::Done { reference, answer } => {
                return self.done(line, reference, &answer, now);
            }
            // Drained by the caller; what a picture names is heard item by item.
            port::Output::Timeout(_) | port::Output::Picture(_) => return,
        };
        self.outputs.push_back(Output::Line { line, command });
    }

    fn line_is(&mut self, line: usize, state: LinkState, now: Instant) {
        let name = self.lines[line].name.clone();
        match state {
            LinkState::Up(_) => self.note(format!("line {name} is up")),
            LinkState::Suspect => self.note(format!("line {name} is silent")),
            LinkState::Down => self.note(format!("line {name} is down")),
            LinkState::Connecting | LinkState::Syncing => {}
        }
        if matches!(state, LinkState::Down | LinkState::Connecting) {
            self.lines[line].theirs.clear();
            self.requests.line_lost(line);
            self.calls_lost(line, now);
        }
        self.outputs.push_back(Output::LineState { line, state });
    }

    fn heard(&mut self, line: usize, event: Event, now: Instant) {
        match event {
            Event::StationState { station, state } => self.lines[line].learn(station, state),
            Event::CallProgress(progress) => self.call_progress(line, &progress),
            Event::CallConnected(connected) => self.call_connected(line, &connected, now),
            Event::CallReleased { call, cause } => self.call_released(line, call, cause, now),
            Event::RequestClosed { request, .. } | Event::RequestCancelled { request } => {
                self.requests.withdraw(line, request);
            }
            Event::DoorState {
                station,
                output,
                state,
                ..
            } => {
                let title = self.title(station);
                self.note(format!("door {output} of {title}: {state:?}"));
            }
            Event::StationFaults { .. }
            | Event::LineTested { .. }
            | Event::RequestNew(_)
            | Event::RequestUpdated(_)
            | Event::OutputState { .. }
            | Event::InputState { .. }
            | Event::Opaque { .. } => {}
        }
    }

    fn done(&mut self, line: usize, reference: Reference, answer: &Answer, now: Instant) {
        let Some(pending) = self.lines[line].pending.remove(&reference) else {
            return;
        };
        let worked = matches!(
            answer.verdict,
            Verdict::Done | Verdict::Accepted | Verdict::Sent
        );
        match pending {
            Pending::SetUp(call) if !worked => self.set_up_failed(call, answer, now),
            Pending::SetUp(_) => {}
            Pending::Claim { desk, request } => self.claimed(line, desk, request, answer, now),
            Pending::Door { desk } => {
                let text = match worked {
                    true => "Door: sent".to_owned(),
                    false => format!("Door: {}", reason(answer)),
                };
                self.show(desk, &text);
            }
            Pending::Other(station) => {
                if let Some(station) = station.filter(|_| !worked) {
                    self.show(station, &reason(answer));
                }
            }
        }
    }
}

/// What a display says about a refusal.
pub(super) fn reason(answer: &Answer) -> String {
    if let Some(text) = &answer.text {
        return text.as_str().to_owned();
    }
    let text = match answer.verdict {
        Verdict::Done | Verdict::Accepted | Verdict::Sent => "done",
        Verdict::Busy => "busy",
        Verdict::NoSuchNumber => "no such number",
        Verdict::NotAllowed => "not allowed",
        Verdict::AlreadyTaken => "already taken",
        Verdict::Expired => "too late",
        Verdict::Unsupported => "not possible over this line",
        Verdict::Loop => "goes in a circle",
        Verdict::NodeUnreachable => "cannot be reached",
        Verdict::TestRefused => "refused as a test",
        Verdict::RateLimited => "too often",
        Verdict::NotConnected => "line is down",
        Verdict::LineLost => "line was lost",
        Verdict::NoAnswer => "no answer",
    };
    text.to_owned()
}
