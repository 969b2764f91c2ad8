//! Announcements: WAV files that are played in place of tones.
//!
//! Read once, at the start, so that no call ever waits for a disk. Only what can be played without
//! guessing is taken; everything else is refused with what to do about it.

use std::path::{Path, PathBuf};

use gateway_core::Announcements;
use media::{Recording, SampleRate};

use super::fields::AnnouncementsSection;
use super::problems::Problems;
use super::section::{Located, Optional};

/// Longer ones are music, not announcements; and all are kept in memory.
const LONGEST_S: u32 = 120;

pub(super) fn read(
    section: &AnnouncementsSection,
    folder: &Path,
    problems: &mut Problems,
) -> Announcements {
    let mut recording = |field: &Optional<PathBuf>| {
        let file = field.as_ref()?;
        recording(file, folder, problems)
    };
    Announcements {
        auto_answer: recording(&section.auto_answer),
        time_limit: recording(&section.time_limit),
        hold: recording(&section.hold),
        door_sent: recording(&section.door_sent),
        door_refused: recording(&section.door_refused),
        busy: recording(&section.busy),
        unavailable: recording(&section.unavailable),
        unknown_number: recording(&section.unknown_number),
        echo_test: recording(&section.echo_test),
    }
}

fn recording(file: &Located<PathBuf>, folder: &Path, problems: &mut Problems) -> Option<Recording> {
    let path = folder.join(&file.value);
    match wav(&path) {
        Ok((samples, rate)) => Some(Recording::new(&samples, rate)),
        Err((what, remedy)) => {
            let what = format!("{} cannot be played: {what}", path.display());
            problems.report(&file.place, what, remedy);
            None
        }
    }
}

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
    if (spec.sample_format, spec.bits_per_sample) != (hound::SampleFormat::Int, 16) {
        let what = format!("its samples have {} bits, not 16", spec.bits_per_sample);
        return Err((what, convert()));
    }
    let rate = SampleRate::ALL
        .into_iter()
        .find(|rate| rate.hz() == spec.sample_rate);
    let rate = rate.ok_or_else(|| {
        let what = format!(
            "it has {} samples a second, not 8000, 16000 or 48000",
            spec.sample_rate
        );
        (what, convert())
    })?;
    if !(1..=2).contains(&spec.channels) {
        let what = format!("it has {} channels, not one or two", spec.channels);
        return Err((what, convert()));
    }
    match reader.duration() / rate.hz() {
        0..LONGEST_S => {}
        LONGEST_S.. => {
            let what = format!("it is longer than {LONGEST_S} s");
            return Err((what, "cut it".to_owned()));
        }
    }
    if reader.duration() == 0 {
        return Err((
            "it holds no sound".to_owned(),
            "name another one".to_owned(),
        ));
    }
    let samples: Result<Vec<i16>, _> = reader.samples().collect();
    let samples = samples.map_err(|error| (format!("it is damaged: {error}"), convert()))?;
    let mono: Vec<i16> = match spec.channels {
        1 => samples,
        _ => samples.chunks_exact(2).map(middle).collect(),
    };
    Ok((mono, rate))
}

/// Of left and right.
fn middle(pair: &[i16]) -> i16 {
    let sum: i32 = pair.iter().map(|sample| i32::from(*sample)).sum();
    i16::try_from(sum / 2).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hound::{SampleFormat, WavSpec, WavWriter};

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
    fn what_cannot_be_played_is_refused_with_a_remedy() {
        let float = WavSpec {
            bits_per_sample: 32,
            sample_format: SampleFormat::Float,
            ..spec(1, 16_000)
        };
        for (spec, samples, what) in [
            (spec(1, 44_100), 100, "44100 samples a second"),
            (spec(3, 16_000), 100, "3 channels"),
            (float, 100, "32 bits"),
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
