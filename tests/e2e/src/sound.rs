//! Sound, measured by sox.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// What sox found in a recording.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sound {
    pub seconds: f64,
    /// Frequency in Hz; right for a single tone.
    pub frequency: f64,
    /// Root mean square of the amplitude; a full sine has 0.71.
    pub rms: f64,
}

/// Writes a sine tone as raw A-law, 8,000 samples a second, for sipp.
pub fn raw_tone(file: &Path, seconds: u32, hertz: u32) -> Result<()> {
    let (seconds, hertz) = (seconds.to_string(), hertz.to_string());
    sox(Command::new("sox")
        .args(["-n", "-t", "al", "-r", "8000", "-c", "1"])
        .arg(file)
        .args(["synth", &seconds, "sine", &hertz, "vol", "0.5"]))?;
    Ok(())
}

/// Writes dialled keys as raw A-law, for sipp: a second of silence, then each key for 120 ms.
pub fn raw_keys(file: &Path, keys: &str) -> Result<()> {
    const RATE: f64 = 8000.0;
    let mut samples = vec![0_i16; RATE as usize];
    for key in keys.chars() {
        let place = "123A456B789C*0#D".find(key).context("no key")?;
        let tones = [
            [697.0, 770.0, 852.0, 941.0][place / 4],
            [1209.0, 1336.0, 1477.0, 1633.0][place % 4],
        ];
        let loud = (0..960).map(|n| {
            let at = f64::from(n) / RATE * std::f64::consts::TAU;
            tones
                .map(|hertz| (at * hertz).sin() * 6_000.0)
                .iter()
                .sum::<f64>() as i16
        });
        samples.extend(loud.chain(std::iter::repeat_n(0, 960)));
    }
    samples.extend([0; 8000]);
    let raw = file.with_extension("raw");
    let octets: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    std::fs::write(&raw, octets)?;
    let format = ["-r", "8000", "-c", "1"];
    sox(Command::new("sox")
        .args(["-t", "s16"])
        .args(format)
        .arg(&raw)
        .args(["-t", "al"])
        .args(format)
        .arg(file))?;
    Ok(())
}

/// Writes a sine tone, 16 bit, one channel.
pub fn tone(file: &Path, rate: u32, seconds: u32, hertz: u32) -> Result<()> {
    let (rate, seconds, hertz) = (rate.to_string(), seconds.to_string(), hertz.to_string());
    sox(Command::new("sox")
        .args(["-n", "-b", "16", "-r", &rate, "-c", "1"])
        .arg(file)
        .args(["synth", &seconds, "sine", &hertz, "vol", "0.5"]))?;
    Ok(())
}

/// The length of a recording of 16-bit samples that still grows; judged by its
/// size, because its header is written at the end.
pub fn seconds_recorded(file: &Path) -> Result<f64> {
    const HEADER: u64 = 44;
    const BYTES_PER_SAMPLE: f64 = 2.0;
    let length = std::fs::metadata(file)
        .context("looking at a recording")?
        .len();
    if length <= HEADER {
        return Ok(0.0);
    }
    Ok((length - HEADER) as f64 / BYTES_PER_SAMPLE / f64::from(sample_rate(file)?))
}

/// sox takes the steepness of a sine for that of its tangent, which is too low
/// for high tones; this takes it back.
fn true_frequency(rough: f64, rate: f64) -> f64 {
    let turn = std::f64::consts::PI / rate;
    (rough * turn).clamp(-1.0, 1.0).asin() / turn
}

fn sample_rate(file: &Path) -> Result<u32> {
    let bytes = std::fs::read(file).context("reading a recording")?;
    let rate = bytes.get(24..28).context("a recording without a header")?;
    Ok(u32::from_le_bytes([rate[0], rate[1], rate[2], rate[3]]))
}

/// Measures a recording, leaving out `skipped` seconds at its start, in which a
/// call is still being set up.
pub fn measure(file: &Path, skipped: f64) -> Result<Sound> {
    let said = sox(Command::new("sox").arg(file).args([
        "-n",
        "trim",
        &skipped.to_string(),
        "remix",
        "1",
        "stat",
    ]))?;
    let number = |name: &str| -> Result<f64> {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(name));
        let value = line.with_context(|| format!("sox says no '{name}':\n{said}"))?;
        value
            .trim_start_matches([':', ' ', '\t'])
            .trim()
            .parse()
            .context("a number from sox")
    };
    let rate = f64::from(sample_rate(file)?);
    Ok(Sound {
        seconds: number("Length (seconds)")?,
        frequency: true_frequency(number("Rough   frequency")?, rate),
        rms: number("RMS     amplitude")?,
    })
}

impl Sound {
    /// Fails unless this is a tone of `hertz` that can be heard, for `seconds` at least.
    pub fn must_be_tone(&self, hertz: f64, seconds: f64) -> Result<()> {
        ensure!(
            self.seconds >= seconds,
            "{self:?} is shorter than {seconds} s"
        );
        ensure!(
            (self.frequency - hertz).abs() <= hertz * 0.05,
            "{self:?} is not {hertz} Hz"
        );
        ensure!(self.rms > 0.05, "{self:?} is too quiet");
        Ok(())
    }
}

fn sox(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .context("could not run sox; scripts/setup.sh test installs it")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        bail!("sox: {said}");
    }
    Ok(said)
}

/// One channel of a recording of any kind, as ffmpeg decodes it, for `measure`.
pub fn channel(recording: &Path, number: u8, wav: &Path) -> Result<()> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-i"])
        .arg(recording)
        .args(["-af", &format!("pan=mono|c0=c{number}"), "-ar", "16000"])
        .args(["-bitexact", "-c:a", "pcm_s16le"])
        .arg(wav)
        .output()
        .context("could not run ffmpeg; scripts/setup.sh test installs it")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ffmpeg: {said}");
    Ok(())
}

/// How loud one frequency is in the course of a recording; a full sine has 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    pub hertz: f64,
    /// For each tenth of a second.
    loudness: Vec<f64>,
}

/// Looks for a frequency, in whole tens of Hz: then its neighbours at other tens are not found in
/// its place.
pub fn course(file: &Path, hertz: f64, skipped: f64) -> Result<Course> {
    let rate = f64::from(sample_rate(file)?);
    let output = Command::new("sox")
        .arg(file)
        .args(["-t", "raw", "-e", "signed", "-b", "16", "-"])
        .args(["trim", &skipped.to_string(), "remix", "1"])
        .output()
        .context("could not run sox; scripts/setup.sh test installs it")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "sox: {said}");
    let samples = output.stdout.chunks_exact(2);
    let samples: Vec<f64> = samples
        .map(|bytes| f64::from(i16::from_le_bytes([bytes[0], bytes[1]])) / 32_768.0)
        .collect();
    let step = std::f64::consts::TAU * hertz / rate;
    let loudness = |piece: &[f64]| {
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (n, sample) in piece.iter().enumerate() {
            real += sample * (step * n as f64).cos();
            imaginary += sample * (step * n as f64).sin();
        }
        2.0 * f64::hypot(real, imaginary) / piece.len() as f64
    };
    let tenths = samples.chunks_exact((rate / 10.0) as usize);
    Ok(Course {
        hertz,
        loudness: tenths.map(loudness).collect(),
    })
}

impl Course {
    /// Fails unless it was heard for so many seconds in all.
    pub fn must_be_heard(&self, seconds: f64) -> Result<()> {
        let heard = self.seconds();
        ensure!(heard >= seconds, "heard for {heard} s: {self:?}");
        Ok(())
    }

    /// Fails if it was heard for longer than that.
    pub fn must_end_within(&self, seconds: f64) -> Result<()> {
        let heard = self.seconds();
        ensure!(heard <= seconds, "heard for {heard} s: {self:?}");
        Ok(())
    }

    /// Its mean over the first seconds.
    pub fn loudness_of_first(&self, seconds: f64) -> f64 {
        let tenths = (seconds * 10.0).round() as usize;
        let first = &self.loudness[..tenths.min(self.loudness.len())];
        first.iter().sum::<f64>() / first.len().max(1) as f64
    }

    fn seconds(&self) -> f64 {
        let loud = self.loudness.iter().filter(|loud| **loud > 0.03);
        loud.count() as f64 / 10.0
    }
}
