//! Messages and what they mean in neutral words (sections 4.3 and 4.4). Tables, no state.
//!
//! Of two nodes in the header, the first is where the number of field 10 is at home, unless the
//! message commands a station: then it is the second. Field 11 is at home at the second node. A party
//! that is at home elsewhere says so in field 19 or 1A.

mod read;
mod write;

use std::time::Instant;

use super::pdu::Pdu;
use crate::command::{Answer, Command};
use crate::event::Event;
use crate::number::Node;
use crate::text::Text;

pub use read::understand;
pub use write::express;

/// Types of messages.
pub(super) mod types {
    pub(in crate::open_link) const HELLO: u8 = 0x01;
    pub(in crate::open_link) const HELLO_ANSWER: u8 = 0x02;
    pub(in crate::open_link) const KEEP_ALIVE: u8 = 0x04;
    pub(in crate::open_link) const SNAPSHOT: u8 = 0x05;
    pub(in crate::open_link) const SNAPSHOT_ITEM: u8 = 0x06;
    pub(in crate::open_link) const SNAPSHOT_END: u8 = 0x07;
    pub(in crate::open_link) const STATION_STATE: u8 = 0x10;
    pub(in crate::open_link) const STATION_FAULTS: u8 = 0x11;
    pub(in crate::open_link) const LINE_TEST: u8 = 0x12;
    pub(in crate::open_link) const LINE_TESTED: u8 = 0x13;
    pub(in crate::open_link) const REQUEST_NEW: u8 = 0x20;
    pub(in crate::open_link) const REQUEST_UPDATE: u8 = 0x21;
    pub(in crate::open_link) const REQUEST_CANCEL: u8 = 0x22;
    pub(in crate::open_link) const REQUEST_CLAIM: u8 = 0x23;
    pub(in crate::open_link) const REQUEST_CLOSED: u8 = 0x24;
    pub(in crate::open_link) const CALL_SETUP: u8 = 0x30;
    pub(in crate::open_link) const CALL_PROGRESS: u8 = 0x31;
    pub(in crate::open_link) const CALL_CONNECTED: u8 = 0x32;
    pub(in crate::open_link) const CALL_RELEASE: u8 = 0x33;
    pub(in crate::open_link) const CALL_RELEASED: u8 = 0x34;
    pub(in crate::open_link) const HOLD: u8 = 0x35;
    pub(in crate::open_link) const RETRIEVE: u8 = 0x36;
    pub(in crate::open_link) const TRANSFER: u8 = 0x37;
    pub(in crate::open_link) const TALK_MODE: u8 = 0x38;
    pub(in crate::open_link) const TALK_KEY: u8 = 0x39;
    pub(in crate::open_link) const KEYS: u8 = 0x3A;
    pub(in crate::open_link) const GROUP_START: u8 = 0x40;
    pub(in crate::open_link) const GROUP_STOP: u8 = 0x41;
    pub(in crate::open_link) const CONFERENCE_JOIN: u8 = 0x42;
    pub(in crate::open_link) const CONFERENCE_LEAVE: u8 = 0x43;
    pub(in crate::open_link) const CONFERENCE_TALK: u8 = 0x44;
    pub(in crate::open_link) const OUTPUT_SET: u8 = 0x50;
    pub(in crate::open_link) const OUTPUT_STATE: u8 = 0x51;
    pub(in crate::open_link) const INPUT_STATE: u8 = 0x52;
    pub(in crate::open_link) const DOOR_OPEN: u8 = 0x53;
    pub(in crate::open_link) const DOOR_STATE: u8 = 0x54;
    pub(in crate::open_link) const TEXT: u8 = 0x60;
    pub(in crate::open_link) const PROGRAMME: u8 = 0x61;
    pub(in crate::open_link) const ANNOUNCE: u8 = 0x62;
    pub(in crate::open_link) const DIVERT: u8 = 0x70;
    pub(in crate::open_link) const PRIVACY: u8 = 0x72;
    pub(in crate::open_link) const RESULT: u8 = 0x7E;
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    Hello(Hello),
    HelloAnswer(Hello),
    KeepAlive(Pulse),
    Command(Command),
    Event(Event),
    /// One fact of the picture that was asked for.
    Item(Event),
    /// So many items were sent.
    ItemsEnd(u16),
    Result(Answer),
}

/// What a message shall say; the header is made from it.
pub type Body = Meaning;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Major and minor version of the profile.
    pub version: u16,
    pub name: Text,
    pub capabilities: u32,
    pub pulse: Pulse,
}

/// What each sign of life tells about its sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Milliseconds since the link was established.
    pub link_time: Option<u64>,
    /// The number that its next event will carry.
    pub next_event: Option<u16>,
}

/// Both ends, and the clock of the link.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a> {
    pub own: Node,
    pub other: Node,
    pub times: &'a dyn Times,
}

/// Turns moments into the link's time and back.
pub trait Times: std::fmt::Debug {
    fn ours(&self, at: Instant) -> u64;
    /// What cannot be told is a moment that has passed.
    fn theirs(&self, milliseconds: u64) -> Instant;
}

/// Why a message cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageFault {
    #[error("messages of type {0:#04x} are unknown here")]
    Unknown(u8),
    #[error("field {0:#04x} has to be understood and is not")]
    Mandatory(u8),
    #[error("field {0:#04x} is missing or makes no sense")]
    Field(u8),
}

/// Whether a message drives something, so that a fault in it is a refusal.
pub(super) const fn drives(pdu: &Pdu) -> bool {
    matches!(pdu.kind, types::OUTPUT_SET | types::DOOR_OPEN)
}
