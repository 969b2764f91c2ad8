//! The third lane: what waits for the cloud core, and what the link has to remember.
//!
//! Records of the outbox in the order of their places, commands that were begun or answered, the
//! settings that were accepted last. Every commit waits for the disk. Reading goes through the lane
//! too, so that it sees all that was written before it. Invariant: what lies here belongs to one
//! claim; of another one it is thrown away before anything is read.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use client::FromDisk;
use contract::document::{Counter, Moment};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};
use session::commands::{Remembered, Told};
use session::outbox::{Class, Entry, Place, Reading, Row};
use session::{Memory, Write};
use tokio::sync::mpsc;

use super::file::{Check, Layout, Sharing, Sync};
use super::lane::{Answer, Behind, Book, Lane, LaneFigures, LaneStart, Sequence};
use super::{StoreError, no_thread, open_or_degrade};

const LAYOUT: Layout = Layout {
    name: "spool.db",
    sharing: Sharing::Alone,
    migrations: &[TABLES],
};

const TABLES: &str = "
        CREATE TABLE outbox (
            boot INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            class TEXT NOT NULL,
            expires_ms INTEGER,
            document BLOB NOT NULL,
            PRIMARY KEY (boot, seq)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE command (
            id TEXT PRIMARY KEY,
            answer BLOB,
            told INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE desired (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            rev INTEGER NOT NULL,
            settings TEXT NOT NULL
        ) STRICT;
        CREATE TABLE state (
            name TEXT PRIMARY KEY,
            value ANY NOT NULL
        ) STRICT, WITHOUT ROWID;
    ";

const OWNER: &str = "owner";
const BOOT: &str = "boot";
const MARK: &str = "mark";

/// Name of the lane.
pub const SPOOL: &str = "spool";

/// One thing for the lane to do.
#[derive(Debug)]
pub(crate) enum SpoolWrite {
    /// With the number of the gateway's own record that it makes, if it makes one.
    Link(Write, Option<u64>),
    Read(Reading, mpsc::Sender<FromDisk>),
}

/// The spool of one claim, as the thread of the link holds it.
#[derive(Debug)]
pub(crate) struct Spool {
    lane: Lane<SpoolWrite>,
}

/// What it knew at the start.
#[derive(Debug)]
pub(crate) struct Spooled {
    pub(crate) memory: Memory,
    /// Never the same twice, and only growing, also when the file was lost.
    pub(crate) boot: Counter,
    /// The last of the gateway's own records that is in the outbox, or was.
    pub(crate) mark: u64,
}

impl Spool {
    /// Opens the spool for a claim. Of another claim nothing stays, and records are taken from
    /// `from` on. Every group of writes is answered through `answer`, on the lane's thread.
    pub(crate) fn open(
        folder: &Path,
        owner: &str,
        from: u64,
        figures: Arc<LaneFigures>,
        answer: impl FnMut(Answer) + Send + 'static,
    ) -> Result<(Self, Spooled), StoreError> {
        let opened = open_or_degrade::<SpoolBook>(folder, Sync::Power, Check::Now, &figures)?;
        let spooled =
            load(&opened.connection, owner, from).map_err(|source| StoreError::Sqlite {
                file: folder.join(LAYOUT.name),
                source,
            })?;
        let start = LaneStart {
            name: SPOOL,
            book: SpoolBook,
            connection: opened.connection,
            folder: folder.to_owned(),
            sync: Sync::Power,
            home: opened.home,
            check: Check::Now,
            figures,
        };
        let lane = Lane::start(start, answer).map_err(|source| no_thread(folder, source))?;
        Ok((Self { lane }, spooled))
    }

    pub(crate) fn write(&mut self, write: SpoolWrite) -> Result<Sequence, Behind> {
        self.lane.write(write)
    }

    /// Waits until everything handed over is written. Blocks.
    pub(crate) fn finish(self) {
        self.lane.finish();
    }
}

#[derive(Debug)]
struct SpoolBook;

impl Book for SpoolBook {
    type Write = SpoolWrite;

    /// An alarm is not held up; a burst shares commits.
    const PACE: Duration = Duration::from_millis(10);

    fn layout() -> Layout {
        LAYOUT
    }

    fn write(connection: &Connection, write: &SpoolWrite) -> rusqlite::Result<()> {
        match write {
            SpoolWrite::Link(write, of) => {
                if let Some(of) = of {
                    set(connection, MARK, i64::try_from(*of).unwrap_or(i64::MAX))?;
                }
                write_link(connection, write)
            }
            SpoolWrite::Read(reading, to) => {
                let rows = read(connection, *reading)?;
                // Nobody waits for it once the link has ended.
                let _ = to.blocking_send(FromDisk::Read(rows));
                Ok(())
            }
        }
    }

    fn tidy(&self, _connection: &Connection) -> rusqlite::Result<()> {
        // The link says what may go.
        Ok(())
    }
}

fn write_link(connection: &Connection, write: &Write) -> rusqlite::Result<()> {
    match write {
        Write::Record(row) => {
            let mut statement =
                connection.prepare_cached("INSERT INTO outbox VALUES (?1, ?2, ?3, ?4, ?5)")?;
            statement.execute(params![
                row.place.boot.get(),
                row.place.seq.get(),
                row.class.name(),
                row.expires.map(|at| at.0.get()),
                row.document,
            ])?;
        }
        Write::Forget(places) => {
            let mut statement =
                connection.prepare_cached("DELETE FROM outbox WHERE boot = ?1 AND seq = ?2")?;
            for place in places {
                statement.execute([place.boot.get(), place.seq.get()])?;
            }
        }
        Write::Begin(id) => {
            connection.execute(
                "INSERT INTO command VALUES (?1, NULL, 0) ON CONFLICT (id) DO NOTHING",
                [id.as_str()],
            )?;
        }
        Write::Answer(answered) => {
            connection.execute(
                "INSERT INTO command VALUES (?1, ?2, 0)
                 ON CONFLICT (id) DO UPDATE SET answer = excluded.answer, told = 0",
                params![answered.id.as_str(), answered.answer],
            )?;
        }
        Write::Told(id) => {
            connection.execute("UPDATE command SET told = 1 WHERE id = ?1", [id.as_str()])?;
        }
        Write::ForgetCommands(ids) => {
            let mut statement = connection.prepare_cached("DELETE FROM command WHERE id = ?1")?;
            for id in ids {
                statement.execute([id.as_str()])?;
            }
        }
        Write::Desired { rev, settings } => {
            connection.execute(
                "INSERT INTO desired VALUES (1, ?1, ?2)
                 ON CONFLICT (one) DO UPDATE SET rev = excluded.rev, settings = excluded.settings",
                params![rev.get(), settings.to_string()],
            )?;
        }
    }
    Ok(())
}

fn set(connection: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO state VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )?;
    statement.execute(params![name, value])?;
    Ok(())
}

fn number(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .query_row("SELECT value FROM state WHERE name = ?1", [name], |row| {
            row.get(0)
        })
        .optional()
}

fn read(connection: &Connection, reading: Reading) -> rusqlite::Result<Vec<Row>> {
    let (boot, seq) = match reading.after {
        Some(after) => (after.boot.get(), after.seq.get()),
        None => (-1, -1),
    };
    let mut statement = connection.prepare_cached(
        "SELECT boot, seq, class, expires_ms, document FROM outbox
         WHERE (boot, seq) > (?1, ?2) ORDER BY boot, seq LIMIT ?3",
    )?;
    let most = i64::try_from(reading.most).unwrap_or(i64::MAX);
    let rows = statement.query_map([boot, seq, most], |row| {
        let entry = entry(row)?;
        Ok(entry.map(|entry| Row {
            place: entry.place,
            class: entry.class,
            expires: entry.expires,
            document: row.get(4).unwrap_or_default(),
        }))
    })?;
    rows.filter_map(Result::transpose).collect()
}

/// Of a row (boot, seq, class, expires_ms, octets or document); nothing if it is damaged.
fn entry(row: &SqlRow<'_>) -> rusqlite::Result<Option<Entry>> {
    let (boot, seq): (i64, i64) = (row.get(0)?, row.get(1)?);
    let class: String = row.get(2)?;
    let expires: Option<i64> = row.get(3)?;
    let class = Class::ALL.into_iter().find(|known| known.name() == class);
    let (Ok(boot), Ok(seq), Some(class)) = (Counter::new(boot), Counter::new(seq), class) else {
        return Ok(None);
    };
    Ok(Some(Entry {
        place: Place { boot, seq },
        class,
        expires: expires.and_then(|at| Counter::new(at).ok()).map(Moment),
        octets: 0,
    }))
}

fn load(connection: &Connection, owner: &str, from: u64) -> rusqlite::Result<Spooled> {
    let kept: Option<String> = connection
        .query_row("SELECT value FROM state WHERE name = ?1", [OWNER], |row| {
            row.get(0)
        })
        .optional()?;
    if kept.as_deref() != Some(owner) {
        connection.execute_batch("DELETE FROM outbox; DELETE FROM command; DELETE FROM desired")?;
        connection.execute(
            "INSERT INTO state VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [OWNER, owner],
        )?;
        set(connection, MARK, i64::try_from(from).unwrap_or(i64::MAX))?;
    }
    // A file that was lost must not begin again at places that the core has seen.
    let boot = match number(connection, BOOT)? {
        Some(before) => before + 1,
        None => seconds(),
    };
    set(connection, BOOT, boot)?;
    let mark = number(connection, MARK)?.unwrap_or_default();
    let mut records = Vec::new();
    let mut statement =
        connection.prepare("SELECT boot, seq, class, expires_ms, length(document) FROM outbox")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let octets: i64 = row.get(4)?;
        records.extend(entry(row)?.map(|entry| Entry {
            octets: usize::try_from(octets).unwrap_or_default(),
            ..entry
        }));
    }
    Ok(Spooled {
        memory: Memory {
            records,
            commands: commands(connection)?,
            desired: desired(connection)?,
        },
        boot: Counter::new(boot).unwrap_or_default(),
        mark: u64::try_from(mark).unwrap_or_default(),
    })
}

fn commands(connection: &Connection) -> rusqlite::Result<Vec<Remembered>> {
    let mut statement = connection.prepare("SELECT id, answer, told FROM command")?;
    let mut rows = statement.query([])?;
    let mut commands = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let told: bool = row.get(2)?;
        let Ok(id) = session::commands::CommandId::new(id) else {
            continue;
        };
        commands.push(Remembered {
            id,
            answer: row.get(1)?,
            told: match told {
                true => Told::Yes,
                false => Told::NotYet,
            },
        });
    }
    Ok(commands)
}

fn desired(connection: &Connection) -> rusqlite::Result<Option<(Counter, serde_json::Value)>> {
    let row: Option<(i64, String)> = connection
        .query_row("SELECT rev, settings FROM desired", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(row.and_then(|(rev, settings)| {
        let settings = serde_json::from_str(&settings).ok()?;
        Some((Counter::new(rev).ok()?, settings))
    }))
}

fn seconds() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use contract::document::Text;
    use serde_json::json;

    use super::*;

    fn counter(value: i64) -> Counter {
        Counter::new(value).unwrap()
    }

    fn row(seq: i64) -> Row {
        Row {
            place: Place {
                boot: counter(1),
                seq: counter(seq),
            },
            class: Class::Call,
            expires: Some(Moment(counter(9))),
            document: format!("record {seq}").into_bytes(),
        }
    }

    fn open(folder: &Path, owner: &str) -> (Spool, Spooled, mpsc::Receiver<Answer>) {
        let (to, answers) = mpsc::channel(64);
        let answer = move |answer| {
            let _ = to.blocking_send(answer);
        };
        let (spool, spooled) = Spool::open(folder, owner, 40, Arc::default(), answer).unwrap();
        (spool, spooled, answers)
    }

    #[test]
    fn b8_what_waits_for_the_core_survives_a_restart_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, first, answers) = open(folder.path(), "a/1");
        assert_eq!(first.mark, 40);
        for seq in [2, 1, 3] {
            let number = 40 + u64::try_from(seq).unwrap();
            let write = SpoolWrite::Link(Write::Record(row(seq)), Some(number.max(43)));
            spool.write(write).unwrap();
        }
        let id: Text<40> = Text::new("cmd-1").unwrap();
        let settings = json!({"name": "north"});
        let answered = Remembered {
            id: Text::new("cmd-2").unwrap(),
            answer: Some(b"done".to_vec()),
            told: Told::NotYet,
        };
        for write in [
            Write::Begin(id.clone()),
            Write::Answer(answered.clone()),
            Write::Told(answered.id.clone()),
            Write::Forget(vec![row(2).place]),
            Write::Desired {
                rev: counter(7),
                settings: settings.clone(),
            },
        ] {
            spool.write(SpoolWrite::Link(write, None)).unwrap();
        }
        drop(answers);
        spool.finish();

        let (mut spool, again, _answers) = open(folder.path(), "a/1");
        assert_eq!(again.mark, 43);
        assert!(again.boot > first.boot);
        let places: Vec<_> = again.memory.records.iter().map(|one| one.place).collect();
        assert_eq!(places, [row(1).place, row(3).place]);
        assert_eq!(again.memory.records[0].octets, row(1).document.len());
        assert_eq!(again.memory.desired, Some((counter(7), settings)));
        let begun = Remembered {
            id,
            answer: None,
            told: Told::NotYet,
        };
        let told = Remembered {
            told: Told::Yes,
            ..answered
        };
        assert_eq!(again.memory.commands, [begun, told]);
        // What is read is what was written before it.
        let (to, mut read) = mpsc::channel(1);
        spool
            .write(SpoolWrite::Link(Write::Record(row(4)), None))
            .unwrap();
        let reading = Reading {
            after: Some(row(1).place),
            most: 5,
        };
        spool.write(SpoolWrite::Read(reading, to)).unwrap();
        let Some(FromDisk::Read(rows)) = read.blocking_recv() else {
            panic!("nothing was read");
        };
        assert_eq!(rows, [row(3), row(4)]);
    }

    #[test]
    fn d2_of_another_claim_nothing_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, first, answers) = open(folder.path(), "a/1");
        spool
            .write(SpoolWrite::Link(Write::Record(row(1)), Some(99)))
            .unwrap();
        drop(answers);
        spool.finish();
        let (_spool, other, _answers) = open(folder.path(), "a/2");
        assert!(other.memory.records.is_empty());
        assert_eq!(other.mark, 40);
        assert!(other.boot > first.boot);
    }
}
