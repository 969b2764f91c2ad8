//! The first packet of a connection, seen before anything is kept of it.
//!
//! Nothing is known of the sender yet, so it must be a CONNECT and short. Deliberately
//! not here: what is in it. Invariant: a longer one does not pass, whatever its pieces.

use contract::limits;

const CONNECT: u8 = 0x10;

/// One octet of kind and flags, up to four of length (MQTT 5, 2.1.4).
const HEADER: usize = 5;

/// The fixed header, as far as it came.
#[derive(Debug, Default)]
pub(super) struct First {
    header: [u8; HEADER],
    came: usize,
}

impl First {
    /// Whether it can still become a CONNECT within the limit.
    pub(super) fn passes(&mut self, octets: &[u8]) -> bool {
        let room = &mut self.header[self.came..];
        let taken = room.len().min(octets.len());
        room[..taken].copy_from_slice(&octets[..taken]);
        self.came += taken;
        let header = &self.header[..self.came];
        match header.split_first() {
            None => true,
            Some((kind, _)) if *kind != CONNECT => false,
            Some((_, digits)) => match length(digits) {
                Some(length) => length <= limits::CONNECT,
                None => self.came < HEADER,
            },
        }
    }
}

/// The length of the rest, seven bits at a time; `None` while a digit is missing.
fn length(digits: &[u8]) -> Option<usize> {
    let last = digits.iter().position(|digit| digit & 0x80 == 0)?;
    let seven_bits = |length, digit: &u8| length << 7 | usize::from(digit & 0x7f);
    Some(digits[..=last].iter().rev().fold(0, seven_bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_connect_passes_in_pieces() {
        let mut first = First::default();
        for octet in [0x10, 0xff, 0x1f, 0, 4, b'M', b'Q'] {
            assert!(first.passes(&[octet]));
        }
    }

    #[test]
    fn what_is_long_or_no_connect_does_not_pass() {
        for octets in [
            &[0x10, 0x81, 0x20][..],
            &[0x10, 0x80, 0x80, 0x80, 0x80],
            &[0x10, 0xff, 0xff, 0xff, 0x7f],
            &[0x30, 4],
            b"GET / HTTP/1.1",
            &[0x16, 3, 1],
        ] {
            assert!(!First::default().passes(octets), "{octets:x?}");
        }
        assert!(First::default().passes(&[0x10, 0x80, 0x20]));
    }
}
