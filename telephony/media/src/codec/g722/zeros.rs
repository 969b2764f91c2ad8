//! The predictor's six zeros: they adapt to signs of differences, and their sum
//! is half of the next prediction (UPZERO, DELAYA and FILTEZ of ITU-T G.722).

use super::predictor::saturate;

/// Lanes of a vector register. Six are zeros; the other two are worked on
/// alike, so that the compiler keeps whole registers, and then left out.
const LANES: usize = 8;
const USED: [i16; LANES] = [-1, -1, -1, -1, -1, -1, 0, 0];

/// At scales up to this one no sum of the six parts can saturate, so that the
/// order of adding, which the recommendation fixes, makes no difference. A
/// difference is at most 0.63 of its scale; within six samples a scale falls to
/// 0.70 at least; a zero's part is at most twice its difference.
const CALM: i32 = 2800;

#[derive(Debug, Clone, Copy)]
pub(super) struct Zeros {
    /// Unity is 2^14.
    zeros: [i16; LANES],
    /// The last differences, the newest first.
    differences: [i16; LANES],
}

impl Zeros {
    pub(super) const fn new() -> Zeros {
        Zeros {
            zeros: [0; LANES],
            differences: [0; LANES],
        }
    }

    /// Takes a difference, quantised by `scale`; gives the zeros' part of the
    /// next prediction.
    #[inline(always)]
    pub(super) fn adapt(&mut self, difference: i16, scale: i32) -> i32 {
        let step = if difference == 0 { 0 } else { 128 };
        for (zero, &before) in self.zeros.iter_mut().zip(&self.differences) {
            let opposed = (before ^ difference) >> 15;
            // It leaks 1/256, so it stays within 16 bits.
            let leaked = zero.wrapping_add(zero.wrapping_neg() >> 8);
            *zero = leaked.wrapping_add((step ^ opposed).wrapping_sub(opposed));
        }
        let [a, b, c, d, e, f, g, _] = self.differences;
        self.differences = [difference, a, b, c, d, e, f, g];
        let parts = self.parts();
        if scale <= CALM {
            let sum = parts.iter().sum();
            debug_assert_eq!(sum, saturating_sum(parts));
            sum
        } else {
            saturating_sum(parts)
        }
    }

    #[inline(always)]
    fn parts(&self) -> [i32; LANES] {
        std::array::from_fn(|lane| {
            let zero = self.zeros[lane] & USED[lane];
            (i32::from(zero) * i32::from(self.differences[lane])) >> 14
        })
    }
}

/// FILTEZ to the letter: the oldest first, saturating at each step.
#[cold]
#[inline(never)]
fn saturating_sum(parts: [i32; LANES]) -> i32 {
    let oldest_first = parts.iter().rev();
    oldest_first.fold(0, |sum, part| saturate(sum + part))
}
