//! C8: what a leg was told stands beside what it says, however it was told.

use media::codec::{AudioCodec, Decoder, Encoder, opus};
use media::echo::EchoControl;
use media::level::dbov;
use media::noise::Treatment;
use media::{LegKey, Part, SampleRate};

use super::bench::{Bench, CALL, Sent, rtp, rtp_port};

/// Says what was told, in place of what is said.
#[derive(Debug)]
struct Parrot;

impl EchoControl for Parrot {
    fn process(&mut self, told: &[i16], said: &mut [i16]) {
        assert_eq!((told.len(), said.len()), (320, 160));
        for (said, told) in said.iter_mut().zip(told.chunks(2)) {
            *said = told[0];
        }
    }
}

fn control_echo(bench: &mut Bench, leg: u64) {
    let echo = Some((|_| Box::new(Parrot)) as fn(SampleRate) -> Box<dyn EchoControl>);
    let treatment = Treatment {
        echo,
        ..Treatment::default()
    };
    let now = bench.now;
    let done = bench.relay.treat(CALL, LegKey(leg), treatment, now);
    done.expect("the leg is open");
    bench.drain();
}

/// A tone or silence in A-law.
fn frame(loud: f64, n: u16) -> [u8; 160] {
    let mut encoder =
        Encoder::new(AudioCodec::Pcma, &opus::Settings::default()).expect("a codec of ours");
    let samples: Vec<i16> = (0..160)
        .map(|at| (loud * (f64::from(u32::from(n) * 160 + at) * 0.3).sin()) as i16)
        .collect();
    let mut payload = [0; 160];
    encoder.encode(&samples, &mut payload).expect("20 ms");
    payload
}

/// For a second each leg says a tone so loud; all that was sent.
fn talk(bench: &mut Bench, from: u16, voices: &[(u64, f64)]) -> Vec<Sent> {
    let mut sent = Vec::new();
    for n in from..from + 50 {
        for (leg, loud) in voices {
            let packet = rtp(8, *leg as u32, n, u32::from(n) * 160, &frame(*loud, n));
            sent.extend(bench.receive(*leg, &packet));
        }
        sent.extend(bench.pass_ms(20));
    }
    sent
}

/// How loud the second half is of what was sent to the leg.
fn heard(sent: &[Sent], leg: u64) -> f32 {
    let mut decoder = Decoder::new(AudioCodec::Pcma, SampleRate::Hz8000).expect("a codec of ours");
    let to_it: Vec<_> = sent.iter().filter(|s| s.port == rtp_port(leg)).collect();
    let mut samples = Vec::new();
    for packet in &to_it[to_it.len() / 2..] {
        let mut frame = [0; 960];
        let len = decoder
            .decode(packet.payload(), &mut frame)
            .expect("a packet of ours");
        samples.extend_from_slice(&frame[..len]);
    }
    dbov(&samples)
}

const TONE: f64 = 8_000.0;

#[test]
fn what_a_leg_is_told_is_known_although_the_codecs_are_the_same() {
    let mut bench = Bench::call();
    let before = talk(&mut bench, 1, &[(1, 0.0), (2, TONE)]);
    assert!(heard(&before, 2) < -60.0);
    control_echo(&mut bench, 1);
    let during = talk(&mut bench, 51, &[(1, 0.0), (2, TONE)]);
    let (told, back) = (heard(&during, 1), heard(&during, 2));
    assert!((told - back).abs() < 1.0, "{told} told, {back} said");
    let pause = talk(&mut bench, 101, &[(1, TONE), (2, 0.0)]);
    assert!(heard(&pause, 2) < -60.0, "nothing was told");
}

#[test]
fn a_leg_without_it_is_passed_on_as_before_when_it_is_turned_off() {
    let mut bench = Bench::call();
    control_echo(&mut bench, 1);
    talk(&mut bench, 1, &[(1, TONE), (2, TONE)]);
    let now = bench.now;
    let done = bench
        .relay
        .treat(CALL, LegKey(1), Treatment::default(), now);
    done.expect("the leg is open");
    let sent = talk(&mut bench, 51, &[(1, TONE), (2, 0.0)]);
    assert_eq!(sent.last().expect("it goes on").payload().len(), 160);
    assert!(heard(&sent, 2) > -20.0);
    assert!(heard(&sent, 1) < -60.0);
}

#[test]
fn in_a_room_a_leg_is_told_the_others() {
    let mut bench = Bench::new();
    for leg in [1, 2, 3] {
        bench.open(leg);
        bench.enter(leg, Part::TalkAndListen);
    }
    control_echo(&mut bench, 1);
    let sent = talk(&mut bench, 1, &[(1, 0.0), (2, 0.0), (3, TONE)]);
    let (told, back) = (heard(&sent, 1), heard(&sent, 3));
    // Nobody hears themselves, but for the parrot: what the first was told of the third.
    assert!((told - back).abs() < 1.0, "{told} told, {back} heard");
}

#[test]
fn who_only_listens_in_a_room_hears_the_same_with_and_without() {
    let mut bench = Bench::new();
    for leg in [1, 2, 3] {
        bench.open(leg);
    }
    bench.enter(1, Part::Listen);
    bench.enter(2, Part::TalkAndListen);
    bench.enter(3, Part::TalkAndListen);
    let voices = [(2, TONE), (3, 0.0)];
    let before = heard(&talk(&mut bench, 1, &voices), 1);
    control_echo(&mut bench, 1);
    let after = heard(&talk(&mut bench, 51, &voices), 1);
    assert!((after - before).abs() < 0.5, "{before} to {after}");
}

#[test]
fn who_hears_itself_has_nothing_taken_away() {
    let mut bench = Bench::new();
    bench.open(1);
    bench.listen(1, 1);
    talk(&mut bench, 1, &[(1, TONE)]);
    control_echo(&mut bench, 1);
    let sent = talk(&mut bench, 51, &[(1, TONE)]);
    assert!(sent.len() > 45, "the stream goes on: {}", sent.len());
    assert!(heard(&sent, 1) < -60.0, "the parrot was told nothing");
}
