//! The folder of the timeline: its files, where the chain ends, and what is removed when.
//!
//! A file is written once, by one start of the gateway, and never touched again; so what a power cut
//! tears stays as it is, and the next file says how much of it is torn. Invariant: nothing but files
//! of its own naming is ever removed, the oldest first.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::chain::{self, Hash};
use super::entry::{Entry, Time};

const PREFIX: &str = "timeline-";
const SUFFIX: &str = ".log";

/// More files than so are removed whatever their size: a gateway that is restarted over and over.
const MOST_FILES: usize = 4_096;

/// How much of the end of a file is searched for its last sound line.
const TAIL: u64 = 8 << 20;

/// The first line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heading {
    /// Version of the format.
    pub(crate) timeline: u32,
    /// Number of the file.
    pub(crate) file: u64,
    /// Number of the first entry that may stand in it.
    pub(crate) first: u64,
    pub(crate) time: Time,
    /// Hash of the last line before it.
    pub(crate) follows: String,
    /// Octets at the end of the file before that are no whole line: it ended suddenly.
    pub(crate) torn: u64,
    pub(crate) gateway: String,
    pub(crate) version: String,
}

/// The version of the format that is written.
pub(crate) const FORMAT: u32 = 1;

/// Where the chain ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) file: u64,
    pub(crate) entry: u64,
    pub(crate) hash: Hash,
    pub(crate) torn: u64,
}

impl End {
    /// Of a folder without files.
    pub(crate) fn nothing() -> Self {
        Self {
            file: 0,
            entry: 0,
            hash: Hash::start(),
            torn: 0,
        }
    }
}

/// All files with their numbers, the oldest first; none where there is no folder.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name
            .and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX))
            .and_then(|number| number.parse().ok());
        found.extend(number.map(|number| (number, path)));
    }
    found.sort_unstable();
    Ok(found)
}

pub(super) fn create(folder: &Path, number: u64) -> io::Result<File> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(path_of(folder, number))
}

pub(super) fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{PREFIX}{number:010}{SUFFIX}"))
}

/// Where the chain ends that is written on.
pub(super) fn end(folder: &Path) -> io::Result<End> {
    let files = files(folder)?;
    let Some((number, path)) = files.last() else {
        return Ok(End::nothing());
    };
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let skipped = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(skipped))?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail)?;
    let found = last_sound(&tail);
    // A file without one sound line: whoever verifies sees a break here.
    let (at, entry, hash) = found.unwrap_or((0, 0, Hash::start()));
    Ok(End {
        file: *number,
        entry,
        hash,
        torn: tail.len() as u64 - at as u64,
    })
}

/// The last line that follows the one before it, or heads the file: where it ends, the number of
/// its entry, its hash.
fn last_sound(tail: &[u8]) -> Option<(usize, u64, Hash)> {
    let ends: Vec<usize> = (0..tail.len()).filter(|at| tail[*at] == b'\n').collect();
    for (index, end) in ends.iter().enumerate().rev() {
        let before = |index: usize| {
            let start = index.checked_sub(1).map_or(0, |before| ends[before] + 1);
            &tail[start..ends[index]]
        };
        let Some((hash, json)) = chain::split(before(index)) else {
            continue;
        };
        if let Ok(heading) = serde_json::from_slice::<Heading>(json) {
            let follows = Hash::read(heading.follows.as_bytes());
            if follows.is_some_and(|follows| Hash::after(&follows, json) == hash) {
                return Some((end + 1, heading.first.saturating_sub(1), hash));
            }
        }
        let previous = index
            .checked_sub(1)
            .and_then(|index| chain::split(before(index)));
        let entry = serde_json::from_slice::<Entry>(json).ok();
        if let (Some((previous, _)), Some(entry)) = (previous, entry)
            && Hash::after(&previous, json) == hash
        {
            return Some((end + 1, entry.entry, hash));
        }
    }
    None
}

/// Removes what is older than `keep`, then the oldest until the rest fits; how many files. The last
/// one stays.
pub(super) fn tidy(folder: &Path, keep: Duration, most_bytes: u64) -> io::Result<u64> {
    let mut found = Vec::new();
    for (_, path) in files(folder)? {
        let about = fs::metadata(&path)?;
        found.push((path, about.len(), about.modified()?));
    }
    found.pop();
    let mut total: u64 = found.iter().map(|(_, bytes, _)| bytes).sum();
    let mut left = found.len();
    let oldest = SystemTime::now().checked_sub(keep);
    let mut removed = 0;
    for (path, bytes, changed) in found {
        let old = oldest.is_some_and(|oldest| changed < oldest);
        if !old && total <= most_bytes && left < MOST_FILES {
            break;
        }
        fs::remove_file(&path)?;
        total -= bytes;
        left -= 1;
        removed += 1;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::timeline::entry::{Gap, What};

    fn entry(number: u64) -> Vec<u8> {
        let entry = Entry {
            entry: number,
            time: Time(0),
            because: None,
            what: What::Gap(Gap {
                missed: 0,
                why: String::new(),
            }),
        };
        serde_json::to_vec(&entry).unwrap()
    }

    fn heading(first: u64, follows: &Hash) -> Vec<u8> {
        let heading = Heading {
            timeline: FORMAT,
            file: 1,
            first,
            time: Time(0),
            follows: follows.to_string(),
            torn: 0,
            gateway: "g".to_owned(),
            version: "0".to_owned(),
        };
        serde_json::to_vec(&heading).unwrap()
    }

    #[test]
    fn the_end_is_found_whatever_a_power_cut_left() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("timeline");
        assert_eq!(end(&inside).unwrap(), End::nothing());
        let mut lines = Vec::new();
        let hash = chain::append(&Hash::start(), &heading(5, &Hash::start()), &mut lines);
        let only_heading = lines.clone();
        let hash_5 = chain::append(&hash, &entry(5), &mut lines);
        let sound = lines.len();
        let hash_6 = chain::append(&hash_5, &entry(6), &mut lines);
        for (content, wanted) in [
            (lines.clone(), (6, &hash_6, 0)),
            (only_heading, (4, &hash, 0)),
            (
                lines[..lines.len() - 1].to_vec(),
                (5, &hash_5, lines.len() - 1 - sound),
            ),
            ([&lines[..], &[0; 100]].concat(), (6, &hash_6, 100)),
            ([&lines[..], b"\0\0\n\0"].concat(), (6, &hash_6, 4)),
        ] {
            let _ = fs::remove_dir_all(&inside);
            create(&inside, 3).unwrap().write_all(&content).unwrap();
            let found = end(&inside).unwrap();
            let expected = End {
                file: 3,
                entry: wanted.0,
                hash: wanted.1.clone(),
                torn: wanted.2 as u64,
            };
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_oldest_go_first_and_the_last_stays() {
        let folder = tempfile::tempdir().unwrap();
        for number in 1..=5 {
            create(folder.path(), number)
                .unwrap()
                .write_all(&[b'x'; 1_000])
                .unwrap();
        }
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        let day = Duration::from_secs(86_400);
        assert_eq!(tidy(folder.path(), day, 2_500).unwrap(), 2);
        let left: Vec<u64> = files(folder.path())
            .unwrap()
            .iter()
            .map(|(n, _)| *n)
            .collect();
        assert_eq!(left, [3, 4, 5]);
        assert_eq!(tidy(folder.path(), day, 0).unwrap(), 2);
        assert!(folder.path().join("notes.txt").exists());
    }

    #[test]
    fn nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("timeline");
        let file = create(&inside, 1).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            fs::metadata(&inside).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }
}
