//! `chain`: a WAV file through a real relay between two codecs, with a network
//! before it and behind it; for listening, and for judging by `judge/judge.py`.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use audio::near_end::{self, Voip};
use audio::network::{Jitter, Network};
use audio::wav::Sound;
use audio::{Spoken, bare, chain, far_end};
use clap::Parser;

/// Sends a WAV file (16-bit mono) as RTP of one codec through a relay and writes what an ideal
/// receiver hears in the other codec. Virtual time: ten minutes take seconds, and the same words
/// give the same file.
#[derive(Debug, Parser)]
struct Words {
    #[arg(long, ignore_case = true)]
    from: Spoken,
    #[arg(long, ignore_case = true)]
    to: Spoken,
    /// Without the relay and the networks: the same codecs one after the other.
    #[arg(long)]
    bare: bool,
    /// Packets lost before the relay, in percent.
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// Packets lost behind the relay, in percent; the listener reports them to it.
    #[arg(long, default_value_t = 0.0)]
    far_loss: f64,
    /// How many packets are lost in a row on average.
    #[arg(long, default_value_t = 1.0)]
    burst: f64,
    /// Mean delay beyond the least, in ms, exponentially distributed.
    #[arg(long, default_value_t = 0.0)]
    jitter: f64,
    /// How much too fast the sender's clock runs, in millionths.
    #[arg(long, default_value_t = 0.0, allow_hyphen_values = true)]
    drift: f64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Of the near end's Opus encoder.
    #[arg(long, default_value_t = 24_000)]
    bitrate: i32,
    #[arg(long, default_value_t = 5)]
    complexity: i32,
    /// Loss in percent that the near end's Opus encoder guards against.
    #[arg(long, default_value_t = 0)]
    expected_loss: i32,
    spoken: PathBuf,
    heard: PathBuf,
}

fn main() -> Result<()> {
    let words = Words::parse();
    ensure!(
        (0.0..100.0).contains(&words.loss) && (0.0..100.0).contains(&words.far_loss),
        "a loss is at least 0 and less than 100 percent"
    );
    let sound = Sound::read(&words.spoken)?;
    let voip = Voip {
        bitrate: words.bitrate,
        complexity: words.complexity,
        expected_loss: words.expected_loss,
    };
    let heard = if words.bare {
        bare::pair(words.from, words.to, &sound, voip)?
    } else {
        through_relay(&words, &sound, voip)?
    };
    heard.write(&words.heard)
}

fn through_relay(words: &Words, sound: &Sound, voip: Voip) -> Result<Sound> {
    let near = Network {
        loss: words.loss / 100.0,
        burst: words.burst,
        jitter: match words.jitter {
            ms if ms > 0.0 => Jitter::Exponential {
                mean: Duration::from_secs_f64(ms / 1000.0),
            },
            _ => Jitter::None,
        },
        drift_ppm: words.drift,
        seed: words.seed,
    };
    let far = Network {
        loss: words.far_loss / 100.0,
        burst: words.burst,
        seed: words.seed,
        ..Network::PERFECT
    };
    let payloads = near_end::payloads(words.from, sound, voip)?;
    let departures = chain::carry_reported(words.from, words.to, &payloads, &near, far.loss)?;
    println!(
        "{} packets went in, {} came out",
        near.carry(payloads.len()).len(),
        departures.len()
    );
    far_end::listen(words.to, &departures, &far, sound.rate)
}
