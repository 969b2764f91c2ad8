//! A line whose protocol is a table.
//!
//! One command is underway at a time where the other end answers; the next waits, for a bounded time
//! and number. A command that drives an output leaves the line at most once, and not after its
//! validity.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::codec::{Fault, Reader, Telegram, build, forbidden};
use super::layout::{read, write};
use super::manifest::{Acknowledge, Manifest, Meaning, ReceiveRule};
use super::slots::{Slot, Value, Values, Words};
use super::validate::{Problem, validate};
use crate::command::{Answer, Command, Purpose, Verdict};
use crate::counters::LineCounters;
use crate::coverage::{Coverage, EventKind};
use crate::event::{Event, Origin, Provenance};
use crate::number::Number;
use crate::pairs::Calls;
use crate::port::{AskId, LinkState, Picture, Reference};
use crate::session::Said;

/// Commands that wait for their turn at most.
const MOST_WAITING: usize = 64;
/// Octets without a single right telegram before the line is given up.
const MOST_UNREADABLE: usize = 64 * 1024;
const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Session {
    manifest: Manifest,
    coverage: Coverage,
    /// The other end says what became of a command.
    answers: bool,
    reader: Reader,
    words: Words,
    underway: Option<Underway>,
    waiting: VecDeque<Waiting>,
    /// Silence is measured from here.
    listening_since: Option<Instant>,
    silent: u32,
    second: (Option<Instant>, u32),
    unreadable: usize,
    counters: LineCounters,
    said: VecDeque<Said>,
}

#[derive(Debug)]
struct Waiting {
    reference: Reference,
    line: Vec<u8>,
    /// Of a command that drives an output.
    valid_until: Option<Instant>,
}

#[derive(Debug)]
struct Underway {
    command: Waiting,
    until: Instant,
    repeats: u32,
}

impl Session {
    /// Refused with all its problems at once.
    pub fn new(manifest: Manifest) -> Result<Self, Vec<Problem>> {
        validate(&manifest)?;
        let answering = |rule: &ReceiveRule| matches!(rule.meaning, Meaning::Answers(_));
        Ok(Self {
            coverage: manifest.coverage(),
            answers: manifest.acknowledge != Acknowledge::None
                || manifest.receive.iter().any(answering),
            reader: Reader::default(),
            words: Words {
                node: manifest.limits.node,
                nodes_told: manifest.receive.iter().any(tells_node),
                priorities: manifest.limits.priorities,
                calls: Calls::default(),
            },
            underway: None,
            waiting: VecDeque::new(),
            listening_since: None,
            silent: 0,
            second: (None, 0),
            unreadable: 0,
            counters: LineCounters::default(),
            said: VecDeque::new(),
            manifest,
        })
    }

    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    fn telegram(&mut self, telegram: Telegram, now: Instant) {
        let contents = match telegram.contents {
            Ok(contents) => contents,
            Err(fault) => {
                match fault {
                    Fault::TooLong => self.counters.oversize += 1,
                    Fault::Malformed => self.counters.malformed += 1,
                    Fault::BadCheck => self.counters.bad_checksums += 1,
                }
                self.refuse_frame();
                return;
            }
        };
        self.counters.frames += 1;
        self.unreadable = 0;
        self.heard(now);
        if self.session_matter(&contents, now) {
            return;
        }
        self.acknowledge_frame();
        let from = Provenance {
            raw: Arc::from(telegram.raw),
            at: now,
            origin: Origin::Live,
            purpose: Purpose::Live,
        };
        if !self.understand(&contents, &from, now) {
            self.counters.unknown += 1;
            self.said
                .push_back(Said::Happened(Event::Opaque { kind: None }, from));
        }
    }

    /// Acknowledgements and signs of life.
    fn session_matter(&mut self, contents: &[u8], now: Instant) -> bool {
        if let Acknowledge::PerFrame { ok, refused, .. } = &self.manifest.acknowledge {
            if contents == ok.as_slice() {
                self.conclude(Verdict::Sent, now);
                return true;
            }
            if contents == refused.as_slice() {
                self.conclude(Verdict::NotAllowed, now);
                return true;
            }
        }
        let Some(keep_alive) = &self.manifest.keep_alive else {
            return false;
        };
        if keep_alive.expect.as_deref() != Some(contents) {
            return false;
        }
        if let Some(reply) = keep_alive.reply.clone() {
            self.send_contents(&reply);
        }
        true
    }

    fn acknowledge_frame(&mut self) {
        if let Acknowledge::PerFrame { ok, .. } = &self.manifest.acknowledge {
            let ok = ok.clone();
            self.send_contents(&ok);
        }
    }

    fn refuse_frame(&mut self) {
        if let Acknowledge::PerFrame { refused, .. } = &self.manifest.acknowledge
            && !refused.is_empty()
        {
            let refused = refused.clone();
            self.send_contents(&refused);
        }
    }

    fn send_contents(&mut self, contents: &[u8]) {
        if let Some(line) = build(contents, &self.manifest) {
            self.said.push_back(Said::Send(line));
        }
    }

    /// False where no rule fits.
    fn understand(&mut self, contents: &[u8], from: &Provenance, now: Instant) -> bool {
        for rule in &self.manifest.receive {
            let Some(mut values) = read(&rule.fields, contents) else {
                continue;
            };
            for (slot, value) in &rule.constants {
                values.put(*slot, Value::Integer(*value));
            }
            if !allowed(&values, &self.manifest.limits.numbers) {
                return false;
            }
            match rule.meaning {
                Meaning::Tells(kind) => {
                    let Some(event) = self.words.event(kind, &values) else {
                        continue;
                    };
                    self.said.push_back(Said::Happened(event, from.clone()));
                }
                Meaning::Asks(kind) => {
                    let Some(command) = self.words.command(kind, &values) else {
                        continue;
                    };
                    self.said
                        .push_back(Said::Asked(None, command, from.clone()));
                }
                Meaning::Answers(verdict) => self.conclude(verdict, now),
                Meaning::Nothing => {}
            }
            return true;
        }
        false
    }

    fn conclude(&mut self, verdict: Verdict, now: Instant) {
        if let Some(underway) = self.underway.take() {
            self.done(underway.command.reference, verdict);
        }
        self.next(now);
    }

    fn done(&mut self, reference: Reference, verdict: Verdict) {
        self.said
            .push_back(Said::Done(reference, Answer::from(verdict)));
    }

    /// Sends what waits, as far as the other end is ready for it.
    fn next(&mut self, now: Instant) {
        while self.underway.is_none()
            && let Some(command) = self.waiting.pop_front()
        {
            if command.valid_until.is_some_and(|until| until <= now) {
                self.done(command.reference, Verdict::Expired);
                continue;
            }
            self.said.push_back(Said::Send(command.line.clone()));
            if self.answers {
                let until = now + self.answer_within();
                self.underway = Some(Underway {
                    command,
                    until,
                    repeats: 0,
                });
            } else {
                self.done(command.reference, Verdict::Sent);
            }
        }
    }

    const fn answer_within(&self) -> Duration {
        match &self.manifest.acknowledge {
            Acknowledge::PerFrame { within, .. } => *within,
            Acknowledge::None => Duration::from_secs(2),
        }
    }

    fn unanswered(&mut self, now: Instant) {
        let retries = match &self.manifest.acknowledge {
            Acknowledge::PerFrame { retries, .. } => *retries,
            Acknowledge::None => 0,
        };
        let within = self.answer_within();
        let Some(underway) = &mut self.underway else {
            return;
        };
        let once = underway.command.valid_until.is_some();
        if once || underway.repeats >= retries {
            self.conclude(Verdict::NoAnswer, now);
            return;
        }
        underway.repeats += 1;
        underway.until = now + within;
        self.counters.repeats += 1;
        self.said
            .push_back(Said::Send(underway.command.line.clone()));
    }

    fn heard(&mut self, now: Instant) {
        self.listening_since = Some(now);
        if std::mem::take(&mut self.silent) > 0 {
            self.said
                .push_back(Said::Link(LinkState::Up(Picture::None)));
        }
    }

    fn quiet_until(&self) -> Option<Instant> {
        let keep_alive = self.manifest.keep_alive.as_ref()?;
        Some(self.listening_since? + keep_alive.every)
    }

    fn silence(&mut self, now: Instant) {
        let Some(keep_alive) = self.manifest.keep_alive.clone() else {
            return;
        };
        self.silent += 1;
        self.listening_since = Some(now);
        if self.silent >= keep_alive.dead_after {
            self.listening_since = None;
            self.said.push_back(Said::Broken("the other end is silent"));
            return;
        }
        if self.silent > 1 {
            self.said.push_back(Said::Link(LinkState::Suspect));
        }
        if let Some(send) = keep_alive.send {
            self.send_contents(&send);
        }
    }

    /// Whether one more command fits into this second.
    fn in_rate(&mut self, now: Instant) -> bool {
        let (begun, count) = &mut self.second;
        if begun.is_none_or(|at| now >= at + SECOND) {
            (*begun, *count) = (Some(now), 0);
        }
        *count += 1;
        *count <= self.manifest.limits.commands_per_second
    }

    fn line_of(&mut self, command: &Command) -> Result<Vec<u8>, Verdict> {
        let values = self.words.values(command).ok_or(Verdict::NoSuchNumber)?;
        if !allowed(&values, &self.manifest.limits.numbers) {
            return Err(Verdict::NotAllowed);
        }
        let mut rules = self.manifest.transmit.iter();
        let rule = rules
            .find(|rule| rule.command == command.kind())
            .ok_or(Verdict::Unsupported)?;
        let contents = write(&rule.fields, &values, &forbidden(&self.manifest));
        contents
            .and_then(|contents| build(&contents, &self.manifest))
            .ok_or(Verdict::Unsupported)
    }
}

impl crate::session::Session for Session {
    fn coverage(&self) -> Coverage {
        self.coverage
    }

    fn counters(&self) -> &LineCounters {
        &self.counters
    }

    fn opened(&mut self, now: Instant) {
        self.reader.clear();
        self.unreadable = 0;
        self.silent = 0;
        self.listening_since = Some(now);
        for contents in self.manifest.greeting.clone() {
            self.send_contents(&contents);
        }
        self.said
            .push_back(Said::Link(LinkState::Up(Picture::None)));
    }

    fn closed(&mut self) {
        self.underway = None;
        self.waiting.clear();
        self.listening_since = None;
        self.words.calls.clear();
        self.said.clear();
    }

    fn received(&mut self, bytes: &[u8], now: Instant) {
        for octet in bytes {
            if let Some(telegram) = self.reader.push(*octet, &self.manifest) {
                self.telegram(telegram, now);
            }
        }
        self.unreadable += bytes.len();
        if self.unreadable > MOST_UNREADABLE {
            self.unreadable = 0;
            self.said.push_back(Said::Broken(
                "nothing that arrives fits the manifest; check speed, framing and check",
            ));
        }
    }

    fn command(&mut self, reference: Reference, command: &Command, purpose: Purpose, now: Instant) {
        let refusal = if purpose == Purpose::Test {
            // The wire cannot say that something is a test.
            Some(Verdict::TestRefused)
        } else if !self.in_rate(now) {
            Some(Verdict::RateLimited)
        } else if self.waiting.len() >= MOST_WAITING {
            self.counters.overflows += 1;
            Some(Verdict::Busy)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.done(reference, refusal);
            return;
        }
        match self.line_of(command) {
            Ok(line) => {
                self.waiting.push_back(Waiting {
                    reference,
                    line,
                    valid_until: command.output().map(|output| output.valid_until),
                });
                self.next(now);
            }
            Err(refusal) => self.done(reference, refusal),
        }
    }

    fn tell(&mut self, _event: &Event, _now: Instant) {}

    fn item(&mut self, _ask: AskId, _event: &Event, _now: Instant) {}

    fn answer(&mut self, _ask: AskId, _answer: &Answer, _now: Instant) {}

    fn handle_timeout(&mut self, now: Instant) {
        if self.underway.as_ref().is_some_and(|u| u.until <= now) {
            self.unanswered(now);
        }
        if self.quiet_until().is_some_and(|at| at <= now) {
            self.silence(now);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let underway = self.underway.as_ref().map(|underway| underway.until);
        [underway, self.quiet_until()].into_iter().flatten().min()
    }

    fn poll(&mut self) -> Option<Said> {
        self.said.pop_front()
    }
}

fn tells_node(rule: &ReceiveRule) -> bool {
    rule.fields.iter().any(|field| field.slot == Slot::Node)
}

fn allowed(values: &Values, ranges: &[(Number, Number)]) -> bool {
    let within = |number: &Number| {
        let length = number.digits().len();
        let mut ranges = ranges.iter();
        ranges.any(|(from, to)| from.digits().len() == length && (*from..=*to).contains(number))
    };
    let numbers = [Slot::Station, Slot::To].map(|slot| values.get(slot));
    ranges.is_empty()
        || numbers.iter().flatten().all(|value| match value {
            Value::Number(number) => within(number),
            Value::Integer(_) | Value::Text(_) => true,
        })
}

impl Manifest {
    /// What a line with this driver can carry.
    pub fn coverage(&self) -> Coverage {
        let heard = Coverage::NONE.event(EventKind::Opaque);
        let rules = self.receive.iter();
        let heard = rules.fold(heard, |coverage, rule| match rule.meaning {
            Meaning::Tells(kind) => coverage.event(kind),
            Meaning::Asks(kind) => coverage.commanded(kind),
            Meaning::Answers(_) | Meaning::Nothing => coverage,
        });
        let commands = self.transmit.iter();
        commands.fold(heard, |coverage, rule| coverage.command(rule.command))
    }
}
