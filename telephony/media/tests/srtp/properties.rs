//! What must hold for any packet, any order, any damage.

use media::srtp::{MAX_GROWTH, Receiver, Sender, Suite, UnprotectError};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{key, protected, rtcp, rtp};

fn suite() -> impl Strategy<Value = Suite> {
    prop::sample::select(Suite::ALL.as_slice())
}

/// A key identifier, or none.
fn pair(suite: Suite, mki: &[u8]) -> (Sender, Receiver) {
    let key = match mki {
        [] => key(suite, 1),
        mki => key(suite, 1).with_mki(mki).expect("short enough"),
    };
    (Sender::new(key.clone()), Receiver::new(key))
}

fn unprotect(receiver: &mut Receiver, packet: &mut [u8]) -> Result<usize, UnprotectError> {
    match packet.get(1) {
        Some(192..=223) => receiver.unprotect_rtcp(packet),
        _ => receiver.unprotect_rtp(packet),
    }
}

/// A header with any sources, extension, padding bit and payload.
fn any_rtp() -> impl Strategy<Value = Vec<u8>> {
    let parts = (0u8..16, any::<bool>(), 0u16..5, any::<[u8; 11]>());
    (parts, vec(any::<u8>(), 0..1400)).prop_map(|((sources, extended, words, rest), payload)| {
        let mut packet = vec![0x80 | u8::from(extended) << 4 | sources];
        packet.extend(rest);
        packet[1] &= 0x3f;
        packet.resize(12 + 4 * usize::from(sources), 7);
        if extended {
            packet.extend([0xbe, 0xde]);
            packet.extend(words.to_be_bytes());
            packet.resize(packet.len() + 4 * usize::from(words), 9);
        }
        packet.extend(payload);
        packet
    })
}

fn any_rtcp() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 8..400).prop_map(|mut packet| {
        packet[0] = 0x80 | packet[0] & 0x3f;
        packet[1] = 192 | packet[1] & 31;
        packet
    })
}

fn any_packet() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![3 => any_rtp(), 1 => any_rtcp()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_protected_is_unprotected_to_the_same_octets(
        suite in suite(),
        mki in vec(any::<u8>(), 0..=16),
        plain in any_packet(),
    ) {
        let (mut sender, mut receiver) = pair(suite, &mki);
        let mut packet = protected(&mut sender, &plain);
        prop_assert!(packet.len() <= plain.len() + MAX_GROWTH);
        prop_assert_eq!(unprotect(&mut receiver, &mut packet), Ok(plain.len()));
        prop_assert_eq!(&packet[..plain.len()], plain.as_slice());
    }

    #[test]
    fn any_flipped_bit_is_refused_and_changes_nothing(
        suite in suite(),
        mki in vec(any::<u8>(), 0..=4),
        plain in any_packet(),
        bit in any::<prop::sample::Index>(),
    ) {
        let (mut sender, mut receiver) = pair(suite, &mki);
        let mut genuine = protected(&mut sender, &plain);
        let bit = bit.index(8 * genuine.len());
        let mut damaged = genuine.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let before = damaged.clone();
        let refused = match plain[1] {
            192..=223 => receiver.unprotect_rtcp(&mut damaged),
            _ => receiver.unprotect_rtp(&mut damaged),
        };
        let refused = refused.unwrap_err();
        prop_assert!(matches!(
            refused,
            UnprotectError::Authentication | UnprotectError::Malformed
        ));
        prop_assert_eq!(damaged, before);
        prop_assert_eq!(unprotect(&mut receiver, &mut genuine), Ok(plain.len()));
    }

    #[test]
    fn any_order_within_the_window_is_accepted_once(
        suite in suite(),
        first in any::<u16>(),
        order in Just((0..128u16).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let (mut sender, mut receiver) = pair(suite, &[]);
        // In the first turn nothing is behind the first packet.
        let mut packets = vec![protected(&mut sender, &rtp(7, first))];
        prop_assert!(receiver.unprotect_rtp(&mut packets[0].clone()).is_ok());
        packets.extend((1..=128).map(|n| protected(&mut sender, &rtp(7, first.wrapping_add(n)))));
        for n in order.iter().map(|n| usize::from(*n) + 1) {
            prop_assert!(receiver.unprotect_rtp(&mut packets[n].clone()).is_ok(), "{n}");
            let again = receiver.unprotect_rtp(&mut packets[n].clone());
            prop_assert_eq!(again, Err(UnprotectError::Replay));
        }
        let late = receiver.unprotect_rtp(&mut packets[0].clone());
        prop_assert_eq!(late, Err(UnprotectError::TooOld));
    }

    #[test]
    fn a_wrap_amid_losses_keeps_the_count(
        suite in suite(),
        steps in vec(1u16..9000, 40..80),
    ) {
        let (mut sender, mut receiver) = pair(suite, &[]);
        let mut sequence: u16 = 0;
        for step in steps {
            sequence = sequence.wrapping_add(step);
            // The sender's stream has no gaps as long as these.
            let plain = rtp(7, sequence);
            let mut packet = protected(&mut sender, &plain);
            prop_assert_eq!(receiver.unprotect_rtp(&mut packet), Ok(plain.len()));
            prop_assert_eq!(&packet[..plain.len()], plain.as_slice());
        }
    }

    #[test]
    fn any_octets_are_survived(mut octets in vec(any::<u8>(), 0..64), suite in suite()) {
        let (_, mut receiver) = pair(suite, &[]);
        prop_assert!(receiver.unprotect_rtp(&mut octets).is_err());
        prop_assert!(receiver.unprotect_rtcp(&mut octets).is_err());
    }
}

#[test]
fn rtcp_passes_once_and_in_any_order() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite, &[]);
        let packets: Vec<_> = (0..3).map(|_| protected(&mut sender, &rtcp(7))).collect();
        for n in [2, 0, 1] {
            let opened = receiver.unprotect_rtcp(&mut packets[n].clone());
            assert_eq!(opened, Ok(rtcp(7).len()));
            let again = receiver.unprotect_rtcp(&mut packets[n].clone());
            assert_eq!(again, Err(UnprotectError::Replay));
        }
    }
}
