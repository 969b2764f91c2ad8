//! The next revision of what a device shall have, with its log and its name.

use cloud_logic::ids::{DeviceId, EditId};
use cloud_logic::twin::{self, TooLarge, Twin};
use contract::limits;
use model::Timestamp;
use serde_json::{Value, json};

use super::rows;
use crate::devices::registry;
use crate::people::Caller;
use crate::store::audit::{Actor, Audit};
use crate::store::changes::Whose;
use crate::store::{StoreError, Tx};

/// Who sets it, and when.
#[derive(Debug, Clone)]
pub(in crate::devices) struct By {
    pub(in crate::devices) actor: Actor,
    pub(in crate::devices) now: Timestamp,
    /// One change for many devices, of which this is a part.
    pub(in crate::devices) edit: Option<EditId>,
}

impl By {
    pub(in crate::devices) fn caller(caller: &Caller) -> Self {
        Self {
            actor: caller.actor(),
            now: caller.now,
            edit: None,
        }
    }
}

/// Why a device is not set otherwise.
#[derive(Debug, thiserror::Error)]
pub(in crate::devices) enum SetError {
    #[error("somebody else has set it since")]
    Stale,
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    #[error("The counter of this device is at its end. Release it and claim it anew.")]
    CounterEnds,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Carries out a patch that was checked; what the twin is then.
pub(in crate::devices) async fn set(
    tx: &mut Tx,
    by: &By,
    (device, whose): (DeviceId, Whose),
    before: &Twin,
    patch: &Value,
) -> Result<Twin, SetError> {
    let desired = twin::patched(&before.desired, patch)?;
    if desired == before.desired {
        return Ok(before.clone());
    }
    let after = Twin {
        desired,
        revision: before.revision + 1,
        ..before.clone()
    };
    if after.revision.unsigned_abs() > limits::COUNTER {
        return Err(SetError::CounterEnds);
    }
    if !rows::want(tx, (device, whose), &after, by.now).await? {
        return Err(SetError::Stale);
    }
    if let Some(name) = patch.get("name").and_then(Value::as_str) {
        registry::rows::rename(tx, device, name.trim()).await?;
    }
    tx.audit(Audit {
        at: by.now,
        company: whose.company,
        actor: by.actor.clone(),
        action: "twin.change",
        object_kind: "device",
        object_id: device.to_string(),
        before: Some(json!({"revision": before.revision, "desired": before.desired})),
        after: Some(json!({
            "revision": after.revision, "desired": after.desired, "edit": by.edit,
        })),
    });
    Ok(after)
}
