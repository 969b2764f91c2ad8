//! One SQLite file: opening it, bringing its schema up to date, setting it aside when it is broken.
//!
//! Knows no rows. Invariant: a file that fails its check is never deleted and never written again;
//! it is renamed beside a fresh one, so that what can be saved from it stays there.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, ErrorCode};

/// Copies of broken files that are kept; older ones make room.
const KEPT_ASIDE: usize = 3;

/// When a commit counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// The disk has it: survives a power cut.
    Power,
    /// The system has it: survives the death of the process. A power cut may cost the last
    /// commits, never the consistency of the file.
    Crash,
}

/// Who else may have the file open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Nobody; spares the shared index of the log on every commit.
    Alone,
    /// Readers, such as an operator with the `sqlite3` program.
    WithReaders,
}

/// What a file is and how it is used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Name without folder.
    pub(super) name: &'static str,
    /// Each entry brings the schema one version further.
    pub(super) migrations: &'static [&'static str],
    pub(super) sharing: Sharing,
}

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made or written.
    #[error(
        "the state folder {} cannot be used: {source}; create it, make the user of the gateway its \
         owner, or set `state_folder` to another one", .folder.display()
    )]
    Folder { folder: PathBuf, source: io::Error },
    /// Another process holds the folder.
    #[error(
        "another gateway is using the state folder {}; stop it, or give this one a `state_folder` \
         of its own", .folder.display()
    )]
    InUse { folder: PathBuf },
    /// A later version wrote the file.
    #[error(
        "{} was written by a newer version of the gateway (schema {found}, this one knows up to \
         {known}); install that version again, or move the file away to start with an empty one",
        .file.display()
    )]
    NewerSchema {
        file: PathBuf,
        found: usize,
        known: usize,
    },
    /// SQLite or the disk refuses.
    #[error("{} cannot be used", .file.display())]
    Sqlite {
        file: PathBuf,
        source: rusqlite::Error,
    },
}

/// An open file.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    /// Where the previous content was put if it was broken.
    pub(super) set_aside: Option<PathBuf>,
}

/// Opens the file in `folder`, makes it if there is none, sets it aside if it is no database.
/// `check` reads all of it, which takes time in proportion to its size.
pub(super) fn open(
    folder: &Path,
    layout: Layout,
    sync: Sync,
    check: Check,
) -> Result<Opened, StoreError> {
    let file = folder.join(layout.name);
    let mut set_aside = None;
    // A fresh file cannot be broken, so the second round ends it.
    for _ in 0..2 {
        match open_checked(&file, layout, sync, check) {
            Ok(connection) => {
                return Ok(Opened {
                    connection,
                    set_aside,
                });
            }
            Err(StoreError::Sqlite { source, .. }) if is_corruption(&source) => {
                set_aside = Some(move_aside(&file).map_err(|source| StoreError::Folder {
                    folder: folder.to_owned(),
                    source,
                })?);
            }
            Err(error) => return Err(error),
        }
    }
    open_checked(&file, layout, sync, check).map(|connection| Opened {
        connection,
        set_aside,
    })
}

/// A database in memory, for when the disk is gone: the gateway goes on ringing.
pub(super) fn open_in_memory(layout: Layout) -> Result<Connection, StoreError> {
    let file = PathBuf::from(":memory:");
    let connection = Connection::open_in_memory().map_err(|source| StoreError::Sqlite {
        file: file.clone(),
        source,
    })?;
    migrate(&connection, &file, layout)?;
    Ok(connection)
}

/// Whether the content is read and judged when the file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Now,
    Later,
}

fn open_checked(
    file: &Path,
    layout: Layout,
    sync: Sync,
    check: Check,
) -> Result<Connection, StoreError> {
    let sqlite = |source| StoreError::Sqlite {
        file: file.to_owned(),
        source,
    };
    let connection = Connection::open(file).map_err(sqlite)?;
    prepare(&connection, layout, sync).map_err(sqlite)?;
    if check == Check::Now {
        quick_check(&connection).map_err(sqlite)?;
    }
    migrate(&connection, file, layout)?;
    Ok(connection)
}

fn prepare(connection: &Connection, layout: Layout, sync: Sync) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(32);
    if layout.sharing == Sharing::Alone {
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    }
    // Answers the mode that holds from now on.
    connection.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
    let level = match sync {
        Sync::Power => "FULL",
        Sync::Crash => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", level)?;
    // A log that once grew (a long checkpoint, a slow reader) shrinks again.
    connection.pragma_update(None, "journal_size_limit", 4 * 1024 * 1024)
}

/// Reads the whole file and says whether it is sound.
pub(super) fn quick_check(connection: &Connection) -> rusqlite::Result<()> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
        Some(verdict),
    ))
}

fn migrate(connection: &Connection, file: &Path, layout: Layout) -> Result<(), StoreError> {
    let sqlite = |source| StoreError::Sqlite {
        file: file.to_owned(),
        source,
    };
    let found: usize = connection
        .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
        .map(|version| usize::try_from(version).unwrap_or(usize::MAX))
        .map_err(sqlite)?;
    let known = layout.migrations.len();
    if found > known {
        return Err(StoreError::NewerSchema {
            file: file.to_owned(),
            found,
            known,
        });
    }
    for (version, migration) in layout.migrations.iter().enumerate().skip(found) {
        // The step and its number become true together.
        let step = format!(
            "BEGIN IMMEDIATE; {migration} PRAGMA user_version = {}; COMMIT;",
            version + 1
        );
        connection.execute_batch(&step).map_err(sqlite)?;
    }
    Ok(())
}

/// Whether the file itself is broken, as against a disk that is full or away.
pub(super) fn is_corruption(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Renames the file and its log, and answers the new name.
pub(super) fn move_aside(file: &Path) -> io::Result<PathBuf> {
    let seconds = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let mut aside = with_suffix(file, &format!(".broken-{seconds}"));
    let mut copy = 1;
    while aside.exists() {
        aside = with_suffix(file, &format!(".broken-{seconds}-{copy}"));
        copy += 1;
    }
    std::fs::rename(file, &aside)?;
    for part in ["-wal", "-shm"] {
        match std::fs::rename(with_suffix(file, part), with_suffix(&aside, part)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    make_room(file)?;
    Ok(aside)
}

fn make_room(file: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        return Ok(());
    };
    let prefix = format!("{}.broken-", name.to_string_lossy());
    let mut copies: Vec<_> = std::fs::read_dir(folder)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name().is_some_and(|name| {
                let name = name.to_string_lossy();
                name.starts_with(&prefix) && !name.ends_with("-wal") && !name.ends_with("-shm")
            })
        })
        .collect();
    copies.sort();
    let surplus = copies.len().saturating_sub(KEPT_ASIDE);
    for copy in &copies[..surplus] {
        std::fs::remove_file(copy)?;
        for part in ["-wal", "-shm"] {
            // A copy without a log is the usual case.
            let _ = std::fs::remove_file(with_suffix(copy, part));
        }
    }
    Ok(())
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATE: &str = "CREATE TABLE thing (id INTEGER PRIMARY KEY, text TEXT) STRICT;";
    const LAYOUT: Layout = Layout {
        name: "things.db",
        migrations: &[CREATE],
        sharing: Sharing::Alone,
    };

    fn opened(folder: &Path, layout: Layout) -> Result<Opened, StoreError> {
        open(folder, layout, Sync::Power, Check::Now)
    }

    #[test]
    fn a_file_of_an_older_version_is_brought_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let first = opened(folder.path(), LAYOUT).unwrap();
        first
            .connection
            .execute("INSERT INTO thing VALUES (1, 'kept')", [])
            .unwrap();
        drop(first);
        let newer = Layout {
            migrations: &[CREATE, "ALTER TABLE thing ADD COLUMN size INTEGER;"],
            ..LAYOUT
        };
        let second = opened(folder.path(), newer).unwrap();
        let row: (String, Option<i64>) = second
            .connection
            .query_row("SELECT text, size FROM thing", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(row, ("kept".to_owned(), None));
    }

    #[test]
    fn a_file_of_a_newer_version_is_refused_and_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let newer = Layout {
            migrations: &[CREATE, "CREATE TABLE future (x INTEGER) STRICT;"],
            ..LAYOUT
        };
        drop(opened(folder.path(), newer).unwrap());
        let error = opened(folder.path(), LAYOUT).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("newer version of the gateway (schema 2, this one knows"),
            "{error}"
        );
        drop(opened(folder.path(), newer).unwrap());
    }

    #[test]
    fn a_broken_file_is_set_aside_and_a_fresh_one_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(LAYOUT.name);
        std::fs::write(&file, vec![b'x'; 8192]).unwrap();
        let opened = opened(folder.path(), LAYOUT).unwrap();
        let aside = opened.set_aside.expect("the old content is kept");
        assert_eq!(std::fs::read(aside).unwrap(), vec![b'x'; 8192]);
        let things: i64 = opened
            .connection
            .query_row("SELECT count(*) FROM thing", [], |row| row.get(0))
            .unwrap();
        assert_eq!(things, 0);
    }

    #[test]
    fn damage_inside_a_file_is_found_by_the_check() {
        let folder = tempfile::tempdir().unwrap();
        let first = opened(folder.path(), LAYOUT).unwrap();
        for id in 0..2000 {
            first
                .connection
                .execute(
                    "INSERT INTO thing VALUES (?1, 'some text that takes room')",
                    [id],
                )
                .unwrap();
        }
        drop(first);
        let file = folder.path().join(LAYOUT.name);
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 4096].fill(0xff);
        std::fs::write(&file, bytes).unwrap();
        assert!(opened(folder.path(), LAYOUT).unwrap().set_aside.is_some());
    }

    #[test]
    fn only_the_latest_broken_copies_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(LAYOUT.name);
        for round in 0..6 {
            std::fs::write(
                &file,
                format!("broken {round}, and long enough to be a header"),
            )
            .unwrap();
            drop(opened(folder.path(), LAYOUT).unwrap());
        }
        let copies = std::fs::read_dir(folder.path())
            .unwrap()
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .contains(".broken-")
            })
            .count();
        assert_eq!(copies, KEPT_ASIDE);
    }
}
