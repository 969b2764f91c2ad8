//! Calls in browsers: signalling over WebSocket, and who of a person's pages takes a call.
//!
//! Between pages (docs/web-calls.md), the edge that carries their media (`web-edge`), and the calls
//! of companies (`WebCalls::join`, `WebCalls::commands`), which see a person's pages as one party.
//! A call outlives its page's connection: a page that comes back within a minute finds its calls.
//! Decides nothing about calls but which page was first.

mod attendant;
mod figures;
mod hall;
mod messages;
mod page;
mod said;
mod socket;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use web_edge::{Config, Edge, StartError};

use self::attendant::Attendant;
pub(crate) use self::figures::Figures;
use self::hall::Hall;
pub(crate) use self::hall::House;
use crate::calls::ToPage;
use crate::core::Core;
use crate::store::StoreError;

/// How long a call goes on without its page.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Pages at once on one node.
const MOST_SOCKETS: usize = 2000;
/// What companies' calls want of their pages and was not done yet.
const COMMANDS: usize = 4096;

/// A clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct WebCalls {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    edge: Edge,
    hall: Mutex<Hall>,
    sockets: Arc<Semaphore>,
    commands: mpsc::Sender<ToPage>,
    /// Of a page that calls; never used twice.
    next_caller: AtomicU64,
    figures: Figures,
    stop: CancellationToken,
}

impl WebCalls {
    /// Opens the edge. The attendant has to be run.
    pub(crate) fn open(
        config: Config,
        stop: CancellationToken,
    ) -> Result<(Self, Attendant), StartError> {
        let (edge, news) = Edge::start(config)?;
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let calls = Self {
            inner: Arc::new(Inner {
                edge,
                hall: Mutex::default(),
                sockets: Arc::new(Semaphore::new(MOST_SOCKETS)),
                commands,
                next_caller: AtomicU64::new(1),
                figures: Figures::default(),
                stop,
            }),
        };
        let attendant = Attendant::new(calls.clone(), inbox, news);
        Ok((calls, attendant))
    }

    /// From now on those who carry the calls of companies are told what pages do.
    pub(crate) fn join(&self, house: House) {
        self.hall().join(house);
    }

    /// Where those who carry calls say what they want of pages.
    pub(crate) fn commands(&self) -> mpsc::Sender<ToPage> {
        self.inner.commands.clone()
    }

    pub(crate) fn figures(&self) -> &Figures {
        &self.inner.figures
    }

    pub(crate) fn edge(&self) -> &Edge {
        &self.inner.edge
    }

    /// Pages that are connected.
    pub(crate) fn pages(&self) -> u64 {
        MOST_SOCKETS.saturating_sub(self.inner.sockets.available_permits()) as u64
    }

    fn hall(&self) -> MutexGuard<'_, Hall> {
        self.inner
            .hall
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn caller(&self) -> u64 {
        self.inner.next_caller.fetch_add(1, Ordering::Relaxed)
    }
}

/// The socket and the page that tries it are no part of the described interface.
pub(crate) fn page_routes() -> Router<Core> {
    Router::new()
        .route("/api/v1/calls/socket", get(socket::open))
        .merge(page::routes())
}

/// Two letters an octet.
fn secret_name<const LEN: usize>() -> String {
    let octets: [u8; LEN] = crate::random::octets();
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[derive(Debug, thiserror::Error)]
enum SocketError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the page went away")]
    Gone,
}
