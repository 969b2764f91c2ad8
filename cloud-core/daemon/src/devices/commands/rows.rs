//! Rows of commands.
//!
//! Invariant: a row changes its state only from the state it was read in.

use cloud_logic::commands::{Event, State, due};
use cloud_logic::ids::{CommandId, DeviceId, NodeId, ProjectId};
use cloud_logic::presence::Epoch;
use contract::down::{Operation, Repeat};
use contract::up::Outcome;
use model::Timestamp;
use serde_json::Value;

use crate::store::changes::{Change, What, Whose};
use crate::store::{Row, StoreError, Tx, query};

/// A command as it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Command {
    pub(crate) id: CommandId,
    pub(crate) device: DeviceId,
    pub(crate) whose: Whose,
    pub(crate) operation: Operation,
    pub(crate) args: Value,
    pub(crate) ordered_by: String,
    pub(crate) issued: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) state: State,
    pub(crate) code: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) ended: Option<Timestamp>,
}

const COLUMNS: &str = "c.id, c.device_id, c.company_id, c.project_id, c.site_id, c.op, c.args,
    c.ordered_by, c.issued, c.expires, c.state, c.code, c.detail, c.ended";

/// An operation that this program does not know stands in a row only after a downgrade.
#[derive(Debug, thiserror::Error)]
#[error("no operation of this version")]
struct NoSuchOperation;

struct Named(Operation);

impl std::str::FromStr for Named {
    type Err = NoSuchOperation;

    fn from_str(text: &str) -> Result<Self, NoSuchOperation> {
        Operation::named(text).map(Self).ok_or(NoSuchOperation)
    }
}

impl Command {
    fn of(row: &Row) -> Result<Self, StoreError> {
        let Named(operation) = row.parsed("op")?;
        Ok(Self {
            id: row.parsed("id")?,
            device: row.parsed("device_id")?,
            whose: Whose {
                company: row.maybe_parsed("company_id")?,
                project: row.maybe_parsed("project_id")?,
                site: row.maybe_parsed("site_id")?,
            },
            operation,
            args: row.json("args")?,
            ordered_by: row.text("ordered_by")?,
            issued: row.time("issued")?,
            expires: row.time("expires")?,
            state: row.parsed("state")?,
            code: row.maybe_text("code")?,
            detail: row.maybe_text("detail")?,
            ended: row.maybe_time("ended")?,
        })
    }

    fn tell(&self, tx: &mut Tx, at: Timestamp, what: What) {
        let id = self.id.to_string();
        tx.changed(Change {
            at,
            whose: self.whose,
            kind: "command",
            id,
            what,
        });
    }
}

pub(crate) fn repeat_name(repeat: Repeat) -> &'static str {
    match repeat {
        Repeat::Once => "once",
        Repeat::Repeatable => "repeatable",
    }
}

pub(crate) async fn insert(tx: &mut Tx, command: &Command) -> Result<(), StoreError> {
    tx.execute(
        query(
            "INSERT INTO command (id, device_id, company_id, project_id, site_id, op, args, repeat,
                                  ordered_by, issued, expires, state, due)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(command.id)
        .bind(command.device)
        .bind(command.whose.company)
        .bind(command.whose.project)
        .bind(command.whose.site)
        .bind(command.operation.name())
        .bind(command.args.to_string())
        .bind(repeat_name(command.operation.repeat()))
        .bind(&command.ordered_by)
        .bind(command.issued)
        .bind(command.expires)
        .bind(command.state.name())
        .bind(due(command.state, command.operation, command.expires)),
    )
    .await?;
    command.tell(tx, command.issued, What::Created);
    Ok(())
}

pub(crate) async fn find(
    tx: &mut Tx,
    device: DeviceId,
    id: CommandId,
) -> Result<Option<Command>, StoreError> {
    let asked = query("SELECT ")
        .text(COLUMNS)
        .text(" FROM command c WHERE c.device_id = ");
    let asked = asked.value(device).text(" AND c.id = ").value(id);
    tx.optional(asked)
        .await?
        .as_ref()
        .map(Command::of)
        .transpose()
}

/// A device's commands, newest first, older than `before`.
pub(crate) async fn of_device(
    tx: &mut Tx,
    device: DeviceId,
    before: Option<CommandId>,
    limit: u32,
) -> Result<Vec<Command>, StoreError> {
    let asked = query("SELECT ")
        .text(COLUMNS)
        .text(" FROM command c WHERE c.device_id = ");
    let mut asked = asked.value(device);
    if let Some(before) = before {
        asked = asked.text(" AND c.id < ").value(before);
    }
    let asked = asked.text(" ORDER BY c.id DESC LIMIT ").value(limit);
    tx.all(asked).await?.iter().map(Command::of).collect()
}

/// How many of a device's commands are not over.
pub(crate) async fn open_of_device(tx: &mut Tx, device: DeviceId) -> Result<i64, StoreError> {
    let asked = query("SELECT count(*) AS n FROM command WHERE device_id = $1 AND due IS NOT NULL");
    tx.one(asked.bind(device)).await?.int("n")
}

/// What waits for devices whose sockets `node` holds, in the order it was ordered.
pub(crate) async fn queued_for(
    tx: &mut Tx,
    node: NodeId,
    after: Option<CommandId>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Command>, StoreError> {
    let asked = query("SELECT ")
        .text(COLUMNS)
        .text(" FROM command c JOIN connection k ON k.device_id = c.device_id")
        .text(" WHERE c.state = 'queued' AND c.expires > ")
        .value(now)
        .text(" AND k.node_id = ")
        .value(node);
    let asked = match after {
        Some(after) => asked.text(" AND c.id > ").value(after),
        None => asked,
    };
    let asked = asked.text(" ORDER BY c.id LIMIT ").value(limit);
    tx.all(asked).await?.iter().map(Command::of).collect()
}

/// Marks a command as sent on a connection; whether it was still to be sent.
pub(crate) async fn send(
    tx: &mut Tx,
    command: &Command,
    epoch: Epoch,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(state) = command.state.after(Event::Send, command.operation.repeat()) else {
        return Ok(false);
    };
    let touched = tx
        .execute(
            query(
                "UPDATE command SET state = $3, due = $4, epoch = $5, sent = $6, acknowledged = NULL
                 WHERE id = $1 AND state = $2",
            )
            .bind(command.id)
            .bind(command.state.name())
            .bind(state.name())
            .bind(due(state, command.operation, command.expires))
            .bind(epoch.0)
            .bind(now),
        )
        .await?;
    if touched > 0 {
        command.tell(tx, now, What::Updated);
    }
    Ok(touched > 0)
}

/// The device has it; what it makes of it is another matter.
pub(crate) async fn acknowledged(
    tx: &mut Tx,
    id: CommandId,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        query("UPDATE command SET acknowledged = $2 WHERE id = $1 AND acknowledged IS NULL")
            .bind(id)
            .bind(now),
    )
    .await?;
    Ok(())
}

/// Queues again what was lost with the connections before `epoch` and may be repeated.
pub(crate) async fn requeue(
    tx: &mut Tx,
    device: DeviceId,
    epoch: Epoch,
) -> Result<u64, StoreError> {
    tx.execute(
        query(
            "UPDATE command SET state = 'queued', due = expires
             WHERE device_id = $1 AND state = 'sent' AND repeat = 'repeatable'
               AND acknowledged IS NULL AND epoch < $2",
        )
        .bind(device)
        .bind(epoch.0),
    )
    .await
}

/// Takes over what a device says of a command; whether it changed anything.
pub(crate) async fn told(
    tx: &mut Tx,
    device: DeviceId,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<bool, StoreError> {
    // Another device's, or one that was never ordered: nothing is said about which.
    let Ok(id) = outcome.cmd.as_str().parse() else {
        return Ok(false);
    };
    let Some(command) = find(tx, device, id).await? else {
        return Ok(false);
    };
    let event = Event::Told(outcome.state);
    let code = outcome.code.as_ref().map(contract::document::Text::as_str);
    let detail = outcome.detail.as_ref().map(Value::to_string);
    change(tx, &command, event, code, detail, now).await
}

/// Takes a command back; whether it was not too late.
pub(crate) async fn cancel(
    tx: &mut Tx,
    command: &Command,
    now: Timestamp,
) -> Result<bool, StoreError> {
    change(tx, command, Event::Cancel, None, None, now).await
}

/// Takes back what waits for the devices of a project.
pub(crate) async fn cancel_in(
    tx: &mut Tx,
    project: ProjectId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let asked = query("SELECT ")
        .text(COLUMNS)
        .text(" FROM command c WHERE c.state = 'queued' AND c.project_id = ")
        .value(project);
    for row in &tx.all(asked).await? {
        change(tx, &Command::of(row)?, Event::Cancel, None, None, now).await?;
    }
    Ok(())
}

/// Whether there is a command whose time is over.
pub(crate) async fn any_due(tx: &mut Tx, now: Timestamp) -> Result<bool, StoreError> {
    let asked = query("SELECT id FROM command WHERE due <= $1 LIMIT 1").bind(now);
    Ok(tx.optional(asked).await?.is_some())
}

/// Ends the commands whose time is over, at most `limit`; how many.
pub(crate) async fn expire(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<u32, StoreError> {
    let asked = query("SELECT ")
        .text(COLUMNS)
        .text(" FROM command c WHERE c.due <= ")
        .value(now);
    let rows = tx
        .all(asked.text(" ORDER BY c.due LIMIT ").value(limit))
        .await?;
    let mut ended = 0;
    for row in &rows {
        let command = Command::of(row)?;
        ended += u32::from(change(tx, &command, Event::Due, None, None, now).await?);
    }
    Ok(ended)
}

async fn change(
    tx: &mut Tx,
    command: &Command,
    event: Event,
    code: Option<&str>,
    detail: Option<String>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(state) = command.state.after(event, command.operation.repeat()) else {
        return Ok(false);
    };
    let touched = tx
        .execute(
            query(
                "UPDATE command SET state = $3, due = $4, code = $5, detail = $6, ended = $7
                 WHERE id = $1 AND state = $2",
            )
            .bind(command.id)
            .bind(command.state.name())
            .bind(state.name())
            .bind(due(state, command.operation, command.expires))
            .bind(code)
            .bind(detail)
            .bind(Some(now).filter(|_| state.is_end())),
        )
        .await?;
    if touched > 0 {
        command.tell(tx, now, What::Updated);
    }
    Ok(touched > 0)
}
