//! The judge: `judge/judge.py` with PESQ and STOI, which see for what the figures mean.
//!
//! `scripts/setup.sh test` installs what it needs; [`missing`] says what is not
//! there.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// Two files and what to say about them.
#[derive(Debug, Clone, Serialize)]
pub struct Job {
    pub name: String,
    pub reference: PathBuf,
    pub heard: PathBuf,
    pub scores: Vec<Score>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Score {
    Wide,
    Narrow,
}

/// PESQ over the segments.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Pesq {
    pub mean: f64,
    pub least: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Verdict {
    pub segments: usize,
    pub wide: Option<Pesq>,
    pub narrow: Option<Pesq>,
    pub stoi: f64,
    pub delay_ms: f64,
    pub least_delay_ms: f64,
    pub greatest_delay_ms: f64,
    pub gaps: usize,
    pub longest_gap_ms: u32,
}

#[derive(Deserialize)]
struct Line {
    name: String,
    #[serde(flatten)]
    verdict: Verdict,
}

/// Why nothing can be judged here; `None` when it can.
pub fn missing() -> Option<&'static str> {
    let there = python().exists() && is_program("flite") && is_program("ffmpeg");
    (!there).then_some("scripts/setup.sh test installs it")
}

/// What is heard in all files, by the jobs' names.
pub fn judge(jobs: &[Job]) -> Result<BTreeMap<String, Verdict>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("judge/judge.py");
    let mut command = Command::new(python());
    // Numerical libraries would start threads of their own in each process.
    command
        .env("OMP_NUM_THREADS", "1")
        .env("OPENBLAS_NUM_THREADS", "1");
    command.arg(script).args(["--batch", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .context("no judge; scripts/setup.sh test installs it")?;
    let mut stdin = child.stdin.take().context("it was asked for")?;
    stdin.write_all(&serde_json::to_vec(jobs)?)?;
    drop(stdin);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "the judge: {}", output.status);
    let said = String::from_utf8(output.stdout)?;
    let lines = said.lines().map(|line| {
        let line: Line = serde_json::from_str(line).with_context(|| line.to_owned())?;
        Ok((line.name, line.verdict))
    });
    lines.collect()
}

fn python() -> PathBuf {
    let state = std::env::var_os("ANTIPHON_STATE").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.antiphon");
    state.unwrap_or(root).join("audio-judge/bin/python")
}

fn is_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).exists())
}
