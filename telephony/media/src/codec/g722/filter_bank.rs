//! The quadrature mirror filters between 16 kHz and the two bands of 8 kHz
//! (ITU-T G.722 3.1 and 4.4).
//!
//! A block goes through at once, because sums of products over plain arrays
//! are what compilers make vector instructions of.

use super::BLOCK;
use super::predictor::saturate;
use super::tables::QMF;

/// Samples that a filter remembers of the last block: its length less one pair.
pub(super) const MEMORY: usize = 22;
const TAPS: usize = 24;

/// The band's coefficients in the order of time, oldest first. `x[odd]` of the
/// recommendation is the older sample of a pair.
const LOW_TAPS: [i16; TAPS] = QMF;
const HIGH_TAPS: [i16; TAPS] = {
    let mut taps = QMF;
    let mut index = 0;
    while index < TAPS {
        taps[index] = -taps[index];
        index += 2;
    }
    taps
};

/// Splits 16 kHz into the two bands.
#[derive(Debug, Clone)]
pub(super) struct Splitter {
    memory: [i16; MEMORY],
}

impl Splitter {
    pub(super) const fn new() -> Splitter {
        Splitter {
            memory: [0; MEMORY],
        }
    }

    /// As if this sound had gone through it.
    pub(super) const fn after(memory: [i16; MEMORY]) -> Splitter {
        Splitter { memory }
    }

    /// Gives a sample of each band for each pair of `pcm`, at most [`BLOCK`].
    pub(super) fn split(&mut self, pcm: &[i16], low: &mut [i16; BLOCK], high: &mut [i16; BLOCK]) {
        let mut line = [0; MEMORY + 2 * BLOCK];
        line[..MEMORY].copy_from_slice(&self.memory);
        line[MEMORY..][..pcm.len()].copy_from_slice(pcm);
        for index in 0..pcm.len() / 2 {
            let window = window(&line, 2 * index);
            low[index] = limit(dot(window, &LOW_TAPS) >> 14);
            high[index] = limit(dot(window, &HIGH_TAPS) >> 14);
        }
        self.memory.copy_from_slice(&line[pcm.len()..][..MEMORY]);
    }
}

#[inline(always)]
fn window<const N: usize>(line: &[i16], start: usize) -> &[i16; N] {
    let window = line[start..].first_chunk();
    window.expect("a line is as long as its block and its memory")
}

/// A sum of products in the shape of the vector instruction that multiplies
/// eight samples and adds them in pairs.
#[inline(always)]
fn dot<const N: usize>(window: &[i16; N], taps: &[i16; N]) -> i32 {
    let (window, _) = window.as_chunks::<8>();
    let (taps, _) = taps.as_chunks::<8>();
    let mut sums = [0; 4];
    for (x, h) in window.iter().zip(taps) {
        let product = |lane: usize| i32::from(x[lane]) * i32::from(h[lane]);
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += product(2 * lane) + product(2 * lane + 1);
        }
    }
    sums.iter().sum()
}

/// LIMIT of the recommendation: 15 bits.
#[inline(always)]
pub(super) fn limit(value: i32) -> i16 {
    value.clamp(-16384, 16383) as i16
}

/// Each output sample takes twelve taps; four of no weight before them make
/// whole vectors.
const PHASE_TAPS: usize = 16;
const PHASE_MEMORY: usize = PHASE_TAPS - 1;
const FIRST_PHASE: [i16; PHASE_TAPS] = phase(1);
const SECOND_PHASE: [i16; PHASE_TAPS] = phase(0);

const fn phase(offset: usize) -> [i16; PHASE_TAPS] {
    let mut taps = [0; PHASE_TAPS];
    let mut index = 0;
    while index < TAPS / 2 {
        taps[PHASE_TAPS - TAPS / 2 + index] = QMF[2 * index + offset];
        index += 1;
    }
    taps
}

/// Joins the two bands to 16 kHz.
#[derive(Debug, Clone)]
pub(super) struct Joiner {
    differences: [i16; PHASE_MEMORY],
    sums: [i16; PHASE_MEMORY],
}

/// A block of the two bands as the joiner takes them, after room for its memory.
#[derive(Debug)]
pub(super) struct Bands {
    differences: [i16; PHASE_MEMORY + BLOCK],
    sums: [i16; PHASE_MEMORY + BLOCK],
}

impl Bands {
    pub(super) const fn new() -> Bands {
        Bands {
            differences: [0; PHASE_MEMORY + BLOCK],
            sums: [0; PHASE_MEMORY + BLOCK],
        }
    }

    /// Both bands' samples have 15 bits, so that nothing overflows.
    #[inline(always)]
    pub(super) fn set(&mut self, index: usize, low: i16, high: i16) {
        self.differences[PHASE_MEMORY + index] = low - high;
        self.sums[PHASE_MEMORY + index] = low + high;
    }
}

impl Joiner {
    pub(super) const fn new() -> Joiner {
        Joiner {
            differences: [0; PHASE_MEMORY],
            sums: [0; PHASE_MEMORY],
        }
    }

    /// Gives two samples for each of the bands' first `pcm.len() / 2`.
    pub(super) fn join(&mut self, bands: &mut Bands, pcm: &mut [i16]) {
        bands.differences[..PHASE_MEMORY].copy_from_slice(&self.differences);
        bands.sums[..PHASE_MEMORY].copy_from_slice(&self.sums);
        let (pairs, _) = pcm.as_chunks_mut();
        let length = pairs.len();
        for (index, pair) in pairs.iter_mut().enumerate() {
            let first = dot(window(&bands.differences, index), &FIRST_PHASE);
            let second = dot(window(&bands.sums, index), &SECOND_PHASE);
            *pair = [first, second].map(|sum| saturate(sum >> 11) as i16);
        }
        let last = length..length + PHASE_MEMORY;
        self.differences
            .copy_from_slice(&bands.differences[last.clone()]);
        self.sums.copy_from_slice(&bands.sums[last]);
    }
}
