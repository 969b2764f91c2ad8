//! House rules that no other tool checks: file sizes, module headings, manifests, shell scripts.
//!
//! Looks at the files git knows or would add (ignored ones do not count). Does
//! not format (rustfmt does) and does not lint code (clippy does).

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::shell;

/// A file over this many lines fails; over [`QUESTION`] it is listed.
const LIMIT: usize = 1000;
const QUESTION: usize = 600;

#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Faults; any of them fails the check.
    pub(crate) faults: Vec<String>,
    /// Things to ask oneself about.
    pub(crate) questions: Vec<String>,
}

pub(crate) fn check(root: &Path) -> Result<Report> {
    let mut report = Report::default();
    let paths = files(root)?;
    for path in &paths {
        let Ok(bytes) = std::fs::read(root.join(path)) else {
            continue;
        };
        // Fixtures are evidence, byte for byte as they were found.
        if path
            .split('/')
            .any(|folder| folder == "fixtures" || folder == "corpus")
        {
            continue;
        }
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        judge_text(path, &text, &mut report);
        if path.ends_with(".rs") {
            judge_rust(path, &text, &mut report);
        }
        if path.ends_with("/Cargo.toml") && !path.starts_with("tests/fuzz/") {
            judge_manifest(path, &text, &mut report);
        }
    }
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    report.faults.extend(shell::faults(root, &paths)?);
    Ok(report)
}

fn files(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git")
        .current_dir(root)
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .output()
        .context("could not run git ls-files")?;
    ensure!(
        output.status.success(),
        "git ls-files failed; is this a git checkout?"
    );
    let mut files: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

fn judge_text(path: &str, text: &str, report: &mut Report) {
    if path.ends_with(".lock") || path.ends_with(".svg") {
        return;
    }
    let mut fault = |line: usize, what: &str| {
        report.faults.push(format!("{path}:{}: {what}", line + 1));
    };
    let markdown = path.ends_with(".md");
    for (number, line) in text.lines().enumerate() {
        // Two blanks at the end of a line are a line break in Markdown.
        if line.ends_with([' ', '\t']) && !(markdown && line.ends_with("  ")) {
            fault(number, "blank at the end of the line");
        }
        if line.starts_with("<<<<<<<") || line.starts_with(">>>>>>>") {
            fault(number, "a merge was not finished");
        }
        for folder in ["/home", "/root", "/work"] {
            if names_folder(line, folder) && !path.starts_with("xtask/src/tidy") {
                fault(number, "a path of one developer's machine");
            }
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        fault(
            text.lines().count().saturating_sub(1),
            "no line end at the end of the file",
        );
    }
}

/// `/home/x` but not `~/home/x` or `a/home/x`: only an absolute path counts.
fn names_folder(line: &str, folder: &str) -> bool {
    let prefix = format!("{folder}/");
    line.match_indices(&prefix).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "/._-~}$)*".contains(c))
    })
}

fn judge_rust(path: &str, text: &str, report: &mut Report) {
    let heading = text
        .lines()
        .find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
    // The unit tests of a module next to them are introduced by that module.
    if !path.ends_with("/tests.rs") && !heading.is_some_and(|line| line.starts_with("//!")) {
        report.faults.push(format!(
            "{path}:1: no `//!` heading: what it does, what it does not"
        ));
    }
    let lines = text.lines().count();
    if lines > LIMIT {
        report
            .faults
            .push(format!("{path}: {lines} lines; what does it do twice?"));
    } else if lines > QUESTION {
        report.questions.push(format!("{path}: {lines} lines"));
    }
    for (number, line) in text.lines().enumerate() {
        for word in ["TODO", "FIXME", "XXX"] {
            let comment = line.split_once("//").map_or("", |(_, comment)| comment);
            if comment
                .split(|c: char| !c.is_alphanumeric())
                .any(|w| w == word)
            {
                report.faults.push(format!(
                    "{path}:{}: {word}: do it, or write an issue",
                    number + 1
                ));
            }
        }
        if line.trim_start().starts_with("#[ignore") {
            report.faults.push(format!(
                "{path}:{}: an ignored test proves nothing",
                number + 1
            ));
        }
    }
}

fn judge_manifest(path: &str, text: &str, report: &mut Report) {
    let manifest: toml::Table = match text.parse() {
        Ok(manifest) => manifest,
        Err(error) => {
            report.faults.push(format!("{path}: {error}"));
            return;
        }
    };
    let inherits = |table: &str, key: &str| {
        let inherited = manifest.get(table).and_then(|t| t.get(key));
        inherited
            .and_then(|value| value.get("workspace"))
            .and_then(toml::Value::as_bool)
            == Some(true)
    };
    if manifest
        .get("lints")
        .and_then(|l| l.get("workspace"))
        .and_then(toml::Value::as_bool)
        != Some(true)
    {
        report
            .faults
            .push(format!("{path}: lacks `[lints] workspace = true`"));
    }
    for key in ["version", "edition", "rust-version", "license", "publish"] {
        if !inherits("package", key) {
            report.faults.push(format!(
                "{path}: `{key}` must be inherited from the workspace"
            ));
        }
    }
    for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(dependencies) = manifest.get(table).and_then(toml::Value::as_table) else {
            continue;
        };
        for name in dependencies.keys() {
            if !inherits(table, name) {
                report.faults.push(format!(
                    "{path}: the version of {name} belongs into the root manifest"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rust(text: &str) -> Vec<String> {
        let mut report = Report::default();
        judge_text("a/src/b.rs", text, &mut report);
        judge_rust("a/src/b.rs", text, &mut report);
        report.faults
    }

    #[test]
    fn a_clean_file_passes() {
        assert_eq!(
            rust("//! What it does.\n\nfn a() {}\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn each_fault_is_found_with_its_line() {
        let faults =
            rust("//! Does.\nfn a() {} \n// \u{54}ODO later\n#[ignore]\nlet p = \"/home/me/x\";");
        let starts = [
            "a/src/b.rs:2",
            "a/src/b.rs:5",
            "a/src/b.rs:5",
            "a/src/b.rs:3",
            "a/src/b.rs:4",
        ];
        assert_eq!(faults.len(), starts.len(), "{faults:#?}");
        for (fault, start) in faults.iter().zip(starts) {
            assert!(fault.starts_with(start), "{fault}");
        }
    }

    #[test]
    fn a_missing_heading_is_found() {
        assert_eq!(rust("fn a() {}\n").len(), 1);
    }

    #[test]
    fn only_absolute_paths_name_a_machine() {
        assert!(names_folder("cd /home/me/project", "/home"));
        assert!(!names_folder("[link](docs/home/x)", "/home"));
        assert!(!names_folder("$HOME/root/x", "/root"));
    }

    #[test]
    fn versions_outside_the_root_manifest_are_found() {
        let mut report = Report::default();
        let text = "[package]\nname = \"a\"\nversion.workspace = true\nedition.workspace = true\n\
                    rust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\n\
                    [lints]\nworkspace = true\n[dependencies]\nbytes = \"1\"\n";
        judge_manifest("a/Cargo.toml", text, &mut report);
        assert_eq!(report.faults.len(), 1, "{:#?}", report.faults);
        assert!(report.faults[0].contains("bytes"));
    }
}
