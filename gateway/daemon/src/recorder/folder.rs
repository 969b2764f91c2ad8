//! The folder of recordings: names, rights, and what is removed when.
//!
//! Invariant: a file is made new and readable by nobody but the user of the gateway; nothing but
//! recordings of its own naming is ever removed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use model::{CallId, Timestamp};

const EXTENSION: &str = "opus";

/// Names tried for one recording; more are taken only by somebody who plays with the folder.
const NAMES: u32 = 100;

/// Makes the file of a call that is recorded from `began` on.
pub(super) fn create(folder: &Path, call: CallId, began: Timestamp) -> io::Result<(File, PathBuf)> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let stem = format!("{}-{call}", written(began));
    let mut taken = io::Error::from(io::ErrorKind::AlreadyExists);
    for number in 1..=NAMES {
        let name = match number {
            1 => format!("{stem}.{EXTENSION}"),
            number => format!("{stem}-{number}.{EXTENSION}"),
        };
        let path = folder.join(name);
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        match made {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => taken = error,
            Err(error) => return Err(error),
        }
    }
    Err(taken)
}

/// RFC 3339 without signs that a file name should not have: 20261121T164500Z.
fn written(time: Timestamp) -> String {
    let known = jiff::Timestamp::from_millisecond(time.unix_ms());
    known.map_or_else(
        |_| time.unix_ms().to_string(),
        |time| time.strftime("%Y%m%dT%H%M%SZ").to_string(),
    )
}

/// Removes what is older than `keep`, then the oldest until the rest fits; how many those were.
/// A recording that is still being written is the newest and stays unless it alone is too large.
pub(super) fn tidy(
    folder: &Path,
    keep: Duration,
    most_bytes: u64,
    running: &[&Path],
) -> io::Result<u64> {
    let mut found = recordings(folder, running)?;
    found.sort_unstable();
    let mut total: u64 = found.iter().map(|(_, bytes, _)| bytes).sum();
    let oldest = SystemTime::now().checked_sub(keep);
    let mut removed = 0;
    for (changed, bytes, path) in found {
        let old = oldest.is_some_and(|oldest| changed < oldest);
        if !old && total <= most_bytes {
            break;
        }
        fs::remove_file(&path)?;
        total -= bytes;
        removed += 1;
    }
    Ok(removed)
}

type Found = (SystemTime, u64, PathBuf);

fn recordings(folder: &Path, running: &[&Path]) -> io::Result<Vec<Found>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // Nothing was ever recorded.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let ours = path.extension().is_some_and(|ext| ext == EXTENSION);
        if !ours || running.contains(&path.as_path()) {
            continue;
        }
        let about = entry.metadata()?;
        if about.is_file() {
            found.push((about.modified()?, about.len(), path));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const BEGAN: Timestamp = Timestamp::from_unix_ms(1_795_279_500_000);

    #[test]
    fn a_recording_is_named_by_time_and_call_and_is_nobodys_business() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("recordings");
        let (_, first) = create(&inside, CallId::new(7), BEGAN).unwrap();
        let (_, second) = create(&inside, CallId::new(7), BEGAN).unwrap();
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(
            name(&first),
            format!("20261121T164500Z-{}.opus", CallId::new(7))
        );
        assert_ne!(name(&first), name(&second));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&first), 0o600);
        assert_eq!(mode(&inside), 0o700);
    }

    #[test]
    fn the_oldest_make_room_and_nothing_else_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, age: u64| {
            let path = folder.path().join(name);
            fs::write(&path, [0; 100]).unwrap();
            let time = SystemTime::now() - Duration::from_secs(age);
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(time)
                .unwrap();
            path
        };
        let day = Duration::from_secs(86_400);
        let (ancient, old, new) = (
            file("a.opus", 200_000),
            file("b.opus", 500),
            file("c.opus", 100),
        );
        let (running, other) = (file("d.opus", 300_000), file("e.txt", 300_000));
        assert_eq!(tidy(folder.path(), day, 1_000, &[&running]).unwrap(), 1);
        assert!(!ancient.exists() && old.exists() && new.exists());
        assert_eq!(tidy(folder.path(), day, 150, &[&running]).unwrap(), 1);
        assert!(!old.exists() && new.exists() && running.exists() && other.exists());
        let none = folder.path().join("nothing");
        assert_eq!(tidy(&none, day, 150, &[]).unwrap(), 0);
    }
}
