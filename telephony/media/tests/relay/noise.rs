//! C8: noise is taken out of what others hear of a speaker, who is as loud as it is to be.

use media::codec::{AudioCodec, Decoder, Encoder, opus};
use media::level::dbov;
use media::noise::{Suppressor, Treatment};
use media::{Codec, LegKey, LegSetup, Part, SampleRate};

use super::bench::{Bench, CALL, Sent, audio, format, rtp, rtp_port, setup};

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
    treat(
        bench,
        Treatment {
            noise,
            ..Treatment::default()
        },
    );
}

fn treat(bench: &mut Bench, treatment: Treatment) {
    let now = bench.now;
    let done = bench.relay.treat(CALL, LegKey(1), treatment, now);
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

fn louder(db: i8) -> Treatment {
    Treatment {
        gain_db: db,
        ..Treatment::default()
    }
}

fn turn_up(bench: &mut Bench, leg: u64, db: i8) {
    let now = bench.now;
    let done = bench.relay.set_volume(CALL, LegKey(leg), db, now);
    done.expect("the leg is open");
    bench.drain();
}

/// What leg 2 hears of leg 1, in dB beside what it says.
fn gain(bench: &mut Bench, from: u16, said: f32) -> f32 {
    loudness(&noise(bench, from)) - said
}

#[test]
fn gains_of_both_add_up_and_without_them_packets_are_passed_on_again() {
    let mut bench = Bench::call();
    let said = loudness(&noise(&mut bench, 1));
    let near = |found: f32, wanted: f32| assert!((found - wanted).abs() < 0.5, "{found} {wanted}");
    treat(&mut bench, louder(6));
    near(gain(&mut bench, 101, said), 6.0);
    turn_up(&mut bench, 2, -12);
    near(gain(&mut bench, 201, said), -6.0);
    treat(&mut bench, louder(0));
    near(gain(&mut bench, 301, said), -12.0);
    turn_up(&mut bench, 2, 0);
    let sent = noise(&mut bench, 401);
    near(loudness(&sent) - said, 0.0);
    let packets: Vec<_> = (401..501)
        .flat_map(|n| bench.receive(1, &audio(1, n)))
        .collect();
    assert_eq!(packets, [], "each was passed on already");
    assert_eq!(
        bench.receive(1, &audio(1, 501))[0].payload(),
        [501_u16 as u8; 160]
    );
}

#[test]
fn a_listener_in_a_room_that_hears_louder_hears_the_same_as_the_others_but_louder() {
    let mut bench = Bench::new();
    for (leg, part) in [
        (1, Part::TalkAndListen),
        (2, Part::Listen),
        (3, Part::Listen),
        (4, Part::TalkAndListen),
    ] {
        bench.open(leg);
        bench.enter(leg, part);
    }
    turn_up(&mut bench, 3, 6);
    let sent = noise(&mut bench, 1);
    let heard = |leg| {
        let to_it: Vec<_> = sent
            .iter()
            .filter(|sent| sent.port == rtp_port(leg))
            .cloned()
            .collect();
        loudness(&to_it)
    };
    let more = heard(3) - heard(2);
    assert!((more - 6.0).abs() < 0.5, "{more} dB");
}

#[test]
fn who_is_muted_is_not_heard_but_goes_on_and_its_keys_count() {
    let mut bench = Bench::call();
    let mut sent = noise(&mut bench, 1);
    treat(
        &mut bench,
        Treatment {
            muted: true,
            ..Treatment::default()
        },
    );
    let muted = noise(&mut bench, 101);
    assert!(loudness(&muted) < -70.0, "{}", loudness(&muted));
    sent.extend(muted);
    let key = rtp(101, 1, 201, 201 * 160, &[5, 10, 0, 160]);
    let key = bench.receive(1, &key);
    assert_eq!(key[0].header().payload_type, 101);
    sent.extend(key);
    for (n, packet) in sent.iter().enumerate() {
        let expected = sent[0].header().sequence.wrapping_add(n as u16);
        assert_eq!(packet.header().sequence, expected, "one stream");
    }
}

#[test]
fn what_of_a_muted_leg_cannot_be_decoded_is_kept_back() {
    let mut bench = Bench::new();
    for leg in [1, 2] {
        let formats = vec![format(18, Codec::Other(18), 8000)];
        bench.open_as(
            leg,
            LegSetup {
                formats,
                ..setup(leg)
            },
        );
    }
    bench.connect(1, 2);
    let packet = |n: u16| rtp(18, 1, n, u32::from(n) * 160, &[n as u8; 20]);
    assert_eq!(bench.receive(1, &packet(1)).len(), 1);
    let muted = Treatment {
        muted: true,
        ..Treatment::default()
    };
    treat(&mut bench, muted);
    assert_eq!(bench.receive(1, &packet(2)), []);
    treat(&mut bench, Treatment::default());
    assert_eq!(bench.receive(1, &packet(3)).len(), 1);
}
