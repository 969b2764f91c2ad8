//! Sound from files and to files, and a programme made of nothing.

use std::f32::consts::TAU;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result, bail};
use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use media::SampleRate;
use media::resample::Resampler;

use super::{FRAME, Frame, RATE};

/// Longer ones are no announcement: ten minutes.
const LONGEST: u32 = 10 * 60 * 48_000;

/// What a station says, frame by frame.
pub(super) struct Speech {
    samples: Vec<i16>,
    at: usize,
}

impl Speech {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let name = || path.display().to_string();
        let mut reader = WavReader::open(path).with_context(name)?;
        let spec = reader.spec();
        let right = spec.channels == 1
            && spec.bits_per_sample == 16
            && spec.sample_format == SampleFormat::Int;
        let known = SampleRate::ALL.into_iter();
        let rate = known.into_iter().find(|rate| rate.hz() == spec.sample_rate);
        let Some(rate) = rate.filter(|_| right && reader.duration() <= LONGEST) else {
            bail!(
                "{}: mono, 16 bits, 8000, 16000 or 48000 Hz, ten minutes at most; make one by \
                 `ffmpeg -i FILE -ac 1 -ar 16000 out.wav`",
                path.display()
            );
        };
        let samples: Result<Vec<i16>, _> = reader.samples::<i16>().collect();
        let mut samples = samples.with_context(name)?;
        if rate != RATE {
            let mut resampler = Resampler::new(rate, RATE);
            let whole = samples.len().div_ceil(rate.frame()) * rate.frame();
            samples.resize(whole, 0);
            let mut fitted = vec![0; resampler.output_len(samples.len())];
            for (from, to) in samples.chunks(rate.frame()).zip(fitted.chunks_mut(FRAME)) {
                resampler.process(from, to);
            }
            samples = fitted;
        }
        Ok(Self { samples, at: 0 })
    }

    pub(super) fn next(&mut self) -> Option<Frame> {
        let rest = self
            .samples
            .get(self.at..)
            .filter(|rest| !rest.is_empty())?;
        let count = rest.len().min(FRAME);
        let mut frame = [0; FRAME];
        frame[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Some(frame)
    }
}

/// What a station hears, as a file.
pub(super) struct Recorder(WavWriter<BufWriter<File>>);

impl Recorder {
    pub(super) fn begin(path: &Path) -> Result<Self> {
        let spec = WavSpec {
            channels: 1,
            sample_rate: RATE.hz(),
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let writer = WavWriter::create(path, spec);
        Ok(Self(writer.with_context(|| path.display().to_string())?))
    }

    pub(super) fn write(&mut self, frame: &Frame) {
        for sample in frame {
            // A full disk is told when it ends.
            let _ = self.0.write_sample(*sample);
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        Ok(self.0.finalize()?)
    }
}

/// Music of a machine: a chord that breathes, another one for each channel.
pub(super) fn programme(channel: u8, tick: u64) -> Frame {
    let root = 110.0 * 2f32.powf(f32::from(channel % 12) / 12.0);
    let mut frame = [0; FRAME];
    for (index, sample) in frame.iter_mut().enumerate() {
        let time = (tick as f32).mul_add(FRAME as f32, index as f32) / RATE.hz() as f32;
        let breath = 0.6 + 0.4 * (time * 0.5 * TAU).sin();
        let notes = [1.0, 1.25, 1.5].map(|interval| (time * root * interval * TAU).sin());
        let sum: f32 = notes.iter().sum();
        *sample = (sum * breath * 900.0) as i16;
    }
    frame
}
