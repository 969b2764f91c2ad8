//! How loud sound is, and making it louder or softer without clipping.
//!
//! Levels are in dBov as RTP knows them (RFC 6465: 0 is a square wave at full
//! scale, a full sine is -3). Not an automatic gain: it never raises anything
//! by itself.
//!
//! Invariant: what comes out never wraps; steps of gain are ramps, so they do
//! not click.

/// Silence, and everything below.
pub const FLOOR_DBOV: f32 = -127.0;

/// 0 dBov.
const FULL_SCALE: f32 = 32_768.0;

/// 1 dB below full scale. What would be above is made softer as a whole.
const CEILING: f32 = 29_204.0;

/// How much of itself the limiter's gain regains per frame: 40 dB in a second.
const RELEASE: f32 = 1.096;

/// A ramp to a new gain is a frame long, one that saves from clipping an eighth.
const ATTACK: usize = 8;

/// The loudness of a frame.
pub fn dbov(samples: &[i16]) -> f32 {
    dbov_of(power(samples))
}

/// The mean square of a frame.
pub(crate) fn power(samples: &[i16]) -> f32 {
    let square = |sample: &i16| i64::from(i32::from(*sample) * i32::from(*sample));
    let sum: i64 = samples.iter().map(square).sum();
    (sum as f64 / samples.len().max(1) as f64) as f32
}

/// The loudness of a mean square.
pub(crate) fn dbov_of(power: f32) -> f32 {
    let level = 10.0 * (power / (FULL_SCALE * FULL_SCALE)).log10();
    level.max(FLOOR_DBOV)
}

/// The amplitude of a sine of so many dBov.
pub fn sine_amplitude(dbov: f32) -> f32 {
    FULL_SCALE * std::f32::consts::SQRT_2 * 10f32.powf(dbov / 20.0)
}

/// A level meter for people: jumps up at once, falls slowly enough to be read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Meter {
    level: f32,
    peak: i16,
    clipped: u64,
}

impl Default for Meter {
    fn default() -> Meter {
        Meter {
            level: FLOOR_DBOV,
            peak: 0,
            clipped: 0,
        }
    }
}

impl Meter {
    /// What the needle falls per frame: 20 dB in a second.
    const FALL: f32 = 0.4;

    /// Takes a frame of 20 ms.
    pub fn add(&mut self, frame: &[i16]) {
        self.level = dbov(frame).max(self.level - Meter::FALL).max(FLOOR_DBOV);
        for sample in frame {
            self.peak = self.peak.max(sample.saturating_abs());
        }
        let full = |sample: &&i16| **sample == i16::MAX || **sample == i16::MIN;
        self.clipped += frame.iter().filter(full).count() as u64;
    }

    pub fn dbov(&self) -> f32 {
        self.level
    }

    /// The highest sample since the last question, in dBFS (0: full scale).
    pub fn take_peak_dbfs(&mut self) -> f32 {
        let peak = f32::from(std::mem::take(&mut self.peak)) / f32::from(i16::MAX);
        (20.0 * peak.log10()).max(FLOOR_DBOV)
    }

    /// Samples that stood at full scale; more than a few mean distortion.
    pub fn clipped(&self) -> u64 {
        self.clipped
    }
}

/// Volume and mute of one leg.
#[derive(Debug, Clone)]
pub struct Gain {
    wanted: f32,
    muted: bool,
    current: f32,
    limiter: Limiter,
}

impl Default for Gain {
    fn default() -> Gain {
        Gain {
            wanted: 1.0,
            muted: false,
            current: 1.0,
            limiter: Limiter::default(),
        }
    }
}

impl Gain {
    /// Above, only noise gets louder.
    pub const MAX_DB: f32 = 30.0;

    pub fn set_db(&mut self, db: f32) {
        self.wanted = 10f32.powf(db.clamp(FLOOR_DBOV, Gain::MAX_DB) / 20.0);
    }

    pub fn mute(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// Whether a frame stays as it is.
    pub fn changes_nothing(&self) -> bool {
        self.goal() == 1.0 && self.current == 1.0 && self.limiter.rests()
    }

    fn goal(&self) -> f32 {
        if self.muted { 0.0 } else { self.wanted }
    }

    /// Changes a frame in place.
    pub fn apply(&mut self, frame: &mut [i16]) {
        if self.changes_nothing() {
            return;
        }
        let goal = self.goal();
        let step = (goal - self.current) / frame.len().max(1) as f32;
        let start = self.current;
        self.current = goal;
        let louder =
            |n: usize, sample: i16| (f32::from(sample) * (start + step * (n + 1) as f32)) as i32;
        let mut peak = 0;
        for (n, sample) in frame.iter().enumerate() {
            peak = peak.max(louder(n, *sample).saturating_abs());
        }
        let mut slope = self.limiter.slope(peak, frame.len());
        for (n, sample) in frame.iter_mut().enumerate() {
            *sample = slope.next(louder(n, *sample));
        }
    }
}

/// Keeps what is too loud below full scale by making it softer, frame by frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limiter {
    gain: f32,
}

impl Default for Limiter {
    fn default() -> Limiter {
        Limiter { gain: 1.0 }
    }
}

impl Limiter {
    pub(crate) fn rests(&self) -> bool {
        self.gain == 1.0
    }

    /// The gains for a frame whose highest sample is `peak`.
    pub(crate) fn slope(&mut self, peak: i32, len: usize) -> Slope {
        let fitting = (CEILING / peak.max(1) as f32).min(1.0);
        let start = self.gain;
        let falls = fitting < start;
        self.gain = if falls {
            fitting
        } else {
            fitting.min(start * RELEASE)
        };
        let ramp = if falls { len / ATTACK } else { len }.max(1);
        Slope {
            gain: start,
            step: (self.gain - start) / ramp as f32,
            ramp,
            end: self.gain,
        }
    }
}

/// The limiter's gain from sample to sample.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slope {
    gain: f32,
    step: f32,
    ramp: usize,
    end: f32,
}

impl Slope {
    /// Nothing is to be made softer in this frame.
    pub(crate) fn is_flat(&self) -> bool {
        self.gain == 1.0 && self.end == 1.0
    }

    pub(crate) fn next(&mut self, sample: i32) -> i16 {
        match self.ramp {
            0 => self.gain = self.end,
            _ => {
                self.ramp -= 1;
                self.gain += self.step;
            }
        }
        // A cast saturates.
        (sample as f32 * self.gain) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sine::sine;

    fn tone(amplitude: f64) -> Vec<i16> {
        (0..320)
            .map(|n| (amplitude * sine(f64::from(n) / 40.0)).round() as i16)
            .collect()
    }

    #[test]
    fn levels_are_those_of_the_standard() {
        assert!((dbov(&tone(32_767.0)) + 3.01).abs() < 0.01);
        assert!((dbov(&[i16::MIN; 160])).abs() < 0.001);
        assert!((dbov(&tone(327.67)) + 43.01).abs() < 0.02);
        assert_eq!(dbov(&[0; 160]), FLOOR_DBOV);
        assert_eq!(dbov(&[]), FLOOR_DBOV);
        assert!((sine_amplitude(-3.01) - 32_768.0).abs() < 20.0);
    }

    #[test]
    fn the_meter_rises_at_once_and_falls_slowly() {
        let mut meter = Meter::default();
        meter.add(&tone(32_767.0));
        assert!((meter.dbov() + 3.0).abs() < 0.1);
        assert!(meter.take_peak_dbfs().abs() < 0.01);
        assert_eq!(meter.take_peak_dbfs(), FLOOR_DBOV);
        for _ in 0..50 {
            meter.add(&[0; 320]);
        }
        assert!((meter.dbov() + 23.0).abs() < 0.5, "{}", meter.dbov());
        assert!(meter.clipped() > 0);
    }

    #[test]
    fn gain_is_exact_where_there_is_room() {
        let mut gain = Gain::default();
        let mut frame = tone(1000.0);
        gain.apply(&mut frame);
        assert_eq!(frame, tone(1000.0), "untouched at 0 dB");
        gain.set_db(-6.0206);
        for _ in 0..2 {
            frame = tone(1000.0);
            gain.apply(&mut frame);
        }
        assert!((dbov(&frame) - dbov(&tone(500.0))).abs() < 0.02);
    }

    #[test]
    fn too_much_gain_gets_softer_instead_of_clipping() {
        let mut gain = Gain::default();
        gain.set_db(20.0);
        let mut frame = Vec::new();
        for _ in 0..10 {
            frame = tone(20_000.0);
            gain.apply(&mut frame);
        }
        let peak = frame.iter().map(|s| s.saturating_abs()).max().unwrap();
        assert!((28_000..30_000).contains(&peak), "{peak}");
        // Still a sine: what a clipped one adds in harmonics is not there.
        let clean = tone(f64::from(peak));
        for (found, expected) in frame.iter().zip(&clean) {
            assert!(found.abs_diff(*expected) < 60);
        }
        // And soft sound is soon as loud as wanted again.
        for _ in 0..60 {
            frame = tone(1000.0);
            gain.apply(&mut frame);
        }
        assert!((dbov(&frame) - dbov(&tone(10_000.0))).abs() < 0.05);
    }

    #[test]
    fn mute_is_silence_and_neither_edge_clicks() {
        let mut gain = Gain::default();
        let mut all = Vec::new();
        for (frames, muted) in [(2, false), (2, true), (2, false)] {
            gain.mute(muted);
            for _ in 0..frames {
                let mut frame = tone(10_000.0);
                gain.apply(&mut frame);
                all.extend(frame);
            }
        }
        assert!(all[3 * 320..4 * 320].iter().all(|sample| *sample == 0));
        let largest = 10_000.0 * std::f64::consts::TAU / 40.0 * 1.1;
        for pair in all.windows(2) {
            assert!(f64::from(pair[0].abs_diff(pair[1])) < largest);
        }
        assert_eq!(all[5 * 320..], tone(10_000.0));
    }

    #[test]
    fn nothing_wraps_whatever_the_gain() {
        let mut gain = Gain::default();
        for db in [f32::INFINITY, 400.0, -400.0, f32::NEG_INFINITY] {
            gain.set_db(db);
            let mut frame = [i16::MIN, i16::MAX, -1, 0, 1];
            gain.apply(&mut frame);
            gain.apply(&mut []);
            assert!(frame[0] <= 0 && frame[1] >= 0);
        }
    }
}
