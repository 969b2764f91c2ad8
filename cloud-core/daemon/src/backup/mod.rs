//! The whole of a core in one file, and back (issue: docs/core.md, "Backup").
//!
//! An archive of tar that any machine can look into: rows as lines of JSON, blobs as they are, and
//! `SHA256SUMS` at its end. It is written from one state of the store while the core runs, and read on
//! either engine: that is also the way from SQLite to PostgreSQL. Sealed values stay sealed; the key
//! file is in it only when that is asked for. Deliberately not here: when backups are made and where
//! they are kept. Invariant: nothing is replaced before the whole archive was read and found sound.

mod archive;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

pub(crate) use read::{Restored, Sound, present, restore};
pub(crate) use write::{Backed, Wanted, back_up, last, remember};

use crate::blobs::BlobError;
use crate::store::StoreError;

/// What this program writes and reads.
const FORMAT: u32 = 1;

/// Rows that mean nothing elsewhere or later: who holds what at this moment, and hints to look.
const LEFT_OUT: [&str; 3] = ["change", "lease", "node"];

const ABOUT: &str = "about.json";
const SUMS: &str = "SHA256SUMS";
const KEYS: &str = "keys";

/// The first member of an archive.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct About {
    pub(crate) format: u32,
    /// Of the program that wrote it.
    pub(crate) version: String,
    pub(crate) installation: String,
    /// RFC 3339.
    pub(crate) made: String,
    /// The migrations that made its tables.
    pub(crate) schema: Vec<i64>,
    /// How far changes were counted.
    pub(crate) changes: i64,
    /// Whether blobs are inside; else only their rows are.
    pub(crate) blobs: bool,
}

/// Rows by table.
pub(crate) type Counts = BTreeMap<String, u64>;

/// Why there is no backup, or it was not put back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    #[error("the archive cannot be written or read")]
    File(#[from] io::Error),
    #[error(
        "{member} is not what {SUMS} says: the archive was changed or damaged; take another one"
    )]
    Damaged { member: String },
    #[error("the archive was cut off: {SUMS} is missing at its end; take another one")]
    CutOff,
    #[error("this is no archive of antiphon-cloud: {why}")]
    Foreign { why: String },
    #[error(
        "the archive is of version {version} with other tables than this program makes; put it back with \
         that version, then start this one"
    )]
    OtherVersion { version: String },
    #[error("a core runs on this store; stop it, wait 15 seconds, then try again")]
    Running,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Blobs(#[from] BlobError),
}
