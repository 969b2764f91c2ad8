//! G.722 octet by octet and sample by sample.
//!
//! The fingerprints are of what the reference encoder and decoder of the
//! ITU-T's software tool library (G.191) make of the same signals.

use media::SampleRate;
use media::codec::AudioCodec::G722;
use media::codec::{BEYOND, Decoder};

use crate::{decode, encode, fingerprint, fingerprint_of_sound, signals};

/// Of each signal: the octets, and the sound that the decoder makes of them.
const REFERENCE: [(&str, u64, u64); 9] = [
    ("noise", 0x4d17_1452_ebd2_e60d, 0x4e58_780e_c944_45bc),
    ("quiet noise", 0x603b_98c2_343d_8536, 0x6b09_1101_2b92_0c55),
    ("square", 0x307a_4069_d56b_7584, 0xb167_91ca_6590_0de6),
    ("sweep", 0x444d_91ce_6069_f890, 0x8e0c_a37b_4cce_e924),
    ("bursts", 0xbe61_8e61_5dd1_5405, 0xd262_151b_d1c0_6d35),
    ("impulses", 0x13cc_efed_7f3f_1555, 0x22a7_5535_70a0_1f1d),
    ("alternating", 0x8d4a_3e0d_8daf_3bfd, 0xf302_b1d7_a97c_a77b),
    ("voice", 0x5d2e_98ac_7887_4588, 0xc7a1_9640_4c4c_2bb2),
    ("slow square", 0xd621_5edc_728b_2eb4, 0xb6dc_2997_40a7_7fa8),
];

#[test]
fn c8_every_octet_and_sample_is_the_references() {
    for ((name, signal), (same_name, octets, sound)) in signals::ALL.into_iter().zip(REFERENCE) {
        assert_eq!(name, same_name);
        let encoded = encode(G722, &signal());
        let decoded = decode(G722, &encoded);
        assert_eq!(fingerprint(encoded), octets, "encoding {name}");
        assert_eq!(fingerprint_of_sound(&decoded), sound, "decoding {name}");
    }
}

#[test]
fn octets_that_no_encoder_sends_give_the_references_sound() {
    let decoded = decode(G722, &signals::octets());
    assert_eq!(fingerprint_of_sound(&decoded), 0x29a0_38a5_7040_d96f);
    let decoded = decode(G722, &signals::loud_octets());
    assert_eq!(fingerprint_of_sound(&decoded), 0x1eb0_f04f_2a98_bc22);
}

#[test]
fn c9_a_decoder_that_follows_what_was_heard_goes_on_as_if_nothing_had_been_lost() {
    let (_, signal) = signals::ALL
        .into_iter()
        .find(|(name, _)| *name == "voice")
        .expect("it is in the list");
    let octets = encode(G722, &signal());
    let truth = decode(G722, &octets);
    let loudness_of_error = |follows: bool| {
        let mut decoder = Decoder::new(G722, SampleRate::Hz16000).expect("there is memory");
        let mut pcm = [0; 320];
        let mut error = 0.0;
        for (n, payload) in octets.chunks_exact(160).enumerate().take(60) {
            let place = n * 320;
            if n % 10 == 9 {
                let beyond = truth[place + 320..].first_chunk::<BEYOND>();
                let beyond = beyond.expect("the signal goes on");
                if follows {
                    decoder.follow(&truth[place..place + 320], beyond);
                }
                continue;
            }
            decoder.decode(payload, &mut pcm).expect("there is room");
            let pairs = pcm.iter().zip(&truth[place..]);
            let squares = pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
            error += squares.sum::<f64>();
        }
        error.sqrt()
    };
    let (with, without) = (loudness_of_error(true), loudness_of_error(false));
    assert!(
        with < without / 3.0,
        "{with:.0} with it, {without:.0} without"
    );
}
