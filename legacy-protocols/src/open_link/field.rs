//! Fields of messages: a type, a length, a value (section 4.2).
//!
//! Invariant: of one type a message has one field at most, so that no two readers can disagree
//! about which counts.

pub(super) mod sound;

use super::pdu::PduFault;
use crate::command::{Authority, Keys, Switch};
use crate::number::{Filler, Node, Number};
use crate::octets::Octets;
use crate::text::Text;

/// Types of fields.
pub(super) mod kind {
    pub(in crate::open_link) const VERSION: u8 = 0x01;
    pub(in crate::open_link) const NAME: u8 = 0x02;
    pub(in crate::open_link) const CAPABILITIES: u8 = 0x03;
    pub(in crate::open_link) const ITEM_OF: u8 = 0x04;
    pub(in crate::open_link) const COUNT: u8 = 0x05;
    pub(in crate::open_link) const LINK_TIME: u8 = 0x06;
    pub(in crate::open_link) const NEXT_EVENT: u8 = 0x07;
    pub(in crate::open_link) const NUMBER: u8 = 0x10;
    pub(in crate::open_link) const TO_NUMBER: u8 = 0x11;
    pub(in crate::open_link) const PRIORITY: u8 = 0x12;
    pub(in crate::open_link) const TEXT: u8 = 0x13;
    pub(in crate::open_link) const TALK_MODE: u8 = 0x14;
    pub(in crate::open_link) const CAUSE: u8 = 0x15;
    pub(in crate::open_link) const CALL: u8 = 0x16;
    pub(in crate::open_link) const REQUEST: u8 = 0x17;
    pub(in crate::open_link) const GROUP: u8 = 0x18;
    pub(in crate::open_link) const NUMBER_NODE: u8 = 0x19;
    pub(in crate::open_link) const TO_NODE: u8 = 0x1A;
    pub(in crate::open_link) const OUTPUT: u8 = 0x20;
    pub(in crate::open_link) const PULSE: u8 = 0x21;
    pub(in crate::open_link) const LEVEL: u8 = 0x22;
    pub(in crate::open_link) const INPUT: u8 = 0x23;
    pub(in crate::open_link) const COMMAND_ID: u8 = 0x24;
    pub(in crate::open_link) const VALID_UNTIL: u8 = 0x25;
    pub(in crate::open_link) const STATION_STATE: u8 = 0x30;
    pub(in crate::open_link) const FAULTS: u8 = 0x31;
    pub(in crate::open_link) const TEST_RESULT: u8 = 0x32;
    pub(in crate::open_link) const DOOR_STATE: u8 = 0x33;
    pub(in crate::open_link) const PROGRESS: u8 = 0x34;
    pub(in crate::open_link) const KEY: u8 = 0x35;
    pub(in crate::open_link) const KEYS: u8 = 0x36;
    pub(in crate::open_link) const PROGRAMME: u8 = 0x37;
    pub(in crate::open_link) const RECORDING: u8 = 0x38;
    pub(in crate::open_link) const DIVERT: u8 = 0x39;
    pub(in crate::open_link) const RESULT: u8 = 0x3B;
    pub(in crate::open_link) const AUTHORITY: u8 = 0x50;
    pub(in crate::open_link) const SOUND: u8 = 0x60;

    /// From here on a reader has to understand a field or refuse its message.
    pub(in crate::open_link) const MANDATORY: u8 = 0x80;
}

/// The fields of one message, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(u8, Vec<u8>)>);

impl Fields {
    pub(super) fn read(mut octets: Octets<'_>) -> Result<Self, PduFault> {
        let mut fields = Self::default();
        while !octets.is_empty() {
            let kind = octets.u8().ok_or(PduFault::Short)?;
            let length = octets.u8().ok_or(PduFault::Short)?;
            let value = octets.take(usize::from(length)).ok_or(PduFault::Short)?;
            if fields.get(kind).is_some() {
                return Err(PduFault::Twice(kind));
            }
            fields.0.push((kind, value.to_vec()));
        }
        Ok(fields)
    }

    pub(super) fn write(&self, into: &mut Vec<u8>) {
        for (kind, value) in &self.0 {
            into.push(*kind);
            into.push(value.len() as u8);
            into.extend_from_slice(value);
        }
    }

    /// No value is longer than its length octet can say.
    pub(super) fn put(&mut self, kind: u8, value: &[u8]) {
        let value = &value[..value.len().min(255)];
        self.0.push((kind, value.to_vec()));
    }

    pub(super) fn put_u8(&mut self, kind: u8, value: u8) {
        self.put(kind, &[value]);
    }

    pub(super) fn put_u16(&mut self, kind: u8, value: u16) {
        self.put(kind, &value.to_be_bytes());
    }

    pub(super) fn put_u32(&mut self, kind: u8, value: u32) {
        self.put(kind, &value.to_be_bytes());
    }

    pub(super) fn put_u64(&mut self, kind: u8, value: u64) {
        self.put(kind, &value.to_be_bytes());
    }

    /// One octet where it is enough.
    pub(super) fn put_index(&mut self, kind: u8, value: u16) {
        match u8::try_from(value) {
            Ok(short) => self.put_u8(kind, short),
            Err(_) => self.put_u16(kind, value),
        }
    }

    pub(super) fn put_number(&mut self, kind: u8, number: Number) {
        self.put(kind, &number.to_bcd(Filler::Leading));
    }

    pub(super) fn put_switch(&mut self, kind: u8, switch: Switch) {
        self.put_u8(kind, u8::from(switch == Switch::On));
    }

    pub(super) fn get(&self, kind: u8) -> Option<&[u8]> {
        let field = self.0.iter().find(|(k, _)| *k == kind);
        field.map(|(_, value)| value.as_slice())
    }

    pub(super) fn u8(&self, kind: u8) -> Option<u8> {
        match self.get(kind)? {
            [value] => Some(*value),
            _ => None,
        }
    }

    pub(super) fn u16(&self, kind: u8) -> Option<u16> {
        Some(u16::from_be_bytes(self.get(kind)?.try_into().ok()?))
    }

    pub(super) fn u64(&self, kind: u8) -> Option<u64> {
        Some(u64::from_be_bytes(self.get(kind)?.try_into().ok()?))
    }

    pub(super) fn index(&self, kind: u8) -> Option<u16> {
        match self.get(kind)? {
            [value] => Some(u16::from(*value)),
            [high, low] => Some(u16::from_be_bytes([*high, *low])),
            _ => None,
        }
    }

    pub(super) fn number(&self, kind: u8) -> Option<Number> {
        Number::from_bcd(self.get(kind)?, Filler::Leading).ok()
    }

    pub(super) fn node(&self, kind: u8) -> Option<Node> {
        self.u16(kind).map(Node)
    }

    pub(super) fn text(&self, kind: u8) -> Option<Text> {
        let text = self.get(kind)?;
        Some(Text::clip(&String::from_utf8_lossy(text)))
    }

    pub(super) fn switch(&self, kind: u8) -> Option<Switch> {
        match self.u8(kind)? {
            0 => Some(Switch::Off),
            1 => Some(Switch::On),
            _ => None,
        }
    }

    pub(super) fn keys(&self, kind: u8) -> Option<Keys> {
        Keys::new(std::str::from_utf8(self.get(kind)?).ok()?)
    }

    /// Missing is an empty one, which allows nothing.
    pub(super) fn authority(&self, kind: u8) -> Option<Authority> {
        match self.get(kind) {
            None => Some(Authority::default()),
            Some(token) => Authority::new(token),
        }
    }

    /// The first field that has to be understood and is not; we know none of those.
    pub(super) fn not_understood(&self) -> Option<u8> {
        let kinds = self.0.iter().map(|(kind, _)| *kind);
        kinds.into_iter().find(|kind| *kind >= kind::MANDATORY)
    }
}
