//! An echo taken out of a voice: the loudspeaker in the microphone, the wire in the wire.
//!
//! AEC3 of WebRTC, which works on 4 ms at 16 kHz and looks for the delay of the echo itself. It
//! follows a way of the echo that changes, so it takes a second or two until it knows one. Its
//! settings are ours ([`settings`]): those of WebRTC are for loudspeakers beside microphones and
//! take much of the near voice with the echo while both speak.
//!
//! Voices of other rates go to 16 kHz and back. What a voice of 48 kHz has above 8 kHz goes around
//! the control and is made as much softer as what the control heard.
//!
//! Invariant: a frame in gives a frame out, of the same length.

use std::fmt;

use media::SampleRate;
use media::echo::EchoControl;
use media::mixer;
use media::resample::Resampler;
use sonora_aec3::block::Block;
use sonora_aec3::block_processor::BlockProcessor;
use sonora_aec3::common::BLOCK_SIZE;
use sonora_aec3::config::{EchoCanceller3Config, Tuning};

/// Of the control, and of what a leg is told.
const RATE: SampleRate = mixer::RATE;
const FRAME: usize = RATE.frame();

/// What is as loud was cut off on its way to us.
const CLIPPED: f32 = 32_700.0;

/// One voice, freed of its echo.
struct Aec3 {
    control: Control,
    rate: SampleRate,
    way: Way,
}

/// How a voice comes to the rate of the control and back.
enum Way {
    Wide,
    Narrow { up: Resampler, down: Resampler },
    Full(Box<Full>),
}

/// One of these for a voice at this rate.
pub fn echo_control(rate: SampleRate) -> Box<dyn EchoControl> {
    Box::new(Aec3::new(rate))
}

impl Aec3 {
    fn new(rate: SampleRate) -> Aec3 {
        let way = match rate {
            SampleRate::Hz16000 => Way::Wide,
            SampleRate::Hz8000 => Way::Narrow {
                up: Resampler::new(rate, RATE),
                down: Resampler::new(RATE, rate),
            },
            SampleRate::Hz48000 => Way::Full(Box::new(Full::new())),
        };
        Aec3 {
            control: Control::new(),
            rate,
            way,
        }
    }
}

impl EchoControl for Aec3 {
    /// Frames of another length stay as they are.
    fn process(&mut self, told: &[i16], said: &mut [i16]) {
        let Ok(told) = <&[i16; FRAME]>::try_from(told) else {
            return;
        };
        if said.len() != self.rate.frame() {
            return;
        }
        let mut voice = [0.0; SampleRate::Hz48000.frame()];
        let voice = &mut voice[..said.len()];
        for (exact, sample) in voice.iter_mut().zip(&*said) {
            *exact = f32::from(*sample);
        }
        match &mut self.way {
            Way::Wide => self.control.clean(told, voice),
            Way::Narrow { up, down } => {
                let mut wide = [0.0; FRAME];
                up.process_f32(voice, &mut wide);
                self.control.clean(told, &mut wide);
                down.process_f32(&wide, voice);
            }
            Way::Full(full) => full.clean(&mut self.control, told, voice),
        }
        for (sample, exact) in said.iter_mut().zip(voice) {
            // Saturates.
            *sample = *exact as i16;
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

/// The control at its own rate. Sound leaves it [`Control::DELAY`] samples later.
struct Control {
    processor: BlockProcessor,
    told: Block,
    said: Block,
}

impl Control {
    /// Its windows overlap by a block.
    const DELAY: usize = BLOCK_SIZE;

    fn new() -> Control {
        Control {
            processor: BlockProcessor::new(&settings(), RATE.hz() as usize, 1, 1),
            told: Block::new(1, 1),
            said: Block::new(1, 1),
        }
    }

    /// Samples count as those of 16 bits do.
    fn clean(&mut self, told: &[i16; FRAME], said: &mut [f32]) {
        let blocks = told.chunks_exact(BLOCK_SIZE);
        for (told, said) in blocks.zip(said.chunks_exact_mut(BLOCK_SIZE)) {
            for (to, from) in self.told.view_mut(0, 0).iter_mut().zip(told) {
                *to = f32::from(*from);
            }
            self.processor.buffer_render(&self.told);
            self.said.view_mut(0, 0).copy_from_slice(said);
            let clipped = said.iter().any(|sample| sample.abs() >= CLIPPED);
            let block = &mut self.said;
            self.processor.process_capture(false, clipped, None, block);
            said.copy_from_slice(block.view(0, 0));
        }
    }
}

/// Between 48 kHz and the control.
struct Full {
    down: Resampler,
    up: Resampler,
    /// The voice until its lower part is back: see [`Full::LATE`].
    whole: Vec<f32>,
    /// Its lower part as it went into the control, as much later as it comes out of it.
    low: [f32; Control::DELAY],
    /// How much of the upper part is left.
    left: f32,
}

impl Full {
    const RATIO: usize = SampleRate::Hz48000.frame() / FRAME;

    /// Both filters delay by 32 samples of the lower rate, see [`media::resample`].
    const LATE: usize = (2 * 32 + Control::DELAY) * Full::RATIO;

    fn new() -> Full {
        Full {
            down: Resampler::new(SampleRate::Hz48000, RATE),
            up: Resampler::new(RATE, SampleRate::Hz48000),
            whole: vec![0.0; Full::LATE],
            low: [0.0; Control::DELAY],
            left: 1.0,
        }
    }

    /// What is above 8 kHz is the whole less its lower part; so the lower part is taken off before
    /// it is brought up again, and what is left of nothing changed is the whole itself.
    fn clean(&mut self, control: &mut Control, told: &[i16; FRAME], voice: &mut [f32]) {
        self.whole.extend_from_slice(voice);
        let mut low = [0.0; FRAME];
        self.down.process_f32(voice, &mut low);
        let mut before = [0.0; Control::DELAY + FRAME];
        before[..Control::DELAY].copy_from_slice(&self.low);
        before[Control::DELAY..].copy_from_slice(&low);
        self.low.copy_from_slice(&before[FRAME..]);
        control.clean(told, &mut low);
        let mut gains = [0.0; SampleRate::Hz48000.frame()];
        let steps = low
            .chunks_exact_mut(BLOCK_SIZE)
            .zip(before.chunks_exact(BLOCK_SIZE));
        for ((clean, before), gains) in steps.zip(gains.chunks_exact_mut(BLOCK_SIZE * Full::RATIO))
        {
            let last = self.left;
            self.left = share(clean, before);
            let len = gains.len() as f32;
            for (n, gain) in gains.iter_mut().enumerate() {
                *gain = last + (self.left - last) * (n + 1) as f32 / len;
            }
            let gains = gains.iter().skip(Full::RATIO - 1).step_by(Full::RATIO);
            for ((clean, before), gain) in clean.iter_mut().zip(before).zip(gains) {
                *clean -= gain * before;
            }
        }
        self.up.process_f32(&low, voice);
        for ((sample, whole), gain) in voice.iter_mut().zip(&self.whole).zip(&gains) {
            *sample += gain * whole;
        }
        self.whole.drain(..voice.len());
    }
}

/// How much of this sound is left, as a factor.
fn share(clean: &[f32], before: &[f32]) -> f32 {
    let power = |sound: &[f32]| sound.iter().map(|sample| sample * sample).sum::<f32>() + 1.0;
    (power(clean) / power(before)).sqrt().min(1.0)
}

/// Where ours differ from those of WebRTC. docs/audio-quality.md has what each way sounds like.
fn settings() -> EchoCanceller3Config {
    let mut settings = EchoCanceller3Config::default();
    // A wire and a codec return an echo softer than it was told; a whole room may not.
    settings.ep_strength.default_gain = 0.1;
    // If the filter is found to take away 20 dB it is believed, not 6.
    settings.erle.max_l = 100.0;
    settings.erle.max_h = 30.0;
    let suppressor = &mut settings.suppressor;
    // A voice that comes back is there with its first sound, not doubled every 4 ms from nothing.
    for tuning in [
        &mut suppressor.normal_tuning,
        &mut suppressor.nearend_tuning,
    ] {
        tuning.max_inc_factor = 100.0;
    }
    // Everything above 2 kHz would be as soft as the softest of that frequency.
    suppressor.high_frequency_suppression.bands_in_limiting_gain = 0;
    // An echo is left where a voice covers it: by so much of the voice's power and more it is
    // touched, and taken away. The second pair is while the near voice is known to speak.
    thresholds(&mut suppressor.normal_tuning, [0.6, 0.8], [0.2, 0.3]);
    thresholds(&mut suppressor.nearend_tuning, [5.0, 10.0], [2.0, 5.0]);
    let near = &mut suppressor.dominant_nearend_detection;
    near.enr_threshold = 0.5;
    near.snr_threshold = 20.0;
    // Blocks of 4 ms.
    near.trigger_threshold = 6;
    settings
}

fn thresholds(tuning: &mut Tuning, low: [f32; 2], high: [f32; 2]) {
    for (mask, [touched, taken]) in [(&mut tuning.mask_lf, low), (&mut tuning.mask_hf, high)] {
        mask.enr_transparent = touched;
        mask.enr_suppress = taken;
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
    fn a_full_voice_keeps_what_is_above_8_khz_and_where_it_is() {
        let rate = SampleRate::Hz48000;
        let said: Vec<i16> = (0..rate.frame() * 100)
            .map(|n| {
                let at = |hz: f64| (n as f64 * hz / 48_000.0 * std::f64::consts::TAU).sin();
                ((at(1_000.0) + at(12_000.0)) * 6_000.0) as i16
            })
            .collect();
        let silence = vec![0; mixer::RATE.frame() * 100];
        let same = controlled(&silence, &said, rate);
        let late = Full::LATE;
        let settled = rate.frame() * 20..rate.frame() * 100 - late;
        let differences: Vec<i16> = same[late..][settled.clone()]
            .iter()
            .zip(&said[settled.clone()])
            .map(|(after, before)| after - before)
            .collect();
        let (voice, difference) = (dbov(&said[settled]), dbov(&differences));
        assert!(
            difference < voice - 30.0,
            "{voice}, differs by {difference}"
        );
    }

    #[test]
    fn a_frame_of_another_length_stays_as_it_is() {
        let mut odd = [7; 100];
        Aec3::new(SampleRate::Hz8000).process(&[0; 320], &mut odd);
        assert_eq!(odd, [7; 100]);
    }
}
