//! From one sample rate to another: a polyphase low-pass (Kaiser window).
//!
//! Between 8 and 16 kHz, which is every call between G.711 and G.722, it is short: 8 zero crossings
//! to each side, so 1 ms; 0.3 dB down at 3.4 kHz and more than 45 dB down from 4.6 kHz on, where
//! ITU-T G.712 wants 25 dB of a telephone's own filter, and A-law has 38 dB above its noise.
//! docs/audio-quality.md says what each length costs.
//!
//! With 48 kHz at one end it is sharp: 32 zero crossings, 0.8 dB down at 0.9 of the lower band, more
//! than 90 dB down from 1.1 of it on. The delay is 32 samples of the lower rate, so 4 ms with 8 kHz
//! and 2 ms with 16 kHz.
//!
//! Made for calls: 20 ms in give 20 ms out, at once. Not for other ratios and
//! not for clocks that drift (see [`crate::jitter`]).
//!
//! Invariant: n input samples give exactly n times the ratio of output samples,
//! whatever the blocks are.

use std::time::Duration;

use crate::rate::SampleRate;
use crate::sine::sine;

static SIXFOLD: Tables<384> = Tables::new(6, Shape::SHARP);
static THREEFOLD: Tables<192> = Tables::new(3, Shape::SHARP);
static TWOFOLD: Tables<32> = Tables::new(2, Shape::SHORT);

/// What a low-pass is made of.
#[derive(Clone, Copy)]
struct Shape {
    /// Zero crossings of the sinc on each side of its middle.
    crossings: usize,
    /// Of the window.
    beta: f64,
    /// The corner, as a part of the lower rate's half.
    roll_off: f64,
}

impl Shape {
    const SHARP: Shape = Shape {
        crossings: 32,
        beta: 9.0,
        roll_off: 0.94,
    };

    const SHORT: Shape = Shape {
        crossings: 8,
        beta: 4.0,
        roll_off: 0.985,
    };

    /// Coefficients that meet one input sample's neighbourhood, per output sample.
    const fn phase(self) -> usize {
        2 * self.crossings
    }
}

/// One direction of one leg.
#[derive(Debug, Clone)]
pub struct Resampler {
    from: SampleRate,
    to: SampleRate,
    way: Way,
    /// What the filter still remembers, then room for 20 ms of input.
    samples: Vec<f32>,
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Same,
    /// So many output samples per input sample.
    Up(usize, &'static [f32]),
    /// So many input samples per output sample.
    Down(usize, &'static [f32]),
}

impl Resampler {
    pub fn new(from: SampleRate, to: SampleRate) -> Resampler {
        let way = way(from, to);
        let room = way.memory() + from.frame();
        Resampler {
            from,
            to,
            way,
            samples: vec![0.0; room],
        }
    }

    pub fn from(&self) -> SampleRate {
        self.from
    }

    pub fn to(&self) -> SampleRate {
        self.to
    }

    /// How much later a sound leaves than it came.
    pub fn delay(&self) -> Duration {
        let lower = self.from.min(self.to).hz();
        let crossings = self.way.phase() as u64 / 2;
        Duration::from_micros(crossings * 1_000_000 / u64::from(lower))
    }

    /// The output samples for so many input samples.
    pub fn output_len(&self, input: usize) -> usize {
        match self.way {
            Way::Same => input,
            Way::Up(ratio, _) => input * ratio,
            Way::Down(ratio, _) => input / ratio,
        }
    }

    /// Fills `output`, which must be as long as [`Resampler::output_len`] says;
    /// `input` must be whole steps of the ratio, as every frame is. What is over
    /// at either is left alone.
    pub fn process(&mut self, input: &[i16], output: &mut [i16]) {
        self.blocks(input, output, f32::from, to_i16);
    }

    /// The same for samples in floating point, on any scale.
    pub fn process_f32(&mut self, input: &[f32], output: &mut [f32]) {
        self.blocks(input, output, |sample| sample, |sample| sample);
    }

    /// Forgets what was heard: another speaker follows.
    pub fn reset(&mut self) {
        self.samples.fill(0.0);
    }

    fn blocks<S: Copy>(
        &mut self,
        input: &[S],
        output: &mut [S],
        read: impl Fn(S) -> f32,
        write: impl Fn(f32) -> S,
    ) {
        let frame = self.from.frame();
        let pairs = input
            .chunks(frame)
            .zip(output.chunks_mut(self.output_len(frame)));
        for (input, output) in pairs {
            match self.way {
                Way::Same => {
                    for (to, from) in output.iter_mut().zip(input) {
                        *to = *from;
                    }
                    continue;
                }
                Way::Up(ratio, taps) => {
                    let phase = self.way.phase();
                    let heard = self.hear(input, &read);
                    for (window, output) in heard.windows(phase).zip(output.chunks_mut(ratio)) {
                        for (sample, taps) in output.iter_mut().zip(taps.chunks_exact(phase)) {
                            *sample = write(dot(taps, window));
                        }
                    }
                }
                Way::Down(ratio, taps) => {
                    let heard = self.hear(input, &read);
                    let windows = heard.windows(taps.len()).step_by(ratio);
                    for (window, sample) in windows.zip(output) {
                        *sample = write(dot(taps, window));
                    }
                }
            }
            let memory = self.way.memory();
            self.samples
                .copy_within(input.len()..input.len() + memory, 0);
        }
    }

    /// The memory with `input` behind it.
    fn hear<S: Copy>(&mut self, input: &[S], read: impl Fn(S) -> f32) -> &[f32] {
        let memory = self.way.memory();
        let heard = &mut self.samples[..memory + input.len()];
        for (to, from) in heard[memory..].iter_mut().zip(input) {
            *to = read(*from);
        }
        heard
    }
}

impl Way {
    fn phase(self) -> usize {
        match self {
            Way::Same => 0,
            Way::Up(ratio, taps) | Way::Down(ratio, taps) => taps.len() / ratio,
        }
    }

    fn memory(self) -> usize {
        match self {
            Way::Same => 0,
            Way::Up(..) => self.phase() - 1,
            Way::Down(_, taps) => taps.len() - 1,
        }
    }
}

fn way(from: SampleRate, to: SampleRate) -> Way {
    use SampleRate::{Hz8000, Hz16000, Hz48000};
    match (from, to) {
        (Hz8000, Hz8000) | (Hz16000, Hz16000) | (Hz48000, Hz48000) => Way::Same,
        (Hz8000, Hz16000) => Way::Up(2, &TWOFOLD.up),
        (Hz8000, Hz48000) => Way::Up(6, &SIXFOLD.up),
        (Hz16000, Hz48000) => Way::Up(3, &THREEFOLD.up),
        (Hz16000, Hz8000) => Way::Down(2, &TWOFOLD.down),
        (Hz48000, Hz8000) => Way::Down(6, &SIXFOLD.down),
        (Hz48000, Hz16000) => Way::Down(3, &THREEFOLD.down),
    }
}

/// Sums that are made at once.
const LANES: usize = 16;

/// Sixteen sums side by side, so that the compiler may use vector registers
/// without changing the order of additions.
fn dot(taps: &[f32], window: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    for (taps, window) in taps.chunks_exact(LANES).zip(window.chunks_exact(LANES)) {
        for ((sum, tap), sample) in sums.iter_mut().zip(taps).zip(window) {
            *sum += tap * sample;
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

fn to_i16(sample: f32) -> i16 {
    // Adding this pushes the fraction out of the mantissa: rounding without a call.
    const ROUND: f32 = 12_582_912.0;
    let bounded = sample.clamp(f32::from(i16::MIN), f32::from(i16::MAX));
    ((bounded + ROUND).to_bits() as i32 - ROUND.to_bits() as i32) as i16
}

/// The low-pass for one ratio, as either direction reads it.
struct Tables<const TAPS: usize> {
    /// Phase after phase, each from the oldest sample to the newest.
    up: [f32; TAPS],
    /// From the oldest sample to the newest.
    down: [f32; TAPS],
}

impl<const TAPS: usize> Tables<TAPS> {
    const fn new(ratio: usize, shape: Shape) -> Tables<TAPS> {
        let taps = low_pass::<TAPS>(ratio, shape);
        let width = shape.phase();
        let mut tables = Tables {
            up: [0.0; TAPS],
            down: [0.0; TAPS],
        };
        let mut at = 0;
        while at < TAPS {
            let (phase, place) = (at / width, at % width);
            let tap = taps[phase + ratio * (width - 1 - place)];
            tables.up[at] = (tap * ratio as f64) as f32;
            tables.down[at] = taps[TAPS - 1 - at] as f32;
            at += 1;
        }
        tables
    }
}

/// Symmetric around its middle, which is a whole sample of the lower rate; so
/// the first coefficient has no partner and is nought. Their sum is one.
const fn low_pass<const TAPS: usize>(ratio: usize, shape: Shape) -> [f64; TAPS] {
    let width = shape.phase();
    assert!(TAPS == width * ratio, "a table holds each phase once");
    assert!(width.is_multiple_of(LANES), "no coefficient is left out");
    let mut taps = [0.0; TAPS];
    let middle = (TAPS / 2) as f64;
    let mut sum = 0.0;
    let mut at = 1;
    while at < TAPS {
        let distance = at as f64 - middle;
        let x = distance * shape.roll_off / ratio as f64;
        let sinc = if at == TAPS / 2 {
            1.0
        } else {
            sine(x / 2.0) / (std::f64::consts::PI * x)
        };
        let edge = distance / middle;
        taps[at] = sinc * bessel(shape.beta * shape.beta / 4.0 * (1.0 - edge * edge));
        sum += taps[at];
        at += 1;
    }
    let mut at = 0;
    while at < TAPS {
        taps[at] /= sum;
        at += 1;
    }
    taps
}

/// The modified Bessel function I0 of `x`, given the square of half of `x`.
const fn bessel(quarter_square: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    let mut n = 1;
    while n < 40 {
        term *= quarter_square / (n * n) as f64;
        sum += term;
        n += 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::SampleRate::{Hz8000, Hz16000, Hz48000};
    use super::*;

    const PAIRS: [(SampleRate, SampleRate); 6] = [
        (Hz8000, Hz16000),
        (Hz8000, Hz48000),
        (Hz16000, Hz48000),
        (Hz16000, Hz8000),
        (Hz48000, Hz8000),
        (Hz48000, Hz16000),
    ];

    fn tone(rate: SampleRate, hz: f64, amplitude: f64, frames: usize) -> Vec<f32> {
        let step = hz / f64::from(rate.hz());
        (0..rate.frame() * frames)
            .map(|n| (amplitude * sine(step * n as f64)) as f32)
            .collect()
    }

    /// Half a second of a tone through the resampler; without its beginning.
    fn heard(from: SampleRate, to: SampleRate, hz: f64) -> Vec<f64> {
        let input = tone(from, hz, 1.0, 25);
        let mut output = vec![0.0; to.frame() * 25];
        let mut resampler = Resampler::new(from, to);
        let blocks = input.chunks(from.frame());
        for (input, output) in blocks.zip(output.chunks_mut(to.frame())) {
            resampler.process_f32(input, output);
        }
        output[to.frame() * 5..]
            .iter()
            .map(|sample| f64::from(*sample))
            .collect()
    }

    /// (amplitude of the tone, amplitude of all else), by a fit of sine and cosine.
    fn split(samples: &[f64], rate: SampleRate, hz: f64) -> (f64, f64) {
        let step = hz / f64::from(rate.hz());
        let waves = |n: usize| (sine(step * n as f64), sine(step * n as f64 + 0.25));
        let (mut ss, mut sc, mut cc, mut xs, mut xc) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (n, x) in samples.iter().enumerate() {
            let (s, c) = waves(n);
            ss += s * s;
            sc += s * c;
            cc += c * c;
            xs += x * s;
            xc += x * c;
        }
        let det = ss * cc - sc * sc;
        let a = (xs * cc - xc * sc) / det;
        let b = (xc * ss - xs * sc) / det;
        let rest: f64 = samples
            .iter()
            .enumerate()
            .map(|(n, x)| {
                let (s, c) = waves(n);
                (x - a * s - b * c).powi(2)
            })
            .sum();
        let rest = (2.0 * rest / samples.len() as f64).sqrt();
        (a.hypot(b), rest)
    }

    fn db(ratio: f64) -> f64 {
        20.0 * ratio.log10()
    }

    const fn is_sharp((from, to): (SampleRate, SampleRate)) -> bool {
        matches!(from, Hz48000) || matches!(to, Hz48000)
    }

    #[test]
    fn between_g711_and_g722_the_telephone_band_passes_and_its_images_stay_below_the_noise() {
        for (from, to) in [(Hz8000, Hz16000), (Hz16000, Hz8000)] {
            for hz in [80.0, 500.0, 1000.0, 2000.0, 3000.0, 3400.0] {
                let (amplitude, rest) = split(&heard(from, to, hz), to, hz);
                let gain = db(amplitude);
                assert!(
                    (-0.35..0.1).contains(&gain),
                    "{from:?}, {hz} Hz: {gain:.2} dB"
                );
                let snr = db(amplitude / rest);
                assert!(snr >= 49.0, "{from:?}, {hz} Hz: {snr:.1} dB");
            }
        }
        for hz in [4600.0, 5000.0, 6400.0, 7600.0] {
            let output = heard(Hz16000, Hz8000, hz);
            let power: f64 = output.iter().map(|x| x * x).sum();
            let level = db((2.0 * power / output.len() as f64).sqrt());
            assert!(level <= -45.0, "{hz} Hz: {level:.1} dB");
        }
        let delay = Resampler::new(Hz16000, Hz8000).delay();
        assert_eq!(delay, Duration::from_millis(1));
    }

    #[test]
    fn tones_pass_clean_and_at_their_level() {
        for (from, to) in PAIRS.into_iter().filter(|pair| is_sharp(*pair)) {
            let band = f64::from(from.min(to).hz()) / 2.0;
            for part in [0.02, 0.1, 0.25, 0.5, 0.75, 0.85] {
                let hz = band * part;
                let (amplitude, rest) = split(&heard(from, to, hz), to, hz);
                let snr = db(amplitude / rest);
                assert!(snr >= 90.0, "{from:?} to {to:?}, {hz} Hz: {snr:.1} dB");
                let gain = db(amplitude);
                assert!(
                    gain.abs() < 0.1,
                    "{from:?} to {to:?}, {hz} Hz: {gain:.2} dB"
                );
            }
            let (amplitude, _) = split(&heard(from, to, band * 0.9), to, band * 0.9);
            assert!((-1.2..=0.0).contains(&db(amplitude)), "{from:?} to {to:?}");
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_does_not_come_back_as_an_alias() {
        let sharp = PAIRS.into_iter().filter(|pair| is_sharp(*pair));
        for (from, to) in sharp.filter(|(from, to)| from > to) {
            let band = f64::from(to.hz()) / 2.0;
            for part in [1.1, 1.25, 1.6, 1.9] {
                let output = heard(from, to, band * part);
                let power: f64 = output.iter().map(|x| x * x).sum();
                let level = db((2.0 * power / output.len() as f64).sqrt());
                assert!(level <= -90.0, "{from:?} to {to:?}, {part}: {level:.1} dB");
            }
        }
    }

    #[test]
    fn sixteen_bits_cost_no_more_than_their_own_noise() {
        for (from, to) in PAIRS {
            let input = tone(from, 1000.0, 30_000.0, 25);
            let input: Vec<i16> = input.iter().map(|x| x.round() as i16).collect();
            let mut output = vec![0i16; to.frame() * 25];
            Resampler::new(from, to).process(&input, &mut output);
            let steady: Vec<f64> = output[to.frame() * 5..]
                .iter()
                .map(|x| f64::from(*x))
                .collect();
            let (amplitude, rest) = split(&steady, to, 1000.0);
            let snr = db(amplitude / rest);
            // The image of the short filter is louder than the noise of sixteen bits.
            let least = if is_sharp((from, to)) { 90.0 } else { 49.0 };
            assert!(snr >= least, "{from:?} to {to:?}: {snr:.1} dB");
        }
    }

    #[test]
    fn the_delay_is_as_told() {
        for (from, to) in PAIRS {
            let mut input = vec![0.0; from.frame()];
            input[0] = 1.0;
            let mut output = vec![0.0; to.frame()];
            let mut resampler = Resampler::new(from, to);
            resampler.process_f32(&input, &mut output);
            let peak = (0..output.len()).max_by(|a, b| output[*a].total_cmp(&output[*b]));
            let at = peak.unwrap() as f64 / f64::from(to.hz());
            assert_eq!(
                Duration::from_secs_f64(at),
                resampler.delay(),
                "{from:?} to {to:?}"
            );
        }
    }

    #[test]
    fn blocks_of_any_size_give_the_same_samples() {
        for (from, to) in PAIRS {
            let input = tone(from, 777.0, 20_000.0, 3);
            let mut whole = vec![0.0; to.frame() * 3];
            Resampler::new(from, to).process_f32(&input, &mut whole);
            let mut pieces = vec![0.0; whole.len()];
            let mut resampler = Resampler::new(from, to);
            let (mut at, mut done) = (0, 0);
            for size in [6, 48, 12, 0, 96].into_iter().cycle() {
                let end = (at + size).min(input.len());
                let out = done + resampler.output_len(end - at);
                resampler.process_f32(&input[at..end], &mut pieces[done..out]);
                (at, done) = (end, out);
                if at == input.len() {
                    break;
                }
            }
            assert_eq!(pieces, whole, "{from:?} to {to:?}");
        }
    }

    #[test]
    fn equal_rates_copy_and_full_scale_does_not_wrap() {
        let mut resampler = Resampler::new(Hz16000, Hz16000);
        let input: Vec<i16> = (0..320).map(|n| n * 100).collect();
        let mut output = [0; 320];
        resampler.process(&input, &mut output);
        assert_eq!(output, *input);
        assert_eq!(resampler.delay(), Duration::ZERO);
        // A square wave overshoots when its upper harmonics are taken away.
        let square: Vec<i16> = (0..160)
            .map(|n| if n / 8 % 2 == 0 { i16::MAX } else { i16::MIN })
            .collect();
        let mut output = vec![0i16; 320];
        Resampler::new(Hz8000, Hz16000).process(&square, &mut output);
        for (n, pair) in output.windows(2).enumerate().skip(128) {
            let step = i32::from(pair[1]) - i32::from(pair[0]);
            assert!(step.abs() < 50_000, "wrapped at {n}");
        }
    }

    #[test]
    fn a_reset_forgets() {
        let mut resampler = Resampler::new(Hz8000, Hz48000);
        let mut output = vec![0i16; 960];
        resampler.process(&[20_000; 160], &mut output);
        resampler.reset();
        resampler.process(&[0; 160], &mut output);
        assert_eq!(output, vec![0; 960]);
    }
}
