//! A message: discriminator, call reference, type, elements (Q.931 4.1 to 4.4).

use thiserror::Error;

use super::element::{Element, decode_all};

/// Q.931 4.2.
const DISCRIMINATOR: u8 = 0x08;

/// Who chose a call reference (its flag, Q.931 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The message's sender.
    Sender,
    /// Its receiver.
    Receiver,
}

/// Which call of a D channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallReference {
    /// In octets: 0 (the dummy reference, of no call), 1 (basic rate) or 2 (primary rate).
    pub length: u8,
    pub value: u16,
    pub origin: Origin,
}

impl CallReference {
    /// Not of one call, but of the interface (Q.931 4.3).
    pub fn is_global(&self) -> bool {
        self.length > 0 && self.value == 0
    }

    pub fn is_dummy(&self) -> bool {
        self.length == 0
    }

    fn encode(self, octets: &mut Vec<u8>) {
        let flag = match self.origin {
            Origin::Sender => 0x00,
            Origin::Receiver => 0x80,
        };
        octets.push(self.length);
        let [high, low] = self.value.to_be_bytes();
        match self.length {
            0 => {}
            1 => octets.push(low & 0x7F | flag),
            _ => octets.extend([high & 0x7F | flag, low]),
        }
    }
}

macro_rules! message_types {
    ($($name:ident = $octet:literal,)*) => {
        /// Q.931 table 4-2.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum MessageType {
            $($name,)*
            /// Not spoken here.
            Other(u8),
        }

        impl MessageType {
            pub fn octet(self) -> u8 {
                match self {
                    $(Self::$name => $octet,)*
                    Self::Other(octet) => octet,
                }
            }

            pub fn from_octet(octet: u8) -> Self {
                match octet {
                    $($octet => Self::$name,)*
                    other => Self::Other(other),
                }
            }
        }
    };
}

message_types! {
    Alerting = 0x01,
    CallProceeding = 0x02,
    Progress = 0x03,
    Setup = 0x05,
    Connect = 0x07,
    SetupAcknowledge = 0x0D,
    ConnectAcknowledge = 0x0F,
    Disconnect = 0x45,
    Restart = 0x46,
    Release = 0x4D,
    RestartAcknowledge = 0x4E,
    ReleaseComplete = 0x5A,
    Facility = 0x62,
    Notify = 0x6E,
    StatusEnquiry = 0x75,
    Information = 0x7B,
    Status = 0x7D,
}

/// Why octets are no message; the peer is at fault. Q.931 5.8.1 and 5.8.3.1: it is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    #[error("too short for a message")]
    TooShort,
    #[error("protocol discriminator {0:#04x} is not that of Q.931")]
    Discriminator(u8),
    #[error("a call reference of {0} octets; at most 2 are spoken here")]
    ReferenceLength(u8),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub reference: CallReference,
    pub kind: MessageType,
    pub elements: Vec<Element>,
    /// The last element was cut off, and is not among the elements.
    pub cut_off: bool,
    raw: Vec<u8>,
}

impl Message {
    pub fn new(reference: CallReference, kind: MessageType, elements: Vec<Element>) -> Self {
        let mut new = Self {
            reference,
            kind,
            elements,
            cut_off: false,
            raw: Vec::new(),
        };
        new.raw = new.encode();
        new
    }

    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let (&[discriminator, length], rest) =
            octets.split_first_chunk().ok_or(DecodeError::TooShort)?;
        if discriminator != DISCRIMINATOR {
            return Err(DecodeError::Discriminator(discriminator));
        }
        // Q.931 4.3: bits 5 to 8 of the length are 0.
        if length > 2 {
            return Err(DecodeError::ReferenceLength(length));
        }
        let (reference, rest) = rest
            .split_at_checked(usize::from(length))
            .ok_or(DecodeError::TooShort)?;
        let (&kind, rest) = rest.split_first().ok_or(DecodeError::TooShort)?;
        let (value, flag) = match *reference {
            [] => (0, 0),
            [one] => (u16::from(one & 0x7F), one & 0x80),
            [high, low, ..] => (u16::from_be_bytes([high & 0x7F, low]), high & 0x80),
        };
        let (elements, whole) = decode_all(rest);
        Ok(Self {
            reference: CallReference {
                length,
                value,
                origin: if flag == 0 {
                    Origin::Sender
                } else {
                    Origin::Receiver
                },
            },
            kind: MessageType::from_octet(kind),
            elements,
            cut_off: !whole,
            raw: octets.to_vec(),
        })
    }

    /// The octets it came from, or those it was built into.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The first element of codeset 0 with this identifier.
    pub fn element(&self, id: u8) -> Option<&Element> {
        self.elements
            .iter()
            .find(|element| element.codeset == 0 && element.id == id)
    }

    pub fn contents(&self, id: u8) -> Option<&[u8]> {
        Some(&self.element(id)?.contents)
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut octets = vec![DISCRIMINATOR];
        self.reference.encode(&mut octets);
        octets.push(self.kind.octet());
        for element in &self.elements {
            element.encode(&mut octets);
        }
        octets
    }
}
