//! Speech to judge by: sentences of our own, said by three voices of flite.
//!
//! Synthetic and clean; the same on every machine with the same flite. Each
//! sentence is brought to -26 dBov, as ITU-T P.830 has it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::wav::Sound;

const VOICES: [&str; 3] = ["slt", "rms", "awb"];

/// About four seconds each.
const SENTENCES: [&str; 18] = [
    "Good morning, this is the gate house, please say your name and where you want to go.",
    "I have a delivery for the workshop, six boxes and a long roll of cable, where shall I put it?",
    "The barrier at the car park does not open, and four people are waiting behind me.",
    "Please stay where you are, the lift will move in a minute, somebody is on the way to you.",
    "Somebody has fallen on the stairs of the second building, we need a doctor here at once.",
    "The night shift begins at ten, the side entrance is then closed until five in the morning.",
    "Turn left behind the chapel, follow the yellow line, and ring at the third door.",
    "I cannot hear you very well, there is a train passing, could you say that number again?",
    "Platform nine is closed today, the regional train to the coast leaves from platform two.",
    "The fire alarm in the kitchen was false, nobody is hurt, you may all go back to work.",
    "My ticket fell into the machine, and now it asks for fifty euros, which seems too much.",
    "The visitor in room twelve asks for a blanket, a glass of water, and something to read.",
    "Judge Shaw chose a fresh fish dish, while the chef showed us how to wash the vegetables.",
    "Pump seven lost pressure at half past three, we have switched over to the spare one.",
    "Thank you for your patience, the operator will be with you in less than two minutes.",
    "She sells thirty six cheap chairs each week, and she ships them for five francs apiece.",
    "We have checked all cameras, the courtyard is empty, you can open the big gate now.",
    "If nobody answers within twenty seconds, your call goes to the control room in the city.",
];

/// Root of the mean square of speech at -26 dBov.
const LEVEL: f64 = 32_768.0 * 0.050_118_7;

/// Between two sentences.
const PAUSE_MS: usize = 250;

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Two sentences of each voice, half a minute.
    Short,
    /// All of it, over a minute.
    Whole,
}

/// The speech, at 16 kHz; flite's files are left in the folder.
pub fn speak(length: Length, folder: &Path) -> Result<Sound> {
    let sentences = match length {
        Length::Short => 6,
        Length::Whole => SENTENCES.len(),
    };
    let mut samples = Vec::new();
    for (number, sentence) in SENTENCES.iter().take(sentences).enumerate() {
        let voice = VOICES[number % VOICES.len()];
        let path = folder.join(format!("sentence-{number}-{voice}.wav"));
        let mut flite = Command::new("flite");
        flite
            .args(["-voice", voice, "-t", sentence, "-o"])
            .arg(&path);
        let status = flite
            .status()
            .context("no flite; scripts/setup.sh test installs it")?;
        ensure!(status.success(), "flite: {status}");
        let said = Sound::read(&path)?;
        ensure!(
            said.rate == 16_000,
            "voice {voice} speaks at {} Hz",
            said.rate
        );
        samples.extend(levelled(&said.samples));
        samples.extend(std::iter::repeat_n(0, PAUSE_MS * 16));
    }
    Ok(Sound {
        rate: 16_000,
        samples,
    })
}

fn levelled(samples: &[i16]) -> impl Iterator<Item = i16> {
    let power: f64 = samples.iter().map(|x| f64::from(*x).powi(2)).sum();
    let gain = LEVEL / (power / samples.len().max(1) as f64).sqrt().max(1.0);
    samples.iter().map(move |x| (f64::from(*x) * gain) as i16)
}
