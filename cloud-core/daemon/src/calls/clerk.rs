//! What calls need of the store: who is at a flow, and which directory a company has.
//!
//! One task beside the thread of calls, which asks and never waits. A certificate opens a flow when
//! its row says that it holds at this moment; the row is looked at again when anything about the
//! device changes, and once a minute. Invariant: whom a flow is of stands in the certificate alone,
//! and a flow whose certificate became void, or whose device went to another company, is told to
//! leave within a second.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cloud_logic::ids::{CompanyId, DeviceId, ProjectId, SiteId};
use model::Directory;
use net::flows::ConnectionId;
use rustls::pki_types::CertificateDer;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::directory;
use crate::core::Core;
use crate::devices;
use crate::keys::{Barred, identify};
use crate::store::changes::{Position, Seen};
use crate::store::{StoreError, Tx};

/// How soon other nodes are heard.
const POLL: Duration = Duration::from_millis(500);
/// Read at once.
const PORTION: u32 = 500;
/// How often every flow is looked at, whatever was told.
const ROUND: Duration = Duration::from_secs(60);

/// What the thread of calls asks.
#[derive(Debug)]
pub(super) enum Question {
    /// A flow is open, and this was shown at its other end.
    WhoIs(ConnectionId, Box<[u8]>),
    /// It is gone.
    Gone(ConnectionId),
    /// The calls of this company begin without a gateway.
    Begin(CompanyId),
    /// The calls of this company are over, and what changes there concerns nobody here.
    Over(CompanyId),
}

/// What it is told.
#[derive(Debug)]
pub(super) enum Told {
    /// With the directory of its company, where that is the first there.
    At(ConnectionId, Gateway, Option<Arc<Directory>>),
    /// Nobody of ours, or nobody any more.
    Leave(ConnectionId),
    Directory(CompanyId, Arc<Directory>),
    Begin(CompanyId, Arc<Directory>),
}

/// Whose flow it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gateway {
    pub(super) device: DeviceId,
    pub(super) company: CompanyId,
    pub(super) project: Option<ProjectId>,
    pub(super) site: Option<SiteId>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Clerk {
    core: Core,
    told: mpsc::Sender<Told>,
    flows: BTreeMap<ConnectionId, (CertificateDer<'static>, Gateway)>,
    companies: BTreeSet<CompanyId>,
    position: Position,
}

/// The thread of calls has ended.
struct Ended;

impl Clerk {
    /// Hears of what changes from this moment on.
    pub(super) async fn new(core: Core, told: mpsc::Sender<Told>) -> Result<Self, StoreError> {
        let position = core.store.read().await?.newest_position().await?;
        Ok(Self {
            core,
            told,
            flows: BTreeMap::new(),
            companies: BTreeSet::new(),
            position,
        })
    }

    pub(super) async fn run(
        mut self,
        mut questions: mpsc::Receiver<Question>,
        stop: CancellationToken,
    ) {
        let mut round = Instant::now() + ROUND;
        loop {
            let store = self.core.store.clone();
            let changed = store.changed().notified();
            let done = tokio::select! {
                () = stop.cancelled() => return,
                question = questions.recv() => match question {
                    Some(question) => self.heed(question).await,
                    None => return,
                },
                () = sleep_until(round) => {
                    round = Instant::now() + ROUND;
                    self.look_at(|_| true).await
                }
                // Elapsed or woken: both mean to look again.
                _ = timeout(POLL, changed) => self.changes().await,
            };
            match done {
                Ok(Ok(())) => {}
                Ok(Err(Ended)) => return,
                Err(error) => {
                    tracing::warn!(?error, "the store does not answer; calls go on as they are");
                }
            }
        }
    }

    async fn heed(&mut self, question: Question) -> Result<Result<(), Ended>, StoreError> {
        match question {
            Question::WhoIs(connection, certificate) => {
                let certificate = CertificateDer::from(certificate.into_vec());
                let found = match self.comes_in(&certificate).await {
                    Ok(found) => found,
                    Err(error) => {
                        tracing::warn!(?error, "it could not be asked whose a flow is");
                        None
                    }
                };
                Ok(match found {
                    Some((gateway, directory)) => {
                        self.companies.insert(gateway.company);
                        self.flows.insert(connection, (certificate, gateway));
                        self.tell(Told::At(connection, gateway, directory)).await
                    }
                    None => self.tell(Told::Leave(connection)).await,
                })
            }
            Question::Gone(connection) => {
                self.flows.remove(&connection);
                Ok(Ok(()))
            }
            Question::Begin(company) => {
                let mut tx = self.core.store.read().await?;
                let directory = directory::load(&mut tx, company).await?;
                drop(tx);
                self.companies.insert(company);
                Ok(self.tell(Told::Begin(company, directory)).await)
            }
            Question::Over(company) => {
                self.companies.remove(&company);
                Ok(Ok(()))
            }
        }
    }

    async fn tell(&self, told: Told) -> Result<(), Ended> {
        self.told.send(told).await.map_err(|_| Ended)
    }

    async fn directory(&self, company: CompanyId) -> Result<Result<(), Ended>, StoreError> {
        let mut tx = self.core.store.read().await?;
        let directory = directory::load(&mut tx, company).await?;
        drop(tx);
        Ok(self.tell(Told::Directory(company, directory)).await)
    }

    async fn comes_in(
        &self,
        shown: &CertificateDer<'_>,
    ) -> Result<Option<(Gateway, Option<Arc<Directory>>)>, StoreError> {
        let Some(gateway) = self.gateway(shown).await? else {
            return Ok(None);
        };
        if self.companies.contains(&gateway.company) {
            return Ok(Some((gateway, None)));
        }
        let mut tx = self.core.store.read().await?;
        let directory = directory::load(&mut tx, gateway.company).await?;
        Ok(Some((gateway, Some(directory))))
    }

    /// Whose this certificate is, if it opens anything at this moment.
    async fn gateway(&self, shown: &CertificateDer<'_>) -> Result<Option<Gateway>, StoreError> {
        let mut tx = self.core.store.read().await?;
        gateway(&mut tx, shown, self.core.now()).await
    }

    /// Whether those flows may stay.
    async fn look_at(
        &mut self,
        which: impl Fn(&Gateway) -> bool,
    ) -> Result<Result<(), Ended>, StoreError> {
        let asked: Vec<_> = (self.flows.iter())
            .filter(|(_, (_, gateway))| which(gateway))
            .map(|(connection, (certificate, gateway))| {
                (*connection, certificate.clone(), *gateway)
            })
            .collect();
        for (connection, certificate, was) in asked {
            if self.gateway(&certificate).await? == Some(was) {
                continue;
            }
            self.flows.remove(&connection);
            tracing::info!(device = %was.device, "a flow has to leave: its certificate or its place is no longer what it was");
            if let Err(Ended) = self.tell(Told::Leave(connection)).await {
                return Ok(Err(Ended));
            }
        }
        Ok(Ok(()))
    }

    async fn changes(&mut self) -> Result<Result<(), Ended>, StoreError> {
        loop {
            let mut tx = self.core.store.read().await?;
            let seen = tx.changes_after(self.position, PORTION).await?;
            drop(tx);
            let Some(last) = seen.last().map(|change| change.position) else {
                return Ok(Ok(()));
            };
            let devices: BTreeSet<DeviceId> = seen.iter().filter_map(device_of).collect();
            let here = |gateway: &Gateway| devices.contains(&gateway.device);
            if let Err(Ended) = self.look_at(here).await? {
                return Ok(Err(Ended));
            }
            let companies: BTreeSet<CompanyId> = seen.iter().filter_map(company_of).collect();
            let companies: Vec<_> = companies.intersection(&self.companies).copied().collect();
            for company in companies {
                if let Err(Ended) = self.directory(company).await? {
                    return Ok(Err(Ended));
                }
            }
            self.position = last;
        }
    }
}

/// The device that a change tells of.
fn device_of(change: &Seen) -> Option<DeviceId> {
    match change.kind.as_str() {
        "certificate" | "device" => change.id.parse().ok(),
        _ => None,
    }
}

/// The company whose directory a change may concern.
fn company_of(change: &Seen) -> Option<CompanyId> {
    match change.kind.as_str() {
        "ring_group" | "call_number" | "user" | "site" | "company" => change.whose.company,
        _ => None,
    }
}

async fn gateway(
    tx: &mut Tx,
    shown: &CertificateDer<'_>,
    now: model::Timestamp,
) -> Result<Option<Gateway>, StoreError> {
    let device = match identify(tx, shown, now).await {
        Ok(known) => known.holder.device,
        Err(Barred::Store(error)) => return Err(error),
        Err(Barred::Unknown | Barred::Void(_) | Barred::Expired) => return Ok(None),
    };
    let whose = devices::whose(tx, device).await?;
    Ok(whose.and_then(|whose| {
        Some(Gateway {
            device,
            company: whose.company?,
            project: whose.project,
            site: whose.site,
        })
    }))
}
