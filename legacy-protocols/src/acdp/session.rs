//! One line to a server that speaks ACDP: bytes to neutral words and back.
//!
//! There is no handshake and no keep-alive, so the line is up as soon as it is open, and nothing is
//! known until it is told. Calls have no number of their own on the wire: they are named by their
//! two stations, which this session remembers, as many as fit.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::codec::Checksum;
use super::mapping::{CallMode, Meaning, Response, express, understand};
use super::message::{Device, Message};
use super::telegrams::{Heard, Telegrams};
use crate::command::{Answer, CallRef, Cause, Command, Purpose, RequestRef, Verdict};
use crate::counters::LineCounters;
use crate::coverage::{CommandKind, Coverage, EventKind};
use crate::event::{CallConnected, CallProgress, CallRequest, Event, Progress, Provenance};
use crate::number::{Node, Number, Party};
use crate::pairs::Calls;
use crate::port::{AskId, LinkState, Picture, Reference};
use crate::priority::Priority;
use crate::session::Said;

#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// What we are on this line.
    pub own: Device,
    /// The server at the other end.
    pub server: Device,
    pub checksum: Checksum,
    /// How many exchanges our messages may pass.
    pub hops: u8,
}

/// Call set-ups without a result that are remembered at most.
const MOST_SETUPS: usize = 256;

const COVERAGE: Coverage = Coverage::NONE
    .command(CommandKind::CallSetup)
    .command(CommandKind::CallRelease)
    .command(CommandKind::Keys)
    .command(CommandKind::TalkKey)
    .command(CommandKind::ShowText)
    .commanded(CommandKind::Keys)
    .commanded(CommandKind::TalkKey)
    .event(EventKind::StationState)
    .event(EventKind::CallProgress)
    .event(EventKind::CallConnected)
    .event(EventKind::CallReleased)
    .event(EventKind::RequestNew)
    .event(EventKind::RequestClosed)
    .event(EventKind::InputState)
    .event(EventKind::OutputState)
    .event(EventKind::Opaque);

#[derive(Debug)]
pub struct Session {
    config: Config,
    telegrams: Telegrams,
    calls: Calls,
    /// By the reference on the wire; the command is answered once.
    setups: BTreeMap<u16, (Option<Reference>, CallRef)>,
    said: VecDeque<Said>,
}

impl Session {
    pub fn new(config: Config) -> Self {
        Self {
            telegrams: Telegrams::new(config),
            config,
            calls: Calls::default(),
            setups: BTreeMap::new(),
            said: VecDeque::new(),
        }
    }

    fn home(&self) -> Node {
        Node(u16::from(self.config.server.node))
    }

    fn heard(&mut self, Heard { message, from }: Heard) {
        let Some(message) = message else {
            self.happened(Event::Opaque { kind: None }, from);
            return;
        };
        let meaning = (message.class == Message::INTERCOM)
            .then(|| understand(message.id, &message.parameters, self.home()))
            .flatten();
        match meaning {
            Some(meaning) => self.act(meaning, message.reference, from),
            None => {
                self.telegrams.counters.unknown += 1;
                let kind = Some(message.id);
                self.happened(Event::Opaque { kind }, from);
            }
        }
    }

    fn act(&mut self, meaning: Meaning, reference: u16, from: Provenance) {
        let event = match meaning {
            Meaning::Station(station, state) => Event::StationState { station, state },
            Meaning::Call {
                from: a,
                to: b,
                priority,
                mode,
            } => self.call(a, b, priority, mode),
            Meaning::Connected { from: a, to: b } => Event::CallConnected(CallConnected {
                call: self.calls.call_of(a, b),
                from: Some(a),
                to: Some(b),
                mode: None,
                sound: None,
            }),
            Meaning::Disconnected { from: a, to: b } => {
                let call = self.calls.call_of(a, b);
                self.calls.forget(call);
                let cause = Cause::NORMAL;
                Event::CallReleased { call, cause }
            }
            Meaning::Queued {
                desk,
                tag,
                priority,
                from: asking,
                text,
            } => Event::RequestNew(CallRequest {
                request: request_of(desk, tag),
                from: asking.unwrap_or(self.server()),
                to: Some(desk),
                priority,
                text: Some(text).filter(|text| !text.as_str().is_empty()),
            }),
            // The wire does not tell why: it was taken, or taken back.
            Meaning::Unqueued { desk, tag } => Event::RequestClosed {
                request: request_of(desk, tag),
                cause: Cause::NORMAL,
                by: None,
            },
            Meaning::Input { number, state } => Event::InputState {
                station: self.server(),
                input: number,
                state,
            },
            Meaning::Output { number, state } => Event::OutputState {
                station: self.server(),
                output: number,
                state,
            },
            Meaning::Keys { station, keys } => {
                let command = Command::Keys { station, keys };
                self.said.push_back(Said::Asked(None, command, from));
                return;
            }
            Meaning::TalkKey { station, key } => {
                let command = Command::TalkKey { station, key };
                self.said.push_back(Said::Asked(None, command, from));
                return;
            }
            Meaning::Response(response) => {
                self.response(response, reference, from);
                return;
            }
        };
        self.happened(event, from);
    }

    fn call(
        &mut self,
        from: Party,
        to: Party,
        priority: Option<Priority>,
        mode: CallMode,
    ) -> Event {
        let call = self.calls.call_of(from, to);
        let cause = match mode {
            CallMode::Open | CallMode::Private => {
                return Event::CallProgress(CallProgress {
                    call,
                    progress: Progress::Ringing,
                    from: Some(from),
                    to: Some(to),
                    priority,
                    sound: None,
                });
            }
            CallMode::NoAccess => Cause::REJECTED,
            CallMode::Busy => Cause::BUSY,
        };
        self.calls.forget(call);
        Event::CallReleased { call, cause }
    }

    fn response(&mut self, response: Response, reference: u16, from: Provenance) {
        let Some((asked, call)) = self.setups.get_mut(&reference) else {
            self.happened(Event::Opaque { kind: None }, from);
            return;
        };
        let (asked, call) = (asked.take(), *call);
        let answer = match response {
            Response::Begun => Answer::from(Verdict::Accepted),
            Response::StationBusy => refused(Verdict::Busy, Cause::BUSY),
            Response::StationDown => refused(Verdict::NodeUnreachable, Cause::OUT_OF_ORDER),
            Response::ResourceBusy => refused(Verdict::Busy, Cause(34)),
            Response::NoAccess => refused(Verdict::NotAllowed, Cause::REJECTED),
            Response::Disconnected => Answer::from(Verdict::Accepted),
        };
        if response != Response::Begun {
            self.setups.remove(&reference);
            self.calls.forget(call);
        }
        if let Some(asked) = asked {
            self.said.push_back(Said::Done(asked, answer));
        }
        if response == Response::Disconnected {
            let cause = Cause::NORMAL;
            self.happened(Event::CallReleased { call, cause }, from);
        }
    }

    /// Stands for the server itself, for inputs, outputs and requests of no station.
    fn server(&self) -> Party {
        Party {
            node: self.home(),
            number: Number::SERVER,
        }
    }

    fn happened(&mut self, event: Event, from: Provenance) {
        self.said.push_back(Said::Happened(event, from));
    }

    fn done(&mut self, reference: Reference, verdict: Verdict) {
        self.said.push_back(Said::Done(reference, verdict.into()));
    }
}

impl crate::session::Session for Session {
    fn coverage(&self) -> Coverage {
        COVERAGE
    }

    fn counters(&self) -> &LineCounters {
        &self.telegrams.counters
    }

    fn opened(&mut self, _now: Instant) {
        self.telegrams.clear();
        self.said
            .push_back(Said::Link(LinkState::Up(Picture::None)));
    }

    fn closed(&mut self) {
        self.said.clear();
        self.setups.clear();
        self.calls.clear();
    }

    fn received(&mut self, bytes: &[u8], now: Instant) {
        for heard in self.telegrams.hear(bytes, now) {
            self.heard(heard);
        }
        if self.telegrams.is_something_else() {
            self.said.push_back(Said::Broken(
                "nothing that arrives is ACDP; check speed, parity and the other end's protocol",
            ));
        }
    }

    fn command(
        &mut self,
        reference: Reference,
        command: &Command,
        purpose: Purpose,
        _now: Instant,
    ) {
        // The wire cannot say that something is a test.
        if purpose == Purpose::Test {
            self.done(reference, Verdict::TestRefused);
            return;
        }
        let mut released = None;
        if let Command::CallRelease { call, .. } = command {
            let Some((from, _)) = self.calls.parties(*call) else {
                self.done(reference, Verdict::NoSuchNumber);
                return;
            };
            released = Some(from);
        }
        let Some((id, parameters)) = express(command, released) else {
            self.done(reference, Verdict::Unsupported);
            return;
        };
        let (wire, telegram) = self.telegrams.say(id, parameters);
        self.said.push_back(telegram);
        let Command::CallSetup(setup) = command else {
            self.done(reference, Verdict::Sent);
            return;
        };
        self.calls.remember(setup.call, setup.from, setup.to);
        if self.setups.len() >= MOST_SETUPS {
            self.setups.pop_first();
        }
        self.setups.insert(wire, (Some(reference), setup.call));
    }

    fn tell(&mut self, _event: &Event, _now: Instant) {}

    fn item(&mut self, _ask: AskId, _event: &Event, _now: Instant) {}

    fn answer(&mut self, _ask: AskId, _answer: &Answer, _now: Instant) {}

    fn handle_timeout(&mut self, _now: Instant) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn poll(&mut self) -> Option<Said> {
        self.said.pop_front()
    }
}

fn refused(verdict: Verdict, cause: Cause) -> Answer {
    Answer {
        cause: Some(cause),
        ..verdict.into()
    }
}

/// A tag is unique at the queue of one station.
fn request_of(desk: Party, tag: u16) -> RequestRef {
    let desk = desk
        .number
        .digits()
        .iter()
        .fold(u64::from(desk.node.0) + 1, |sum, digit| {
            sum * 16 + u64::from(*digit)
        });
    RequestRef(desk << 16 | u64::from(tag))
}
