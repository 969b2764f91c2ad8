//! What both ends of a simple link do alike: lines to messages and back, counted.
//!
//! It knows what a message is and not what it means. Invariant: each line that passed its check
//! comes out once, as a message or as none, with its octets.

use std::sync::Arc;
use std::time::Instant;

use super::codec::{Line, LineError, Reader, print};
use super::message::{Device, Message};
use super::session::Config;
use crate::command::Purpose;
use crate::counters::LineCounters;
use crate::event::{Origin, Provenance};
use crate::session::Said;

/// After so many octets without a single right line, this is not the protocol that is spoken here.
const MOST_UNREADABLE: usize = 16 * 1024;

/// A line that passed its check.
#[derive(Debug)]
pub(super) struct Heard {
    /// None: its octets are no message.
    pub(super) message: Option<Message>,
    pub(super) from: Provenance,
}

#[derive(Debug)]
pub(super) struct Telegrams {
    config: Config,
    reader: Reader,
    next_reference: u16,
    /// Octets since the last line that was right.
    unreadable: usize,
    pub(super) counters: LineCounters,
}

impl Telegrams {
    pub(super) fn new(config: Config) -> Self {
        Self {
            reader: Reader::new(config.checksum),
            config,
            next_reference: 1,
            unreadable: 0,
            counters: LineCounters::default(),
        }
    }

    /// What an earlier connection has left is forgotten.
    pub(super) fn clear(&mut self) {
        self.reader.clear();
        self.unreadable = 0;
    }

    pub(super) fn hear(&mut self, bytes: &[u8], now: Instant) -> Vec<Heard> {
        let mut heard = Vec::new();
        for octet in bytes {
            if let Some(line) = self.reader.push(*octet) {
                heard.extend(self.line(line, now));
            }
        }
        self.unreadable += bytes.len();
        heard
    }

    /// Nothing of so much was right; said once of it.
    pub(super) fn is_something_else(&mut self) -> bool {
        let is = self.unreadable > MOST_UNREADABLE;
        if is {
            self.unreadable = 0;
        }
        is
    }

    fn line(&mut self, line: Line, now: Instant) -> Option<Heard> {
        let octets = match line.octets {
            Ok(octets) => octets,
            Err(LineError::TooLong) => {
                self.counters.oversize += 1;
                return None;
            }
            Err(LineError::BadChecksum | LineError::NoChecksum) => {
                self.counters.bad_checksums += 1;
                return None;
            }
            Err(LineError::Syntax) => {
                self.counters.malformed += 1;
                return None;
            }
        };
        self.counters.frames += 1;
        self.unreadable = 0;
        let from = Provenance {
            raw: Arc::from(line.raw),
            at: now,
            origin: Origin::Live,
            purpose: Purpose::Live,
        };
        let message = Message::decode(&octets).ok();
        self.counters.malformed += u64::from(message.is_none());
        Some(Heard { message, from })
    }

    /// To the other end; with the reference by which it will be answered.
    pub(super) fn say(&mut self, id: u16, parameters: Vec<u8>) -> (u16, Said) {
        let reference = self.next_reference;
        self.next_reference = reference.wrapping_add(1);
        (reference, self.reply(reference, id, parameters))
    }

    /// To the other end, which said something with this reference.
    pub(super) fn reply(&self, reference: u16, id: u16, parameters: Vec<u8>) -> Said {
        let to = self.config.server;
        self.message(to, Vec::new(), reference, id, parameters)
    }

    pub(super) fn message(
        &self,
        destination: Device,
        options: Vec<u8>,
        reference: u16,
        id: u16,
        parameters: Vec<u8>,
    ) -> Said {
        let message = Message {
            source: self.config.own,
            destination,
            hops: self.config.hops,
            options,
            class: Message::INTERCOM,
            reference,
            id,
            parameters,
        };
        Said::Send(print(&message.encode()))
    }
}
