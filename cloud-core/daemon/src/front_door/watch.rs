//! What changes elsewhere and concerns devices here: read from the cursor table.
//!
//! A wake-up of this process is a hint, and the table is asked anyway twice a second: that
//! is how the other nodes are heard. Invariant: a device whose certificate becomes void, or
//! that is taken over by another node, is out within a second.

use std::sync::Arc;

use cloud_logic::ids::DeviceId;
use tokio::time::{Duration, timeout};

use super::Ground;
use super::broker;
use super::hall::Call;
use super::rows::connections;
use super::session::Why;
use crate::store::StoreError;
use crate::store::changes::{Position, Seen, What};

const POLL: Duration = Duration::from_millis(500);

/// Read at once.
const PORTION: u32 = 500;

/// Lives until it is dropped. Begins at `position`.
pub(super) async fn run(ground: Arc<Ground>, mut position: Position) {
    loop {
        let changed = ground.core.store.changed().notified();
        match read(&ground, &mut position).await {
            Ok(true) => continue,
            Ok(false) => {
                // Elapsed or woken: both mean to look again.
                let _ = timeout(POLL, changed).await;
            }
            Err(error) => {
                tracing::warn!(?error, "changes were not read; tried again");
                tokio::time::sleep(POLL).await;
            }
        }
    }
}

pub(super) async fn newest(ground: &Ground) -> Result<Position, StoreError> {
    ground.core.store.read().await?.newest_position().await
}

/// Whether there may be more.
async fn read(ground: &Ground, position: &mut Position) -> Result<bool, StoreError> {
    let seen = ground.core.store.news(*position, PORTION).await?;
    for change in &seen {
        heed(ground, change).await?;
        *position = change.position;
    }
    Ok(!seen.is_empty())
}

async fn heed(ground: &Ground, change: &Seen) -> Result<(), StoreError> {
    match change.kind.as_str() {
        // What becomes of one later makes nobody send it.
        "command" if change.what == What::Created => ground.delivery.commands(),
        "twin" => {
            if let Some(device) = here(ground, change) {
                ground.delivery.settings(device);
            }
        }
        "certificate" | "connection" | "device" => {
            if let Ok(device) = change.id.parse() {
                broker::adopt(ground, device).await?;
            }
            if let Some(device) = here(ground, change) {
                check(ground, device).await?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// The device a change tells of, if its socket is here.
fn here(ground: &Ground, change: &Seen) -> Option<DeviceId> {
    let device = change.id.parse().ok()?;
    ground.links.of(device).map(|_| device)
}

/// Whether the device may stay.
async fn check(ground: &Ground, device: DeviceId) -> Result<(), StoreError> {
    let Some(link) = ground.links.of(device) else {
        return Ok(());
    };
    let now = ground.core.now();
    let mut tx = ground.core.store.read().await?;
    let owned = connections::whose(&mut tx, device).await?.is_some();
    if !owned || !link.credential.holds(&mut tx, now).await? {
        link.end(Why::Barred);
        drop(tx);
        // Fails only when the core ends.
        let _ = ground.calls.send(Call::Removed { device }).await;
        return Ok(());
    }
    let current = connections::current(&mut tx, device).await?;
    if current.is_some_and(|(epoch, _)| epoch > link.epoch) {
        link.end(Why::TakenOver);
    }
    Ok(())
}
