//! Makes the exports that were asked for, one after the other.
//!
//! Two nodes that make the same one do no harm: one of the two is kept.

use std::time::Duration;

use bytes::Bytes;
use cloud_logic::ids::BlobId;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::super::users;
use super::rows::{self, Export};
use super::{KEPT, content};
use crate::api::Time;
use crate::blobs::rows::{Keep, keep};
use crate::blobs::{BlobError, Kind};
use crate::core::{Core, NewId};
use crate::store::StoreError;
use crate::store::changes::{Change, What, Whose};

/// Other nodes' requests wake nobody here.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Until `stop`.
pub(crate) async fn tend(core: Core, stop: CancellationToken) {
    loop {
        // Made before looking, so that what commits in between wakes it.
        let changed = core.store.changed().notified();
        if let Err(error) = make_waiting(&core).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "an export was not made; it is tried again"
            );
        }
        let look_again = async {
            changed.await;
            // What changes all the time wakes it now and then.
            tokio::time::sleep(LOOK_AGAIN / 10).await;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = look_again => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

/// Makes those that wait; how many there were.
pub(super) async fn make_waiting(core: &Core) -> Result<usize, BlobError> {
    let mut tx = core.store.read().await?;
    let waiting = rows::waiting(&mut tx).await?;
    drop(tx);
    for export in &waiting {
        make(core, export).await?;
    }
    Ok(waiting.len())
}

async fn make(core: &Core, export: &Export) -> Result<(), BlobError> {
    let Some(document) = document(core, export).await? else {
        return Ok(());
    };
    let now = core.now();
    let id = BlobId::new_at(now);
    let written = core.blobs.write(id, document).await?;
    let expires = now.saturating_add(KEPT);
    let what = Keep {
        company: export.company,
        project: None,
        kind: Kind::Export,
        media_type: "application/json",
        now,
        expires: Some(expires),
    };
    let mut tx = core.store.write().await?;
    keep(&mut tx, written, what).await?;
    if !rows::made(&mut tx, export.id, id, (now, expires)).await? {
        drop(tx);
        return core.blobs.remove(id).await;
    }
    tx.changed(Change {
        at: now,
        whose: Whose {
            company: Some(export.company),
            ..Whose::default()
        },
        kind: "export",
        id: export.id.to_string(),
        what: What::Updated,
    });
    Ok(tx.commit().await?)
}

/// Nothing where she is gone.
async fn document(core: &Core, export: &Export) -> Result<Option<Bytes>, StoreError> {
    let mut tx = core.store.read().await?;
    let Some(account) = users::by_id(&mut tx, export.user).await? else {
        return Ok(None);
    };
    let only = export.of_company.then_some(export.company);
    let known = content::of(&mut tx, &account, only).await?;
    let document = json!({
        "made": Time(core.now()),
        "by": core.people.site().name,
        "about": export.user,
        "of_company": only,
        "data": known,
    });
    Ok(Some(Bytes::from(format!("{document:#}\n"))))
}
