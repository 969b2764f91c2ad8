//! The thread that owns one file and writes to it in groups.
//!
//! Whatever has queued up while the last commit ran becomes the next one, so a quiet gateway waits
//! for nobody and a busy one pays for few commits. Answers leave in the order of the writes. When
//! the disk fails, writes are answered as kept in memory and tried again; when memory for them runs
//! out, the oldest go and are counted.
//!
//! Knows nothing of what the rows mean. Invariants: a write answered `Safe` is in the file; each
//! write is answered once; the queue and the backlog are bounded.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::file::{self, Check, Layout, Sync};

/// Writes that may wait for the thread; beyond it the caller is told.
pub(super) const QUEUE: usize = 16_384;
/// Writes of one commit: bounds how long one takes.
const GROUP: usize = 1_024;
/// Writes kept in memory while the disk fails.
const BACKLOG: usize = 8_192;
/// Pause between two tries while the disk fails.
const RETRY: Duration = Duration::from_secs(1);
/// A file that only the system has is given to the disk after this time.
const SETTLE: Duration = Duration::from_secs(10);
/// Pause between two rounds of tidying.
const TIDY: Duration = Duration::from_secs(60);

/// Number of a write within its lane, from 1, without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sequence(pub u64);

/// What became of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In the file, to the degree the lane promises.
    Safe,
    /// In memory only: the disk is full or failing.
    InMemory,
}

/// All writes up to `through` that were not answered before are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub lane: &'static str,
    pub through: Sequence,
    pub kept: Kept,
}

/// The queue is full: the disk has been slower than the gateway for thousands of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store is behind by {QUEUE} writes; the disk is too slow or has stopped")]
pub struct Behind;

/// Figures of one lane, read by the metrics at any time.
#[derive(Debug, Default)]
pub struct LaneFigures {
    pub writes: AtomicU64,
    pub commits: AtomicU64,
    pub refused: AtomicU64,
    pub failed_commits: AtomicU64,
    pub lost_writes: AtomicU64,
    pub set_aside: AtomicU64,
    /// Writes handed over and not yet answered.
    pub waiting: AtomicU64,
    pub degraded: AtomicBool,
}

/// What one file holds.
pub(super) trait Book: Send + 'static {
    type Write: Send + 'static;

    /// Commits of a busy lane begin at least this far apart, because a commit costs fifty times as
    /// much as a row. What comes to a lane at rest is committed at once.
    const PACE: Duration;

    fn layout() -> Layout;

    /// Writes one row inside the transaction of the group.
    fn write(connection: &Connection, write: &Self::Write) -> rusqlite::Result<()>;

    /// Removes what has grown too old, a little at a time.
    fn tidy(&self, connection: &Connection) -> rusqlite::Result<()>;
}

/// The sending end of a lane.
#[derive(Debug)]
pub(super) struct Lane<W> {
    queue: SyncSender<W>,
    next: u64,
    figures: Arc<LaneFigures>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl<W: Send + 'static> Lane<W> {
    /// Starts the thread on an open file. Every group of writes is answered through `answer`,
    /// called on that thread.
    pub(super) fn start<B: Book<Write = W>>(
        start: LaneStart<B>,
        answer: impl FnMut(Answer) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (queue, writes) = std::sync::mpsc::sync_channel(QUEUE);
        let figures = Arc::clone(&start.figures);
        let thread = std::thread::Builder::new()
            .name(format!("store-{}", start.name))
            .spawn(move || Writer::new(start, answer).run(&writes))?;
        Ok(Self {
            queue,
            next: 1,
            figures,
            thread: Some(thread),
        })
    }

    /// Hands over a write without waiting.
    pub(super) fn write(&mut self, write: W) -> Result<Sequence, Behind> {
        // Counted before it is sent, or the thread could answer first.
        self.figures.waiting.fetch_add(1, Ordering::Relaxed);
        match self.queue.try_send(write) {
            Ok(()) => {
                let sequence = Sequence(self.next);
                self.next += 1;
                Ok(sequence)
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.figures.waiting.fetch_sub(1, Ordering::Relaxed);
                self.figures.refused.fetch_add(1, Ordering::Relaxed);
                Err(Behind)
            }
        }
    }

    /// Waits until everything handed over is written, and ends the thread.
    pub(super) fn finish(mut self) {
        let thread = self.thread.take();
        drop(self);
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the store thread panicked");
        }
    }
}

/// Where the connection leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    Disk,
    /// The disk could not be used: nothing survives a restart.
    Memory,
}

/// What a lane needs to start.
#[derive(Debug)]
pub(super) struct LaneStart<B> {
    pub(super) name: &'static str,
    pub(super) book: B,
    pub(super) connection: Connection,
    pub(super) folder: PathBuf,
    pub(super) sync: Sync,
    pub(super) home: Home,
    /// Whether the whole file still has to be read and judged.
    pub(super) check: Check,
    pub(super) figures: Arc<LaneFigures>,
}

struct Writer<B: Book, F> {
    start: LaneStart<B>,
    answer: F,
    /// Writes that are to be committed; after a failure, those to be tried again.
    group: VecDeque<B::Write>,
    /// How many at the front of `group` have been answered.
    answered: usize,
    taken: u64,
    /// When the disk is asked again after it failed.
    retry_at: Option<Instant>,
    unsettled_since: Option<Instant>,
    tidied: Instant,
    /// When the last commit began.
    committed: Instant,
}

impl<B: Book, F: FnMut(Answer)> Writer<B, F> {
    fn new(start: LaneStart<B>, answer: F) -> Self {
        Self {
            start,
            answer,
            group: VecDeque::with_capacity(GROUP),
            answered: 0,
            taken: 0,
            retry_at: None,
            unsettled_since: None,
            tidied: Instant::now(),
            committed: Instant::now(),
        }
    }

    fn run(mut self, writes: &Receiver<B::Write>) {
        if self.start.check == Check::Later
            && let Err(error) = file::quick_check(&self.start.connection)
        {
            self.failed(&error);
        }
        loop {
            let open = self.take(writes);
            if !open {
                self.commit();
                break;
            }
            if self.retry_at.is_some_and(|retry| Instant::now() < retry) {
                // A failing disk may take long to say so; nobody waits for it twice a second.
                self.keep_for_later();
            } else {
                self.commit();
            }
            self.rest();
        }
        if self.answered > 0 {
            // The last try was made above; what is left goes with the process.
            self.lost(self.group.len());
            tracing::error!(
                lane = self.start.name,
                writes = self.group.len(),
                "writes could not be saved before the end"
            );
        }
        self.settle();
    }

    /// Waits for writes and takes what is there; false when no more can come.
    fn take(&mut self, writes: &Receiver<B::Write>) -> bool {
        let wait = match (self.retry_at, self.unsettled_since) {
            (Some(retry), _) => retry.saturating_duration_since(Instant::now()),
            (None, Some(since)) => SETTLE.saturating_sub(since.elapsed()),
            (None, None) => TIDY,
        };
        match writes.recv_timeout(wait) {
            Ok(write) => self.add(write),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        std::thread::sleep(B::PACE.saturating_sub(self.committed.elapsed()));
        for _ in 1..GROUP {
            match writes.try_recv() {
                Ok(write) => self.add(write),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        true
    }

    fn add(&mut self, write: B::Write) {
        self.taken += 1;
        self.group.push_back(write);
    }

    fn commit(&mut self) {
        if self.group.is_empty() {
            return;
        }
        self.committed = Instant::now();
        let result = match self.try_commit() {
            Err(error) if file::is_corruption(&error) => {
                self.failed(&error);
                self.try_commit()
            }
            result => result,
        };
        match result {
            Ok(()) => self.committed(),
            Err(error) => {
                self.failed(&error);
                self.retry_at = Some(Instant::now() + RETRY);
                self.keep_for_later();
            }
        }
    }

    fn try_commit(&mut self) -> rusqlite::Result<()> {
        let transaction = self
            .start
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for write in &self.group {
            match B::write(&transaction, write) {
                // A row that no retry can save must not hold up the others.
                Err(error) if is_about_the_row(&error) => {
                    self.start
                        .figures
                        .lost_writes
                        .fetch_add(1, Ordering::Relaxed);
                    tracing::error!(lane = self.start.name, %error, "a row cannot be stored");
                }
                result => result?,
            }
        }
        transaction.commit()
    }

    fn committed(&mut self) {
        let figures = &self.start.figures;
        figures.commits.fetch_add(1, Ordering::Relaxed);
        figures
            .writes
            .fetch_add(self.group.len() as u64, Ordering::Relaxed);
        match self.start.home {
            Home::Disk => {
                if figures.degraded.swap(false, Ordering::Relaxed) {
                    tracing::warn!(lane = self.start.name, "the store is being written again");
                }
                self.reply(Kept::Safe);
            }
            Home::Memory => self.reply(Kept::InMemory),
        }
        self.group.clear();
        self.answered = 0;
        self.retry_at = None;
        if self.start.sync == Sync::Crash && self.unsettled_since.is_none() {
            self.unsettled_since = Some(Instant::now());
        }
    }

    fn keep_for_later(&mut self) {
        // Those that go were answered before: a backlog is longer than what comes in one turn.
        let surplus = self.group.len().saturating_sub(BACKLOG);
        self.group.drain(..surplus);
        self.answered = self.answered.saturating_sub(surplus);
        self.lost(surplus);
        self.reply(Kept::InMemory);
        self.answered = self.group.len();
    }

    fn reply(&mut self, kept: Kept) {
        let answered = (self.group.len() - self.answered) as u64;
        if answered == 0 {
            return;
        }
        self.start
            .figures
            .waiting
            .fetch_sub(answered, Ordering::Relaxed);
        (self.answer)(Answer {
            lane: self.start.name,
            through: Sequence(self.taken),
            kept,
        });
    }

    fn lost(&self, writes: usize) {
        self.start
            .figures
            .lost_writes
            .fetch_add(writes as u64, Ordering::Relaxed);
    }

    /// Says loudly what happened, once per outage, and starts a fresh file if this one is broken.
    fn failed(&mut self, error: &rusqlite::Error) {
        let figures = &self.start.figures;
        figures.failed_commits.fetch_add(1, Ordering::Relaxed);
        if !figures.degraded.swap(true, Ordering::Relaxed) {
            tracing::error!(
                lane = self.start.name,
                %error,
                remedy = remedy(error),
                "the store cannot be written; calls go on, writes wait in memory"
            );
        }
        if file::is_corruption(error) {
            self.start_afresh();
        }
    }

    fn start_afresh(&mut self) {
        // The broken file has to be closed before it is renamed.
        let Ok(memory) = file::open_in_memory(B::layout()) else {
            return;
        };
        self.start.connection = memory;
        self.start.home = Home::Memory;
        let path = self.start.folder.join(B::layout().name);
        let reopened = file::move_aside(&path)
            .map_err(|error| error.to_string())
            .and_then(|aside| {
                file::open(&self.start.folder, B::layout(), self.start.sync, Check::Now)
                    .map(|opened| (aside, opened.connection))
                    .map_err(|error| error.to_string())
            });
        match reopened {
            Ok((aside, connection)) => {
                self.start.connection = connection;
                self.start.home = Home::Disk;
                self.start.figures.set_aside.fetch_add(1, Ordering::Relaxed);
                report_set_aside(self.start.name, &aside);
            }
            Err(error) => tracing::error!(
                lane = self.start.name,
                error,
                "no fresh file could be made; writes stay in memory until the gateway is restarted"
            ),
        }
    }

    /// What is done while no write waits.
    fn rest(&mut self) {
        if self
            .unsettled_since
            .is_some_and(|since| since.elapsed() >= SETTLE)
        {
            self.settle();
        }
        if self.tidied.elapsed() >= TIDY && self.group.is_empty() {
            self.tidied = Instant::now();
            if let Err(error) = self.start.book.tidy(&self.start.connection) {
                self.failed(&error);
            }
        }
    }

    /// Moves the log into the file, which makes the disk take both.
    fn settle(&mut self) {
        self.unsettled_since = None;
        let done =
            self.start
                .connection
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = done {
            self.failed(&error);
        }
    }
}

pub(super) fn report_set_aside(lane: &'static str, aside: &Path) {
    tracing::error!(
        lane,
        kept_as = %aside.display(),
        "the file was broken and has been set aside; the gateway goes on with an empty one"
    );
}

fn is_about_the_row(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => matches!(
            code,
            ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch
        ),
        // Not said by SQLite but by the binding of values.
        None => true,
    }
}

fn remedy(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "free some space on the disk of the state folder",
        Some(ErrorCode::ReadOnly) => {
            "the disk may have failed and been mounted read-only: look into the system log"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds the file: close it"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "check the disk; the broken file is kept for inspection"
        }
        Some(_) | None => "check the disk of the state folder and the system log",
    }
}

#[cfg(test)]
mod tests;
