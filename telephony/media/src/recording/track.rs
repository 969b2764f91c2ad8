//! One side of a recording: its frames in their places until all sides have come.
//!
//! Invariant: holds at most [`LIMIT`] frames.

use std::collections::VecDeque;

use super::{HORIZON_FRAMES, LEN, RATE};
use crate::rate::SampleRate;
use crate::resample::Resampler;

/// A side that was silent for longer goes on at the present, not where it stopped. Jitter and
/// clocks that differ for ten minutes stay below.
const LATE: u64 = 10;

/// A side may be so far ahead of the clock.
const LIMIT: u64 = 2 * HORIZON_FRAMES;

#[derive(Debug, Default)]
pub(super) struct Track {
    frames: VecDeque<[i16; LEN]>,
    resampler: Option<Resampler>,
}

impl Track {
    /// `written` is the place of the first waiting frame, `due` the one of this moment. `false`: the
    /// side is too far ahead of its time.
    pub(super) fn put(&mut self, frame: &[i16], rate: SampleRate, written: u64, due: u64) -> bool {
        let place = written + self.frames.len() as u64;
        if place > due + LIMIT / 2 {
            return false;
        }
        // More than the horizon is never missing: the recorder has written it.
        let missing = due.saturating_sub(place).min(HORIZON_FRAMES);
        if missing > LATE {
            let silence = std::iter::repeat_n([0; LEN], missing as usize);
            self.frames.extend(silence);
        }
        let mut fitted = [0; LEN];
        if rate == RATE {
            fitted.copy_from_slice(frame);
        } else {
            let resampler = self.resampler.take().filter(|old| old.from() == rate);
            let mut resampler = resampler.unwrap_or_else(|| Resampler::new(rate, RATE));
            resampler.process(frame, &mut fitted);
            self.resampler = Some(resampler);
        }
        self.frames.push_back(fitted);
        true
    }

    pub(super) fn is_there(&self) -> bool {
        !self.frames.is_empty()
    }

    /// Adds the next frame to what others say; nothing, if there is none.
    pub(super) fn add_next(&mut self, sum: &mut [i16; LEN]) {
        for (sum, sample) in sum
            .iter_mut()
            .zip(self.frames.pop_front().into_iter().flatten())
        {
            *sum = sum.saturating_add(sample);
        }
    }
}
