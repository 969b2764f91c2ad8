//! Takes away octets that nobody needs any more.
//!
//! Two ways lead here: a row that is `leaving`, and octets that have no row because a crash came
//! between the two. Both can be done by several nodes at once without harm.

use std::time::Duration;

use cloud_logic::ids::BlobId;
use model::Timestamp;
use tokio_stream::StreamExt;

use super::{BlobError, rows};
use crate::core::Core;

/// In one go.
const PORTION: u32 = 200;

/// A row comes within moments after its octets; what is a day old and has none never gets one.
const WITHOUT_ROW: Duration = Duration::from_secs(24 * 3600);

/// Takes away what is on its way out, at most a portion; how many there were.
pub(crate) async fn leave(core: &Core) -> Result<u64, BlobError> {
    let mut tx = core.store.read().await?;
    let leaving = rows::leaving(&mut tx, PORTION).await?;
    drop(tx);
    if leaving.is_empty() {
        return Ok(0);
    }
    for id in &leaving {
        core.blobs.remove(*id).await?;
    }
    let mut tx = core.store.write().await?;
    let gone = rows::gone(&mut tx, &leaving).await?;
    tx.commit().await?;
    Ok(gone)
}

/// Looks through everything that lies there, and takes away what has no row; how many there were.
pub(crate) async fn sweep(core: &Core) -> Result<u64, BlobError> {
    let before = core.now().saturating_sub(WITHOUT_ROW);
    let mut all = core.blobs.all();
    let mut swept = 0;
    let mut some = Vec::new();
    while let Some(found) = all.next().await {
        let id = found?;
        if made(id) < before {
            some.push(id);
        }
        if some.len() == PORTION as usize {
            swept += without_row(core, &some).await?;
            some.clear();
        }
    }
    Ok(swept + without_row(core, &some).await?)
}

async fn without_row(core: &Core, ids: &[BlobId]) -> Result<u64, BlobError> {
    if ids.is_empty() {
        return Ok(0);
    }
    let mut tx = core.store.read().await?;
    let known = rows::known(&mut tx, ids).await?;
    drop(tx);
    let mut swept = 0;
    for id in ids.iter().filter(|id| !known.contains(id)) {
        core.blobs.remove(*id).await?;
        swept += 1;
    }
    Ok(swept)
}

/// When an id was made, by the clock of the core: its first 48 bits.
fn made(id: BlobId) -> Timestamp {
    Timestamp::from_unix_ms(i64::try_from(id.bits() >> 80).unwrap_or(i64::MAX))
}
