//! The watch over all sites, which one node keeps.
//!
//! What changed is read from the cursor table and becomes a row per site that is to be looked at;
//! whoever takes the watch over compares once what is with what is known, so it needs to know
//! nothing of how far the other had come.

use std::collections::BTreeSet;
use std::time::Duration;

use cloud_logic::ids::{NodeId, SiteId};
use model::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{conditions, look};
use crate::core::{Core, NewId};
use crate::store::changes::Position;
use crate::store::{StoreError, Tx, lease, query};

const TASK: &str = "notices";
const LEASE: Duration = Duration::from_secs(15);

/// The lease is taken anew when less than this is left.
const RENEW: Duration = Duration::from_secs(10);

/// How often is looked for what changed and what is due.
const LOOK: Duration = Duration::from_secs(1);

/// How often what is is compared with what is known, whatever the cursor table said.
const SWEEP: Duration = Duration::from_secs(10 * 60);

/// How often conditions are looked at that no change tells of.
const CONDITIONS: Duration = Duration::from_secs(5 * 60);

/// A site at which a look failed is left alone for so long.
const AFTER_TROUBLE: Duration = Duration::from_secs(60);

/// Changes read at once, and sites looked at before changes are read again.
const CHANGES: u32 = 1000;
const SITES: u32 = 100;

/// Takes or keeps the watch, in the transaction that decides something: two cannot both commit.
pub(super) async fn hold(tx: &mut Tx, holder: NodeId, now: Timestamp) -> Result<bool, StoreError> {
    lease::take(tx, TASK, holder, (now, LEASE)).await
}

/// One node's part in the watch.
#[derive(Debug)]
pub(super) struct Watch {
    holder: NodeId,
    /// While it is ours.
    kept: Option<Kept>,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    until: Timestamp,
    position: Position,
    sweep_at: Timestamp,
    conditions_at: Timestamp,
}

/// Until `stop`.
pub(crate) async fn run(core: Core, stop: CancellationToken) {
    let mut watch = Watch::new(core.now());
    loop {
        if let Err(error) = watch.step(&core).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "notices could not be looked after; tried again"
            );
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    if let Err(error) = watch.leave(&core).await {
        tracing::debug!(%error, "the watch was not given back; its lease runs out");
    }
}

impl Watch {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            holder: NodeId::new_at(now),
            kept: None,
        }
    }

    /// Does what is to be done now.
    pub(super) async fn step(&mut self, core: &Core) -> Result<(), StoreError> {
        let now = core.now();
        let Some(mut kept) = self.keep(core, now).await? else {
            return Ok(());
        };
        if kept.sweep_at <= now {
            sweep(core, self.holder).await?;
            kept.sweep_at = now.saturating_add(SWEEP);
        }
        kept.position = self.read(core, kept.position).await?;
        if kept.conditions_at <= now {
            conditions::check(core, self.holder).await?;
            kept.conditions_at = now.saturating_add(CONDITIONS);
        }
        // Not before everything went well: what failed is done again.
        self.kept = Some(kept);
        while self.look_at_some(core).await? {}
        Ok(())
    }

    async fn leave(&self, core: &Core) -> Result<(), StoreError> {
        let mut tx = core.store.write().await?;
        lease::give(&mut tx, TASK, self.holder).await?;
        tx.commit().await
    }

    async fn keep(&mut self, core: &Core, now: Timestamp) -> Result<Option<Kept>, StoreError> {
        if let Some(kept) = self.kept
            && now.saturating_add(RENEW) < kept.until
        {
            return Ok(Some(kept));
        }
        let mut tx = core.store.write().await?;
        if !hold(&mut tx, self.holder, now).await? {
            self.kept = None;
            return Ok(None);
        }
        tx.commit().await?;
        let until = now.saturating_add(LEASE);
        let kept = match self.kept {
            Some(kept) if now < kept.until => Kept { until, ..kept },
            // It ran out in between; another may have begun and ended.
            Some(kept) => Kept {
                until,
                sweep_at: now,
                conditions_at: now,
                ..kept
            },
            None => Kept {
                until,
                position: core.store.read().await?.newest_position().await?,
                sweep_at: now,
                conditions_at: now,
            },
        };
        self.kept = Some(kept);
        Ok(Some(kept))
    }

    /// Marks sites whose devices changed; how far it has come.
    async fn read(&self, core: &Core, mut position: Position) -> Result<Position, StoreError> {
        loop {
            let mut tx = core.store.read().await?;
            let seen = tx.changes_after(position, CHANGES).await?;
            drop(tx);
            let Some(last) = seen.last().map(|change| change.position) else {
                return Ok(position);
            };
            let of_sites = seen
                .iter()
                .filter(|change| matches!(change.kind.as_str(), "presence" | "device" | "site"));
            let mut sites: BTreeSet<SiteId> = of_sites
                .clone()
                .filter_map(|change| change.whose.site)
                .collect();
            // A site that is gone is told of by its project.
            sites.extend(of_sites.filter_map(|change| change.id.parse::<SiteId>().ok()));
            let ended = |kind: &str| -> Vec<String> {
                let of_kind = seen.iter().filter(|change| change.kind == kind);
                of_kind.map(|change| change.id.clone()).collect()
            };
            let (commands, letters) = (ended("command"), ended("letter"));
            if !sites.is_empty() || !commands.is_empty() || !letters.is_empty() {
                let mut tx = core.store.write().await?;
                if !hold(&mut tx, self.holder, core.now()).await? {
                    return Ok(position);
                }
                mark(&mut tx, &sites, core.now()).await?;
                conditions::of_commands(&mut tx, &commands, core.now()).await?;
                conditions::of_letters(&mut tx, core, &letters).await?;
                tx.commit().await?;
            }
            let all = seen.len() < CHANGES as usize;
            position = last;
            if all {
                return Ok(position);
            }
        }
    }

    /// Whether there may be more.
    async fn look_at_some(&self, core: &Core) -> Result<bool, StoreError> {
        let asked = query("SELECT site_id FROM site_watch WHERE due <= $1 ORDER BY due LIMIT $2");
        let asked = asked.bind(core.now()).bind(SITES);
        let rows = core.store.read().await?.all(asked).await?;
        for row in &rows {
            let site = row.parsed("site_id")?;
            match look::look(core, self.holder, site).await {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => {
                    // One that cannot be looked at keeps no other waiting.
                    tracing::error!(
                        error = &error as &dyn std::error::Error, %site,
                        "a site could not be looked at; tried again in a minute"
                    );
                    let mut tx = core.store.write().await?;
                    let later = core.now().saturating_add(AFTER_TROUBLE);
                    mark(&mut tx, &BTreeSet::from([site]), later).await?;
                    tx.commit().await?;
                }
            }
        }
        Ok(rows.len() == SITES as usize)
    }
}

async fn mark(tx: &mut Tx, sites: &BTreeSet<SiteId>, due: Timestamp) -> Result<(), StoreError> {
    for site in sites {
        tx.execute(
            query(
                "INSERT INTO site_watch (site_id, due) VALUES ($1, $2)
                 ON CONFLICT (site_id) DO UPDATE SET due = excluded.due",
            )
            .bind(*site)
            .bind(due),
        )
        .await?;
    }
    Ok(())
}

/// Marks every site where what is known is not what is.
async fn sweep(core: &Core, holder: NodeId) -> Result<(), StoreError> {
    let mut tx = core.store.write().await?;
    if !hold(&mut tx, holder, core.now()).await? {
        return Ok(());
    }
    let rows = tx
        .all(query(
            "SELECT DISTINCT d.site_id AS site FROM device d
             LEFT JOIN watched w ON w.device_id = d.id
             WHERE d.site_id IS NOT NULL AND d.presence <> 'never_seen'
               AND (w.device_id IS NULL OR w.since <> d.since OR w.site_id <> d.site_id
                    OR w.online <> CASE WHEN d.presence = 'online' THEN 1 ELSE 0 END)
             UNION
             SELECT DISTINCT w.site_id AS site FROM watched w
             LEFT JOIN device d ON d.id = w.device_id
             WHERE d.site_id IS NULL OR d.site_id <> w.site_id",
        ))
        .await?;
    let sites = rows.iter().map(|row| row.parsed("site"));
    let sites = sites.collect::<Result<BTreeSet<SiteId>, StoreError>>()?;
    mark(&mut tx, &sites, core.now()).await?;
    tx.commit().await
}
