//! MC-IP's host port from the server's end: `command source destination`, each command answered by
//! `Ackd`, `Busy` or `Fail` with the command again.
//!
//! It tells who wishes to be called (`Icrq`, `Ican`), who talks with whom (`Ical`, `EndC`) and who
//! does not reply (`Hflt`), and connects and ends calls when it is asked to. Priorities, states, doors
//! and sound have no words here. Invariant: each command is answered once, with its own words.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::frames::Frames;
use super::{MOST_KNOWN, bare, provenance};
use crate::command::{Answer, CallRef, CallSetup, Cause, Command, Purpose, RequestRef, Verdict};
use crate::counters::LineCounters;
use crate::coverage::{CommandKind, Coverage, EventKind};
use crate::event::{Event, Faults, Provenance, TalkMode};
use crate::number::{Node, Number, Party};
use crate::pairs::Calls;
use crate::port::{AskId, LinkState, Picture, Reference};
use crate::priority::Priority;
use crate::session::Said;

const COVERAGE: Coverage = Coverage::NONE
    .commanded(CommandKind::CallSetup)
    .commanded(CommandKind::CallRelease)
    .event(EventKind::Opaque)
    .tells(EventKind::StationFaults)
    .tells(EventKind::RequestNew)
    .tells(EventKind::RequestCancelled)
    .tells(EventKind::RequestClosed)
    .tells(EventKind::CallConnected)
    .tells(EventKind::CallReleased);

const END: &[u8] = b"\r\n";
/// Faults of which it says that the station does not reply.
const SILENT: u16 = Faults::NO_REPLY.0 | Faults::LINE_OPEN.0 | Faults::LINE_SHORT.0;

#[derive(Debug)]
pub struct McIpServer {
    own: Node,
    gateway: Node,
    frames: Frames,
    /// By their numbers alone, as the line names them.
    calls: Calls,
    /// What was asked, in its own words, and the call that it began.
    asked: BTreeMap<AskId, (String, Option<CallRef>)>,
    next_ask: u64,
    requests: VecDeque<(RequestRef, Number, Number)>,
    counters: LineCounters,
    said: VecDeque<Said>,
}

/// What a telegram asks.
enum Asked<'a> {
    Hello,
    Call(&'a str, Number, Number),
    Unknown,
}

impl McIpServer {
    /// Stations are at home at `own`; who calls them over the line, at `gateway`.
    pub fn new(own: Node, gateway: Node) -> Self {
        Self {
            own,
            gateway,
            frames: Frames::new(END),
            calls: Calls::default(),
            asked: BTreeMap::new(),
            next_ask: 1,
            requests: VecDeque::new(),
            counters: LineCounters::default(),
            said: VecDeque::new(),
        }
    }

    fn telegram(&mut self, line: &[u8], now: Instant) {
        let Ok(text) = std::str::from_utf8(line) else {
            self.counters.malformed += 1;
            return;
        };
        if text.is_empty() {
            return;
        }
        self.counters.frames += 1;
        let from = provenance(line, now);
        match understand(text) {
            Asked::Hello => self.say(&format!("Ackd {text}")),
            Asked::Call("Ical", source, to) => self.set_up(text, source, to, from),
            Asked::Call("EndC", source, to) => self.end(text, source, to, from),
            Asked::Call(..) | Asked::Unknown => {
                self.counters.unknown += 1;
                self.say(&format!("Fail {text}"));
                let event = Event::Opaque { kind: None };
                self.said.push_back(Said::Happened(event, from));
            }
        }
    }

    fn set_up(&mut self, text: &str, source: Number, to: Number, from: Provenance) {
        let call = self.calls.call_of(self.here(source), self.here(to));
        let setup = CallSetup {
            call,
            from: Party {
                node: self.gateway,
                number: source,
            },
            to: self.here(to),
            priority: Priority::NORMAL,
            mode: TalkMode::OpenDuplex,
            text: None,
            sound: None,
        };
        self.ask(text, Some(call), Command::CallSetup(setup), from);
    }

    fn end(&mut self, text: &str, source: Number, to: Number, from: Provenance) {
        let call = self.calls.find(self.here(source), self.here(to));
        let Some(call) = call else {
            return self.say(&format!("Fail {text}"));
        };
        self.calls.forget(call);
        let cause = Cause::NORMAL;
        self.ask(text, None, Command::CallRelease { call, cause }, from);
    }

    fn ask(&mut self, text: &str, begins: Option<CallRef>, command: Command, from: Provenance) {
        if self.asked.len() >= MOST_KNOWN {
            self.counters.overflows += 1;
            return self.say(&format!("Busy {text}"));
        }
        let ask = AskId(self.next_ask);
        self.next_ask += 1;
        self.asked.insert(ask, (text.to_owned(), begins));
        self.said.push_back(Said::Asked(Some(ask), command, from));
    }

    const fn here(&self, number: Number) -> Party {
        Party {
            node: self.own,
            number,
        }
    }

    fn say(&mut self, text: &str) {
        let octets = [text.as_bytes(), END].concat();
        self.said.push_back(Said::Send(octets));
    }

    fn tell_pair(&mut self, verb: &str, from: Number, to: Number) {
        self.say(&format!("{verb} {from} {to}"));
    }

    fn requested(&mut self, request: RequestRef, from: Party, to: Party) {
        if self.requests.len() >= MOST_KNOWN {
            self.requests.pop_front();
        }
        let (from, to) = (bare(from), bare(to));
        self.requests.push_back((request, from, to));
        self.tell_pair("Icrq", from, to);
    }

    fn no_longer_requested(&mut self, request: RequestRef) {
        let mut requests = self.requests.iter();
        let at = requests.position(|(known, ..)| *known == request);
        if let Some((_, from, to)) = at.and_then(|at| self.requests.remove(at)) {
            self.tell_pair("Ican", from, to);
        }
    }
}

fn understand(text: &str) -> Asked<'_> {
    if text == "Hello" {
        return Asked::Hello;
    }
    let mut words = text.split(' ');
    let (verb, source, to, rest) = (words.next(), words.next(), words.next(), words.next());
    let number = |word: Option<&str>| Number::new(word?).ok();
    match (verb, number(source), number(to), rest) {
        (Some(verb), Some(source), Some(to), None) => Asked::Call(verb, source, to),
        _ => Asked::Unknown,
    }
}

impl crate::session::Session for McIpServer {
    fn coverage(&self) -> Coverage {
        COVERAGE
    }

    fn counters(&self) -> &LineCounters {
        &self.counters
    }

    fn opened(&mut self, _now: Instant) {
        self.frames.clear();
        self.said
            .push_back(Said::Link(LinkState::Up(Picture::None)));
    }

    fn closed(&mut self) {
        self.said.clear();
        self.calls.clear();
        self.asked.clear();
    }

    fn received(&mut self, bytes: &[u8], now: Instant) {
        for octet in bytes {
            match self.frames.push(*octet) {
                Some(Ok(line)) => self.telegram(&line, now),
                Some(Err(_)) => self.counters.oversize += 1,
                None => {}
            }
        }
    }

    fn command(&mut self, reference: Reference, _: &Command, _: Purpose, _now: Instant) {
        let answer = Verdict::Unsupported.into();
        self.said.push_back(Said::Done(reference, answer));
    }

    fn tell(&mut self, event: &Event, _now: Instant) {
        match event {
            Event::RequestNew(request) => {
                if let Some(to) = request.to {
                    self.requested(request.request, request.from, to);
                }
            }
            Event::RequestCancelled { request } | Event::RequestClosed { request, .. } => {
                self.no_longer_requested(*request);
            }
            Event::CallConnected(told) => {
                if let (Some(from), Some(to)) = (told.from, told.to) {
                    let (from, to) = (self.here(bare(from)), self.here(bare(to)));
                    self.calls.remember(told.call, from, to);
                }
                if let Some((from, to)) = self.calls.parties(told.call) {
                    self.tell_pair("Ical", bare(from), bare(to));
                }
            }
            Event::CallReleased { call, .. } => {
                if let Some((from, to)) = self.calls.parties(*call) {
                    self.calls.forget(*call);
                    self.tell_pair("EndC", bare(from), bare(to));
                }
            }
            Event::StationFaults { station, faults } if faults.0 & SILENT != 0 => {
                self.tell_pair("Hflt", bare(*station), Number::SERVER);
            }
            Event::StationFaults { .. }
            | Event::StationState { .. }
            | Event::LineTested { .. }
            | Event::RequestUpdated(_)
            | Event::CallProgress(_)
            | Event::OutputState { .. }
            | Event::InputState { .. }
            | Event::DoorState { .. }
            | Event::Opaque { .. } => {}
        }
    }

    fn item(&mut self, _ask: AskId, _event: &Event, _now: Instant) {}

    fn answer(&mut self, ask: AskId, answer: &Answer, _now: Instant) {
        let Some((text, begun)) = self.asked.remove(&ask) else {
            return;
        };
        let word = match answer.verdict {
            Verdict::Done | Verdict::Accepted | Verdict::Sent => "Ackd",
            Verdict::Busy | Verdict::RateLimited => "Busy",
            Verdict::NoSuchNumber
            | Verdict::NotAllowed
            | Verdict::AlreadyTaken
            | Verdict::Expired
            | Verdict::Unsupported
            | Verdict::Loop
            | Verdict::NodeUnreachable
            | Verdict::TestRefused
            | Verdict::NotConnected
            | Verdict::LineLost
            | Verdict::NoAnswer => "Fail",
        };
        if let (Some(call), true) = (begun, word != "Ackd") {
            self.calls.forget(call);
        }
        self.say(&format!("{word} {text}"));
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn poll(&mut self) -> Option<Said> {
        self.said.pop_front()
    }
}
