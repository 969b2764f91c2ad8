//! Reads the shell scripts with shellcheck; where it is not installed, only with bash itself.
//!
//! Runs none of them. A remark that is wrong is answered in the script, with its number.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// The faults of those of `paths` that are shell scripts.
pub(crate) fn faults(root: &Path, paths: &[&str]) -> Result<Vec<String>> {
    let scripts: Vec<&&str> = paths
        .iter()
        .filter(|path| is_script(&root.join(path)))
        .collect();
    let mut faults = Vec::new();
    for script in &scripts {
        faults.extend(complaints(
            Command::new("bash").args(["-n", script]).current_dir(root),
        )?);
    }
    let shellcheck = Command::new("shellcheck").arg("--version").output();
    if shellcheck.is_err() {
        println!("shellcheck is not installed: the scripts were only parsed");
    } else if faults.is_empty() && !scripts.is_empty() {
        faults = complaints(
            Command::new("shellcheck")
                .args(["--format=gcc", "--external-sources"])
                .args(scripts)
                .current_dir(root),
        )?;
    }
    Ok(faults)
}

/// Its name says so, or its first line.
fn is_script(path: &Path) -> bool {
    // What is only known to git, as it was deleted here, cannot be read.
    std::fs::read(path).is_ok_and(|bytes| {
        if path.extension().is_some_and(|extension| extension == "sh") {
            return true;
        }
        let first = bytes.split(|octet| *octet == b'\n').next();
        first.is_some_and(|line| {
            line.starts_with(b"#!") && (line.ends_with(b"/sh") || line.ends_with(b"bash"))
        })
    })
}

/// What a checker says, line by line; nothing when it is content.
fn complaints(command: &mut Command) -> Result<Vec<String>> {
    let output = command
        .output()
        .with_context(|| format!("could not run {:?}", command.get_program()))?;
    if output.status.success() {
        return Ok(Vec::new());
    }
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    if said.trim().is_empty() {
        said = format!("{:?}: {}", command.get_program(), output.status);
    }
    Ok(said.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(script: &str) -> Vec<String> {
        let folder =
            std::env::temp_dir().join(format!("shell-{}-{}", std::process::id(), script.len()));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("script"), script).expect("a script");
        let found = faults(&folder, &["script"]).expect("bash runs");
        std::fs::remove_dir_all(&folder).expect("removed");
        found
    }

    #[test]
    fn a_sound_script_passes() {
        assert_eq!(
            faults_of("#!/usr/bin/env bash\necho well\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn an_apostrophe_too_many_is_found() {
        assert!(
            !faults_of("#!/usr/bin/env bash\nwords='a company's own'\necho $words'\n").is_empty()
        );
    }

    #[test]
    fn what_is_no_script_is_not_read() {
        assert_eq!(faults_of("it isn't one\n"), Vec::<String>::new());
    }
}
