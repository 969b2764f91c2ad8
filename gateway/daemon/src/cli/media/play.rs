//! `media play` and `media tone`: sound for a leg, made or read here and sent to the gateway.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use media::SampleRate;
use media::tones::{Generator, Region, Signal};

use crate::cli::args::{Ask, Play, Tone, ToneKind};
use crate::cli::{Exit, Failure};
use crate::config;
use crate::control::client::Client;
use crate::control::protocol::Request;

/// Samples of one piece; in base64 they fit into a request.
const PIECE: usize = 16_000;
/// Tones are made at this rate.
const RATE: SampleRate = SampleRate::Hz16000;
/// -20 dBFS.
const AMPLITUDE: f64 = 3_276.7;

pub(super) fn file(options: &Play) -> Result<Exit, Failure> {
    let read = config::wav(&options.file);
    let (samples, rate) = read.map_err(|(what, remedy)| Failure {
        exit: Exit::NoInput,
        error: anyhow::anyhow!(
            "{} cannot be played: {what}; {remedy}",
            options.file.display()
        ),
    })?;
    play(&options.ask, options.leg, &samples, rate)
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
