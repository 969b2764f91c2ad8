//! Rows of edits and of their devices.

use std::str::FromStr;

use cloud_logic::edits::Outcome;
use cloud_logic::ids::{CompanyId, DeviceId, EditId};
use model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::devices::registry::Wanted;
use crate::store::{Row, StoreError, Tx, query};

/// How far an edit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    Preview,
    Running,
    Done,
}

impl Stage {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Preview => "preview",
            Self::Running => "running",
            Self::Done => "done",
        }
    }
}

impl FromStr for Stage {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "preview" => Ok(Self::Preview),
            "running" => Ok(Self::Running),
            "done" => Ok(Self::Done),
            _ => Err("no such stage of an edit"),
        }
    }
}

/// Which devices an edit is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Selection {
    Devices(Vec<DeviceId>),
    Filter(Box<Wanted>),
    /// Those that this edit has changed, each by its own way back.
    Undo(EditId),
}

#[derive(Debug, Clone)]
pub(super) struct Edit {
    pub(super) id: EditId,
    pub(super) company: CompanyId,
    pub(super) made_by: String,
    pub(super) selection: Selection,
    pub(super) patch: Value,
    pub(super) hash: String,
    pub(super) stage: Stage,
    pub(super) created: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) started: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
}

impl Edit {
    fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("id")?,
            company: row.parsed("company_id")?,
            made_by: row.text("made_by")?,
            selection: row.json("selection")?,
            patch: row.json("patch")?,
            hash: row.text("hash")?,
            stage: row.parsed("state")?,
            created: row.time("created")?,
            expires: row.time("expires")?,
            started: row.maybe_time("started")?,
            ended: row.maybe_time("ended")?,
        })
    }
}

pub(super) async fn find(tx: &mut Tx, id: EditId) -> Result<Option<Edit>, StoreError> {
    let asked = query("SELECT * FROM edit WHERE id = $1").bind(id);
    tx.optional(asked).await?.as_ref().map(Edit::of).transpose()
}

/// Edits of a company, the newest first; only of somebody's own, where a name is given.
pub(super) async fn of_company(
    tx: &mut Tx,
    (company, made_by): (CompanyId, Option<&str>),
    before: Option<EditId>,
    limit: u32,
) -> Result<Vec<Edit>, StoreError> {
    let mut asked = query("SELECT * FROM edit WHERE company_id = ").value(company);
    if let Some(name) = made_by {
        asked = asked.text(" AND made_by = ").value(name);
    }
    if let Some(before) = before {
        asked = asked.text(" AND id < ").value(before);
    }
    let asked = asked.text(" ORDER BY id DESC LIMIT ").value(limit);
    tx.all(asked).await?.iter().map(Edit::of).collect()
}

/// A device of an edit, as it was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) device: DeviceId,
    /// Of its settings, when it was judged.
    pub(super) revision: i64,
    pub(super) outcome: Outcome,
    pub(super) code: Option<String>,
    pub(super) detail: Option<String>,
    /// Where it is not the edit's.
    pub(super) patch: Option<Value>,
}

impl Judged {
    fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            device: row.parsed("device_id")?,
            revision: row.int("revision")?,
            outcome: row.parsed("outcome")?,
            code: row.maybe_text("code")?,
            detail: row.maybe_text("detail")?,
            patch: match row.maybe_text("patch")? {
                Some(_) => Some(row.json("patch")?),
                None => None,
            },
        })
    }
}

/// So many devices of one statement: far below the values that either engine takes.
const ROWS: usize = 500;

pub(super) async fn insert(tx: &mut Tx, edit: &Edit, devices: &[Judged]) -> Result<(), StoreError> {
    let selection = serde_json::to_string(&edit.selection).unwrap_or_default();
    let made = query(
        "INSERT INTO edit (id, company_id, made_by, selection, patch, hash, state, created,
                           expires, turns)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)",
    )
    .bind(edit.id)
    .bind(edit.company)
    .bind(&edit.made_by)
    .bind(selection)
    .bind(edit.patch.to_string())
    .bind(&edit.hash)
    .bind(edit.stage.word())
    .bind(edit.created)
    .bind(edit.expires);
    tx.execute(made).await?;
    for some in devices.chunks(ROWS) {
        let mut insert = query(
            "INSERT INTO edit_device (edit_id, device_id, revision, outcome, code, detail, patch)
             VALUES ",
        );
        for (place, device) in some.iter().enumerate() {
            insert = insert
                .text(if place == 0 { "(" } else { ", (" })
                .value(edit.id)
                .text(", ")
                .value(device.device)
                .text(", ")
                .value(device.revision)
                .text(", ")
                .value(device.outcome.word())
                .text(", ")
                .value(device.code.as_deref())
                .text(", ")
                .value(device.detail.as_deref())
                .text(", ")
                .value(device.patch.as_ref().map(Value::to_string))
                .text(")");
        }
        tx.execute(insert).await?;
    }
    Ok(())
}

/// How many devices came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) waiting: i64,
    pub(super) same: i64,
    pub(super) refused: i64,
    pub(super) changed: i64,
    pub(super) skipped: i64,
    /// Of those changed: how many have answered.
    pub(super) taken: i64,
}

pub(super) async fn counts(tx: &mut Tx, id: EditId) -> Result<Counts, StoreError> {
    let asked = query(
        "SELECT e.outcome, count(*) AS n,
                count(CASE WHEN t.applied_rev >= e.new_revision THEN 1 END) AS taken
         FROM edit_device e LEFT JOIN twin t ON t.device_id = e.device_id AND e.outcome = 'changed'
         WHERE e.edit_id = $1 GROUP BY e.outcome",
    );
    let mut counts = Counts::default();
    for row in tx.all(asked.bind(id)).await? {
        let n = row.int("n")?;
        match row.parsed("outcome")? {
            Outcome::Waiting => counts.waiting = n,
            Outcome::Same => counts.same = n,
            Outcome::Refused => counts.refused = n,
            Outcome::Skipped => counts.skipped = n,
            Outcome::Changed => {
                counts.changed = n;
                counts.taken = row.int("taken")?;
            }
        }
    }
    Ok(counts)
}

/// Devices of an edit in the order of their ids, with their names where they are still the company's.
pub(super) async fn devices(
    tx: &mut Tx,
    edit: &Edit,
    (outcome, after): (Option<Outcome>, Option<&str>),
    limit: u32,
) -> Result<Vec<(Judged, Option<String>)>, StoreError> {
    let mut asked = query(
        "SELECT e.*, d.name FROM edit_device e
         LEFT JOIN device d ON d.id = e.device_id AND d.company_id = $2 WHERE e.edit_id = $1",
    )
    .bind(edit.id)
    .bind(edit.company);
    if let Some(outcome) = outcome {
        asked = asked.text(" AND e.outcome = ").value(outcome.word());
    }
    if let Some(after) = after {
        asked = asked.text(" AND e.device_id > ").value(after);
    }
    let asked = asked.text(" ORDER BY e.device_id LIMIT ").value(limit);
    let rows = tx.all(asked).await?;
    rows.iter()
        .map(|row| Ok((Judged::of(row)?, row.maybe_text("name")?)))
        .collect()
}

/// Sets the preview going; false where it is none any more.
pub(super) async fn start(tx: &mut Tx, id: EditId, now: Timestamp) -> Result<bool, StoreError> {
    let started = query(
        "UPDATE edit SET state = 'running', started = $2 WHERE id = $1 AND state = 'preview'",
    );
    Ok(tx.execute(started.bind(id).bind(now)).await? > 0)
}

/// Those that are to be worked on.
pub(super) async fn running(tx: &mut Tx) -> Result<Vec<EditId>, StoreError> {
    let asked = query("SELECT id FROM edit WHERE state = 'running' ORDER BY id");
    let rows = tx.all(asked).await?;
    rows.iter().map(|row| row.parsed("id")).collect()
}

/// Takes a turn at an edit: other nodes wait until this transaction is over.
pub(super) async fn take_turn(tx: &mut Tx, id: EditId) -> Result<Option<Edit>, StoreError> {
    let turn =
        query("UPDATE edit SET turns = turns + 1 WHERE id = $1 AND state = 'running' RETURNING *");
    tx.optional(turn.bind(id))
        .await?
        .as_ref()
        .map(Edit::of)
        .transpose()
}

pub(super) async fn waiting(
    tx: &mut Tx,
    id: EditId,
    limit: u32,
) -> Result<Vec<Judged>, StoreError> {
    let asked = query(
        "SELECT * FROM edit_device WHERE edit_id = $1 AND outcome = 'waiting'
         ORDER BY device_id LIMIT $2",
    );
    let rows = tx.all(asked.bind(id).bind(limit)).await?;
    rows.iter().map(Judged::of).collect()
}

/// What became of a device when its turn came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Became {
    Changed { back: Value, revision: i64 },
    Skipped { code: &'static str },
}

pub(super) async fn became(
    tx: &mut Tx,
    (edit, device): (EditId, DeviceId),
    became: &Became,
) -> Result<(), StoreError> {
    let written = match became {
        Became::Changed { back, revision } => query(
            "UPDATE edit_device SET outcome = 'changed', back = $3, new_revision = $4
             WHERE edit_id = $1 AND device_id = $2",
        )
        .bind(edit)
        .bind(device)
        .bind(back.to_string())
        .bind(*revision),
        Became::Skipped { code } => query(
            "UPDATE edit_device SET outcome = 'skipped', code = $3
             WHERE edit_id = $1 AND device_id = $2",
        )
        .bind(edit)
        .bind(device)
        .bind(*code),
    };
    tx.execute(written).await?;
    Ok(())
}

pub(super) async fn done(tx: &mut Tx, id: EditId, now: Timestamp) -> Result<(), StoreError> {
    let done = query("UPDATE edit SET state = 'done', ended = $2 WHERE id = $1");
    tx.execute(done.bind(id).bind(now)).await?;
    Ok(())
}

/// Forgets previews that nobody carried out, and what was done before `kept_since`.
pub(super) async fn forget(
    tx: &mut Tx,
    now: Timestamp,
    kept_since: Timestamp,
) -> Result<u64, StoreError> {
    let previews = query("DELETE FROM edit WHERE state = 'preview' AND expires <= $1");
    let previews = tx.execute(previews.bind(now)).await?;
    let done = query("DELETE FROM edit WHERE state = 'done' AND ended < $1");
    Ok(previews + tx.execute(done.bind(kept_since)).await?)
}
