//! What passes between the owner of a line and the line's task, in both directions.
//!
//! Each opening has a number, a *turn*. What is told carries the turn it belongs to, so that what an
//! opening still says after the owner has closed it is not heard, and what was to be sent on an
//! opening is never sent on the next one. All queues are bounded; the task waits for the owner, the
//! owner never for the task.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{mpsc, watch};

use super::medium::Refused;

/// Pieces that may wait to be sent.
const WAITING: usize = 512;

/// Names a line among those of one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LineKey(pub u16);

/// Something happened on a line.
#[derive(Debug)]
pub struct Told {
    pub line: LineKey,
    turn: u64,
    pub event: LineEvent,
}

#[derive(Debug)]
pub enum LineEvent {
    /// `peer` for logs: a device, an address, a certificate's name.
    Opened {
        peer: String,
    },
    /// It is gone, or could not be opened.
    Closed(LineEnd),
    Received(Bytes),
    /// Somebody who came was not let in; what is open stays open.
    Refused {
        peer: String,
        why: String,
    },
}

/// Why a line is not open.
#[derive(Debug, Error)]
pub enum LineEnd {
    #[error("it cannot be opened: {0}")]
    NotOpened(String),
    #[error("the other end has closed it, or the cable is out")]
    ByPeer,
    #[error("reading or writing failed: {0}")]
    Broken(std::io::Error),
    #[error("the other end takes nothing; what was to be sent waited too long")]
    Stalled,
    #[error("another connection has taken its place")]
    Replaced,
    #[error("the gateway has closed it")]
    ByUs,
}

/// More waits to be sent than may wait. Nothing was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("too much waits to be sent on this line")]
pub struct Full;

/// What the line has seen below its protocol. Figures only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounters {
    pub octets_in: u64,
    pub octets_out: u64,
    /// Octets that a serial driver has received wrongly: parity, stop bit, break.
    pub wrong_octets: u64,
    /// Pieces that were not sent, because too many waited.
    pub refused: u64,
    /// Openings that were ended because the other end took nothing.
    pub stalls: u64,
    /// Attempts to open, and connections of the other end, that came to nothing.
    pub failures: u64,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    turn: AtomicU64,
    pub(super) octets_in: AtomicU64,
    pub(super) octets_out: AtomicU64,
    pub(super) wrong_octets: AtomicU64,
    refused: AtomicU64,
    pub(super) stalls: AtomicU64,
    pub(super) failures: AtomicU64,
}

/// What the owner wants of the task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wanted {
    /// Openings asked for so far.
    openings: u64,
    /// Turns up to this one are to end.
    closed: u64,
}

/// What an owner orders, for a task that serves something else beside its line.
#[derive(Debug)]
pub enum Order {
    Open,
    Send(Bytes),
    Close,
    /// The owner is gone.
    Gone,
}

/// The owner's end of a line.
#[derive(Debug)]
pub struct LineHandle {
    wanted: watch::Sender<Wanted>,
    sends: mpsc::Sender<(u64, Bytes)>,
    shared: Arc<Shared>,
    /// The turn that was told to be open.
    open: u64,
}

/// The task's end of a line.
#[derive(Debug)]
pub struct LineOrders {
    line: LineKey,
    wanted: watch::Receiver<Wanted>,
    sends: mpsc::Receiver<(u64, Bytes)>,
    events: mpsc::Sender<Told>,
    pub(super) shared: Arc<Shared>,
    served: u64,
}

/// One opening of a line, as its task sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Turn {
    number: u64,
    line: LineKey,
    wanted: watch::Receiver<Wanted>,
    events: mpsc::Sender<Told>,
}

/// Both ends of a line; what its task tells goes to `events`.
pub fn line(line: LineKey, events: mpsc::Sender<Told>) -> (LineHandle, LineOrders) {
    let (wanted, watched) = watch::channel(Wanted::default());
    let (sends, queued) = mpsc::channel(WAITING);
    let shared = Arc::<Shared>::default();
    let handle = LineHandle {
        wanted,
        sends,
        shared: Arc::clone(&shared),
        open: 0,
    };
    let orders = LineOrders {
        line,
        wanted: watched,
        sends: queued,
        events,
        shared,
        served: 0,
    };
    (handle, orders)
}

impl LineHandle {
    /// Asks for an opening; `Opened` or `Closed` tells what came of it.
    pub fn open(&self) {
        self.wanted.send_modify(|wanted| wanted.openings += 1);
    }

    /// On what is open now; else nothing happens.
    pub fn send(&self, octets: Bytes) -> Result<(), Full> {
        let sent = self.sends.try_send((self.open, octets));
        // A task that has ended says so itself.
        if let Err(mpsc::error::TrySendError::Full(_)) = sent {
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Full);
        }
        Ok(())
    }

    /// Sends what waits and closes. Nothing more is heard of this opening.
    pub fn close(&mut self) {
        let turn = self.shared.turn.load(Ordering::Acquire);
        self.wanted.send_modify(|wanted| wanted.closed = turn);
    }

    /// Whether this is of interest still; each event has to pass here first.
    pub fn hears(&mut self, told: &Told) -> bool {
        if told.turn <= self.wanted.borrow().closed {
            return false;
        }
        if let LineEvent::Opened { .. } = told.event {
            self.open = told.turn;
        }
        true
    }

    pub fn counters(&self) -> LineCounters {
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        LineCounters {
            octets_in: read(&self.shared.octets_in),
            octets_out: read(&self.shared.octets_out),
            wrong_octets: read(&self.shared.wrong_octets),
            refused: read(&self.shared.refused),
            stalls: read(&self.shared.stalls),
            failures: read(&self.shared.failures),
        }
    }
}

impl LineOrders {
    /// What the owner wants next: an opening while there is no `turn`, else something of it.
    /// Cancel-safe.
    pub async fn next(&mut self, turn: Option<&Turn>) -> Order {
        let Some(turn) = turn else {
            return match self.wanted().await {
                true => Order::Open,
                false => Order::Gone,
            };
        };
        let mut closing = turn.clone();
        tokio::select! {
            octets = self.to_send(turn) => octets.map_or(Order::Gone, Order::Send),
            () = closing.closed_by_owner() => Order::Close,
        }
    }

    /// Waits until the owner wants an opening that was not tried yet. False: the owner is gone.
    pub async fn wanted(&mut self) -> bool {
        let served = self.served;
        match self
            .wanted
            .wait_for(|wanted| wanted.openings > served)
            .await
        {
            Ok(wanted) => {
                self.served = wanted.openings;
                true
            }
            Err(_) => false,
        }
    }

    /// Waits until the owner is gone. Cancel-safe.
    pub async fn abandoned(&mut self) {
        while self.wanted.changed().await.is_ok() {}
    }

    /// Begins an opening, or an attempt to open.
    pub fn begin(&self) -> Turn {
        Turn {
            number: self.shared.turn.fetch_add(1, Ordering::AcqRel) + 1,
            line: self.line,
            wanted: self.wanted.clone(),
            events: self.events.clone(),
        }
    }

    /// The next piece to be sent in this turn; those of earlier ones are forgotten. None: the owner
    /// is gone. Cancel-safe.
    pub async fn to_send(&mut self, turn: &Turn) -> Option<Bytes> {
        loop {
            let (number, octets) = self.sends.recv().await?;
            if number == turn.number {
                return Some(octets);
            }
        }
    }

    /// What still waits to be sent in this turn.
    pub(super) fn left_to_send(&mut self, turn: &Turn) -> Option<Bytes> {
        loop {
            let (number, octets) = self.sends.try_recv().ok()?;
            if number == turn.number {
                return Some(octets);
            }
        }
    }

    pub(super) fn refusals(&self) -> Refusals {
        Refusals {
            line: self.line,
            events: self.events.clone(),
        }
    }

    pub(super) fn count(figure: &AtomicU64, by: usize) {
        figure.fetch_add(by as u64, Ordering::Relaxed);
    }
}

/// Tells of those who were not let in.
#[derive(Debug)]
pub(super) struct Refusals {
    line: LineKey,
    events: mpsc::Sender<Told>,
}

impl Refusals {
    pub(super) fn tell(&self, Refused { peer, why }: Refused) {
        let told = Told {
            line: self.line,
            turn: u64::MAX,
            event: LineEvent::Refused { peer, why },
        };
        // They are counted; whoever knocks must not hold up what is open.
        let _ = self.events.try_send(told);
    }
}

impl Turn {
    /// Waits until the owner has closed this turn, or is gone. Cancel-safe.
    pub async fn closed_by_owner(&mut self) {
        let number = self.number;
        // An error means that the owner is gone.
        let _ = self.wanted.wait_for(|wanted| wanted.closed >= number).await;
    }

    pub async fn tell(&self, event: LineEvent) {
        let told = Told {
            line: self.line,
            turn: self.number,
            event,
        };
        // An owner who is gone need not hear it.
        let _ = self.events.send(told).await;
    }
}
