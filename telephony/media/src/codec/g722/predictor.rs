//! The adaptive predictor that both bands and both directions share
//! (ITU-T G.722 3.5 and 3.6, blocks 4L and 4H): two poles, six zeros.
//!
//! It knows no codes and no scales: it is given the quantised difference and
//! gives the next prediction. Every sum saturates at 16 bits where, and in the
//! order in which, the recommendation's does.

use super::zeros::Zeros;

#[derive(Debug, Clone, Copy)]
pub(super) struct Predictor {
    /// What the next sample is expected to be.
    pub(super) prediction: i32,
    /// The zeros' part of it.
    from_zeros: i32,
    /// Twice the last reconstructed sample.
    doubled: i32,
    /// Signs (0 or -1) of the last two samples without the poles' part.
    signs: [i32; 2],
    poles: [i32; 2],
    zeros: Zeros,
}

impl Predictor {
    pub(super) fn new() -> Predictor {
        Predictor {
            prediction: 0,
            from_zeros: 0,
            doubled: 0,
            signs: [0; 2],
            poles: [0; 2],
            zeros: Zeros::new(),
        }
    }

    /// Takes the quantised difference between the sample and its prediction, and
    /// the scale it was quantised by. Gives the reconstructed sample.
    #[inline(always)]
    pub(super) fn adapt(&mut self, difference: i32, scale: i32) -> i32 {
        let reconstructed = saturate(self.prediction + difference);
        self.move_poles((difference + self.from_zeros) >> 31);
        self.from_zeros = self.zeros.adapt(difference as i16, scale);
        let doubled = saturate(2 * reconstructed);
        let newer = (self.poles[0] * doubled) >> 15;
        let older = (self.poles[1] * self.doubled) >> 15;
        self.prediction = saturate(saturate(newer + older) + self.from_zeros);
        self.doubled = doubled;
        reconstructed
    }

    /// UPPOL2 and UPPOL1: the poles follow the signs, within the triangle in
    /// which the filter is stable.
    #[inline(always)]
    fn move_poles(&mut self, sign: i32) {
        let [first, second] = self.poles;
        let towards_last = same_or_not(sign ^ self.signs[0]);
        let towards_before = same_or_not(sign ^ self.signs[1]);
        // Four times the first pole, saturated, then 1/128 of it.
        let coupling = ((-towards_last * first) >> 5).clamp(-256, 255);
        let leaked = second + (-second >> 7);
        let second = (coupling + 128 * towards_before + leaked).clamp(-12288, 12288);
        let limit = 15360 - second;
        let leaked = first + (-first >> 8);
        let first = (leaked + 192 * towards_last).clamp(-limit, limit);
        self.poles = [first, second];
        self.signs = [sign, self.signs[0]];
    }
}

/// 1 for equal signs, -1 for opposed ones.
#[inline(always)]
fn same_or_not(opposed: i32) -> i32 {
    2 * opposed + 1
}

#[inline(always)]
pub(super) fn saturate(value: i32) -> i32 {
    value.clamp(-32768, 32767)
}
