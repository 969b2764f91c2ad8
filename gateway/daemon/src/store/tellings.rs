//! What is to be told to the cloud core, in the journal's file and in the same commit as the record
//! that it is about: either both are there or neither.
//!
//! The link takes it from here into its spool, which remembers how far it is. Rows are kept for a few
//! days, so that a crash between the two loses nothing; nobody but the link reads them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, params};

pub(super) const TABLE: &str = "
        CREATE TABLE telling (
            number INTEGER PRIMARY KEY,
            at_ms INTEGER NOT NULL,
            document TEXT NOT NULL
        ) STRICT;
        CREATE INDEX telling_by_time ON telling (at_ms);
    ";

/// Long enough for a gateway that crashed and stood still over a weekend.
pub(super) const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// One thing to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telling {
    /// Grows, over all starts.
    pub number: u64,
    pub at_ms: i64,
    pub document: String,
}

pub(super) fn write(connection: &Connection, telling: &Telling) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO telling VALUES (?1, ?2, ?3) ON CONFLICT (number) DO NOTHING",
    )?;
    let number = i64::try_from(telling.number).unwrap_or(i64::MAX);
    statement.execute(params![number, telling.at_ms, telling.document])?;
    Ok(())
}

/// The reader's end. Opens the file when it is asked: a journal that was set aside is found again.
#[derive(Debug)]
pub(crate) struct Tellings {
    file: PathBuf,
}

impl Tellings {
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            file: folder.join(super::journal::FILE),
        }
    }

    /// The next ones behind a number, in order.
    pub(crate) fn after(&self, number: u64, most: usize) -> rusqlite::Result<Vec<Telling>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.file, flags)?;
        connection.busy_timeout(Duration::from_secs(1))?;
        let mut statement = connection.prepare(
            "SELECT number, at_ms, document FROM telling WHERE number > ?1
             ORDER BY number LIMIT ?2",
        )?;
        let after = i64::try_from(number).unwrap_or(i64::MAX);
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = statement.query_map([after, most], |row| {
            let number: i64 = row.get(0)?;
            Ok(Telling {
                number: u64::try_from(number).unwrap_or_default(),
                at_ms: row.get(1)?,
                document: row.get(2)?,
            })
        })?;
        rows.collect()
    }
}
