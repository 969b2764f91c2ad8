//! Puts an archive back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use bytes::Bytes;
use cloud_logic::ids::{BlobId, CompanyId, UserId};
use model::Timestamp;
use serde_json::{Map, Value, json};

use super::write::told;
use super::{ABOUT, About, BackupError, Counts, FORMAT, KEYS, LEFT_OUT, archive};
use crate::blobs::Blobs;
use crate::people;
use crate::store::audit::Broken;
use crate::store::tables::Table;
use crate::store::{Store, StoreError, Tx, query};

/// An archive that was read through and found sound.
#[derive(Clone, Debug)]
pub(crate) struct Sound {
    pub(crate) about: About,
    pub(crate) rows: Counts,
    pub(crate) blobs: BTreeSet<BlobId>,
    /// The key file, if it is inside.
    pub(crate) keys: Option<Vec<u8>>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// Blobs of which there are rows, and no octets: their rows were left out.
    pub(crate) without_octets: u64,
    /// People who had been forgotten since, and were forgotten again.
    pub(crate) forgotten_again: u64,
    /// Audit logs that hold.
    pub(crate) logs: u64,
    /// Those that do not; nothing where it is that of the installation.
    pub(crate) broken: Vec<(Option<CompanyId>, Broken)>,
}

impl Sound {
    /// Reads all of it; changes nothing.
    pub(crate) fn read(file: &Path) -> Result<Self, BackupError> {
        let mut about = None;
        let mut rows = Counts::new();
        let mut blobs = BTreeSet::new();
        let mut keys = None;
        archive::read(open(file)?, |name, octets| {
            match member(name)? {
                Member::About => about = Some(read_about(octets)?),
                Member::Keys => keys = Some(octets.to_vec()),
                Member::Rows(table) => {
                    let lines = octets.iter().filter(|octet| **octet == b'\n').count();
                    *rows.entry(table.to_owned()).or_default() += lines as u64;
                }
                Member::Blob(id) => {
                    blobs.insert(id);
                }
            }
            Ok(())
        })?;
        let about = about.ok_or_else(|| foreign(format!("{ABOUT} is missing")))?;
        Ok(Self {
            about,
            rows,
            blobs,
            keys,
        })
    }
}

fn open(file: &Path) -> Result<BufReader<File>, BackupError> {
    Ok(BufReader::with_capacity(1 << 20, File::open(file)?))
}

fn foreign(why: impl Into<String>) -> BackupError {
    BackupError::Foreign { why: why.into() }
}

fn read_about(octets: &[u8]) -> Result<About, BackupError> {
    let about: About = serde_json::from_slice(octets)
        .map_err(|error| foreign(format!("{ABOUT} cannot be read ({error})")))?;
    if about.format == FORMAT {
        return Ok(about);
    }
    Err(BackupError::OtherVersion {
        version: about.version,
    })
}

enum Member<'a> {
    About,
    Keys,
    Rows(&'a str),
    Blob(BlobId),
}

fn member(name: &str) -> Result<Member<'_>, BackupError> {
    if name == ABOUT {
        return Ok(Member::About);
    }
    if name == KEYS {
        return Ok(Member::Keys);
    }
    if let Some((table, _)) = name
        .strip_prefix("rows/")
        .and_then(|rest| rest.split_once('/'))
    {
        return Ok(Member::Rows(table));
    }
    let blob = name.strip_prefix("blobs/").and_then(|id| id.parse().ok());
    blob.map(Member::Blob)
        .ok_or_else(|| foreign(format!("{name} is none of its members")))
}

/// What is in the store now, by table: what would be replaced.
pub(crate) async fn present(store: &Store) -> Result<Counts, StoreError> {
    let mut tx = store.read().await?;
    let mut counts = Counts::new();
    for table in tx.tables().await? {
        let count = tx.count_rows(&table).await?;
        counts.insert(table.name.clone(), u64::try_from(count).unwrap_or(0));
    }
    Ok(counts)
}

/// Replaces everything. The octets of blobs come first, then all rows in one transaction.
pub(crate) async fn restore(
    store: &Store,
    blobs: &Blobs,
    file: &Path,
    (sound, now): (&Sound, Timestamp),
) -> Result<Restored, BackupError> {
    let mut tx = store.read().await?;
    if tx.schema().await? != sound.about.schema {
        return Err(BackupError::OtherVersion {
            version: sound.about.version.clone(),
        });
    }
    if runs(&mut tx, now).await? {
        return Err(BackupError::Running);
    }
    drop(tx);
    put_blobs(blobs, file).await?;
    let mut restored = Restored::default();
    let mut tx = store.write().await?;
    let erased = erased(&mut tx).await?;
    replace_rows(&mut tx, file, sound).await?;
    if sound.about.blobs {
        restored.without_octets = drop_without_octets(&mut tx, &sound.blobs).await?;
    }
    for (user, at) in erased {
        restored.forgotten_again += u64::from(people::forget_again(&mut tx, user, at).await?);
    }
    tx.check_references().await?;
    let detail = json!({"made": sound.about.made, "version": sound.about.version});
    tx.audit(told(now, "installation.restore", detail));
    tx.commit().await?;
    check_logs(store, &mut restored).await?;
    Ok(restored)
}

/// Whether a core holds its lease on this store.
async fn runs(tx: &mut Tx, now: Timestamp) -> Result<bool, StoreError> {
    let asked = query("SELECT id FROM node WHERE lease_until > $1 LIMIT 1");
    Ok(tx.optional(asked.bind(now)).await?.is_some())
}

async fn erased(tx: &mut Tx) -> Result<Vec<(UserId, Timestamp)>, StoreError> {
    let rows = tx.all(query("SELECT user_id, at FROM erased")).await?;
    rows.iter()
        .map(|row| Ok((row.parsed("user_id")?, row.time("at")?)))
        .collect()
}

async fn put_blobs(blobs: &Blobs, file: &Path) -> Result<(), BackupError> {
    // Read beside, one at a time: the octets of all of them have no place in memory.
    let (to, mut from) = tokio::sync::mpsc::channel::<(BlobId, Bytes)>(2);
    let file = file.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        archive::read(open(&file)?, |name, octets| {
            if let Member::Blob(id) = member(name)? {
                // Nobody takes them any more when one could not be written.
                let _ = to.blocking_send((id, Bytes::copy_from_slice(octets)));
            }
            Ok(())
        })
    });
    while let Some((id, octets)) = from.recv().await {
        // Its row is on its way.
        let _ = blobs.write(id, octets).await?;
    }
    drop(from);
    reading.await.map_err(std::io::Error::other)?
}

async fn replace_rows(tx: &mut Tx, file: &Path, sound: &Sound) -> Result<(), BackupError> {
    let tables: BTreeMap<String, Table> = tx
        .tables()
        .await?
        .into_iter()
        .map(|table| (table.name.clone(), table))
        .collect();
    let counted = tx.changes_counted().await?.max(sound.about.changes);
    tx.defer_references().await?;
    for table in tables.values() {
        tx.empty(table).await?;
    }
    let (to, mut from) = tokio::sync::mpsc::channel::<(String, Vec<u8>)>(2);
    let file = file.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        archive::read(open(&file)?, |name, octets| {
            if let Member::Rows(table) = member(name)? {
                let _ = to.blocking_send((table.to_owned(), octets.to_vec()));
            }
            Ok(())
        })
    });
    while let Some((name, octets)) = from.recv().await {
        let known = tables
            .get(&name)
            .filter(|_| !LEFT_OUT.contains(&name.as_str()));
        let table = known.ok_or_else(|| foreign(format!("there is no table {name}")))?;
        for line in octets.split(|octet| *octet == b'\n') {
            if !line.is_empty() {
                tx.insert_row(table, &row(&name, line)?).await?;
            }
        }
    }
    drop(from);
    reading.await.map_err(std::io::Error::other)??;
    tx.leap_changes(counted).await?;
    Ok(())
}

fn row(table: &str, line: &[u8]) -> Result<Map<String, Value>, BackupError> {
    serde_json::from_slice(line)
        .map_err(|error| foreign(format!("a row of {table} cannot be read ({error})")))
}

/// A row that is `here` has its octets: those that came without go.
async fn drop_without_octets(tx: &mut Tx, inside: &BTreeSet<BlobId>) -> Result<u64, StoreError> {
    let mut dropped = 0;
    for row in tx.all(query("SELECT id FROM blob")).await? {
        let id: BlobId = row.parsed("id")?;
        if !inside.contains(&id) {
            let logo = query("UPDATE company SET logo = NULL WHERE logo = $1");
            tx.execute(logo.bind(id)).await?;
            tx.execute(query("DELETE FROM blob WHERE id = $1").bind(id))
                .await?;
            dropped += 1;
        }
    }
    Ok(dropped)
}

async fn check_logs(store: &Store, restored: &mut Restored) -> Result<(), StoreError> {
    let mut tx = store.read().await?;
    let rows = tx.all(query("SELECT company_id FROM audit_head")).await?;
    for row in rows {
        let text = row.text("company_id")?;
        let company = if text.is_empty() {
            None
        } else {
            Some(row.parsed("company_id")?)
        };
        match tx.audit_holds(company).await? {
            Ok(_entries) => restored.logs += 1,
            Err(broken) => restored.broken.push((company, broken)),
        }
    }
    Ok(())
}
