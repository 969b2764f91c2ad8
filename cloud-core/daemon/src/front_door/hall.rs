//! Arrivals and departures: one task that lets devices in and counts them out.
//!
//! A thousand devices that come back at once are let in by a few transactions. When a
//! device counts as offline is decided in `cloud_logic::presence`. Deliberately not here:
//! what a device says. Invariant: a device is let in only in a transaction that has asked
//! whether it may be.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cloud_logic::ids::{DeviceId, NodeId};
use cloud_logic::presence::{Change, Epoch, Grace, Input, Numbers, Presence};
use contract::limits;
use model::Timestamp;
use rustls::pki_types::CertificateDer;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Duration, sleep};

use super::Ground;
use super::credential::Credential;
use super::figures::count;
use super::rows::connections::{self, Arrival, Arrived, Held};
use super::session::{Asked, Why};
use crate::devices::commands;
use crate::store::StoreError;

/// So many may be at the door at once; above it a device waits in its own task.
const WAITING: usize = 1024;

/// So many are dealt with in one transaction.
const PORTION: usize = 256;

/// A device at the door, or one that is gone.
#[derive(Debug)]
pub(super) enum Call {
    Arrival {
        credential: Credential,
        shown: Option<CertificateDer<'static>>,
        asked: Asked,
        /// Who will hold it.
        at: NodeId,
        answer: oneshot::Sender<Result<Arrived, Why>>,
    },
    Departure {
        device: DeviceId,
        epoch: Epoch,
        heard: Timestamp,
    },
    Removed {
        device: DeviceId,
    },
    /// A device behind a broker, as its row has it.
    Adopted(Held),
    /// It gave a sign.
    Signed {
        device: DeviceId,
        sign: Sign,
    },
}

/// What a device behind a broker is heard of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sign {
    Heartbeat,
    /// The broker published its will.
    Will(Numbers),
}

pub(super) fn calls() -> (mpsc::Sender<Call>, mpsc::Receiver<Call>) {
    mpsc::channel(WAITING)
}

/// Lives until all who could call are gone.
pub(super) async fn run(ground: Arc<Ground>, mut calls: mpsc::Receiver<Call>) {
    let mut hall = Hall {
        ground,
        present: HashMap::new(),
        deadlines: BTreeSet::new(),
    };
    let mut portion = Vec::new();
    loop {
        let called = tokio::select! {
            called = calls.recv_many(&mut portion, PORTION) => called,
            () = sleep(hall.wait()) => {
                hall.pass_time().await;
                continue;
            }
        };
        if called == 0 {
            return;
        }
        hall.deal_with(std::mem::take(&mut portion)).await;
    }
}

struct Hall {
    ground: Arc<Ground>,
    present: HashMap<DeviceId, Presence>,
    deadlines: BTreeSet<(i64, DeviceId)>,
}

/// A device that waits for its answer.
struct Waiting {
    credential: Credential,
    shown: Option<CertificateDer<'static>>,
    asked: Asked,
    at: NodeId,
    answer: oneshot::Sender<Result<Arrived, Why>>,
}

/// A device whose absence is to be written down.
type Gone = (DeviceId, Epoch);

impl Hall {
    fn wait(&self) -> Duration {
        let longest = Duration::from_secs(1);
        let Some((first, _)) = self.deadlines.first() else {
            return longest;
        };
        let left = first.saturating_sub(self.ground.core.now().unix_ms());
        Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(longest)
    }

    async fn deal_with(&mut self, portion: Vec<Call>) {
        let now = self.ground.core.now();
        let mut arrivals = Vec::new();
        let mut departures = Vec::new();
        let mut gone = Vec::new();
        for call in portion {
            match call {
                Call::Arrival {
                    credential,
                    shown,
                    asked,
                    at,
                    answer,
                } => {
                    arrivals.push(Waiting {
                        credential,
                        shown,
                        asked,
                        at,
                        answer,
                    });
                }
                Call::Departure {
                    device,
                    epoch,
                    heard,
                } => {
                    self.tell(device, Input::Heard { epoch }, heard);
                    self.tell(device, Input::Ended { epoch }, now);
                    departures.push((device, epoch));
                }
                Call::Removed { device } => {
                    let epoch = self.present.get(&device).and_then(Presence::epoch);
                    if self.tell(device, Input::Removed, now) == Some(Change::Offline) {
                        gone.extend(epoch.map(|epoch| (device, epoch)));
                    }
                }
                Call::Adopted(held) => self.adopt(held, now),
                Call::Signed { device, sign } => {
                    gone.extend(self.signed(device, sign, now));
                }
            }
        }
        if let Err(error) = self.write_departures(&departures, &gone, now).await {
            tracing::warn!(
                ?error,
                "the end of connections was not stored; it is made up for later"
            );
        }
        self.let_in(arrivals, now).await;
    }

    fn adopt(&mut self, held: Held, now: Timestamp) {
        let device = held.device;
        let known = self.present.get(&device).and_then(Presence::epoch);
        if known != Some(held.epoch) {
            let grace = Grace::of(limits::HEARTBEAT * 2, limits::WILL_DELAY);
            let epoch = held.epoch;
            self.tell(device, Input::Opened { epoch, grace }, now);
        }
        if let Some(numbers) = held.numbers {
            let epoch = held.epoch;
            self.tell(device, Input::Hello { epoch, numbers }, now);
        }
    }

    /// What a sign changes; one of a device that nobody has adopted changes nothing.
    fn signed(&mut self, device: DeviceId, sign: Sign, now: Timestamp) -> Option<Gone> {
        let epoch = self.present.get(&device).and_then(Presence::epoch)?;
        let input = match sign {
            Sign::Heartbeat => Input::Heard { epoch },
            Sign::Will(numbers) => Input::Will { numbers },
        };
        let change = self.tell(device, input, now);
        (change == Some(Change::Offline)).then_some((device, epoch))
    }

    async fn write_departures(
        &self,
        departures: &[Gone],
        gone: &[Gone],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if departures.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let mut tx = self.ground.core.store.write().await?;
        for (device, epoch) in departures {
            connections::leave(&mut tx, *device, *epoch, now).await?;
        }
        for (device, epoch) in gone {
            connections::offline(&mut tx, *device, *epoch, now).await?;
        }
        tx.commit().await
    }

    async fn let_in(&mut self, arrivals: Vec<Waiting>, now: Timestamp) {
        if arrivals.is_empty() {
            return;
        }
        let decided = self.decide(&arrivals, now).await;
        for (place, waiting) in arrivals.into_iter().enumerate() {
            let decision = match &decided {
                Ok(decided) => decided.get(place).copied().unwrap_or(Err(Why::Leaving)),
                Err(_) => Err(Why::Leaving),
            };
            match decision {
                Ok(arrived) => {
                    count(&self.ground.figures.admitted);
                    let delay = waiting
                        .asked
                        .will
                        .map_or(limits::WILL_DELAY, |will| will.delay);
                    let grace = Grace::of(waiting.asked.keep_alive, delay);
                    let input = Input::Opened {
                        epoch: arrived.epoch,
                        grace,
                    };
                    self.tell(waiting.credential.device, input, now);
                }
                Err(_) => count(&self.ground.figures.refused),
            }
            // Who is no longer waiting leaves as everybody does: its task says so.
            let _ = waiting.answer.send(decision);
        }
        if let Err(error) = decided {
            tracing::warn!(?error, "devices were not let in; they come again");
        }
    }

    async fn decide(
        &self,
        arrivals: &[Waiting],
        now: Timestamp,
    ) -> Result<Vec<Result<Arrived, Why>>, StoreError> {
        let mut tx = self.ground.core.store.write().await?;
        let mut decided = Vec::with_capacity(arrivals.len());
        for Waiting {
            credential,
            shown,
            asked,
            at,
            ..
        } in arrivals
        {
            if !credential.opens(&mut tx, shown.as_ref(), now).await? {
                decided.push(Err(Why::Barred));
                continue;
            }
            let arrival = Arrival {
                device: credential.device,
                node: *at,
                protocol: asked.version,
                clean: asked.clean,
                session: asked.session,
            };
            match connections::arrive(&mut tx, arrival, now).await? {
                Some(arrived) => {
                    commands::rows::requeue(&mut tx, credential.device, arrived.epoch).await?;
                    decided.push(Ok(arrived));
                }
                None => decided.push(Err(Why::Barred)),
            }
        }
        tx.commit().await?;
        Ok(decided)
    }

    async fn pass_time(&mut self) {
        let now = self.ground.core.now();
        let mut gone = Vec::new();
        while let Some((deadline, device)) = self.deadlines.first().copied() {
            if deadline > now.unix_ms() || gone.len() >= PORTION {
                break;
            }
            let epoch = self.present.get(&device).and_then(Presence::epoch);
            // A socket that is open is proof enough: its own task ends it when it is silent.
            let link = self
                .ground
                .links
                .of(device)
                .filter(|link| Some(link.epoch) == epoch);
            if let Some(link) = link {
                let socket = if link.is_behind_broker() {
                    link.heard()
                } else {
                    now
                };
                let heard = link.heard().max(socket);
                self.tell(device, Input::Heard { epoch: link.epoch }, heard);
            }
            if self.time(device, now) == Some(Change::Offline) {
                gone.extend(epoch.map(|epoch| (device, epoch)));
            }
        }
        if let Err(error) = self.write_departures(&[], &gone, now).await {
            tracing::warn!(
                ?error,
                "devices that went offline were not stored; made up for later"
            );
        }
    }

    fn tell(&mut self, device: DeviceId, input: Input, now: Timestamp) -> Option<Change> {
        self.with(device, |presence| presence.handle(input, now))
    }

    fn time(&mut self, device: DeviceId, now: Timestamp) -> Option<Change> {
        self.with(device, |presence| presence.handle_timeout(now))
    }

    fn with(
        &mut self,
        device: DeviceId,
        act: impl FnOnce(&mut Presence) -> Option<Change>,
    ) -> Option<Change> {
        let presence = self.present.entry(device).or_default();
        if let Some(deadline) = presence.deadline() {
            self.deadlines.remove(&(deadline.unix_ms(), device));
        }
        let change = act(presence);
        match presence.deadline() {
            Some(deadline) => {
                self.deadlines.insert((deadline.unix_ms(), device));
            }
            None => {
                self.present.remove(&device);
            }
        }
        change
    }
}
