//! G.711, every value there is.

use media::codec::AudioCodec::{Pcma, Pcmu};

use crate::{decode, encode, fingerprint, fingerprint_of_sound};

fn every_sample() -> Vec<i16> {
    (i16::MIN..=i16::MAX).collect()
}

fn every_octet() -> Vec<u8> {
    (0..=u8::MAX).collect()
}

/// The fingerprints are of what the ITU-T's software tool library (G.191)
/// makes of all samples and octets; ffmpeg and sox decode the same.
#[test]
fn c8_every_value_is_the_references() {
    let a_law = encode(Pcma, &every_sample());
    assert_eq!(fingerprint(a_law), 0xf030_666e_b780_cf25);
    let mu_law = encode(Pcmu, &every_sample());
    assert_eq!(fingerprint(mu_law), 0x04ec_1f08_3fd7_8c2d);
    let a_law = decode(Pcma, &every_octet());
    assert_eq!(fingerprint_of_sound(&a_law), 0x693a_40ca_62a3_d2a5);
    let mu_law = decode(Pcmu, &every_octet());
    assert_eq!(fingerprint_of_sound(&mu_law), 0xb91e_65d6_8481_a1a8);
}

/// So nothing is lost from one gateway to the next. The one exception: mu-law
/// has two zeros, and sound has one.
#[test]
fn every_octet_survives_decoding_and_encoding() {
    assert_eq!(encode(Pcma, &decode(Pcma, &every_octet())), every_octet());
    let again = encode(Pcmu, &decode(Pcmu, &every_octet()));
    for (octet, again) in every_octet().into_iter().zip(again) {
        assert_eq!(again, if octet == 0x7f { 0xff } else { octet });
    }
}

/// ITU-T G.711, tables 1 and 2: half a step, and the steps double in size from
/// segment to segment.
#[test]
fn no_sample_is_further_off_than_half_a_step() {
    for (codec, finest, loudest) in [(Pcma, 16, 32_767), (Pcmu, 8, 32_635)] {
        let decoded = decode(codec, &encode(codec, &every_sample()));
        for (sample, decoded) in every_sample().into_iter().zip(decoded) {
            let magnitude = i32::from(sample).abs();
            let error = (i32::from(sample) - i32::from(decoded)).abs();
            // A step is a sixteenth of its octave at most.
            let half_step = (finest / 2).max((magnitude + 132) / 32);
            let clipped = (magnitude - loudest).max(0);
            assert!(
                error <= half_step + 4 + clipped,
                "{codec:?}: {sample} becomes {decoded}"
            );
        }
    }
}
