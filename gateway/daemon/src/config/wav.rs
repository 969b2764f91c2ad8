//! WAV files as people have them: of any usual rate, width and number of channels.
//!
//! What cannot be played is refused with what to do about it. Invariant: what comes out is mono, at
//! a rate of ours, and short.

use std::path::Path;

use hound::{SampleFormat, WavSpec};
use media::SampleRate;

/// Longer ones are music, not announcements; and all are kept in memory.
const LONGEST_S: u32 = 120;

/// Samples a second.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;

const MOST_CHANNELS: u16 = 8;

/// Files of other rates are brought to this one, at which everything is mixed.
const COMMON: SampleRate = SampleRate::Hz16000;

/// Zero crossings of the low-pass on each side, and steps between two of them.
const CROSSINGS: usize = 24;
const STEPS: usize = 256;

/// Of the lower of both bands.
const ROLL_OFF: f64 = 0.94;

/// Mono samples and their rate, or what is wrong and what to do.
pub(crate) fn wav(path: &Path) -> Result<(Vec<i16>, SampleRate), (String, String)> {
    let convert = || {
        format!(
            "convert it: ffmpeg -i {} -ar 16000 -ac 1 -c:a pcm_s16le sound.wav",
            path.display()
        )
    };
    let mut reader = hound::WavReader::open(path).map_err(|error| match error {
        hound::Error::IoError(error) => (
            error.to_string(),
            "name a WAV file that the gateway may read".to_owned(),
        ),
        error => (error.to_string(), convert()),
    })?;
    let spec = reader.spec();
    if !RATES.contains(&spec.sample_rate) {
        let what = format!("it has {} samples a second", spec.sample_rate);
        return Err((what, convert()));
    }
    if !(1..=MOST_CHANNELS).contains(&spec.channels) {
        return Err((format!("it has {} channels", spec.channels), convert()));
    }
    if reader.duration() >= LONGEST_S * spec.sample_rate {
        let what = format!("it is longer than {LONGEST_S} s");
        return Err((what, "cut it".to_owned()));
    }
    if reader.duration() == 0 {
        return Err((
            "it holds no sound".to_owned(),
            "name another one".to_owned(),
        ));
    }
    let samples = samples(&mut reader, spec);
    let samples = samples.map_err(|error| (format!("it is damaged: {error}"), convert()))?;
    let mono: Vec<f32> = samples
        .chunks_exact(spec.channels.into())
        .map(|channels| channels.iter().sum::<f32>() / f32::from(spec.channels))
        .collect();
    let known = SampleRate::ALL
        .into_iter()
        .find(|rate| rate.hz() == spec.sample_rate);
    Ok(match known {
        Some(rate) => (mono.into_iter().map(whole).collect(), rate),
        None => (resampled(&mono, spec.sample_rate), COMMON),
    })
}

/// As 16-bit samples count, of all channels in turn.
fn samples(
    reader: &mut hound::WavReader<impl std::io::Read>,
    spec: WavSpec,
) -> Result<Vec<f32>, hound::Error> {
    match spec.sample_format {
        SampleFormat::Float => {
            let samples = reader.samples::<f32>();
            samples.map(|sample| Ok(sample? * 32_768.0)).collect()
        }
        SampleFormat::Int => {
            let scale = 2.0_f32.powi(16 - i32::from(spec.bits_per_sample));
            let samples = reader.samples::<i32>();
            samples.map(|sample| Ok(sample? as f32 * scale)).collect()
        }
    }
}

/// Saturates.
fn whole(sample: f32) -> i16 {
    sample.round() as i16
}

/// At the common rate, without what that cannot hold.
fn resampled(sound: &[f32], rate: u32) -> Vec<i16> {
    let kernel = kernel();
    let (from, to) = (f64::from(rate), f64::from(COMMON.hz()));
    // Crossings of the low-pass for each sample of the file.
    let density = ROLL_OFF * (to / from).min(1.0);
    let reach = (CROSSINGS as f64 / density) as usize;
    let len = (sound.len() as f64 * to / from) as usize;
    let at = |n: usize| {
        let middle = n as f64 * from / to;
        let first = (middle as usize).saturating_sub(reach);
        let last = (middle as usize + reach + 1).min(sound.len());
        let near = sound[first..last].iter().enumerate();
        let sum: f64 = near
            .map(|(k, sample)| {
                let distance = ((first + k) as f64 - middle).abs() * density * STEPS as f64;
                let weight = kernel.get(distance.round() as usize).copied();
                f64::from(*sample) * weight.unwrap_or_default()
            })
            .sum();
        whole((sum * density) as f32)
    };
    (0..len).map(at).collect()
}

/// One side of a sinc in a Hann window.
fn kernel() -> Vec<f64> {
    let value = |n: usize| {
        let x = n as f64 / STEPS as f64 * std::f64::consts::PI;
        let window = 0.5 + 0.5 * (x / CROSSINGS as f64).cos();
        if n == 0 { 1.0 } else { x.sin() / x * window }
    };
    (0..CROSSINGS * STEPS).map(value).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use hound::WavWriter;
    use media::Recording;

    use super::*;

    fn written(spec: WavSpec, samples: usize) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hello.wav");
        let mut writer = WavWriter::create(&path, spec).unwrap();
        for _ in 0..samples * usize::from(spec.channels) {
            match spec.sample_format {
                SampleFormat::Int => writer.write_sample(100_i16).unwrap(),
                SampleFormat::Float => writer.write_sample(0.1_f32).unwrap(),
            }
        }
        writer.finalize().unwrap();
        (folder, path)
    }

    fn spec(channels: u16, sample_rate: u32) -> WavSpec {
        WavSpec {
            channels,
            sample_rate,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        }
    }

    #[test]
    fn files_of_each_rate_and_of_one_or_two_channels_are_read() {
        for channels in [1, 2] {
            for rate in [8_000, 16_000, 48_000] {
                let (_folder, path) = written(spec(channels, rate), rate as usize / 2);
                let recording = wav(&path).unwrap();
                assert_eq!(
                    Recording::new(&recording.0, recording.1).duration(),
                    Duration::from_millis(500)
                );
            }
        }
    }

    #[test]
    fn a_tone_of_any_rate_and_width_is_the_same_tone() {
        let usual = [11_025, 22_050, 24_000, 32_000, 44_100, 96_000];
        let widths = [8, 16, 24, 32].map(|bits| (bits, SampleFormat::Int));
        let widths = widths.into_iter().chain([(32, SampleFormat::Float)]);
        for (rate, (bits, format)) in usual.into_iter().cycle().zip(widths.cycle()).take(15) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("tone.wav");
            let spec = WavSpec {
                channels: 2,
                sample_rate: rate,
                bits_per_sample: bits,
                sample_format: format,
            };
            let mut writer = WavWriter::create(&path, spec).unwrap();
            for n in 0..rate {
                let turn = f64::from(n) / f64::from(rate) * 1_000.0 * std::f64::consts::TAU;
                for _ in 0..2 {
                    match format {
                        SampleFormat::Float => {
                            writer.write_sample(0.5 * turn.sin() as f32).unwrap();
                        }
                        SampleFormat::Int => {
                            let full = 2.0_f64.powi(i32::from(bits) - 1);
                            writer
                                .write_sample((0.5 * full * turn.sin()) as i32)
                                .unwrap();
                        }
                    }
                }
            }
            writer.finalize().unwrap();
            let (samples, ours) = wav(&path).unwrap();
            let ms = ours.samples_in_ms(1);
            assert!(samples.len().abs_diff(1_000 * ms) <= 1, "{spec:?}");
            let turns = samples.windows(2).filter(|w| w[0] < 0 && w[1] >= 0).count();
            assert!((998..=1_001).contains(&turns), "{spec:?}: {turns}");
            let inner = &samples[50 * ms..950 * ms];
            let power: f64 = inner.iter().map(|x| f64::from(*x).powi(2)).sum();
            let rms = (power / inner.len() as f64).sqrt();
            assert!((rms / 11_585.0 - 1.0).abs() < 0.02, "{spec:?}: {rms}");
        }
    }

    #[test]
    fn what_cannot_be_played_is_refused_with_a_remedy() {
        for (spec, samples, what) in [
            (spec(1, 384_000), 100, "384000 samples a second"),
            (spec(9, 16_000), 100, "9 channels"),
            (spec(1, 8_000), 121 * 8_000, "longer than 120 s"),
            (spec(1, 8_000), 0, "no sound"),
        ] {
            let (_folder, path) = written(spec, samples);
            let (found, remedy) = wav(&path).unwrap_err();
            assert!(found.contains(what), "{found}");
            assert!(!remedy.is_empty());
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("not.wav");
        assert!(wav(&path).is_err());
        std::fs::write(&path, b"RIFF....").unwrap();
        assert!(wav(&path).is_err());
    }
}
