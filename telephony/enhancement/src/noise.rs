//! Noise taken out of a voice: traffic, wind, machines at a door.
//!
//! RNNoise works on 10 ms at 48 kHz; frames of other rates go there and back. It adds 10 ms of
//! delay, and 4 to 8 ms where the rate differs. It takes music and tones for noise, so keys and
//! tests by tone are heard before it or without it.
//!
//! Invariant: a frame in gives a frame out, of the same length.

use std::fmt;

use media::noise::Suppressor;
use media::resample::Resampler;
use media::{MAX_FRAME, SampleRate};
use nnnoiseless::DenoiseState;

const STEP: usize = DenoiseState::FRAME_SIZE;

/// One voice, freed of noise.
struct RnNoise {
    state: Box<DenoiseState<'static>>,
    /// There and back.
    rates: [Resampler; 2],
}

impl RnNoise {
    fn new(rate: SampleRate) -> RnNoise {
        RnNoise {
            state: DenoiseState::new(),
            rates: [
                Resampler::new(rate, SampleRate::Hz48000),
                Resampler::new(SampleRate::Hz48000, rate),
            ],
        }
    }
}

/// One of these for a voice at this rate.
pub fn noise_suppressor(rate: SampleRate) -> Box<dyn Suppressor> {
    Box::new(RnNoise::new(rate))
}

impl Suppressor for RnNoise {
    /// One of another length stays as it is.
    fn process(&mut self, frame: &mut [i16]) {
        let [up, down] = &mut self.rates;
        if frame.len() != up.from().frame() {
            return;
        }
        let (mut wide, mut clean) = ([0; MAX_FRAME], [0; MAX_FRAME]);
        up.process(frame, &mut wide);
        // RNNoise counts as 16-bit samples do.
        for (input, output) in wide.chunks_exact(STEP).zip(clean.chunks_exact_mut(STEP)) {
            let mut noisy = [0.0; STEP];
            for (noisy, sample) in noisy.iter_mut().zip(input) {
                *noisy = f32::from(*sample);
            }
            let mut quiet = [0.0; STEP];
            self.state.process_frame(&mut quiet, &noisy);
            for (sample, quiet) in output.iter_mut().zip(quiet) {
                // Saturates.
                *sample = quiet as i16;
            }
        }
        down.process(&clean, frame);
    }
}

impl fmt::Debug for RnNoise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RnNoise")
            .field("rate", &self.rates[0].from())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::level::dbov;

    /// Noise without a voice in it, softer towards high frequencies.
    fn noise(rate: SampleRate, frames: usize) -> Vec<i16> {
        let mut random = 5_u32;
        let mut low = 0.0;
        let samples = (0..rate.frame() * frames).map(|_| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let white = f64::from(random >> 8) / f64::from(1 << 23) - 1.0;
            low = 0.9 * low + 0.1 * white;
            (low * 8_000.0) as i16
        });
        samples.collect()
    }

    #[test]
    fn noise_alone_is_hardly_heard_at_any_rate() {
        for rate in SampleRate::ALL {
            let mut samples = noise(rate, 150);
            let before = dbov(&samples[rate.frame() * 100..]);
            let mut suppressor = RnNoise::new(rate);
            for frame in samples.chunks_mut(rate.frame()) {
                suppressor.process(frame);
            }
            let after = dbov(&samples[rate.frame() * 100..]);
            assert!(after < before - 12.0, "{rate:?}: {before} to {after} dBov");
        }
    }

    #[test]
    fn silence_stays_silence_and_full_scale_does_not_wrap() {
        let mut suppressor = RnNoise::new(SampleRate::Hz16000);
        let mut frame = [0; 320];
        for _ in 0..50 {
            suppressor.process(&mut frame);
        }
        assert!(frame.iter().all(|sample| sample.abs() < 4));
        for loud in [i16::MAX, i16::MIN] {
            let mut frame = [loud; 320];
            suppressor.process(&mut frame);
        }
        let mut odd = [7; 100];
        suppressor.process(&mut odd);
        assert_eq!(odd, [7; 100]);
    }
}
