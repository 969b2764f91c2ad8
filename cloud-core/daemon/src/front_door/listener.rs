//! The listeners: TLS for devices, and one without it on the loopback for tests.
//!
//! A socket that says nothing costs one task for five seconds and holds up nobody: each
//! shakes hands in a task of its own, and there is nothing they would take turns at.
//! Invariant: there are never more sockets than the limit.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Duration, Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Ground;
use super::connection::{self, INTRODUCTION};
use super::credential::Credential;
use super::figures::count;
use super::tls::Tls;

/// How a listener learns who a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Tls,
    /// The client identifier is believed. For tests, on the loopback only.
    Plain,
}

/// Why a listener does not listen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("{address} cannot be bound; is another program listening there?")]
    Bind {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "{0} is no address of the loopback; a listener without TLS is for tests on this machine"
    )]
    NotLoopback(SocketAddr),
}

pub(super) async fn bind(address: SocketAddr, manner: Manner) -> Result<TcpListener, ListenError> {
    if manner == Manner::Plain && !address.ip().is_loopback() {
        return Err(ListenError::NotLoopback(address));
    }
    TcpListener::bind(address)
        .await
        .map_err(|source| ListenError::Bind { address, source })
}

/// Accepts until it is told to stop.
pub(super) async fn run(
    ground: Arc<Ground>,
    listener: TcpListener,
    manner: Manner,
    (places, tasks, stop): (Arc<Semaphore>, TaskTracker, CancellationToken),
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: accepting at once would spin.
                tracing::warn!(%error, "a device's socket was not accepted");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        count(&ground.figures.sockets);
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            count(&ground.figures.sockets_over_limit);
            continue;
        };
        let ground = Arc::clone(&ground);
        tasks.spawn(async move {
            serve(ground, stream, manner).await;
            drop(place);
        });
    }
}

async fn serve(ground: Arc<Ground>, stream: TcpStream, manner: Manner) {
    let until = Instant::now() + INTRODUCTION;
    // Answers are small and wanted now.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    match manner {
        Manner::Plain => boxed(ground, stream, (None, None), until).await,
        Manner::Tls => {
            let config = ground.tls.borrow().clone();
            let shaken = timeout_at(until, Box::pin(Tls::accept(config, stream))).await;
            let Ok(Ok(stream)) = shaken else {
                count(&ground.figures.handshakes_failed);
                return;
            };
            let shown = stream.shown();
            let Some(credential) = shown.as_ref().and_then(Credential::shown) else {
                count(&ground.figures.certificates_nameless);
                return;
            };
            boxed(ground, stream, (Some(credential), shown), until).await;
        }
    }
}

/// On the heap of its own: the future of a handshake is larger than that of a conversation,
/// and a task stays as large as its largest part.
async fn boxed<S>(
    ground: Arc<Ground>,
    stream: S,
    who: (Option<Credential>, Option<CertificateDer<'static>>),
    until: Instant,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    Box::pin(connection::serve(ground, stream, who, until)).await;
}
