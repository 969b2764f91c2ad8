//! An ISDN line as a port: the calls of a `Line` in the neutral words of all lines.
//!
//! Each chunk that the port receives or sends is one frame of the D channel. B channels are told by
//! number; whoever carries them joins the audio. Numbers of more than eight digits are refused, as
//! no intercom has them. A number that may go on (overlap) is asked for until it is as long as the
//! configuration says, or the caller stops.
//!
//! Invariant: each call that the line knows has one entry here, from its first word to `Ended`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::codec::{CauseValue, Location, Message, ProgressDescription, ProgressIndicator};
use super::codec::{Number as Digits, Numbering};
use super::link::{Side, Topology};
use super::session::{self, CallError, CallEvent, CallId, IncomingCall, Line, Setup};
use crate::command::{Answer, CallRef, CallSetup, Cause, Command, Keys, Purpose, Verdict};
use crate::counters::LineCounters;
use crate::coverage::{CommandKind, Coverage, EventKind};
use crate::event::{CallConnected, CallProgress, Event, Origin, Progress, Provenance, TalkMode};
use crate::number::{Node, Number, Party};
use crate::port::{AskId, LinkState, Picture, Reference};
use crate::priority::Priority;
use crate::session::Said;
use crate::text::Text;

#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub line: session::Config,
    /// Where the numbers that the line calls are at home, and those that call us.
    pub own: Node,
    pub other: Node,
    /// So many digits make a whole number, where the caller does not say that it is whole. None: what
    /// comes first is whole.
    pub whole_number: Option<usize>,
    pub seed: u64,
}

const COVERAGE: Coverage = Coverage::NONE
    .command(CommandKind::CallSetup)
    .command(CommandKind::CallRelease)
    .command(CommandKind::Keys)
    .command(CommandKind::ShowText)
    .commanded(CommandKind::CallSetup)
    .commanded(CommandKind::Keys)
    .event(EventKind::CallProgress)
    .event(EventKind::CallConnected)
    .event(EventKind::CallReleased)
    .event(EventKind::Opaque)
    .tells(EventKind::CallProgress)
    .tells(EventKind::CallConnected)
    .tells(EventKind::CallReleased);

/// Tones or announcements of ours can be heard (Q.931 4.5.23).
const IN_BAND: ProgressIndicator = ProgressIndicator {
    location: Location::PrivateLocal,
    description: ProgressDescription::InBand,
};

#[derive(Debug)]
pub struct Session {
    config: Config,
    line: Option<Line>,
    /// Each opening has other random pauses.
    openings: u64,
    deadline: Option<Instant>,
    calls: BTreeMap<CallId, Known>,
    by_ref: BTreeMap<CallRef, CallId>,
    asks: BTreeMap<AskId, CallId>,
    next_ask: u64,
    counters: LineCounters,
    said: VecDeque<Said>,
}

#[derive(Debug)]
struct Known {
    call: CallRef,
    from: Party,
    /// None: it is still being dialled.
    to: Option<Party>,
    /// The command that made it, as long as it has no answer.
    made_by: Option<Reference>,
    dialled: String,
    text: Text,
}

impl Session {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            line: None,
            openings: 0,
            deadline: None,
            calls: BTreeMap::new(),
            by_ref: BTreeMap::new(),
            asks: BTreeMap::new(),
            next_ask: 1,
            counters: LineCounters::default(),
            said: VecDeque::new(),
        }
    }

    fn pump(&mut self, now: Instant) {
        while let Some(line) = &mut self.line {
            match line.poll_output() {
                session::Output::Transmit(frame) => self.said.push_back(Said::Send(frame)),
                session::Output::Event(event) => self.event(event, now),
                session::Output::Timeout(at) => {
                    self.deadline = at;
                    return;
                }
            }
        }
        self.deadline = None;
    }

    fn event(&mut self, event: session::Event, now: Instant) {
        match event {
            session::Event::LineUp => self.up(),
            session::Event::TerminalUp(_) if self.calls_need_a_terminal() => self.up(),
            session::Event::TerminalGone(_) if self.calls_need_a_terminal() => self.down(),
            session::Event::LineDown => self.down(),
            session::Event::TerminalUp(_)
            | session::Event::TerminalGone(_)
            | session::Event::Restarted(_)
            | session::Event::RestartDone(_)
            | session::Event::RestartFailed(_) => {}
            session::Event::Call {
                call,
                what,
                message,
            } => self.call_event(call, what, message.as_ref(), now),
            session::Event::Unknown(octets) => {
                self.counters.unknown += 1;
                let from = provenance(&octets, now);
                self.happened(Event::Opaque { kind: None }, from);
            }
        }
    }

    fn up(&mut self) {
        self.said
            .push_back(Said::Link(LinkState::Up(Picture::None)));
    }

    fn down(&mut self) {
        self.said.push_back(Said::Link(LinkState::Connecting));
    }

    /// On a bus the user's end is one of the terminals.
    fn calls_need_a_terminal(&self) -> bool {
        let link = &self.config.line.link;
        link.topology == Topology::PointToMultipoint && link.side == Side::User
    }

    fn call_event(&mut self, id: CallId, what: CallEvent, message: Option<&Message>, now: Instant) {
        self.counters.frames += u64::from(message.is_some());
        let from = provenance(message.map_or(&[], Message::raw), now);
        match what {
            CallEvent::Incoming(incoming) => self.incoming(id, &incoming, from, now),
            CallEvent::Digits {
                digits, complete, ..
            } => {
                if let Some(known) = self.calls.get_mut(&id) {
                    known.dialled.push_str(&digits);
                }
                self.dialled(id, complete, from, now);
            }
            CallEvent::DialingEnded => self.dialled(id, true, from, now),
            CallEvent::Proceeding { in_band } => {
                self.progress(id, Progress::Trying, from.clone());
                self.audible(id, in_band, from);
            }
            CallEvent::Alerting { in_band } => {
                self.progress(id, Progress::Ringing, from.clone());
                self.audible(id, in_band, from);
            }
            CallEvent::Progress { in_band } => self.audible(id, in_band, from),
            CallEvent::Answered => self.connected(id, from),
            CallEvent::Information { keypad, .. } => self.keys(id, &keypad, from),
            CallEvent::Ended(cause) => self.ended(id, cause, from),
            CallEvent::MoreDigitsWanted
            | CallEvent::Connected
            | CallEvent::Notified(_)
            | CallEvent::Facility => {}
        }
    }

    fn incoming(&mut self, id: CallId, incoming: &IncomingCall, from: Provenance, now: Instant) {
        let caller = incoming.calling.as_ref();
        let caller = caller.and_then(|number| Number::new(&number.digits).ok());
        let call = CallRef(CallRef::OF_PORT | u64::from(id.0));
        let dialled = incoming.called.as_ref();
        let known = Known {
            call,
            from: Party {
                node: self.config.other,
                number: caller.unwrap_or(Number::SERVER),
            },
            to: None,
            made_by: None,
            dialled: dialled.map_or_else(String::new, |number| number.digits.clone()),
            text: Text::clip(&incoming.display),
        };
        self.calls.insert(id, known);
        self.by_ref.insert(call, id);
        self.dialled(id, incoming.complete, from, now);
    }

    /// Asks the owner once the number is whole; until then the caller for more.
    fn dialled(&mut self, id: CallId, complete: bool, from: Provenance, now: Instant) {
        let Some(known) = self.calls.get_mut(&id).filter(|known| known.to.is_none()) else {
            return;
        };
        let whole = self.config.whole_number.unwrap_or(1);
        if !complete && known.dialled.len() < whole {
            self.told(|line| line.more_digits(id, now).is_ok());
            return;
        }
        let Ok(number) = Number::new(&known.dialled) else {
            self.told(|line| {
                line.hang_up(id, CauseValue::INVALID_NUMBER_FORMAT, now)
                    .is_ok()
            });
            return;
        };
        let to = Party {
            node: self.config.own,
            number,
        };
        known.to = Some(to);
        let command = Command::CallSetup(CallSetup {
            call: known.call,
            from: known.from,
            to,
            // Basic DSS1 and QSIG have no word for urgency.
            priority: Priority::NORMAL,
            mode: TalkMode::OpenDuplex,
            text: Some(known.text.clone()).filter(|text| !text.as_str().is_empty()),
            sound: None,
        });
        let ask = AskId(self.next_ask);
        self.next_ask += 1;
        self.asks.insert(ask, id);
        self.said.push_back(Said::Asked(Some(ask), command, from));
    }

    /// Q.931 5.4.1: the channel of a call that we make may be heard from here on.
    fn audible(&mut self, id: CallId, in_band: bool, from: Provenance) {
        let known = self.calls.get(&id);
        let made_here = known.is_some_and(|known| known.call.0 & CallRef::OF_PORT == 0);
        if in_band && made_here {
            self.progress(id, Progress::Audible, from);
        }
    }

    fn progress(&mut self, id: CallId, progress: Progress, from: Provenance) {
        self.begun(id);
        let Some(known) = self.calls.get(&id) else {
            return;
        };
        let event = Event::CallProgress(CallProgress {
            call: known.call,
            progress,
            from: Some(known.from),
            to: known.to,
            priority: None,
            sound: None,
        });
        self.happened(event, from);
    }

    fn connected(&mut self, id: CallId, from: Provenance) {
        self.begun(id);
        let Some(known) = self.calls.get(&id) else {
            return;
        };
        let event = Event::CallConnected(CallConnected {
            call: known.call,
            from: Some(known.from),
            to: known.to,
            mode: None,
            sound: None,
        });
        self.happened(event, from);
    }

    /// The command that made the call is answered by its first word.
    fn begun(&mut self, id: CallId) {
        let made_by = self.calls.get_mut(&id).and_then(|k| k.made_by.take());
        if let Some(reference) = made_by {
            self.done(reference, Verdict::Accepted);
        }
    }

    fn keys(&mut self, id: CallId, keypad: &str, from: Provenance) {
        let station = self
            .calls
            .get(&id)
            .map(|known| match known.call.0 & CallRef::OF_PORT {
                0 => known.to.unwrap_or(known.from),
                _ => known.from,
            });
        if let (Some(station), Some(keys)) = (station, Keys::new(keypad)) {
            let command = Command::Keys { station, keys };
            self.said.push_back(Said::Asked(None, command, from));
        }
    }

    fn ended(&mut self, id: CallId, cause: CauseValue, from: Provenance) {
        let Some(known) = self.calls.remove(&id) else {
            return;
        };
        self.by_ref.remove(&known.call);
        self.asks.retain(|_, call| *call != id);
        let cause = Cause(cause.number());
        if let Some(reference) = known.made_by {
            let answer = Answer {
                cause: Some(cause),
                ..verdict_of(cause).into()
            };
            self.said.push_back(Said::Done(reference, answer));
        }
        let call = known.call;
        self.happened(Event::CallReleased { call, cause }, from);
    }

    fn make(&mut self, reference: Reference, setup: &CallSetup, now: Instant) {
        let mut call = Setup::speech(digits(setup.from.number), digits(setup.to.number));
        call.display = setup.text.as_ref().map(|text| text.as_str().to_owned());
        let Some(line) = &mut self.line else {
            return self.done(reference, Verdict::NotConnected);
        };
        let id = match line.call(call, now) {
            Ok(id) => id,
            Err(CallError::NoChannel | CallError::TooMany) => {
                return self.done(reference, Verdict::Busy);
            }
            Err(CallError::LineDown) => return self.done(reference, Verdict::NotConnected),
            Err(CallError::TooLong) => return self.done(reference, Verdict::Unsupported),
        };
        let known = Known {
            call: setup.call,
            from: setup.from,
            to: Some(setup.to),
            made_by: Some(reference),
            dialled: String::new(),
            text: Text::default(),
        };
        self.calls.insert(id, known);
        self.by_ref.insert(setup.call, id);
    }

    fn inform(
        &mut self,
        reference: Reference,
        station: Party,
        keys: &str,
        text: &str,
        now: Instant,
    ) {
        let mut calls = self.calls.iter();
        let call = calls.find(|(_, known)| known.from == station || known.to == Some(station));
        let Some((id, _)) = call else {
            return self.done(reference, Verdict::NoSuchNumber);
        };
        let id = *id;
        let verdict = if self.told(|line| line.inform(id, keys, text, now).is_ok()) {
            Verdict::Sent
        } else {
            Verdict::NotAllowed
        };
        self.done(reference, verdict);
    }

    /// False, and counted, where the call's state does not bear it.
    fn told(&mut self, tell: impl FnOnce(&mut Line) -> bool) -> bool {
        let told = self.line.as_mut().is_some_and(tell);
        self.counters.overflows += u64::from(!told);
        told
    }

    fn done(&mut self, reference: Reference, verdict: Verdict) {
        self.said.push_back(Said::Done(reference, verdict.into()));
    }

    fn happened(&mut self, event: Event, from: Provenance) {
        self.said.push_back(Said::Happened(event, from));
    }
}

impl crate::session::Session for Session {
    fn coverage(&self) -> Coverage {
        COVERAGE
    }

    fn counters(&self) -> &LineCounters {
        &self.counters
    }

    fn channel(&self, call: CallRef) -> Option<u8> {
        self.line.as_ref()?.channel(*self.by_ref.get(&call)?)
    }

    fn opened(&mut self, now: Instant) {
        let seed = self.config.seed.wrapping_add(self.openings);
        self.openings += 1;
        let line = Line::new(self.config.line, seed, now);
        let up = line.is_up();
        self.line = Some(line);
        // The network's end of a bus may call before any terminal has spoken.
        if up {
            self.up();
        }
        self.pump(now);
    }

    fn closed(&mut self) {
        self.line = None;
        self.deadline = None;
        self.calls.clear();
        self.by_ref.clear();
        self.asks.clear();
        self.said.clear();
    }

    fn received(&mut self, bytes: &[u8], now: Instant) {
        if let Some(line) = &mut self.line {
            line.receive(bytes, now);
        }
        self.pump(now);
    }

    fn command(&mut self, reference: Reference, command: &Command, purpose: Purpose, now: Instant) {
        match command {
            // The wire cannot say that something is a test.
            _ if purpose == Purpose::Test => self.done(reference, Verdict::TestRefused),
            Command::CallSetup(setup) => self.make(reference, setup, now),
            Command::CallRelease { call, cause } => {
                let id = self.by_ref.get(call).copied();
                let cause = cause_value(*cause);
                let told = id.is_some_and(|id| self.told(|l| l.hang_up(id, cause, now).is_ok()));
                let verdict = if told {
                    Verdict::Accepted
                } else {
                    Verdict::NoSuchNumber
                };
                self.done(reference, verdict);
            }
            Command::Keys { station, keys } => {
                self.inform(reference, *station, keys.as_str(), "", now);
            }
            Command::ShowText { station, text } => {
                self.inform(reference, *station, "", text.as_str(), now);
            }
            Command::Hold { .. }
            | Command::Retrieve { .. }
            | Command::Transfer { .. }
            | Command::SetTalkMode { .. }
            | Command::TalkKey { .. }
            | Command::GroupStart { .. }
            | Command::GroupStop { .. }
            | Command::ConferenceJoin { .. }
            | Command::ConferenceLeave { .. }
            | Command::ConferenceTalk { .. }
            | Command::RequestFile(_)
            | Command::RequestWithdraw { .. }
            | Command::RequestClaim { .. }
            | Command::OutputSet(_)
            | Command::DoorOpen(_)
            | Command::Programme { .. }
            | Command::Announce { .. }
            | Command::Divert { .. }
            | Command::SetPrivacy { .. }
            | Command::LineTest { .. }
            | Command::Snapshot => self.done(reference, Verdict::Unsupported),
        }
        self.pump(now);
    }

    fn tell(&mut self, event: &Event, now: Instant) {
        let id = |call| self.by_ref.get(&call).copied();
        if let Event::CallProgress(progress) = event
            && let Some(id) = id(progress.call)
        {
            match progress.progress {
                Progress::Ringing => {
                    self.told(|line| line.alert(id, None, now).is_ok());
                }
                Progress::Audible => {
                    self.told(|line| line.progress(id, IN_BAND, now).is_ok());
                }
                // It has been told that the call is on its way; more is not to be said.
                Progress::Trying | Progress::Queued | Progress::Held => {}
            }
        } else if let Event::CallConnected(connected) = event
            && let Some(id) = id(connected.call)
        {
            self.told(|line| line.answer_call(id, now).is_ok());
        } else if let Event::CallReleased { call, cause } = event
            && let Some(id) = id(*call)
        {
            self.told(|line| line.hang_up(id, cause_value(*cause), now).is_ok());
        }
        self.pump(now);
    }

    fn item(&mut self, _ask: AskId, _event: &Event, _now: Instant) {}

    fn answer(&mut self, ask: AskId, answer: &Answer, now: Instant) {
        let Some(id) = self.asks.remove(&ask) else {
            return;
        };
        let taken = matches!(
            answer.verdict,
            Verdict::Done | Verdict::Accepted | Verdict::Sent
        );
        let cause = cause_value(answer.cause.unwrap_or(cause_of(answer.verdict)));
        self.told(|line| match taken {
            true => line.proceed(id, now).is_ok(),
            false => line.hang_up(id, cause, now).is_ok(),
        });
        self.pump(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some(line) = &mut self.line {
            line.handle_timeout(now);
        }
        self.pump(now);
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn poll(&mut self) -> Option<Said> {
        self.said.pop_front()
    }
}

fn digits(number: Number) -> Digits {
    Digits {
        numbering: Numbering::Unknown,
        // E.164, as telephones and exchanges expect it.
        plan: 1,
        presentation: None,
        digits: number.to_string(),
    }
}

fn provenance(octets: &[u8], now: Instant) -> Provenance {
    Provenance {
        raw: Arc::from(octets),
        at: now,
        origin: Origin::Live,
        purpose: Purpose::Live,
    }
}

fn cause_value(cause: Cause) -> CauseValue {
    CauseValue::new(cause.0).unwrap_or(CauseValue::NORMAL_UNSPECIFIED)
}

/// What a call set-up came to that ended before its first word.
const fn verdict_of(cause: Cause) -> Verdict {
    match cause.0 {
        1 | 22 | 28 => Verdict::NoSuchNumber,
        2 | 3 | 27 | 38 => Verdict::NodeUnreachable,
        18 | 19 | 102 => Verdict::NoAnswer,
        21 => Verdict::NotAllowed,
        65 => Verdict::Unsupported,
        _ => Verdict::Busy,
    }
}

const fn cause_of(verdict: Verdict) -> Cause {
    match verdict {
        Verdict::NoSuchNumber => Cause(1),
        Verdict::Busy | Verdict::RateLimited => Cause::BUSY,
        Verdict::NoAnswer => Cause::NO_ANSWER,
        Verdict::NodeUnreachable | Verdict::NotConnected | Verdict::LineLost => Cause(27),
        Verdict::Unsupported => Cause(65),
        Verdict::Done
        | Verdict::Accepted
        | Verdict::Sent
        | Verdict::NotAllowed
        | Verdict::AlreadyTaken
        | Verdict::Expired
        | Verdict::Loop
        | Verdict::TestRefused => Cause::REJECTED,
    }
}
