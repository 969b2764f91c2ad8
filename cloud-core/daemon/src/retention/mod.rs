//! What is over is forgotten: rows and blobs alike, each after its time (G1).
//!
//! One node at a time does it, in portions small enough that nobody waits for the writer, by the clock
//! of the core. How long what is kept stands in `rules`; data of calls by the policy of their company.
//! Run at any moment, cut off at any moment: the next round goes on. Invariant: what a rule says is
//! over is gone a round later, and its octets with it.

mod figures;
mod rules;
#[cfg(test)]
mod tests;

use std::time::Duration;

use cloud_logic::ids::NodeId;
use model::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use figures::{Forgotten, ForgottenSoFar};
use rules::KINDS;

use crate::blobs::{self, BlobError};
use crate::core::{Core, NewId};
use crate::devices::uploads;
use crate::mail;
use crate::store::{StoreError, lease};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(60);
/// How long this stays one node's task without a word.
const LEASE: Duration = Duration::from_secs(180);
/// How often everything that lies in the place of blobs is looked through.
const SWEPT_EVERY: Duration = Duration::from_secs(24 * 3600);
/// So many rows at once.
const PORTION: u32 = 500;
/// Between two portions, for those who want to write.
const PAUSE: Duration = Duration::from_millis(20);

const TASK: &str = "retention";

/// Why something was not forgotten. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RetentionError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Blobs(#[from] BlobError),
}

/// Until `stop`.
pub(crate) async fn tend(core: Core, stop: CancellationToken) {
    let node = NodeId::new_at(core.now());
    let mut swept: Option<Instant> = None;
    loop {
        let sweep = swept.is_none_or(|at| at.elapsed() >= SWEPT_EVERY);
        match turn(&core, node, sweep).await {
            Ok(true) if sweep => swept = Some(Instant::now()),
            Ok(_) => {}
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what is over was not forgotten; it is tried again in a minute"
            ),
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    if let Err(error) = resign(&core, node).await {
        tracing::debug!(?error, "the task was not given back; its time runs out");
    }
}

async fn resign(core: &Core, node: NodeId) -> Result<(), StoreError> {
    let mut tx = core.store.write().await?;
    lease::give(&mut tx, TASK, node).await?;
    tx.commit().await
}

/// Whether it was this node's turn.
async fn turn(core: &Core, node: NodeId, sweep: bool) -> Result<bool, RetentionError> {
    if !is_ours(core, node).await? {
        return Ok(false);
    }
    let mut renewed = Instant::now();
    let mut all = Forgotten::default();
    loop {
        let some = portion(core).await?;
        if some.is_nothing() {
            break;
        }
        core.forgotten.add(&some);
        all.add(&some);
        if renewed.elapsed() > LEASE / 3 {
            if !is_ours(core, node).await? {
                break;
            }
            renewed = Instant::now();
        }
        tokio::time::sleep(PAUSE).await;
    }
    if sweep {
        let swept = Forgotten::one("blob_without_row", blobs::sweep(core).await?);
        core.forgotten.add(&swept);
        all.add(&swept);
    }
    if !all.is_nothing() {
        tracing::info!(forgotten = %all, "what is over was forgotten");
    }
    Ok(true)
}

async fn is_ours(core: &Core, node: NodeId) -> Result<bool, StoreError> {
    let mut tx = core.store.write().await?;
    let ours = lease::take(&mut tx, TASK, node, (core.now(), LEASE)).await?;
    tx.commit().await?;
    Ok(ours)
}

/// A portion of each kind; nothing when nothing is over.
pub(crate) async fn portion(core: &Core) -> Result<Forgotten, RetentionError> {
    let now = core.now();
    let mut all = Forgotten::default();
    all.count("upload_finished", uploads::finish_whole(core).await?);
    for kind in KINDS {
        if !rules::any(core, kind, now).await? {
            continue;
        }
        let mut tx = core.store.write().await?;
        let forgotten = rules::forget(&mut tx, kind, now, PORTION).await?;
        tx.commit().await?;
        all.count(kind.name, forgotten);
    }
    for (company, cutoff) in rules::shorter_policies(core, now).await? {
        let mut tx = core.store.write().await?;
        let forgotten = rules::forget_call_data(&mut tx, company, cutoff, PORTION).await?;
        tx.commit().await?;
        all.count("call_data", forgotten);
    }
    let mut tx = core.store.write().await?;
    let given_up = uploads::rows::give_up_expired(&mut tx, now, PORTION).await?;
    // Where no mail is set up, nobody else ends them.
    let letters = mail::forget(&mut tx, now).await?;
    let leaving = blobs::rows::let_expired_go(&mut tx, now, PORTION).await?;
    tx.commit().await?;
    all.count("upload", given_up);
    all.count("letter", letters.into());
    all.count("blob_expired", leaving);
    all.count("blob", blobs::leave(core).await?);
    Ok(all)
}

/// Everything that is over now, for tests and for the command line.
#[cfg(test)]
pub(crate) async fn all(core: &Core) -> Forgotten {
    let mut all = Forgotten::default();
    loop {
        let some = portion(core).await.expect("the store answers");
        if some.is_nothing() {
            return all;
        }
        all.add(&some);
    }
}

/// The moment before which something of this age is over.
fn before(now: Timestamp, age: Duration) -> Timestamp {
    now.saturating_sub(age)
}
