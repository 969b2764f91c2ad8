//! `echo`: what is left of an echo, and of the near voice, with echo control and without.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use audio::echo::{self, Loudspeaker};
use audio::judge::{self, Job, Score};
use audio::speech::{Length, speak};
use audio::wav::Sound;
use clap::Parser;
use media::echo::MakeEchoControl;
use media::level::dbov;

/// Lets two talk through a relay of whom one sends back what it hears, and prints what the other
/// hears: how loud the echo is while only that one speaks, and how good the near voice is alone and
/// while both speak. With the gateway's echo control and without it.
#[derive(Debug, Parser)]
struct Words {
    /// Where the sound is left.
    folder: PathBuf,
}

/// Until then the control learns.
const LEARNING_S: usize = 3;

const WAYS: [(&str, Option<MakeEchoControl>); 2] =
    [("off", None), ("on", Some(enhancement::echo_control))];

fn main() -> Result<()> {
    let folder = Words::parse().folder;
    std::fs::create_dir_all(&folder)?;
    let near = speak(Length::Short, &folder)?;
    near.write(&folder.join("near.wav"))?;
    let mut turned = near.clone();
    turned.samples.rotate_left(near.samples.len() / 2);
    let silence = Sound {
        rate: near.rate,
        samples: vec![0; near.samples.len()],
    };
    println!(
        "| echo after | loudspeaker | control | echo | near alone, PESQ | STOI | both, PESQ | STOI |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let scenes = [60, 120, 250].map(|delay_ms| (delay_ms, Loudspeaker::True));
    for (delay_ms, loudspeaker) in scenes.into_iter().chain([(120, Loudspeaker::Distorting)]) {
        for (word, control) in WAYS {
            let echo = echo::call(&turned, &silence, delay_ms, loudspeaker, control)?;
            let later = LEARNING_S * near.rate as usize;
            let left = dbov(&echo.samples[later..]) - dbov(&turned.samples[later..]);
            let alone = echo::call(&silence, &near, delay_ms, loudspeaker, control)?;
            let both = echo::call(&turned, &near, delay_ms, loudspeaker, control)?;
            let figures = [("alone", alone), ("both", both)].map(|(scene, heard)| {
                let name = format!("{scene}-{delay_ms}-{word}");
                figures(&folder, &name, &heard)
            });
            let [alone, both] = figures;
            println!(
                "| {delay_ms} ms | {loudspeaker:?} | {word} | {left:.1} dB | {} | {} |",
                alone?, both?
            );
        }
    }
    Ok(())
}

fn figures(folder: &Path, name: &str, heard: &Sound) -> Result<String> {
    let path = folder.join(format!("{name}.wav"));
    heard.write(&path)?;
    let job = Job {
        name: name.to_owned(),
        reference: folder.join("near.wav"),
        heard: path,
        scores: vec![Score::Wide],
    };
    let verdicts = judge::judge(&[job])?;
    let verdict = verdicts.get(name).context("the judge said nothing")?;
    let wide = verdict.wide.context("it was asked for")?;
    Ok(format!("{:.2} | {:.2}", wide.mean, verdict.stoi))
}
