//! Runs a command in the open: its output is passed on as it comes, and the
//! result lines of test runners in it are counted.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// What a command left behind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) succeeded: bool,
    pub(crate) tests: Tests,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tests {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

/// Runs to the end. Standard error goes straight through; standard output is
/// read line by line on the way.
pub(crate) fn run(command: &mut Command) -> Result<Outcome> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start {name}"))?;
    let output = child
        .stdout
        .take()
        .context("the output was asked for above")?;
    let mut tests = Tests::default();
    let mut out = std::io::stdout().lock();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.with_context(|| format!("reading what {name} says"))?;
        out.write_all(&line)?;
        out.write_all(b"\n")?;
        tests.count(&String::from_utf8_lossy(&line));
    }
    let status = child
        .wait()
        .with_context(|| format!("waiting for {name}"))?;
    Ok(Outcome {
        succeeded: status.success(),
        tests,
    })
}

impl Tests {
    /// Counts one line of output, if it is the result line of a test program:
    /// `test result: ok. 3 passed; 0 failed; 0 ignored; ...`.
    fn count(&mut self, line: &str) {
        let Some(rest) = line.trim_start().strip_prefix("test result: ") else {
            return;
        };
        let Some((_, counts)) = rest.split_once(". ") else {
            return;
        };
        for part in counts.split("; ") {
            let Some((number, what)) = part.trim().split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<usize>() else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_added_up() {
        let mut tests = Tests::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
            "the test result: ok. 100 passed",
        ] {
            tests.count(line);
        }
        assert_eq!(
            tests,
            Tests {
                passed: 4,
                failed: 2
            }
        );
    }

    #[test]
    fn a_failing_command_is_told_from_a_good_one() {
        assert!(run(&mut Command::new("true")).unwrap().succeeded);
        assert!(!run(&mut Command::new("false")).unwrap().succeeded);
        assert!(run(&mut Command::new("/nowhere/at-all")).is_err());
    }
}
