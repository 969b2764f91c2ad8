//! The address field of LAPD (Q.921 3.2 and 3.3).

use crate::link::Kind;

use super::Side;

/// A terminal endpoint identifier, 0 to 127.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tei(u8);

impl Tei {
    /// All terminals of a line at once.
    pub const BROADCAST: Self = Self(127);
    /// The one terminal of a point-to-point line.
    pub const POINT_TO_POINT: Self = Self(0);

    /// None above 127.
    pub fn new(number: u8) -> Option<Self> {
        (number <= 127).then_some(Self(number))
    }

    pub fn number(self) -> u8 {
        self.0
    }

    /// Q.921 3.3.4.2: the network hands out 64 to 126.
    pub(super) fn automatic() -> impl Iterator<Item = Self> {
        (64..=126).map(Self)
    }
}

/// A service access point identifier: what a frame is for.
pub(super) const CALL_CONTROL: u8 = 0;
pub(super) const MANAGEMENT: u8 = 63;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) sapi: u8,
    pub(super) kind: Kind,
    pub(super) tei: Tei,
}

impl Address {
    /// Splits a frame that came from `sender`. None: no LAPD address.
    pub(super) fn decode(frame: &[u8], sender: Side) -> Option<(Self, &[u8])> {
        let &[first, second, ref rest @ ..] = frame else {
            return None;
        };
        // Q.921 3.2: the extension bits mark a field of exactly two octets.
        if first & 1 != 0 || second & 1 != 1 {
            return None;
        }
        let kind = if (first & 2 != 0) == (sender == Side::Network) {
            Kind::Command
        } else {
            Kind::Response
        };
        let address = Self {
            sapi: first >> 2,
            kind,
            tei: Tei(second >> 1),
        };
        Some((address, rest))
    }

    /// Q.921 table 1: commands of the network carry 1, those of the user 0; responses the other.
    pub(super) fn encode(self, sender: Side) -> [u8; 2] {
        let bit = (self.kind == Kind::Command) == (sender == Side::Network);
        [
            self.sapi << 2 | u8::from(bit) << 1,
            self.tei.number() << 1 | 1,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_has_its_command_bit() {
        let check = |sender, kind, octets: [u8; 2]| {
            let address = Address {
                sapi: CALL_CONTROL,
                kind,
                tei: Tei(64),
            };
            assert_eq!(address.encode(sender), octets);
            assert_eq!(Address::decode(&octets, sender), Some((address, &[][..])));
        };
        check(Side::User, Kind::Command, [0x00, 0x81]);
        check(Side::User, Kind::Response, [0x02, 0x81]);
        check(Side::Network, Kind::Command, [0x02, 0x81]);
        check(Side::Network, Kind::Response, [0x00, 0x81]);
    }

    #[test]
    fn a_field_of_another_length_is_no_address() {
        for frame in [&[][..], &[0x00], &[0x01, 0x01], &[0x00, 0x00]] {
            assert_eq!(Address::decode(frame, Side::User), None);
        }
    }
}
