//! What is counted in the store when somebody asks for figures.

use crate::core::Core;
use crate::store::{Row, StoreError, query};

/// Of all nodes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) nodes: u64,
    pub(super) devices_claimed: u64,
    pub(super) devices_online: u64,
    pub(super) commands_open: u64,
    pub(super) letters_waiting: u64,
    pub(super) letters_failed: u64,
    /// Seconds.
    pub(super) oldest_letter: u64,
}

/// Nothing while the store does not answer.
pub(super) async fn read(core: &Core) -> Option<Stored> {
    match counted(core).await {
        Ok(stored) => Some(stored),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the store gave no figures");
            None
        }
    }
}

async fn counted(core: &Core) -> Result<Stored, StoreError> {
    let now = core.now();
    let mut tx = core.store.read().await?;
    let asked = query(
        "SELECT (SELECT count(*) FROM node WHERE lease_until > $1) AS nodes,
                (SELECT count(*) FROM device WHERE company_id IS NOT NULL) AS devices,
                (SELECT count(*) FROM connection WHERE online = 1) AS online,
                (SELECT count(*) FROM command WHERE due IS NOT NULL) AS commands,
                (SELECT count(*) FROM letter WHERE state = 'waiting') AS letters,
                (SELECT min(created) FROM letter WHERE state = 'waiting') AS oldest,
                (SELECT count(*) FROM letter WHERE state = 'failed') AS failed",
    );
    let row = tx.one(asked.bind(now)).await?;
    let count = |row: &Row, column| row.int(column).map(|n| u64::try_from(n).unwrap_or(0));
    let waits = |since: i64| now.unix_ms().saturating_sub(since) / 1000;
    Ok(Stored {
        nodes: count(&row, "nodes")?,
        devices_claimed: count(&row, "devices")?,
        devices_online: count(&row, "online")?,
        commands_open: count(&row, "commands")?,
        letters_waiting: count(&row, "letters")?,
        letters_failed: count(&row, "failed")?,
        oldest_letter: u64::try_from(row.maybe_int("oldest")?.map_or(0, waits)).unwrap_or(0),
    })
}
