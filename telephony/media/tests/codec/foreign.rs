//! The same sound through another program, ffmpeg, if it is here.

use std::io::Write;
use std::process::{Command, Stdio};

use media::codec::AudioCodec::{G722, Pcma, Pcmu};

use crate::{decode, encode, signals};

#[test]
fn c8_g722_is_the_same_octets_and_samples_as_ffmpegs() {
    for (name, signal) in signals::MODEST {
        let pcm = signal();
        let Some(octets) = ffmpeg(&["-f", "s16le", "-ar", "16000"], "g722", &to_octets(&pcm))
        else {
            return;
        };
        assert!(encode(G722, &pcm) == octets, "encoding {name}");
        let Some(sound) = ffmpeg(&["-f", "g722"], "s16le", &octets) else {
            return;
        };
        assert!(
            to_octets(&decode(G722, &octets)) == sound,
            "decoding {name}"
        );
    }
}

#[test]
fn c8_g711_is_decoded_as_ffmpeg_does_and_encoded_a_step_off_at_most() {
    for (codec, name) in [(Pcma, "alaw"), (Pcmu, "mulaw")] {
        let octets: Vec<u8> = (0..=u8::MAX).collect();
        let Some(sound) = ffmpeg(&["-f", name, "-ar", "8000"], "s16le", &octets) else {
            return;
        };
        assert!(to_octets(&decode(codec, &octets)) == sound, "{codec:?}");

        let pcm: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let Some(theirs) = ffmpeg(&["-f", "s16le", "-ar", "8000"], name, &to_octets(&pcm)) else {
            return;
        };
        let ours = encode(codec, &pcm);
        let other = ours
            .iter()
            .zip(&theirs)
            .filter(|(ours, theirs)| ours != theirs);
        let steps = |octet: u8| i32::from(if codec == Pcma { octet ^ 0x55 } else { !octet } & 127);
        assert!(
            other
                .clone()
                .all(|(ours, theirs)| (steps(*ours) - steps(*theirs)).abs() <= 1),
            "{codec:?}"
        );
        assert!(other.count() < pcm.len() / 50, "{codec:?}");
    }
}

fn to_octets(pcm: &[i16]) -> Vec<u8> {
    pcm.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// None: it is not installed, and the pipeline is told.
fn ffmpeg(from: &[&str], to: &str, input: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin"]).args(from);
    command.args(["-i", "pipe:0", "-ac", "1", "-f", to, "pipe:1"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        did_not_run();
        return None;
    };
    let mut stdin = child.stdin.take().expect("it was asked for");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output()
    });
    let output = output.expect("ffmpeg ends when its input does");
    assert!(output.status.success());
    Some(output.stdout)
}

/// As `tests/e2e` says it; the pipeline collects the lines.
fn did_not_run() {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("{test}: no ffmpeg: scripts/setup.sh test installs it");
    eprintln!("DID NOT RUN: {line}");
    if let Some(file) = std::env::var_os("ANTIPHON_NOT_RUN_FILE") {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(file);
        let written = file.and_then(|mut file| writeln!(file, "{line}"));
        written.expect("the pipeline's folder can be written to");
    }
}
