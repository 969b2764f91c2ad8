//! The header of every message, and its fields (section 4.1).

use super::field::Fields;
use crate::number::Node;
use crate::octets::Octets;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pdu {
    pub flags: Flags,
    /// How many routers it may still pass.
    pub hops: u8,
    /// The type of the message.
    pub kind: u8,
    pub source: Node,
    pub destination: Node,
    /// Chosen by who asks and echoed; of events their number.
    pub reference: u16,
    pub fields: Fields,
}

/// Bits that this version does not know are kept and have no meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    pub const NONE: Self = Self(0);
    pub const ANSWER_WANTED: Self = Self(1);
    pub const ANSWER: Self = Self(1 << 1);
    pub const SNAPSHOT: Self = Self(1 << 2);
    pub const TEST: Self = Self(1 << 3);

    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PduFault {
    #[error("the message ends too early")]
    Short,
    #[error("version {0} of the profile; this end speaks version 1")]
    Version(u8),
    #[error("the length in the header is not that of the fields")]
    Length,
    #[error("field {0:#04x} stands there twice")]
    Twice(u8),
}

const VERSION: u8 = 1;
pub(super) const MOST_HOPS: u8 = 15;

impl Pdu {
    pub fn decode(payload: &[u8]) -> Result<Self, PduFault> {
        let mut octets = Octets(payload);
        let version = octets.u8().ok_or(PduFault::Short)?;
        if version != VERSION {
            return Err(PduFault::Version(version));
        }
        let (mut pdu, length) = Self::header(&mut octets).ok_or(PduFault::Short)?;
        if usize::from(length) != octets.rest().len() {
            return Err(PduFault::Length);
        }
        pdu.fields = Fields::read(octets)?;
        Ok(pdu)
    }

    fn header(octets: &mut Octets<'_>) -> Option<(Self, u16)> {
        let pdu = Self {
            flags: Flags(octets.u8()?),
            hops: octets.u8()?,
            kind: octets.u8()?,
            source: Node(octets.u16()?),
            destination: Node(octets.u16()?),
            reference: octets.u16()?,
            fields: Fields::default(),
        };
        Some((pdu, octets.u16()?))
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        self.fields.write(&mut fields);
        let mut octets = vec![VERSION, self.flags.0, self.hops, self.kind];
        for number in [
            self.source.0,
            self.destination.0,
            self.reference,
            fields.len() as u16,
        ] {
            octets.extend_from_slice(&number.to_be_bytes());
        }
        octets.extend(fields);
        octets
    }
}
