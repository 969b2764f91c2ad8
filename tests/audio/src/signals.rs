//! Sounds that are not speech, for what speech does not show: sweeps for the bandwidth, trains of
//! chirps for delay and gaps.

use std::f64::consts::TAU;

use crate::wav::Sound;

const LOUD: f64 = 8_000.0;

/// Chirps follow each other without a pause, eight in a second, then a pause.
const CHIRP_MS: usize = 100;
const CHIRPS: usize = 8;

/// Above and below where a chirp is expected; farther if it is not found there.
const NEAR_MS: usize = 2;
const FAR_MS: usize = 45;

/// What is less like a chirp is none.
const ALIKE: f64 = 0.7;

/// A tone that rises evenly from the one frequency to the other.
pub fn sweep(rate: u32, band: (f64, f64), seconds: f64) -> Sound {
    let samples = rising(rate, band, (f64::from(rate) * seconds) as usize);
    Sound { rate, samples }
}

/// A train of chirps between 300 and 3000 Hz.
pub fn chirps(rate: u32, seconds: usize) -> Sound {
    let second = second_of_chirps(rate);
    Sound {
        rate,
        samples: second.repeat(seconds),
    }
}

/// Where a chirp came, and how much it was like itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Samples from the beginning of the train as it was sent.
    pub sent_at: usize,
    /// Samples from the beginning of what was heard.
    pub heard_at: usize,
    /// 1: the same.
    pub likeness: f64,
}

/// Finds the chirps of so many seconds again, each near where the one before lets expect it; up to
/// the first one that is not there at all.
pub fn find_chirps(heard: &Sound, seconds: usize) -> Vec<Found> {
    let second = second_of_chirps(heard.rate);
    let per_ms = heard.rate as usize / 1000;
    let len = CHIRP_MS * per_ms;
    let mut shift = 0;
    let mut found: Vec<Found> = Vec::new();
    for number in 0..seconds {
        for chirp in 0..CHIRPS {
            let sent_at = number * second.len() + chirp * len;
            let pattern = &second[chirp * len..][..len];
            let within = |ms: usize| find(pattern, &heard.samples, sent_at + shift, ms * per_ms);
            let near = within(NEAR_MS).filter(|(_, likeness)| *likeness > ALIKE);
            let Some((heard_at, likeness)) = near.or_else(|| within(FAR_MS)) else {
                return found;
            };
            shift = heard_at.saturating_sub(sent_at);
            found.push(Found {
                sent_at,
                heard_at,
                likeness,
            });
        }
    }
    found
}

/// The place most like the pattern, at most so far from where it is expected.
fn find(pattern: &[i16], heard: &[i16], expected: usize, search: usize) -> Option<(usize, f64)> {
    let places = expected.saturating_sub(search)..=expected + search;
    places
        .filter_map(|at| Some((at, likeness(pattern, heard.get(at..at + pattern.len())?))))
        .max_by(|a, b| a.1.total_cmp(&b.1))
}

/// The power at each 50 Hz, in every 20 ms.
#[derive(Debug)]
pub struct Spectrum(Vec<Vec<f64>>);

impl Spectrum {
    pub fn of(sound: &Sound) -> Spectrum {
        let len = sound.rate as usize / 50;
        let turn: Vec<f64> = (0..len).map(|n| TAU * n as f64 / len as f64).collect();
        let waves: Vec<(f64, f64)> = turn.iter().map(|angle| angle.sin_cos()).collect();
        let window = turn.iter().map(|angle| 0.5 - 0.5 * angle.cos());
        let window: Vec<f64> = window.map(|weight| weight / 32_768.0).collect();
        let power = |frame: &[f64], bin: usize| {
            let (mut real, mut imaginary) = (0.0, 0.0);
            let mut at = 0;
            for sample in frame {
                let (sine, cosine) = waves[at];
                real += sample * cosine;
                imaginary += sample * sine;
                at = (at + bin) % len;
            }
            // The window takes half of the amplitude, and spreads a tone over 1.5 bins.
            (real * real + imaginary * imaginary) * 8.0 / 1.5 / (len * len) as f64
        };
        let of_frame = |frame: &[i16]| {
            let windowed = frame.iter().zip(&window);
            let windowed: Vec<f64> = windowed.map(|(x, w)| f64::from(*x) * w).collect();
            (0..len / 2).map(|bin| power(&windowed, bin)).collect()
        };
        Spectrum(sound.samples.chunks_exact(len).map(of_frame).collect())
    }

    /// The power between two frequencies, in dBov: the greatest of any 20 ms.
    pub fn loudest_between(&self, low: f64, high: f64) -> f64 {
        let bin = |hertz: f64| (hertz / 50.0) as usize;
        let powers = self.0.iter().map(|frame| {
            let until = bin(high).min(frame.len());
            frame[bin(low).min(until)..until].iter().sum::<f64>()
        });
        10.0 * powers.fold(1e-12, f64::max).log10()
    }
}

fn second_of_chirps(rate: u32) -> Vec<i16> {
    let len = rate as usize * CHIRP_MS / 1000;
    let mut second = Vec::with_capacity(rate as usize);
    for chirp in 0..CHIRPS {
        // By turns up and down, or the end of one would look like the next.
        let band = match chirp % 2 {
            0 => (300.0, 3000.0),
            _ => (3000.0, 300.0),
        };
        second.extend(rising(rate, band, len));
    }
    second.resize(rate as usize, 0);
    second
}

fn rising(rate: u32, (low, high): (f64, f64), len: usize) -> Vec<i16> {
    let seconds = len as f64 / f64::from(rate);
    (0..len)
        .map(|n| {
            let at = n as f64 / f64::from(rate);
            let turns = low * at + (high - low) * at * at / (2.0 * seconds);
            ((TAU * turns).sin() * LOUD) as i16
        })
        .collect()
}

fn likeness(a: &[i16], b: &[i16]) -> f64 {
    let (mut both, mut one, mut other) = (0i64, 0i64, 0i64);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (i64::from(*a), i64::from(*b));
        both += a * b;
        one += a * a;
        other += b * b;
    }
    both as f64 / (one as f64 * other as f64).sqrt().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chirps_are_found_where_they_are_and_a_hole_makes_one_unlike_itself() {
        let mut train = chirps(8_000, 3);
        let found = find_chirps(&train, 3);
        assert_eq!(found.len(), 3 * CHIRPS);
        assert!(
            found
                .iter()
                .all(|f| f.sent_at == f.heard_at && f.likeness > 0.999)
        );
        train.samples[1200..1360].fill(0);
        train.samples.splice(0..0, [0; 60]);
        let found = find_chirps(&train, 3);
        assert!(found.iter().all(|f| f.heard_at == f.sent_at + 60));
        assert!(found[1].likeness < 0.95 && found[2].likeness > 0.999);
    }

    #[test]
    fn a_tone_has_its_power_in_its_band_alone() {
        let tone = Sound {
            rate: 16_000,
            samples: rising(16_000, (1000.0, 1000.0), 16_000),
        };
        // Half of the square of the amplitude.
        let expected = 10.0 * ((LOUD / 32_768.0).powi(2) / 2.0).log10();
        let spectrum = Spectrum::of(&tone);
        assert!((spectrum.loudest_between(800.0, 1200.0) - expected).abs() < 0.1);
        assert!(spectrum.loudest_between(2000.0, 8000.0) < -80.0);
    }
}
