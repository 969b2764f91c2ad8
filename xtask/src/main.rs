//! What CI runs beyond cargo: the test pipeline, dependency directions, tidy
//! checks, fuzzing. Run it as `cargo xtask COMMAND`.
//!
//! Knows the repository, not the product: it starts programs and reads files,
//! and links none of our crates.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

mod deps;
mod fuzz;
mod interface;
mod licences;
mod metadata;
mod pipeline;
mod runner;
mod shell;
mod tidy;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  test                 everything a change must pass, with a table at the end
  demo                 a gateway, stations and a legacy site, until Ctrl-C
  smoke                the same headless: one call, the audio checked
  bench [ARGUMENTS]    the same load on us and our peers (benches/)
  audio                how each pair of codecs sounds, with all the speech there is
  deps                 who may import whom (xtask/deps.toml)
  tidy                 file sizes, module headings, manifests, scripts
  licences             what may be linked in
  client               writes the types of the cloud core's client anew (cloud-core/client)
  api-fuzz [--minutes N] [--seed N]
                       Schemathesis over the cloud core's interface (10)
  fuzz [--minutes N] [TARGET]
                       each fuzz target for N minutes (10)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match command(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs one command; true when all is well.
fn command(words: &[&str]) -> Result<bool> {
    let root = root()?;
    match words {
        ["test"] => pipeline::test(&root),
        ["demo"] => pipeline::demo(&root, &[]),
        ["smoke"] => pipeline::demo(&root, &["smoke"]),
        ["bench", rest @ ..] => pipeline::bench(&root, rest),
        ["audio"] => pipeline::single(&root, "audio quality", pipeline::audio_at_length),
        ["deps"] => pipeline::single(&root, "arrows between crates", pipeline::arrows),
        ["tidy"] => pipeline::single(&root, "tidy", pipeline::tidy),
        ["licences"] => pipeline::single(&root, "licences", pipeline::licences),
        ["client"] => interface::client(&root),
        ["api-fuzz", rest @ ..] => {
            let (mut minutes, mut seed) = (10, 1);
            for pair in rest.chunks(2) {
                match pair {
                    ["--minutes", n] => minutes = n.parse().context("--minutes takes a number")?,
                    ["--seed", n] => seed = n.parse().context("--seed takes a number")?,
                    _ => bail!("api-fuzz takes --minutes N and --seed N\n\n{USAGE}"),
                }
            }
            Ok(interface::fuzz(&root, minutes * 60, seed)?.succeeded)
        }
        ["fuzz", rest @ ..] => {
            let (minutes, rest) = match rest {
                ["--minutes", minutes, rest @ ..] => (
                    minutes.parse().context("--minutes takes a whole number")?,
                    rest,
                ),
                rest => (10, rest),
            };
            match rest {
                [] => fuzz::fuzz(&root, minutes, None),
                [target] => fuzz::fuzz(&root, minutes, Some(target)),
                _ => bail!("fuzz takes one target at most\n\n{USAGE}"),
            }
        }
        [] | ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(true)
        }
        [unknown, ..] => bail!("unknown or incomplete command '{unknown}'\n\n{USAGE}"),
    }
}

/// The repository's folder: the parent of this crate's.
fn root() -> Result<PathBuf> {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    Ok(here
        .parent()
        .context("this crate lies in a folder of the repository")?
        .to_owned())
}

/// The cargo that runs us.
fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// A cargo command at the repository's root. What this process got from its own
/// cargo is taken out, or build scripts would see it change and run again.
fn in_root(root: &Path) -> Command {
    let mut command = Command::new(cargo());
    command.current_dir(root);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}
