//! `cargo xtask test`: everything a change must pass, stage after stage, with
//! one table at the end.
//!
//! A failing stage does not keep the later ones from running, so that one run
//! tells all. Each check counts as one test in the closing line, each test
//! program with the number of its tests.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::runner::{Outcome, Tests, run};
use crate::{deps, interface, licences, metadata::Workspace, tidy};

/// Where tests that cannot run on this machine say so, a line each. `tests/e2e`
/// writes it, and so do the codecs' tests; libtest itself knows only passed and failed.
const NOT_RUN_FILE: &str = "ANTIPHON_NOT_RUN_FILE";

type Step = fn(&Path) -> Result<Outcome>;

const STAGES: [(&str, Step); 11] = [
    ("format", format),
    ("tidy", tidy),
    ("arrows between crates", arrows),
    ("licences", licences),
    ("lints", lints),
    ("unit and scenario tests", unit_tests),
    ("client of the interface", interface::client_fits),
    ("interface fuzzing", interface_fuzzing),
    ("audio quality", audio_quality),
    ("end-to-end tests", end_to_end_tests),
    ("smoke", smoke),
];

/// Runs all stages; true when nothing failed.
pub(crate) fn test(root: &Path) -> Result<bool> {
    let not_run = not_run_file(root);
    if not_run.exists() {
        std::fs::remove_file(&not_run)?;
    }
    let mut rows = Vec::new();
    for (name, step) in STAGES {
        println!("\n== {name}");
        let started = Instant::now();
        let outcome = step(root).unwrap_or_else(|error| {
            println!("{error:#}");
            Outcome::default()
        });
        rows.push(Row {
            name,
            outcome,
            took: started.elapsed(),
        });
    }
    let not_run = std::fs::read_to_string(&not_run).unwrap_or_default();
    let summary = Summary {
        rows,
        not_run: not_run.lines().map(str::to_owned).collect(),
    };
    print!("{}", summary.text());
    Ok(summary.good())
}

fn not_run_file(root: &Path) -> PathBuf {
    root.join("target/e2e-not-run.txt")
}

// ---- the stages ----------------------------------------------------------------

fn format(root: &Path) -> Result<Outcome> {
    check(run(crate::in_root(root).args(["fmt", "--all", "--check"]))?.succeeded)
}

pub(crate) fn tidy(root: &Path) -> Result<Outcome> {
    let report = tidy::check(root)?;
    for question in &report.questions {
        println!("large: {question}");
    }
    findings(&report.faults)
}

pub(crate) fn arrows(root: &Path) -> Result<Outcome> {
    findings(&deps::check(root)?)
}

pub(crate) fn licences(root: &Path) -> Result<Outcome> {
    findings(&licences::check(&Workspace::read(root)?))
}

fn lints(root: &Path) -> Result<Outcome> {
    let mut clippy = crate::in_root(root);
    clippy.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]);
    check(run(&mut clippy)?.succeeded)
}

fn unit_tests(root: &Path) -> Result<Outcome> {
    let mut tests = crate::in_root(root);
    tests.args([
        "test",
        "--workspace",
        "--exclude",
        "e2e",
        "--exclude",
        "audio",
        "--locked",
        "--no-fail-fast",
    ]);
    run(tests.env(NOT_RUN_FILE, not_run_file(root)))
}

/// Two minutes of Schemathesis, always with the same seed.
fn interface_fuzzing(root: &Path) -> Result<Outcome> {
    interface::fuzz(root, 120, 1)
}

/// Half a minute of speech through every pair of codecs.
fn audio_quality(root: &Path) -> Result<Outcome> {
    audio(root, "short")
}

/// Over a minute of it.
pub(crate) fn audio_at_length(root: &Path) -> Result<Outcome> {
    audio(root, "whole")
}

/// The tables of what was heard are wanted from tests that pass, too.
fn audio(root: &Path, length: &str) -> Result<Outcome> {
    let mut tests = crate::in_root(root);
    tests.args(["test", "--package", "audio", "--locked", "--no-fail-fast"]);
    tests.args(["--", "--nocapture"]);
    tests
        .env("ANTIPHON_AUDIO", length)
        .env(NOT_RUN_FILE, not_run_file(root));
    run(&mut tests)
}

/// The tests mostly wait for the network, so more of them run at once than
/// there are cores.
fn end_to_end_tests(root: &Path) -> Result<Outcome> {
    let mut tests = crate::in_root(root);
    tests.args(["test", "--package", "e2e", "--locked", "--no-fail-fast"]);
    tests
        .env("RUST_TEST_THREADS", "4")
        .env(NOT_RUN_FILE, not_run_file(root));
    run(&mut tests)
}

fn smoke(root: &Path) -> Result<Outcome> {
    check(demo(root, &["smoke"])?)
}

fn check(good: bool) -> Result<Outcome> {
    let tests = Tests {
        passed: usize::from(good),
        failed: usize::from(!good),
    };
    Ok(Outcome {
        succeeded: good,
        tests,
    })
}

fn findings(findings: &[String]) -> Result<Outcome> {
    for finding in findings {
        println!("{finding}");
    }
    check(findings.is_empty())
}

// ---- the table -----------------------------------------------------------------

struct Summary {
    rows: Vec<Row>,
    not_run: Vec<String>,
}

struct Row {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

impl Summary {
    fn good(&self) -> bool {
        self.rows.iter().all(|row| row.outcome.succeeded)
    }

    fn text(&self) -> String {
        let mut text = format!(
            "\n{:<26} {:<8} {:>7} {:>7} {:>8}\n",
            "stage", "result", "passed", "failed", "seconds"
        );
        let mut passed = 0;
        let mut failed = 0;
        for Row {
            name,
            outcome: Outcome { succeeded, tests },
            took,
        } in &self.rows
        {
            // A stage that could not even run its tests has failed once.
            let missing = usize::from(!succeeded && tests.failed == 0);
            passed += tests.passed;
            failed += tests.failed + missing;
            let result = if *succeeded { "ok" } else { "FAILED" };
            text += &format!(
                "{name:<26} {result:<8} {:>7} {:>7} {:>8.1}\n",
                tests.passed,
                tests.failed + missing,
                took.as_secs_f64()
            );
        }
        for line in &self.not_run {
            text += &format!("did not run: {line}\n");
        }
        let skipped = self.not_run.len();
        text += &format!(
            "\n{} passed, {failed} failed",
            passed.saturating_sub(skipped)
        );
        if skipped > 0 {
            text += &format!(", {skipped} skipped");
        }
        text + "\n"
    }
}

/// Builds the gateway and the legacy site in the open, then runs the demo of `tests/e2e`.
pub(crate) fn demo(root: &Path, words: &[&str]) -> Result<bool> {
    // As the demo itself asks for them: built together, they would be built again there, because
    // cargo adds up the features of what it builds at once.
    let programs = [
        ("gateway-daemon", "antiphon-gateway"),
        ("simulator", "antiphon-site"),
        ("e2e", "demo"),
    ];
    for (package, program) in programs {
        let mut build = crate::in_root(root);
        build.args(["build", "--locked", "--package", package, "--bin", program]);
        if !build.status().context("cargo build")?.success() {
            return Ok(false);
        }
    }
    let mut demo = crate::in_root(root);
    demo.args([
        "run",
        "--quiet",
        "--locked",
        "--package",
        "e2e",
        "--bin",
        "demo",
        "--",
    ])
    .args(words);
    Ok(demo.status().context("the demo")?.success())
}

/// The load tool, built for speed; without words, all of its comparisons.
pub(crate) fn bench(root: &Path, words: &[&str]) -> Result<bool> {
    let mut build = crate::in_root(root);
    build.args(["build", "--release", "--locked"]);
    for package in ["bench-load", "gateway-daemon", "cloud-daemon"] {
        build.args(["--package", package]);
    }
    if !build.status().context("cargo build")?.success() {
        return Ok(false);
    }
    if !words.is_empty() {
        return load(root, words);
    }
    for comparison in ["compare", "devices", "core"] {
        if !load(root, &[comparison])? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn load(root: &Path, words: &[&str]) -> Result<bool> {
    let mut load = crate::in_root(root);
    load.args([
        "run",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        "bench-load",
        "--",
    ]);
    load.args(words);
    Ok(load.status().context("the load tool")?.success())
}

/// A check of its own, as `cargo xtask deps` and friends: prints, then says if all is well.
pub(crate) fn single(root: &Path, name: &str, step: Step) -> Result<bool> {
    let outcome = step(root).with_context(|| name.to_owned())?;
    println!(
        "{name}: {}",
        if outcome.succeeded { "ok" } else { "FAILED" }
    );
    Ok(outcome.succeeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &'static str, succeeded: bool, passed: usize, failed: usize) -> Row {
        let tests = Tests { passed, failed };
        Row {
            name,
            outcome: Outcome { succeeded, tests },
            took: Duration::from_millis(1500),
        }
    }

    #[test]
    fn the_closing_line_counts_every_stage() {
        let rows = vec![row("lints", true, 1, 0), row("tests", false, 10, 2)];
        let summary = Summary {
            rows,
            not_run: vec![],
        };
        assert!(
            summary.text().ends_with("\n11 passed, 2 failed\n"),
            "{}",
            summary.text()
        );
        assert!(!summary.good());
    }

    #[test]
    fn a_stage_that_could_not_run_counts_as_a_failure() {
        let summary = Summary {
            rows: vec![row("tests", false, 0, 0)],
            not_run: vec![],
        };
        assert!(
            summary.text().ends_with("\n0 passed, 1 failed\n"),
            "{}",
            summary.text()
        );
    }

    #[test]
    fn what_did_not_run_is_not_counted_as_passed() {
        let rows = vec![row("tests", true, 10, 0)];
        let summary = Summary {
            rows,
            not_run: vec!["pjsua2: no wheel".to_owned()],
        };
        assert!(summary.text().contains("did not run: pjsua2: no wheel\n"));
        assert!(
            summary
                .text()
                .ends_with("\n9 passed, 0 failed, 1 skipped\n")
        );
        assert!(summary.good());
    }
}
