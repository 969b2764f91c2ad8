//! Call numbers and parties as the lines of intercom servers carry them.
//!
//! Says nothing about who has a number. A number always holds one to eight digits; the filler
//! nibble F exists on the wire only.

use std::fmt;

/// The most digits of a number on any of our lines.
pub const MOST_DIGITS: usize = 8;

/// A call number: one to eight decimal digits. Leading zeros count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number {
    digits: [u8; MOST_DIGITS],
    length: u8,
}

/// The number of a server in a network of servers. 0 stands for all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node(pub u16);

/// A number at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Party {
    pub node: Node,
    pub number: Number,
}

/// On which side of a number in BCD the nibbles F stand that fill its octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filler {
    Leading,
    Trailing,
}

/// Why something is no call number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    #[error("a call number has at least one digit")]
    Empty,
    #[error("a call number has at most 8 digits; map longer ones to shorter by a prefix")]
    TooLong,
    #[error("a call number holds the digits 0 to 9 only")]
    NotADigit,
    #[error("a filler nibble stands between digits; it may only stand before or after them")]
    FillerInside,
}

impl Number {
    /// Stands for the server itself, where a line names inputs and outputs of no station.
    pub const SERVER: Self = Self {
        digits: [0; MOST_DIGITS],
        length: 1,
    };

    pub fn new(text: &str) -> Result<Self, NumberError> {
        Self::from_digits(text.bytes().map(|byte| byte.wrapping_sub(b'0')))
    }

    /// The digits of octets with two nibbles each, without the filler.
    pub fn from_bcd(octets: &[u8], filler: Filler) -> Result<Self, NumberError> {
        const F: u8 = 0xF;
        if octets.len() > MOST_DIGITS {
            return Err(NumberError::TooLong);
        }
        let nibbles: Vec<u8> = octets.iter().flat_map(|o| [o >> 4, o & 0xF]).collect();
        let digits = match filler {
            Filler::Leading => {
                let first = nibbles.iter().position(|n| *n != F);
                &nibbles[first.unwrap_or(nibbles.len())..]
            }
            Filler::Trailing => {
                let last = nibbles.iter().rposition(|n| *n != F);
                &nibbles[..last.map_or(0, |at| at + 1)]
            }
        };
        if digits.contains(&F) {
            return Err(NumberError::FillerInside);
        }
        Self::from_digits(digits.iter().copied())
    }

    fn from_digits(source: impl Iterator<Item = u8>) -> Result<Self, NumberError> {
        let mut digits = [0; MOST_DIGITS];
        let mut length = 0;
        for digit in source {
            if digit > 9 {
                return Err(NumberError::NotADigit);
            }
            *digits.get_mut(length).ok_or(NumberError::TooLong)? = digit;
            length += 1;
        }
        if length == 0 {
            return Err(NumberError::Empty);
        }
        Ok(Self {
            digits,
            length: length as u8,
        })
    }

    /// Two digits an octet; an odd one is filled up to a whole octet.
    pub fn to_bcd(self, filler: Filler) -> Vec<u8> {
        let octets = self.digits().len().div_ceil(2);
        self.to_bcd_of(octets, filler)
            .expect("so many octets hold all digits")
    }

    /// The same in a field of so many octets; None where it does not fit.
    pub fn to_bcd_of(self, octets: usize, filler: Filler) -> Option<Vec<u8>> {
        let fill = (octets * 2).checked_sub(self.digits().len())?;
        let filled = std::iter::repeat_n(0xF, fill);
        let digits = self.digits().iter().copied();
        let nibbles: Vec<u8> = match filler {
            Filler::Leading => filled.chain(digits).collect(),
            Filler::Trailing => digits.chain(filled).collect(),
        };
        Some(nibbles.chunks(2).map(|n| n[0] << 4 | n[1]).collect())
    }

    /// Their values, 0 to 9.
    pub fn digits(&self) -> &[u8] {
        &self.digits[..usize::from(self.length)]
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self.digits().iter().map(|d| char::from(d + b'0')).collect();
        f.pad(&text)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.node.0, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_survives_its_octets_with_the_filler_on_either_side() {
        for text in ["1", "107", "2101", "00012345", "1234567"] {
            let number = Number::new(text).unwrap();
            assert_eq!(number.to_string(), text);
            for filler in [Filler::Leading, Filler::Trailing] {
                assert_eq!(Number::from_bcd(&number.to_bcd(filler), filler), Ok(number));
                let wide = number.to_bcd_of(4, filler).unwrap();
                assert_eq!(wide.len(), 4);
                assert_eq!(Number::from_bcd(&wide, filler), Ok(number));
            }
        }
    }

    /// `107F` is how ACDP prints number 107; eight digits led by F is how control desks do.
    #[test]
    fn published_forms_of_the_filler() {
        let number = Number::new("107").unwrap();
        assert_eq!(number.to_bcd(Filler::Trailing), [0x10, 0x7F]);
        assert_eq!(
            number.to_bcd_of(4, Filler::Leading).unwrap(),
            [0xFF, 0xFF, 0xF1, 0x07]
        );
        assert_eq!(number.to_bcd_of(1, Filler::Leading), None);
    }

    #[test]
    fn what_is_no_number_is_refused_with_its_reason() {
        assert_eq!(Number::new(""), Err(NumberError::Empty));
        assert_eq!(Number::new("123456789"), Err(NumberError::TooLong));
        assert_eq!(Number::new("12a"), Err(NumberError::NotADigit));
        let of = |octets: &[u8]| Number::from_bcd(octets, Filler::Leading);
        assert_eq!(of(&[]), Err(NumberError::Empty));
        assert_eq!(of(&[0xFF, 0xFF]), Err(NumberError::Empty));
        assert_eq!(of(&[0x10, 0x7F]), Err(NumberError::FillerInside));
        assert_eq!(of(&[0x1A]), Err(NumberError::NotADigit));
        assert_eq!(of(&[0x11; 5]), Err(NumberError::TooLong));
        assert_eq!(of(&[0xFF; 9]), Err(NumberError::TooLong));
    }
}
