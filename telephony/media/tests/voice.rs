//! Each half of a voice alone: sound that is only heard, sound that is only said.

use std::time::{Duration, Instant};

use media::SampleRate;
use media::codec::{AudioCodec, Decoder, Encoder, opus};
use media::jitter::Packet;
use media::noise::Treatment;
use media::voice::{Hearing, Speaking};

const FRAME: Duration = Duration::from_millis(20);

/// Frames of a tone of 500 Hz, which turns over in whole frames at each rate.
fn tone(rate: SampleRate) -> Vec<i16> {
    let turn = |n: usize| n as f64 * 500.0 / f64::from(rate.hz()) * std::f64::consts::TAU;
    (0..rate.frame())
        .map(|n| (turn(n).sin() * 8_000.0) as i16)
        .collect()
}

fn rms(sound: &[i16]) -> f64 {
    let power: f64 = sound.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (power / sound.len() as f64).sqrt()
}

struct Speaker {
    encoder: Encoder,
    sequence: i64,
}

impl Speaker {
    fn new(codec: AudioCodec) -> Speaker {
        let settings = opus::Settings::default();
        Speaker {
            encoder: Encoder::new(codec, &settings).expect("a codec of ours"),
            sequence: 0,
        }
    }

    fn say(&mut self, hearing: &mut Hearing, now: Instant) -> Duration {
        let mut payload = [0; opus::MAX_PACKET];
        let sound = tone(self.encoder.rate());
        let len = self
            .encoder
            .encode(&sound, &mut payload)
            .expect("20 ms are a frame");
        let payload = &payload[..len];
        let ticks = hearing.ticks_in(payload).expect("a packet of ours");
        let packet = Packet {
            epoch: 1,
            sequence: self.sequence,
            timestamp: self.sequence as u32 * ticks,
            duration: ticks,
            payload,
        };
        self.sequence += 1;
        hearing.hear(&packet, now)
    }
}

#[test]
fn a_listener_with_its_own_clock_hears_each_codec_at_its_rate() {
    for codec in AudioCodec::ALL {
        for rate in SampleRate::ALL {
            let start = Instant::now();
            let mut speaker = Speaker::new(codec);
            let mut hearing = Hearing::new(codec, rate, 1, start).expect("a codec of ours");
            let (mut frame, mut heard) = (vec![0; rate.frame()], 0);
            for n in 0..100 {
                speaker.say(&mut hearing, start + FRAME * n);
                // Somewhere between the packets.
                if hearing.next(&mut frame, start + FRAME * n + FRAME / 3) {
                    heard += 1;
                }
            }
            assert!((97..=100).contains(&heard), "{codec:?} {rate:?}: {heard}");
            let loud = rms(&frame);
            assert!(
                (4_500.0..7_000.0).contains(&loud),
                "{codec:?} {rate:?}: {loud}"
            );
        }
    }
}

#[test]
fn whoever_says_nothing_gives_no_frames_until_it_speaks_again() {
    let start = Instant::now();
    let rate = SampleRate::Hz16000;
    let codec = AudioCodec::G722;
    let mut speaker = Speaker::new(codec);
    let mut hearing = Hearing::new(codec, rate, 1, start).expect("a codec of ours");
    let mut frame = vec![0; rate.frame()];
    assert!(!hearing.next(&mut frame, start), "nothing was said yet");
    for n in 0..50 {
        speaker.say(&mut hearing, start + FRAME * n);
        hearing.next(&mut frame, start + FRAME * n);
    }
    let given = (50..500).filter(|n| hearing.next(&mut frame, start + FRAME * *n));
    let given = given.count();
    assert!(
        (1..60).contains(&given),
        "{given} frames of somebody silent"
    );
    let slept = speaker.say(&mut hearing, start + FRAME * 500);
    assert!(slept > Duration::from_secs(7), "{slept:?}");
    let again = (500..520).filter(|n| {
        let now = start + FRAME * *n;
        speaker.say(&mut hearing, now);
        hearing.next(&mut frame, now)
    });
    assert!(again.count() >= 18);
    assert!(rms(&frame) > 4_500.0);
}

#[test]
fn gain_and_mute_are_those_of_the_speaker() {
    let start = Instant::now();
    let rate = SampleRate::Hz8000;
    let mut speaker = Speaker::new(AudioCodec::Pcma);
    let mut hearing = Hearing::new(AudioCodec::Pcma, rate, 1, start).expect("a codec of ours");
    let mut levels = Vec::new();
    for n in 0..60 {
        match n {
            20 => hearing.treat(Treatment {
                gain_db: -6,
                ..Treatment::default()
            }),
            40 => hearing.treat(Treatment {
                muted: true,
                ..Treatment::default()
            }),
            _ => {}
        }
        let mut frame = vec![0; rate.frame()];
        speaker.say(&mut hearing, start + FRAME * n);
        if hearing.next(&mut frame, start + FRAME * n) {
            levels.push(rms(&frame));
        }
    }
    let half = levels[30] / levels[15];
    assert!((0.48..0.52).contains(&half), "{half}");
    assert_eq!(levels[levels.len() - 1], 0.0);
}

#[test]
fn sound_of_any_rate_is_said_in_each_codec() {
    for codec in AudioCodec::ALL {
        for rate in SampleRate::ALL {
            let now = Instant::now();
            let mut speaking = Speaking::new(codec, rate).expect("a codec of ours");
            let mut decoder = Decoder::new(codec, rate).expect("a codec of ours");
            let mut last = Vec::new();
            for n in 0..20u32 {
                speaking.say(&tone(rate), now + FRAME * n, |spoken| {
                    assert_eq!(spoken.number, i64::from(n));
                    assert_eq!(spoken.timestamp, n * codec.clock_rate() / 50);
                    let mut sound = [0; 960];
                    let len = decoder.decode(spoken.payload, &mut sound);
                    last = sound[..len.expect("a packet of ours")].to_vec();
                });
            }
            let loud = rms(&last);
            assert!(
                (4_500.0..7_000.0).contains(&loud),
                "{codec:?} {rate:?}: {loud}"
            );
        }
    }
}

#[test]
fn a_pause_is_time_without_a_number() {
    let now = Instant::now();
    let mut speaking =
        Speaking::new(AudioCodec::G722, SampleRate::Hz16000).expect("a codec of ours");
    let mut said = Vec::new();
    let frame = tone(SampleRate::Hz16000);
    speaking.say(&frame, now, |spoken| {
        said.push((spoken.number, spoken.timestamp));
    });
    speaking.pause(Duration::from_secs(2));
    speaking.say(&frame, now, |spoken| {
        said.push((spoken.number, spoken.timestamp));
    });
    assert_eq!(said, [(0, 0), (1, 16_160)]);
}
