//! The network header and what it carries: who, to whom, which message, its parameters.

use crate::octets::Octets;

/// A device at a node. 0xFF stands for all devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    pub node: u8,
    pub device: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub source: Device,
    pub destination: Device,
    /// How many exchanges it may still pass.
    pub hops: u8,
    /// Kept as they are.
    pub options: Vec<u8>,
    pub class: u8,
    /// Chosen by the one who asks, echoed in what answers.
    pub reference: u16,
    pub id: u16,
    pub parameters: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    #[error("the telegram ends within its header")]
    Short,
}

impl Message {
    /// The class of messages about intercom, 'A'.
    pub const INTERCOM: u8 = 0x41;
    /// Of the hop octet; the rest counts options. Concluded: it fits all five published lines.
    const HOPS: u8 = 0x1F;
    const MOST_OPTIONS: usize = 7;

    pub fn decode(octets: &[u8]) -> Result<Self, MessageError> {
        Self::read(Octets(octets)).ok_or(MessageError::Short)
    }

    fn read(mut octets: Octets<'_>) -> Option<Self> {
        let device = |octets: &mut Octets<'_>| {
            Some(Device {
                node: octets.u8()?,
                device: octets.u8()?,
            })
        };
        let source = device(&mut octets)?;
        let destination = device(&mut octets)?;
        let hops = octets.u8()?;
        let options = octets.take(usize::from(hops >> 5))?.to_vec();
        Some(Self {
            source,
            destination,
            hops: hops & Self::HOPS,
            options,
            class: octets.u8()?,
            reference: octets.u16()?,
            id: octets.u16()?,
            parameters: octets.rest().to_vec(),
        })
    }

    pub fn encode(&self) -> Vec<u8> {
        let options = &self.options[..self.options.len().min(Self::MOST_OPTIONS)];
        let count = (options.len() as u8) << 5;
        let mut octets = vec![
            self.source.node,
            self.source.device,
            self.destination.node,
            self.destination.device,
            count | (self.hops & Self::HOPS),
        ];
        octets.extend_from_slice(options);
        octets.push(self.class);
        octets.extend_from_slice(&self.reference.to_be_bytes());
        octets.extend_from_slice(&self.id.to_be_bytes());
        octets.extend_from_slice(&self.parameters);
        octets
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::codec::tests::{DIAL_DIGITS, PUBLISHED};
    use super::super::{Checksum, Reader};
    use super::*;

    fn octets(line: &str) -> Vec<u8> {
        let mut reader = Reader::new(Checksum::Optional);
        let mut lines = line.bytes().chain([b'\r']).filter_map(|o| reader.push(o));
        lines.next().unwrap().octets.unwrap()
    }

    #[test]
    fn the_published_headers_are_understood() {
        let busy = Message::decode(&octets(PUBLISHED[0])).unwrap();
        let device = |node, device| Device { node, device };
        assert_eq!(busy.source, device(1, 0x41));
        assert_eq!(busy.destination, device(1, 0xFF));
        assert_eq!((busy.hops, &busy.options[..]), (1, &[0x18][..]));
        assert_eq!((busy.class, busy.reference, busy.id), (0x41, 0x15, 0x36));
        assert_eq!(busy.parameters, [0x32, 0x01, 0x80, 0x02]);
        let dial = Message::decode(&octets(DIAL_DIGITS)).unwrap();
        assert_eq!((dial.hops, dial.options.len()), (1, 0));
        assert_eq!((dial.reference, dial.id), (0x1234, 0x50));
    }

    #[test]
    fn a_cut_telegram_is_refused_up_to_the_end_of_its_header() {
        let whole = octets(PUBLISHED[0]);
        for end in 0..whole.len() {
            let cut = Message::decode(&whole[..end]);
            assert_eq!(cut.is_ok(), end >= 11, "{end} octets");
        }
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_to_the_same_octets(
            octets in proptest::collection::vec(any::<u8>(), 0..60)
        ) {
            if let Ok(message) = Message::decode(&octets) {
                prop_assert_eq!(message.encode(), octets);
            }
        }
    }
}
