//! An echo taken out of a voice: the loudspeaker in the microphone, the wire in the wire.
//!
//! AEC3 of WebRTC works on 10 ms and looks for the delay of the echo itself. It follows a way of the
//! echo that changes, so it takes a second or two until it knows one. While both speak it takes some
//! of the near voice with the echo.
//!
//! Invariant: a frame in gives a frame out, of the same length.

use std::fmt;

use media::SampleRate;
use media::echo::EchoControl;
use media::mixer;
use sonora::config::EchoCanceller;
use sonora::{AudioProcessing, Config, StreamConfig};

/// One voice, freed of its echo.
struct Aec3 {
    processing: AudioProcessing,
    rate: SampleRate,
}

/// One of these for a voice at this rate.
pub(crate) fn echo_control(rate: SampleRate) -> Box<dyn EchoControl> {
    Box::new(Aec3::new(rate))
}

impl Aec3 {
    fn new(rate: SampleRate) -> Aec3 {
        let config = Config {
            echo_canceller: Some(EchoCanceller::default()),
            ..Config::default()
        };
        let mono = |rate: SampleRate| StreamConfig::new(rate.hz(), 1);
        let processing = AudioProcessing::builder()
            .config(config)
            .capture_config(mono(rate))
            .render_config(mono(mixer::RATE))
            .build();
        Aec3 { processing, rate }
    }
}

impl EchoControl for Aec3 {
    /// Frames of another length stay as they are.
    fn process(&mut self, told: &[i16], said: &mut [i16]) {
        if said.len() != self.rate.frame() || told.len() != mixer::RATE.frame() {
            return;
        }
        let steps = said.chunks_mut(self.rate.frame() / 2);
        for (told, said) in told.chunks(mixer::RATE.frame() / 2).zip(steps) {
            let mut played = [0; mixer::RATE.frame() / 2];
            let mut clean = [0; SampleRate::Hz48000.frame() / 2];
            let clean = &mut clean[..said.len()];
            let done = self.processing.process_render_i16(told, &mut played);
            let done = done.and_then(|()| self.processing.process_capture_i16(said, clean));
            // It refuses lengths that do not fit its rates, and these do.
            if done.is_ok() {
                said.copy_from_slice(clean);
            }
        }
    }
}

impl fmt::Debug for Aec3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aec3")
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::level::dbov;
    use media::resample::Resampler;

    const SECONDS: usize = 5;

    /// Syllables of five a second, their sound and their pauses by chance, at 16 kHz.
    fn voice(seed: u32) -> Vec<i16> {
        let mut random = seed;
        let mut chance = move || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(random >> 8) / f64::from(1 << 23) - 1.0
        };
        let (mut low, mut loud) = (0.0, 0.0);
        let samples = (0..16_000 * SECONDS).map(|n| {
            if n % 3_200 == 0 {
                loud = 8_000.0 * (chance() + 1.0);
            }
            let swing = (std::f64::consts::PI * (n % 3_200) as f64 / 3_200.0).sin();
            low = 0.7 * low + 0.3 * chance();
            (low * loud * swing) as i16
        });
        samples.collect()
    }

    /// 60 ms later and 12 dB softer.
    fn echo(of: &[i16]) -> Vec<i16> {
        let late = std::iter::repeat_n(&0, 960).chain(of);
        late.take(of.len()).map(|sample| sample / 4).collect()
    }

    fn at_rate(samples: &[i16], rate: SampleRate) -> Vec<i16> {
        if rate == mixer::RATE {
            return samples.to_vec();
        }
        let mut resampler = Resampler::new(mixer::RATE, rate);
        let frames = samples.chunks(mixer::RATE.frame()).flat_map(|frame| {
            let mut out = vec![0; rate.frame()];
            resampler.process(frame, &mut out);
            out
        });
        frames.collect()
    }

    fn controlled(told: &[i16], said: &[i16], rate: SampleRate) -> Vec<i16> {
        let mut control = Aec3::new(rate);
        let mut said = said.to_vec();
        let frames = said.chunks_mut(rate.frame());
        for (told, said) in told.chunks(mixer::RATE.frame()).zip(frames) {
            control.process(told, said);
        }
        said
    }

    #[test]
    fn an_echo_is_20_db_softer_after_two_seconds_at_any_rate() {
        let told = voice(5);
        for rate in SampleRate::ALL {
            let said = at_rate(&echo(&told), rate);
            let clean = controlled(&told, &said, rate);
            let later = 2 * rate.hz() as usize..;
            let (before, after) = (dbov(&said[later.clone()]), dbov(&clean[later]));
            assert!(after < before - 20.0, "{rate:?}: {before} to {after} dBov");
        }
    }

    #[test]
    fn a_voice_without_an_echo_stays_as_it_is() {
        for rate in SampleRate::ALL {
            let said = at_rate(&voice(7), rate);
            let silence = vec![0; 16_000 * SECONDS];
            let same = controlled(&silence, &said, rate);
            let later = 2 * rate.hz() as usize..;
            let (before, after) = (dbov(&said[later.clone()]), dbov(&same[later]));
            assert!(
                (after - before).abs() < 1.0,
                "{rate:?}: {before} to {after}"
            );
        }
    }

    #[test]
    fn a_frame_of_another_length_stays_as_it_is() {
        let mut odd = [7; 100];
        Aec3::new(SampleRate::Hz8000).process(&[0; 320], &mut odd);
        assert_eq!(odd, [7; 100]);
    }
}
