//! What each enhancement costs per frame of 20 ms, on one core: the least of many rounds.
//!
//! `cargo bench -p enhancement`. Judges nothing; figures are for docs/performance.md.

#![expect(clippy::print_stdout, reason = "a bench says its figures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use enhancement::{echo_control, noise_suppressor};
use media::SampleRate;
use media::mixer;

/// A second of sound, so that the controls have something to follow.
const FRAMES: usize = 50;

fn main() {
    for rate in SampleRate::ALL {
        let said = sound(rate, 5);
        let mut suppressor = noise_suppressor(rate);
        cost(
            &format!("suppress noise, {}", rate.hz()),
            rate,
            |n, frame| {
                frame.copy_from_slice(&said[n * rate.frame()..][..rate.frame()]);
                suppressor.process(black_box(frame));
            },
        );
    }
    let told = sound(mixer::RATE, 7);
    for rate in SampleRate::ALL {
        let said = sound(rate, 7);
        let mut control = echo_control(rate);
        cost(&format!("control echo, {}", rate.hz()), rate, |n, frame| {
            frame.copy_from_slice(&said[n * rate.frame()..][..rate.frame()]);
            let told = &told[n * mixer::RATE.frame()..][..mixer::RATE.frame()];
            control.process(black_box(told), black_box(frame));
        });
    }
}

/// The least time that one frame took, over rounds of a second of sound.
fn cost(name: &str, rate: SampleRate, mut once: impl FnMut(usize, &mut [i16])) {
    let mut frame = vec![0; rate.frame()];
    let mut least = Duration::MAX;
    for _ in 0..200 {
        let start = Instant::now();
        for n in 0..FRAMES {
            once(n, &mut frame);
        }
        least = least.min(start.elapsed() / FRAMES as u32);
    }
    println!("{name:<40} {:>9.2} us", least.as_nanos() as f64 / 1000.0);
}

/// Syllables of noise, five in a second.
fn sound(rate: SampleRate, seed: u32) -> Vec<i16> {
    let mut random = seed;
    let mut low = 0.0;
    let syllable = rate.hz() as usize / 5;
    let samples = (0..rate.frame() * FRAMES).map(|n| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        low = 0.8 * low + 0.2 * (f64::from(random >> 8) / f64::from(1 << 23) - 1.0);
        let swing = (std::f64::consts::PI * (n % syllable) as f64 / syllable as f64).sin();
        (low * swing * 20_000.0) as i16
    });
    samples.collect()
}
