//! What may have led to a sound, when what was before it is lost.
//!
//! The first period of the sound's voice, repeated backwards. Does not know what
//! was before the gap; [`crate::conceal`] puts the two together.
//!
//! Invariant: the last sample joins the sound without a step.

use crate::pitch::{self, Pitch};
use crate::rate::SampleRate;

/// The longest frame that is led to.
const LONGEST: usize = SampleRate::Hz16000.frame();

/// The step at the joint is gone after so long.
const JOIN_MS: usize = 2;

/// The frame before a sound, as it may have been.
#[derive(Debug)]
pub(crate) struct Lead {
    samples: [f32; LONGEST],
    len: usize,
}

impl Lead {
    /// A frame of 20 ms; `None`: too little of the sound is there. Below `voiced` the sound is no
    /// voice, and the longest period is repeated.
    pub(crate) fn to(sound: &[i16], rate: SampleRate, voiced: f32) -> Option<Lead> {
        let len = rate.frame();
        let mut first = [0.0; LONGEST];
        let first = first.get_mut(..len)?;
        for (to, from) in first.iter_mut().zip(sound.get(..len)?) {
            *to = f32::from(*from);
        }
        let Pitch { period, likeness } = pitch::of_the_beginning(first, rate);
        let period = match likeness < voiced {
            true => pitch::longest(rate),
            false => period,
        };
        let step = first[0] - first[period];
        // What stands before a repetition flows into it: the period ends as it began.
        let quarter = period / 4;
        for n in 0..quarter {
            let weight = (n + 1) as f32 / (quarter + 1) as f32;
            first[n] = first[n] * weight + first[period + n] * (1.0 - weight);
        }
        let mut lead = Lead {
            samples: [0.0; LONGEST],
            len,
        };
        let leak = 1.0 - 2.0 / rate.samples_in_ms(JOIN_MS) as f32;
        let mut step = step;
        for (back, sample) in lead.samples[..len].iter_mut().rev().enumerate() {
            *sample = first[period - 1 - back % period] + step;
            step *= leak;
        }
        Some(lead)
    }

    /// Where in `frame` the sound of the next `width` samples is most like this one, if it is so
    /// anywhere.
    pub(crate) fn meets(&self, frame: &[i16], width: usize, hop: usize) -> Option<usize> {
        let samples = &self.samples[..self.len];
        let places = (0..=frame.len().min(self.len).checked_sub(width)?).step_by(hop.max(1));
        let likeness = |at: usize| alike(&frame[at..at + width], &samples[at..at + width]);
        places
            .map(|at| (at, likeness(at)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .filter(|(_, likeness)| *likeness > 0.0)
            .map(|(at, _)| at)
    }

    /// Goes over from the frame's sound to this one within `width` samples.
    pub(crate) fn blend_into(&self, frame: &mut [i16], at: usize, width: usize) {
        let pairs = frame.iter_mut().zip(&self.samples[..self.len]);
        for (n, (sample, lead)) in pairs.skip(at).enumerate() {
            let weight = ((n + 1) as f32 / (width + 1) as f32).min(1.0);
            *sample = (f32::from(*sample) * (1.0 - weight) + lead * weight) as i16;
        }
    }
}

fn alike(a: &[i16], b: &[f32]) -> f32 {
    let (mut both, mut one, mut other) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let a = f32::from(*a);
        both += a * b;
        one += a * a;
        other += b * b;
    }
    both / (one * other).sqrt().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sine::sine;

    fn tone(rate: SampleRate, from: i32, len: i32) -> Vec<i16> {
        let sample = |n: i32| sine(f64::from(n) * 200.0 / f64::from(rate.hz())) * 8000.0;
        (from..from + len).map(|n| sample(n) as i16).collect()
    }

    #[test]
    fn a_voice_is_led_to_by_itself() {
        for rate in [SampleRate::Hz8000, SampleRate::Hz16000] {
            let len = rate.frame() as i32;
            let lead = Lead::to(&tone(rate, 0, len), rate, 0.5).expect("a whole frame");
            let truth = tone(rate, -len, len);
            for (led, truth) in lead.samples.iter().zip(&truth) {
                assert!((led - f32::from(*truth)).abs() < 800.0, "{led} for {truth}");
            }
        }
    }

    #[test]
    fn it_meets_the_other_sound_in_step() {
        let rate = SampleRate::Hz8000;
        let lead = Lead::to(&tone(rate, 0, 160), rate, 0.5).expect("a whole frame");
        // Out of step by a quarter of a period, then in step.
        let mut frame = tone(rate, -170, 80);
        frame.extend(tone(rate, -80, 80));
        let at = lead.meets(&frame, 40, 2).expect("it is alike somewhere");
        assert!(at >= 78, "{at}");
        lead.blend_into(&mut frame, at, 40);
        let truth = tone(rate, -80, 80);
        let error = frame[80..].iter().zip(&truth).map(|(a, b)| a.abs_diff(*b));
        assert!(error.max().is_some_and(|error| error < 800));
    }

    #[test]
    fn too_little_sound_leads_nowhere() {
        assert!(Lead::to(&[1; 159], SampleRate::Hz8000, 0.5).is_none());
        assert!(Lead::to(&[1; 960], SampleRate::Hz48000, 0.5).is_none());
    }
}
