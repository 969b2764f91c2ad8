//! C8: the noise around a speaker is taken out of what others hear, where it is to be.

use media::codec::{AudioCodec, Decoder, Encoder, opus};
use media::level::dbov;
use media::noise::{Suppressor, Treatment};
use media::{LegKey, SampleRate};

use super::bench::{Bench, CALL, Sent, rtp};

/// Leg 1 says noise in A-law from number `from` on, for two seconds; what was sent to leg 2.
fn noise(bench: &mut Bench, from: u16) -> Vec<Sent> {
    let mut encoder =
        Encoder::new(AudioCodec::Pcma, &opus::Settings::default()).expect("a codec of ours");
    let (mut random, mut low) = (u32::from(from), 0.0);
    let mut sent = Vec::new();
    for n in from..from + 100 {
        let samples: Vec<i16> = (0..160)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                low = 0.8 * low + 0.2 * (f64::from(random >> 8) / f64::from(1 << 23) - 1.0);
                (low * 6_000.0) as i16
            })
            .collect();
        let mut payload = [0; 160];
        encoder.encode(&samples, &mut payload).expect("20 ms");
        let packet = rtp(8, 1, n, u32::from(n) * 160, &payload);
        sent.extend(bench.receive(1, &packet));
        sent.extend(bench.pass_ms(20));
    }
    sent
}

/// How loud the second half of it is.
fn loudness(sent: &[Sent]) -> f32 {
    let mut decoder = Decoder::new(AudioCodec::Pcma, SampleRate::Hz8000).expect("a codec of ours");
    let mut heard = Vec::new();
    for packet in &sent[sent.len() / 2..] {
        let mut samples = [0; 960];
        let len = decoder
            .decode(packet.payload(), &mut samples)
            .expect("a packet of ours");
        heard.extend_from_slice(&samples[..len]);
    }
    dbov(&heard)
}

/// Takes everything down to an eighth.
#[derive(Debug)]
struct Damper;

impl Suppressor for Damper {
    fn process(&mut self, frame: &mut [i16]) {
        assert_eq!(frame.len(), 160);
        for sample in frame {
            *sample /= 8;
        }
    }
}

fn suppress(bench: &mut Bench) {
    let noise = Some((|_| Box::new(Damper)) as fn(SampleRate) -> Box<dyn Suppressor>);
    treat(bench, Treatment { noise });
}

fn treat(bench: &mut Bench, treatment: Treatment) {
    let done = bench.relay.treat(CALL, LegKey(1), treatment);
    done.expect("the leg is open");
}

#[test]
fn noise_is_suppressed_although_the_codecs_are_the_same() {
    let mut bench = Bench::call();
    let before = loudness(&noise(&mut bench, 1));
    suppress(&mut bench);
    let sent = noise(&mut bench, 101);
    let after = loudness(&sent);
    assert!(after < before - 12.0, "{before} to {after} dBov");
    assert!(sent.len() >= 97, "{}", sent.len());
}

#[test]
fn the_stream_goes_on_without_a_gap_when_it_is_turned_on_and_off() {
    let mut bench = Bench::call();
    let mut sent = noise(&mut bench, 1);
    let level = loudness(&sent);
    suppress(&mut bench);
    sent.extend(noise(&mut bench, 101));
    treat(&mut bench, Treatment::default());
    let relayed = noise(&mut bench, 201);
    assert!((loudness(&relayed) - level).abs() < 1.0);
    sent.extend(relayed);
    let first = sent[0].header();
    for (n, packet) in sent.iter().enumerate() {
        let header = packet.header();
        assert_eq!(header.ssrc, first.ssrc);
        assert_eq!(header.sequence, first.sequence.wrapping_add(n as u16));
    }
}
