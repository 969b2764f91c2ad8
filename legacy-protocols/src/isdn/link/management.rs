//! Messages that assign and check terminal endpoint identifiers (Q.921 5.3, table 8).

use super::address::Tei;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) what: What,
    /// Ri: which of several terminals is meant, while they have no identifier.
    pub(super) reference: u16,
    /// Ai: the identifier; [`Tei::BROADCAST`] where any or all is meant.
    pub(super) tei: Tei,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Request,
    Assigned,
    Denied,
    CheckRequest,
    CheckResponse,
    Remove,
    Verify,
}

/// Q.921 5.3.1: marks a management message.
const ENTITY: u8 = 0x0F;

impl Message {
    /// Reads the information field of a UI frame. None: not such a message.
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        let &[ENTITY, high, low, kind, action] = payload else {
            return None;
        };
        let what = match kind {
            1 => What::Request,
            2 => What::Assigned,
            3 => What::Denied,
            4 => What::CheckRequest,
            5 => What::CheckResponse,
            6 => What::Remove,
            7 => What::Verify,
            _ => return None,
        };
        Some(Self {
            what,
            reference: u16::from_be_bytes([high, low]),
            tei: Tei::new(action >> 1)?,
        })
    }

    pub(super) fn encode(self) -> [u8; 5] {
        let kind = match self.what {
            What::Request => 1,
            What::Assigned => 2,
            What::Denied => 3,
            What::CheckRequest => 4,
            What::CheckResponse => 5,
            What::Remove => 6,
            What::Verify => 7,
        };
        let [high, low] = self.reference.to_be_bytes();
        [ENTITY, high, low, kind, self.tei.number() << 1 | 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_comes_back() {
        for kind in 1..=7u8 {
            let octets = [0x0F, 0x12, 0x34, kind, 0x81];
            let message = Message::decode(&octets).unwrap();
            assert_eq!((message.reference, message.tei.number()), (0x1234, 64));
            assert_eq!(message.encode(), octets);
        }
        assert_eq!(Message::decode(&[0x0F, 0, 0, 8, 0xFF]), None);
        assert_eq!(Message::decode(&[0x0E, 0, 0, 1, 0xFF]), None);
        assert_eq!(Message::decode(&[0x0F, 0, 0, 1]), None);
    }
}
