//! Devices behind a broker of the operator's own: the core is a client of it.
//!
//! Two connections: one for the work, whose messages are acknowledged after their commit, and one
//! for signs of life, which every node hears. The work is one node's at a time (a lease), because
//! messages of a device that several nodes share would overtake each other, and what is older than
//! what is stored counts as known. The next node takes over the same session. Behind it
//! stand the same hall and the same ingest as behind our own door. The broker knows the devices'
//! certificates and confines each to its topics; the core believes the name in a topic. Deliberately
//! not here: a device's own connection, which nobody sees from here. Invariant: what was not
//! committed is not acknowledged, so the broker brings it again.

mod crowd;
mod session;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use cloud_logic::ids::{DeviceId, NodeId};
use cloud_logic::presence::Epoch;
use contract::limits;
use contract::topic::Subscribed;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, interval, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use super::Ground;
use super::credential::Credential;
use super::figures::count;
use super::hall::Call;
use super::links::{Link, Out};
use super::rows::connections;
use super::session::Why;
use crate::keys::tls_provider;
use crate::store::{StoreError, lease};
use session::{Broken, Kind, Output, Session, Wants};

/// Who holds a device behind the broker: no node, or all of them.
const BEHIND: u128 = 1;

/// What may wait for the connection to the broker; above it, what is said to devices is lost and
/// comes again.
const WAITING: usize = 4096;

/// Between two tries to reach the broker: doubled each time, and never the same on two nodes.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// How long the broker may take to let the core in.
const WELCOME: Duration = Duration::from_secs(10);

/// How long the work stays with a node that is silent, and how often a node asks for it.
const LEASE: Duration = Duration::from_secs(15);
const ASK: Duration = Duration::from_secs(3);

/// The name of the work among tasks that one node does.
const TASK: &str = "broker";

/// How long a write may take.
const WRITE: Duration = Duration::from_secs(10);

/// So many devices are asked for at once.
const PORTION: u32 = 500;

/// Where the broker is, and who the core is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What the core calls itself there; the same on all nodes.
    pub(crate) name: String,
    /// PEM: what signed the broker's certificate.
    pub(crate) authority: PathBuf,
    /// PEM: ours, with what signed it.
    pub(crate) certificate: PathBuf,
    /// PEM.
    pub(crate) key: PathBuf,
}

/// Why a broker cannot be used as it is written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokerError {
    #[error("{file} cannot be read as PEM", file = .file.display())]
    File {
        file: PathBuf,
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    #[error("certificate, key and authority do not fit together for the broker")]
    Tls(#[from] rustls::Error),
    #[error("\"{0}\" is not the name of a host")]
    Host(String),
}

/// Why a connection to the broker ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("it is not reached, or broke off")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error("it is silent")]
    Silent,
    #[error("another node of the core does the work with it")]
    Elsewhere,
    #[error("messages could not be stored; the broker brings them again")]
    NotStored,
    #[error("the store does not answer")]
    Store(#[from] StoreError),
}

/// The broker as the parts of the front door see it.
pub(super) struct Broker {
    settings: Settings,
    connector: TlsConnector,
    host: ServerName<'static>,
    /// The way to all devices behind it, while there is one.
    mouth: Mutex<Option<mpsc::Sender<Out>>>,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Broker {
    pub(super) fn new(settings: Settings) -> Result<Self, BrokerError> {
        let unreadable = |file: &PathBuf| {
            let file = file.clone();
            |source| BrokerError::File { file, source }
        };
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(&settings.authority);
        for root in certificates.map_err(unreadable(&settings.authority))? {
            roots.add(root.map_err(unreadable(&settings.authority))?)?;
        }
        let chain = CertificateDer::pem_file_iter(&settings.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(unreadable(&settings.certificate))?;
        let key = PrivateKeyDer::from_pem_file(&settings.key).map_err(unreadable(&settings.key))?;
        let config = ClientConfig::builder_with_provider(tls_provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        let host = ServerName::try_from(settings.host.clone());
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            host: host.map_err(|_| BrokerError::Host(settings.host.clone()))?,
            settings,
            mouth: Mutex::default(),
        })
    }

    /// Who holds the devices behind it.
    pub(super) fn node() -> NodeId {
        NodeId::from_bits(BEHIND)
    }

    pub(super) fn is_reached(&self) -> bool {
        self.mouth().is_some()
    }

    /// A link to a device behind it, put in with the others; nothing while there is no way.
    pub(super) fn link(
        &self,
        ground: &Ground,
        device: DeviceId,
        epoch: Epoch,
    ) -> Option<Arc<Link>> {
        let mouth = self.mouth().clone()?;
        let link = Link::behind(Credential::vouched(device), epoch, ground.core.now(), mouth);
        link.subscribes(Subscribed::from_bits(u8::MAX));
        link.give_room(usize::from(limits::IN_FLIGHT));
        ground.links.put(Arc::clone(&link));
        Some(link)
    }

    fn mouth(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Out>>> {
        // It is whole between two statements.
        self.mouth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, wants: Wants) -> Result<(TlsStream<TcpStream>, Session), Lost> {
        let address = (self.settings.host.as_str(), self.settings.port);
        let connected = async {
            let stream = TcpStream::connect(address).await?;
            // What is said is small and wanted now.
            stream.set_nodelay(true)?;
            self.connector.connect(self.host.clone(), stream).await
        };
        let stream = timeout(WELCOME, connected)
            .await
            .map_err(|_| Lost::Silent)??;
        Ok((stream, Session::new(wants)))
    }

    fn wants(&self, kind: Kind, node: NodeId) -> Wants {
        let name = &self.settings.name;
        match kind {
            // Shared with nobody: so that a session of an earlier name, which the broker still
            // keeps, takes nothing away.
            Kind::Work => Wants {
                name: name.clone(),
                filters: vec![format!("$share/{name}/d/+/+/up/#")],
                kind,
            },
            Kind::Ears => Wants {
                name: format!("{name}-{node}"),
                filters: vec!["d/+/+/up/hb".to_owned(), "d/+/+/up/lwt".to_owned()],
                kind,
            },
        }
    }
}

/// Keeps both connections up until it is told to stop.
pub(super) async fn run(ground: Arc<Ground>, stop: CancellationToken) {
    tokio::join!(
        again_and_again(&ground, Kind::Work, &stop),
        again_and_again(&ground, Kind::Ears, &stop)
    );
}

async fn again_and_again(ground: &Arc<Ground>, kind: Kind, stop: &CancellationToken) {
    let Some(broker) = &ground.broker else {
        return;
    };
    let mut wait = BACK_OFF.0;
    while !stop.is_cancelled() {
        if kind == Kind::Work && !matches!(is_ours(ground).await, Ok(true)) {
            let _ = timeout(ASK, stop.cancelled()).await;
            continue;
        }
        let begin = Instant::now();
        let ended = talk(ground, broker, kind, stop).await;
        if kind == Kind::Work {
            *broker.mouth() = None;
            ground.links.forget_behind();
        }
        let Err(lost) = ended else { return };
        tracing::warn!(
            ?kind,
            error = &lost as &dyn std::error::Error,
            "the broker is lost"
        );
        count(&ground.figures.broker_lost);
        if begin.elapsed() > BACK_OFF.1 {
            wait = BACK_OFF.0;
        }
        let some = wait.mul_f64(0.5 + crate::random::fraction());
        let _ = timeout(some, stop.cancelled()).await;
        wait = (wait * 2).min(BACK_OFF.1);
    }
}

/// Until the connection ends, or `stop`.
async fn talk(
    ground: &Arc<Ground>,
    broker: &Broker,
    kind: Kind,
    stop: &CancellationToken,
) -> Result<(), Lost> {
    let wants = broker.wants(kind, ground.node);
    let (mut stream, mut session) = broker.connect(wants).await?;
    let (mouth, mut said) = mpsc::channel(WAITING);
    let mut crowd = crowd::Crowd::new(Arc::clone(ground));
    let silence = Duration::from_secs(u64::from(session::KEEP_ALIVE) * 3 / 2);
    let mut ping = interval(Duration::from_secs(u64::from(session::KEEP_ALIVE) / 2));
    let mut ask = interval(ASK);
    let mut heard = Instant::now();
    let mut octets = vec![0; 16 * 1024];
    let mut mouth = Some(mouth);
    loop {
        let mut outgoing = Vec::new();
        while let Some(output) = session.poll_output() {
            match output {
                Output::Transmit(more) => outgoing.extend(more),
                Output::Ready => {
                    tracing::info!(?kind, "the broker serves the core");
                    match kind {
                        Kind::Work => {
                            *broker.mouth() = mouth.take();
                            super::node::renew(ground).await?;
                            ground.delivery.commands();
                        }
                        Kind::Ears => adopt_all(ground).await?,
                    }
                }
                Output::Message {
                    packet,
                    device,
                    message,
                } => match kind {
                    Kind::Work => crowd.says(device, packet, message).await?,
                    Kind::Ears => crowd.gives_sign(device, &message).await,
                },
            }
        }
        let refused = std::mem::take(&mut session.refused);
        let counter = &ground.figures.documents_refused;
        counter.fetch_add(refused, std::sync::atomic::Ordering::Relaxed);
        if !outgoing.is_empty() {
            let written = async {
                stream.write_all(&outgoing).await?;
                stream.flush().await
            };
            timeout(WRITE, written).await.map_err(|_| Lost::Silent)??;
        }
        tokio::select! {
            () = stop.cancelled() => {
                session.goodbye();
                // The broker may be quicker at closing.
                let _ = farewell(&mut stream, &mut session).await;
                if kind == Kind::Work {
                    give_up(ground).await?;
                }
                return Ok(());
            }
            Some(Out { device, told }) = said.recv() => match told {
                Ok(order) => crowd.obey(&mut session, device, order),
                // It was not stored: the broker has to bring it again.
                Err(Why::Leaving) => return Err(Lost::NotStored),
                Err(_) => {}
            },
            Some(found) = crowd.finds() => {
                for packet in crowd.found(found).await? {
                    session.stored(packet);
                }
            }
            read = stream.read(&mut octets) => match read? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                read => {
                    heard = Instant::now();
                    session.received(&octets[..read])?;
                }
            },
            _ = ask.tick(), if kind == Kind::Work => {
                if !is_ours(ground).await? {
                    return Err(Lost::Elsewhere);
                }
            }
            _ = ping.tick() => {
                if heard.elapsed() > silence {
                    return Err(Lost::Silent);
                }
                session.ping();
            }
        }
    }
}

async fn farewell(stream: &mut TlsStream<TcpStream>, session: &mut Session) -> io::Result<()> {
    while let Some(output) = session.poll_output() {
        if let Output::Transmit(octets) = output {
            stream.write_all(&octets).await?;
        }
    }
    stream.shutdown().await
}

/// Takes the work, or goes on with it.
async fn is_ours(ground: &Ground) -> Result<bool, StoreError> {
    let life = (ground.core.now(), LEASE);
    let mut tx = ground.core.store.write().await?;
    let ours = lease::take(&mut tx, TASK, ground.node, life).await?;
    tx.commit().await?;
    Ok(ours)
}

/// Leaves the work to whoever comes next.
async fn give_up(ground: &Ground) -> Result<(), StoreError> {
    let mut tx = ground.core.store.write().await?;
    lease::give(&mut tx, TASK, ground.node).await?;
    tx.commit().await
}

/// Learns of all devices behind the broker that count as online, to count them out when they are
/// silent: their signs of life come to every node.
async fn adopt_all(ground: &Ground) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let mut tx = ground.core.store.read().await?;
        let some = connections::held_by(&mut tx, Broker::node(), after, PORTION).await?;
        drop(tx);
        let Some(last) = some.last() else {
            return Ok(());
        };
        after = Some(last.device);
        for held in some {
            // Fails only when the core ends.
            let _ = ground.calls.send(Call::Adopted(held)).await;
        }
    }
}

/// The same for one device, of which something has changed.
pub(super) async fn adopt(ground: &Ground, device: DeviceId) -> Result<(), StoreError> {
    if ground.broker.is_none() {
        return Ok(());
    }
    let mut tx = ground.core.store.read().await?;
    let held = connections::held(&mut tx, Broker::node(), device).await?;
    drop(tx);
    if let Some(held) = held {
        // Fails only when the core ends.
        let _ = ground.calls.send(Call::Adopted(held)).await;
    }
    Ok(())
}
