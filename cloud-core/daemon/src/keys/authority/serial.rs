//! Serial numbers of certificates: random, so that nothing can be read from them and none comes
//! twice.

use std::fmt;
use std::str::FromStr;

use crate::random;
use crate::store::{Argument, Bind};

/// 126 random bits: the first octet keeps the number positive and 16 octets long (RFC 5280
/// 4.1.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Serial(pub(super) [u8; 16]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a serial number has 32 hexadecimal digits in lower case")]
pub(crate) struct NotASerial;

impl Serial {
    pub(super) fn random() -> Self {
        let mut octets: [u8; 16] = random::octets();
        octets[0] = octets[0] & 0x3f | 0x40;
        Self(octets)
    }

    /// As it stands in a certificate. None of ours looks otherwise.
    pub(crate) fn of_octets(octets: &[u8]) -> Option<Self> {
        octets.try_into().ok().map(Self)
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Serial {
    type Err = NotASerial;

    fn from_str(text: &str) -> Result<Self, NotASerial> {
        let lower = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.bytes().all(lower) {
            return Err(NotASerial);
        }
        let bits = u128::from_str_radix(text, 16).map_err(|_digits| NotASerial)?;
        Ok(Self(bits.to_be_bytes()))
    }
}

impl Bind for Serial {
    fn into_argument(self) -> Argument {
        self.to_string().into_argument()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g2_a_serial_is_positive_sixteen_octets_long_and_reads_back() {
        for _ in 0..100 {
            let serial = Serial::random();
            assert_eq!(serial.0[0] & 0xc0, 0x40);
            assert_eq!(serial.to_string().parse(), Ok(serial));
        }
        assert_eq!("A".repeat(32).parse::<Serial>(), Err(NotASerial));
        assert_eq!("+".repeat(32).parse::<Serial>(), Err(NotASerial));
    }
}
