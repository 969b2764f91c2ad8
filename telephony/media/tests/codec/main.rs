//! The codecs as the transcoder uses them, against references made elsewhere.

mod contract;
mod corpus;
mod foreign;
mod g711;
mod g722;
mod opus;
mod signals;
mod survives;

use media::SampleRate;
use media::codec::opus::Settings;
use media::codec::{AudioCodec, Decoder, Encoder};

/// Encodes in payloads of 20 ms, the last one shorter.
fn encode(codec: AudioCodec, pcm: &[i16]) -> Vec<u8> {
    let mut encoder = Encoder::new(codec, &Settings::default()).expect("the defaults are good");
    let mut octets = Vec::new();
    let mut payload = [0; 1276];
    for frame in pcm.chunks(encoder.rate().frame()) {
        let length = encoder
            .encode(frame, &mut payload)
            .expect("the frame is good");
        octets.extend_from_slice(&payload[..length]);
    }
    octets
}

/// Decodes payloads of 160 octets, 20 ms of G.711 and G.722.
fn decode(codec: AudioCodec, octets: &[u8]) -> Vec<i16> {
    let mut decoder = Decoder::new(codec, SampleRate::Hz16000).expect("there is memory");
    let mut sound = Vec::new();
    let mut pcm = [0; 960];
    for payload in octets.chunks(160) {
        let length = decoder.decode(payload, &mut pcm).expect("there is room");
        sound.extend_from_slice(&pcm[..length]);
    }
    sound
}

/// FNV-1a, so that references need no files.
fn fingerprint(octets: impl IntoIterator<Item = u8>) -> u64 {
    octets
        .into_iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
        })
}

fn fingerprint_of_sound(pcm: &[i16]) -> u64 {
    fingerprint(pcm.iter().flat_map(|sample| sample.to_le_bytes()))
}
