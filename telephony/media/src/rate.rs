//! The three rates at which sound is sampled here, and what a frame is.
//!
//! Narrowband for G.711, wideband for G.722 and mixing, fullband for Opus and
//! browsers. Not the clock of RTP, which is 8000 for G.722 too.
//!
//! Invariant: each rate divides the next one, and 20 ms are whole samples.

use std::time::Duration;

/// What sound is cut into, everywhere in this crate.
pub const FRAME: Duration = Duration::from_millis(20);

/// The samples of the longest frame.
pub const MAX_FRAME: usize = SampleRate::Hz48000.frame();

/// Samples per second of mono sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SampleRate {
    Hz8000,
    Hz16000,
    Hz48000,
}

impl SampleRate {
    pub const ALL: [SampleRate; 3] = [SampleRate::Hz8000, SampleRate::Hz16000, SampleRate::Hz48000];

    pub const fn hz(self) -> u32 {
        match self {
            SampleRate::Hz8000 => 8_000,
            SampleRate::Hz16000 => 16_000,
            SampleRate::Hz48000 => 48_000,
        }
    }

    /// Samples in 20 ms.
    pub const fn frame(self) -> usize {
        self.samples_in_ms(20)
    }

    pub const fn samples_in_ms(self, ms: usize) -> usize {
        self.hz() as usize / 1000 * ms
    }
}
