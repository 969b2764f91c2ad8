//! Claims and units as they stand in their rows.

use cloud_logic::catalogue::{Mode, Revision};
use cloud_logic::claims::{Claim, ClaimEnd, Epoch};
use cloud_logic::ids::{CompanyId, DeviceId, ProjectId, SiteId, UnitId};
use contract::enrolment::{Handle, ProofKey};
use model::Timestamp;

use crate::devices::registry::{self, rows::Claimed};
use crate::keys::authority::number;
use crate::keys::{Sealer, Secret, UnsealError};
use crate::store::changes::Whose;
use crate::store::{Row, StoreError, Tx, query};

const PROOF_COLUMN: &str = "claim.proof_key";
const WITH_UNIT: &str = "SELECT c.device_id, c.epoch, c.unit_id, c.company_id, c.project_id,
            c.site_id, c.mode, c.proof_key, c.enrolled, c.end_reason,
            u.model, u.revision, u.serial_number
     FROM claim c JOIN unit u ON u.id = c.unit_id WHERE c.ended IS NULL AND ";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) company: CompanyId,
    pub(crate) project: ProjectId,
    pub(crate) site: SiteId,
}

impl Place {
    pub(super) fn whose(self) -> Whose {
        Whose {
            company: Some(self.company),
            project: Some(self.project),
            site: Some(self.site),
        }
    }
}

/// A claim that has not ended, with its unit.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) device: DeviceId,
    pub(super) claim: Claim,
    pub(super) place: Place,
    pub(super) mode: Mode,
    pub(super) unit: UnitId,
    pub(super) model: String,
    pub(super) revision: Option<Revision>,
    pub(super) serial_number: String,
    sealed_proof_key: Option<Vec<u8>>,
}

impl Bound {
    /// What its device shows that it knows the code by, until the code is burnt.
    pub(super) fn proof_key(&self, sealer: &Sealer) -> Result<Option<ProofKey>, UnsealError> {
        let Some(sealed) = &self.sealed_proof_key else {
            return Ok(None);
        };
        let row = self.unit.to_string();
        let key = sealer.unseal(proof_place(&row), sealed)?;
        Ok(<[u8; 32]>::try_from(key.as_slice())
            .ok()
            .map(ProofKey::from_octets))
    }
}

/// How a device is found.
#[derive(Clone, Copy, Debug)]
pub(super) enum By<'a> {
    Device(DeviceId),
    Handle(&'a Handle),
    FactoryKey(&'a [u8; 32]),
}

pub(super) async fn bound(tx: &mut Tx, by: By<'_>) -> Result<Option<Bound>, StoreError> {
    let asked = query(WITH_UNIT);
    let asked = match by {
        By::Device(device) => asked.text("c.device_id = ").value(device),
        By::Handle(handle) => asked.text("c.handle = ").value(handle.as_str()),
        By::FactoryKey(hash) => asked.text("u.factory_key = ").value(hash.as_slice()),
    };
    let row = tx.optional(asked).await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<Bound, StoreError> {
    let epoch = Epoch::new(row.int("epoch")?.max(0).unsigned_abs());
    Ok(Bound {
        device: row.parsed("device_id")?,
        claim: Claim::stored(epoch, row.maybe_time("enrolled")?, None),
        place: Place {
            company: row.parsed("company_id")?,
            project: row.parsed("project_id")?,
            site: row.parsed("site_id")?,
        },
        mode: row.parsed("mode")?,
        unit: row.parsed("unit_id")?,
        model: row.text("model")?,
        revision: row.maybe_parsed("revision")?,
        serial_number: row.text("serial_number")?,
        sealed_proof_key: row.maybe_octets("proof_key")?,
    })
}

/// A unit by the hash of its code, and whether somebody has it.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) id: UnitId,
    pub(super) model: String,
    pub(super) revision: Option<Revision>,
    pub(super) serial_number: String,
    pub(super) epoch: Epoch,
    pub(super) taken: bool,
}

pub(super) async fn unit_of_code(tx: &mut Tx, mac: Vec<u8>) -> Result<Option<Unit>, StoreError> {
    let asked = query(
        "SELECT u.id, u.model, u.revision, u.serial_number, u.epoch, c.device_id AS taken
         FROM unit u LEFT JOIN claim c ON c.unit_id = u.id AND c.ended IS NULL
         WHERE u.code_mac = $1",
    );
    let Some(row) = tx.optional(asked.bind(mac)).await? else {
        return Ok(None);
    };
    Ok(Some(Unit {
        id: row.parsed("id")?,
        model: row.text("model")?,
        revision: row.maybe_parsed("revision")?,
        serial_number: row.text("serial_number")?,
        epoch: Epoch::new(row.int("epoch")?.max(0).unsigned_abs()),
        taken: row.maybe_text("taken")?.is_some(),
    }))
}

/// A claim to be written.
pub(super) struct NewClaim<'a> {
    pub(super) device: DeviceId,
    pub(super) epoch: Epoch,
    pub(super) unit: UnitId,
    pub(super) place: Place,
    pub(super) mode: Mode,
    pub(super) by: &'a str,
    pub(super) handle: &'a Handle,
    pub(super) proof_key: &'a ProofKey,
}

pub(super) async fn insert(
    tx: &mut Tx,
    sealer: &Sealer,
    now: Timestamp,
    claim: NewClaim<'_>,
) -> Result<(), StoreError> {
    let row = claim.unit.to_string();
    let insert = query(
        "INSERT INTO claim (device_id, epoch, unit_id, company_id, project_id, site_id, mode,
                            claimed_by, handle, proof_key, bound)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(claim.device)
    .bind(number(claim.epoch))
    .bind(claim.unit)
    .bind(claim.place.company)
    .bind(claim.place.project)
    .bind(claim.place.site)
    .bind(claim.mode.name())
    .bind(claim.by)
    .bind(claim.handle.as_str())
    .bind(sealer.seal(proof_place(&row), claim.proof_key.octets()))
    .bind(now);
    tx.execute(insert).await?;
    let count = query("UPDATE unit SET epoch = $2 WHERE id = $1");
    tx.execute(count.bind(claim.unit).bind(number(claim.epoch)))
        .await?;
    own(tx, &claim, now).await
}

/// What the device says begins anew: other hardware, or the same without its memory, counts from
/// the start.
async fn own(tx: &mut Tx, claim: &NewClaim<'_>, now: Timestamp) -> Result<(), StoreError> {
    let claimed = Claimed {
        company: claim.place.company,
        project: claim.place.project,
        site: claim.place.site,
        mode: claim.mode,
        unit: claim.unit,
    };
    registry::rows::claimed(tx, claim.device, claimed, now).await?;
    let streams = query("DELETE FROM link_stream WHERE device_id = $1");
    tx.execute(streams.bind(claim.device)).await?;
    let twin = query(
        "UPDATE twin SET reported = '{}', reported_at = NULL, applied_rev = 0, applied_errors = '[]'
         WHERE device_id = $1",
    );
    tx.execute(twin.bind(claim.device)).await?;
    Ok(())
}

pub(super) async fn enrolled(
    tx: &mut Tx,
    bound: &Bound,
    revision: Revision,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mark = query(
        "UPDATE claim SET enrolled = $3 WHERE device_id = $1 AND epoch = $2 AND enrolled IS NULL",
    )
    .bind(bound.device)
    .bind(number(bound.claim.epoch()))
    .bind(now);
    tx.execute(mark).await?;
    let told = query("UPDATE unit SET revision = $2 WHERE id = $1");
    tx.execute(told.bind(bound.unit).bind(revision.to_string()))
        .await?;
    Ok(())
}

/// False where another has ended it meanwhile.
pub(super) async fn end(
    tx: &mut Tx,
    bound: &Bound,
    why: ClaimEnd,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mark = query(
        "UPDATE claim SET ended = $3, end_reason = $4, proof_key = NULL
         WHERE device_id = $1 AND epoch = $2 AND ended IS NULL",
    )
    .bind(bound.device)
    .bind(number(bound.claim.epoch()))
    .bind(now)
    .bind(why.name());
    if tx.execute(mark).await? == 0 {
        return Ok(false);
    }
    let nobodys = query(
        "UPDATE device SET company_id = NULL, project_id = NULL, site_id = NULL,
                           version = version + 1
         WHERE id = $1",
    );
    tx.execute(nobodys.bind(bound.device)).await?;
    Ok(true)
}

/// Keys of codes that were burnt before this moment.
pub(super) async fn forget_proof_keys(
    tx: &mut Tx,
    burnt_before: Timestamp,
) -> Result<u64, StoreError> {
    let forget =
        query("UPDATE claim SET proof_key = NULL WHERE enrolled < $1 AND proof_key IS NOT NULL");
    tx.execute(forget.bind(burnt_before)).await
}

fn proof_place(unit: &str) -> Secret<'_> {
    Secret {
        column: PROOF_COLUMN,
        row: unit,
    }
}
