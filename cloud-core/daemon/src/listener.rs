//! Takes connections of HTTP, with TLS or without, and serves them.
//!
//! Nobody who is silent, slow or many keeps others out: the handshake runs beside the accepting and
//! has a time, so has the head of each request, and there is a most of connections, in all and from
//! one network. What the other
//! end has shown (`TlsPeer`, `ConnectInfo`) goes along with each of its requests. Invariant: when
//! `serve` returns, all its connections have ended.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Extension};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::keys::TlsPeer;
use crate::people::Peer;

const HANDSHAKE: Duration = Duration::from_secs(5);
const HEAD: Duration = Duration::from_secs(10);
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

/// Until `stop`; then connections finish what they are at.
pub(crate) async fn serve(
    listener: TcpListener,
    speaks: Speaks,
    app: Router,
    figures: Arc<Figures>,
    stop: CancellationToken,
) {
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
        let Some(seat) = Networks::seat(&networks, from.ip()) else {
            figures.crowded.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        figures.accepted.fetch_add(1, Ordering::Relaxed);
        let (speaks, app, stop) = (speaks.clone(), app.clone(), stop.clone());
        let figures = Arc::clone(&figures);
        connections.spawn(async move {
            connection(stream, from, speaks, app, &figures, stop).await;
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
    /// None where the network has its most. A proxy on this machine speaks for many.
    fn seat(networks: &Arc<Self>, from: IpAddr) -> Option<Seat> {
        let network = Peer(Some(from)).neighbourhood();
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
    speaks: Speaks,
    app: Router,
    figures: &Figures,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended before it began");
        return;
    }
    let app = app.layer(Extension(ConnectInfo(from)));
    let settings = match speaks {
        Speaks::Plain => return requests(stream, app, stop).await,
        Speaks::Tls(newest) => newest.borrow().clone(),
    };
    let handshake = TlsAcceptor::from(settings).accept(stream);
    let refused = match tokio::time::timeout(HANDSHAKE, handshake).await {
        Ok(Ok(stream)) => match TlsPeer::of(stream.get_ref().1) {
            Ok(peer) => return requests(stream, app.layer(Extension(peer)), stop).await,
            Err(error) => error.to_string(),
        },
        Ok(Err(error)) => error.to_string(),
        Err(_elapsed) => "silence".to_owned(),
    };
    figures.refused.fetch_add(1, Ordering::Relaxed);
    tracing::debug!(refused, "no TLS connection came about");
}

async fn requests<S>(stream: S, app: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .max_concurrent_streams(100);
    let service = TowerToHyperService::new(app);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::keys::testing::{connect, keys};
    use crate::store::testing::on_both;

    #[test]
    fn a_network_has_its_most_and_others_have_room() {
        let networks = Arc::new(Networks::default());
        let from = |text: &str| Networks::seat(&networks, text.parse().unwrap());
        let mut seats: Vec<_> = (0..MOST_OF_A_NETWORK)
            .map(|n| from(&format!("2001:db8::{n:x}")).unwrap())
            .collect();
        assert!(from("2001:db8::ffff").is_none(), "the same /64");
        assert!(from("2001:db8:0:1::1").is_some());
        assert!(from("127.0.0.1").is_some());
        seats.pop();
        assert!(from("2001:db8::ffff").is_some(), "one has gone");
        seats.clear();
        assert!(networks.taken.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn g6_silent_connections_keep_nobody_out_and_are_closed() {
        on_both(async |store| {
            let world = keys(&store).await;
            let core = world.core(&store);
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let figures = Arc::new(Figures::default());
            let stop = CancellationToken::new();
            let serving = tokio::spawn(serve(
                listener,
                Speaks::Tls(core.keys.web_tls()),
                crate::api::api(core.clone()),
                Arc::clone(&figures),
                stop.clone(),
            ));
            let mut silent = Vec::new();
            for _ in 0..50 {
                silent.push(TcpStream::connect(address).await.unwrap());
            }
            let mut stream = connect(&core, address, None).await.unwrap();
            let request = "GET /api/v1/health HTTP/1.1\r\nhost: core.example\r\n\r\n";
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut head = [0; 12];
            stream.read_exact(&mut head).await.unwrap();
            assert_eq!(&head, b"HTTP/1.1 200");
            for mut one in silent {
                let mut octet = [0];
                assert_eq!(one.read(&mut octet).await.unwrap_or(0), 0, "closed");
            }
            stop.cancel();
            serving.await.unwrap();
            assert_eq!(figures.refused.load(Ordering::Relaxed), 50);
        })
        .await;
    }
}
