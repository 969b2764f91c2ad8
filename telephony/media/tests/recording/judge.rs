//! What ffmpeg hears in a recording, and what its pages say of themselves (RFC 3533 6).

use std::io::Write;
use std::process::{Command, Stdio};

/// A recording as ffmpeg decodes it: 48 kHz, 16 bit.
pub(crate) struct Judged {
    pub(crate) channels: usize,
    samples: Vec<i16>,
}

pub(crate) struct Channel(Vec<f64>);

pub(crate) struct Page {
    pub(crate) number: u32,
    pub(crate) granule: u64,
    pub(crate) ends_stream: bool,
    pub(crate) checksum_holds: bool,
}

impl Judged {
    pub(crate) fn new(file: &[u8]) -> Judged {
        let mut child = Command::new("ffmpeg")
            .args(["-v", "error", "-f", "ogg", "-i", "pipe:0"])
            .args(["-f", "s16le", "-ar", "48000", "pipe:1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ffmpeg is there; scripts/setup.sh test installs it");
        let mut input = child.stdin.take().expect("it was asked for");
        let octets = file.to_vec();
        let writer = std::thread::spawn(move || input.write_all(&octets));
        let output = child.wait_with_output().expect("ffmpeg ends");
        writer.join().expect("no panic").expect("ffmpeg reads all");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ffmpeg: {said}");
        let (pairs, _) = output.stdout.as_chunks::<2>();
        Judged {
            // RFC 7845 5.1: magic, version, channels; behind a page header of 28 octets.
            channels: usize::from(file[28 + 9]),
            samples: pairs.iter().copied().map(i16::from_le_bytes).collect(),
        }
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.samples.len() as f64 / self.channels as f64 / 48_000.0
    }

    pub(crate) fn channel(&self, number: usize) -> Channel {
        let samples = self.samples.iter().skip(number).step_by(self.channels);
        Channel(
            samples
                .map(|sample| f64::from(*sample) / 32_768.0)
                .collect(),
        )
    }
}

impl Channel {
    pub(crate) fn between(&self, from: f64, until: f64) -> Channel {
        let at = |seconds: f64| (seconds * 48_000.0) as usize;
        Channel(self.0[at(from)..at(until)].to_vec())
    }

    pub(crate) fn rms(&self) -> f64 {
        let power: f64 = self.0.iter().map(|sample| sample * sample).sum();
        (power / self.0.len() as f64).sqrt()
    }

    /// How much of the power lies at this frequency (Goertzel, a second from the middle).
    pub(crate) fn share_of(&self, hertz: f64) -> f64 {
        let middle = self.0.len() / 2;
        let half = (self.0.len() / 4).min(24_000);
        let part = &self.0[middle - half..middle + half];
        let turn = std::f64::consts::TAU * hertz / 48_000.0;
        let (mut re, mut im, mut power) = (0.0, 0.0, 1e-12);
        for (n, sample) in part.iter().enumerate() {
            re += sample * (turn * n as f64).cos();
            im += sample * (turn * n as f64).sin();
            power += sample * sample;
        }
        2.0 * (re * re + im * im) / part.len() as f64 / power
    }
}

impl Page {
    /// What can be played up to here.
    pub(crate) fn seconds(&self) -> f64 {
        self.granule.saturating_sub(312) as f64 / 48_000.0
    }
}

/// All whole pages.
pub(crate) fn pages(mut file: &[u8]) -> Vec<Page> {
    let mut pages = Vec::new();
    while file.len() >= 27 {
        assert_eq!(&file[..5], b"OggS\0");
        let word = |at: usize| word_at(file, at);
        let segments = usize::from(file[26]);
        let Some(table) = file.get(27..27 + segments) else {
            break;
        };
        let body: usize = table.iter().map(|octets| usize::from(*octets)).sum();
        let Some(page) = file.get(..27 + segments + body) else {
            break;
        };
        let mut blank = page.to_vec();
        blank[22..26].fill(0);
        pages.push(Page {
            number: word(18),
            granule: u64::from(word(6)) | u64::from(word(10)) << 32,
            ends_stream: file[5] & 4 != 0,
            checksum_holds: crc(&blank) == word(22),
        });
        file = &file[page.len()..];
    }
    pages
}

fn word_at(file: &[u8], at: usize) -> u32 {
    let octets = file[at..at + 4].iter().rev();
    octets.fold(0, |word, octet| word << 8 | u32::from(*octet))
}

/// RFC 3533 6: the polynomial 0x04c11db7, nothing inverted.
fn crc(octets: &[u8]) -> u32 {
    octets.iter().fold(0, |crc, octet| {
        (0..8).fold(crc ^ u32::from(*octet) << 24, |crc: u32, _| {
            let carried = crc >> 31 == 1;
            (crc << 1) ^ if carried { 0x04c1_1db7 } else { 0 }
        })
    })
}
