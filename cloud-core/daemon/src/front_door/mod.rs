//! The MQTT front door: where devices and gateways come in.
//!
//! A terminator, no broker: each device speaks with the core and with nobody else. It
//! proves who it is by its certificate, is confined to its own topics, and a message is
//! acknowledged after it is committed. Session, subscriptions and what is still to be said
//! are rows, so that a restart or another node goes on where this one ended. Deliberately
//! not here: what settings and events mean, who may command what. Invariant: memory per
//! device is bounded, and a device that is slow, silent or hostile costs the others nothing.

pub(crate) mod broker;
mod connection;
mod credential;
mod delivery;
mod figures;
mod hall;
mod ingest;
mod links;
mod listener;
mod node;
mod rows;
mod session;
#[cfg(test)]
mod tests;
mod tls;
mod watch;
mod way;

use std::net::SocketAddr;
use std::sync::Arc;

use cloud_logic::ids::NodeId;
use rustls::ServerConfig;
use tokio::sync::{Semaphore, mpsc, watch as latest};
use tokio::time::{Duration, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use figures::Figures;
pub(crate) use listener::ListenError;
use listener::Manner;

use crate::core::{Core, NewId};
use crate::store::StoreError;

/// How long the end may take.
const END: Duration = Duration::from_secs(5);

/// How the front door is set up.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Where devices come in.
    pub(crate) listen: SocketAddr,
    /// Where tests come in without TLS; loopback only.
    pub(crate) plain: Option<SocketAddr>,
    /// Devices at once.
    pub(crate) sockets: usize,
    /// A broker of the operator's own, with devices behind it.
    pub(crate) broker: Option<broker::Settings>,
}

/// Why the front door does not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("the store does not answer")]
    Store(#[from] StoreError),
    #[error("the broker of [broker] cannot be used")]
    Broker(#[from] broker::BrokerError),
}

/// What all parts of the front door share.
#[derive(Debug)]
struct Ground {
    core: Core,
    node: NodeId,
    links: links::Links,
    delivery: delivery::Delivery,
    figures: Figures,
    tls: latest::Receiver<Arc<ServerConfig>>,
    calls: mpsc::Sender<hall::Call>,
    items: mpsc::Sender<ingest::Item>,
    broker: Option<broker::Broker>,
}

/// The open front door.
#[derive(Debug)]
pub(crate) struct FrontDoor {
    ground: Arc<Ground>,
    address: SocketAddr,
    plain: Option<SocketAddr>,
    tasks: TaskTracker,
    workers: TaskTracker,
    stop: CancellationToken,
}

/// Opens it: listens, and serves until `close`.
pub(crate) async fn open(core: Core, settings: Settings) -> Result<FrontDoor, OpenError> {
    let listening = listener::bind(settings.listen, Manner::Tls).await?;
    let plain = match settings.plain {
        None => None,
        Some(address) => Some(listener::bind(address, Manner::Plain).await?),
    };
    let now = core.now();
    let (calls, called) = hall::calls();
    let (items, said) = ingest::items();
    let ground = Arc::new(Ground {
        node: NodeId::new_at(now),
        tls: core.keys.device_tls(),
        core,
        links: links::Links::default(),
        delivery: delivery::Delivery::default(),
        figures: Figures::default(),
        calls,
        items,
        broker: settings.broker.map(broker::Broker::new).transpose()?,
    });
    let way: std::sync::Weak<Ground> = Arc::downgrade(&ground);
    ground.core.orders.ways.open(way);
    node::renew(&ground).await?;
    let position = watch::newest(&ground).await?;
    let bound = |listener: &tokio::net::TcpListener| {
        listener.local_addr().map_err(|source| ListenError::Bind {
            address: settings.listen,
            source,
        })
    };
    let door = FrontDoor {
        address: bound(&listening)?,
        plain: plain.as_ref().map(bound).transpose()?,
        ground: Arc::clone(&ground),
        tasks: TaskTracker::new(),
        workers: TaskTracker::new(),
        stop: CancellationToken::new(),
    };
    door.work(hall::run(Arc::clone(&ground), called));
    door.work(ingest::run(Arc::clone(&ground), said));
    door.work(delivery::run(Arc::clone(&ground)));
    door.work(watch::run(Arc::clone(&ground), position));
    door.work(node::run(Arc::clone(&ground)));
    door.tasks
        .spawn(broker::run(Arc::clone(&ground), door.stop.clone()));
    let places = Arc::new(Semaphore::new(settings.sockets));
    for (listener, manner) in [(Some(listening), Manner::Tls), (plain, Manner::Plain)] {
        if let Some(listener) = listener {
            let shared = (Arc::clone(&places), door.tasks.clone(), door.stop.clone());
            door.tasks
                .spawn(listener::run(Arc::clone(&ground), listener, manner, shared));
        }
    }
    Ok(door)
}

/// Its figures, for those who do not own it.
#[derive(Clone, Debug)]
pub(crate) struct DoorFigures(Arc<Ground>);

impl DoorFigures {
    /// Devices whose sockets this process holds.
    pub(crate) fn devices(&self) -> u64 {
        self.0.links.count() as u64
    }

    pub(crate) fn all(&self) -> Vec<(&'static str, u64)> {
        self.0.figures.all()
    }
}

impl FrontDoor {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn plain_address(&self) -> Option<SocketAddr> {
        self.plain
    }

    pub(crate) fn figures(&self) -> DoorFigures {
        DoorFigures(Arc::clone(&self.ground))
    }

    /// Ends all connections with a word, stores what is under way, gives up the lease.
    pub(crate) async fn close(self) {
        self.stop.cancel();
        self.tasks.close();
        self.ground.links.end_all(session::Why::Leaving);
        if timeout(END, self.tasks.wait()).await.is_err() {
            tracing::warn!("devices' connections did not end in time");
        }
        if let Err(error) = node::resign(&self.ground).await {
            tracing::warn!(?error, "the lease was not given up; it runs out by itself");
        }
        self.workers.close();
    }

    /// A part that lives as long as the front door.
    fn work(&self, part: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let tasks = self.tasks.clone();
        self.workers.spawn(async move {
            let ended = async {
                stop.cancelled().await;
                // Not before the last connection: it has something to store.
                let _ = timeout(END, tasks.wait()).await;
            };
            tokio::select! {
                () = part => {}
                () = ended => {}
            }
        });
    }
}

impl Drop for FrontDoor {
    fn drop(&mut self) {
        self.stop.cancel();
        self.ground.links.end_all(session::Why::Leaving);
    }
}
