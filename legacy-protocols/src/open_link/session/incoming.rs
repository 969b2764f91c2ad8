//! What comes: messages are understood, answered, and told to the owner.

use std::sync::Arc;
use std::time::Instant;

use super::outgoing::Clock;
use super::{Asked, Phase, Session, VERSION};
use crate::command::{Answer, Command, Purpose, Verdict};
use crate::event::{Event, Origin, Provenance};
use crate::open_link::message::{Body, Meaning, MessageFault, Pulse, drives, understand};
use crate::open_link::pdu::{Flags, Pdu, PduFault};
use crate::port::AskId;
use crate::session::Said;
use crate::text::Text;

/// Messages below this type are the session's own.
const FIRST_EVENT: u8 = 0x10;
/// Commands of the other end that wait for our answer at most.
const MOST_ASKED: usize = 256;

impl Session {
    pub(super) fn payload(&mut self, payload: &[u8], now: Instant) {
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
