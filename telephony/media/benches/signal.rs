//! What the signal side costs per frame of 20 ms, on one core: the least of many rounds.
//!
//! `cargo bench -p media --bench signal`. Judges nothing; figures are for docs/performance.md.

#![expect(clippy::print_stdout, reason = "a bench says its figures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use media::SampleRate;
use media::resample::Resampler;

fn main() {
    resampling();
}

/// The least time that one call took, over rounds of a hundred.
fn cost(name: &str, mut once: impl FnMut()) {
    const CALLS: u32 = 100;
    let mut least = Duration::MAX;
    for _ in 0..200 {
        let start = Instant::now();
        for _ in 0..CALLS {
            once();
        }
        least = least.min(start.elapsed() / CALLS);
    }
    println!("{name:<40} {:>9.2} us", least.as_nanos() as f64 / 1000.0);
}

/// Something like speech: three tones that swell.
fn sound(rate: SampleRate) -> Vec<i16> {
    let frame = rate.frame();
    let hz = f64::from(rate.hz());
    let wave = |n: usize, tone: f64| (n as f64 / hz * tone * std::f64::consts::TAU).sin();
    (0..frame)
        .map(|n| ((wave(n, 150.0) + wave(n, 710.0) + wave(n, 1930.0)) * 6000.0) as i16)
        .collect()
}

fn resampling() {
    for from in SampleRate::ALL {
        for to in SampleRate::ALL.into_iter().filter(|to| *to != from) {
            let input = sound(from);
            let mut output = vec![0; to.frame()];
            let mut resampler = Resampler::new(from, to);
            let name = format!("resample {} to {}", from.hz(), to.hz());
            cost(&name, || {
                resampler.process(black_box(&input), black_box(&mut output));
            });
        }
    }
}
