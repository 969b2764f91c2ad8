//! Sound in files: 16-bit mono WAV, nothing else.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// Samples at a rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    pub rate: u32,
    pub samples: Vec<i16>,
}

impl Sound {
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate)
    }

    pub fn read(path: &Path) -> Result<Sound> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        parse(&bytes).with_context(|| path.display().to_string())
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        let data = octets(&self.samples);
        let mut file = Vec::with_capacity(data.len() + 44);
        file.extend_from_slice(b"RIFF");
        file.extend_from_slice(&u32::try_from(data.len() + 36)?.to_le_bytes());
        file.extend_from_slice(b"WAVEfmt ");
        file.extend_from_slice(&16u32.to_le_bytes());
        file.extend_from_slice(&1u16.to_le_bytes());
        file.extend_from_slice(&1u16.to_le_bytes());
        file.extend_from_slice(&self.rate.to_le_bytes());
        file.extend_from_slice(&(self.rate * 2).to_le_bytes());
        file.extend_from_slice(&2u16.to_le_bytes());
        file.extend_from_slice(&16u16.to_le_bytes());
        file.extend_from_slice(b"data");
        file.extend_from_slice(&u32::try_from(data.len())?.to_le_bytes());
        file.extend_from_slice(&data);
        std::fs::write(path, file).with_context(|| path.display().to_string())
    }
}

/// Samples as they stand in files and pipes.
pub fn octets(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|x| x.to_le_bytes()).collect()
}

pub fn samples(octets: &[u8]) -> Vec<i16> {
    let pairs = octets.as_chunks::<2>().0;
    pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
}

fn parse(bytes: &[u8]) -> Result<Sound> {
    ensure!(
        bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WAVE"),
        "no WAV file"
    );
    let mut rate = None;
    let mut rest = &bytes[12..];
    while let Some((head, body)) = rest.split_at_checked(8) {
        let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        // A program that writes into a pipe cannot know the length.
        let chunk = &body[..len.min(body.len())];
        match &head[..4] {
            b"fmt " => {
                let format = chunk.first_chunk::<16>().context("a short format")?;
                ensure!(
                    format[..4] == [1, 0, 1, 0] && format[14..] == [16, 0],
                    "not 16-bit mono; sox FILE -c 1 -b 16 OTHER makes it so"
                );
                rate = Some(u32::from_le_bytes([
                    format[4], format[5], format[6], format[7],
                ]));
            }
            b"data" => {
                let rate = rate.context("sound before its format")?;
                let samples = samples(chunk);
                return Ok(Sound { rate, samples });
            }
            _ => {}
        }
        rest = body.get(len + len % 2..).unwrap_or_default();
    }
    bail!("a WAV file without sound")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
        std::fs::create_dir_all(&folder).expect("the target folder can be made");
        let path = folder.join(format!("wav-{}.wav", std::process::id()));
        let sound = Sound {
            rate: 16_000,
            samples: vec![0, 1, -1, i16::MAX, i16::MIN],
        };
        sound.write(&path).expect("it can be written");
        assert_eq!(Sound::read(&path).expect("it is whole"), sound);
        std::fs::remove_file(&path).expect("it is there");
    }

    #[test]
    fn what_is_no_wav_is_refused() {
        for bytes in [
            &b""[..],
            b"RIFF",
            b"RIFF....WAVE",
            b"RIFF....WAVEdata\0\0\0\0",
        ] {
            assert!(parse(bytes).is_err());
        }
    }
}
