//! The link to the cloud core, as the main loop holds it.
//!
//! A thread of its own runs it (`thread`); the main loop hands over what happened and what the gateway
//! is, and takes orders, by bounded channels that it never waits for. What happened goes by way of the
//! journal's file, so that it is told exactly if it is recorded (`telling`, `store::tellings`).
//!
//! Deliberately not here: calls over the link. Invariant: a gateway that is nobody's tells nothing to
//! anybody, and works as if there were no link.

pub(crate) mod answers;
mod disk;
pub(crate) mod orders;
pub(crate) mod settings;
pub(crate) mod site;
pub(crate) mod telling;
mod thread;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use client::identity::Keep;
use client::reach::Reached;
use client::{Order, Say, Standing};
use contract::down::Operation;
use contract::enrolment::ClaimCode;
use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use self::telling::Tale;
use self::thread::Office;
use crate::config::CloudSettings;
use crate::control::protocol::Refusal;
use crate::store::{LaneFigures, Telling};
use crate::uplink::Place;

/// As the core compares it: four numbers.
pub(crate) const FIRMWARE: &str = concat!(env!("CARGO_PKG_VERSION"), ".0");

/// What the core may ask of a gateway.
const OPERATIONS: &[Operation] = &[Operation::OpenDoor, Operation::Reboot];

/// Room of the channels; the machine of the link has at most 64 commands under way.
const ROOM: usize = 128;

/// What both threads look at.
#[derive(Debug)]
pub(crate) struct Shared {
    state_folder: PathBuf,
    cloud: CloudSettings,
    spool_figures: Arc<LaneFigures>,
    claimed: AtomicBool,
    /// Of the last telling: what comes later belongs to the next claim.
    last_number: AtomicU64,
    /// The journal has something new.
    wake: Notify,
}

/// Somebody at the command line wants something of the link.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) ask: Ask,
    pub(crate) reply: oneshot::Sender<Told>,
}

#[derive(Debug)]
pub(crate) enum Ask {
    Link,
    /// One line of the list of connections, towards a core.
    Reach {
        core: String,
        line: usize,
    },
    Claim {
        code: ClaimCode,
        core: String,
    },
    Unclaim,
}

#[derive(Debug)]
pub(crate) enum Told {
    /// Nothing: nobody has claimed this gateway; nothing within: it is just beginning.
    Standing(Option<Option<Standing>>),
    Reached(Reached),
    /// The name that the core gave it.
    Claimed(String),
    Released,
    Refused(Refusal),
}

/// What comes of the link.
#[derive(Debug)]
pub(crate) enum News {
    /// The core wants something.
    Ordered(Order),
    /// Calls go elsewhere than before, or nowhere.
    CallsMoved(Option<Place>),
}

/// What the link starts with.
#[derive(Debug)]
pub(crate) struct LinkOptions {
    pub(crate) state_folder: PathBuf,
    pub(crate) cloud: CloudSettings,
    pub(crate) spool_figures: Arc<LaneFigures>,
    pub(crate) start_count: u32,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct LinkShell {
    shared: Arc<Shared>,
    asks: mpsc::Sender<Asked>,
    says: mpsc::Sender<Say>,
    reports: watch::Sender<Value>,
    orders: mpsc::Receiver<Order>,
    standing: watch::Receiver<Option<Standing>>,
    calls: watch::Receiver<Option<Place>>,
    /// Answers that the link had no room for.
    pub(crate) unsaid: u64,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl LinkShell {
    pub(crate) fn start(options: LinkOptions) -> io::Result<Self> {
        let keep = Keep::in_state(&options.state_folder);
        let claimed = matches!(keep.load(), Ok(Some(_)));
        let shared = Arc::new(Shared {
            state_folder: options.state_folder,
            cloud: options.cloud,
            spool_figures: options.spool_figures,
            // From the first record on, not only once the thread runs.
            claimed: AtomicBool::new(claimed),
            last_number: AtomicU64::new(u64::from(options.start_count) << 32),
            wake: Notify::new(),
        });
        let (asks, asked) = mpsc::channel(ROOM);
        let (says, said) = mpsc::channel(ROOM);
        let (orders_to, orders) = mpsc::channel(ROOM);
        let (reports, reported) = watch::channel(Value::Object(serde_json::Map::new()));
        let (standing_to, standing) = watch::channel(None);
        let (calls_to, calls) = watch::channel(None);
        let stop = CancellationToken::new();
        let office = Office {
            shared: Arc::clone(&shared),
            keep,
            asks: asked,
            says: said,
            reports: reported,
            orders: orders_to,
            standing: standing_to,
            calls: calls_to,
            stop: stop.clone(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .thread_name("link-blocking")
            .max_blocking_threads(2)
            .build()?;
        let thread = std::thread::Builder::new()
            .name("link".to_owned())
            .spawn(move || runtime.block_on(office.run()))?;
        Ok(Self {
            shared,
            asks,
            says,
            reports,
            orders,
            standing,
            calls,
            unsaid: 0,
            stop,
            thread: Some(thread),
        })
    }

    /// A tale as the journal keeps it; nothing when there is nobody to tell.
    pub(crate) fn number(&self, tale: impl FnOnce() -> Tale) -> Option<Telling> {
        if !self.shared.claimed.load(Ordering::Relaxed) {
            return None;
        }
        let number = self.shared.last_number.fetch_add(1, Ordering::Relaxed) + 1;
        Some(tale().numbered(number))
    }

    /// The journal has kept something.
    pub(crate) fn journal_grew(&self) {
        self.shared.wake.notify_one();
    }

    pub(crate) fn say(&mut self, say: Say) {
        if self.says.try_send(say).is_err() {
            self.unsaid += 1;
        }
    }

    /// All that the gateway is; the newest is what counts.
    pub(crate) fn report(&self, report: Value) {
        self.reports.send_if_modified(|before| {
            let news = *before != report;
            *before = report;
            news
        });
    }

    /// Waits for what the main loop is to know. Loses nothing when dropped before it is ready.
    pub(crate) async fn news(&mut self) -> News {
        tokio::select! {
            Some(order) = self.orders.recv() => News::Ordered(order),
            Ok(()) = self.calls.changed() => {
                News::CallsMoved(self.calls.borrow_and_update().clone())
            }
            // The thread is ending, and the gateway with it.
            else => std::future::pending().await,
        }
    }

    /// How it stands; nothing while the gateway is nobody's.
    pub(crate) fn standing(&self) -> Option<Standing> {
        self.standing.borrow().clone()
    }

    pub(crate) fn is_claimed(&self) -> bool {
        self.shared.claimed.load(Ordering::Relaxed)
    }

    /// Where questions of the command line go.
    pub(crate) fn asks(&self) -> mpsc::Sender<Asked> {
        self.asks.clone()
    }

    /// Stops the link and waits until its spool is written. Blocks for moments.
    pub(crate) fn finish(mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the link thread panicked");
        }
    }
}
