//! What a line says without words: ring-back, busy, congestion, warnings,
//! digits.
//!
//! A tone is data ([`Tone`]): one or two frequencies, sounds and pauses.
//! [`Generator`] makes samples of it. Pitches and cadences of each country's
//! own exchange are many (ITU-T E.180, supplement 2); here are those of most of
//! Europe and of North America. Plays no files and knows no calls.
//!
//! Invariant: phases run on through pauses and blocks, edges are ramps of 4 ms,
//! so a tone does not click wherever it is cut into frames.

use std::time::Duration;

use crate::level::sine_amplitude;
use crate::rate::SampleRate;
use crate::sine::sine;
use crate::telephone_event::Digit;

/// From silence to full and back.
const RAMP_MS: usize = 4;

const MAX_PARTS: usize = 4;

/// Which country's exchange a caller expects to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Region {
    /// 425 Hz as in Germany, Austria, Switzerland, Italy, Spain, the Netherlands.
    Europe,
    /// The United States and Canada.
    NorthAmerica,
}

/// What a tone says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// The other station rings.
    RingBack,
    Busy,
    /// No way to the other station.
    Congestion,
    /// The call ends soon (it has a limit). To both, over their speech.
    LimitNear,
    /// A microphone has just been opened without a hand on it.
    AutoAnswer,
    /// The call is held; it is not dead.
    Hold,
    /// What was wanted has been done: a door was told to open.
    Confirmed,
    /// It has not.
    Refused,
    /// What follows is what you say yourself.
    EchoTest,
}

impl Signal {
    pub const ALL: [Signal; 9] = [
        Signal::RingBack,
        Signal::Busy,
        Signal::Congestion,
        Signal::LimitNear,
        Signal::AutoAnswer,
        Signal::Hold,
        Signal::Confirmed,
        Signal::Refused,
        Signal::EchoTest,
    ];

    pub const fn tone(self, region: Region) -> Tone {
        // The levels are those of ITU-T E.180 6: about -10 dBm0 each, which is
        // -16 dBov; over speech and as a reminder softer.
        const LEVEL: i8 = -16;
        const SOFT: i8 = -24;
        match (self, region) {
            // E.180 4.2.1: 0.67-1.5 s, then 3-5 s.
            (Signal::RingBack, Region::Europe) => Tone::of([425, 0], LEVEL, &[(1000, 4000)]),
            (Signal::RingBack, Region::NorthAmerica) => {
                Tone::of([440, 480], LEVEL, &[(2000, 4000)])
            }
            // E.180 4.3, 4.4.
            (Signal::Busy, Region::Europe) => Tone::of([425, 0], LEVEL, &[(500, 500)]),
            (Signal::Busy, Region::NorthAmerica) => Tone::of([480, 620], LEVEL, &[(500, 500)]),
            (Signal::Congestion, Region::Europe) => Tone::of([425, 0], LEVEL, &[(250, 250)]),
            (Signal::Congestion, Region::NorthAmerica) => {
                Tone::of([480, 620], LEVEL, &[(250, 250)])
            }
            // No standard knows the following; the pitches are those of the
            // region's call waiting and recording tones.
            (Signal::LimitNear, Region::Europe) => {
                Tone::of([950, 0], SOFT, &[(150, 150), (150, 150), (150, 0)]).once()
            }
            (Signal::LimitNear, Region::NorthAmerica) => {
                Tone::of([1400, 0], SOFT, &[(150, 150), (150, 150), (150, 0)]).once()
            }
            (Signal::AutoAnswer, Region::Europe | Region::NorthAmerica) => {
                Tone::of([660, 0], LEVEL, &[(120, 60), (240, 0)]).once()
            }
            (Signal::Confirmed, Region::Europe | Region::NorthAmerica) => {
                Tone::of([1000, 0], LEVEL, &[(400, 0)]).once()
            }
            (Signal::Refused, Region::Europe | Region::NorthAmerica) => {
                Tone::of([330, 0], LEVEL, &[(150, 100), (150, 100), (150, 0)]).once()
            }
            // In the rhythm of somebody who begins to speak, and unlike any of the above.
            (Signal::EchoTest, Region::Europe | Region::NorthAmerica) => Tone::of(
                [520, 780],
                LEVEL,
                &[(250, 80), (120, 60), (120, 180), (400, 0)],
            )
            .once(),
            (Signal::Hold, Region::Europe) => Tone::of([425, 0], SOFT, &[(100, 9900)]),
            (Signal::Hold, Region::NorthAmerica) => Tone::of([440, 0], SOFT, &[(100, 9900)]),
        }
    }
}

/// Frequencies with their levels, sounds and pauses in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tone {
    /// 0: not used.
    hz: [u16; 2],
    /// Of each, as a sine's.
    dbov: [i8; 2],
    parts: [(u16, u16); MAX_PARTS],
    count: u8,
    repeats: bool,
}

impl Tone {
    /// A tone without end: each frequency at so many dBov, (sound, pause) in ms.
    /// More than four pairs are not heard.
    pub const fn of(hz: [u16; 2], dbov: i8, cadence: &[(u16, u16)]) -> Tone {
        let mut tone = Tone {
            hz,
            dbov: [dbov; 2],
            parts: [(0, 0); MAX_PARTS],
            count: 0,
            repeats: true,
        };
        while (tone.count as usize) < cadence.len() && (tone.count as usize) < MAX_PARTS {
            tone.parts[tone.count as usize] = cadence[tone.count as usize];
            tone.count += 1;
        }
        tone
    }

    /// The same, once.
    pub const fn once(self) -> Tone {
        Tone {
            repeats: false,
            ..self
        }
    }

    /// A key's two tones. `None`: not a key of a telephone. The high one is
    /// 2 dB louder, because lines are worse up there (ITU-T Q.23, ETSI ES 201 235-2).
    pub fn of_digit(digit: Digit, sound: Duration, pause: Duration) -> Option<Tone> {
        let Digit::Key(key) = digit else { return None };
        let at = KEYS.iter().position(|known| *known == key)?;
        let ms = |time: Duration| u16::try_from(time.as_millis()).unwrap_or(u16::MAX);
        let cadence = [(ms(sound), ms(pause))];
        let mut tone = Tone::of([LOW[at / 4], HIGH[at % 4]], 0, &cadence).once();
        tone.dbov = [-13, -11];
        Some(tone)
    }

    /// Of one round, with its pauses.
    pub fn duration(&self) -> Duration {
        let parts = self.parts.iter().take(self.count.into());
        let ms = parts.map(|(sound, pause)| u64::from(*sound) + u64::from(*pause));
        Duration::from_millis(ms.sum())
    }
}

/// ITU-T Q.23: rows by columns.
pub(crate) const LOW: [u16; 4] = [697, 770, 852, 941];
pub(crate) const HIGH: [u16; 4] = [1209, 1336, 1477, 1633];
pub(crate) const KEYS: [char; 16] = [
    '1', '2', '3', 'A', '4', '5', '6', 'B', '7', '8', '9', 'C', '*', '0', '#', 'D',
];

/// Makes samples of a tone.
#[derive(Debug, Clone)]
pub struct Generator {
    tone: Tone,
    rate: SampleRate,
    voices: [Voice; 2],
    /// Where in the cadence: which pair, which sample of it.
    part: usize,
    at: usize,
    over: bool,
}

#[derive(Debug, Clone, Copy)]
struct Voice {
    /// Of a turn, in 2^-32, so that it wraps by itself.
    phase: u32,
    step: u32,
    amplitude: f32,
}

impl Generator {
    pub fn new(tone: Tone, rate: SampleRate) -> Generator {
        let voice = |n: usize| Voice {
            phase: 0,
            step: ((u64::from(tone.hz[n]) << 32) / u64::from(rate.hz())) as u32,
            amplitude: match tone.hz[n] {
                0 => 0.0,
                1.. => sine_amplitude(f32::from(tone.dbov[n])),
            },
        };
        Generator {
            tone,
            rate,
            voices: [voice(0), voice(1)],
            part: 0,
            at: 0,
            // A tone of no length has no end that could be reached.
            over: tone.duration().is_zero(),
        }
    }

    /// The next samples; silence after the end. Returns whether more follows.
    pub fn fill(&mut self, samples: &mut [i16]) -> bool {
        self.each(samples, |sample, tone| *sample = tone as i16);
        !self.over
    }

    /// The same over what is there, as a warning over speech.
    pub fn mix(&mut self, samples: &mut [i16]) -> bool {
        self.each(samples, |sample, tone| {
            *sample = sample.saturating_add(tone as i16);
        });
        !self.over
    }

    fn each(&mut self, samples: &mut [i16], mut put: impl FnMut(&mut i16, f32)) {
        for sample in samples {
            if self.over {
                put(sample, 0.0);
                continue;
            }
            let loudness = self.loudness();
            let mut sum = 0.0;
            for voice in &mut self.voices {
                if loudness > 0.0 && voice.amplitude > 0.0 {
                    sum += sine(f64::from(voice.phase) / 4_294_967_296.0) as f32 * voice.amplitude;
                }
                voice.phase = voice.phase.wrapping_add(voice.step);
            }
            put(sample, sum * loudness);
            self.advance();
        }
    }

    /// 0 to 1 at this sample.
    fn loudness(&self) -> f32 {
        let (sound, _) = self.lengths();
        if self.at >= sound {
            return 0.0;
        }
        // A sound without a pause behind it goes over into the next.
        let ramp = self.rate.samples_in_ms(RAMP_MS);
        let from_edge = (self.at + 1).min(sound - self.at);
        (from_edge as f32 / (ramp + 1) as f32).min(1.0)
    }

    fn lengths(&self) -> (usize, usize) {
        let (sound, pause) = self.tone.parts.get(self.part).copied().unwrap_or_default();
        let samples = |ms: u16| self.rate.samples_in_ms(usize::from(ms));
        (samples(sound), samples(sound) + samples(pause))
    }

    fn advance(&mut self) {
        self.at += 1;
        while self.at >= self.lengths().1 && !self.over {
            self.at = 0;
            self.part += 1;
            if self.part == usize::from(self.tone.count) {
                self.part = 0;
                self.over = !self.tone.repeats;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::dbov;

    const REGIONS: [Region; 2] = [Region::Europe, Region::NorthAmerica];

    fn play(tone: Tone, rate: SampleRate, ms: usize) -> Vec<i16> {
        let mut samples = vec![0; rate.samples_in_ms(ms)];
        let mut generator = Generator::new(tone, rate);
        for frame in samples.chunks_mut(rate.frame()) {
            generator.fill(frame);
        }
        samples
    }

    type Heard<'a> = (Signal, Region, &'a [(usize, usize)]);

    /// (sound, pause) in ms as an ear finds them; the last may be cut off.
    fn cadence(samples: &[i16], rate: SampleRate) -> Vec<(usize, usize)> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        for ms in samples.chunks(rate.samples_in_ms(5)) {
            let loud = ms.iter().any(|x| x.saturating_abs() > 100);
            match (loud, found.last_mut()) {
                (true, Some((sound, 0))) => *sound += 5,
                (true, Some(_) | None) => found.push((5, 0)),
                (false, Some((_, pause))) => *pause += 5,
                (false, None) => {}
            }
        }
        found
    }

    #[test]
    fn cadences_are_those_of_the_regions() {
        for rate in SampleRate::ALL {
            let table: [Heard<'_>; 6] = [
                (
                    Signal::RingBack,
                    Region::Europe,
                    &[(1000, 4000), (1000, 4000)],
                ),
                (
                    Signal::RingBack,
                    Region::NorthAmerica,
                    &[(2000, 4000), (2000, 2000)],
                ),
                (Signal::Busy, Region::Europe, &[(500, 500); 10]),
                (Signal::Congestion, Region::NorthAmerica, &[(250, 250); 20]),
                (Signal::Hold, Region::Europe, &[(100, 9900)]),
                (
                    Signal::LimitNear,
                    Region::Europe,
                    &[(150, 150), (150, 150), (150, 9250)],
                ),
            ];
            for (signal, region, expected) in table {
                let samples = play(signal.tone(region), rate, 10_000);
                assert_eq!(cadence(&samples, rate), expected, "{signal:?} {region:?}");
            }
        }
    }

    #[test]
    fn pitch_and_level_are_as_told_at_each_rate() {
        for rate in SampleRate::ALL {
            let samples = play(Tone::of([425, 0], -16, &[(1000, 0)]), rate, 1000);
            let crossings = samples.windows(2).filter(|w| w[0] < 0 && w[1] >= 0);
            assert!((423..=426).contains(&crossings.count()), "{rate:?}");
            assert!((dbov(&samples) + 16.0).abs() < 0.1, "{rate:?}");
            let two = play(Signal::Busy.tone(Region::NorthAmerica), rate, 500);
            assert!((dbov(&two) + 13.0).abs() < 0.2, "{rate:?}");
        }
    }

    #[test]
    fn no_tone_clicks() {
        for rate in SampleRate::ALL {
            for signal in Signal::ALL {
                for region in REGIONS {
                    let tone = signal.tone(region);
                    let samples = play(tone, rate, 3000);
                    let steep: f32 = (0..2)
                        .filter(|n| tone.hz[*n] > 0)
                        .map(|n| {
                            let turn = f32::from(tone.hz[n]) / rate.hz() as f32;
                            turn * std::f32::consts::TAU * sine_amplitude(tone.dbov[n].into())
                        })
                        .sum();
                    for pair in samples.windows(2) {
                        let step = f32::from(pair[0].abs_diff(pair[1]));
                        assert!(step <= steep * 1.1 + 2.0, "{signal:?} {region:?} {rate:?}");
                    }
                    assert!(samples[0].abs() < 100, "{signal:?} begins softly");
                }
            }
        }
    }

    #[test]
    fn a_tone_is_the_same_in_whatever_pieces_it_is_taken() {
        let tone = Signal::Congestion.tone(Region::Europe);
        let whole = play(tone, SampleRate::Hz8000, 1000);
        let mut pieces = vec![0; whole.len()];
        let mut generator = Generator::new(tone, SampleRate::Hz8000);
        for piece in pieces.chunks_mut(77) {
            assert!(generator.fill(piece));
        }
        assert_eq!(pieces, whole);
    }

    #[test]
    fn a_warning_ends_and_leaves_speech_as_it_was() {
        let rate = SampleRate::Hz16000;
        let mut generator = Generator::new(Signal::LimitNear.tone(Region::Europe), rate);
        let mut frames = 0;
        loop {
            let mut speech = [1000; 320];
            let goes_on = generator.mix(&mut speech);
            frames += 1;
            if !goes_on {
                break;
            }
        }
        assert_eq!(frames * 20, 760);
        let mut speech = [1000; 320];
        assert!(!generator.mix(&mut speech));
        assert_eq!(speech, [1000; 320]);
        assert!(!generator.fill(&mut speech));
        assert_eq!(speech, [0; 320]);
    }

    #[test]
    fn tones_without_length_or_with_more_parts_than_fit_do_no_harm() {
        let mut samples = [1; 160];
        for tone in [
            Tone::of([425, 0], -16, &[]),
            Tone::of([425, 0], -16, &[(0, 0)]),
            Tone::of([0, 0], 100, &[(5, 0); 9]),
            Tone::of([u16::MAX, 1], 100, &[(0, 1), (1, 0)]),
        ] {
            Generator::new(tone, SampleRate::Hz8000).fill(&mut samples);
        }
        let ms = Duration::from_millis;
        assert_eq!(Tone::of_digit(Digit::Flash, ms(80), ms(80)), None);
        assert_eq!(Tone::of_digit(Digit::Key('x'), ms(80), ms(80)), None);
        let long = Tone::of_digit(Digit::Key('5'), Duration::MAX, ms(0));
        assert!(long.is_some());
    }
}
