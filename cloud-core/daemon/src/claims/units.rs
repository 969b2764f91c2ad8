//! What can be claimed: hardware by the maker's list, software gateways as they are wanted.

use cloud_logic::catalogue::{self, Revision};
use cloud_logic::ids::UnitId;
use contract::enrolment::ClaimCode;

use super::pepper::Pepper;
use crate::core::{Core, NewId};
use crate::keys::NamedSecretError;
use crate::random;
use crate::store::audit::{Actor, Audit};
use crate::store::{StoreError, Tx, query};

const LONGEST_SERIAL: usize = 64;

/// A unit as its maker tells of it.
#[derive(Debug)]
pub(crate) struct NewUnit {
    pub(crate) model: String,
    /// Nothing where the device will tell it.
    pub(crate) revision: Option<Revision>,
    /// As on the type plate. Nothing for software, which gets its id for a number.
    pub(crate) serial_number: Option<String>,
    /// SHA-256 of the public key it was born with.
    pub(crate) factory_key: Option<[u8; 32]>,
    /// The code on its label. Nothing makes one.
    pub(crate) code: Option<ClaimCode>,
}

/// Why a unit cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnitError {
    #[error("`{model}` is no model of the catalogue: compare it with the type plate")]
    Model { model: String },
    #[error("a serial number has 1 to {LONGEST_SERIAL} printable characters")]
    SerialNumber,
    #[error("a unit with this serial number, code or factory key is there already")]
    Known,
    #[error(transparent)]
    Pepper(#[from] NamedSecretError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes a unit in. The code is told this once; afterwards nobody can read it here.
pub(crate) async fn add(
    tx: &mut Tx,
    core: &Core,
    actor: &Actor,
    unit: NewUnit,
) -> Result<(UnitId, ClaimCode), UnitError> {
    let now = core.now();
    let Some(model) = catalogue::compiled().model(&unit.model) else {
        return Err(UnitError::Model { model: unit.model });
    };
    let id = UnitId::new_at(now);
    let serial_number = unit.serial_number.unwrap_or_else(|| id.to_string());
    let printable = serial_number.chars().all(|c| !c.is_control());
    if serial_number.is_empty() || serial_number.len() > LONGEST_SERIAL || !printable {
        return Err(UnitError::SerialNumber);
    }
    let code = unit
        .code
        .unwrap_or_else(|| ClaimCode::from_random(random::octets()));
    let pepper = Pepper::of(tx, core.keys.sealer()).await?;
    let insert = query(
        "INSERT INTO unit (id, model, revision, serial_number, code_mac, factory_key, epoch, created)
         VALUES ($1, $2, $3, $4, $5, $6, 0, $7)",
    )
    .bind(id)
    .bind(&model.name)
    .bind(unit.revision.map(|revision| revision.to_string()))
    .bind(&serial_number)
    .bind(pepper.mac(&code))
    .bind(unit.factory_key.map(Vec::from))
    .bind(now);
    tx.execute(insert).await.map_err(|error| match error {
        StoreError::Duplicate(_) => UnitError::Known,
        other => other.into(),
    })?;
    let entry = Audit {
        at: now,
        company: None,
        actor: actor.clone(),
        action: "unit.add",
        object_kind: "unit",
        object_id: id.to_string(),
        before: None,
        after: Some(serde_json::json!({"model": model.name, "serial_number": serial_number})),
    };
    tx.audit(entry);
    Ok((id, code))
}
