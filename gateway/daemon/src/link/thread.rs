//! The thread of the link: runs it while the gateway is claimed, and claims and releases it.
//!
//! A runtime of its own. Invariant: one link runs at a time; of a claim that is over nothing goes up.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use client::enrol::{self, Core, Plate};
use client::identity::Keep;
use client::{Identity, Link, Order, Say, Setup, Standing, Way};
use contract::document::Text;
use contract::enrolment::ClaimCode;
use contract::up;
use serde_json::Value;
use session::outbox::Room;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::disk::SpoolDisk;
use super::telling::Tale;
use super::{Ask, Asked, Shared, Told, answers};
use crate::random;
use crate::store::{Answer, Kept, Sequence, Spool, Tellings};
use crate::uplink::Place;

/// Records read from the journal at a time.
const AT_A_TIME: usize = 64;
/// The journal says when it has something; this is for when that was missed.
const LOOKS_EACH: Duration = Duration::from_secs(5);

/// What the thread works with.
#[derive(Debug)]
pub(super) struct Office {
    pub(super) shared: Arc<Shared>,
    pub(super) keep: Keep,
    pub(super) asks: mpsc::Receiver<Asked>,
    pub(super) says: mpsc::Receiver<Say>,
    pub(super) reports: watch::Receiver<Value>,
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) standing: watch::Sender<Option<Standing>>,
    pub(super) calls: watch::Sender<Option<Place>>,
    pub(super) stop: CancellationToken,
}

impl Office {
    pub(super) async fn run(mut self) {
        loop {
            let identity = match self.keep.load() {
                Ok(identity) => identity,
                Err(error) => {
                    tracing::error!(%error, "the gateway does not know whose it is");
                    None
                }
            };
            let claimed = identity.is_some();
            self.shared.claimed.store(claimed, Ordering::Relaxed);
            self.standing.send_replace(None);
            self.calls
                .send_replace(identity.as_ref().and_then(place_of_calls));
            let goes_on = match identity {
                Some(identity) => self.run_link(identity).await,
                None => self.wait().await,
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Nobody's: until it is claimed; false when it is over.
    async fn wait(&mut self) -> bool {
        let stop = self.stop.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => return false,
                Some(asked) = self.asks.recv() => {
                    if self.answer(asked, None).await {
                        return true;
                    }
                }
                // Nobody is there to hear it.
                Some(_) = self.says.recv() => {}
            }
        }
    }

    async fn run_link(&mut self, identity: Identity) -> bool {
        let over = self.stop.child_token();
        let running = match self.open(&identity) {
            Ok(running) => running,
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "there is no link to the core until the gateway is restarted"
                );
                return self.wait().await;
            }
        };
        let Running {
            link,
            mut standing,
            telling,
            to_link,
            mark,
        } = running;
        let first = Say::Report(self.reports.borrow_and_update().clone());
        // The link has room before it runs.
        let _ = to_link.try_send(first);
        let tellings = Tellings::of(&self.shared.state_folder);
        let feeding = feed(tellings, mark, Arc::clone(&self.shared), to_link.clone());
        let mut running = std::pin::pin!(async {
            tokio::select! {
                () = link.run(over.clone()) => {}
                // Neither ends before the link does.
                () = telling => {}
                () = feeding => {}
            }
        });
        loop {
            tokio::select! {
                () = &mut running => return !self.stop.is_cancelled(),
                Ok(()) = standing.changed() => {
                    let now = standing.borrow_and_update().clone();
                    self.follow_renewal(&now);
                    self.standing.send_replace(Some(now));
                }
                Ok(()) = self.reports.changed() => {
                    let report = self.reports.borrow_and_update().clone();
                    tokio::select! {
                        () = &mut running => return !self.stop.is_cancelled(),
                        _ = to_link.send(Say::Report(report)) => {}
                    }
                }
                Some(say) = self.says.recv() => {
                    tokio::select! {
                        () = &mut running => return !self.stop.is_cancelled(),
                        _ = to_link.send(say) => {}
                    }
                }
                Some(asked) = self.asks.recv() => {
                    let answering = self.answer(asked, Some(&identity));
                    let changed = tokio::select! {
                        () = &mut running => return !self.stop.is_cancelled(),
                        changed = answering => changed,
                    };
                    if changed {
                        over.cancel();
                        running.await;
                        return true;
                    }
                }
            }
        }
    }

    fn open(&self, identity: &Identity) -> anyhow::Result<Running> {
        let (safe_to, safe) = watch::channel(Sequence(0));
        let (spool, spooled) = Spool::open(
            &self.shared.state_folder,
            &identity.owner(),
            self.shared.last_number.load(Ordering::Relaxed),
            Arc::clone(&self.shared.spool_figures),
            move |answer: Answer| match answer.kept {
                Kept::Safe => {
                    safe_to.send_replace(answer.through);
                }
                Kept::InMemory => {}
            },
        )?;
        let (disk_says, from_disk) = mpsc::channel(AT_A_TIME);
        let (disk, telling) = SpoolDisk::new(spool, safe, disk_says);
        let (to_link, from_gateway) = mpsc::channel(AT_A_TIME);
        let (link, standing) = Link::new(Setup {
            identity: identity.clone(),
            keep: self.keep.clone(),
            way: self.way(),
            plate: plate(),
            config: session::Config {
                boot: spooled.boot,
                firmware: Text::new(super::FIRMWARE)?,
                revision: None,
                mode: up::Mode::Bridge,
                operations: super::OPERATIONS.to_vec(),
                room: Room::default(),
            },
            memory: spooled.memory,
            seed: u64::from_be_bytes(random::bytes()?),
            disk: Box::new(disk),
            from_disk,
            from_gateway,
            to_gateway: self.orders.clone(),
        });
        Ok(Running {
            link,
            standing,
            telling: Box::pin(telling),
            to_link,
            mark: spooled.mark,
        })
    }

    /// The connection of calls shows the certificate that holds longest.
    fn follow_renewal(&self, now: &Standing) {
        let before = self
            .standing
            .borrow()
            .as_ref()
            .map(|standing| standing.renewals);
        if before.is_some_and(|before| before != now.renewals)
            && let Ok(Some(identity)) = self.keep.load()
        {
            self.calls.send_replace(place_of_calls(&identity));
        }
    }

    fn way(&self) -> Way {
        Way {
            proxy: self.shared.cloud.proxy.clone(),
        }
    }

    /// Answers somebody at the command line; true when the gateway is somebody else's now.
    async fn answer(&self, asked: Asked, identity: Option<&Identity>) -> bool {
        let Asked { ask, reply } = asked;
        let (told, changed) = match ask {
            Ask::Link => {
                let standing = self.standing.borrow().clone();
                (Told::Standing(identity.map(|_| standing)), false)
            }
            Ask::Reach { core, line } => {
                let way = self.way();
                let reached = client::reach::look(&way, &core, line).await;
                (Told::Reached(reached), false)
            }
            Ask::Claim { code, core } => match self.claim(&code, core).await {
                Ok(identity) => (Told::Claimed(identity.device), true),
                Err(error) => (Told::Refused(answers::of_enrolment(&error)), false),
            },
            Ask::Unclaim => match self.keep.forget() {
                Ok(()) => {
                    tracing::warn!("the gateway was released by its operator");
                    (Told::Released, identity.is_some())
                }
                Err(error) => (Told::Refused(answers::of_disk(&error)), false),
            },
        };
        // Whoever asked may have left.
        let _ = reply.send(told);
        changed
    }

    async fn claim(&self, code: &ClaimCode, base: String) -> Result<Identity, enrol::EnrolError> {
        let core = Core {
            base,
            authorities: self.shared.cloud.authorities.clone(),
            way: self.way(),
        };
        let identity = enrol::enrol(&core, code, &plate(), &self.keep).await?;
        tracing::info!(device = identity.device, "the gateway was claimed");
        Ok(identity)
    }
}

/// Where calls go of a gateway with this identity.
fn place_of_calls(identity: &Identity) -> Option<Place> {
    let place = Place::of(identity);
    place.unwrap_or_else(|error| {
        tracing::error!(%error, "there are no calls over the core");
        None
    })
}

/// Tells the link what the disk has.
type Telling = std::pin::Pin<Box<dyn Future<Output = ()>>>;

struct Running {
    link: Link,
    standing: watch::Receiver<Standing>,
    telling: Telling,
    to_link: mpsc::Sender<Say>,
    mark: u64,
}

fn plate() -> Plate {
    Plate {
        firmware: super::FIRMWARE.to_owned(),
    }
}

/// Brings what the journal has for the core to the link, each once and in order.
async fn feed(tellings: Tellings, mark: u64, shared: Arc<Shared>, to: mpsc::Sender<Say>) {
    let mut mark = mark;
    loop {
        let rows = tellings.after(mark, AT_A_TIME).unwrap_or_else(|error| {
            tracing::warn!(%error, "the journal cannot be read for the core; it is tried again");
            Vec::new()
        });
        let more = rows.len() == AT_A_TIME;
        for row in rows {
            mark = row.number;
            let Some(happened) = Tale::happened(&row) else {
                tracing::error!(number = row.number, "a record for the core is damaged");
                continue;
            };
            if to.send(Say::Happened(row.number, happened)).await.is_err() {
                return;
            }
        }
        if !more {
            tokio::select! {
                () = shared.wake.notified() => {}
                () = tokio::time::sleep(LOOKS_EACH) => {}
            }
        }
    }
}
