//! Carries edits out, in portions, by whichever node comes first.
//!
//! A portion is one transaction: its devices, their log, and how far the edit is. A node that dies in
//! between has done none of the portion.

use std::time::Duration;

use cloud_logic::edits;
use cloud_logic::ids::EditId;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::rows::{self, Became, Edit, Judged};
use crate::core::Core;
use crate::devices::{twin, whose};
use crate::store::audit::{Actor, Audit};
use crate::store::changes::{Change, What, Whose};
use crate::store::{StoreError, Tx};
use crate::subscriptions;

/// So many devices in one transaction: others of the company wait that long for their log.
const PORTION: u32 = 50;

/// Other nodes begin edits too, and their commits wake nobody here.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How long it is known what an edit did, and how it can be undone.
const KEPT: Duration = Duration::from_secs(180 * 24 * 3600);

/// How often what is over is forgotten.
const FORGOTTEN_EVERY: Duration = Duration::from_secs(3600);

/// Carries out what is under way, until `stop`.
pub(crate) async fn tend(core: Core, stop: CancellationToken) {
    let mut forget_at = tokio::time::Instant::now();
    loop {
        // Made before looking, so that what begins in between wakes it.
        let changed = core.store.changed().notified();
        if let Err(error) = tend_once(&core).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "edits could not be carried out; they go on in a moment"
            );
        }
        if forget_at <= tokio::time::Instant::now() {
            forget_at += FORGOTTEN_EVERY;
            if let Err(error) = forget(&core).await {
                tracing::warn!(
                    ?error,
                    "old edits were not forgotten; tried again in an hour"
                );
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = changed => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
        // Not with each of many commits.
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
    }
}

/// Everything that is under way, to its end.
pub(super) async fn tend_once(core: &Core) -> Result<(), StoreError> {
    let running = rows::running(&mut core.store.read().await?).await?;
    for id in running {
        while portion(core, id, PORTION).await? {}
    }
    Ok(())
}

/// Forgets what is over.
pub(super) async fn forget(core: &Core) -> Result<u64, StoreError> {
    let mut tx = core.store.write().await?;
    let now = core.now();
    let forgotten = rows::forget(&mut tx, now, now.saturating_sub(KEPT)).await?;
    tx.commit().await?;
    Ok(forgotten)
}

/// Changes some of the devices that wait; whether there may be more.
pub(super) async fn portion(core: &Core, id: EditId, most: u32) -> Result<bool, StoreError> {
    let mut tx = core.store.write().await?;
    let Some(edit) = rows::take_turn(&mut tx, id).await? else {
        return Ok(false);
    };
    let waiting = rows::waiting(&mut tx, id, most).await?;
    for device in &waiting {
        let became = change(&mut tx, core, &edit, device).await?;
        rows::became(&mut tx, (id, device.device), &became).await?;
    }
    let more = waiting.len() == most as usize;
    if !more {
        finish(&mut tx, core, &edit).await?;
    }
    tx.changed(told(core, &edit));
    tx.commit().await?;
    Ok(more)
}

async fn change(
    tx: &mut Tx,
    core: &Core,
    edit: &Edit,
    judged: &Judged,
) -> Result<Became, StoreError> {
    let skipped = |code| Ok(Became::Skipped { code });
    let whose = whose(tx, judged.device).await?;
    let Some(whose) = whose.filter(|whose| whose.company == Some(edit.company)) else {
        return skipped("gone");
    };
    let (before, _) = twin::rows::find(tx, judged.device).await?;
    if before.revision != judged.revision {
        return skipped("changed_meanwhile");
    }
    let missing = subscriptions::missing_management(tx, core, judged.device).await?;
    if missing.is_some() {
        return skipped("subscription_missing");
    }
    let patch = judged.patch.as_ref().unwrap_or(&edit.patch);
    let by = twin::By {
        actor: Actor::named(&edit.made_by),
        now: core.now(),
        edit: Some(edit.id),
    };
    match twin::set(tx, &by, (judged.device, whose), &before, patch).await {
        Ok(after) => Ok(Became::Changed {
            back: edits::back(&before.desired, &after.desired),
            revision: after.revision,
        }),
        Err(twin::SetError::Store(error)) => Err(error),
        Err(twin::SetError::Stale) => skipped("changed_meanwhile"),
        Err(twin::SetError::TooLarge(_)) => skipped("too_large"),
        Err(twin::SetError::CounterEnds) => skipped("counter_ends"),
    }
}

async fn finish(tx: &mut Tx, core: &Core, edit: &Edit) -> Result<(), StoreError> {
    rows::done(tx, edit.id, core.now()).await?;
    let counts = rows::counts(tx, edit.id).await?;
    tx.audit(audit(
        core,
        edit,
        "edit.done",
        json!({"changed": counts.changed, "skipped": counts.skipped}),
    ));
    Ok(())
}

fn audit(core: &Core, edit: &Edit, action: &'static str, after: Value) -> Audit {
    Audit {
        at: core.now(),
        company: Some(edit.company),
        actor: Actor::core(),
        action,
        object_kind: "edit",
        object_id: edit.id.to_string(),
        before: None,
        after: Some(after),
    }
}

/// For those who watch how far it is.
pub(super) fn told(core: &Core, edit: &Edit) -> Change {
    Change {
        at: core.now(),
        whose: Whose {
            company: Some(edit.company),
            ..Whose::default()
        },
        kind: "edit",
        id: edit.id.to_string(),
        what: What::Updated,
    }
}
