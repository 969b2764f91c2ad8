//! What holds for any bytes.

use proptest::prelude::*;
use sip::sdp::{Description, Direction};

use super::survives;

const SEEDS: [&str; 4] = [
    "v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 96 9 8 101\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n",
    "v=0\r\nc=IN IP6 fe80::1%eth0\r\nm=video 5002 RTP/AVPF 99\r\nb=AS:512\r\na=rtpmap:99 H264/90000\r\na=fmtp:99 packetization-mode=1;profile-level-id=42e01f\r\na=rtcp-fb:* nack pli\r\na=rtcp:5007 IN IP6 ::1\r\nm=audio 5000/2 RTP/AVP 0\r\na=rtcp-mux\r\n",
    "v=0\r\nc=IN IP4 host.example\r\nm=audio 4000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4\r\nm=application 4004 UDP/BFCP *\r\n",
    "v=0\r\no=- 1 2 IN IP4 1.2.3.4\r\nc=IN IP4 0.0.0.0\r\nm=audio 0 RTP/AVP 18\r\nm=image 4010 udptl t38\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n",
];

#[test]
fn the_seeds_are_read() {
    for seed in SEEDS {
        assert!(Description::parse(seed.as_bytes()).is_ok(), "{seed}");
        survives::description(seed.as_bytes());
    }
}

/// What fuzzing started from and found.
#[test]
fn the_corpus_is_refused_or_relayed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/corpus/sdp");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        survives::description(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= SEEDS.len());
}

/// Cut, double, replace and insert, as a broken device or an attacker would.
fn mutate(seed: usize, edits: &[(usize, u8, u8)]) -> Vec<u8> {
    let mut body = SEEDS[seed % SEEDS.len()].as_bytes().to_vec();
    for (at, what, byte) in edits {
        let at = at % body.len().max(1);
        match what % 5 {
            0 if !body.is_empty() => body[at] = *byte,
            1 => body.insert(at, *byte),
            2 if !body.is_empty() => drop(body.remove(at)),
            3 => body.truncate(at + usize::from(*byte)),
            _ => {
                let end = (at + usize::from(*byte)).min(body.len());
                let piece = body[at..end].to_vec();
                body.splice(at..at, piece);
            }
        }
    }
    body
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_refused_or_relayed_and_never_panic(body: Vec<u8>) {
        survives::description(&body);
        survives::description(&[b"v=0\r\n".as_slice(), &body].concat());
    }

    #[test]
    fn mutated_descriptions_are_refused_or_relayed(
        seed in 0..SEEDS.len(),
        edits in proptest::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 1..12),
    ) {
        survives::description(&mutate(seed, &edits));
    }

    #[test]
    fn directions_mirror_twice_to_themselves(sends: bool, receives: bool) {
        let direction = Direction::new(sends, receives);
        prop_assert_eq!(direction.mirrored().mirrored(), direction);
        prop_assert_eq!(direction.mirrored().sends(), receives);
    }
}
