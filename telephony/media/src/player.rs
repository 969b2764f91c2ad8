//! A sound that a leg is played: a tone, or a recording.
//!
//! [`Sound`] says what, [`Player`] makes frames of it over whatever else is heard. It has no clock;
//! whoever asks for a frame every 20 ms has. Reads no files.
//!
//! Invariant: no sound clicks, wherever it begins, ends or is stopped.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::mixer::{Frame, RATE};
use crate::rate::SampleRate;
use crate::resample::Resampler;
use crate::tones::{Generator, Tone};

/// The edges of a recording, which may begin and end in the middle of a word.
const EDGE: usize = RATE.samples_in_ms(4);

/// The owner's name for a sound that it has played, by which it is told of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SoundKey(pub u64);

/// What is played to a leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sound {
    Tone(Tone),
    Recording {
        recording: Recording,
        repeat: Repeat,
    },
}

/// How often a recording is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    Times(NonZeroU32),
    UntilStopped,
}

impl Repeat {
    pub const ONCE: Repeat = Repeat::Times(NonZeroU32::MIN);
}

/// Sound that was recorded before, ready to be played to as many legs as want it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// At the rate at which everything is mixed.
    samples: Arc<[i16]>,
}

impl Recording {
    /// Mono, of any of our rates.
    pub fn new(samples: &[i16], rate: SampleRate) -> Recording {
        let mut resampler = Resampler::new(rate, RATE);
        let mut made = Vec::with_capacity(resampler.output_len(samples.len()) + RATE.frame());
        let mut frame = vec![0; rate.frame()];
        for piece in samples.chunks(rate.frame()) {
            frame.fill(0);
            frame[..piece.len()].copy_from_slice(piece);
            let mut output = [0; RATE.frame()];
            resampler.process(&frame, &mut output);
            made.extend_from_slice(&output[..resampler.output_len(piece.len())]);
        }
        Recording {
            samples: made.into(),
        }
    }

    pub fn duration(&self) -> Duration {
        Duration::from_secs(self.samples.len() as u64) / RATE.hz()
    }
}

/// Plays one sound to one leg.
#[derive(Debug)]
pub(crate) struct Player {
    key: SoundKey,
    playing: Playing,
    stopping: bool,
}

#[derive(Debug)]
enum Playing {
    Tone(Box<Generator>),
    Recording {
        samples: Arc<[i16]>,
        at: usize,
        /// `None`: without end.
        left: Option<u32>,
    },
}

/// Whether a sound has more to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goes {
    On,
    Over,
}

impl Player {
    pub(crate) fn new(key: SoundKey, sound: &Sound) -> Player {
        let playing = match sound {
            Sound::Tone(tone) => Playing::Tone(Box::new(Generator::new(*tone, RATE))),
            Sound::Recording { recording, repeat } => Playing::Recording {
                samples: Arc::clone(&recording.samples),
                at: 0,
                left: match repeat {
                    Repeat::Times(times) => Some(times.get()),
                    Repeat::UntilStopped => None,
                },
            },
        };
        Player {
            key,
            playing,
            stopping: false,
        }
    }

    pub(crate) fn key(&self) -> SoundKey {
        self.key
    }

    /// The next frame is the last one, and fades.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
    }

    /// Adds the next frame to what is heard already.
    pub(crate) fn mix(&mut self, heard: &mut Frame) -> Goes {
        let mut frame = [0; RATE.frame()];
        let goes_on = match &mut self.playing {
            Playing::Tone(generator) => generator.fill(&mut frame),
            Playing::Recording { samples, at, left } => replay(samples, at, left, &mut frame),
        };
        if self.stopping {
            let len = frame.len() as f32;
            for (n, sample) in frame.iter_mut().enumerate() {
                *sample = (f32::from(*sample) * (1.0 - (n + 1) as f32 / len)) as i16;
            }
        }
        for (heard, sample) in heard.iter_mut().zip(&frame) {
            *heard = heard.saturating_add(*sample);
        }
        match goes_on && !self.stopping {
            true => Goes::On,
            false => Goes::Over,
        }
    }
}

/// Fills the frame from a recording, as often as it is to be heard. `false`: that was all.
fn replay(samples: &[i16], at: &mut usize, left: &mut Option<u32>, frame: &mut Frame) -> bool {
    // What holds nothing would be over for ever.
    if samples.is_empty() {
        return false;
    }
    for sample in frame.iter_mut() {
        if *left == Some(0) {
            return false;
        }
        let from_edge = (*at + 1).min(samples.len() - *at);
        let loudness = (from_edge as f32 / (EDGE + 1) as f32).min(1.0);
        *sample = (f32::from(samples[*at]) * loudness) as i16;
        *at += 1;
        if *at == samples.len() {
            *at = 0;
            *left = left.map(|left| left - 1);
        }
    }
    *left != Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: SoundKey = SoundKey(1);

    fn play(player: &mut Player, frames: usize) -> Vec<i16> {
        let mut heard = Vec::new();
        for _ in 0..frames {
            let mut frame = [0; RATE.frame()];
            let goes = player.mix(&mut frame);
            heard.extend(frame);
            if goes == Goes::Over {
                break;
            }
        }
        heard
    }

    fn recording(len: usize, repeat: Repeat) -> Player {
        let recording = Recording::new(&vec![10_000; len], RATE);
        Player::new(KEY, &Sound::Recording { recording, repeat })
    }

    #[test]
    fn a_recording_is_heard_as_often_as_told_and_its_edges_are_soft() {
        let twice = Repeat::Times(NonZeroU32::new(2).unwrap());
        let heard = play(&mut recording(700, twice), 100);
        assert_eq!(heard.len(), 1600, "whole frames");
        let loud = heard.iter().filter(|sample| **sample == 10_000).count();
        assert_eq!(loud, 2 * (700 - 2 * EDGE));
        let steps = heard.windows(2).map(|w| w[0].abs_diff(w[1]));
        assert!(steps.max().unwrap() < 200);
        assert!(heard[1400..].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn a_sound_without_end_fades_when_it_is_stopped() {
        let mut player = recording(333, Repeat::UntilStopped);
        assert_eq!(play(&mut player, 50).len(), 50 * RATE.frame());
        player.stop();
        let last = play(&mut player, 50);
        assert_eq!(last.len(), RATE.frame());
        assert_eq!(last.last(), Some(&0));
        assert_eq!(player.key(), KEY);
    }

    #[test]
    fn recordings_of_each_rate_last_as_long_as_they_did() {
        for rate in SampleRate::ALL {
            let second = vec![1000; rate.samples_in_ms(1010)];
            let made = Recording::new(&second, rate);
            assert_eq!(made.duration(), Duration::from_millis(1010), "{rate:?}");
            // The edges of the filter apart.
            let middle = &made.samples[RATE.samples_in_ms(10)..RATE.samples_in_ms(1000)];
            assert!(middle.iter().all(|sample| sample.abs_diff(1000) < 3));
        }
    }

    #[test]
    fn what_holds_no_sound_is_over_at_once() {
        assert_eq!(play(&mut recording(0, Repeat::UntilStopped), 9).len(), 320);
    }

    #[test]
    fn too_loud_together_is_clipped_and_not_wrapped() {
        let mut player = recording(3200, Repeat::ONCE);
        let mut frame = [30_000; RATE.frame()];
        player.mix(&mut frame);
        assert_eq!(frame[200], i16::MAX);
    }
}
