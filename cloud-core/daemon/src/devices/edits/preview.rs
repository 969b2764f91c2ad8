//! What an edit would do: its devices, judged one by one, and a hash of the whole.

use cloud_logic::catalogue;
use cloud_logic::edits::{Verdict, judge, judge_back};
use cloud_logic::ids::{CompanyId, DeviceId};
use cloud_logic::rights::{Permission, Visible};
use cloud_logic::settings::{Needs, touches};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::rows::{Judged, Selection};
use crate::api::{Code, Finding, Problem};
use crate::devices::registry::Wanted;
use crate::people::{Caller, Columns, VisibleRows, visible_in};
use crate::store::{Query, Row, Tx, query};

/// So many devices one edit may be for.
pub(super) const MOST: u32 = 10_000;

/// So many may be named one by one.
pub(super) const MOST_NAMED: usize = 1000;

/// What is to be previewed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) caller: &'a Caller,
    pub(super) company: CompanyId,
    pub(super) selection: &'a Selection,
    pub(super) patch: &'a Map<String, Value>,
}

/// A preview: each device as it was judged, in the order of the ids, and the hash of all.
#[derive(Debug)]
pub(super) struct Preview {
    pub(super) devices: Vec<Judged>,
    pub(super) hash: String,
}

/// Looks what an edit would do at this moment, for whoever asks.
pub(super) async fn look(tx: &mut Tx, asked: Asked<'_>) -> Result<Preview, Problem> {
    let devices = match asked.selection {
        Selection::Devices(ids) => {
            let devices = judged(tx, asked, named(asked, ids)?).await?;
            missing(ids, &devices)?;
            devices
        }
        Selection::Filter(wanted) => {
            let asked_for = wanted.conditions(
                candidates(),
                seen(asked, Permission::DeviceConfigure)?.of(asked),
            )?;
            let asked_for = firmware_too(asked, asked_for)?;
            judged(tx, asked, asked_for).await?
        }
        Selection::Undo(edit) => {
            let configures = seen(asked, Permission::DeviceConfigure)?;
            let back = query(
                "SELECT d.id, d.model, t.desired, t.desired_rev, e.patch AS own, e.back, x.patch
                 FROM edit_device e JOIN edit x ON x.id = e.edit_id
                 JOIN device d ON d.id = e.device_id JOIN twin t ON t.device_id = d.id
                 WHERE e.edit_id = ",
            );
            let back = back
                .value(*edit)
                .text(" AND e.outcome = 'changed' AND d.company_id = ")
                .value(asked.company)
                .text(" AND ")
                .visible(&configures.0, OF_DEVICE)
                .text(" ORDER BY d.id");
            let rows = tx.all(back).await?;
            rows.iter().map(judged_back).collect::<Result<_, _>>()?
        }
    };
    let hash = hash(asked.patch, &devices);
    Ok(Preview { devices, hash })
}

const OF_DEVICE: Columns = Columns {
    company: "d.company_id",
    project: Some("d.project_id"),
    site: Some("d.site_id"),
};

/// What the caller sees with a permission.
struct Seen(Visible);

impl Seen {
    fn of<'a>(&'a self, asked: Asked<'a>) -> (&'a Caller, &'a Visible, CompanyId) {
        (asked.caller, &self.0, asked.company)
    }
}

fn seen(asked: Asked<'_>, permission: Permission) -> Result<Seen, Problem> {
    visible_in(asked.caller, permission, asked.company).map(Seen)
}

/// Devices with their settings; conditions follow.
fn candidates() -> Query {
    query(
        "SELECT id, model, desired, desired_rev FROM device
         LEFT JOIN twin ON twin.device_id = device.id WHERE ",
    )
}

fn named(asked: Asked<'_>, ids: &[DeviceId]) -> Result<Query, Problem> {
    let configures = seen(asked, Permission::DeviceConfigure)?;
    let wanted = Wanted::default().conditions(candidates(), configures.of(asked))?;
    let wanted = wanted.text(" AND id IN ").values(ids.iter().copied());
    firmware_too(asked, wanted)
}

/// Where the patch is about firmware, only devices on which the caller may set that.
fn firmware_too(asked: Asked<'_>, wanted: Query) -> Result<Query, Problem> {
    if touches(asked.patch).all(|setting| setting.needs == Needs::Configure) {
        return Ok(wanted);
    }
    let may = seen(asked, Permission::FirmwareConfigure)?;
    Ok(wanted.text(" AND ").visible(&may.0, Columns::USUAL))
}

async fn judged(tx: &mut Tx, asked: Asked<'_>, wanted: Query) -> Result<Vec<Judged>, Problem> {
    let wanted = wanted.text(" ORDER BY id LIMIT ").value(MOST + 1);
    let rows = tx.all(wanted).await?;
    if rows.len() > MOST as usize {
        let detail = "An edit is for at most 10,000 devices. Narrow the filter, or do it in parts.";
        return Err(Problem::new(Code::Conflict, detail));
    }
    rows.iter().map(|row| judged_one(asked, row)).collect()
}

fn judged_one(asked: Asked<'_>, row: &Row) -> Result<Judged, Problem> {
    let desired = match row.maybe_text("desired")? {
        Some(_) => row.json("desired")?,
        None => Value::Object(Map::new()),
    };
    let model = row.text("model")?;
    let family = catalogue::compiled()
        .model(&model)
        .map(|model| model.family);
    let verdict = judge(&desired, asked.patch, family);
    let revision = row.maybe_int("desired_rev")?.unwrap_or(0);
    Ok(of(row.parsed("id")?, revision, verdict, None))
}

fn judged_back(row: &Row) -> Result<Judged, Problem> {
    let (desired, back): (Value, Value) = (row.json("desired")?, row.json("back")?);
    let patch: Value = match row.maybe_text("own")? {
        Some(_) => row.json("own")?,
        None => row.json("patch")?,
    };
    let verdict = judge_back(&desired, &patch, &back);
    let revision = row.int("desired_rev")?;
    Ok(of(row.parsed("id")?, revision, verdict, Some(back)))
}

fn of(device: DeviceId, revision: i64, verdict: Verdict, patch: Option<Value>) -> Judged {
    let (code, detail) = match verdict.why {
        Some(why) => (Some(why.code.to_owned()), Some(why.detail)),
        None => (None, None),
    };
    Judged {
        device,
        revision,
        outcome: verdict.outcome,
        code,
        detail,
        patch,
    }
}

/// Each device that was named has to be one that the caller may configure.
fn missing(ids: &[DeviceId], found: &[Judged]) -> Result<(), Problem> {
    let mut findings = Vec::new();
    for (place, id) in ids.iter().enumerate() {
        if !found.iter().any(|device| device.device == *id) {
            let detail = "There is no such device, or you may not configure it.";
            let pointer = format!("/devices/{place}");
            findings.push(Finding::new(&pointer, "no_such_device", detail));
        }
    }
    if findings.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(findings))
    }
}

/// The same only if the same would become of the same devices.
fn hash(patch: &Map<String, Value>, devices: &[Judged]) -> String {
    let patch = contract::canonical::text(&Value::Object(patch.clone()));
    let mut hash = Sha256::new_with_prefix(patch);
    for device in devices {
        let own = device.patch.as_ref().map(contract::canonical::text);
        let own = own.unwrap_or_default();
        let (id, revision, outcome) = (device.device, device.revision, device.outcome);
        hash.update(format!("\n{id} {revision} {outcome} {own}"));
    }
    let octets = hash.finalize();
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
