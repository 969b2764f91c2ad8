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
    let driver = Driver {
        path: path_with_tools(root)?,
        folder,
    };
    let mut found = Vec::new();
    for name in all
        .iter()
        .filter(|name| target.is_none_or(|target| target == *name))
    {
        println!("\n== fuzz {name}, {minutes} min");
        let built = driver.cargo_fuzz("build", name).status();
        let built = built.context("could not run cargo fuzz; scripts/setup.sh fuzz installs it")?;
        ensure!(built.success(), "the fuzz target {name} does not build");
        if !driver.run(name, minutes)? {
            found.push(name.as_str());
        }
    }
    match found.as_slice() {
        [] => println!("\nno findings"),
        names => println!(
            "\nfindings in: {}; the inputs are in tests/fuzz/target/findings",
            names.join(", ")
        ),
    }
    Ok(found.is_empty())
}

/// cargo-fuzz on the targets in a folder.
struct Driver {
    path: OsString,
    folder: PathBuf,
}

impl Driver {
    fn cargo_fuzz(&self, verb: &str, target: &str) -> Command {
        let mut command = Command::new(crate::cargo());
        command.current_dir(&self.folder).env("PATH", &self.path);
        // cargo-fuzz asks for flags of a nightly compiler.
        command
            .env("RUSTC_BOOTSTRAP", "1")
            .env_remove("CARGO_TARGET_DIR");
        command.args([
            "fuzz",
            verb,
            "--fuzz-dir",
            ".",
            "--sanitizer",
            "none",
            target,
        ]);
        command
    }

    /// True when nothing was found. New inputs go into a folder that git
    /// ignores; the committed corpus is only read.
    fn run(&self, target: &str, minutes: u32) -> Result<bool> {
        let grown = self.folder.join("target/corpus").join(target);
        let findings = self.folder.join("target/findings");
        std::fs::create_dir_all(&grown)?;
        std::fs::create_dir_all(&findings)?;
        let mut run = self.cargo_fuzz("run", target);
        run.arg(&grown);
        let committed = self.folder.join("corpus").join(target);
        if committed.is_dir() {
            run.arg(&committed);
        }
        run.arg("--");
        run.arg(format!("-max_total_time={}", u64::from(minutes) * 60));
        run.arg(format!("-artifact_prefix={}/{target}-", findings.display()));
        run.args(["-rss_limit_mb=1024", "-print_final_stats=1", "-verbosity=0"]);
        Ok(run.status().context("cargo fuzz run")?.success())
    }
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
