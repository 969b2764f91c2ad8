//! C8: what a leg says can be had as sound, whatever becomes of its packets.

use std::time::Duration;

use media::codec::{AudioCodec, Encoder, opus};
use media::tones::{Generator, Tone};
use media::{
    Arrival, Codec, Digit, Event, KeyForm, LegKey, LegSetup, Overheard, PortKey, SampleRate, Sink,
    Tap,
};

use super::bench::{self, Bench, CALL, peer, rtp, rtp_port};

const SOUND: Tap = Tap {
    sound: true,
    keys: false,
};
const KEYS: Tap = Tap {
    sound: false,
    keys: true,
};

/// Whoever listens, and how many packets were passed on meanwhile.
#[derive(Default)]
struct Listener {
    samples: Vec<i16>,
    rate: Option<SampleRate>,
    legs: Vec<LegKey>,
    passed: usize,
}

impl Sink for Listener {
    fn send(&mut self, _: PortKey, _: std::net::SocketAddr, _: &[u8]) {
        self.passed += 1;
    }

    fn sound(&mut self, overheard: &Overheard<'_>) {
        assert_eq!(overheard.session, CALL);
        assert_eq!(overheard.samples.len(), overheard.rate.frame());
        self.samples.extend_from_slice(overheard.samples);
        self.rate = Some(overheard.rate);
        self.legs.push(overheard.leg);
    }
}

fn tap(bench: &mut Bench, leg: u64, tap: Tap) {
    let done = bench.relay.tap(CALL, LegKey(leg), tap);
    done.expect("the leg is open");
}

/// Says a tone from leg 1, a packet of 20 ms each 20 ms, until it is over.
fn say(bench: &mut Bench, codec: (AudioCodec, u8), tone: Tone, from: u16) -> Listener {
    let mut listener = Listener::default();
    let mut encoder = Encoder::new(codec.0, &opus::Settings::default()).expect("a codec of ours");
    let mut generator = Generator::new(tone, encoder.rate());
    let mut samples = vec![0; encoder.rate().frame()];
    let mut n = from;
    let mut more = true;
    while more {
        more = generator.fill(&mut samples);
        let mut payload = [0; opus::MAX_PACKET];
        let len = encoder.encode(&samples, &mut payload).expect("20 ms");
        let timestamp = u32::from(n) * codec.0.clock_rate() / 50;
        let mut packet = rtp(codec.1, 1, n, timestamp, &payload[..len]);
        let arrival = Arrival {
            port: rtp_port(1),
            from: peer(1),
            at: bench.now,
        };
        bench.relay.receive(&arrival, &mut packet, &mut listener);
        listen(bench, &mut listener, Duration::from_millis(20));
        n += 1;
    }
    listener
}

/// Time passes.
fn listen(bench: &mut Bench, listener: &mut Listener, time: Duration) {
    bench.drain();
    let end = bench.now + time;
    while let Some(due) = bench.deadline.filter(|due| *due <= end) {
        bench.now = bench.now.max(due);
        bench.relay.handle_timeout(bench.now, listener);
        bench.drain();
    }
    bench.now = end;
    bench.drain();
}

fn hertz(samples: &[i16], rate: SampleRate) -> f64 {
    let samples = &samples[samples.len() / 4..];
    let rises = samples.windows(2).filter(|w| w[0] < 0 && w[1] >= 0).count();
    rises as f64 * f64::from(rate.hz()) / samples.len() as f64
}

fn tone(hz: u16, ms: u16) -> Tone {
    Tone::of([hz, 0], -13, &[(ms, 0)]).once()
}

fn dialled(keys: &str) -> impl Iterator<Item = Tone> {
    let ms = Duration::from_millis;
    let keys: Vec<char> = keys.chars().collect();
    keys.into_iter()
        .map(move |key| Tone::of_digit(Digit::Key(key), ms(80), ms(80)).expect("a key"))
}

fn told(bench: &mut Bench) -> Vec<(char, KeyForm)> {
    let events = bench.events();
    let digit = |event: &Event| match event {
        Event::Digit { press, form, .. } => match press.digit {
            Digit::Key(key) => Some((key, *form)),
            Digit::Flash => None,
        },
        _ => None,
    };
    events.iter().filter_map(digit).collect()
}

#[test]
fn a_relayed_leg_is_heard_and_its_packets_pass_as_before() {
    let mut bench = Bench::call();
    tap(&mut bench, 1, SOUND);
    let heard = say(&mut bench, (AudioCodec::Pcma, 8), tone(500, 2000), 1);
    assert_eq!(heard.passed, 100);
    assert!(heard.legs.iter().all(|leg| *leg == LegKey(1)));
    assert_eq!(heard.rate, Some(SampleRate::Hz8000));
    // All but what waits in the buffer.
    assert!(heard.legs.len() >= 95, "{}", heard.legs.len());
    let hertz = hertz(&heard.samples, SampleRate::Hz8000);
    assert!((hertz - 500.0).abs() < 10.0, "{hertz}");
}

#[test]
fn a_transcoded_leg_is_heard_too() {
    let mut bench = Bench::new();
    bench.open_as(
        1,
        LegSetup {
            formats: vec![bench::format(96, Codec::Opus, 48_000)],
            ..bench::setup(1)
        },
    );
    bench.open(2);
    bench.connect(1, 2);
    tap(&mut bench, 1, SOUND);
    let heard = say(&mut bench, (AudioCodec::Opus, 96), tone(500, 2000), 1);
    assert!(heard.passed >= 95, "{}", heard.passed);
    assert_eq!(heard.rate, Some(SampleRate::Hz16000));
    let hertz = hertz(&heard.samples, SampleRate::Hz16000);
    assert!((hertz - 500.0).abs() < 10.0, "{hertz}");
}

#[test]
fn nobody_is_heard_without_a_tap_or_after_it() {
    let mut bench = Bench::call();
    let heard = say(&mut bench, (AudioCodec::Pcma, 8), tone(500, 200), 1);
    assert!(heard.samples.is_empty());
    tap(&mut bench, 1, SOUND);
    let heard = say(&mut bench, (AudioCodec::Pcma, 8), tone(500, 200), 11);
    assert!(!heard.samples.is_empty());
    tap(&mut bench, 1, Tap::default());
    let heard = say(&mut bench, (AudioCodec::Pcma, 8), tone(500, 200), 21);
    assert!(heard.samples.is_empty());
}

#[test]
fn a_leg_that_nobody_hears_can_be_tapped() {
    let mut bench = Bench::new();
    bench.open(1);
    tap(&mut bench, 1, SOUND);
    let heard = say(&mut bench, (AudioCodec::Pcma, 8), tone(500, 1000), 1);
    assert!(heard.legs.len() >= 45);
}

#[test]
fn keys_dialled_as_tones_are_told() {
    let mut bench = Bench::call();
    tap(&mut bench, 1, KEYS);
    let mut n = 1;
    for key in dialled("0159#D") {
        let heard = say(&mut bench, (AudioCodec::Pcma, 8), key, n);
        assert!(heard.samples.is_empty(), "sound was not asked for");
        n += 8;
    }
    bench.pass(Duration::from_secs(2));
    let tones: Vec<_> = "0159#D".chars().map(|key| (key, KeyForm::Tones)).collect();
    assert_eq!(told(&mut bench), tones);
}

#[test]
fn no_key_is_told_twice_when_events_and_tones_come() {
    let mut bench = Bench::call();
    tap(&mut bench, 1, KEYS);
    let mut n = 1;
    for key in dialled("77") {
        // Devices send both: the events, and the tones beside them.
        let began = u32::from(n);
        for (at, flags) in [(0, 10), (1, 10), (2, 0x80 | 10)] {
            let duration = 160 * (at + 1);
            let event = [7, flags, (duration >> 8) as u8, duration as u8];
            bench.receive(1, &rtp(101, 1, n, began * 160, &event));
            n += 1;
        }
        say(&mut bench, (AudioCodec::Pcma, 8), key, n);
        n += 8;
    }
    bench.pass(Duration::from_secs(2));
    let events = [('7', KeyForm::Event), ('7', KeyForm::Event)];
    assert_eq!(told(&mut bench), events);
}
