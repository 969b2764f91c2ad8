//! One line of the open link profile, either end of it (section 5).
//!
//! The gateway's end establishes the link; then both say hello, each asks the other for a picture of
//! what is, and an end is up when its picture is complete. A gap in the numbers of events, or a link
//! that was established anew, brings a new picture. Whatever waited when a link broke is dropped on
//! both ends; the port answers the commands that were open.
//!
//! Invariant: while the session is up it has a deadline, the next keep-alive.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::codec::{Deframer, FrameFault, LONGEST_PAYLOAD, frame};
use super::link_time::LinkTime;
use super::message::{
    Body, Ends, Hello, Meaning, MessageFault, Pulse, Times, drives, express, understand,
};
use super::pdu::{Flags, Pdu, PduFault};
use crate::command::{Answer, Command, Purpose, Verdict};
use crate::counters::LineCounters;
use crate::coverage::Coverage;
use crate::event::{Event, Origin, Provenance};
use crate::link::{self, Addressing, Link};
use crate::number::Node;
use crate::port::{AskId, LinkState, Picture, Reference};
use crate::session::Said;
use crate::text::Text;

#[derive(Clone, Debug)]
pub struct Config {
    pub role: Role,
    /// Our number in the network of servers.
    pub own: Node,
    /// The number of the server or gateway at the other end.
    pub other: Node,
    /// Shown at the other end.
    pub name: Text,
    /// An answer of the link takes no longer: 2 s over TCP, 500 ms over a serial line.
    pub answer_within: Duration,
    /// Attempts of the link before it gives up.
    pub retries: u8,
    pub keep_alive: Duration,
    /// A picture without an item for so long is asked for again.
    pub picture_within: Duration,
    /// Messages that wait for the line at most.
    pub queue: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Establishes the link.
    Gateway,
    /// Waits for it.
    Server,
}

impl Config {
    pub fn tcp(role: Role, own: Node, other: Node, name: &str) -> Self {
        Self {
            role,
            own,
            other,
            name: Text::clip(name),
            answer_within: Duration::from_secs(2),
            retries: 3,
            keep_alive: Duration::from_secs(10),
            picture_within: Duration::from_secs(5),
            queue: 4096,
        }
    }

    pub fn serial(role: Role, own: Node, other: Node, name: &str) -> Self {
        Self {
            answer_within: Duration::from_millis(500),
            ..Self::tcp(role, own, other, name)
        }
    }
}

/// Version 1.0 of the profile; the first octet has to agree.
const VERSION: u16 = 0x0100;
/// All that section 4.5 lists.
const CAPABILITIES: u32 = 0x3F;
/// Messages below this type are the session's own.
const FIRST_EVENT: u8 = 0x10;
/// Silent keep-alive times until the line is given up.
const MOST_SILENT: u32 = 3;
/// A picture is asked for so often.
const PICTURES: u32 = 3;
/// Commands of ours whose late answers are still known.
const MOST_SENT: usize = 1024;
/// Commands of the other end that wait for our answer at most.
const MOST_ASKED: usize = 256;

#[derive(Debug)]
pub struct Session {
    config: Config,
    deframer: Deframer,
    link: Link,
    time: LinkTime,
    phase: Phase,
    /// How whole the last picture was.
    picture: Picture,
    keep_alive_at: Option<Instant>,
    /// Keep-alive times in which nothing came.
    silent: u32,
    heard: bool,
    next_reference: u16,
    next_event: u16,
    /// The number of the other end's next event, once known.
    expected_event: Option<u16>,
    next_ask: u64,
    /// Commands of ours without a result.
    sent: BTreeMap<u16, Reference>,
    /// Commands of theirs without a result.
    asked: BTreeMap<AskId, Asked>,
    counters: LineCounters,
    said: VecDeque<Said>,
}

#[derive(Debug)]
enum Phase {
    Closed,
    /// The link is being established.
    Linking,
    Greeting {
        until: Instant,
    },
    Up,
    /// A picture is coming; before the first one is whole the session is not up.
    Picturing(Pending),
}

#[derive(Debug)]
struct Pending {
    first: bool,
    reference: u16,
    items: u16,
    attempts: u32,
    until: Instant,
    /// An event was lost while it came.
    torn: bool,
    /// The owner asked for it.
    asked_by: Option<Reference>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    reference: u16,
    items: u16,
    picture: bool,
}

impl Session {
    pub fn new(config: Config, now: Instant) -> Self {
        Self {
            link: Link::new(link_config(&config)),
            config,
            deframer: Deframer::default(),
            time: LinkTime::new(now),
            phase: Phase::Closed,
            picture: Picture::None,
            keep_alive_at: None,
            silent: 0,
            heard: false,
            next_reference: 1,
            next_event: 1,
            expected_event: None,
            next_ask: 1,
            sent: BTreeMap::new(),
            asked: BTreeMap::new(),
            counters: LineCounters::default(),
            said: VecDeque::new(),
        }
    }

    /// What the link engine has refused, repeated and given up.
    pub fn link_counters(&self) -> link::Counters {
        self.link.counters()
    }

    // ---- the link ------------------------------------------------------------------

    fn pump(&mut self, now: Instant) {
        loop {
            match self.link.poll_output() {
                link::Output::Transmit { octets, .. } => {
                    self.said.push_back(Said::Send(frame(&octets)));
                }
                link::Output::Event(event) => self.link_event(event, now),
                link::Output::Timeout(_) => return,
            }
        }
    }

    fn link_event(&mut self, event: link::Event, now: Instant) {
        match event {
            link::Event::Established(_) => self.established(now),
            link::Event::Interrupted { .. } => self.begin_anew(Phase::Linking),
            link::Event::Released(cause) => {
                self.begin_anew(Phase::Linking);
                // The server waits for the gateway to come back on the same transport.
                if self.config.role == Role::Gateway {
                    self.broken(match cause {
                        link::ReleaseCause::NoAnswer => {
                            "the other end does not answer; check speed, cabling and its protocol"
                        }
                        link::ReleaseCause::Refused => "the other end refuses the link",
                        link::ReleaseCause::Peer => "the other end has released the link",
                        link::ReleaseCause::Requested | link::ReleaseCause::Abandoned => {
                            "the link was released"
                        }
                    });
                }
            }
            link::Event::Received(payload) => self.payload(&payload, now),
            link::Event::UnsolicitedAnswer => {}
        }
    }

    fn established(&mut self, now: Instant) {
        self.begin_anew(Phase::Greeting {
            until: now + self.config.picture_within,
        });
        self.time = LinkTime::new(now);
        self.said.push_back(Said::Link(LinkState::Syncing));
        let hello = self.hello(now);
        self.send(&Body::Hello(hello), now);
    }

    /// Forgets what belonged to the link that was.
    fn begin_anew(&mut self, phase: Phase) {
        if !matches!(self.phase, Phase::Closed | Phase::Linking) {
            self.said.push_back(Said::Link(LinkState::Connecting));
        }
        self.phase = phase;
        self.keep_alive_at = None;
        self.silent = 0;
        self.next_event = 1;
        self.expected_event = None;
        self.sent.clear();
        self.asked.clear();
    }

    fn broken(&mut self, why: &'static str) {
        self.said.push_back(Said::Broken(why));
    }

    // ---- what comes ----------------------------------------------------------------

    fn payload(&mut self, payload: &[u8], now: Instant) {
        self.heard = true;
        let pdu = match Pdu::decode(payload) {
            Ok(pdu) => pdu,
            Err(fault) => {
                self.counters.malformed += 1;
                self.opaque(None, payload, Flags::NONE, now);
                if let PduFault::Version(_) = fault {
                    self.broken("the other end speaks another version of the profile");
                }
                return;
            }
        };
        if pdu.hops == 0 {
            self.refuse(&pdu, Verdict::Loop.into(), now);
            return;
        }
        let answers = Flags::ANSWER.with(Flags::ANSWER_WANTED);
        if pdu.kind >= FIRST_EVENT && !pdu.flags.has(answers) {
            let next = pdu.reference.wrapping_add(1);
            self.count_event(pdu.reference, next, now);
        }
        match self.meaning(&pdu, now) {
            Ok(meaning) => self.act(meaning, &pdu, payload, now),
            Err(fault) => self.not_understood(fault, &pdu, payload, now),
        }
    }

    fn meaning(&self, pdu: &Pdu, now: Instant) -> Result<Meaning, MessageFault> {
        let clock = Clock(&self.time, now);
        understand(pdu, self.ends(&clock))
    }

    fn act(&mut self, meaning: Meaning, pdu: &Pdu, payload: &[u8], now: Instant) {
        match meaning {
            Meaning::Hello(hello) => {
                self.learn(hello.pulse, now);
                if hello.version >> 8 != VERSION >> 8 {
                    self.broken("the other end speaks another version of the profile");
                    return;
                }
                let answer = self.hello(now);
                self.reply(&Body::HelloAnswer(answer), pdu.reference, now);
            }
            Meaning::HelloAnswer(hello) => {
                self.learn(hello.pulse, now);
                if matches!(self.phase, Phase::Greeting { .. }) {
                    self.keep_alive_at = Some(now + self.config.keep_alive);
                    self.ask_picture(true, 1, None, now);
                }
            }
            Meaning::KeepAlive(pulse) => {
                self.learn(pulse, now);
                if pdu.flags.has(Flags::ANSWER_WANTED) {
                    let body = Body::KeepAlive(self.pulse(now));
                    self.reply_with(&body, pdu.reference, Flags::ANSWER, now);
                }
            }
            Meaning::Command(command) => self.commanded(command, pdu, payload, now),
            Meaning::Event(event) => {
                let from = provenance(payload, pdu.flags, now);
                self.said.push_back(Said::Happened(event, from));
            }
            Meaning::Item(event) => {
                if let Phase::Picturing(pending) = &mut self.phase
                    && pending.reference == pdu.reference
                {
                    pending.items = pending.items.wrapping_add(1);
                    pending.until = now + self.config.picture_within;
                }
                let from = provenance(payload, pdu.flags.with(Flags::SNAPSHOT), now);
                self.said.push_back(Said::Happened(event, from));
            }
            Meaning::ItemsEnd(count) => self.picture_ended(pdu.reference, count, now),
            Meaning::Result(answer) => {
                if let Some(reference) = self.sent.remove(&pdu.reference) {
                    self.said.push_back(Said::Done(reference, answer));
                }
            }
        }
    }

    fn not_understood(&mut self, fault: MessageFault, pdu: &Pdu, payload: &[u8], now: Instant) {
        match fault {
            MessageFault::Unknown(_) => self.counters.unknown += 1,
            MessageFault::Mandatory(_) | MessageFault::Field(_) => self.counters.malformed += 1,
        }
        self.opaque(Some(u16::from(pdu.kind)), payload, pdu.flags, now);
        let verdict = match fault {
            // An output is not driven by half a command.
            MessageFault::Field(_) if drives(pdu) => Verdict::NotAllowed,
            MessageFault::Unknown(_) | MessageFault::Mandatory(_) | MessageFault::Field(_) => {
                Verdict::Unsupported
            }
        };
        let answer = Answer {
            text: Some(Text::clip(&fault.to_string())),
            ..verdict.into()
        };
        self.refuse(pdu, answer, now);
    }

    fn commanded(&mut self, command: Command, pdu: &Pdu, payload: &[u8], now: Instant) {
        // Whoever asked the oldest has long given up waiting for its answer.
        if self.asked.len() >= MOST_ASKED {
            self.counters.overflows += 1;
            self.asked.pop_first();
        }
        let mut ask = None;
        if pdu.flags.has(Flags::ANSWER_WANTED) {
            let id = AskId(self.next_ask);
            self.next_ask += 1;
            let asked = Asked {
                reference: pdu.reference,
                items: 0,
                picture: command == Command::Snapshot,
            };
            self.asked.insert(id, asked);
            ask = Some(id);
        }
        let from = provenance(payload, pdu.flags, now);
        self.said.push_back(Said::Asked(ask, command, from));
    }

    /// Answers only who wants an answer.
    fn refuse(&mut self, pdu: &Pdu, answer: Answer, now: Instant) {
        if pdu.flags.has(Flags::ANSWER_WANTED) {
            self.reply(&Body::Result(answer), pdu.reference, now);
        }
    }

    fn opaque(&mut self, kind: Option<u16>, payload: &[u8], flags: Flags, now: Instant) {
        let from = provenance(payload, flags, now);
        self.said
            .push_back(Said::Happened(Event::Opaque { kind }, from));
    }

    fn learn(&mut self, pulse: Pulse, now: Instant) {
        if let Some(time) = pulse.link_time {
            self.time.heard(time, now);
        }
        if let Some(next) = pulse.next_event {
            self.count_event(next, next, now);
        }
    }

    /// Events are numbered so that what the other end had to drop is noticed.
    fn count_event(&mut self, number: u16, next: u16, now: Instant) {
        let gap = self
            .expected_event
            .is_some_and(|expected| expected != number);
        self.expected_event = Some(next);
        if !gap {
            return;
        }
        self.counters.gaps += 1;
        match &mut self.phase {
            Phase::Up => self.ask_picture(false, 1, None, now),
            Phase::Picturing(pending) => pending.torn = true,
            Phase::Closed | Phase::Linking | Phase::Greeting { .. } => {}
        }
    }

    // ---- the picture ---------------------------------------------------------------

    fn ask_picture(
        &mut self,
        first: bool,
        attempts: u32,
        asked_by: Option<Reference>,
        now: Instant,
    ) {
        let reference = self.reference();
        self.phase = Phase::Picturing(Pending {
            first,
            reference,
            items: 0,
            attempts,
            until: now + self.config.picture_within,
            torn: false,
            asked_by,
        });
        self.reply(&Body::Command(Command::Snapshot), reference, now);
    }

    fn picture_ended(&mut self, reference: u16, count: u16, now: Instant) {
        let Phase::Picturing(pending) = &self.phase else {
            return;
        };
        if pending.reference != reference {
            return;
        }
        if pending.items == count && !pending.torn {
            self.picture_done(Picture::Whole);
        } else {
            self.picture_again(now);
        }
    }

    fn picture_again(&mut self, now: Instant) {
        let Phase::Picturing(pending) = &mut self.phase else {
            return;
        };
        let (first, attempts, asked_by) =
            (pending.first, pending.attempts, pending.asked_by.take());
        if attempts < PICTURES {
            self.ask_picture(first, attempts + 1, asked_by, now);
        } else {
            pending.asked_by = asked_by;
            self.picture_done(Picture::Partial);
        }
    }

    fn picture_done(&mut self, picture: Picture) {
        let Phase::Picturing(pending) = std::mem::replace(&mut self.phase, Phase::Up) else {
            return;
        };
        self.picture = picture;
        self.said.push_back(Said::Link(LinkState::Up(picture)));
        if let Some(reference) = pending.asked_by {
            let verdict = match picture {
                Picture::Whole => Verdict::Done,
                Picture::Partial | Picture::None => Verdict::NoAnswer,
            };
            self.said.push_back(Said::Done(reference, verdict.into()));
        }
    }

    // ---- what goes -----------------------------------------------------------------

    fn hello(&self, now: Instant) -> Hello {
        Hello {
            version: VERSION,
            name: self.config.name.clone(),
            capabilities: CAPABILITIES,
            pulse: self.pulse(now),
        }
    }

    fn pulse(&self, now: Instant) -> Pulse {
        Pulse {
            link_time: Some(self.time.own(now)),
            next_event: Some(self.next_event),
        }
    }

    fn reference(&mut self) -> u16 {
        loop {
            let reference = self.next_reference;
            self.next_reference = reference.checked_add(1).unwrap_or(1);
            if !self.sent.contains_key(&reference) {
                return reference;
            }
        }
    }

    fn send(&mut self, body: &Body, now: Instant) {
        let reference = self.reference();
        self.reply(body, reference, now);
    }

    /// False where the line took no more.
    fn reply(&mut self, body: &Body, reference: u16, now: Instant) -> bool {
        self.reply_with(body, reference, Flags::NONE, now)
    }

    fn reply_with(&mut self, body: &Body, reference: u16, flags: Flags, now: Instant) -> bool {
        let clock = Clock(&self.time, now);
        let Some(mut pdu) = express(body, self.ends(&clock)) else {
            return false;
        };
        pdu.reference = reference;
        pdu.flags = pdu.flags.with(flags);
        let taken = self.link.send(pdu.encode(), now).is_ok();
        self.counters.overflows += u64::from(!taken);
        taken
    }

    const fn ends<'a>(&self, clock: &'a Clock<'a>) -> Ends<'a> {
        Ends {
            own: self.config.own,
            other: self.config.other,
            times: clock,
        }
    }

    const fn is_up(&self) -> bool {
        match &self.phase {
            Phase::Up => true,
            Phase::Picturing(pending) => !pending.first,
            Phase::Closed | Phase::Linking | Phase::Greeting { .. } => false,
        }
    }

    fn keep_alive(&mut self, now: Instant) {
        if std::mem::take(&mut self.heard) {
            if std::mem::take(&mut self.silent) > 0 && self.is_up() {
                self.said.push_back(Said::Link(LinkState::Up(self.picture)));
            }
        } else {
            self.silent += 1;
        }
        if self.silent >= MOST_SILENT {
            self.keep_alive_at = None;
            self.broken("the other end is silent");
            return;
        }
        if self.silent > 0 && self.is_up() {
            self.said.push_back(Said::Link(LinkState::Suspect));
        }
        self.keep_alive_at = Some(now + self.config.keep_alive);
        let reference = self.reference();
        let body = Body::KeepAlive(self.pulse(now));
        self.reply_with(&body, reference, Flags::ANSWER_WANTED, now);
    }
}

impl crate::session::Session for Session {
    fn coverage(&self) -> Coverage {
        Coverage::ALL
    }

    fn counters(&self) -> &LineCounters {
        &self.counters
    }

    fn opened(&mut self, now: Instant) {
        self.deframer.clear();
        self.phase = Phase::Linking;
        self.link = Link::new(link_config(&self.config));
        if self.config.role == Role::Gateway {
            self.link.establish(now);
        }
        self.pump(now);
    }

    fn closed(&mut self) {
        self.phase = Phase::Closed;
        self.begin_anew(Phase::Closed);
        self.link = Link::new(link_config(&self.config));
        self.said.clear();
    }

    fn received(&mut self, bytes: &[u8], now: Instant) {
        for octet in bytes {
            match self.deframer.push(*octet) {
                None => {}
                Some(Ok(octets)) => {
                    self.counters.frames += 1;
                    self.link.receive(None, &octets, now);
                    self.pump(now);
                }
                Some(Err(FrameFault::BadCheck | FrameFault::Aborted)) => {
                    self.counters.bad_checksums += 1;
                }
                Some(Err(FrameFault::TooShort)) => self.counters.noise += 1,
                Some(Err(FrameFault::TooLong)) => self.counters.oversize += 1,
            }
        }
    }

    fn command(&mut self, reference: Reference, command: &Command, purpose: Purpose, now: Instant) {
        if *command == Command::Snapshot {
            if matches!(self.phase, Phase::Up) {
                self.ask_picture(false, 1, Some(reference), now);
                self.pump(now);
            } else {
                // One is already coming.
                self.said
                    .push_back(Said::Done(reference, Verdict::Busy.into()));
            }
            return;
        }
        let flags = match purpose {
            Purpose::Live => Flags::NONE,
            Purpose::Test => Flags::TEST,
        };
        let wire = self.reference();
        if self.reply_with(&Body::Command(command.clone()), wire, flags, now) {
            // The port has answered those that nobody else did.
            if self.sent.len() >= MOST_SENT {
                self.sent.pop_first();
            }
            self.sent.insert(wire, reference);
        } else {
            self.said
                .push_back(Said::Done(reference, Verdict::Busy.into()));
        }
        self.pump(now);
    }

    fn tell(&mut self, event: &Event, now: Instant) {
        // What we did not understand ourselves we tell nobody.
        if matches!(event, Event::Opaque { .. }) {
            return;
        }
        let number = self.next_event;
        // A number that is used up and not sent is how the other end learns of the loss.
        self.next_event = number.wrapping_add(1);
        self.reply(&Body::Event(event.clone()), number, now);
        self.pump(now);
    }

    fn item(&mut self, ask: AskId, event: &Event, now: Instant) {
        let Some(asked) = self.asked.get_mut(&ask) else {
            return;
        };
        asked.items = asked.items.wrapping_add(1);
        let reference = asked.reference;
        self.reply(&Body::Item(event.clone()), reference, now);
        self.pump(now);
    }

    fn answer(&mut self, ask: AskId, answer: &Answer, now: Instant) {
        let Some(asked) = self.asked.remove(&ask) else {
            return;
        };
        let body = if asked.picture {
            Body::ItemsEnd(asked.items)
        } else {
            Body::Result(answer.clone())
        };
        self.reply(&body, asked.reference, now);
        self.pump(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.link.deadline().is_some_and(|at| at <= now) {
            self.link.handle_timeout(now);
            self.pump(now);
        }
        if self.keep_alive_at.is_some_and(|at| at <= now) {
            self.keep_alive(now);
            self.pump(now);
        }
        match &self.phase {
            Phase::Greeting { until } if *until <= now => {
                self.broken("no hello came; the other end speaks something else");
                self.phase = Phase::Linking;
            }
            Phase::Picturing(pending) if pending.until <= now => {
                self.picture_again(now);
                self.pump(now);
            }
            Phase::Closed
            | Phase::Linking
            | Phase::Greeting { .. }
            | Phase::Up
            | Phase::Picturing(_) => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Greeting { until } => Some(*until),
            Phase::Picturing(pending) => Some(pending.until),
            Phase::Closed | Phase::Linking | Phase::Up => None,
        };
        let deadlines = [self.link.deadline(), self.keep_alive_at, phase];
        deadlines.into_iter().flatten().min()
    }

    fn poll(&mut self) -> Option<Said> {
        self.said.pop_front()
    }
}

fn link_config(config: &Config) -> link::Config {
    link::Config {
        addressing: Addressing::ControlOnly,
        window: 7,
        answer_within: config.answer_within,
        retries: config.retries,
        watch_idle_after: None,
        longest_payload: LONGEST_PAYLOAD,
        queue: config.queue,
    }
}

fn provenance(payload: &[u8], flags: Flags, now: Instant) -> Provenance {
    Provenance {
        raw: Arc::from(payload),
        at: now,
        origin: if flags.has(Flags::SNAPSHOT) {
            Origin::Snapshot
        } else {
            Origin::Live
        },
        purpose: if flags.has(Flags::TEST) {
            Purpose::Test
        } else {
            Purpose::Live
        },
    }
}

/// What cannot be told is past already.
#[derive(Debug)]
struct Clock<'a>(&'a LinkTime, Instant);

impl Times for Clock<'_> {
    fn ours(&self, at: Instant) -> u64 {
        self.0.own(at)
    }

    fn theirs(&self, milliseconds: u64) -> Instant {
        self.0.theirs(milliseconds).unwrap_or(self.1)
    }
}
