//! `cargo xtask fuzz`: each target for some minutes, on from its committed corpus.
//!
//! The targets need cargo-fuzz and a sanitizer; `RUSTC_BOOTSTRAP` lets a stable
//! compiler take the unstable flags, so that no second toolchain is needed.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Runs all targets of `tests/fuzz`, or only `target`; true when none found anything.
pub(crate) fn fuzz(root: &Path, minutes: u32, target: Option<&str>) -> Result<bool> {
    let folder = root.join("tests/fuzz");
    let all = targets(&folder)?;
    ensure!(
        !all.is_empty(),
        "there are no fuzz targets below {}",
        folder.display()
    );
    let mut found = Vec::new();
    for name in all
        .iter()
        .filter(|name| target.is_none_or(|target| target == *name))
    {
        println!("\n== fuzz {name}, {minutes} min");
        let status = Command::new(crate::cargo())
            .current_dir(&folder)
            .env("RUSTC_BOOTSTRAP", "1")
            .args(["fuzz", "run", name, "--"])
            .arg(format!("-max_total_time={}", u64::from(minutes) * 60))
            .arg("-rss_limit_mb=1024")
            .status()
            .context("could not run cargo fuzz; install it with: cargo install cargo-fuzz")?;
        if !status.success() {
            found.push(name.as_str());
        }
    }
    match found.as_slice() {
        [] => println!("\nno findings"),
        names => println!(
            "\nfindings in: {}; the inputs are below tests/fuzz/artifacts",
            names.join(", ")
        ),
    }
    Ok(found.is_empty())
}

/// The names of the `[[bin]]` entries.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let path = folder.join("Cargo.toml");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let manifest: toml::Table = text.parse().with_context(|| path.display().to_string())?;
    let bins = manifest
        .get("bin")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten();
    Ok(bins
        .filter_map(|bin| Some(bin.get("name")?.as_str()?.to_owned()))
        .collect())
}
