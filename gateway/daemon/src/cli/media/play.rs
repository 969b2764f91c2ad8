//! `media play` and `media tone`: sound for a leg, made or read here and sent to the gateway.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use media::SampleRate;
use media::recording::{self, PlaybackError};
use media::tones::{Generator, Region, Signal};

use crate::cli::args::{Ask, Play, Tone, ToneKind};
use crate::cli::{Exit, Failure};
use crate::config;
use crate::control::client::Client;
use crate::control::protocol::Request;
use crate::playing::LONGEST_S;

/// Samples of one piece; in base64 they fit into a request.
const PIECE: usize = 16_000;
/// Tones are made at this rate.
const RATE: SampleRate = SampleRate::Hz16000;
/// Two minutes at the highest rate of Opus, and what holds it.
const LARGEST: u64 = 8_000_000;
/// -20 dBFS.
const AMPLITUDE: f64 = 3_276.7;

pub(super) fn file(options: &Play) -> Result<Exit, Failure> {
    let read = match is_ogg(&options.file) {
        true => opus(&options.file),
        false => config::wav(&options.file),
    };
    let (samples, rate) = read.map_err(|(what, remedy)| Failure {
        exit: Exit::NoInput,
        error: anyhow::anyhow!(
            "{} cannot be played: {what}; {remedy}",
            options.file.display()
        ),
    })?;
    play(&options.ask, options.leg, &samples, rate)
}

/// By what stands in it; a file that cannot be read is left to who reads it.
fn is_ogg(path: &Path) -> bool {
    let mut mark = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut mark));
    read.is_ok() && mark == *b"OggS"
}

/// A recording of `media record`, or any file of Ogg Opus with one or two channels.
fn opus(path: &Path) -> Result<(Vec<i16>, SampleRate), (String, String)> {
    let mut file = Vec::new();
    let opened = File::open(path).map(|file| file.take(LARGEST + 1));
    opened
        .and_then(|mut opened| opened.read_to_end(&mut file))
        .map_err(|error| (error.to_string(), "name a file that you may read".into()))?;
    let cut = || {
        format!(
            "cut it: ffmpeg -i {0} -ss 0 -t {LONGEST_S} -ac 1 -ar 16000 sound.wav",
            path.display()
        )
    };
    if file.len() as u64 > LARGEST {
        return Err((format!("it has more than {LARGEST} octets"), cut()));
    }
    let longest = Duration::from_secs(LONGEST_S as u64);
    recording::read(&file, longest).map_err(|error| {
        let remedy = match error {
            PlaybackError::TooLong(_) => cut(),
            PlaybackError::Empty => "name another one".to_owned(),
            PlaybackError::Open(_) => "try again when there is more memory".to_owned(),
            PlaybackError::NotOgg
            | PlaybackError::NotOpus
            | PlaybackError::Header
            | PlaybackError::Channels(_)
            | PlaybackError::Packing
            | PlaybackError::Damaged(_)
            | PlaybackError::Packet { .. } => format!(
                "convert it: ffmpeg -i {} -ac 1 -ar 16000 sound.wav",
                path.display()
            ),
        };
        (error.to_string(), remedy)
    })
}

pub(super) fn tone(options: &Tone) -> Result<Exit, Failure> {
    let seconds = usize::try_from(options.seconds).unwrap_or(1);
    let mut samples = vec![0; RATE.hz() as usize * seconds];
    match options.kind {
        ToneKind::OneKilohertz => sweep(&mut samples, 1_000.0, 1_000.0),
        ToneKind::Sweep => sweep(&mut samples, 100.0, 7_000.0),
        ToneKind::RingBack => {
            Generator::new(Signal::RingBack.tone(Region::Europe), RATE).fill(&mut samples);
        }
    }
    play(&options.ask, options.leg, &samples, RATE)
}

/// A sine whose frequency grows by the same factor each second.
fn sweep(samples: &mut [i16], from: f64, to: f64) {
    let length = samples.len().max(1) as f64;
    let mut phase = 0.0_f64;
    for (n, sample) in samples.iter_mut().enumerate() {
        let hertz = from * (to / from).powf(n as f64 / length);
        phase = (phase + hertz / f64::from(RATE.hz())).fract();
        *sample = ((phase * std::f64::consts::TAU).sin() * AMPLITUDE) as i16;
    }
}

fn play(ask: &Ask, leg: u64, samples: &[i16], rate: SampleRate) -> Result<Exit, Failure> {
    let mut client = Client::connect(&ask.socket)?;
    let mut pieces = samples.chunks(PIECE).peekable();
    while let Some(piece) = pieces.next() {
        let octets: Vec<u8> = piece
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect();
        client.ask(&Request::Play {
            leg,
            rate: rate.hz(),
            samples: BASE64_STANDARD.encode(octets),
            last: pieces.peek().is_none(),
        })?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_fits_into_a_request() {
        let request = Request::Play {
            leg: u64::MAX,
            rate: 48_000,
            samples: BASE64_STANDARD.encode(vec![0; 2 * PIECE]),
            last: false,
        };
        let line = serde_json::to_vec(&request).unwrap();
        assert!(line.len() < crate::control::protocol::LONGEST_REQUEST);
    }

    #[test]
    fn a_tone_of_one_kilohertz_is_one() {
        let mut samples = vec![0; 16_000];
        sweep(&mut samples, 1_000.0, 1_000.0);
        let rises = samples.windows(2).filter(|w| w[0] < 0 && w[1] >= 0).count();
        assert!((998..=1_001).contains(&rises), "{rises}");
    }
}
