//! The field that tells where sound goes (section 10).
//!
//! `4 or 6 | address | port | payload types`, the best first. Payload types that are unknown here
//! are skipped; with none that is known the field makes no sense.

use std::net::{IpAddr, SocketAddr};

use crate::octets::Octets;
use crate::sound::{SoundCodec, SoundCodecs, SoundEnd, SoundKeys};

/// RFC 4733, by the number that is customary for it.
const EVENTS: u8 = 101;

pub(in crate::open_link) fn read(value: &[u8]) -> Option<SoundEnd> {
    let mut octets = Octets(value);
    let address = match octets.u8()? {
        4 => IpAddr::from(<[u8; 4]>::try_from(octets.take(4)?).ok()?),
        6 => IpAddr::from(<[u8; 16]>::try_from(octets.take(16)?).ok()?),
        _ => return None,
    };
    let port = octets.u16()?;
    let nowhere = port == 0 || address.is_unspecified() || address.is_multicast();
    let known = octets.rest().iter().copied();
    let codecs = SoundCodecs::new(known.filter_map(SoundCodec::of_payload_type))?;
    let keys = if octets.rest().contains(&EVENTS) {
        SoundKeys::Events
    } else {
        SoundKeys::OnTheLine
    };
    (!nowhere).then_some(SoundEnd {
        address: SocketAddr::new(address, port),
        codecs,
        keys,
    })
}

pub(in crate::open_link) fn write(end: SoundEnd) -> Vec<u8> {
    let mut value = Vec::with_capacity(24);
    match end.address.ip() {
        IpAddr::V4(address) => {
            value.push(4);
            value.extend_from_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            value.push(6);
            value.extend_from_slice(&address.octets());
        }
    }
    value.extend_from_slice(&end.address.port().to_be_bytes());
    let codecs = end.codecs.as_slice().iter();
    value.extend(codecs.map(|codec| codec.payload_type()));
    if end.keys == SoundKeys::Events {
        value.push(EVENTS);
    }
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The vector of the profile, section 8.
    const VECTOR: [u8; 10] = [4, 192, 0, 2, 9, 0x27, 0x10, 9, 8, 101];

    #[test]
    fn the_vector_is_read_and_written_octet_for_octet() {
        let end = SoundEnd {
            address: "192.0.2.9:10000".parse().unwrap(),
            codecs: SoundCodecs::new([SoundCodec::G722, SoundCodec::Pcma]).unwrap(),
            keys: SoundKeys::Events,
        };
        assert_eq!(read(&VECTOR), Some(end));
        assert_eq!(write(end), VECTOR);
    }

    #[test]
    fn a_newer_codec_is_skipped_and_sound_to_nowhere_is_refused() {
        let mut newer = VECTOR.to_vec();
        newer.insert(7, 96);
        assert_eq!(read(&newer), read(&VECTOR));
        let changed = |at: usize, to: &[u8]| {
            let mut value = VECTOR.to_vec();
            value[at..at + to.len()].copy_from_slice(to);
            read(&value)
        };
        assert_eq!(changed(5, &[0, 0]), None, "port");
        assert_eq!(changed(1, &[0, 0, 0, 0]), None, "unspecified");
        assert_eq!(changed(1, &[224]), None, "multicast");
        assert_eq!(changed(0, &[5]), None, "family");
        assert_eq!(read(&[4, 192, 0, 2, 9, 0x27, 0x10, 101]), None, "no codec");
        for end in 0..8 {
            assert_eq!(read(&VECTOR[..end]), None);
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_survived_and_what_is_read_is_written_the_same(
            family in 3..8u8,
            rest in proptest::collection::vec(prop_oneof![any::<u8>(), 8..10u8], 0..40)
        ) {
            let mut value = vec![family];
            value.extend(rest);
            if let Some(end) = read(&value) {
                prop_assert_eq!(read(&write(end)), Some(end));
            }
        }
    }
}
