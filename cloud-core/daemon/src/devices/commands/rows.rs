//! Rows of commands.
//!
//! Invariant: a row changes its state only from the state it was read in.

use std::collections::{BTreeMap, BTreeSet};

use cloud_logic::commands::{Event, State, due};
use cloud_logic::ids::{CommandId, DeviceId, NodeId, ProjectId};
use cloud_logic::presence::Epoch;
use contract::down::{Operation, Repeat};
use contract::up::Outcome;
use model::Timestamp;
use serde_json::Value;

use super::way::Held;
use crate::store::changes::{Change, What, Whose};
use crate::store::{Row, Rows, StoreError, Tx, query};

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

/// Writes new commands, each with the connection it leaves on with this very commit, if it does.
pub(crate) async fn insert(
    tx: &mut Tx,
    commands: &[(Command, Option<Epoch>)],
) -> Result<(), StoreError> {
    let mut rows = Rows::new(
        "INSERT INTO command (id, device_id, company_id, project_id, site_id, op, args, repeat,
                              ordered_by, issued, expires, state, due, epoch, sent) VALUES",
        15,
    );
    for (command, epoch) in commands {
        rows.bind(command.id)
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
            .bind(due(command.state, command.operation, command.expires))
            .bind(epoch.map(|epoch| epoch.0))
            .bind(epoch.map(|_| command.issued));
        command.tell(tx, command.issued, What::Created);
    }
    tx.insert(rows).await?;
    Ok(())
}

/// A device that something is ordered of.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) whose: Whose,
    /// Commands that are not over, and of these those that wait for the device.
    pub(super) open: i64,
    pub(super) queued: i64,
    /// Its connection, if it is online.
    pub(super) held: Option<Held>,
}

/// What is to be known of devices before something is ordered of them.
pub(super) async fn targets(
    tx: &mut Tx,
    devices: &BTreeSet<DeviceId>,
) -> Result<BTreeMap<DeviceId, Target>, StoreError> {
    let asked = query(
        "SELECT d.id, d.company_id, d.project_id, d.site_id, k.node_id, k.epoch
         FROM device d LEFT JOIN connection k ON k.device_id = d.id AND k.online = 1
         WHERE d.id IN ",
    );
    let rows = tx.all(asked.any_of(devices.iter().copied())).await?;
    let target = |row: &Row| {
        let node = row.maybe_parsed("node_id")?;
        let epoch = row.maybe_int("epoch")?;
        let target = Target {
            whose: Whose {
                company: row.maybe_parsed("company_id")?,
                project: row.maybe_parsed("project_id")?,
                site: row.maybe_parsed("site_id")?,
            },
            open: 0,
            queued: 0,
            held: node.zip(epoch).map(|(node, epoch)| Held {
                node,
                epoch: Epoch(epoch),
            }),
        };
        Ok((row.parsed("id")?, target))
    };
    let targets = rows.iter().map(target).collect::<Result<_, StoreError>>();
    let mut targets: BTreeMap<DeviceId, Target> = targets?;
    let asked = query(
        "SELECT device_id, count(*) AS open, count(CASE WHEN state = 'queued' THEN 1 END) AS queued
         FROM command WHERE due IS NOT NULL AND device_id IN ",
    );
    let asked = asked.any_of(devices.iter().copied());
    for row in &tx.all(asked.text(" GROUP BY device_id")).await? {
        if let Some(target) = targets.get_mut(&row.parsed("device_id")?) {
            target.open = row.int("open")?;
            target.queued = row.int("queued")?;
        }
    }
    Ok(targets)
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
        // In this order: else SQLite reads everything that was ever ordered of the node's devices.
        .text(" FROM command c CROSS JOIN connection k WHERE k.device_id = c.device_id")
        .text(" AND c.state = 'queued' AND c.expires > ")
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

/// Devices have these; what they make of them is another matter.
pub(crate) async fn acknowledged(
    tx: &mut Tx,
    ids: impl IntoIterator<Item = CommandId>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let noted = query("UPDATE command SET acknowledged = ")
        .value(now)
        .text(" WHERE acknowledged IS NULL AND id IN ")
        .any_of(ids);
    tx.execute(noted).await?;
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
             WHERE device_id = $1 AND due IS NOT NULL AND state = 'sent'
               AND repeat = 'repeatable' AND acknowledged IS NULL AND epoch < $2",
        )
        .bind(device)
        .bind(epoch.0),
    )
    .await
}

/// What devices said of commands, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// How many of the outcomes changed anything.
    pub(crate) news: u64,
    /// Commands that nothing more is waited for.
    pub(crate) over: BTreeSet<CommandId>,
}

/// Takes over what devices say of commands, in the order in which they said it.
pub(crate) async fn told(
    tx: &mut Tx,
    outcomes: &[(DeviceId, &Outcome)],
    now: Timestamp,
) -> Result<Told, StoreError> {
    let mut told = Told::default();
    let named: Vec<_> = outcomes
        .iter()
        .filter_map(|(device, outcome)| {
            Some((*device, outcome.cmd.as_str().parse().ok()?, *outcome))
        })
        .collect();
    let mut commands = of_ids(tx, named.iter().map(|(_, id, _)| *id)).await?;
    // In which state they were.
    let mut done = BTreeMap::<_, Vec<Command>>::new();
    for (device, id, outcome) in named {
        // Another device's, or one that was never ordered: nothing is said about which.
        let command = commands
            .get_mut(&id)
            .filter(|command| command.device == device);
        let Some(command) = command else { continue };
        let event = Event::Told(outcome.state);
        let Some(state) = command.state.after(event, command.operation.repeat()) else {
            continue;
        };
        let code = outcome.code.as_ref().map(contract::document::Text::as_str);
        let detail = outcome.detail.as_ref().map(Value::to_string);
        if (state, code, &detail) == (State::Done, None, &None) {
            let alike = done.entry(command.state.name()).or_default();
            alike.push(command.clone());
        } else if change(tx, command, event, code, detail, now).await? {
            told.news += 1;
        } else {
            continue;
        }
        command.state = state;
        if state.is_end() {
            told.over.insert(id);
        }
    }
    for (state, commands) in done {
        told.news += finish(tx, state, &commands, now).await?;
    }
    Ok(told)
}

async fn of_ids(
    tx: &mut Tx,
    ids: impl IntoIterator<Item = CommandId>,
) -> Result<BTreeMap<CommandId, Command>, StoreError> {
    let asked = query("SELECT ")
        .text(COLUMNS)
        .text(" FROM command c WHERE c.id IN ")
        .any_of(ids);
    let rows = tx.all(asked).await?;
    let named = |row| Command::of(row).map(|command| (command.id, command));
    rows.iter().map(named).collect()
}

/// Commands that were in the same state are done, and nothing more is said of them; how many were
/// still in that state.
async fn finish(
    tx: &mut Tx,
    state: &'static str,
    commands: &[Command],
    now: Timestamp,
) -> Result<u64, StoreError> {
    let finished = query(
        "UPDATE command SET state = 'done', due = NULL, code = NULL, detail = NULL, ended = ",
    );
    let finished = finished
        .value(now)
        // Written, not bound: of a state that is bound SQLite makes a new plan each time.
        .text(" WHERE state = '")
        .text(state)
        .text("' AND id IN ")
        .any_of(commands.iter().map(|command| command.id))
        .text(" RETURNING id");
    let rows = tx.all(finished).await?;
    let touched = rows.iter().map(|row| row.parsed("id"));
    let touched: BTreeSet<CommandId> = touched.collect::<Result<_, _>>()?;
    for command in commands.iter().filter(|it| touched.contains(&it.id)) {
        command.tell(tx, now, What::Updated);
    }
    Ok(touched.len() as u64)
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
