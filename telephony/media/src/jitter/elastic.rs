//! Makes decoded sound a little longer or shorter where nobody hears it.
//!
//! In a pause by a whole frame of what is there, in a voice by one period of
//! it, otherwise not at all. Cuts the sound into frames of 20 ms again. Does
//! not decide when: the buffer wishes ([`Wish`]), and is told what was done.
//!
//! Invariant: without a wish, what comes out is what went in.

use crate::level::{FLOOR_DBOV, dbov};
use crate::pitch;
use crate::rate::{MAX_FRAME, SampleRate};

use super::{Shift, Wish};

/// Sound waiting to be frames: the longest packet and what was left.
const MAX_MS: usize = 300;

/// A voice is changed by a period no more often than this.
const REST: u32 = 5;

/// How alike two periods must be so that one may go or come.
const VOICED: f32 = 0.85;

/// So far above the softest sound of late may a pause be.
const PAUSE_DB: f32 = 6.0;

/// Louder is no pause, softer is one for certain.
const LOUDEST_PAUSE: f32 = -38.0;
const SURE_PAUSE: f32 = -65.0;

/// How fast the estimate of the softest sound rises, in dB per push.
const FLOOR_RISE: f32 = 0.05;

/// Around what was cut out.
const SEAM_MS: usize = 4;

/// Between a decoder and what comes after it.
#[derive(Debug)]
pub struct Elastic {
    rate: SampleRate,
    sound: Vec<i16>,
    /// How the sound would have gone on where a frame was cut out.
    seam: Vec<i16>,
    floor: f32,
    /// Pushes since a voice was changed.
    rested: u32,
}

impl Elastic {
    pub fn new(rate: SampleRate) -> Elastic {
        Elastic {
            rate,
            sound: Vec::with_capacity(rate.frame()),
            seam: Vec::new(),
            floor: 0.0,
            rested: REST,
        }
    }

    /// Takes what a packet held, or what was invented for one. Returns what was
    /// done, for [`super::JitterBuffer::shifted`].
    pub fn push(&mut self, sound: &[i16], wish: Wish) -> Shift {
        let room = self.rate.samples_in_ms(MAX_MS) / 2;
        let sound = &sound[..sound.len().min(room)];
        self.make_room(2 * sound.len());
        let pause = self.is_pause(sound);
        self.rested = self.rested.saturating_add(1);
        let added = match (wish, pause) {
            (Wish::Keep, _) => self.append(sound),
            (Wish::Shorten, true) if self.seam.is_empty() => self.cut(sound),
            (Wish::Lengthen, true) => self.double(sound),
            (Wish::Shorten | Wish::Lengthen, _) => self.change_by_a_period(sound, wish),
        };
        let samples = added as i64 - sound.len() as i64;
        Shift(samples * 1_000_000 / i64::from(self.rate.hz()))
    }

    /// The next frame. `false`: not so much is there; nothing was taken.
    pub fn pull(&mut self, frame: &mut [i16]) -> bool {
        let Some(ready) = self.sound.get(..frame.len()) else {
            return false;
        };
        frame.copy_from_slice(ready);
        self.sound.drain(..frame.len());
        true
    }

    /// Samples that wait.
    pub fn waiting(&self) -> usize {
        self.sound.len()
    }

    fn make_room(&mut self, samples: usize) {
        let over = (self.sound.len() + samples).saturating_sub(self.rate.samples_in_ms(MAX_MS));
        self.sound.drain(..over.min(self.sound.len()));
    }

    fn is_pause(&mut self, sound: &[i16]) -> bool {
        let level = dbov(sound);
        // Digital silence says nothing about a room.
        if level > FLOOR_DBOV {
            self.floor = level.min(self.floor + FLOOR_RISE);
        }
        level < SURE_PAUSE || level < (self.floor + PAUSE_DB).min(LOUDEST_PAUSE)
    }

    /// All of it, faded in where something was cut out before it.
    fn append(&mut self, sound: &[i16]) -> usize {
        let start = self.sound.len();
        self.sound.extend_from_slice(sound);
        let fresh = &mut self.sound[start..];
        let len = self.seam.len();
        for (n, (sample, before)) in fresh.iter_mut().zip(self.seam.drain(..)).enumerate() {
            let weight = (n + 1) as f32 / (len + 1) as f32;
            *sample = (f32::from(*sample) * weight + f32::from(before) * (1.0 - weight)) as i16;
        }
        sound.len()
    }

    fn cut(&mut self, sound: &[i16]) -> usize {
        let seam = sound.len().min(self.rate.samples_in_ms(SEAM_MS));
        self.seam.extend_from_slice(&sound[..seam]);
        0
    }

    /// The second half backwards and forwards again: no joint has a step.
    fn double(&mut self, sound: &[i16]) -> usize {
        self.append(sound);
        let (_, half) = sound.split_at(sound.len() / 2);
        self.sound.extend(half.iter().rev());
        self.sound.extend_from_slice(half);
        sound.len() + 2 * half.len()
    }

    fn change_by_a_period(&mut self, sound: &[i16], wish: Wish) -> usize {
        let frame = self.rate.frame();
        if self.rested < REST || sound.len() < frame {
            return self.append(sound);
        }
        let mut exact = [0.0; MAX_FRAME];
        for (to, from) in exact.iter_mut().zip(&sound[..frame]) {
            *to = f32::from(*from);
        }
        let found = pitch::of_the_beginning(&exact[..frame], self.rate);
        if found.likeness < VOICED {
            return self.append(sound);
        }
        self.rested = 0;
        let period = found.period;
        let blend = |from: &[i16], to: &[i16], n: usize| {
            let weight = (n + 1) as f32 / (period + 1) as f32;
            (f32::from(from[n]) * (1.0 - weight) + f32::from(to[n]) * weight) as i16
        };
        match wish {
            Wish::Lengthen => {
                self.append(&sound[..period]);
                let next = &sound[period..];
                self.sound
                    .extend((0..period).map(|n| blend(next, sound, n)));
                self.sound.extend_from_slice(next);
                sound.len() + period
            }
            Wish::Shorten | Wish::Keep => {
                let start = self.sound.len();
                let next = &sound[period..];
                self.append(sound);
                self.sound.truncate(start);
                self.sound
                    .extend((0..period).map(|n| blend(sound, next, n)));
                self.sound.extend_from_slice(&next[period..]);
                sound.len() - period
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use crate::sine::sine;

    const RATES: [SampleRate; 3] = SampleRate::ALL;

    fn voice(rate: SampleRate, from: usize, len: usize) -> Vec<i16> {
        (from..from + len)
            .map(|n| {
                let at = n as f64 / f64::from(rate.hz()) * 200.0;
                ((sine(at) + 0.5 * sine(3.0 * at)) * 8000.0) as i16
            })
            .collect()
    }

    fn noise(len: usize, shift: u32) -> Vec<i16> {
        let mut seed = Seed::new(4);
        (0..len)
            .map(|_| (seed.next_u32() as i32 >> shift) as i16)
            .collect()
    }

    fn all(elastic: &mut Elastic) -> Vec<i16> {
        let mut sound = vec![0; elastic.waiting()];
        assert!(elastic.pull(&mut sound));
        sound
    }

    #[test]
    fn without_a_wish_sound_only_becomes_frames() {
        for rate in RATES {
            let mut elastic = Elastic::new(rate);
            let sound = voice(rate, 0, rate.samples_in_ms(90));
            let mut heard = Vec::new();
            for piece in sound.chunks(rate.samples_in_ms(30)) {
                assert_eq!(elastic.push(piece, Wish::Keep), Shift::NONE);
                let mut frame = vec![0; rate.frame()];
                while elastic.pull(&mut frame) {
                    heard.extend_from_slice(&frame);
                }
            }
            assert_eq!(heard, sound[..rate.samples_in_ms(80)]);
            assert_eq!(elastic.waiting(), rate.samples_in_ms(10));
        }
    }

    #[test]
    fn a_voice_changes_by_a_period_and_does_not_click() {
        for rate in RATES {
            let steepest = |samples: &[i16]| {
                let steps = samples.windows(2).map(|pair| pair[0].abs_diff(pair[1]));
                steps.max().unwrap()
            };
            for (wish, sign) in [(Wish::Shorten, -1), (Wish::Lengthen, 1)] {
                let mut elastic = Elastic::new(rate);
                let frame = rate.frame();
                let mut shifted = 0;
                for n in 0..3 {
                    let wish = if n == 1 { wish } else { Wish::Keep };
                    shifted += elastic.push(&voice(rate, n * frame, frame), wish).0;
                }
                // 200 Hz: 5 ms, or two or three of them.
                let periods = shifted as f64 / 5000.0;
                assert!(shifted.signum() == sign && (periods - periods.round()).abs() < 0.05);
                let heard = all(&mut elastic);
                let plain = voice(rate, 0, 3 * frame);
                let expected = plain.len() as i64 + shifted * i64::from(rate.hz()) / 1_000_000;
                assert_eq!(heard.len() as i64, expected, "{rate:?}");
                assert!(
                    steepest(&heard) <= steepest(&plain) * 21 / 20 + 5,
                    "{rate:?}"
                );
                // A voice needs its rest.
                let frame = voice(rate, 0, frame);
                assert_eq!(elastic.push(&frame, wish), Shift::NONE);
            }
        }
    }

    #[test]
    fn a_pause_changes_by_a_frame() {
        for rate in RATES {
            let mut elastic = Elastic::new(rate);
            let frame = rate.frame();
            let pause = noise(3 * frame, 25);
            elastic.push(&pause[..frame], Wish::Keep);
            let cut = elastic.push(&pause[frame..2 * frame], Wish::Shorten);
            assert_eq!(cut, Shift(-20_000));
            elastic.push(&pause[2 * frame..], Wish::Keep);
            assert_eq!(elastic.waiting(), 2 * frame);
            let doubled = elastic.push(&pause[..frame], Wish::Lengthen);
            assert_eq!(doubled, Shift(20_000));
            assert_eq!(elastic.waiting(), 4 * frame);
        }
    }

    #[test]
    fn loud_noise_is_left_alone() {
        let rate = SampleRate::Hz16000;
        let mut elastic = Elastic::new(rate);
        let loud = noise(rate.frame(), 18);
        for wish in [Wish::Shorten, Wish::Lengthen] {
            assert_eq!(elastic.push(&loud, wish), Shift::NONE);
            assert_eq!(all(&mut elastic), loud);
        }
    }

    #[test]
    fn its_memory_is_bounded_whoever_forgets_to_pull() {
        for rate in RATES {
            let mut elastic = Elastic::new(rate);
            for wish in [Wish::Keep, Wish::Shorten, Wish::Lengthen] {
                for ms in [0, 1, 10, 20, 60, 120, 500] {
                    let sound = voice(rate, 0, rate.samples_in_ms(ms));
                    elastic.push(&sound, wish);
                    assert!(elastic.waiting() <= rate.samples_in_ms(MAX_MS));
                }
            }
        }
    }
}
