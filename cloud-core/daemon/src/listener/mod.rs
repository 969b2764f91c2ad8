//! Takes connections of HTTP, with TLS or without, and serves them.
//!
//! Nobody who is silent, slow or many keeps others out: the handshake runs beside the accepting and
//! has a time, so have the head of each request and its body (`pace`), and there is a most of
//! connections, in all and from one network. What the other end has shown (`TlsPeer`), and who it is
//! or speaks for (`ConnectInfo`, `proxies`), goes along with each of its requests. Invariant: when
//! `serve` returns, all its connections have ended.

mod greeting;
mod pace;
mod proxies;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tower::util::Oneshot;

use self::greeting::Greeted;
use self::pace::Paced;
pub(crate) use self::pace::{Pace, TooSlow};
pub(crate) use self::proxies::{Network, Proxies, ProxyHeader};
use crate::keys::TlsPeer;
use crate::people::Peer;

/// What a connection may still finish when the core ends.
const FAREWELL: Duration = Duration::from_secs(10);
const MOST_CONNECTIONS: usize = 4096;
/// A site with hundreds of devices comes from one address.
const MOST_OF_A_NETWORK: u32 = 512;
/// Before accepting is tried again when the system has no more descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// What came of the connections of a listener.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) accepted: AtomicU64,
    /// No handshake: no TLS, a certificate that is not taken, silence.
    pub(crate) refused: AtomicU64,
    /// Closed at once: their network had its most already.
    pub(crate) crowded: AtomicU64,
}

/// How a listener speaks.
#[derive(Clone, Debug)]
pub(crate) enum Speaks {
    Plain,
    /// The newest settings, for each connection.
    Tls(watch::Receiver<Arc<ServerConfig>>),
}

/// How a listener treats who comes.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) speaks: Speaks,
    pub(crate) proxies: Arc<Proxies>,
    pub(crate) patience: Patience,
}

/// How long it waits for the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    handshake: Duration,
    /// Of a request, and between requests.
    head: Duration,
    body: Pace,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            head: Duration::from_secs(10),
            body: Pace {
                grace: Duration::from_secs(15),
                per_second: 1024,
            },
        }
    }
}

impl From<Speaks> for Manner {
    fn from(speaks: Speaks) -> Self {
        Self {
            speaks,
            proxies: Arc::default(),
            patience: Patience::default(),
        }
    }
}

/// Until `stop`; then connections finish what they are at.
pub(crate) async fn serve(
    listener: TcpListener,
    manner: impl Into<Manner>,
    app: Router,
    figures: Arc<Figures>,
    stop: CancellationToken,
) {
    let manner = manner.into();
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let networks = Arc::new(Networks::default());
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            next = next => next,
            Some(_ended) = connections.join_next() => continue,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let many = manner.proxies.is_trusted(from.ip());
        let network = Peer(Some(from.ip())).neighbourhood().filter(|_| !many);
        let Some(seat) = Networks::seat(&networks, network) else {
            figures.crowded.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        figures.accepted.fetch_add(1, Ordering::Relaxed);
        let (manner, app, stop) = (manner.clone(), app.clone(), stop.clone());
        let figures = Arc::clone(&figures);
        connections.spawn(async move {
            connection(stream, from, manner, app, &figures, stop).await;
            drop((place, seat));
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// How many connections each network has. As many entries as connections at most.
#[derive(Debug, Default)]
struct Networks {
    taken: Mutex<HashMap<IpAddr, u32>>,
}

/// One connection of a network, until it is dropped.
#[derive(Debug)]
struct Seat {
    networks: Arc<Networks>,
    network: Option<IpAddr>,
}

impl Networks {
    /// None where the network has its most. A proxy that is known, or on this machine, speaks for
    /// many and is of no network.
    fn seat(networks: &Arc<Self>, network: Option<IpAddr>) -> Option<Seat> {
        let network = network.filter(|address| !address.is_loopback());
        if let Some(network) = network {
            let mut taken = networks
                .taken
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let count = taken.entry(network).or_default();
            if *count >= MOST_OF_A_NETWORK {
                return None;
            }
            *count += 1;
        }
        let networks = Arc::clone(networks);
        Some(Seat { networks, network })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(network) = self.network else { return };
        let taken = &self.networks.taken;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&network);
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    manner: Manner,
    app: Router,
    figures: &Figures,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended before it began");
        return;
    }
    let Manner {
        speaks,
        proxies,
        patience,
    } = manner;
    let asked = Asked {
        app,
        from,
        peer: None,
        proxies,
        pace: patience.body,
    };
    let settings = match speaks {
        Speaks::Plain => return requests(stream, asked, patience.head, stop).await,
        Speaks::Tls(newest) => newest.borrow().clone(),
    };
    let handshake = TlsAcceptor::from(settings).accept(stream);
    let refused = match tokio::time::timeout(patience.handshake, handshake).await {
        Ok(Ok(stream)) => match TlsPeer::of(stream.get_ref().1) {
            Ok(peer) => {
                let peer = Some(peer);
                return requests(stream, Asked { peer, ..asked }, patience.head, stop).await;
            }
            Err(error) => error.to_string(),
        },
        Ok(Err(error)) => error.to_string(),
        Err(_elapsed) => "silence".to_owned(),
    };
    figures.refused.fetch_add(1, Ordering::Relaxed);
    tracing::debug!(refused, "no TLS connection came about");
}

/// What is asked for on one connection, and what goes along with it.
#[derive(Clone)]
struct Asked {
    app: Router,
    from: SocketAddr,
    peer: Option<TlsPeer>,
    proxies: Arc<Proxies>,
    pace: Pace,
}

impl Asked {
    fn request(&self, request: Request<Incoming>) -> Oneshot<Router, Request<Body>> {
        let client = self.proxies.client(self.from, request.headers());
        let mut request = match request.body().is_end_stream() {
            true => request.map(|_| Body::empty()),
            false => request.map(|body| Body::new(Paced::new(body, self.pace))),
        };
        let along = request.extensions_mut();
        along.insert(ConnectInfo(client));
        if let Some(peer) = &self.peer {
            along.insert(peer.clone());
        }
        self.app.clone().oneshot(request)
    }
}

async fn requests<S>(stream: S, asked: Asked, head: Duration, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .max_concurrent_streams(100);
    let service = service_fn(move |request| asked.request(request));
    let stream = TokioIo::new(Greeted::within(head, stream));
    let connection = builder.serve_connection_with_upgrades(stream, service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(FAREWELL, connection).await {
                Ok(ended) => ended,
                Err(_elapsed) => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = &*error, "a connection broke");
    }
}
