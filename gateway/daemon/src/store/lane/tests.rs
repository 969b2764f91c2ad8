//! A lane whose disk fails at will.

use std::sync::mpsc::Receiver;

use super::*;
use crate::store::file::Sharing;

/// A disk that is full while the switch is on.
struct Numbers {
    folder: tempfile::TempDir,
    full: Arc<AtomicBool>,
    answers: Receiver<Answer>,
    lane: Lane<(u64, Arc<AtomicBool>)>,
}

struct NumberBook;

impl Book for NumberBook {
    type Write = (u64, Arc<AtomicBool>);

    const PACE: Duration = Duration::ZERO;

    fn layout() -> Layout {
        Layout {
            name: "numbers.db",
            migrations: &["CREATE TABLE number (value INTEGER PRIMARY KEY) STRICT;"],
            sharing: Sharing::Alone,
        }
    }

    fn write(connection: &Connection, (value, full): &Self::Write) -> rusqlite::Result<()> {
        if full.load(Ordering::Relaxed) {
            let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
            return Err(rusqlite::Error::SqliteFailure(full, None));
        }
        connection
            .execute("INSERT INTO number VALUES (?1)", [value.cast_signed()])
            .map(drop)
    }

    fn tidy(&self, _: &Connection) -> rusqlite::Result<()> {
        Ok(())
    }
}

impl Numbers {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let opened =
            file::open(folder.path(), NumberBook::layout(), Sync::Crash, Check::Now).unwrap();
        let start = LaneStart {
            name: "numbers",
            book: NumberBook,
            connection: opened.connection,
            folder: folder.path().to_owned(),
            sync: Sync::Crash,
            home: Home::Disk,
            check: Check::Now,
            figures: Arc::default(),
        };
        let (sender, answers) = std::sync::mpsc::channel();
        let lane =
            Lane::start(start, move |answer| sender.send(answer).unwrap_or_default()).unwrap();
        Self {
            folder,
            full: Arc::default(),
            answers,
            lane,
        }
    }

    fn write(&mut self, value: u64) -> Kept {
        let sequence = self.lane.write((value, Arc::clone(&self.full))).unwrap();
        loop {
            let answer = self.answers.recv().unwrap();
            if answer.through >= sequence {
                return answer.kept;
            }
        }
    }

    fn end(self) -> Vec<u64> {
        self.lane.finish();
        let file = self.folder.path().join("numbers.db");
        let connection = Connection::open(file).unwrap();
        let mut all = connection.prepare("SELECT value FROM number").unwrap();
        let rows = all.query_map([], |row| row.get::<_, i64>(0)).unwrap();
        rows.map(|row| row.unwrap().cast_unsigned()).collect()
    }
}

#[test]
fn while_the_disk_is_full_writes_wait_in_memory_and_are_saved_afterwards() {
    let mut numbers = Numbers::new();
    assert_eq!(numbers.write(1), Kept::Safe);
    numbers.full.store(true, Ordering::Relaxed);
    assert_eq!(numbers.write(2), Kept::InMemory);
    assert_eq!(numbers.write(3), Kept::InMemory);
    let figures = Arc::clone(&numbers.lane.figures);
    assert!(figures.degraded.load(Ordering::Relaxed));
    assert_eq!(figures.waiting.load(Ordering::Relaxed), 0);
    numbers.full.store(false, Ordering::Relaxed);
    assert_eq!(numbers.end(), [1, 2, 3]);
    assert_eq!(figures.lost_writes.load(Ordering::Relaxed), 0);
}

#[test]
fn a_disk_that_stays_full_costs_the_oldest_writes_and_they_are_counted() {
    let mut numbers = Numbers::new();
    numbers.full.store(true, Ordering::Relaxed);
    let more = 100;
    for value in 0..(BACKLOG as u64 + more) {
        assert_eq!(numbers.write(value), Kept::InMemory);
    }
    let figures = Arc::clone(&numbers.lane.figures);
    assert_eq!(figures.lost_writes.load(Ordering::Relaxed), more);
    numbers.full.store(false, Ordering::Relaxed);
    let saved = numbers.end();
    assert_eq!((saved.len(), saved[0]), (BACKLOG, more));
}

#[test]
fn a_row_that_cannot_be_saved_does_not_hold_up_the_others() {
    let mut numbers = Numbers::new();
    assert_eq!(numbers.write(1), Kept::Safe);
    assert_eq!(numbers.write(1), Kept::Safe);
    assert_eq!(numbers.write(2), Kept::Safe);
    let figures = Arc::clone(&numbers.lane.figures);
    assert_eq!(figures.lost_writes.load(Ordering::Relaxed), 1);
    assert_eq!(numbers.end(), [1, 2]);
}
