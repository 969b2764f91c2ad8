//! Calls in the core: whom a number reaches, and the exchanges that ring them.
//!
//! `directory` is what people set: groups, numbers, forwarding. One thread (`floor`) owns an exchange
//! for each company that has gateways here, all flows of SIP and all media; it asks the `clerk` what
//! the store knows, and hands what was called to the writer of `records`. Not here: SIP, call rules and
//! media, which are `telephony`'s. Invariant: what stands in the tables of one company never meets
//! that of another, and a flow belongs to the company of the certificate at its end.

mod clerk;
pub(crate) mod directory;
mod exchange_of;
mod figures;
mod floor;
mod hands;
mod held;
pub(crate) mod records;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use net::flows::{
    Flows, FlowsConfig, ListenerConfig, ListenerId, ListenerInfo, ListenerKind, ListenerSocket,
};
use net::tls::ServerTls;
use rustls::ServerConfig;
use switchboard::{FrameSender, MediaOptions, MediaShell};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

pub(crate) use exchange_of::Settings;
pub(crate) use figures::Figures;
pub(crate) use floor::FromPage;
pub(crate) use hands::ToPage;

use self::clerk::Clerk;
use self::floor::{Ends, Floor};
use self::hands::Hands;
use crate::core::Core;
use crate::random;
use crate::store::StoreError;

/// What the thread may ask and be told before it is heard.
const QUESTIONS: usize = 8_192;
const TOLD: usize = 1_024;
/// Words of pages that may wait for the thread.
const FROM_PAGES: usize = 4_096;
/// Portions of records on their way to the store.
const PORTIONS: usize = 4;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .merge(directory::routes())
        .merge(records::routes())
}

/// Why no calls can be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("gateways cannot come in for calls")]
    Flows(#[from] net::flows::BindError),
    #[error("media cannot be set up")]
    Media(#[source] std::io::Error),
    #[error("the thread of calls cannot be started")]
    Thread(#[source] std::io::Error),
    #[error("the thread of calls has ended before it began")]
    Ended,
    #[error("the store does not answer")]
    Store(#[from] StoreError),
}

/// The running calls.
#[derive(Debug)]
pub(crate) struct Calls {
    address: SocketAddr,
    figures: Arc<Figures>,
    pages: mpsc::Sender<FromPage>,
    stop: CancellationToken,
    over: oneshot::Receiver<()>,
    clerk: JoinHandle<()>,
    writer: JoinHandle<()>,
}

/// Opens them: listens, and serves until `stop`.
///
/// `pages` hears what is wanted of people's pages; where nobody does, they are not reached.
pub(crate) async fn open(
    core: Core,
    settings: Settings,
    pages: Option<mpsc::Sender<ToPage>>,
) -> Result<Calls, OpenError> {
    let stop = CancellationToken::new();
    let figures = Arc::<Figures>::default();
    let (questions, asked) = mpsc::channel(QUESTIONS);
    let (tell, told) = mpsc::channel(TOLD);
    let (records, written) = mpsc::channel(PORTIONS);
    let (from_pages, said) = mpsc::channel(FROM_PAGES);
    let clerk = Clerk::new(core.clone(), tell).await?;
    let ends = Ends {
        told,
        questions,
        pages: said,
        tls: core.keys.device_tls(),
        stop: stop.clone(),
    };
    let (ready, begun) = oneshot::channel();
    let (ended, over) = oneshot::channel();
    let (clock, counted) = (core.clock.clone(), Arc::clone(&figures));
    let thread = std::thread::Builder::new().name("calls".to_owned());
    let work = move || {
        run(settings, clock, ends, (records, pages, counted), ready);
        // Whoever waited for it may have gone.
        let _ = ended.send(());
    };
    thread.spawn(work).map_err(OpenError::Thread)?;
    let address = begun.await.map_err(|_gone| OpenError::Ended)??;
    Ok(Calls {
        address,
        clerk: tokio::spawn(clerk.run(asked, stop.clone())),
        writer: tokio::spawn(records::write(core, written, Arc::clone(&figures))),
        figures,
        pages: from_pages,
        stop,
        over,
    })
}

impl Calls {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn figures(&self) -> Arc<Figures> {
        Arc::clone(&self.figures)
    }

    /// Where whoever speaks for people's pages says what they do; it has judged whose they are.
    pub(crate) fn pages(&self) -> mpsc::Sender<FromPage> {
        self.pages.clone()
    }

    /// Until calls cannot go on, or until `stop`; then ends all calls, and writes what is left.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {
                self.stop.cancel();
                // It says so even when it fails.
                let _ = (&mut self.over).await;
            }
            _ = &mut self.over => {}
        }
        self.stop.cancel();
        for task in [self.clerk, self.writer] {
            if let Err(error) = task.await {
                tracing::error!(%error, "a part of the calls has failed");
            }
        }
    }
}

type Outward = (
    mpsc::Sender<Vec<records::Record>>,
    Option<mpsc::Sender<ToPage>>,
    Arc<Figures>,
);

/// The thread of calls.
fn run(
    settings: Settings,
    clock: crate::clock::Clock,
    ends: Ends,
    (records, pages, figures): Outward,
    ready: oneshot::Sender<Result<SocketAddr, OpenError>>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            // Whoever waited for it may have gone.
            let _ = ready.send(Err(OpenError::Thread(error)));
            return;
        }
    };
    runtime.block_on(async move {
        match begin(&settings, &ends) {
            Ok((flows, listener, media)) => {
                let _ = ready.send(Ok(listener.local));
                let hands = Hands::new(media, records, pages, figures);
                Floor::new(settings, clock, (flows, listener), hands, ends)
                    .run()
                    .await;
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        }
    });
}

fn begin(settings: &Settings, ends: &Ends) -> Result<(Flows, ListenerInfo, MediaShell), OpenError> {
    let tls: Arc<ServerConfig> = Arc::clone(&ends.tls.borrow());
    let flows = Flows::bind(FlowsConfig {
        listeners: vec![ListenerConfig {
            id: ListenerId(1),
            socket: ListenerSocket::Bind(settings.listen),
            kind: ListenerKind::Tls(ServerTls::made(tls)),
        }],
        ..FlowsConfig::default()
    })?;
    let listener = flows.listeners().next().ok_or(OpenError::Ended)?;
    // Nobody listens to calls here.
    let (frames, _) = FrameSender::bounded(1, Arc::<AtomicU64>::default());
    let media = MediaShell::start(MediaOptions {
        addresses: settings.media_addresses(),
        ports: settings.ports.clone(),
        // Expedited forwarding (RFC 4594 4.1).
        dscp: 46,
        threads: settings.threads,
        seed: u64::from_be_bytes(random::octets()),
        frames,
    });
    Ok((flows, listener, media.map_err(OpenError::Media)?))
}
