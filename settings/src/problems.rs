//! What is wrong with a configuration: every problem at once, each with its place and its remedy.
//!
//! Collects and prints; decides nothing. Invariant: a `Problem` never carries the value of a secret,
//! because its text ends on terminals and in journals.

use std::fmt;
use std::path::{Path, PathBuf};

/// One file that was read, kept to turn byte offsets into lines and columns.
#[derive(Debug)]
struct Source {
    file: PathBuf,
    line_starts: Vec<usize>,
    text: String,
}

/// Which file an offset belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceId(usize);

/// Where a value stands: its file, its first byte and its dotted path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub source: SourceId,
    pub offset: usize,
    pub path: String,
}

/// One thing that is wrong, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as it was named by the user.
    pub file: PathBuf,
    /// Line, counted from 1; 0 when the problem belongs to no line.
    pub line: usize,
    /// Column in characters, counted from 1; 0 when the problem belongs to no line.
    pub column: usize,
    /// Dotted path of the value, empty for a syntax error.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, " {}:", self.path)?;
        }
        write!(f, " {}\n    remedy: {}", self.what, self.remedy)
    }
}

/// The files read so far and everything found wrong in them.
#[derive(Debug, Default)]
pub struct Problems {
    sources: Vec<Source>,
    found: Vec<Problem>,
    gaps: bool,
}

/// A configuration that cannot be used, with all reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Problem>);

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        match self.0.len() {
            1 => write!(f, "1 problem in the configuration; nothing was started."),
            n => write!(f, "{n} problems in the configuration; nothing was started."),
        }
    }
}

impl Problems {
    pub fn add_source(&mut self, file: &Path, text: &str) -> SourceId {
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        self.sources.push(Source {
            file: file.to_owned(),
            line_starts,
            text: text.to_owned(),
        });
        SourceId(self.sources.len() - 1)
    }

    pub fn report(&mut self, place: &Place, what: impl Into<String>, remedy: impl Into<String>) {
        let source = &self.sources[place.source.0];
        let (line, column) = source.line_and_column(place.offset);
        self.found.push(Problem {
            file: source.file.clone(),
            line,
            column,
            path: place.path.clone(),
            what: what.into(),
            remedy: remedy.into(),
        });
    }

    /// A required value is missing or unreadable; an example stands in its place.
    pub fn note_gap(&mut self) {
        self.gaps = true;
    }

    /// How many there are so far.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    pub fn have_gaps(&self) -> bool {
        self.gaps
    }

    /// A problem of a file as a whole, such as one that cannot be read.
    pub fn report_file(&mut self, file: &Path, what: impl Into<String>, remedy: impl Into<String>) {
        self.found.push(Problem {
            file: file.to_owned(),
            line: 0,
            column: 0,
            path: String::new(),
            what: what.into(),
            remedy: remedy.into(),
        });
    }

    /// `value` when nothing was found wrong, else everything that was, in the order of the files.
    pub fn into_result<T>(self, value: T) -> Result<T, ConfigErrors> {
        match self.found.is_empty() {
            true => Ok(value),
            false => Err(self.into_errors()),
        }
    }

    /// Everything that was found wrong, in the order of the files.
    pub fn into_errors(self) -> ConfigErrors {
        let rank = |file: &Path| self.sources.iter().position(|s| s.file == file);
        let mut found = self.found;
        found.sort_by_key(|p| (rank(&p.file), p.line, p.column));
        ConfigErrors(found)
    }
}

impl Source {
    fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        let column = self
            .text
            .get(start..offset)
            .map_or(offset - start, |before| before.chars().count());
        (line, column + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_in_lines_and_characters_not_bytes() {
        let mut problems = Problems::default();
        let text = "a = 1\nü = 2 # second\n";
        let source = problems.add_source(Path::new("x.toml"), text);
        let place = Place {
            source,
            offset: text.find('2').expect("the text has a 2"),
            path: "ü".into(),
        };
        problems.report(&place, "wrong", "right it");
        let errors = problems.into_result(()).unwrap_err();
        assert_eq!(
            errors.to_string(),
            "x.toml:2:5: ü: wrong\n    remedy: right it\n\
             1 problem in the configuration; nothing was started."
        );
    }

    #[test]
    fn an_offset_behind_the_end_is_the_last_place() {
        let mut problems = Problems::default();
        let source = problems.add_source(Path::new("x.toml"), "a");
        let place = Place {
            source,
            offset: 99,
            path: String::new(),
        };
        problems.report(&place, "w", "r");
        let errors = problems.into_result(()).unwrap_err();
        assert_eq!((errors.0[0].line, errors.0[0].column), (1, 2));
    }
}
