//! OpenWebNet's video door entry (WHO 8) from the server's end, without a password.
//!
//! What a connection is for, the client says first: `*99*0##` (`*99*9##` with some) commands, `*99*1##`
//! events. On one for commands each frame is answered by ACK or NACK: locks
//! are told to open and to close, everything else is refused. On one for events it tells who rings
//! whom and what locks do. No lights, no temperatures, no other WHO. Invariant: each command is
//! answered once and in the order in which they came.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::frames::Frames;
use super::{MOST_KNOWN, bare, provenance};
use crate::command::{
    Answer, Authority, Command, OutputAction, OutputCommand, OutputId, Purpose, Switch, Verdict,
};
use crate::counters::LineCounters;
use crate::coverage::{CommandKind, Coverage, EventKind};
use crate::event::{Event, Progress, Provenance};
use crate::number::{Node, Number, Party};
use crate::port::{AskId, LinkState, Picture, Reference};
use crate::session::Said;

const COVERAGE: Coverage = Coverage::NONE
    .commanded(CommandKind::DoorOpen)
    .commanded(CommandKind::OutputSet)
    .event(EventKind::Opaque)
    .tells(EventKind::RequestNew)
    .tells(EventKind::CallProgress)
    .tells(EventKind::OutputState);

const ACK: &str = "#*1";
const NACK: &str = "#*0";
const END: &[u8] = b"##";
/// The lock of a place; no frame has a number for a second one.
const LOCK: u16 = 1;
/// How long a lock that was told to open stays open.
const PULSE: Duration = Duration::from_secs(3);
/// It is carried out as it arrives.
const AT_ONCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct OpenWebNetServer {
    own: Node,
    frames: Frames,
    connection: Connection,
    /// What has no answer yet, in order; some are answered already and wait for an earlier one.
    asked: VecDeque<(AskId, Option<Verdict>)>,
    next_ask: u64,
    counters: LineCounters,
    said: VecDeque<Said>,
}

/// What it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Unsaid,
    Commands,
    Events,
}

impl OpenWebNetServer {
    pub fn new(own: Node) -> Self {
        Self {
            own,
            frames: Frames::new(END),
            connection: Connection::Unsaid,
            asked: VecDeque::new(),
            next_ask: 1,
            counters: LineCounters::default(),
            said: VecDeque::new(),
        }
    }

    fn frame(&mut self, frame: &[u8], now: Instant) {
        let text = std::str::from_utf8(frame).ok();
        let Some(contents) = text.and_then(|text| text.trim_start().strip_prefix('*')) else {
            self.counters.malformed += 1;
            return;
        };
        self.counters.frames += 1;
        let from = provenance(frame, now);
        match self.connection {
            Connection::Unsaid => self.greeted(contents),
            Connection::Commands => self.commanded(contents, from, now),
            Connection::Events => {
                self.counters.unknown += 1;
                let event = Event::Opaque { kind: None };
                self.said.push_back(Said::Happened(event, from));
            }
        }
    }

    fn greeted(&mut self, contents: &str) {
        self.connection = match contents {
            "99*0" | "99*9" => Connection::Commands,
            "99*1" => Connection::Events,
            _ => {
                self.counters.unknown += 1;
                self.say(NACK);
                return;
            }
        };
        self.say(ACK);
        self.said
            .push_back(Said::Link(LinkState::Up(Picture::None)));
    }

    fn commanded(&mut self, contents: &str, from: Provenance, now: Instant) {
        let ask = AskId(self.next_ask);
        self.next_ask += 1;
        let command = lock(contents).map(|(place, switch)| self.drive(ask, place, switch, now));
        let refused = match &command {
            None => {
                self.counters.unknown += 1;
                let event = Event::Opaque { kind: None };
                self.said.push_back(Said::Happened(event, from.clone()));
                Some(Verdict::Unsupported)
            }
            Some(_) => None,
        };
        if self.asked.len() >= MOST_KNOWN {
            self.counters.overflows += 1;
            let why = "more commands at once than a server takes";
            self.said.push_back(Said::Broken(why));
            return;
        }
        self.asked.push_back((ask, refused));
        if let Some(command) = command {
            self.said.push_back(Said::Asked(Some(ask), command, from));
        }
        self.answer_in_order();
    }

    fn drive(&self, ask: AskId, place: Number, switch: Switch, now: Instant) -> Command {
        let output = |action| OutputCommand {
            // The line has no numbers; each frame is meant once.
            id: OutputId(ask.0),
            station: Party {
                node: self.own,
                number: place,
            },
            output: LOCK,
            action,
            authority: Authority::new(b"openwebnet").unwrap_or_default(),
            valid_until: now + AT_ONCE,
        };
        match switch {
            Switch::On => Command::DoorOpen(output(OutputAction::Pulse(PULSE))),
            Switch::Off => Command::OutputSet(output(OutputAction::Set(Switch::Off))),
        }
    }

    fn answer_in_order(&mut self) {
        while let Some((_, Some(verdict))) = self.asked.front() {
            let word = match verdict {
                Verdict::Done | Verdict::Accepted | Verdict::Sent => ACK,
                _ => NACK,
            };
            self.asked.pop_front();
            self.say(word);
        }
    }

    fn rings(&mut self, from: Party, to: Party) {
        self.happens(&format!("8*1#1#4#{}*{}", bare(from), bare(to)));
    }

    /// For those who listen.
    fn happens(&mut self, contents: &str) {
        if self.connection == Connection::Events {
            self.say(contents);
        }
    }

    fn say(&mut self, contents: &str) {
        let octets = format!("*{contents}##").into_bytes();
        self.said.push_back(Said::Send(octets));
    }
}

/// `8*19*WHERE` opens, `8*20*WHERE` closes.
fn lock(contents: &str) -> Option<(Number, Switch)> {
    let opens = contents.strip_prefix("8*19*").map(|at| (at, Switch::On));
    let closes = || contents.strip_prefix("8*20*").map(|at| (at, Switch::Off));
    let (place, switch) = opens.or_else(closes)?;
    Some((Number::new(place).ok()?, switch))
}

impl crate::session::Session for OpenWebNetServer {
    fn coverage(&self) -> Coverage {
        COVERAGE
    }

    fn counters(&self) -> &LineCounters {
        &self.counters
    }

    fn opened(&mut self, _now: Instant) {
        self.frames.clear();
        self.connection = Connection::Unsaid;
        self.say(ACK);
    }

    fn closed(&mut self) {
        self.connection = Connection::Unsaid;
        self.said.clear();
        self.asked.clear();
    }

    fn received(&mut self, bytes: &[u8], now: Instant) {
        for octet in bytes {
            match self.frames.push(*octet) {
                Some(Ok(frame)) => self.frame(&frame, now),
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
                    self.rings(request.from, to);
                }
            }
            Event::CallProgress(told) if told.progress == Progress::Ringing => {
                if let (Some(from), Some(to)) = (told.from, told.to) {
                    self.rings(from, to);
                }
            }
            Event::OutputState {
                station,
                output: LOCK,
                state,
            } => {
                let what = match state {
                    Switch::On => "19",
                    Switch::Off => "20",
                };
                self.happens(&format!("8*{what}*{}", bare(*station)));
            }
            Event::CallProgress(_)
            | Event::OutputState { .. }
            | Event::StationState { .. }
            | Event::StationFaults { .. }
            | Event::LineTested { .. }
            | Event::RequestUpdated(_)
            | Event::RequestCancelled { .. }
            | Event::RequestClosed { .. }
            | Event::CallConnected(_)
            | Event::CallReleased { .. }
            | Event::InputState { .. }
            | Event::DoorState { .. }
            | Event::Opaque { .. } => {}
        }
    }

    fn item(&mut self, _ask: AskId, _event: &Event, _now: Instant) {}

    fn answer(&mut self, ask: AskId, answer: &Answer, _now: Instant) {
        let mut asked = self.asked.iter_mut();
        if let Some((_, verdict)) = asked.find(|(known, _)| *known == ask) {
            *verdict = Some(answer.verdict);
        }
        self.answer_in_order();
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn poll(&mut self) -> Option<Said> {
        self.said.pop_front()
    }
}
