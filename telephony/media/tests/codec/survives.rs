//! What must hold for any payloads of any codec. The fuzz target `codecs` feeds
//! the same body.

use media::SampleRate;
use media::codec::opus::Packet;
use media::codec::{AudioCodec, Decoder};

/// The longest packet of Opus, at 48 kHz.
const ROOM: usize = 5760;

/// Reads `script` as a codec, a rate, and then packets: each a head of two
/// octets (what happens, length), then the payload.
pub(crate) fn payloads(script: &[u8]) {
    let Some(([codec, rate], mut rest)) = script.split_first_chunk() else {
        return;
    };
    let codec = AudioCodec::ALL[usize::from(*codec) % AudioCodec::ALL.len()];
    let rate = SampleRate::ALL[usize::from(*rate) % SampleRate::ALL.len()];
    let mut decoder = Decoder::new(codec, rate).expect("there is memory");
    let mut pcm = vec![0; ROOM];
    while let Some(([what, length], after)) = rest.split_first_chunk() {
        let (payload, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        match what % 4 {
            0 => {
                let gap = usize::from(*what) * 30 % ROOM;
                let filled = decoder.conceal(Some(payload), &mut pcm[..gap]);
                assert_eq!(filled.is_some(), codec == AudioCodec::Opus);
                assert!(filled.is_none_or(|filled| filled <= gap));
            }
            1 if *what == 1 => decoder.reset().expect("there is nothing to refuse"),
            _ => decode(&mut decoder, payload, &mut pcm),
        }
    }
}

fn decode(decoder: &mut Decoder, payload: &[u8], pcm: &mut [i16]) {
    let announced = decoder.samples(payload);
    let decoded = decoder.decode(payload, pcm);
    match decoded {
        Ok(samples) => assert_eq!(announced, Ok(samples)),
        Err(_) => assert!(payload.is_empty() || decoder.codec() == AudioCodec::Opus),
    }
    if let Ok(packet) = Packet::parse(payload) {
        let samples = packet.samples(SampleRate::Hz48000);
        assert!((120..=ROOM).contains(&samples));
    }
}
