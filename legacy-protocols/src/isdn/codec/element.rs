//! Information elements as they stand in a message: codeset, identifier, contents (Q.931 4.5).

/// Identifiers of codeset 0 (Q.931 table 4-3).
pub mod id {
    pub const BEARER_CAPABILITY: u8 = 0x04;
    pub const CAUSE: u8 = 0x08;
    pub const CALL_STATE: u8 = 0x14;
    pub const CHANNEL_IDENTIFICATION: u8 = 0x18;
    pub const FACILITY: u8 = 0x1C;
    pub const PROGRESS_INDICATOR: u8 = 0x1E;
    pub const NOTIFICATION_INDICATOR: u8 = 0x27;
    pub const DISPLAY: u8 = 0x28;
    pub const KEYPAD: u8 = 0x2C;
    pub const CONNECTED_NUMBER: u8 = 0x4C;
    pub const CALLING_NUMBER: u8 = 0x6C;
    pub const CALLED_NUMBER: u8 = 0x70;
    pub const RESTART_INDICATOR: u8 = 0x79;
    pub const LOW_LAYER_COMPATIBILITY: u8 = 0x7C;
    pub const HIGH_LAYER_COMPATIBILITY: u8 = 0x7D;
    pub const USER_USER: u8 = 0x7E;
    pub const SENDING_COMPLETE: u8 = 0xA1;
}

/// Those of table 4-3 that a receiver must comprehend (bits 8 to 5 are 0): bearer capability and
/// cause. Others of that range are unknown here.
const COMPREHENDED: [u8; 2] = [id::BEARER_CAPABILITY, id::CAUSE];

/// One information element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// 0 but for national, network and user specific ones.
    pub codeset: u8,
    /// From 0x80 on the whole element is one octet: its identifier, and with type 1 (all but
    /// 0xA.) four bits of contents.
    pub id: u8,
    pub contents: Vec<u8>,
}

impl Element {
    pub fn new(id: u8, contents: Vec<u8>) -> Self {
        Self {
            codeset: 0,
            id,
            contents,
        }
    }

    pub fn sending_complete() -> Self {
        Self::new(id::SENDING_COMPLETE, Vec::new())
    }

    /// Q.931 5.8.7.1: a message with an unknown one of these cannot be acted upon.
    pub fn must_be_comprehended(&self) -> bool {
        self.codeset == 0 && self.id & 0xF0 == 0 && !COMPREHENDED.contains(&self.id)
    }

    pub(super) fn encode(&self, octets: &mut Vec<u8>) {
        if self.codeset != 0 {
            // Q.931 4.5.4: non-locking, so that no later element depends on it.
            octets.push(SHIFT | NON_LOCKING | self.codeset);
        }
        if self.id & 0x80 == 0 {
            // Longer contents cannot be read, and views never make them.
            let length = self.contents.len().min(255);
            octets.extend([self.id, length as u8]);
            octets.extend_from_slice(&self.contents[..length]);
        } else {
            octets.push(self.id | self.contents.first().map_or(0, |bits| bits & 0x0F));
        }
    }
}

const SHIFT: u8 = 0x90;
const NON_LOCKING: u8 = 0x08;

/// Reads elements until the octets end; false if the last one was cut off.
pub(super) fn decode_all(mut octets: &[u8]) -> (Vec<Element>, bool) {
    let mut elements = Vec::new();
    let mut locked = 0;
    let mut next = None;
    while let Some((&first, rest)) = octets.split_first() {
        octets = rest;
        if first & 0xF0 == SHIFT {
            let codeset = first & 0x07;
            if first & NON_LOCKING != 0 {
                next = Some(codeset);
            } else if codeset > locked {
                // Q.931 4.5.3: locking shifts only go up.
                locked = codeset;
            }
            continue;
        }
        let codeset = next.take().unwrap_or(locked);
        let (id, contents) = if first & 0x80 == 0 {
            let Some((&length, rest)) = octets.split_first() else {
                return (elements, false);
            };
            let Some((contents, rest)) = rest.split_at_checked(usize::from(length)) else {
                return (elements, false);
            };
            octets = rest;
            (first, contents.to_vec())
        } else if first & 0xF0 == 0xA0 {
            (first, Vec::new())
        } else {
            (first & 0xF0, vec![first & 0x0F])
        };
        elements.push(Element {
            codeset,
            id,
            contents,
        });
    }
    (elements, true)
}
