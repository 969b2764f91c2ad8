//! Makes the archive.

use std::collections::BTreeMap;
use std::io::{self, Write};

use cloud_logic::ids::BlobId;
use model::Timestamp;
use serde_json::{Value, json};

use super::archive::Writing;
use super::{ABOUT, About, BackupError, Counts, FORMAT, KEYS, LEFT_OUT};
use crate::api::Time;
use crate::blobs::{BlobError, Blobs};
use crate::store::audit::{Actor, Audit};
use crate::store::tables::Table;
use crate::store::{Store, StoreError, Tx, query};

/// Rows of one member, in octets.
const PIECE: usize = 4 << 20;

const MILESTONE: &str = "backup";

/// What is to be in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) installation: &'a str,
    pub(crate) now: Timestamp,
    /// The key file; nothing leaves it out.
    pub(crate) keys: Option<&'a [u8]>,
    pub(crate) blobs: bool,
}

/// What is in it.
#[derive(Clone, Debug)]
pub(crate) struct Backed {
    pub(crate) octets: u64,
    /// SHA-256 of the whole file, in hexadecimal.
    pub(crate) sum: String,
    pub(crate) rows: Counts,
    pub(crate) blobs: u64,
    /// Blobs that went while the archive was written, or were missing already.
    pub(crate) blobs_gone: u64,
}

/// Writes the state of this moment. `to` gets all of it before the store hears of it.
pub(crate) async fn back_up<W: Write>(
    store: &Store,
    blobs: &Blobs,
    to: W,
    wanted: Wanted<'_>,
) -> Result<(W, Backed), BackupError> {
    let made = u64::try_from(wanted.now.unix_ms() / 1000).unwrap_or(0);
    let mut archive = Writing::new(to, made);
    let mut tx = store.read().await?;
    let about = About {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        installation: wanted.installation.to_owned(),
        made: Time(wanted.now).0.to_string(),
        schema: tx.schema().await?,
        changes: tx.changes_counted().await?,
        blobs: wanted.blobs,
    };
    let text = format!("{:#}\n", json!(about));
    archive.add(ABOUT, text.as_bytes())?;
    if let Some(keys) = wanted.keys {
        archive.add(KEYS, keys)?;
    }
    let mut rows = BTreeMap::new();
    for table in tx.tables().await? {
        if !LEFT_OUT.contains(&table.name.as_str()) {
            let count = add_rows(&mut tx, &mut archive, &table).await?;
            rows.insert(table.name, count);
        }
    }
    let ids = if wanted.blobs {
        ids_of_blobs(&mut tx).await?
    } else {
        Vec::new()
    };
    drop(tx);
    let (mut inside, mut gone) = (0, 0);
    for id in ids {
        match blobs.whole(id).await {
            Ok(octets) => {
                archive.add(&format!("blobs/{id}"), &octets)?;
                inside += 1;
            }
            Err(BlobError::Gone) => gone += 1,
            Err(error) => return Err(error.into()),
        }
    }
    let (to, sum, octets) = archive.finish()?;
    let backed = Backed {
        octets,
        sum,
        rows,
        blobs: inside,
        blobs_gone: gone,
    };
    Ok((to, backed))
}

async fn add_rows<W: Write>(
    tx: &mut Tx,
    archive: &mut Writing<W>,
    table: &Table,
) -> Result<u64, BackupError> {
    let mut piece = Vec::new();
    let mut number = 0_u32;
    let mut failed: Option<io::Error> = None;
    let mut put = |piece: &mut Vec<u8>| {
        number += 1;
        let name = format!("rows/{}/{number:06}.jsonl", table.name);
        if failed.is_none() {
            failed = archive.add(&name, piece).err();
        }
        piece.clear();
    };
    let count = tx
        .rows_of(table, |row| {
            piece.extend_from_slice(row.to_string().as_bytes());
            piece.push(b'\n');
            if piece.len() >= PIECE {
                put(&mut piece);
            }
            Ok(())
        })
        .await?;
    if !piece.is_empty() {
        put(&mut piece);
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(count),
    }
}

async fn ids_of_blobs(tx: &mut Tx) -> Result<Vec<BlobId>, StoreError> {
    let asked = query("SELECT id FROM blob WHERE state = 'here' ORDER BY id");
    let rows = tx.all(asked).await?;
    rows.iter().map(|row| row.parsed("id")).collect()
}

/// The store knows when it was backed up last. Once the file is safe.
pub(crate) async fn remember(
    store: &Store,
    backed: &Backed,
    wanted: Wanted<'_>,
) -> Result<(), StoreError> {
    let detail = json!({
        "octets": backed.octets,
        "sha256": backed.sum,
        "keys": wanted.keys.is_some(),
        "blobs": wanted.blobs,
    });
    let mut tx = store.write().await?;
    let keep = query(
        "INSERT INTO milestone (name, at, detail) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET at = $2, detail = $3",
    );
    let keep = keep.bind(MILESTONE).bind(wanted.now);
    tx.execute(keep.bind(detail.to_string())).await?;
    tx.audit(told(wanted.now, "installation.back_up", detail));
    tx.commit().await
}

/// When the store was backed up last.
pub(crate) async fn last(tx: &mut Tx) -> Result<Option<Timestamp>, StoreError> {
    let asked = query("SELECT at FROM milestone WHERE name = $1").bind(MILESTONE);
    tx.optional(asked)
        .await?
        .map(|row| row.time("at"))
        .transpose()
}

/// Something the operator did to the installation as a whole.
pub(super) fn told(at: Timestamp, action: &'static str, after: Value) -> Audit {
    Audit {
        at,
        company: None,
        actor: Actor::named("cli"),
        action,
        object_kind: "installation",
        object_id: String::new(),
        before: None,
        after: Some(after),
    }
}
