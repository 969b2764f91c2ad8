//! Keys heard as tones in the sound (ITU-T Q.23, Q.24).
//!
//! For telephones and lines that send no events (RFC 4733, see `Press` for
//! those). Eight Goertzel filters over blocks of 12.75 ms; a key is down from
//! the second block in a row that is nothing but its two tones, and up after
//! two that are not. Speech now and then holds such a pair for a block, hardly
//! ever for two. Does not take the tones out of the sound, and makes none
//! ([`crate::tones`] does).
//!
//! Invariant: starts and ends alternate, and an end names the key that started.

use std::time::Duration;

use crate::rate::SampleRate;
use crate::sine::sine;
use crate::telephone_event::{Digit, Press};
use crate::tones::{HIGH, KEYS, LOW};

/// 102 samples at 8 kHz: filters about 78 Hz wide, and 40 ms hold two whole
/// blocks wherever they begin.
const BLOCK_NS: u64 = 12_750_000;

/// In a row, to begin and to end.
const HITS: u8 = 2;

/// The tone of a group is so much stronger than its neighbours (8 dB).
const DOMINANCE: f32 = 6.3;

/// So much of all that is heard lies in the two tones. Off by 1.5 % a tone
/// loses at most a quarter of itself in its filter, and must be accepted
/// (Q.24); off by 3.5 % it loses more, and must not be.
const SHARE: f32 = 0.70;

/// How much stronger one tone may be than the other, either way: 8 dB (Q.24
/// asks for 4 to 8, by country).
const TWIST: f32 = 6.3;

/// Softer than this is no key (-42 dBov for both tones).
const LEAST_POWER: f32 = 6.3e-5;

/// A key goes down or up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Start(Digit),
    End(Press),
}

/// One leg's ear.
#[derive(Debug, Clone)]
pub struct Detector {
    rate: SampleRate,
    block: usize,
    filters: [Goertzel; 8],
    /// Samples of the block so far, and their power.
    heard: usize,
    power: f32,
    last: Option<u8>,
    in_row: u8,
    /// What is down, for so many blocks.
    down: Option<(u8, u32)>,
}

impl Detector {
    pub fn new(rate: SampleRate) -> Detector {
        let tones = [
            LOW[0], LOW[1], LOW[2], LOW[3], HIGH[0], HIGH[1], HIGH[2], HIGH[3],
        ];
        Detector {
            rate,
            block: (u64::from(rate.hz()) * BLOCK_NS / 1_000_000_000) as usize,
            filters: tones.map(|hz| Goertzel::new(hz, rate)),
            heard: 0,
            power: 0.0,
            last: None,
            in_row: 0,
            down: None,
        }
    }

    pub fn rate(&self) -> SampleRate {
        self.rate
    }

    /// Listens to samples; says what happened in them, in order.
    pub fn hear(&mut self, samples: &[i16], mut tell: impl FnMut(Event)) {
        let mut rest = samples;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(self.block - self.heard));
            for sample in now {
                let sample = f32::from(*sample) / 32_768.0;
                self.power += sample * sample;
                for filter in &mut self.filters {
                    filter.add(sample);
                }
            }
            self.heard += now.len();
            rest = later;
            if self.heard == self.block {
                let key = self.judge();
                self.heard = 0;
                self.power = 0.0;
                self.follow(key, &mut tell);
            }
        }
    }

    /// The sound ends or another takes its place: what is down goes up.
    pub fn finish(&mut self, tell: impl FnOnce(Event)) {
        if let Some(press) = self.release() {
            tell(Event::End(press));
        }
        *self = Detector::new(self.rate);
    }

    /// The key in this block, by its place in [`KEYS`].
    fn judge(&mut self) -> Option<u8> {
        let block = self.block as f32;
        let powers = self.filters.each_mut().map(|filter| filter.take(block));
        let mean = self.power / block;
        if mean < LEAST_POWER {
            return None;
        }
        let (low, low_power) = loudest(&powers[..4])?;
        let (high, high_power) = loudest(&powers[4..])?;
        let twist = low_power <= high_power * TWIST && high_power <= low_power * TWIST;
        let alone = low_power + high_power >= mean * SHARE;
        (twist && alone).then_some((low * 4 + high) as u8)
    }

    fn follow(&mut self, key: Option<u8>, tell: &mut impl FnMut(Event)) {
        if key == self.last {
            self.in_row = self.in_row.saturating_add(1);
        } else {
            self.last = key;
            self.in_row = 1;
        }
        let held = self.down.map(|(held, _)| held);
        if let Some((_, blocks)) = &mut self.down {
            *blocks = blocks.saturating_add(1);
        }
        if self.in_row < HITS || key == held {
            return;
        }
        if let Some(press) = self.release() {
            tell(Event::End(press));
        }
        if let Some(key) = key {
            self.down = Some((key, u32::from(HITS)));
            tell(Event::Start(digit(key)));
        }
    }

    fn release(&mut self) -> Option<Press> {
        let (key, blocks) = self.down.take()?;
        // The blocks that showed its end were not its own.
        let own = match self.last {
            Some(last) if last == key => blocks,
            Some(_) | None => blocks.saturating_sub(u32::from(self.in_row)),
        };
        Some(Press {
            digit: digit(key),
            duration: Duration::from_nanos(BLOCK_NS) * own,
        })
    }
}

/// The tone of a group that stands out.
fn loudest(powers: &[f32]) -> Option<(usize, f32)> {
    let (at, power) = powers
        .iter()
        .copied()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    let others = powers.iter().enumerate().filter(|(n, _)| *n != at);
    let mut alone = others.map(|(_, other)| power >= other * DOMINANCE);
    alone.all(|alone| alone).then_some((at, power))
}

fn digit(key: u8) -> Digit {
    Digit::Key(KEYS[usize::from(key) % KEYS.len()])
}

/// The power at one frequency.
#[derive(Debug, Clone, Copy)]
struct Goertzel {
    coefficient: f32,
    s1: f32,
    s2: f32,
}

impl Goertzel {
    fn new(hz: u16, rate: SampleRate) -> Goertzel {
        let turns = f64::from(hz) / f64::from(rate.hz());
        Goertzel {
            // Twice the cosine.
            coefficient: (2.0 * sine(turns + 0.25)) as f32,
            s1: 0.0,
            s2: 0.0,
        }
    }

    fn add(&mut self, sample: f32) {
        let s0 = sample + self.coefficient * self.s1 - self.s2;
        self.s2 = self.s1;
        self.s1 = s0;
    }

    /// The mean power of the tone in a block of so many samples.
    fn take(&mut self, block: f32) -> f32 {
        let (s1, s2) = (self.s1, self.s2);
        (self.s1, self.s2) = (0.0, 0.0);
        let square = s1 * s1 + s2 * s2 - self.coefficient * s1 * s2;
        2.0 * square / (block * block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::sine_amplitude;
    use crate::seed::Seed;
    use crate::tones::{Generator, Tone};

    const RATES: [SampleRate; 2] = [SampleRate::Hz8000, SampleRate::Hz16000];

    /// A line on which keys are dialled.
    #[derive(Clone, Copy)]
    struct Line {
        rate: SampleRate,
        sound: f64,
        pause: f64,
        /// Of the low and the high tone.
        dbov: [f32; 2],
        /// Of the frequencies.
        error: f64,
        noise_dbov: f32,
    }

    impl Line {
        fn new(rate: SampleRate) -> Line {
            Line {
                rate,
                sound: 50.0,
                pause: 50.0,
                dbov: [-16.0, -16.0],
                error: 0.0,
                noise_dbov: -70.0,
            }
        }

        fn dial(&self, keys: &str) -> Vec<i16> {
            let hz = f64::from(self.rate.hz());
            let count = |ms: f64| (ms / 1000.0 * hz) as usize;
            let mut seed = Seed::new(3);
            let noise = f64::from(sine_amplitude(self.noise_dbov)) / 2f64.sqrt() * 3f64.sqrt();
            let mut random = || f64::from(seed.next_u32() as i32) / 2_147_483_648.0 * noise;
            // Begins anywhere in a block.
            let mut samples: Vec<i16> = (0..count(33.3)).map(|_| random() as i16).collect();
            for key in keys.chars() {
                let at = KEYS.iter().position(|known| *known == key).unwrap();
                let tones = [LOW[at / 4], HIGH[at % 4]].map(|hz| f64::from(hz) * self.error.exp());
                let amplitudes = self.dbov.map(|dbov| f64::from(sine_amplitude(dbov)));
                for n in 0..count(self.sound) {
                    let tone = |i: usize| amplitudes[i] * sine(tones[i] * n as f64 / hz);
                    samples.push((tone(0) + tone(1) + random()) as i16);
                }
                samples.extend((0..count(self.pause)).map(|_| random() as i16));
            }
            samples
        }

        fn heard(&self, keys: &str) -> String {
            starts(&events(self.rate, &self.dial(keys)))
        }
    }

    fn events(rate: SampleRate, samples: &[i16]) -> Vec<Event> {
        let mut events = Vec::new();
        let mut detector = Detector::new(rate);
        for frame in samples.chunks(rate.frame()) {
            detector.hear(frame, |event| events.push(event));
        }
        detector.finish(|event| events.push(event));
        events
    }

    fn starts(events: &[Event]) -> String {
        let starts = events.iter().filter_map(|event| match event {
            Event::Start(Digit::Key(key)) => Some(*key),
            Event::Start(Digit::Flash) | Event::End(_) => None,
        });
        starts.collect()
    }

    const ALL: &str = "147*2580369#ABCD112";

    #[test]
    fn each_key_is_heard_once_on_every_line_that_it_must_be() {
        for rate in RATES {
            let plain = Line::new(rate);
            let lines = [
                ("plain", plain),
                (
                    "80/80",
                    Line {
                        sound: 80.0,
                        pause: 80.0,
                        ..plain
                    },
                ),
                (
                    "40/40",
                    Line {
                        sound: 40.0,
                        pause: 40.0,
                        ..plain
                    },
                ),
                (
                    "soft",
                    Line {
                        dbov: [-36.0; 2],
                        ..plain
                    },
                ),
                (
                    "loud",
                    Line {
                        dbov: [-9.0; 2],
                        ..plain
                    },
                ),
                (
                    "high 6 dB up",
                    Line {
                        dbov: [-20.0, -14.0],
                        ..plain
                    },
                ),
                (
                    "low 6 dB up",
                    Line {
                        dbov: [-14.0, -20.0],
                        ..plain
                    },
                ),
                (
                    "1.5 % high",
                    Line {
                        error: 0.0149,
                        ..plain
                    },
                ),
                (
                    "1.5 % low",
                    Line {
                        error: -0.0149,
                        ..plain
                    },
                ),
                (
                    "15 dB noise",
                    Line {
                        noise_dbov: -28.0,
                        ..plain
                    },
                ),
            ];
            for (name, line) in lines {
                assert_eq!(line.heard(ALL), ALL, "{name} at {rate:?}");
            }
        }
    }

    #[test]
    fn what_is_no_key_is_not_heard() {
        for rate in RATES {
            let plain = Line::new(rate);
            let lines = [
                (
                    "3.5 % high",
                    Line {
                        error: 0.035,
                        ..plain
                    },
                ),
                (
                    "3.5 % low",
                    Line {
                        error: -0.0355,
                        ..plain
                    },
                ),
                (
                    "12 dB twist",
                    Line {
                        dbov: [-26.0, -14.0],
                        ..plain
                    },
                ),
                (
                    "-12 dB twist",
                    Line {
                        dbov: [-14.0, -26.0],
                        ..plain
                    },
                ),
                (
                    "too soft",
                    Line {
                        dbov: [-50.0; 2],
                        noise_dbov: -90.0,
                        ..plain
                    },
                ),
                (
                    "too short",
                    Line {
                        sound: 20.0,
                        ..plain
                    },
                ),
                (
                    "one tone",
                    Line {
                        dbov: [-14.0, -90.0],
                        ..plain
                    },
                ),
                (
                    "drowned",
                    Line {
                        noise_dbov: -14.0,
                        ..plain
                    },
                ),
            ];
            for (name, line) in lines {
                assert_eq!(line.heard(ALL), "", "{name} at {rate:?}");
            }
        }
    }

    #[test]
    fn our_own_tones_are_heard_with_their_length() {
        for rate in RATES {
            for key in KEYS {
                let ms = Duration::from_millis;
                let tone = Tone::of_digit(Digit::Key(key), ms(100), ms(60)).unwrap();
                let mut samples = vec![0; rate.samples_in_ms(200)];
                Generator::new(tone, rate).fill(&mut samples);
                let events = events(rate, &samples);
                let [Event::Start(start), Event::End(press)] = events[..] else {
                    panic!("{events:?}");
                };
                assert_eq!((start, press.digit), (Digit::Key(key), Digit::Key(key)));
                assert!(
                    (75..=115).contains(&press.duration.as_millis()),
                    "{press:?}"
                );
            }
        }
    }

    #[test]
    fn a_drop_out_of_a_block_does_not_make_two_presses() {
        let line = Line {
            sound: 200.0,
            ..Line::new(SampleRate::Hz8000)
        };
        let mut samples = line.dial("5");
        samples[900..960].fill(0);
        let events = events(line.rate, &samples);
        assert_eq!(events.len(), 2, "{events:?}");
    }

    #[test]
    fn a_key_is_up_when_the_sound_ends_or_another_follows_at_once() {
        let line = Line {
            sound: 100.0,
            pause: 0.0,
            ..Line::new(SampleRate::Hz8000)
        };
        let events = events(line.rate, &line.dial("12"));
        let keys: Vec<(bool, Digit)> = events
            .iter()
            .map(|event| match event {
                Event::Start(digit) => (true, *digit),
                Event::End(press) => (false, press.digit),
            })
            .collect();
        let key = Digit::Key;
        let expected = [
            (true, key('1')),
            (false, key('1')),
            (true, key('2')),
            (false, key('2')),
        ];
        assert_eq!(keys, expected);
    }

    /// Five minutes of something that sounds like speech: a gliding voice with
    /// formants that move, fricatives, pauses.
    #[test]
    fn speech_does_not_dial() {
        let rate = SampleRate::Hz8000;
        let mut seed = Seed::new(77);
        let mut random = move || f64::from(seed.next_u32()) / 4_294_967_296.0;
        let mut detector = Detector::new(rate);
        let mut heard = Vec::new();
        let mut mouth = Mouth::default();
        for _ in 0..3000 {
            // A sound of 100 ms.
            let pitch = 80.0 + random() * 240.0;
            let glide = 1.0 + (random() - 0.5) * 0.2;
            let formants = [
                300.0 + random() * 600.0,
                900.0 + random() * 1400.0,
                2300.0 + random() * 800.0,
            ];
            // Formants stand still in no sound.
            let moves = 1.0 + (random() - 0.5) * 0.3;
            let voiced = random() < 0.7;
            let loudness = random() * 6000.0;
            let samples: Vec<i16> = (0..800)
                .map(|n| {
                    let pitch = pitch * (1.0 + (glide - 1.0) * f64::from(n) / 800.0);
                    let air = random() - 0.5;
                    let way = 1.0 + (moves - 1.0) * f64::from(n) / 800.0;
                    let formants = formants.map(|formant| formant * way);
                    let sound = mouth.say(pitch, formants, voiced, air);
                    (sound * loudness).clamp(-32_000.0, 32_000.0) as i16
                })
                .collect();
            detector.hear(&samples, |event| heard.push(event));
        }
        assert_eq!(heard, []);
    }

    /// Pulses or noise through three resonances.
    #[derive(Default)]
    struct Mouth {
        phase: f64,
        memory: [[f64; 2]; 3],
    }

    impl Mouth {
        fn say(&mut self, pitch: f64, formants: [f64; 3], voiced: bool, air: f64) -> f64 {
            self.phase += pitch / 8000.0;
            let pulse = if self.phase >= 1.0 { 1.0 } else { 0.0 };
            self.phase -= self.phase.floor();
            let source = if voiced {
                pulse + air * 0.02
            } else {
                air * 0.3
            };
            let mut out = source;
            for (formant, memory) in formants.iter().zip(&mut self.memory) {
                // A band of 100 Hz.
                let radius: f64 = 0.961;
                let cosine = sine(formant / 8000.0 + 0.25);
                let next = out + 2.0 * radius * cosine * memory[0] - radius * radius * memory[1];
                *memory = [next, memory[0]];
                out = next * 0.3;
            }
            out
        }
    }
}
