//! What goes: messages with their reference and number, and signs of life.

use std::time::Instant;

use super::{CAPABILITIES, Phase, Session, VERSION};
use crate::open_link::link_time::LinkTime;
use crate::open_link::message::{Body, Ends, Hello, Pulse, Times, express};
use crate::open_link::pdu::Flags;
use crate::port::LinkState;
use crate::session::Said;

/// Silent keep-alive times until the line is given up.
const MOST_SILENT: u32 = 3;

impl Session {
    pub(super) fn hello(&self, now: Instant) -> Hello {
        Hello {
            version: VERSION,
            name: self.config.name.clone(),
            capabilities: CAPABILITIES,
            pulse: self.pulse(now),
        }
    }

    pub(super) fn pulse(&self, now: Instant) -> Pulse {
        Pulse {
            link_time: Some(self.time.own(now)),
            next_event: Some(self.next_event),
        }
    }

    pub(super) fn reference(&mut self) -> u16 {
        loop {
            let reference = self.next_reference;
            self.next_reference = reference.checked_add(1).unwrap_or(1);
            if !self.sent.contains_key(&reference) {
                return reference;
            }
        }
    }

    pub(super) fn send(&mut self, body: &Body, now: Instant) {
        let reference = self.reference();
        self.reply(body, reference, now);
    }

    /// False where the line took no more.
    pub(super) fn reply(&mut self, body: &Body, reference: u16, now: Instant) -> bool {
        self.reply_with(body, reference, Flags::NONE, now)
    }

    pub(super) fn reply_with(
        &mut self,
        body: &Body,
        reference: u16,
        flags: Flags,
        now: Instant,
    ) -> bool {
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

    pub(super) const fn ends<'a>(&self, clock: &'a Clock<'a>) -> Ends<'a> {
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

    pub(super) fn keep_alive(&mut self, now: Instant) {
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

/// What cannot be told is past already.
#[derive(Debug)]
pub(super) struct Clock<'a>(pub(super) &'a LinkTime, pub(super) Instant);

impl Times for Clock<'_> {
    fn ours(&self, at: Instant) -> u64 {
        self.0.own(at)
    }

    fn theirs(&self, milliseconds: u64) -> Instant {
        self.0.theirs(milliseconds).unwrap_or(self.1)
    }
}
