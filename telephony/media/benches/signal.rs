//! What the signal side costs per frame of 20 ms, on one core: the least of many rounds.
//!
//! `cargo bench -p media --bench signal`. Judges nothing; figures are for docs/performance.md.

#![expect(clippy::print_stdout, reason = "a bench says its figures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use media::conceal::Concealer;
use media::dtmf::Detector;
use media::jitter::{Elastic, JitterBuffer, Packet, Setup, Wish};
use media::level::{Gain, Meter};
use media::mixer::{Ear, MAX_VOICES, Room};
use media::recording::{Layout, Recorder, Side};
use media::resample::Resampler;
use media::tones::{Generator, Region, Signal};
use media::{FRAME, SampleRate};

fn main() {
    resampling();
    jitter();
    sounds();
    rooms();
    recorder();
}

/// What a recorded call costs: both sides, decoded already.
fn recorder() {
    let rate = SampleRate::Hz16000;
    let frame = sound(rate);
    let mut now = Instant::now();
    let mut recorder = Recorder::new(Layout::Both, 1, &[], now).expect("an encoder");
    cost("record both sides of a call", || {
        for (source, side) in [(1, Side::Left), (2, Side::Right)] {
            recorder.hear(source, side, black_box(&frame), rate, now);
        }
        now += FRAME;
        black_box(recorder.take_written());
    });
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

fn jitter() {
    let mut now = Instant::now();
    let setup = Setup {
        clock_rate: 8000,
        redundant: false,
    };
    let mut buffer = JitterBuffer::new(setup, now);
    let mut sequence = 0i64;
    let payload = [0x55; 160];
    for (name, uneven) in [("even", 0), ("40 ms of jitter", 40)] {
        cost(&format!("jitter buffer, {name}"), || {
            let delay = Duration::from_millis((sequence as u64 * 7919) % (uneven + 1));
            let packet = Packet {
                epoch: 0,
                sequence,
                timestamp: sequence as u32 * 160,
                duration: 160,
                payload: black_box(&payload),
            };
            buffer.insert(&packet, now + delay);
            while let Some(step) = buffer.poll(now + delay) {
                black_box(step);
            }
            sequence += 1;
            now += FRAME;
        });
    }
}

fn sounds() {
    for rate in [SampleRate::Hz8000, SampleRate::Hz16000] {
        let hz = rate.hz();
        let input = sound(rate);
        let mut frame = input.clone();
        let mut concealer = Concealer::new(rate, 1);
        cost(&format!("conceal, nothing lost, {hz}"), || {
            frame.copy_from_slice(&input);
            concealer.good(black_box(&mut frame));
        });
        cost(&format!("conceal, each second lost, {hz}"), || {
            frame.copy_from_slice(&input);
            concealer.good(black_box(&mut frame));
            concealer.lost(black_box(&mut frame));
        });
        for wish in [Wish::Keep, Wish::Shorten] {
            let mut elastic = Elastic::new(rate);
            cost(&format!("elastic, {wish:?}, {hz}"), || {
                elastic.push(black_box(&input), wish);
                elastic.pull(black_box(&mut frame));
            });
        }
        let mut detector = Detector::new(rate);
        cost(&format!("keys in the sound, {hz}"), || {
            detector.hear(black_box(&input), |event| {
                black_box(event);
            });
        });
        let mut generator = Generator::new(Signal::Hold.tone(Region::NorthAmerica), rate);
        cost(&format!("hold tone, {hz}"), || {
            generator.fill(black_box(&mut frame));
        });
        let mut busy = Generator::new(Signal::Busy.tone(Region::NorthAmerica), rate);
        cost(&format!("busy tone of two, {hz}"), || {
            busy.fill(black_box(&mut frame));
        });
        let mut gain = Gain::default();
        gain.set_db(-3.0);
        cost(&format!("gain, {hz}"), || gain.apply(black_box(&mut frame)));
        let mut meter = Meter::default();
        cost(&format!("meter, {hz}"), || {
            meter.add(black_box(&input));
            black_box(meter);
        });
    }
}

fn rooms() {
    let mut voice = [0; 320];
    voice.copy_from_slice(&sound(SampleRate::Hz16000));
    let mut ears = [Ear::default(); MAX_VOICES];
    let mut heard = [0; 320];
    for parties in [2, 5, 16, 64] {
        cost(&format!("room of {parties}, all speak"), || {
            let mut room = Room::default();
            for _ in 0..parties {
                room.add(black_box(&voice));
            }
            for ear in &mut ears[..parties] {
                room.hear(ear, Some(black_box(&voice)), black_box(&mut heard));
            }
        });
    }
}
