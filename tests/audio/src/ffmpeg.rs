//! Another program's G.711 and G.722.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::Spoken;
use crate::wav::{Sound, octets, samples};

/// The name of the raw format; none for Opus, which ffmpeg has no raw format for.
fn name(codec: Spoken) -> Option<&'static str> {
    match codec {
        Spoken::Pcma => Some("alaw"),
        Spoken::Pcmu => Some("mulaw"),
        Spoken::G722 => Some("g722"),
        Spoken::Opus => None,
    }
}

/// The sound as octets of the codec; resampled if that is needed.
pub(crate) fn encode(codec: Spoken, sound: &Sound) -> Result<Vec<u8>> {
    let name = name(codec).context("ffmpeg has no raw Opus")?;
    let from = sound.rate.to_string();
    let to = codec.sound_rate(0).to_string();
    let arguments = ["-f", "s16le", "-ar", &from, "-i", "pipe:0", "-ar", &to];
    run(&arguments, name, &octets(&sound.samples))
}

pub(crate) fn decode(codec: Spoken, octets: &[u8]) -> Result<Vec<i16>> {
    let name = name(codec).context("ffmpeg has no raw Opus")?;
    let rate = codec.sound_rate(0).to_string();
    // G.722 has but one rate, and ffmpeg takes none for it.
    let arguments: &[&str] = match codec {
        Spoken::G722 => &["-f", name, "-i", "pipe:0"],
        Spoken::Pcma | Spoken::Pcmu | Spoken::Opus => &["-f", name, "-ar", &rate, "-i", "pipe:0"],
    };
    Ok(samples(&run(arguments, "s16le", octets)?))
}

fn run(arguments: &[&str], to: &str, input: &[u8]) -> Result<Vec<u8>> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin"]).args(arguments);
    command.args(["-ac", "1", "-f", to, "pipe:1"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .context("no ffmpeg; scripts/setup.sh test installs it")?;
    let mut stdin = child.stdin.take().context("it was asked for")?;
    let output = std::thread::scope(|scope| {
        // What it does not read it complains about itself.
        scope.spawn(move || stdin.write_all(input).is_ok());
        child.wait_with_output()
    })?;
    ensure!(output.status.success(), "ffmpeg: {}", output.status);
    Ok(output.stdout)
}
