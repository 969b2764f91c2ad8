//! Takes connections of HTTP, with TLS or without, and serves them.
//!
//! Nobody who is silent, slow or many keeps others out: the handshake runs beside the accepting and
//! has a time, so has the head of each request, and there is a most of connections. What the other
//! end has shown (`TlsPeer`, `ConnectInfo`) goes along with each of its requests. Invariant: when
//! `serve` returns, all its connections have ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

const HANDSHAKE: Duration = Duration::from_secs(5);
const HEAD: Duration = Duration::from_secs(10);
/// What a connection may still finish when the core ends.
const FAREWELL: Duration = Duration::from_secs(10);
const MOST_CONNECTIONS: usize = 4096;
/// Before accepting is tried again when the system has no more descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// What came of the connections of a listener.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) accepted: AtomicU64,
    /// No handshake: no TLS, a certificate that is not taken, silence.
    pub(crate) refused: AtomicU64,
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
        figures.accepted.fetch_add(1, Ordering::Relaxed);
        let (speaks, app, stop) = (speaks.clone(), app.clone(), stop.clone());
        let figures = Arc::clone(&figures);
        connections.spawn(async move {
            connection(stream, from, speaks, app, &figures, stop).await;
            drop(place);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
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
