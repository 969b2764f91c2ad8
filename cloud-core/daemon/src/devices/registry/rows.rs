//! Rows of devices, and what becomes of them when the world changes.

use cloud_logic::catalogue::{self, Family, Mode};
use cloud_logic::condition::{Attention, Concern, Holds, Presence, is_old};
use cloud_logic::ids::{CompanyId, DeviceId, FolderId, ProjectId, SiteId, UnitId};
use cloud_logic::twin::Twin;
use contract::up::Hello;
use model::Timestamp;

use crate::api::check::key_of;
use crate::store::{Row, StoreError, Tx, query};

/// A device with what a list tells of it.
#[derive(Debug, Clone)]
pub(super) struct Device {
    pub(super) id: DeviceId,
    pub(super) company: CompanyId,
    pub(super) project: ProjectId,
    pub(super) site: SiteId,
    pub(super) site_name: String,
    pub(super) folder: Option<FolderId>,
    pub(super) name: String,
    pub(super) notes: String,
    pub(super) model: String,
    pub(super) serial_number: String,
    pub(super) revision: Option<String>,
    pub(super) mode: Option<Mode>,
    pub(super) firmware: Option<String>,
    pub(super) presence: Presence,
    pub(super) since: Timestamp,
    pub(super) attention: Attention,
    pub(super) desired_rev: i64,
    pub(super) applied_rev: i64,
    pub(super) created: Timestamp,
    pub(super) version: i64,
}

/// Of `device d`, its site `s` and its twin `t`.
pub(super) const COLUMNS: &str = "d.id, d.company_id, d.project_id, d.site_id,
    s.name AS site_name, d.folder_id, d.name, d.notes, d.model, d.serial_number, d.revision,
    d.mode, d.firmware, d.presence, d.since, d.attention, d.created, d.version,
    COALESCE(t.desired_rev, 0) AS desired_rev, COALESCE(t.applied_rev, 0) AS applied_rev";

pub(super) const BESIDE: &str =
    " JOIN site s ON s.id = d.site_id LEFT JOIN twin t ON t.device_id = d.id";

impl Device {
    pub(super) fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("id")?,
            company: row.parsed("company_id")?,
            project: row.parsed("project_id")?,
            site: row.parsed("site_id")?,
            site_name: row.text("site_name")?,
            folder: row.maybe_parsed("folder_id")?,
            name: row.text("name")?,
            notes: row.text("notes")?,
            model: row.text("model")?,
            serial_number: row.text("serial_number")?,
            revision: row.maybe_text("revision")?,
            mode: row.maybe_parsed("mode")?,
            firmware: row.maybe_text("firmware")?,
            presence: row.parsed("presence")?,
            since: row.time("since")?,
            attention: Attention::from_bits(row.int("attention")?),
            desired_rev: row.int("desired_rev")?,
            applied_rev: row.int("applied_rev")?,
            created: row.time("created")?,
            version: row.int("version")?,
        })
    }
}

/// A device that is somebody's.
pub(super) async fn find(tx: &mut Tx, id: DeviceId) -> Result<Option<Device>, StoreError> {
    let asked = query("SELECT ")
        .text(COLUMNS)
        .text(" FROM device d")
        .text(BESIDE)
        .text(" WHERE d.id = ")
        .value(id);
    tx.optional(asked)
        .await?
        .as_ref()
        .map(Device::of)
        .transpose()
}

/// What can be searched for: words that stand in one of these.
fn search(name: &str, serial_number: &str, id: DeviceId) -> String {
    format!("{name} {serial_number} {id}").to_lowercase()
}

/// The name that a device has before somebody gives it one.
fn first_name(model: &str, serial_number: &str) -> String {
    format!("{model} {serial_number}")
}

/// Where a claim puts a device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claimed {
    pub(crate) company: CompanyId,
    pub(crate) project: ProjectId,
    pub(crate) site: SiteId,
    pub(crate) mode: Mode,
    pub(crate) unit: UnitId,
}

/// The device is this place's from now on, with this unit as its hardware. A name that somebody
/// gave it stays.
pub(crate) async fn claimed(
    tx: &mut Tx,
    device: DeviceId,
    claim: Claimed,
    now: Timestamp,
) -> Result<(), StoreError> {
    let asked = query("SELECT model, serial_number, revision FROM unit WHERE id = $1");
    let unit = tx.one(asked.bind(claim.unit)).await?;
    let (model, serial_number) = (unit.text("model")?, unit.text("serial_number")?);
    let asked = query("SELECT name, model, serial_number FROM device WHERE id = $1");
    let name = match tx.optional(asked.bind(device)).await? {
        None => None,
        Some(old) => {
            let first = first_name(&old.text("model")?, &old.text("serial_number")?);
            Some(old.text("name")?).filter(|name| *name != first)
        }
    };
    let name = name.unwrap_or_else(|| first_name(&model, &serial_number));
    let owned = query(
        "INSERT INTO device (id, company_id, project_id, site_id, version, created, since, mode,
                             model, serial_number, revision, name, name_key, search)
         VALUES ($1, $2, $3, $4, 1, $5, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (id) DO UPDATE SET
             company_id = excluded.company_id, project_id = excluded.project_id,
             site_id = excluded.site_id, mode = excluded.mode, model = excluded.model,
             serial_number = excluded.serial_number, revision = excluded.revision,
             name = excluded.name, name_key = excluded.name_key, search = excluded.search,
             firmware = NULL, attention = 0, version = device.version + 1",
    )
    .bind(device)
    .bind(claim.company)
    .bind(claim.project)
    .bind(claim.site)
    .bind(now)
    .bind(claim.mode.name())
    .bind(&model)
    .bind(&serial_number)
    .bind(unit.maybe_text("revision")?)
    .bind(&name)
    .bind(key_of(&name))
    .bind(search(&name, &serial_number, device));
    tx.execute(owned).await?;
    Ok(())
}

/// It came, or is gone.
pub(crate) async fn is_now(
    tx: &mut Tx,
    device: DeviceId,
    presence: Presence,
    since: Timestamp,
) -> Result<(), StoreError> {
    let told = query("UPDATE device SET presence = $2, since = $3 WHERE id = $1");
    let told = told.bind(device).bind(presence.word()).bind(since);
    tx.execute(told).await?;
    Ok(())
}

/// What it says of itself when it comes.
pub(crate) async fn introduced(
    tx: &mut Tx,
    device: DeviceId,
    hello: &Hello,
) -> Result<(), StoreError> {
    let asked = query("SELECT model, mode, firmware, revision FROM device WHERE id = $1");
    let Some(row) = tx.optional(asked.bind(device)).await? else {
        return Ok(());
    };
    let (firmware, revision) = (row.maybe_text("firmware")?, row.maybe_text("revision")?);
    let said = hello.rev.as_ref().map(|rev| rev.as_str().to_owned());
    let said = said.or_else(|| revision.clone());
    if firmware.as_deref() == Some(hello.fw.as_str()) && said == revision {
        return Ok(());
    }
    let old = is_old(
        &row.text("model")?,
        row.maybe_parsed("mode")?,
        Some(hello.fw.as_str()),
    );
    let told = query("UPDATE device SET firmware = $2, revision = $3 WHERE id = $1");
    let told = told.bind(device).bind(hello.fw.as_str()).bind(said);
    tx.execute(told).await?;
    let of_twin = [
        Concern::Fault,
        Concern::SettingsFailed,
        Concern::SettingsDiffer,
    ];
    let kept = of_twin
        .into_iter()
        .fold(Attention::default(), |all, one| all.with(one, Holds::Yes));
    let more = Attention::default().with(Concern::FirmwareOld, Holds::from(old));
    attention(tx, device, kept, more).await
}

/// What a person can change of a device.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Sorted {
    pub(super) name: String,
    pub(super) notes: String,
    pub(super) site: SiteId,
    pub(super) folder: Option<FolderId>,
}

impl Sorted {
    pub(super) fn of(device: &Device) -> Self {
        Self {
            name: device.name.clone(),
            notes: device.notes.clone(),
            site: device.site,
            folder: device.folder,
        }
    }
}

/// Writes it, if the version is still the one that was read; how many rows were written.
pub(super) async fn sort(
    tx: &mut Tx,
    device: &Device,
    sorted: &Sorted,
    project: ProjectId,
) -> Result<u64, StoreError> {
    let touched = tx
        .execute(
            query(
                "UPDATE device SET name = $3, name_key = $4, search = $5, notes = $6,
                     project_id = $7, site_id = $8, folder_id = $9, version = version + 1
                 WHERE id = $1 AND version = $2",
            )
            .bind(device.id)
            .bind(device.version)
            .bind(&sorted.name)
            .bind(key_of(&sorted.name))
            .bind(search(&sorted.name, &device.serial_number, device.id))
            .bind(&sorted.notes)
            .bind(project)
            .bind(sorted.site)
            .bind(sorted.folder),
        )
        .await?;
    if touched > 0 && sorted.site != device.site {
        let claim = query(
            "UPDATE claim SET project_id = $2, site_id = $3 WHERE device_id = $1 AND ended IS NULL",
        );
        tx.execute(claim.bind(device.id).bind(project).bind(sorted.site))
            .await?;
    }
    Ok(touched)
}

/// Which kind of device it is, as far as the catalogue knows.
pub(crate) async fn family(tx: &mut Tx, device: DeviceId) -> Result<Option<Family>, StoreError> {
    let asked = query("SELECT model FROM device WHERE id = $1").bind(device);
    let Some(row) = tx.optional(asked).await? else {
        return Ok(None);
    };
    let model = row.text("model")?;
    Ok(catalogue::compiled()
        .model(&model)
        .map(|model| model.family))
}

/// Gives it another name, by way of its settings.
pub(crate) async fn rename(tx: &mut Tx, device: DeviceId, name: &str) -> Result<(), StoreError> {
    let asked = query("SELECT serial_number FROM device WHERE id = $1").bind(device);
    let serial_number = tx.one(asked).await?.text("serial_number")?;
    let renamed = query(
        "UPDATE device SET name = $2, name_key = $3, search = $4, version = version + 1
         WHERE id = $1 AND name <> $2",
    );
    let renamed = renamed
        .bind(device)
        .bind(name)
        .bind(key_of(name))
        .bind(search(name, &serial_number, device));
    tx.execute(renamed).await?;
    Ok(())
}

/// What of its twin somebody should look at. Touches no other concern, whoever writes those.
pub(crate) async fn concerns(tx: &mut Tx, device: DeviceId, twin: &Twin) -> Result<(), StoreError> {
    let others = Attention::default().with(Concern::FirmwareOld, Holds::Yes);
    attention(tx, device, others, twin.concerns()).await
}

/// Keeps of its attention what is in `kept`, and adds `more`.
async fn attention(
    tx: &mut Tx,
    device: DeviceId,
    kept: Attention,
    more: Attention,
) -> Result<(), StoreError> {
    let written = query(
        "UPDATE device SET attention = (attention & $2) | $3
         WHERE id = $1 AND attention <> ((attention & $2) | $3)",
    );
    let written = written.bind(device).bind(kept.bits()).bind(more.bits());
    tx.execute(written).await?;
    Ok(())
}
