//! Many parties in one room: each hears all others, not itself.
//!
//! One sum for the room, minus each one's own part, so the cost grows with the
//! number of parties and not with its square. All who are silent hear the same
//! sum, which the owner may then encode once. A group call with one talker is
//! the same with one voice added. Mixes 16 kHz; does not choose who may speak.
//!
//! Invariant: 64 voices at full scale fit into the sum; what a listener gets
//! never wraps, it gets softer.

use crate::level::Limiter;
use crate::rate::SampleRate;

/// A room holds as many voices as a media session holds legs.
pub const MAX_VOICES: usize = crate::session::MAX_LEGS;

/// The room's rate: wideband, as the best of the stations.
pub const RATE: SampleRate = SampleRate::Hz16000;

const FRAME: usize = RATE.frame();

/// 20 ms of sound, mono, 16 kHz.
pub type Frame = [i16; FRAME];

/// What is said in the room within one frame.
#[derive(Debug, Clone)]
pub struct Room {
    sum: [i32; FRAME],
    voices: usize,
}

impl Default for Room {
    fn default() -> Room {
        Room {
            sum: [0; FRAME],
            voices: 0,
        }
    }
}

impl Room {
    /// The next frame begins: nobody has said anything yet.
    pub fn clear(&mut self) {
        if self.voices > 0 {
            self.sum.fill(0);
            self.voices = 0;
        }
    }

    /// Adds a voice. `false`: more than [`MAX_VOICES`]; it is not heard.
    pub fn add(&mut self, voice: &Frame) -> bool {
        if self.voices == MAX_VOICES {
            return false;
        }
        self.voices += 1;
        for (sum, sample) in self.sum.iter_mut().zip(voice) {
            *sum += i32::from(*sample);
        }
        true
    }

    pub fn voices(&self) -> usize {
        self.voices
    }

    /// What `ear` hears. `own` is what it said itself, if that was added.
    pub fn hear(&self, ear: &mut Ear, own: Option<&Frame>, heard: &mut Frame) {
        match own {
            Some(own) => ear.take(heard, |n| self.sum[n] - i32::from(own[n])),
            None => ear.take(heard, |n| self.sum[n]),
        }
    }
}

/// One listener: how far the room is turned down for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ear {
    limiter: Limiter,
}

impl Ear {
    fn take(&mut self, heard: &mut Frame, sample: impl Fn(usize) -> i32) {
        let peak = (0..FRAME).fold(0, |peak: i32, n| peak.max(sample(n).abs()));
        let mut slope = self.limiter.slope(peak, FRAME);
        if slope.is_flat() {
            for (n, heard) in heard.iter_mut().enumerate() {
                *heard = sample(n) as i16;
            }
            return;
        }
        for (n, heard) in heard.iter_mut().enumerate() {
            *heard = slope.next(sample(n));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sine::sine;

    fn tone(hz: f64, amplitude: f64, frame: usize) -> Frame {
        std::array::from_fn(|n| {
            let at = (frame * FRAME + n) as f64;
            (amplitude * sine(at * hz / 16_000.0)).round() as i16
        })
    }

    #[test]
    fn each_hears_the_others_and_not_itself() {
        let voices = [200.0, 333.0, 1250.0].map(|hz| tone(hz, 3000.0, 0));
        let mut room = Room::default();
        for voice in &voices {
            assert!(room.add(voice));
        }
        for (me, own) in voices.iter().enumerate() {
            let mut heard = [0; FRAME];
            room.hear(&mut Ear::default(), Some(own), &mut heard);
            let others = |n: usize| -> i16 {
                let others = voices.iter().enumerate().filter(|(other, _)| *other != me);
                others.map(|(_, voice)| voice[n]).sum()
            };
            assert!(heard.iter().enumerate().all(|(n, x)| *x == others(n)));
        }
    }

    #[test]
    fn a_group_call_is_its_one_talker_for_all_and_silence_for_the_talker() {
        let talker = tone(440.0, 20_000.0, 0);
        let mut room = Room::default();
        room.add(&talker);
        let mut heard = [1; FRAME];
        room.hear(&mut Ear::default(), None, &mut heard);
        assert_eq!(heard, talker);
        room.hear(&mut Ear::default(), Some(&talker), &mut heard);
        assert_eq!(heard, [0; FRAME]);
        room.clear();
        room.hear(&mut Ear::default(), None, &mut heard);
        assert_eq!((room.voices(), heard), (0, [0; FRAME]));
    }

    #[test]
    fn sixty_four_at_full_scale_are_loud_but_not_torn() {
        let mut room = Room::default();
        let mut ear = Ear::default();
        let mut heard = [0; FRAME];
        for frame in 0..5 {
            room.clear();
            let voice = tone(200.0, 32_767.0, frame);
            for _ in 0..MAX_VOICES {
                assert!(room.add(&voice));
            }
            assert!(!room.add(&voice), "one too many is refused");
            room.hear(&mut ear, None, &mut heard);
        }
        let expected = tone(200.0, 29_204.0, 4);
        for (found, expected) in heard.iter().zip(&expected) {
            assert!(found.abs_diff(*expected) < 40, "{found} {expected}");
        }
        for extreme in [i16::MIN, i16::MAX] {
            room.clear();
            for _ in 0..MAX_VOICES {
                room.add(&[extreme; FRAME]);
            }
            room.hear(&mut Ear::default(), None, &mut heard);
            assert!(heard.iter().all(|x| (*x < 0) == (extreme < 0)), "wrapped");
        }
    }

    #[test]
    fn one_ear_turned_down_leaves_the_others_as_they_are() {
        let mut room = Room::default();
        let (loud, soft) = (tone(200.0, 32_000.0, 0), tone(650.0, 300.0, 0));
        room.add(&loud);
        room.add(&loud);
        room.add(&soft);
        let mut heard = [0; FRAME];
        let (mut first, mut second) = (Ear::default(), Ear::default());
        room.hear(&mut first, None, &mut heard);
        room.clear();
        room.add(&soft);
        room.hear(&mut second, None, &mut heard);
        assert_eq!(heard, soft);
    }
}
