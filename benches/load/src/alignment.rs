//! How late transcoded sound is, found in the sound itself.
//!
//! A transcoder makes new packets, so no stamp survives in them. What was received is decoded and
//! laid over what was said; the place where they fit tells which packet's sound each one carries.
//! What the codecs themselves delay, without anything between them, is measured in the same way
//! and taken off: what is left is the program's.

use std::time::Duration;

use crate::material::{COMPLEXITY, Codec, FRAME, Material, bridged, heard};
use anyhow::Result;

/// Sound that is compared, and the latest that it may come.
const WINDOW: usize = 32_000;
const LATEST: usize = 8_000;

/// When packets of 20 ms were sent, from the first on, and at which packet of the loop it began.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) begins_at: usize,
    pub(crate) at: Vec<Duration>,
}

/// What was received without a gap: the packets and their times.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) at: Vec<Duration>,
    pub(crate) payloads: Vec<Vec<u8>>,
}

/// The delay of each received packet above that of the codecs; empty where the sound is not found.
pub(crate) fn added(
    material: &Material,
    to: Codec,
    said: &Said,
    received: &Received,
    codecs: usize,
) -> Result<Vec<Duration>> {
    let heard = heard(to, &received.payloads)?;
    let Some(first) = received.at.first() else {
        return Ok(Vec::new());
    };
    // Nothing that was said after the first packet came can be in it.
    let known = said.at.iter().take_while(|at| *at <= first).count() * FRAME;
    let sound = |position: usize| {
        let length = material.sound.len();
        material.sound[(said.begins_at * FRAME + position) % length]
    };
    let Some(start) = place(&heard, known.saturating_sub(LATEST)..known, sound) else {
        return Ok(Vec::new());
    };
    let mut delays = Vec::new();
    for (packet, at) in received.at.iter().enumerate() {
        let position = start + codecs + packet * FRAME;
        let (index, rest) = (position / FRAME, position % FRAME);
        if let Some(said) = said.at.get(index) {
            let rest = Duration::from_micros((rest * 1_000_000 / 16_000) as u64);
            delays.push(at.saturating_sub(*said + rest));
        }
    }
    Ok(delays)
}

/// The delay of both codecs and nothing else, in samples at 16 kHz.
pub(crate) fn of_codecs(material: &Material, to: Codec) -> Result<usize> {
    let heard = heard(to, &bridged(material, to, COMPLEXITY)?)?;
    // Skips the start, where the codecs find their feet.
    let skipped = 50 * FRAME;
    let sound = |position: usize| material.sound.get(position).copied().unwrap_or(0);
    let range = skipped - LATEST..skipped + 1;
    let found = place(&heard[skipped..], range, sound);
    Ok(skipped - found.unwrap_or(skipped))
}

/// Where in the sound that was said the received sound begins: the place of the highest
/// correlation. `None`: it is not that sound.
fn place(
    heard: &[i16],
    candidates: std::ops::Range<usize>,
    said: impl Fn(usize) -> i16,
) -> Option<usize> {
    let heard: Vec<f32> = heard.iter().take(WINDOW).map(|s| f32::from(*s)).collect();
    let said: Vec<f32> = (candidates.start..candidates.end + heard.len())
        .map(|position| f32::from(said(position)))
        .collect();
    let energy = |of: &[f32]| of.iter().map(|s| s * s).sum::<f32>();
    let mut best = (0.0, None);
    for lag in 0..candidates.len() {
        let there = &said[lag..lag + heard.len()];
        let product = correlation(&heard, there);
        let fit = product / (energy(there).sqrt() + 1.0);
        if fit > best.0 {
            best = (fit, Some(candidates.start + lag));
        }
    }
    let fits = best.0 > 0.5 * energy(&heard).sqrt();
    best.1.filter(|_| fits)
}

/// In eight sums, so that it is done in vectors.
fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sent every 20 ms; each packet comes back transcoded after `late`, `held` packets later.
    fn measured(held: usize, late: Duration) -> Duration {
        let material = Material::new(Codec::G722).unwrap();
        let codecs = of_codecs(&material, Codec::Opus).unwrap();
        let again = bridged(&material, Codec::Opus, COMPLEXITY).unwrap();
        let at = |n: usize| Duration::from_millis(20) * n as u32;
        let said = Said {
            begins_at: 0,
            at: (0..400).map(at).collect(),
        };
        let received = Received {
            at: (100..250).map(|n| at(n + held) + late).collect(),
            payloads: again[100..250].to_vec(),
        };
        let delays = added(&material, Codec::Opus, &said, &received, codecs).unwrap();
        assert_eq!(delays.len(), 150);
        delays[75]
    }

    #[test]
    fn the_delay_of_the_codecs_themselves_does_not_count() {
        let tenth = Duration::from_micros(100);
        for (held, late) in [(0, 300), (1, 300), (3, 0)] {
            let late = Duration::from_micros(late);
            let wanted = Duration::from_millis(20) * held as u32 + late;
            assert!(measured(held, late).abs_diff(wanted) <= tenth);
        }
    }
}
