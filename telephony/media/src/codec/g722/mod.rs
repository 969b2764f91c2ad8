//! G.722 at 64 kbit/s (ITU-T G.722, 09/2012): 16 kHz in two bands of ADPCM.
//!
//! Bit-exact against the ITU's reference, also where it overloads: both bands
//! are limited to 15 bits after the transmit filter, and the quantisers start
//! at scales of 32 and 8 in both directions. Implementations that miss one of
//! these sound the same to most listeners, which is how they stay wrong; so the
//! tests compare octets. The modes of 56 and 48 kbit/s, which take bits away
//! for data, are not used over RTP and are absent.
//!
//! A block is worked on in two passes, the filter bank over whole vectors and
//! then the two bands side by side, because each band alone is one long chain
//! of dependent steps that leaves most of a core idle.

mod filter_bank;
mod predictor;
mod tables;
mod zeros;

use filter_bank::{Bands, Joiner, MEMORY, Splitter, limit};
use predictor::Predictor;
use tables::{HIGH_BY_CODE, LOW_BY_CODE, LOW_BY_MAGNITUDE, LOW_SCALES};
use tables::{Level, SCALES, Scale, low_magnitude};

/// Pairs of samples worked on at once.
const BLOCK: usize = 80;

/// By so many samples sound that is encoded and decoded comes later: both filter banks together.
pub(super) const DELAY: usize = MEMORY;

/// 16 kHz to octets, one for two samples.
#[derive(Debug, Clone)]
pub(super) struct Encoder {
    splitter: Splitter,
    low: Band<LOW>,
    high: Band<HIGH>,
}

impl Encoder {
    pub(super) fn new() -> Encoder {
        Encoder {
            splitter: Splitter::new(),
            low: Band::new(),
            high: Band::new(),
        }
    }

    /// Fills as much of `payload` as there are pairs in `pcm`.
    pub(super) fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) {
        for (pcm, payload) in pcm.chunks(2 * BLOCK).zip(payload.chunks_mut(BLOCK)) {
            let mut low = [0; BLOCK];
            let mut high = [0; BLOCK];
            self.splitter.split(pcm, &mut low, &mut high);
            // Copies, so that the bands' state stays in registers.
            let mut low_band = self.low;
            let mut high_band = self.high;
            for ((octet, low), high) in payload.iter_mut().zip(&low).zip(&high) {
                *octet = low_band.encode(*low) | high_band.encode(*high) << 6;
            }
            self.low = low_band;
            self.high = high_band;
        }
    }
}

/// Octets to 16 kHz, two samples for one.
#[derive(Debug, Clone)]
pub(super) struct Decoder {
    low: Band<LOW>,
    high: Band<HIGH>,
    joiner: Joiner,
}

impl Decoder {
    pub(super) fn new() -> Decoder {
        Decoder {
            low: Band::new(),
            high: Band::new(),
            joiner: Joiner::new(),
        }
    }

    /// Fills as many pairs of `pcm` as there are octets. Any octets are speech.
    pub(super) fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) {
        for (payload, pcm) in payload.chunks(BLOCK).zip(pcm.chunks_mut(2 * BLOCK)) {
            let mut bands = Bands::new();
            let mut low_band = self.low;
            let mut high_band = self.high;
            for (index, octet) in payload.iter().enumerate() {
                let low = low_band.decode(octet & 63);
                let high = high_band.decode(octet >> 6);
                bands.set(index, low, high);
            }
            self.low = low_band;
            self.high = high_band;
            self.joiner.join(&mut bands, pcm);
        }
    }
}

impl Decoder {
    /// Moves on as if the lost payload had come, given what was heard in its place and how that
    /// goes on: what the encoder has learnt meanwhile is learnt from the invention. Else the next
    /// payload would be decoded by scales and predictions of before the gap, which rustles.
    pub(super) fn follow(&mut self, heard: &[i16], beyond: &[i16; DELAY]) {
        let mut sound = heard.iter().chain(beyond).copied();
        // The bands are ahead of what was heard.
        let mut splitter =
            Splitter::after(std::array::from_fn(|_| sound.next().unwrap_or_default()));
        let mut pcm = [0; 2 * BLOCK];
        for block in heard.chunks(2 * BLOCK) {
            let len = block.len() & !1;
            let pcm = &mut pcm[..len];
            pcm.fill_with(|| sound.next().unwrap_or_default());
            let (mut low, mut high) = ([0; BLOCK], [0; BLOCK]);
            splitter.split(pcm, &mut low, &mut high);
            let mut bands = Bands::new();
            for (index, (low, high)) in low.iter().zip(&high).take(len / 2).enumerate() {
                // The encoder of a copy says what the true encoder might have sent.
                let (mut low_band, mut high_band) = (self.low, self.high);
                let low = self.low.decode(low_band.encode(*low));
                let high = self.high.decode(high_band.encode(*high));
                bands.set(index, low, high);
            }
            self.joiner.join(&mut bands, pcm);
        }
    }
}

const LOW: bool = false;
const HIGH: bool = true;

/// One band in one direction: the predictor and the scale of its quantiser.
#[derive(Debug, Clone, Copy)]
struct Band<const WHICH: bool> {
    predictor: Predictor,
    /// NBL and NBH: the logarithm of the scale.
    logarithm: i32,
}

impl<const WHICH: bool> Band<WHICH> {
    fn new() -> Self {
        Band {
            predictor: Predictor::new(),
            logarithm: 0,
        }
    }

    #[inline(always)]
    fn scale(&self) -> &'static Scale {
        let smallest = if WHICH == HIGH { 0 } else { LOW_SCALES };
        &SCALES[smallest + (self.logarithm >> 6) as usize]
    }

    /// LOGSCL and LOGSCH.
    #[inline(always)]
    fn rescale(&mut self, level: Level) {
        let longest = if WHICH == HIGH { 22528 } else { 18432 };
        let leaked = (self.logarithm * 127) >> 7;
        self.logarithm = (leaked + i32::from(level.scale_step)).clamp(0, longest);
    }

    /// Moves the state by one level; gives the reconstructed sample.
    #[inline(always)]
    fn adapt(&mut self, scale: &Scale, level: Level) -> i32 {
        let difference = (scale.linear * i32::from(level.coarse)) >> 15;
        self.rescale(level);
        self.predictor.adapt(difference, scale.linear)
    }
}

impl Band<LOW> {
    #[inline(always)]
    fn encode(&mut self, sample: i16) -> u8 {
        let scale = self.scale();
        let difference = i32::from(sample) - self.predictor.prediction;
        let sign = difference >> 31;
        let magnitude = low_magnitude(difference ^ sign, scale);
        let level = LOW_BY_MAGNITUDE[magnitude | (sign & 32) as usize];
        self.adapt(scale, level);
        level.code
    }

    #[inline(always)]
    fn decode(&mut self, code: u8) -> i16 {
        let scale = self.scale();
        let level = LOW_BY_CODE[usize::from(code & 63)];
        let fine = (scale.linear * i32::from(level.fine)) >> 15;
        let sample = limit(self.predictor.prediction + fine);
        self.adapt(scale, level);
        sample
    }
}

impl Band<HIGH> {
    /// QUANTH.
    #[inline(always)]
    fn encode(&mut self, sample: i16) -> u8 {
        let scale = self.scale();
        let difference = i32::from(sample) - self.predictor.prediction;
        let sign = difference >> 31;
        let small = u8::from((difference ^ sign) < scale.high_decision);
        let level = HIGH_BY_CODE[usize::from((2 & !sign) as u8 | small)];
        self.adapt(scale, level);
        level.code
    }

    #[inline(always)]
    fn decode(&mut self, code: u8) -> i16 {
        let scale = self.scale();
        let level = HIGH_BY_CODE[usize::from(code & 3)];
        limit(self.adapt(scale, level))
    }
}
