//! References to what a server knows: a station by its number, at a node or not (NET_OBJ_REF).
//!
//! One octet of length and format, then so many octets. Two formats are known from published
//! examples; all others are kept as they are.

use crate::number::{Filler, Node, Number, NumberError, Party};
use crate::octets::Octets;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    Null,
    /// Digits; the example is `20 102F` for 102.
    Digits(Number),
    /// A number at a node; the example is `32 01 107F` for 107 at node 1.
    Station(Party),
    /// Its format and octets.
    Other(u8, Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    #[error("the telegram ends within an object reference")]
    Short,
    #[error("a number in an object reference: {0}")]
    Number(NumberError),
}

const DIGITS: u8 = 0;
const STATION: u8 = 2;

impl Object {
    pub(super) fn read(octets: &mut Octets<'_>) -> Result<Self, ObjectError> {
        let header = octets.u8().ok_or(ObjectError::Short)?;
        let (length, format) = (usize::from(header >> 4), header & 0xF);
        let contents = octets.take(length).ok_or(ObjectError::Short)?;
        let number = |bcd| Number::from_bcd(bcd, Filler::Trailing).map_err(ObjectError::Number);
        match (format, contents) {
            (_, []) => Ok(Self::Null),
            (DIGITS, digits) => Ok(Self::Digits(number(digits)?)),
            (STATION, [node, digits @ ..]) => Ok(Self::Station(Party {
                node: Node(u16::from(*node)),
                number: number(digits)?,
            })),
            (format, other) => Ok(Self::Other(format, other.to_vec())),
        }
    }

    /// None where the node is none of this protocol's 1 to 254.
    pub(super) fn write(&self, into: &mut Vec<u8>) -> Option<()> {
        let (format, contents) = match self {
            Self::Null => (DIGITS, Vec::new()),
            Self::Digits(number) => (DIGITS, number.to_bcd(Filler::Trailing)),
            Self::Station(party) => {
                let node = u8::try_from(party.node.0).ok()?;
                if !(1..=254).contains(&node) {
                    return None;
                }
                let mut contents = vec![node];
                contents.extend(party.number.to_bcd(Filler::Trailing));
                (STATION, contents)
            }
            Self::Other(format, contents) => (*format, contents.clone()),
        };
        let length = u8::try_from(contents.len()).ok().filter(|l| *l <= 15)?;
        into.push(length << 4 | format);
        into.extend(contents);
        Some(())
    }
}
