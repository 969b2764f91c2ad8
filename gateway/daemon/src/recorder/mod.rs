//! What is made of the sound of tapped legs: recordings and level meters, on a thread of its own.
//!
//! The media thread hands frames over and never waits: what the recorder cannot take is dropped and
//! counted. The main loop says which recordings there are; people who ask for a level or for what
//! was recorded are answered by the thread itself. Invariants: both queues are bounded; no call
//! depends on a file.

mod folder;
mod recordings;
mod thread;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use exchange::{CallSide, RecordingCommand};
use model::{CallId, LegId, Timestamp};
use switchboard::{Frame, FrameSender};
use tokio::sync::{mpsc, oneshot};

use crate::control::protocol::Reply;
use crate::store::RecordingNote;

/// Frames that may wait: a second and a half of a hundred legs.
const FRAMES: usize = 8_192;
const ORDERS: usize = 1_024;
const NOTICES: usize = 1_024;
/// Nobody has asked for the level of a leg for so long: it is not tapped for it any more.
const LEVEL_ASKED: Duration = Duration::from_secs(5);

/// Where recordings are kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecorderOptions {
    pub(crate) folder: PathBuf,
    pub(crate) keep: Duration,
    pub(crate) most_bytes: u64,
}

/// What the recorder counts.
#[derive(Debug, Default)]
pub(crate) struct RecorderFigures {
    /// Frames that the thread was too busy to take.
    pub(crate) frames_lost: Arc<AtomicU64>,
    pub(crate) recordings: AtomicU64,
    pub(crate) running: AtomicU64,
    /// Recordings that could not begin or that a failing disk has ended.
    pub(crate) failed: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Recordings that were removed because of their age or because the folder was full.
    pub(crate) removed: AtomicU64,
}

/// A recording of a person at the command line who takes what was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AskedId(pub(crate) u64);

/// What a recording is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Id {
    Call(CallId),
    Asked(AskedId),
}

/// What the thread is told.
#[derive(Debug)]
enum Order {
    /// Record a call into the folder.
    Call {
        call: CallId,
        wall: Timestamp,
        now: Instant,
    },
    /// Record for somebody who takes the octets.
    Asked {
        id: AskedId,
        layout: media::recording::Layout,
        most: Duration,
        now: Instant,
    },
    Join {
        id: Id,
        leg: LegId,
        side: media::recording::Side,
    },
    /// The leg is closed: recordings of nothing but it end.
    Leave {
        leg: LegId,
    },
    End {
        id: Id,
    },
    /// What was recorded since the last time.
    Take {
        id: AskedId,
        answer: oneshot::Sender<Reply>,
    },
    Level {
        legs: Vec<LevelAsked>,
        answer: oneshot::Sender<Reply>,
    },
    Finish,
}

/// A leg whose level is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LevelAsked {
    pub(crate) call: CallId,
    pub(crate) leg: LegId,
    pub(crate) party: String,
    /// The one whom it hears, where there is one.
    pub(crate) hears: Option<LegId>,
}

/// See the module. This is the main loop's end.
#[derive(Debug)]
pub(crate) struct Recorder {
    orders: SyncSender<Order>,
    frames: FrameSender,
    notes: mpsc::Receiver<RecordingNote>,
    figures: Arc<RecorderFigures>,
    thread: Option<JoinHandle<()>>,
    /// Why each leg is tapped.
    legs: BTreeMap<LegId, Reasons>,
    next_asked: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Reasons {
    recorded: bool,
    level_until: Option<Instant>,
}

impl Reasons {
    fn any(self) -> bool {
        self.recorded || self.level_until.is_some()
    }
}

/// A leg whose tap has to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TapChange {
    On(LegId),
    Off(LegId),
}

impl Recorder {
    pub(crate) fn start(options: RecorderOptions) -> io::Result<Self> {
        let figures = Arc::<RecorderFigures>::default();
        let (sender, frames) = FrameSender::bounded(FRAMES, Arc::clone(&figures.frames_lost));
        let (orders, told) = sync_channel(ORDERS);
        let (notices, notes) = mpsc::channel(NOTICES);
        let thread = {
            let figures = Arc::clone(&figures);
            let queues: (Receiver<Frame>, Receiver<Order>) = (frames, told);
            std::thread::Builder::new()
                .name("recorder".to_owned())
                .spawn(move || thread::run(options, &queues.0, &queues.1, &notices, &figures))?
        };
        Ok(Self {
            orders,
            frames: sender,
            notes,
            figures,
            thread: Some(thread),
            legs: BTreeMap::new(),
            next_asked: 0,
        })
    }

    pub(crate) fn frames(&self) -> FrameSender {
        self.frames.clone()
    }

    pub(crate) fn figures(&self) -> &RecorderFigures {
        &self.figures
    }

    /// Waits for what there is to know of recordings. Loses nothing when dropped before it is ready.
    pub(crate) async fn noted(&mut self) -> Option<RecordingNote> {
        self.notes.recv().await
    }

    /// Carries out what the machine wants recorded.
    pub(crate) fn command(
        &mut self,
        command: RecordingCommand,
        wall: Timestamp,
        now: Instant,
    ) -> Option<TapChange> {
        match command {
            RecordingCommand::Begin { call } => {
                self.order(Order::Call { call, wall, now });
                None
            }
            RecordingCommand::Join { call, leg, side } => {
                let side = match side {
                    CallSide::Caller => media::recording::Side::Left,
                    CallSide::Called => media::recording::Side::Right,
                };
                self.join(Id::Call(call), leg, side)
            }
            RecordingCommand::End { call } => {
                self.order(Order::End { id: Id::Call(call) });
                None
            }
        }
    }

    /// Begins a recording for somebody who takes it: one leg, or both sides of a call.
    pub(crate) fn record_for(
        &mut self,
        legs: &[(LegId, media::recording::Side)],
        most: Duration,
        now: Instant,
    ) -> (AskedId, Vec<TapChange>) {
        use media::recording::Layout;
        self.next_asked += 1;
        let id = AskedId(self.next_asked);
        let layout = match legs {
            [_] => Layout::One,
            _ => Layout::Both,
        };
        self.order(Order::Asked {
            id,
            layout,
            most,
            now,
        });
        let joined = legs.iter();
        let changes = joined.filter_map(|(leg, side)| self.join(Id::Asked(id), *leg, *side));
        let changes = changes.collect();
        (id, changes)
    }

    pub(crate) fn take(&self, id: AskedId, answer: oneshot::Sender<Reply>) {
        self.order(Order::Take { id, answer });
    }

    pub(crate) fn end(&self, id: AskedId) {
        self.order(Order::End { id: Id::Asked(id) });
    }

    /// How loud these legs are. They are tapped from now on, until nobody asks any more.
    pub(crate) fn level(
        &mut self,
        legs: Vec<LevelAsked>,
        now: Instant,
        answer: oneshot::Sender<Reply>,
    ) -> Vec<TapChange> {
        let mut changes = Vec::new();
        for leg in legs
            .iter()
            .flat_map(|asked| [Some(asked.leg), asked.hears])
            .flatten()
        {
            let reasons = self.legs.entry(leg).or_default();
            if !reasons.any() {
                changes.push(TapChange::On(leg));
            }
            reasons.level_until = Some(now + LEVEL_ASKED);
        }
        self.order(Order::Level { legs, answer });
        changes
    }

    /// A leg's media are closed.
    pub(crate) fn closed(&mut self, leg: LegId) {
        if self.legs.remove(&leg).is_some() {
            self.order(Order::Leave { leg });
        }
    }

    /// These legs are not recorded any more.
    pub(crate) fn left(&mut self, legs: &[LegId]) -> Vec<TapChange> {
        for leg in legs {
            if let Some(reasons) = self.legs.get_mut(leg) {
                reasons.recorded = false;
            }
        }
        self.untapped()
    }

    /// Time has passed: legs whose level nobody asks for any more.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<TapChange> {
        for reasons in self.legs.values_mut() {
            reasons.level_until = reasons.level_until.filter(|until| *until > now);
        }
        self.untapped()
    }

    fn untapped(&mut self) -> Vec<TapChange> {
        let idle = self.legs.iter().filter(|(_, reasons)| !reasons.any());
        let idle: Vec<LegId> = idle.map(|(leg, _)| *leg).collect();
        for leg in &idle {
            self.legs.remove(leg);
        }
        idle.into_iter().map(TapChange::Off).collect()
    }

    /// Ends all recordings and waits until they are on the disk; what is still to be known of them.
    pub(crate) fn finish(mut self) -> Vec<RecordingNote> {
        // The thread takes what is before it in the queue first.
        let _ = self.orders.send(Order::Finish);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the recorder thread panicked");
        }
        std::iter::from_fn(|| self.notes.try_recv().ok()).collect()
    }

    fn join(&mut self, id: Id, leg: LegId, side: media::recording::Side) -> Option<TapChange> {
        self.order(Order::Join { id, leg, side });
        let reasons = self.legs.entry(leg).or_default();
        let tapped = reasons.any();
        reasons.recorded = true;
        (!tapped).then_some(TapChange::On(leg))
    }

    fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            self.figures.failed.fetch_add(1, Ordering::Relaxed);
            tracing::error!("the recorder does not keep up; something is not recorded");
        }
    }
}
