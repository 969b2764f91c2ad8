//! What the core has to say: commands and settings, from their rows to the sockets.
//!
//! One task for the whole node, woken by changes. Commands of all devices that can take
//! one are marked as sent in one transaction, and leave after its commit. Deliberately not
//! here: who ordered them. Invariant: what is put on the wire was marked as sent before,
//! in the state it was read in, so that no command leaves twice from two nodes.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cloud_logic::ids::{DeviceId, NodeId};
use contract::canonical;
use contract::document::{Counter, Moment, Text};
use contract::down::{Command, Desired, Operation};
use contract::limits;
use contract::topic::Down;
use model::Timestamp;
use serde_json::Value;
use tokio::sync::Notify;

use super::Ground;
use super::broker::Broker;
use super::figures::count;
use super::links::{Link, Order};
use super::rows::{connections, streams};
use super::session::{Saying, Token};
use crate::devices::commands::rows::{self, Command as CommandRow};
use crate::devices::uploads::Tickets;
use crate::keys::NamedSecretError;
use crate::store::{StoreError, Tx};

/// So many are looked at, and marked, in one transaction.
const PORTION: u32 = 200;

/// What there is to do, gathered until the task comes to it.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    wake: Notify,
    todo: Mutex<Todo>,
    /// A command waits because nothing more may be said to its device before something is
    /// acknowledged.
    short_of_room: AtomicBool,
}

#[derive(Debug, Default)]
struct Todo {
    commands: bool,
    settings: BTreeSet<DeviceId>,
}

impl Delivery {
    /// Somewhere a command waits, or a device can take one again.
    pub(super) fn commands(&self) {
        self.todo
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .commands = true;
        self.wake.notify_one();
    }

    /// A device has room again: as `commands`, if one waits for that.
    pub(super) fn room(&self) {
        if self.short_of_room.swap(false, Ordering::AcqRel) {
            self.commands();
        }
    }

    /// Takes a place on the connection, or makes sure that its next acknowledgement wakes us.
    fn take_room(&self, link: &Link) -> bool {
        link.take_room() || {
            self.short_of_room.swap(true, Ordering::AcqRel);
            // It may have come in between.
            link.take_room()
        }
    }

    /// A device may have to be told its settings. Bounded: only those that are connected.
    pub(super) fn settings(&self, device: DeviceId) {
        self.todo
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .settings
            .insert(device);
        self.wake.notify_one();
    }

    fn take(&self) -> Todo {
        std::mem::take(&mut *self.todo.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Lives until it is dropped.
pub(super) async fn run(ground: Arc<Ground>) {
    loop {
        ground.delivery.wake.notified().await;
        let todo = ground.delivery.take();
        let settings: Vec<_> = todo.settings.into_iter().collect();
        for device in settings {
            if let Err(error) = settings_of(&ground, device).await {
                tracing::warn!(
                    ?error,
                    "settings were not read; they are sent when it is back"
                );
            }
        }
        if todo.commands
            && let Err(error) = send_commands(&ground).await
        {
            tracing::warn!(?error, "commands were not sent; they are tried again");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            ground.delivery.commands();
        }
    }
}

async fn send_commands(ground: &Ground) -> Result<(), StoreError> {
    send_commands_of(ground, ground.node).await?;
    if ground.broker.as_ref().is_some_and(Broker::is_reached) {
        send_commands_of(ground, Broker::node()).await?;
    }
    Ok(())
}

/// What waits for the devices that `node` holds.
async fn send_commands_of(ground: &Ground, node: NodeId) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let now = ground.core.now();
        let mut tx = ground.core.store.read().await?;
        let waiting = rows::queued_for(&mut tx, node, after, now, PORTION).await?;
        if node == Broker::node() {
            links_behind(ground, &mut tx, &waiting).await?;
        }
        drop(tx);
        let Some(last) = waiting.last() else {
            return Ok(());
        };
        after = Some(last.id);
        let full = waiting.len() == PORTION as usize;
        // Each with the place it will need, before anything is marked.
        let possible: Vec<_> = waiting
            .into_iter()
            .filter_map(|command| {
                let link = ground.links.of(command.device)?;
                let free = !link.is_ending()
                    && link.hears(Down::Command)
                    && ground.delivery.take_room(&link);
                free.then_some((link, command))
            })
            .collect();
        if let Err(error) = mark_and_send(ground, &possible, now).await {
            for (link, _) in &possible {
                link.give_room(1);
            }
            return Err(error);
        }
        if !full {
            return Ok(());
        }
    }
}

/// Makes links to devices behind the broker that arrived while another node did the work with it.
async fn links_behind(
    ground: &Ground,
    tx: &mut Tx,
    waiting: &[CommandRow],
) -> Result<(), StoreError> {
    let Some(broker) = &ground.broker else {
        return Ok(());
    };
    for command in waiting {
        let link = ground.links.of(command.device);
        if link.is_some_and(|link| !link.is_ending()) {
            continue;
        }
        if let Some(held) = connections::held(tx, Broker::node(), command.device).await? {
            broker.link(ground, held.device, held.epoch);
        }
    }
    Ok(())
}

async fn mark_and_send(
    ground: &Ground,
    possible: &[(Arc<Link>, CommandRow)],
    now: Timestamp,
) -> Result<(), StoreError> {
    if possible.is_empty() {
        return Ok(());
    }
    let mut tx = ground.core.store.write().await?;
    let mut marked = Vec::with_capacity(possible.len());
    for (link, command) in possible {
        let is_marked = rows::send(&mut tx, command, link.epoch, now).await?;
        let args = args(ground, &mut tx, command).await?;
        marked.push(args.filter(|_| is_marked));
    }
    tx.commit().await?;
    for ((link, command), marked) in possible.iter().zip(marked) {
        match marked.and_then(|args| said(command, args)) {
            Some(saying) => {
                count(&ground.figures.commands_sent);
                let token = Token::Command(command.id);
                link.order(Order::Say(Box::new(saying), Some(token)));
            }
            // Taken back, or over, in the meantime.
            None => link.give_room(1),
        }
    }
    Ok(())
}

/// What goes with the command; nothing where it cannot be sent now.
async fn args(
    ground: &Ground,
    tx: &mut Tx,
    command: &CommandRow,
) -> Result<Option<Value>, StoreError> {
    if command.operation != Operation::UploadLogs {
        return Ok(Some(command.args.clone()));
    }
    match Tickets::of(tx, &ground.core).await {
        Ok(tickets) => Ok(Some(tickets.with_way(
            &ground.core,
            command.id,
            &command.args,
        ))),
        Err(NamedSecretError::Store(error)) => Err(error),
        Err(NamedSecretError::Unseal(error)) => {
            tracing::error!(
                ?error,
                "a command to send logs has no ticket and is not sent"
            );
            Ok(None)
        }
    }
}

pub(super) fn said(command: &CommandRow, args: Value) -> Option<Saying> {
    let moment = |at: Timestamp| Counter::new(at.unix_ms()).ok().map(Moment);
    Some(Saying::Command(Command {
        cmd: Text::new(command.id.to_string()).ok()?,
        op: Text::new(command.operation.name()).ok()?,
        args,
        issued: moment(command.issued)?,
        expires: moment(command.expires)?,
        idem: command.operation.repeat(),
        by: Text::new(command.ordered_by.clone()).ok()?,
    }))
}

async fn settings_of(ground: &Ground, device: DeviceId) -> Result<(), StoreError> {
    let Some(link) = ground.links.of(device) else {
        return Ok(());
    };
    let has = link.settings.load(Ordering::Relaxed);
    // Before its hello nobody knows what it has.
    if has < 0 || !link.hears(Down::Desired) {
        return Ok(());
    }
    let mut tx = ground.core.store.read().await?;
    let Some((revision, settings)) = streams::desired(&mut tx, device).await? else {
        return Ok(());
    };
    drop(tx);
    if revision <= has || !link.take_room() {
        return Ok(());
    }
    let Ok(rev) = Counter::new(revision) else {
        return Ok(());
    };
    let hash = Some(canonical::hash(&settings));
    // What does not fit with its frame is fetched over HTTPS.
    let fits = settings.to_string().len() < limits::DOCUMENT - 256;
    let full = Some(settings).filter(|_| fits);
    let desired = Desired {
        rev,
        base: None,
        patch: None,
        full,
        hash,
    };
    link.settings.store(revision, Ordering::Relaxed);
    count(&ground.figures.settings_sent);
    let token = Token::Desired(revision);
    link.order(Order::Say(Box::new(Saying::Desired(desired)), Some(token)));
    Ok(())
}
