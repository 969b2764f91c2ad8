//! `cargo xtask fuzz`: each target for some minutes, on from its committed corpus.
//!
//! `scripts/setup.sh fuzz` installs cargo-fuzz. No address sanitizer: our crates
//! hold no unsafe code, and without it a stable compiler is enough.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Runs all targets of `tests/fuzz`, or only `target`; true when none found anything.
pub(crate) fn fuzz(root: &Path, minutes: u32, target: Option<&str>) -> Result<bool> {
    ensure!(
        minutes > 0,
        "for libFuzzer, no time means without end; give it a minute at least"
    );
    let folder = root.join("tests/fuzz");
    let all = targets(&folder)?;
    ensure!(
        !all.is_empty(),
        "there are no fuzz targets below {}",
        folder.display()
    );
    let path = path_with_tools(root)?;
    let mut found = Vec::new();
    for name in all
        .iter()
        .filter(|name| target.is_none_or(|target| target == *name))
    {
        println!("\n== fuzz {name}, {minutes} min");
        let status = Command::new(crate::cargo())
            .current_dir(&folder)
            .env("PATH", &path)
            // cargo-fuzz asks for flags of a nightly compiler.
            .env("RUSTC_BOOTSTRAP", "1")
            .args(["fuzz", "run", "--sanitizer", "none", name, "--"])
            .arg(format!("-max_total_time={}", u64::from(minutes) * 60))
            .arg("-rss_limit_mb=1024")
            .status()
            .context("could not run cargo fuzz; scripts/setup.sh fuzz installs it")?;
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

/// The search path with the folder that setup installs cargo-fuzz into.
fn path_with_tools(root: &Path) -> Result<OsString> {
    let state = std::env::var_os("ANTIPHON_STATE").map_or(root.join(".antiphon"), PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(state.join("tools/bin")).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).context("the search path")
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
