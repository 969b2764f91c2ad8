//! Reads the timeline from its files, in order, also while they are written.
//!
//! It believes what stands there; whether it may be believed, `verify` says. Lines that are no
//! entries are passed over and counted. Invariant: memory does not grow with the timeline.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::chain;
use super::entry::Entry;
use super::folder::{self, Heading};

/// Longer lines are no lines of ours.
const LONGEST_LINE: u64 = 2 << 20;

/// Reads on from where it is; at the end it can be asked again later.
#[derive(Debug)]
pub(crate) struct Reader {
    folder: PathBuf,
    open: Option<Open>,
    /// Number of the file that was read last.
    done: u64,
    /// Lines that could not be read.
    pub(crate) unreadable: u64,
}

#[derive(Debug)]
struct Open {
    number: u64,
    lines: BufReader<File>,
    /// The beginning of a line whose end is not there yet.
    begun: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            open: None,
            done: 0,
            unreadable: 0,
        }
    }

    /// The next entry; nothing at the end of what is there now.
    pub(crate) fn next(&mut self) -> io::Result<Option<Entry>> {
        loop {
            let Some(open) = &mut self.open else {
                if !self.open_next()? {
                    return Ok(None);
                }
                continue;
            };
            let most = LONGEST_LINE.saturating_sub(open.begun.len() as u64);
            let mut limited = io::Read::take(&mut open.lines, most);
            limited.read_until(b'\n', &mut open.begun)?;
            match open.begun.last() {
                Some(b'\n') => {
                    let line = std::mem::take(&mut open.begun);
                    match read_line(&line[..line.len() - 1]) {
                        Line::Entry(entry) => return Ok(Some(*entry)),
                        Line::Heading => {}
                        Line::Neither => self.unreadable += 1,
                    }
                }
                Some(_) if open.begun.len() as u64 >= LONGEST_LINE => {
                    open.begun.clear();
                    self.unreadable += 1;
                }
                // A file that a later one follows is not written any more.
                Some(_) | None => {
                    let number = open.number;
                    let torn = !open.begun.is_empty();
                    if self.next_after(number)?.is_none() {
                        return Ok(None);
                    }
                    self.unreadable += u64::from(torn);
                    (self.done, self.open) = (number, None);
                }
            }
        }
    }

    fn open_next(&mut self) -> io::Result<bool> {
        let Some((number, path)) = self.next_after(self.done)? else {
            return Ok(false);
        };
        match File::open(&path) {
            Ok(file) => {
                self.open = Some(Open {
                    number,
                    lines: BufReader::with_capacity(1 << 16, file),
                    begun: Vec::new(),
                });
            }
            // Its time has come between listing and opening.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.done = number,
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    fn next_after(&self, done: u64) -> io::Result<Option<(u64, PathBuf)>> {
        let files = folder::files(&self.folder)?;
        Ok(files.into_iter().find(|(number, _)| *number > done))
    }
}

pub(crate) enum Line {
    Heading,
    Entry(Box<Entry>),
    Neither,
}

fn read_line(line: &[u8]) -> Line {
    let Some((_, json)) = chain::split(line) else {
        return Line::Neither;
    };
    if let Ok(entry) = serde_json::from_slice(json) {
        return Line::Entry(entry);
    }
    match serde_json::from_slice::<Heading>(json) {
        Ok(_) => Line::Heading,
        Err(_) => Line::Neither,
    }
}
