//! This process among others: its lease, and what it does for those that are no more.
//!
//! A node renews its lease every 5 s. One that cannot for as long as a lease lasts closes
//! its sockets, before others count its devices as gone: nobody may be served twice.
//! Invariant: a node whose lease is over holds no device.

use std::sync::Arc;

use tokio::time::{Duration, Instant, interval};

use super::Ground;
use super::broker::Broker;
use super::rows::{connections, nodes};
use super::session::Why;
use crate::devices::commands;
use crate::store::StoreError;

const RENEW: Duration = Duration::from_secs(5);

/// Earlier than the lease: the clocks of two machines are never quite the same.
const GIVE_UP: Duration = Duration::from_secs(12);

/// How long a device of a node that is gone may take to come to another one.
const MOVE: Duration = Duration::from_secs(30);

/// So many are dealt with in one transaction.
const PORTION: u32 = 200;

/// Lives until it is dropped.
pub(super) async fn run(ground: Arc<Ground>) {
    let mut renewed = Instant::now();
    let mut tick = interval(Duration::from_secs(1));
    let mut renew_at = Instant::now();
    loop {
        tick.tick().await;
        if Instant::now() >= renew_at {
            match renew(&ground).await {
                Ok(()) => {
                    renewed = Instant::now();
                    renew_at = renewed + RENEW;
                }
                Err(error) => tracing::warn!(?error, "the lease of this node was not renewed"),
            }
        }
        if renewed.elapsed() > GIVE_UP && ground.links.count() > 0 {
            tracing::error!("this node has lost its lease; its devices go to others");
            ground.links.end_all(Why::Leaving);
        }
        if let Err(error) = tidy(&ground).await {
            tracing::warn!(?error, "what is over was not ended; tried again");
        }
    }
}

pub(super) async fn renew(ground: &Ground) -> Result<(), StoreError> {
    let now = ground.core.now();
    let mut tx = ground.core.store.write().await?;
    nodes::renew(&mut tx, ground.node, now).await?;
    if ground.broker.as_ref().is_some_and(Broker::is_reached) {
        nodes::renew(&mut tx, Broker::node(), now).await?;
    }
    nodes::forget(&mut tx, now).await?;
    tx.commit().await
}

pub(super) async fn resign(ground: &Ground) -> Result<(), StoreError> {
    let mut tx = ground.core.store.write().await?;
    nodes::resign(&mut tx, ground.node).await?;
    tx.commit().await
}

/// Ends commands whose time is over, and counts out devices of nodes that are gone. Each
/// node does it for all: what is done already changes nothing.
async fn tidy(ground: &Ground) -> Result<(), StoreError> {
    let now = ground.core.now();
    let mut tx = ground.core.store.read().await?;
    let due = commands::rows::any_due(&mut tx, now).await?;
    let before = now.saturating_sub(MOVE);
    let abandoned = connections::abandoned(&mut tx, before, PORTION).await?;
    drop(tx);
    if !due && abandoned.is_empty() {
        return Ok(());
    }
    let mut tx = ground.core.store.write().await?;
    if due {
        commands::rows::expire(&mut tx, now, PORTION).await?;
    }
    for (device, epoch) in abandoned {
        connections::offline(&mut tx, device, epoch, now).await?;
    }
    tx.commit().await
}
