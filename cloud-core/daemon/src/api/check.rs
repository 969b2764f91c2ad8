//! Fields of a body, checked one by one; all findings come out at once.

use std::collections::BTreeMap;

use super::problem::{Finding, Problem};

/// Gathers what is wrong with a body.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

/// How long a name may be, in characters.
pub(crate) const LONGEST_NAME: usize = 100;

impl Findings {
    pub(crate) fn add(&mut self, pointer: &str, code: &str, detail: impl Into<String>) {
        self.0.push(Finding::new(pointer, code, detail));
    }

    /// A name: something in it, no control characters, not too long. Spaces around it go.
    pub(crate) fn name(&mut self, pointer: &str, text: &str) -> String {
        self.words(pointer, text, 1, LONGEST_NAME)
    }

    /// Text of so many characters, without control characters.
    pub(crate) fn words(&mut self, pointer: &str, text: &str, least: usize, most: usize) -> String {
        let text = text.trim();
        let length = text.chars().count();
        if length < least {
            self.add(pointer, "empty", "Write something here.");
        } else if length > most {
            self.add(
                pointer,
                "too_long",
                format!("Write at most {most} characters."),
            );
        }
        if text.chars().any(char::is_control) {
            self.add(
                pointer,
                "control_character",
                "Leave out line breaks and the like.",
            );
        }
        text.to_owned()
    }

    /// A zone of the tz database.
    pub(crate) fn time_zone(&mut self, pointer: &str, name: &str) {
        if jiff::tz::TimeZone::get(name).is_err() {
            self.add(
                pointer,
                "no_time_zone",
                "Write a name such as Europe/Vienna.",
            );
        }
    }

    /// One of a few words.
    pub(crate) fn one_of(&mut self, pointer: &str, word: &str, words: &[&str]) {
        if !words.contains(&word) {
            self.add(
                pointer,
                "unknown",
                format!("Write one of: {}.", words.join(", ")),
            );
        }
    }

    pub(crate) fn range(&mut self, pointer: &str, number: i64, least: i64, most: i64) {
        if !(least..=most).contains(&number) {
            self.add(
                pointer,
                "out_of_range",
                format!("Write a number from {least} to {most}."),
            );
        }
    }

    /// What a company writes beside a project or site: keys that it has declared.
    pub(crate) fn metadata(&mut self, metadata: &BTreeMap<String, String>, known: &[String]) {
        for (key, text) in metadata {
            let pointer = format!("/metadata/{}", key.replace('~', "~0").replace('/', "~1"));
            if !known.contains(key) {
                let detail = "The company has no such key; add it to its metadata keys first.";
                self.add(&pointer, "unknown_key", detail);
            }
            self.words(&pointer, text, 0, 500);
        }
    }

    /// A problem if anything was found.
    pub(crate) fn done(self) -> Result<(), Problem> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.0))
        }
    }
}

/// A name as it is compared and sorted: without regard to case.
pub(crate) fn key_of(name: &str) -> String {
    name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let mut findings = Findings::default();
        assert_eq!(findings.name("/name", "  Clinic  "), "Clinic");
        findings.name("/other", " ");
        findings.name("/long", &"x".repeat(101));
        findings.name("/line", "a\nb");
        findings.time_zone("/zone", "Europe/Wien");
        let problem = findings.done().unwrap_err();
        let found: Vec<_> = problem.errors.iter().map(|e| e.pointer.as_str()).collect();
        assert_eq!(found, ["/other", "/long", "/line", "/zone"]);
    }
}
