//! The interface of the cloud core from outside: its client of TypeScript, and Schemathesis.
//!
//! Both work on `cloud-core/openapi.json`, which a test of the core compares with the routes. What they
//! need lies in `.antiphon/`, where `scripts/setup.sh test` puts it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::runner::{Outcome, Tests, run};

const DESCRIPTION: &str = "cloud-core/openapi.json";
const CLIENT: &str = "cloud-core/client";
const TYPES: &str = "src/schema.d.ts";

/// Writes the types of the client anew.
pub(crate) fn client(root: &Path) -> Result<bool> {
    let types = generated(root)?;
    fs::write(root.join(CLIENT).join(TYPES), types)?;
    Ok(true)
}

/// The types that are kept are those of the description, and the client with its examples is sound.
pub(crate) fn client_fits(root: &Path) -> Result<Outcome> {
    let kept = fs::read_to_string(root.join(CLIENT).join(TYPES)).unwrap_or_default();
    let drifted = kept != generated(root)?;
    if drifted {
        println!("{CLIENT}/{TYPES} is of another day: scripts/xtask client writes it anew");
    }
    // Beside the packages, where the compiler looks for them.
    let tools = tools(root)?;
    for part in ["src", "examples"] {
        let from = root.join(CLIENT).join(part);
        let to = tools.join(part);
        fs::create_dir_all(&to)?;
        for file in fs::read_dir(&from).with_context(|| from.display().to_string())? {
            let file = file?;
            fs::copy(file.path(), to.join(file.file_name()))?;
        }
    }
    let settings = "tsconfig.json";
    fs::copy(root.join(CLIENT).join(settings), tools.join(settings))?;
    let mut compiler = Command::new("node");
    let compiled = run(compiler
        .current_dir(&tools)
        .args(["node_modules/typescript/bin/tsc", "--noEmit"]))?;
    let good = [!drifted, compiled.succeeded];
    Ok(Outcome {
        succeeded: good.iter().all(|good| *good),
        tests: Tests {
            passed: good.iter().filter(|good| **good).count(),
            failed: good.iter().filter(|good| !**good).count(),
        },
    })
}

fn generated(root: &Path) -> Result<String> {
    let tools = tools(root)?;
    let types = tools.join("generated.d.ts");
    let mut generator = Command::new("node");
    generator
        .current_dir(&tools)
        .arg("node_modules/openapi-typescript/bin/cli.js")
        .arg(root.join(DESCRIPTION))
        .arg("--output")
        .arg(&types);
    ensure!(
        run(&mut generator)?.succeeded,
        "openapi-typescript could not read {DESCRIPTION}"
    );
    Ok(fs::read_to_string(types)?)
}

/// Schemathesis over a core that is started for it, for so many seconds.
pub(crate) fn fuzz(root: &Path, seconds: u32, seed: u32) -> Result<Outcome> {
    let mut build = crate::in_root(root);
    build.args(["build", "--locked", "--package", "cloud-daemon"]);
    build.args(["--bin", "antiphon-cloud"]);
    ensure!(
        build.status().context("cargo build")?.success(),
        "antiphon-cloud could not be built"
    );
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root.join("target"), |folder| root.join(folder));
    let examples = (seconds / 6).max(10);
    let mut schemathesis = Command::new(installed(root, "schemathesis/bin/python")?);
    schemathesis
        .current_dir(root)
        .arg("tests/api/fuzz.py")
        .arg(target.join("debug/antiphon-cloud"))
        .arg(DESCRIPTION)
        .args(["--seconds", &seconds.to_string()])
        .args(["--seed", &seed.to_string()])
        .args(["--examples", &examples.to_string()]);
    let succeeded = run(&mut schemathesis)?.succeeded;
    let tests = Tests {
        passed: usize::from(succeeded),
        failed: usize::from(!succeeded),
    };
    Ok(Outcome { succeeded, tests })
}

fn tools(root: &Path) -> Result<PathBuf> {
    let generator = "client/node_modules/openapi-typescript";
    installed(root, generator)?;
    Ok(state(root).join("client"))
}

fn installed(root: &Path, what: &str) -> Result<PathBuf> {
    let path = state(root).join(what);
    ensure!(
        path.exists(),
        "{} is not there; scripts/setup.sh test installs it",
        path.display()
    );
    Ok(path)
}

fn state(root: &Path) -> PathBuf {
    let named = std::env::var_os("ANTIPHON_STATE");
    named.map_or_else(|| root.join(".antiphon"), PathBuf::from)
}
