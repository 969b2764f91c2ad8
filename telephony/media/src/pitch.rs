//! How long one period of a voice is.
//!
//! A search for the distance at which sound is most like itself (normalised
//! correlation). Does not say whether a voice speaks: noise has a best
//! distance too, with a poor likeness.
//!
//! Invariant: a period lies between 2.5 and 15 ms (400 to 66 Hz).

use crate::rate::SampleRate;

/// A distance in samples, and how alike sound is at it (1: the same).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pitch {
    pub(crate) period: usize,
    pub(crate) likeness: f32,
}

/// No more of the sound is looked at in the first search.
const THINNED_MS: usize = 40;

const fn shortest(rate: SampleRate) -> usize {
    rate.hz() as usize / 400
}

pub(crate) const fn longest(rate: SampleRate) -> usize {
    rate.samples_in_ms(15)
}

/// The period of the last 10 ms of `heard`, which should hold 25 ms at least.
/// A longer window would be surer of the period, but of an older one: a gap in
/// speech is filled measurably better with this.
pub(crate) fn of_the_end(heard: &[f32], rate: SampleRate) -> Pitch {
    search(heard, rate, |heard, rate, period| {
        let (before, window) = heard.split_at(heard.len().saturating_sub(rate.samples_in_ms(10)));
        let start = before.len().checked_sub(period)?;
        Some(likeness(window, &heard[start..]))
    })
}

/// The period of the beginning of `frame`: how far on it is most like itself.
pub(crate) fn of_the_beginning(frame: &[f32], rate: SampleRate) -> Pitch {
    search(frame, rate, |frame, _, period| {
        // At least as much again must be left to compare.
        let rest = frame.get(period..).filter(|rest| rest.len() >= period)?;
        Some(likeness(&frame[..period.max(frame.len() / 4)], rest))
    })
}

/// Each sample at 8 kHz first, then each one at the real rate around the best.
fn search(
    sound: &[f32],
    rate: SampleRate,
    likeness: impl Fn(&[f32], SampleRate, usize) -> Option<f32>,
) -> Pitch {
    const COARSE: SampleRate = SampleRate::Hz8000;
    let step = rate.hz() as usize / COARSE.hz() as usize;
    let mut thinned = [0.0; COARSE.samples_in_ms(THINNED_MS)];
    let len = (sound.len() / step).min(thinned.len());
    let end = &sound[sound.len() - len * step..];
    for (to, from) in thinned.iter_mut().zip(end.iter().step_by(step)) {
        *to = *from;
    }
    let thinned = &thinned[..len];
    let mut best = Pitch::none(COARSE);
    for period in shortest(COARSE)..=longest(COARSE) {
        best.improve(period, likeness(thinned, COARSE, period));
    }
    let middle = best.period * step;
    let mut exact = Pitch {
        period: middle,
        likeness: -1.0,
    };
    for period in middle.saturating_sub(step - 1)..middle + step {
        if (shortest(rate)..=longest(rate)).contains(&period) {
            exact.improve(period, likeness(sound, rate, period));
        }
    }
    exact
}

impl Pitch {
    fn none(rate: SampleRate) -> Pitch {
        Pitch {
            period: longest(rate),
            likeness: -1.0,
        }
    }

    fn improve(&mut self, period: usize, likeness: Option<f32>) {
        if let Some(likeness) = likeness.filter(|likeness| *likeness > self.likeness) {
            *self = Pitch { period, likeness };
        }
    }
}

fn likeness(a: &[f32], b: &[f32]) -> f32 {
    let (mut ab, mut aa, mut bb) = (Lanes::default(), Lanes::default(), Lanes::default());
    let len = a.len().min(b.len());
    for (a, b) in a[..len].chunks_exact(8).zip(b[..len].chunks_exact(8)) {
        for (lane, (a, b)) in a.iter().zip(b).enumerate() {
            ab.0[lane] += a * b;
            aa.0[lane] += a * a;
            bb.0[lane] += b * b;
        }
    }
    let energy = aa.sum() * bb.sum();
    if energy <= 0.0 {
        return 0.0;
    }
    ab.sum() / energy.sqrt()
}

#[derive(Default)]
struct Lanes([f32; 8]);

impl Lanes {
    fn sum(&self) -> f32 {
        self.0.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use crate::sine::sine;

    #[test]
    fn the_period_of_a_voice_is_found() {
        for rate in [SampleRate::Hz8000, SampleRate::Hz16000] {
            for hz in [80.0, 110.0, 200.0, 350.0] {
                let voice: Vec<f32> = (0..rate.samples_in_ms(40))
                    .map(|n| {
                        let at = n as f64 * hz / f64::from(rate.hz());
                        (sine(at) + 0.7 * sine(2.0 * at) + 0.4 * sine(3.0 * at)) as f32
                    })
                    .collect();
                let exact = f64::from(rate.hz()) / hz;
                for pitch in [
                    of_the_end(&voice, rate),
                    of_the_beginning(&voice[..rate.frame()], rate),
                ] {
                    // A multiple is as good.
                    let turns = pitch.period as f64 / exact;
                    let off = (turns - turns.round()).abs() * exact;
                    // The beginning is too short for the deepest voice.
                    if hz > 100.0 || pitch.likeness > 0.9 {
                        assert!(off <= 1.0, "{hz} Hz at {rate:?}: {pitch:?}");
                        assert!(pitch.likeness > 0.9, "{hz} Hz at {rate:?}: {pitch:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn noise_and_silence_are_not_alike() {
        let rate = SampleRate::Hz16000;
        let mut seed = Seed::new(5);
        let noise: Vec<f32> = (0..640)
            .map(|_| seed.next_u32() as i32 as f32 / 1e9)
            .collect();
        assert!(of_the_end(&noise, rate).likeness < 0.5);
        let silence = of_the_end(&[0.0; 640], rate);
        assert_eq!(silence.likeness, 0.0);
        assert!(silence.period <= longest(rate));
    }
}
