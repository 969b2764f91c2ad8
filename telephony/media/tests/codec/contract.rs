//! What holds for all codecs alike.

use media::SampleRate;
use media::codec::opus::{MAX_PACKET, Settings};
use media::codec::{AudioCodec, DecodeError, Decoder, EncodeError, Encoder};
use proptest::prelude::*;

use crate::{signals, survives};

fn pair(codec: AudioCodec) -> (Encoder, Decoder) {
    let encoder = Encoder::new(codec, &Settings::default()).expect("the defaults are good");
    let decoder = Decoder::new(codec, SampleRate::Hz16000).expect("there is memory");
    (encoder, decoder)
}

#[test]
fn a_frame_out_is_as_long_as_the_frame_in() {
    for codec in AudioCodec::ALL {
        let (mut encoder, mut decoder) = pair(codec);
        assert_eq!((encoder.codec(), decoder.codec()), (codec, codec));
        assert_eq!(encoder.rate(), decoder.rate());
        assert!(
            codec
                .native_rate()
                .is_none_or(|rate| rate == encoder.rate())
        );
        let frame = vec![0; encoder.rate().frame()];
        let mut payload = [0; MAX_PACKET];
        let length = encoder.encode(&frame, &mut payload).unwrap();
        assert_eq!(decoder.samples(&payload[..length]), Ok(frame.len()));
        let mut pcm = [0; 960];
        assert_eq!(
            decoder.decode(&payload[..length], &mut pcm),
            Ok(frame.len())
        );
    }
}

#[test]
fn too_little_room_is_an_error_and_writes_nothing() {
    for codec in AudioCodec::ALL {
        let (mut encoder, mut decoder) = pair(codec);
        let frame = vec![1000; encoder.rate().frame()];
        let refused = encoder.encode(&frame, &mut [0; 1]);
        assert!(
            matches!(refused, Err(EncodeError::Room { room: 1, .. })),
            "{codec:?}"
        );
        let mut payload = [0; MAX_PACKET];
        let length = encoder.encode(&frame, &mut payload).unwrap();
        let mut pcm = [7; 10];
        assert_eq!(
            decoder.decode(&payload[..length], &mut pcm),
            Err(DecodeError::TooLong {
                samples: frame.len(),
                room: 10
            })
        );
        assert_eq!(pcm, [7; 10]);
    }
}

#[test]
fn nothing_is_no_sound() {
    for codec in AudioCodec::ALL {
        let (mut encoder, mut decoder) = pair(codec);
        assert_eq!(encoder.encode(&[], &mut [0; 9]), Err(EncodeError::Frame(0)));
        assert_eq!(decoder.decode(&[], &mut [0; 9]), Err(DecodeError::Empty));
    }
    let (mut g722, _) = pair(AudioCodec::G722);
    assert_eq!(
        g722.encode(&[0; 3], &mut [0; 9]),
        Err(EncodeError::Frame(3))
    );
}

#[test]
fn after_a_reset_the_stream_is_as_new() {
    for codec in AudioCodec::ALL {
        let (mut encoder, mut decoder) = pair(codec);
        let voice = signals::voice();
        let mut stream = || {
            let (mut payload, mut pcm) = ([0; MAX_PACKET], [0; 960]);
            let mut sound: Vec<i16> = Vec::new();
            for frame in voice.chunks_exact(encoder.rate().frame()).take(20) {
                let length = encoder.encode(frame, &mut payload).unwrap();
                let samples = decoder.decode(&payload[..length], &mut pcm).unwrap();
                sound.extend_from_slice(&pcm[..samples]);
            }
            encoder.reset().unwrap();
            decoder.reset().unwrap();
            sound
        };
        assert!(stream() == stream(), "{codec:?}");
    }
}

#[test]
fn only_opus_fills_its_gaps_itself() {
    for codec in AudioCodec::ALL {
        let (_, mut decoder) = pair(codec);
        let filled = decoder.conceal(None, &mut [0; 320]);
        assert_eq!(filled.is_some(), codec == AudioCodec::Opus);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_payloads_are_survived(script in prop::collection::vec(any::<u8>(), 0..600)) {
        survives::payloads(&script);
    }
}
