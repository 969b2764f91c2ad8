//! What survives a restart, a crash, a power cut: registrations, call records, the door journal,
//! standing orders.
//!
//! Files with a thread each: the registrations are many and can be given again, the journal is small
//! and cannot (`docs/adr/0006-store.md`); a third one waits for the cloud core, on the link's thread. The main loop hands over writes without
//! waiting and is told, in order, when they are kept. A disk that fails stops neither: the gateway
//! goes on ringing and says loudly what it cannot keep.
//!
//! Invariants: a write answered `Kept::Safe` is there after the process was killed at any moment,
//! in the journal also after the power was cut; one folder belongs to one running gateway.

mod bindings;
mod file;
mod journal;
mod lane;
mod spool;
mod standing;
mod tellings;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use exchange::Standing;
use nix::fcntl::{Flock, FlockArg};
use tokio::sync::mpsc;

pub use self::bindings::{BindingsWrite, StoredBinding};
pub use self::file::{StoreError, Sync};
pub use self::journal::{JournalWrite, RecordingEnd, RecordingNote};
pub use self::lane::{Answer, Behind, Kept, LaneFigures, Sequence};
pub use self::spool::SPOOL;
pub(crate) use self::spool::{Spool, SpoolWrite};
pub use self::tellings::Telling;
pub(crate) use self::tellings::Tellings;

use self::bindings::Bindings;
use self::file::{Check, Layout, Opened};
use self::journal::Journal;
use self::lane::{Book, Home, Lane, LaneStart};

/// Names of the lanes, in answers, logs and metrics.
pub const BINDINGS: &str = "bindings";
pub const JOURNAL: &str = "journal";

/// Answers that may wait for the main loop; beyond it the writers wait, not the loop.
const ANSWERS: usize = 1_024;

/// How the store is to be.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    pub registrations: Sync,
    pub keep_records: Duration,
}

/// What a start finds.
#[derive(Debug)]
pub struct Restored {
    pub bindings: Vec<BindingsWrite>,
    /// Diversions and programmes of stations.
    pub standing: Vec<Standing>,
    /// Number of this start; never the same twice.
    pub start_count: u32,
}

/// The store, as the main loop holds it.
#[derive(Debug)]
pub struct Store {
    bindings: Lane<BindingsWrite>,
    journal: Lane<JournalWrite>,
    answers: mpsc::Receiver<Answer>,
    figures: StoreFigures,
    /// Held while the process lives, so that no second gateway writes here.
    _lock: Option<Flock<File>>,
}

/// Figures of the lanes.
#[derive(Clone, Debug, Default)]
pub struct StoreFigures {
    pub bindings: Arc<LaneFigures>,
    pub journal: Arc<LaneFigures>,
    /// Still while the gateway is nobody's.
    pub spool: Arc<LaneFigures>,
}

impl StoreFigures {
    pub fn lanes(&self) -> [(&'static str, &LaneFigures); 3] {
        [
            (BINDINGS, &self.bindings),
            (JOURNAL, &self.journal),
            (SPOOL, &self.spool),
        ]
    }
}

impl Store {
    /// Opens both files and reads back what is needed to start. The registrations are checked
    /// before they are believed; the journal, which may be long, is checked by its thread.
    pub fn open(folder: &Path, options: StoreOptions) -> Result<(Self, Restored), StoreError> {
        let lock = lock(folder)?;
        let figures = StoreFigures::default();
        let (sender, answers) = mpsc::channel(ANSWERS);
        let answer = move |sender: &mpsc::Sender<Answer>, answer| {
            // Nobody listens any more once the main loop has ended.
            let _ = sender.blocking_send(answer);
        };

        let sync = options.registrations;
        let opened = open_or_degrade::<Bindings>(folder, sync, Check::Now, &figures.bindings)?;
        let loaded = bindings::load(&opened.connection).map_err(|source| StoreError::Sqlite {
            file: folder.join(Bindings::layout().name),
            source,
        })?;
        let start = LaneStart {
            name: BINDINGS,
            book: Bindings,
            connection: opened.connection,
            folder: folder.to_owned(),
            sync,
            home: opened.home,
            check: Check::Now,
            figures: Arc::clone(&figures.bindings),
        };
        let to_loop = sender.clone();
        let bindings = Lane::start(start, move |given| answer(&to_loop, given));
        let bindings = bindings.map_err(|source| no_thread(folder, source))?;

        let opened =
            open_or_degrade::<Journal>(folder, Sync::Power, Check::Later, &figures.journal)?;
        // A journal that has lost its count must not start again at ids that others have seen.
        let at_least = match opened.kept {
            true => 1,
            false => unlikely_count(),
        };
        let start_count = journal::count_start(&opened.connection, at_least);
        let start_count = start_count.map_err(|source| StoreError::Sqlite {
            file: folder.join(Journal::layout().name),
            source,
        })?;
        let standing = standing::load(&opened.connection).unwrap_or_else(|error| {
            // The journal's thread will find the damage too, and set the file aside.
            tracing::error!(%error, "diversions and programmes cannot be read back; order them again");
            Vec::new()
        });
        let start = LaneStart {
            name: JOURNAL,
            book: Journal {
                keep: options.keep_records,
            },
            connection: opened.connection,
            folder: folder.to_owned(),
            sync: Sync::Power,
            home: opened.home,
            check: Check::Later,
            figures: Arc::clone(&figures.journal),
        };
        let journal = Lane::start(start, move |given| answer(&sender, given));
        let journal = journal.map_err(|source| no_thread(folder, source))?;

        let store = Self {
            bindings,
            journal,
            answers,
            figures,
            _lock: lock,
        };
        let restored = Restored {
            bindings: loaded,
            standing,
            start_count,
        };
        Ok((store, restored))
    }

    /// Hands over registrations; the answer of lane `BINDINGS` with this number says when they
    /// are kept.
    pub fn write_bindings(&mut self, write: BindingsWrite) -> Result<Sequence, Behind> {
        self.bindings.write(write)
    }

    /// Hands over a record.
    pub fn write_journal(&mut self, write: JournalWrite) -> Result<Sequence, Behind> {
        self.journal.write(write)
    }

    /// The next answer. Loses nothing when dropped before it is ready.
    pub async fn answered(&mut self) -> Option<Answer> {
        self.answers.recv().await
    }

    pub fn figures(&self) -> StoreFigures {
        self.figures.clone()
    }

    /// Waits until everything handed over is written. Blocks; for the end of the process.
    pub fn finish(self) {
        // The writers must not wait for a reader that is gone.
        drop(self.answers);
        self.bindings.finish();
        self.journal.finish();
    }
}

/// An open file, and whether what was in it before is still there.
struct Found {
    connection: rusqlite::Connection,
    home: Home,
    kept: bool,
}

/// Opens a file; where the disk itself fails, a database in memory, because a gateway that cannot
/// write still has to ring.
fn open_or_degrade<B: Book>(
    folder: &Path,
    sync: Sync,
    check: Check,
    figures: &LaneFigures,
) -> Result<Found, StoreError> {
    let layout: Layout = B::layout();
    match file::open(folder, layout, sync, check) {
        Ok(Opened {
            connection,
            set_aside,
        }) => {
            if let Some(aside) = &set_aside {
                figures.set_aside.fetch_add(1, Ordering::Relaxed);
                lane::report_set_aside(layout.name, aside);
            }
            Ok(Found {
                connection,
                home: Home::Disk,
                kept: set_aside.is_none(),
            })
        }
        Err(error @ StoreError::Sqlite { .. }) => {
            figures.degraded.store(true, Ordering::Relaxed);
            tracing::error!(
                file = layout.name,
                error = format!("{:#}", anyhow::Error::new(error)),
                "the store cannot be opened; calls go on, nothing survives a restart"
            );
            Ok(Found {
                connection: file::open_in_memory(layout)?,
                home: Home::Memory,
                kept: false,
            })
        }
        Err(error) => Err(error),
    }
}

/// Takes the folder for this process. A disk that is full or has become read-only is not a reason
/// to stop.
fn lock(folder: &Path) -> Result<Option<Flock<File>>, StoreError> {
    let in_folder = |source| StoreError::Folder {
        folder: folder.to_owned(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(in_folder)?;
    let opened = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lock"));
    let file = match opened {
        Ok(file) => file,
        Err(error) if is_failing(&error) => return Ok(None),
        Err(error) => return Err(in_folder(error)),
    };
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Err(StoreError::InUse {
            folder: folder.to_owned(),
        }),
        Err((_, errno)) => Err(in_folder(errno.into())),
    }
}

fn is_failing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::StorageFull
    )
}

fn no_thread(folder: &Path, source: io::Error) -> StoreError {
    StoreError::Folder {
        folder: PathBuf::from(folder),
        source,
    }
}

/// A start count that no counted one has reached: one more every eight seconds.
fn unlikely_count() -> u32 {
    let seconds = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(1, |since| since.as_secs());
    u32::try_from((seconds / 8) & 0x00ff_ffff).unwrap_or(1)
}

#[cfg(test)]
mod tests;
