//! Walks the whole chain and names the first break.
//!
//! It reads the files alone and believes nothing: each line must carry the hash that follows from
//! the line before, each number must follow, each file must go on where the one before ends.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::chain::{self, Hash};
use super::entry::{Entry, Time, What};
use super::folder::{self, Heading};

/// What was found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) files: usize,
    pub(crate) entries: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Time>,
    /// Hash of the last line: with it, a copy of elsewhere can be compared.
    pub(crate) head: String,
    /// Whether a hash that was written down elsewhere is in the chain; nothing if none was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) head_found: Option<bool>,
    /// Entries that the gateway itself says are missing.
    pub(crate) missed: u64,
    /// Files that ended suddenly, as the next one says.
    pub(crate) torn: u64,
    /// The file that is being written ends in half a line.
    pub(crate) unfinished: bool,
    #[serde(rename = "break", skip_serializing_if = "Option::is_none")]
    pub(crate) first_break: Option<Break>,
}

impl Report {
    pub(crate) fn is_sound(&self) -> bool {
        self.first_break.is_none() && self.head_found != Some(false)
    }
}

/// Where the chain does not hold, and why.
#[derive(Debug, Serialize)]
pub(crate) struct Break {
    pub(crate) file: PathBuf,
    /// Counted from 1.
    pub(crate) line: u64,
    /// The last entry that holds.
    pub(crate) after: Option<u64>,
    pub(crate) why: String,
}

/// Longer lines are no lines of ours.
const LONGEST_LINE: u64 = 2 << 20;

/// Walks the files in `folder`; `wanted` is a hash that must be in the chain, where it is given.
pub(crate) fn verify(folder: &Path, wanted: Option<&str>) -> io::Result<Report> {
    let files = folder::files(folder)?;
    let mut walk = Walk {
        report: Report {
            files: files.len(),
            head_found: wanted.map(|_| false),
            ..Report::default()
        },
        before: None,
        wanted: wanted.and_then(|wanted| Hash::read(wanted.as_bytes())),
    };
    for (index, (_, path)) in files.iter().enumerate() {
        let is_last = index + 1 == files.len();
        let next_torn = match files.get(index + 1) {
            Some((_, next)) => heading_of(next)?.map(|heading| heading.torn),
            None => None,
        };
        if let Err(broken) = walk.file(path, is_last, next_torn)? {
            walk.report.first_break = Some(broken);
            break;
        }
    }
    let mut report = walk.report;
    report.head = walk.before.unwrap_or_else(Hash::start).to_string();
    Ok(report)
}

struct Walk {
    report: Report,
    /// Hash of the line before; nothing before the first line that is still there.
    before: Option<Hash>,
    wanted: Option<Hash>,
}

impl Walk {
    fn file(
        &mut self,
        path: &Path,
        is_last: bool,
        next_torn: Option<u64>,
    ) -> io::Result<Result<(), Break>> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut lines = BufReader::with_capacity(1 << 16, file);
        let (mut number, mut at) = (0, 0);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = io::Read::take(&mut lines, LONGEST_LINE).read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            number += 1;
            let broken = |walk: &Self, why: String| {
                Ok(Err(Break {
                    file: path.to_owned(),
                    line: number,
                    after: walk.report.last,
                    why,
                }))
            };
            // What a power cut left is no line; the file after it says how much that is.
            if next_torn.is_some_and(|torn| torn > 0 && at + torn == length) {
                self.report.torn += 1;
                return Ok(Ok(()));
            }
            if line.last() != Some(&b'\n') {
                if is_last && read < LONGEST_LINE as usize {
                    self.report.unfinished = true;
                    return Ok(Ok(()));
                }
                return broken(self, "the file ends in the middle of a line".to_owned());
            }
            at += read as u64;
            line.pop();
            if let Err(why) = self.line(&line, number == 1) {
                return broken(self, why);
            }
        }
        if number == 0 {
            return Ok(Err(Break {
                file: path.to_owned(),
                line: 1,
                after: self.report.last,
                why: "the file is empty".to_owned(),
            }));
        }
        Ok(Ok(()))
    }

    fn line(&mut self, line: &[u8], is_first: bool) -> Result<(), String> {
        let (hash, json) = chain::split(line).ok_or("this is no line of a timeline")?;
        if is_first {
            let heading: Heading =
                serde_json::from_slice(json).map_err(|_| "a file must begin with its heading")?;
            let follows = Hash::read(heading.follows.as_bytes());
            let follows = follows.ok_or("the heading names no hash that it follows")?;
            if self
                .before
                .as_ref()
                .is_some_and(|before| *before != follows)
            {
                return Err("this file does not follow the one before".to_owned());
            }
            self.before = Some(follows);
        }
        let before = self
            .before
            .as_ref()
            .ok_or("a file must begin with its heading")?;
        if Hash::after(before, json) != hash {
            return Err(
                "the hash does not fit: this line, or the one before, was changed".to_owned(),
            );
        }
        if !is_first {
            self.entry(json)?;
        }
        if self.wanted.as_ref() == Some(&hash) {
            self.report.head_found = Some(true);
        }
        self.before = Some(hash);
        Ok(())
    }

    fn entry(&mut self, json: &[u8]) -> Result<(), String> {
        let entry: Entry =
            serde_json::from_slice(json).map_err(|error| format!("this is no entry: {error}"))?;
        let report = &mut self.report;
        let missed = match &entry.what {
            What::Gap(gap) => gap.missed,
            What::Sip(_) | What::Frame(_) | What::Leg(_) | What::Event(_) | What::Unknown => 0,
        };
        if let Some(last) = report.last
            && entry.entry != last + 1
            && (missed == 0 || entry.entry <= last)
        {
            return Err(format!("entry {} follows entry {last}", entry.entry));
        }
        report.entries += 1;
        report.missed += missed;
        report.first.get_or_insert(entry.entry);
        report.last = Some(entry.entry);
        report.from.get_or_insert(entry.time);
        report.until = Some(entry.time);
        Ok(())
    }
}

/// The first line of a file, if it is a heading.
fn heading_of(path: &Path) -> io::Result<Option<Heading>> {
    let mut line = Vec::new();
    let file = BufReader::new(File::open(path)?);
    io::Read::take(file, LONGEST_LINE).read_until(b'\n', &mut line)?;
    line.pop();
    Ok(chain::split(&line).and_then(|(_, json)| serde_json::from_slice(json).ok()))
}
