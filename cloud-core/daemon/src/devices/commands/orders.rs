//! Orders that come at the same time share a transaction.
//!
//! Each is judged for itself: one that is refused costs its neighbours nothing, and who orders hears
//! only after the commit. A command for a device whose connection is at this node leaves with the same
//! commit (`way`). Invariant: what was answered with 202 is in the store, with its entry of the audit
//! log and its key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use axum::response::Response;
use cloud_logic::commands::State;
use cloud_logic::ids::{CommandId, DeviceId};
use cloud_logic::presence::Epoch;
use contract::down::Operation;
use model::Timestamp;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::routes::{self, CommandBody};
use super::rows::{self, Command, Target};
use super::way::{Places, Ways};
use crate::api::once::{Keys, Known};
use crate::api::{Code, Problem};
use crate::core::{Core, NewId};
use crate::devices::scope_of;
use crate::people::Caller;
use crate::store::{Gathered, StoreError, Tx, gather};
use crate::subscriptions;

/// So many may wait; above it their requests wait.
const WAITING: usize = 1024;

/// So many are committed at once.
const PORTION: usize = 256;

/// More that are not over, and a device has a queue that nobody will want to wait for.
const OPEN: i64 = 50;

/// What somebody orders.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) caller: Caller,
    pub(super) known: Known,
    pub(super) device: DeviceId,
    pub(super) operation: Operation,
    pub(super) args: serde_json::Value,
    /// How long it may wait for the device, or why the order cannot be taken as it is.
    pub(super) life: Result<Duration, Problem>,
}

#[derive(Debug)]
struct Waiting {
    order: Order,
    answer: oneshot::Sender<Result<Response, Problem>>,
}

/// Where orders are handed in. A clone is the same.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    desk: mpsc::Sender<Waiting>,
    waiting: Arc<Mutex<Option<mpsc::Receiver<Waiting>>>>,
    pub(crate) ways: Ways,
}

impl Default for Orders {
    fn default() -> Self {
        let (desk, waiting) = mpsc::channel(WAITING);
        Self {
            desk,
            waiting: Arc::new(Mutex::new(Some(waiting))),
            ways: Ways::default(),
        }
    }
}

impl Orders {
    /// Hands it in, and waits for what becomes of it.
    pub(super) async fn hand_in(&self, order: Order) -> Result<Response, Problem> {
        let closed = || Problem::new(Code::Unavailable, "The core is ending.").retry_after(5);
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { order, answer };
        self.desk.send(waiting).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

/// Takes orders until `stop`; those of a core are taken once.
pub(crate) async fn take(core: Core, stop: CancellationToken) {
    let waiting = &core.orders.waiting;
    let waiting = waiting
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(waiting) = waiting {
        let desk = Desk(&core);
        let taken = gather(&desk, waiting, PORTION);
        stop.run_until_cancelled(taken).await;
    }
}

struct Desk<'a>(&'a Core);

impl Gathered for Desk<'_> {
    type Item = Waiting;
    /// The answers, in their order.
    type Stored = Vec<Result<Response, Problem>>;

    async fn store(&self, items: &mut [Waiting]) -> Result<Self::Stored, StoreError> {
        match self.try_to(items).await {
            // Another node has carried out a request with one of these keys: now it is seen.
            Err(StoreError::Duplicate(_)) => self.try_to(items).await,
            tried => tried,
        }
    }

    fn done(&self, items: Vec<Waiting>, stored: Result<Self::Stored, StoreError>) {
        let answers = match stored {
            Ok(answers) => answers,
            // Only one that was tried on its own ends so.
            Err(error) => vec![Err(error.into())],
        };
        for (Waiting { answer, .. }, told) in items.into_iter().zip(answers) {
            // Who went away finds the command in the list.
            let _ = answer.send(told);
        }
    }
}

impl Desk<'_> {
    async fn try_to(
        &self,
        items: &[Waiting],
    ) -> Result<Vec<Result<Response, Problem>>, StoreError> {
        let mut tx = self.0.store.write().await?;
        let mut portion = Portion::of(self.0, &mut tx, items).await?;
        let mut answers = Vec::with_capacity(items.len());
        for Waiting { order, .. } in items {
            answers.push(portion.judge(self.0, &mut tx, order).await?);
        }
        portion.commit(tx).await?;
        Ok(answers)
    }
}

/// Orders of one transaction.
struct Portion {
    targets: BTreeMap<DeviceId, Target>,
    keys: Keys,
    places: Places,
    ordered: Vec<(Command, Option<Epoch>)>,
    now: Timestamp,
}

impl Portion {
    async fn of(core: &Core, tx: &mut Tx, items: &[Waiting]) -> Result<Self, StoreError> {
        let devices = items.iter().map(|waiting| waiting.order.device).collect();
        Ok(Self {
            targets: rows::targets(tx, &devices).await?,
            keys: Keys::of(tx, items.iter().map(|waiting| &waiting.order.known)).await?,
            places: Places::by(core.orders.ways.now()),
            ordered: Vec::new(),
            now: core.now(),
        })
    }

    /// The answer to an order, which counts when all is committed.
    async fn judge(
        &mut self,
        core: &Core,
        tx: &mut Tx,
        order: &Order,
    ) -> Result<Result<Response, Problem>, StoreError> {
        let Order {
            caller,
            known,
            device,
            operation,
            ..
        } = order;
        let target = self.targets.get_mut(device);
        let scope = target.as_ref().and_then(|target| scope_of(target.whose));
        let Some((scope, target)) = scope.zip(target) else {
            return Ok(Err(Problem::not_found()));
        };
        if let Err(problem) = caller.require(routes::permission(*operation), &scope) {
            return Ok(Err(problem));
        }
        if let Some(answer) = self.keys.before(known) {
            return Ok(answer);
        }
        if routes::needs_management(*operation)
            && let Some(missing) = subscriptions::missing_management(tx, core, *device).await?
        {
            return Ok(Err(subscriptions::problem(&missing)));
        }
        let life = match &order.life {
            Ok(life) => *life,
            Err(problem) => return Ok(Err(problem.clone())),
        };
        if target.open >= OPEN {
            let detail = "Fifty commands wait for this device. Wait, or take some of them back.";
            return Ok(Err(Problem::new(Code::TooMany, detail).retry_after(10)));
        }
        // One that waits would be overtaken. What goes with an upload is made when it is sent.
        let epoch = match (target.queued, operation) {
            (0, Operation::Reboot | Operation::OpenDoor | Operation::Identify) => {
                self.places.take(*device, target.held)
            }
            (_, Operation::UploadLogs) | (1.., _) | (..0, _) => None,
        };
        target.open += 1;
        target.queued += i64::from(epoch.is_none());
        let command = Command {
            id: CommandId::new_at(self.now),
            device: *device,
            whose: target.whose,
            operation: *operation,
            args: order.args.clone(),
            ordered_by: caller.actor().name,
            issued: self.now,
            expires: self.now.saturating_add(life),
            state: match epoch {
                Some(_) => State::Sent,
                None => State::Queued,
            },
            code: None,
            detail: None,
            ended: None,
        };
        tx.audit(routes::audit(caller, &command, "command.order"));
        let body = CommandBody::from(command.clone());
        let answer = self.keys.answer(known, StatusCode::ACCEPTED, &body);
        self.ordered.push((command, epoch));
        Ok(answer)
    }

    async fn commit(self, mut tx: Tx) -> Result<(), StoreError> {
        rows::insert(&mut tx, &self.ordered).await?;
        self.keys.write(&mut tx, self.now).await?;
        tx.commit().await?;
        self.places.say(&self.ordered);
        Ok(())
    }
}
