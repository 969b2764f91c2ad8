//! What is heard in place of a lost packet, for codecs that cannot say it
//! themselves (G.711, G.722).
//!
//! Repeats the last period of the voice and lets it fade by a quarter per
//! frame; behind the fade stands noise as loud as the pauses were, so the line
//! does not sound dead. The first 4 ms after the gap fade from the invention to
//! the truth; if that is known already, the end of the gap leads to it instead
//! (G.711), or the voice is made to meet it in step (G.722, whose decoder hears
//! what follows by what it learns from the invention).
//! Opus does all this better by itself; do not use it there.
//!
//! Adds no delay. Invariant: what is invented is never louder than what it
//! repeats, and after four frames only comfort noise is left.

use crate::lead::Lead;
use crate::pitch::{self, Pitch};
use crate::rate::SampleRate;
use crate::seed::Seed;

const HISTORY_MS: usize = 40;

/// What the invention loses per frame.
const FADE: f32 = 0.25;

const LONGEST_HISTORY: usize = SampleRate::Hz16000.samples_in_ms(HISTORY_MS);

/// From the invention to the truth.
const RECOVERY_MS: usize = 4;

/// From the last true sample into the repetition.
const JOIN_MS: usize = 2;

/// From an invention to what leads to the sound after the gap.
const CROSS_MS: usize = 5;

/// A voice is repeated so much faster or slower at most, to be in step with what follows.
const MOST_WARP_MS: usize = 3;

/// So many ways of it are tried in a millisecond, and compared over so long.
const WARPS_PER_MS: usize = 2;
const COMPARED_MS: usize = 10;

/// What a millisecond of it must gain in likeness.
const WARP_COSTS: f32 = 0.08;

/// The longest frame that is warped.
const LONGEST: usize = SampleRate::Hz16000.frame();

/// All of an invention that is looked at: the frame, and what would follow it.
const LOOKED_AT: usize =
    LONGEST + SampleRate::Hz16000.samples_in_ms(MOST_WARP_MS + COMPARED_MS) + 1;

/// Below this the sound is no voice; a short period of it would buzz.
const VOICED: f32 = 0.5;

/// Comfort noise is not louder than this (-50 dBov), whatever went before.
const MAX_COMFORT: f32 = 104.0;

/// How fast the estimate of the pauses may rise, per frame: twice in a second.
const FLOOR_RISE: f32 = 1.014;

/// One leg's sound, as it is decoded.
#[derive(Debug, Clone)]
pub struct Concealer {
    rate: SampleRate,
    history: Vec<i16>,
    invention: Option<Invention>,
    /// The period that is repeated; no room is taken before the first loss.
    cycle: Vec<f32>,
    comfort: Comfort,
}

#[derive(Debug, Clone, Copy)]
struct Invention {
    /// Next sample of the cycle.
    at: usize,
    gain: f32,
    /// What the repetition misses to join the last true sample; soon nought.
    step: f32,
}

impl Concealer {
    /// For 8 and 16 kHz. `seed` makes the comfort noise.
    pub fn new(rate: SampleRate, seed: u64) -> Concealer {
        Concealer {
            rate,
            history: vec![0; rate.samples_in_ms(HISTORY_MS)],
            invention: None,
            cycle: Vec::new(),
            comfort: Comfort::new(seed),
        }
    }

    /// A frame that was decoded. After a gap its beginning is faded in.
    pub fn good(&mut self, frame: &mut [i16]) {
        self.comfort.learn(frame);
        if self.invention.is_some() {
            let fade = self.rate.samples_in_ms(RECOVERY_MS);
            for (n, sample) in frame.iter_mut().take(fade).enumerate() {
                let truth = (n + 1) as f32 / (fade + 1) as f32;
                let mixed = f32::from(*sample) * truth + self.invent() * (1.0 - truth);
                *sample = mixed as i16;
            }
            self.invention = None;
        }
        self.remember(frame);
    }

    /// Invents a frame that is missing.
    pub fn lost(&mut self, frame: &mut [i16]) {
        if self.invention.is_none() {
            self.begin();
        }
        for sample in frame.iter_mut() {
            *sample = self.invent() as i16;
        }
        self.remember(frame);
    }

    /// As [`Concealer::lost`], for the end of a gap, when what follows is there already: the
    /// invention goes over into what may have led to it, where the two are most alike.
    pub fn between(&mut self, frame: &mut [i16], next: &[i16]) {
        if self.invention.is_none() {
            self.begin();
        }
        for sample in frame.iter_mut() {
            *sample = self.invent() as i16;
        }
        let width = self.rate.samples_in_ms(CROSS_MS);
        let hop = self.rate.samples_in_ms(1) / 4;
        let lead = Lead::to(next, self.rate, VOICED).filter(|_| frame.len() == self.rate.frame());
        if let Some(lead) = lead
            && let Some(at) = lead.meets(frame, width, hop)
        {
            lead.blend_into(frame, at, width);
            // What follows joins by itself.
            self.invention = None;
        }
        self.remember(frame);
    }

    /// As [`Concealer::lost`], where what follows is there already, but how it sounds depends on
    /// what is heard until then: `hear` tells, of a frame and how that would go on. Of voices that
    /// are a little faster or slower the one is taken that what follows is most alike.
    pub fn toward<const N: usize>(
        &mut self,
        frame: &mut [i16],
        beyond: &mut [i16; N],
        mut hear: impl FnMut(&[i16], &[i16; N], &mut [i16]) -> Option<usize>,
    ) {
        if frame.len() != self.rate.frame() || frame.len() > LONGEST {
            self.lost(frame);
            return self.beyond(beyond);
        }
        if self.invention.is_none() {
            self.begin();
        }
        let mut long = [0; LOOKED_AT];
        self.beyond(&mut long);
        let step = self.rate.samples_in_ms(1) / WARPS_PER_MS;
        let most = MOST_WARP_MS * WARPS_PER_MS;
        let compared = self.rate.samples_in_ms(COMPARED_MS);
        let usual = frame.len();
        let (mut best, mut most_alike) = (usual, f32::MIN);
        for len in (0..=2 * most).map(|n| usual + n * step - most * step) {
            warp(&long, len, frame);
            let follows = &long[len..];
            beyond.copy_from_slice(&follows[..N]);
            let mut next = [0; LONGEST];
            if hear(frame, beyond, &mut next).is_none_or(|heard| heard < compared) {
                continue;
            }
            let warped = len.abs_diff(usual) as f32 / self.rate.samples_in_ms(1) as f32;
            let alike = alike(&next[..compared], &follows[..compared]) - warped * WARP_COSTS;
            if alike > most_alike {
                (best, most_alike) = (len, alike);
            }
        }
        warp(&long, best, frame);
        beyond.copy_from_slice(&long[best..best + N]);
        for _ in 0..best {
            self.invent();
        }
        self.remember(frame);
    }

    /// How the invention would go on, without going on: for [`crate::codec::Decoder::follow`].
    pub fn beyond(&mut self, sound: &mut [i16]) {
        let (invention, comfort) = (self.invention, self.comfort.clone());
        for sample in sound {
            *sample = self.invent() as i16;
        }
        self.invention = invention;
        self.comfort = comfort;
    }

    /// Another speaker follows.
    pub fn reset(&mut self) {
        self.history.fill(0);
        self.invention = None;
    }

    fn begin(&mut self) {
        let mut history = [0.0; LONGEST_HISTORY];
        let history = &mut history[..self.history.len().min(LONGEST_HISTORY)];
        for (to, from) in history.iter_mut().zip(&self.history) {
            *to = f32::from(*from);
        }
        let Pitch { period, likeness } = pitch::of_the_end(history, self.rate);
        let period = if likeness < VOICED {
            pitch::longest(self.rate)
        } else {
            period
        };
        let end = history.len();
        let before = &history[end - 2 * period..end - period];
        let last = &history[end - period..];
        self.cycle.clear();
        self.cycle.extend_from_slice(last);
        // The last quarter flows into the period's own beginning.
        let quarter = period / 4;
        let seam = period - quarter;
        for n in 0..quarter {
            let weight = (n + 1) as f32 / (quarter + 1) as f32;
            self.cycle[seam + n] = last[seam + n] * (1.0 - weight) + before[seam + n] * weight;
        }
        let join = last[period - 1] - before[period - 1];
        self.invention = Some(Invention {
            at: 0,
            gain: 1.0,
            step: join,
        });
    }

    fn invent(&mut self) -> f32 {
        let Some(invention) = &mut self.invention else {
            return 0.0;
        };
        let voice = self.cycle.get(invention.at).copied().unwrap_or_default() + invention.step;
        invention.at += 1;
        if invention.at >= self.cycle.len() {
            invention.at = 0;
        }
        invention.step *= 1.0 - 2.0 / self.rate.samples_in_ms(JOIN_MS) as f32;
        let gain = invention.gain;
        invention.gain = (gain - FADE / self.rate.frame() as f32).max(0.0);
        voice * gain + self.comfort.next() * (1.0 - gain)
    }

    fn remember(&mut self, frame: &[i16]) {
        let len = self.history.len();
        let frame = &frame[frame.len().saturating_sub(len)..];
        self.history.copy_within(frame.len().., 0);
        self.history[len - frame.len()..].copy_from_slice(frame);
    }
}

/// The first `len` samples of the sound in the time of the frame.
fn warp(sound: &[i16], len: usize, frame: &mut [i16]) {
    let frames = frame.len().max(1);
    for (n, sample) in frame.iter_mut().enumerate() {
        let (at, rest) = (n * len / frames, n * len % frames);
        let part = rest as f32 / frames as f32;
        let pair = [f32::from(sound[at]), f32::from(sound[at + 1])];
        *sample = (pair[0] * (1.0 - part) + pair[1] * part) as i16;
    }
}

fn alike(a: &[i16], b: &[i16]) -> f32 {
    let (mut both, mut one, mut other) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (f32::from(*a), f32::from(*b));
        both += a * b;
        one += a * a;
        other += b * b;
    }
    both / (one * other).sqrt().max(1.0)
}

/// Noise like that in the speaker's pauses: as loud, and dull.
#[derive(Debug, Clone)]
struct Comfort {
    seed: Seed,
    /// Root of the mean square of the softest sound of late.
    floor: Option<f32>,
    last: f32,
}

impl Comfort {
    fn new(seed: u64) -> Comfort {
        Comfort {
            seed: Seed::new(seed),
            floor: None,
            last: 0.0,
        }
    }

    fn learn(&mut self, frame: &[i16]) {
        let power: f32 = frame.iter().map(|x| f32::from(*x) * f32::from(*x)).sum();
        let level = (power / frame.len().max(1) as f32).sqrt();
        self.floor = Some(match self.floor {
            // One unit more, or it would never leave nought.
            Some(floor) => level.min(floor * FLOOR_RISE + 0.02),
            None => level,
        });
    }

    fn next(&mut self) -> f32 {
        let level = self.floor.unwrap_or_default().min(MAX_COMFORT);
        let white = self.seed.next_u32() as i32 as f32 / i32::MAX as f32;
        // A first-order low-pass: uniform noise has a third of its square as
        // power, the filter lets a third of that through; so nine for one.
        self.last = 0.5 * self.last + 0.5 * white;
        self.last * level * 3.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::dbov;
    use crate::sine::sine;

    const RATES: [SampleRate; 2] = [SampleRate::Hz8000, SampleRate::Hz16000];

    /// A voice of 125 Hz with harmonics that fall.
    fn voice(rate: SampleRate, frame: usize) -> Vec<i16> {
        let frame_len = rate.frame();
        (0..frame_len)
            .map(|n| {
                let at = (frame * frame_len + n) as f64 / f64::from(rate.hz()) * 125.0;
                let sum: f64 = (1..20)
                    .map(|k| sine(at * f64::from(k)) / f64::from(k))
                    .sum();
                (sum * 6000.0) as i16
            })
            .collect()
    }

    fn steepest(samples: &[i16]) -> u16 {
        let steps = samples.windows(2).map(|pair| pair[0].abs_diff(pair[1]));
        steps.max().unwrap_or_default()
    }

    #[test]
    fn a_lost_frame_of_a_steady_voice_is_hardly_missed() {
        for rate in RATES {
            let mut concealer = Concealer::new(rate, 1);
            let mut all = Vec::new();
            for n in 0..10 {
                let mut frame = voice(rate, n);
                match n {
                    5 => concealer.lost(&mut frame),
                    _ => concealer.good(&mut frame),
                }
                all.extend(frame);
            }
            let truth: Vec<i16> = (0..10).flat_map(|n| voice(rate, n)).collect();
            let gap = 5 * rate.frame()..6 * rate.frame();
            let error: Vec<i16> = all[gap.clone()]
                .iter()
                .zip(&truth[gap.clone()])
                .map(|(a, b)| a - b)
                .collect();
            let snr = dbov(&truth[gap]) - dbov(&error);
            // The fade alone costs 16 dB.
            assert!(snr > 12.0, "{rate:?}: {snr:.1} dB");
            assert!(steepest(&all) <= steepest(&truth) + 300, "{rate:?} clicks");
            assert_eq!(all[7 * rate.frame()..], truth[7 * rate.frame()..]);
        }
    }

    #[test]
    fn a_gap_whose_end_is_known_is_filled_from_both_sides() {
        for rate in RATES {
            let fill = |known: bool| {
                let mut concealer = Concealer::new(rate, 1);
                for n in 0..5 {
                    concealer.good(&mut voice(rate, n));
                }
                let mut frame = voice(rate, 5);
                match known {
                    true => concealer.between(&mut frame, &voice(rate, 6)),
                    false => concealer.lost(&mut frame),
                }
                let truth = voice(rate, 5);
                let error: Vec<i16> = frame.iter().zip(&truth).map(|(a, b)| a - b).collect();
                let mut next = voice(rate, 6);
                concealer.good(&mut next);
                let untouched = next == voice(rate, 6);
                (dbov(&truth) - dbov(&error), untouched)
            };
            let ((one_side, _), (both, untouched)) = (fill(false), fill(true));
            assert!(
                both > one_side + 1.0,
                "{rate:?}: {both:.1}, {one_side:.1} dB"
            );
            assert!(untouched, "{rate:?}: what follows needs no fade");
        }
    }

    #[test]
    fn a_voice_meets_what_follows_in_step() {
        const N: usize = 80;
        for rate in RATES {
            // What follows is late by two milliseconds, or early.
            for shift in [-2, 0, 2] {
                let late = rate.samples_in_ms(2) as i32 * shift / 2;
                let mut concealer = Concealer::new(rate, 1);
                for n in 0..5 {
                    concealer.good(&mut voice(rate, n));
                }
                let steady: Vec<i16> = (0..9).flat_map(|n| voice(rate, n)).collect();
                let from = 6 * rate.frame() as i32 + late;
                let follows = &steady[from as usize..][..rate.frame()];
                let (mut frame, mut beyond) = (voice(rate, 0), [0; N]);
                concealer.toward(&mut frame, &mut beyond, |_, _, next| {
                    next[..follows.len()].copy_from_slice(follows);
                    Some(follows.len())
                });
                let in_step = alike(&beyond, &follows[..N]);
                let plain = steady[6 * rate.frame()..].iter().copied();
                let plain = alike(&plain.take(N).collect::<Vec<_>>(), &follows[..N]);
                assert!(in_step > 0.8, "{rate:?} {shift}: {in_step}, not {plain}");
                assert!(
                    shift == 0 || plain < 0.5,
                    "it would be out of step: {plain}"
                );
                // Ten samples of twelve are steeper by a fifth.
                let steep = steepest(&steady) / 5 * 6 + 300;
                assert!(steepest(&frame) < steep, "{rate:?} clicks");
            }
        }
    }

    #[test]
    fn looking_beyond_changes_nothing() {
        for rate in RATES {
            let mut concealer = Concealer::new(rate, 1);
            concealer.good(&mut voice(rate, 0));
            concealer.good(&mut voice(rate, 1));
            let mut other = concealer.clone();
            let (mut frame, mut next) = (voice(rate, 2), [0; 22]);
            concealer.lost(&mut frame);
            concealer.beyond(&mut next);
            let mut both = vec![0; frame.len() + next.len()];
            other.lost(&mut both);
            assert_eq!(both, [&frame[..], &next].concat());
        }
    }

    #[test]
    fn it_fades_by_a_quarter_per_frame_and_ends_in_the_noise_of_the_pauses() {
        for rate in RATES {
            let mut seed = Seed::new(9);
            let mut concealer = Concealer::new(rate, 1);
            for n in 0..50 {
                let mut frame = voice(rate, n);
                // Pauses between words, at about -57 dBov.
                if n % 10 < 5 {
                    frame.fill_with(|| (seed.next_u32() as i32 >> 24) as i16 / 2);
                }
                concealer.good(&mut frame);
            }
            let mut levels = Vec::new();
            let mut frame = voice(rate, 0);
            let speech = dbov(&frame);
            for _ in 0..10 {
                concealer.lost(&mut frame);
                levels.push(dbov(&frame));
            }
            for (level, gain) in levels.iter().zip([0.875f32, 0.625, 0.375]) {
                let expected = speech + 20.0 * gain.log10();
                assert!((level - expected).abs() < 1.5, "{rate:?}: {levels:?}");
            }
            for level in &levels[4..] {
                assert!((-65.0..-53.0).contains(level), "{rate:?}: {levels:?}");
            }
        }
    }

    #[test]
    fn a_loss_before_any_sound_is_silence() {
        let mut concealer = Concealer::new(SampleRate::Hz8000, 1);
        let mut frame = [7; 160];
        concealer.lost(&mut frame);
        assert_eq!(frame, [0; 160]);
        concealer.good(&mut frame);
        concealer.reset();
        concealer.lost(&mut frame);
        assert_eq!(frame, [0; 160]);
    }

    #[test]
    fn recovery_does_not_click_wherever_the_voice_goes_on() {
        for rate in RATES {
            let limit = steepest(&voice(rate, 0)) + 2500;
            for gap in 1..8 {
                let mut concealer = Concealer::new(rate, 3);
                let mut all = Vec::new();
                for n in 0..20 {
                    let mut frame = voice(rate, n);
                    match n >= 6 && n < 6 + gap {
                        true => concealer.lost(&mut frame),
                        false => concealer.good(&mut frame),
                    }
                    all.extend(frame);
                }
                assert!(steepest(&all) <= limit, "{rate:?}, {gap} frames");
            }
        }
    }

    #[test]
    fn frames_of_any_length_and_full_scale_do_no_harm() {
        for rate in RATES {
            let mut concealer = Concealer::new(rate, 3);
            for len in [0, 1, 7, 80, 2000] {
                let mut frame: Vec<i16> = (0..len)
                    .map(|n| if n % 3 == 0 { i16::MIN } else { i16::MAX })
                    .collect();
                concealer.good(&mut frame);
                concealer.lost(&mut frame);
                concealer.lost(&mut frame);
                concealer.between(&mut frame.clone(), &frame);
                concealer.toward(&mut frame.clone(), &mut [0; 22], |heard, _, next| {
                    next[..heard.len()].copy_from_slice(heard);
                    Some(heard.len())
                });
                concealer.good(&mut frame);
            }
        }
    }
}
