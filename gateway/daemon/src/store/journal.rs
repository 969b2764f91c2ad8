//! What must never be lost: call records, the door journal, and what the gateway has to remember.
//!
//! Rows as SQL; every commit waits for the disk. Numbers are stored as they are, times as unix
//! milliseconds, addresses as text that a person can read. Invariant: a record is written once per
//! id; the same id again changes nothing.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use exchange::Standing;
use model::{
    Address, Authority, CallId, CallRecord, Carried, DoorRecord, DoorResult, LegId, LegRole, Mos,
    Timestamp,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::file::{Layout, Sharing};
use super::lane::Book;
use super::standing;
use super::tellings::{self, Telling};

/// Old rows removed in one round of tidying, so that none takes long.
const TIDY_ROWS: usize = 500;

pub(super) const FILE: &str = "journal.db";

const LAYOUT: Layout = Layout {
    name: FILE,
    sharing: Sharing::WithReaders,
    migrations: &[
        RECORDS,
        RECORDINGS,
        AUDIO,
        ENCRYPTION,
        standing::TABLES,
        tellings::TABLE,
    ],
};

const RECORDS: &str = "
        CREATE TABLE call_record (
            id INTEGER PRIMARY KEY,
            call INTEGER NOT NULL,
            leg INTEGER NOT NULL,
            role TEXT NOT NULL,
            station INTEGER,
            address TEXT,
            name TEXT NOT NULL,
            dialled TEXT,
            by_way_of TEXT,
            priority INTEGER NOT NULL,
            started_ms INTEGER NOT NULL,
            answered_ms INTEGER,
            ended_ms INTEGER NOT NULL,
            rang_ms INTEGER NOT NULL,
            talked_ms INTEGER NOT NULL,
            talked_with INTEGER,
            status TEXT NOT NULL,
            cause TEXT NOT NULL
        ) STRICT;
        CREATE INDEX call_record_by_call ON call_record (call);
        CREATE INDEX call_record_by_end ON call_record (ended_ms);
        CREATE TABLE door_event (
            command TEXT PRIMARY KEY,
            door INTEGER NOT NULL,
            station INTEGER,
            authority TEXT NOT NULL,
            call INTEGER,
            asked_ms INTEGER NOT NULL,
            concluded_ms INTEGER NOT NULL,
            result TEXT NOT NULL,
            reason TEXT
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX door_event_by_end ON door_event (concluded_ms);
        CREATE TABLE state (
            name TEXT PRIMARY KEY,
            value INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
    ";

const RECORDINGS: &str = "
        CREATE TABLE recording (
            file TEXT PRIMARY KEY,
            call INTEGER NOT NULL,
            began_ms INTEGER NOT NULL,
            length_ms INTEGER,
            bytes INTEGER,
            failure TEXT
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX recording_by_call ON recording (call);
        CREATE INDEX recording_by_begin ON recording (began_ms);
    ";

/// How the sound of the leg travelled: what the device sent (`heard`), and what it says about what
/// it was sent (`hears`). NULL where it is not known, as in records of before.
const AUDIO: &str = "
        ALTER TABLE call_record ADD COLUMN codec TEXT;
        ALTER TABLE call_record ADD COLUMN bandwidth TEXT;
        ALTER TABLE call_record ADD COLUMN transcoded INTEGER;
        ALTER TABLE call_record ADD COLUMN round_trip_ms REAL;
        ALTER TABLE call_record ADD COLUMN heard_packets INTEGER;
        ALTER TABLE call_record ADD COLUMN heard_lost INTEGER;
        ALTER TABLE call_record ADD COLUMN heard_late INTEGER;
        ALTER TABLE call_record ADD COLUMN heard_jitter_ms REAL;
        ALTER TABLE call_record ADD COLUMN heard_delay_ms REAL;
        ALTER TABLE call_record ADD COLUMN heard_mos REAL;
        ALTER TABLE call_record ADD COLUMN heard_concealed_ms REAL;
        ALTER TABLE call_record ADD COLUMN heard_buffer_most_ms REAL;
        ALTER TABLE call_record ADD COLUMN heard_level_dbov REAL;
        ALTER TABLE call_record ADD COLUMN hears_packets INTEGER;
        ALTER TABLE call_record ADD COLUMN hears_lost INTEGER;
        ALTER TABLE call_record ADD COLUMN hears_jitter_ms REAL;
        ALTER TABLE call_record ADD COLUMN hears_mos REAL;
    ";

/// The suite of SRTP, if any.
const ENCRYPTION: &str = "
        ALTER TABLE call_record ADD COLUMN encryption TEXT;
    ";

/// One row to write.
#[derive(Clone, Debug)]
pub enum JournalWrite {
    Call(Box<CallRecord>),
    Door(Box<DoorRecord>),
    /// Written when it begins, and again when it has ended.
    Recording(Box<RecordingNote>),
    Standing(Standing),
    Telling(Box<Telling>),
    /// A record, and what the cloud core is told of it: both or neither.
    Told(Box<Self>, Box<Telling>),
}

/// A recording of a call has begun, or has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingNote {
    pub call: CallId,
    pub file: PathBuf,
    pub began: Timestamp,
    pub end: Option<RecordingEnd>,
}

/// What a recording came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingEnd {
    pub length: Duration,
    pub bytes: u64,
    /// All that were ever in it.
    pub legs: Vec<LegId>,
    /// Why it is shorter than the call.
    pub failure: Option<String>,
}

/// The journal.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) keep: Duration,
}

impl Book for Journal {
    type Write = JournalWrite;

    /// Nobody waits for a record, and every commit waits for the disk.
    const PACE: Duration = Duration::from_millis(100);

    fn layout() -> Layout {
        LAYOUT
    }

    fn write(connection: &Connection, write: &JournalWrite) -> rusqlite::Result<()> {
        match write {
            JournalWrite::Call(record) => write_call(connection, record),
            JournalWrite::Door(record) => write_door(connection, record),
            JournalWrite::Recording(note) => write_recording(connection, note),
            JournalWrite::Standing(order) => standing::write(connection, order),
            JournalWrite::Telling(telling) => tellings::write(connection, telling),
            JournalWrite::Told(record, telling) => {
                Self::write(connection, record)?;
                tellings::write(connection, telling)
            }
        }
    }

    fn tidy(&self, connection: &Connection) -> rusqlite::Result<()> {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let Some(limit) = now.checked_sub(self.keep) else {
            return Ok(());
        };
        let limit = milliseconds(limit);
        let told = milliseconds(now.saturating_sub(tellings::KEPT));
        connection.execute(
            "DELETE FROM telling WHERE number IN
             (SELECT number FROM telling WHERE at_ms < ?1 LIMIT 500)",
            [told],
        )?;
        for (table, key, time) in [
            ("call_record", "id", "ended_ms"),
            ("door_event", "command", "concluded_ms"),
            ("recording", "file", "began_ms"),
        ] {
            connection.execute(
                &format!(
                    "DELETE FROM {table} WHERE {key} IN
                     (SELECT {key} FROM {table} WHERE {time} < ?1 LIMIT {TIDY_ROWS})"
                ),
                [limit],
            )?;
        }
        Ok(())
    }
}

/// Counts this start and answers its number, durably before it is used.
pub(super) fn count_start(connection: &Connection, at_least: u32) -> rusqlite::Result<u32> {
    let before: Option<i64> = connection
        .query_row("SELECT value FROM state WHERE name = 'starts'", [], |row| {
            row.get(0)
        })
        .optional()?;
    let count = before.unwrap_or(0).wrapping_add(1).max(i64::from(at_least));
    connection.execute(
        "INSERT INTO state VALUES ('starts', ?1)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        [count],
    )?;
    // The engine takes the lower 24 bits; they come round after 16 million starts.
    Ok(u32::try_from(count & 0x00ff_ffff).unwrap_or_default())
}

fn write_call(connection: &Connection, record: &CallRecord) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO call_record VALUES
         (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
          ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35,
          ?36)
         ON CONFLICT (id) DO NOTHING",
    )?;
    let role = match record.role {
        LegRole::Caller => "caller",
        LegRole::Callee => "callee",
    };
    let audio = record.audio.as_ref();
    let heard = audio.map(|audio| &audio.received);
    let decoded = heard.and_then(|heard| heard.decoded.as_ref());
    let sent = audio.map(|audio| &audio.sent);
    let hears = sent.and_then(|sent| sent.far.as_ref());
    statement.execute(params![
        bits(record.id.get()),
        bits(record.call.get()),
        bits(record.leg.get()),
        role,
        record.party.station.map(|station| bits(station.get())),
        record.party.address.as_ref().map(address),
        record.party.name.reveal(),
        record.dialled.as_ref().map(address),
        record.by_way_of.as_ref().map(address),
        record.priority.get(),
        record.started.unix_ms(),
        record.answered.map(Timestamp::unix_ms),
        record.ended.unix_ms(),
        milliseconds(record.rang_for),
        milliseconds(record.talked_for),
        record.talked_with.map(|leg| bits(leg.get())),
        record.status.name(),
        record.cause.name(),
        audio.and_then(|audio| Some(audio.codec?.name())),
        audio.and_then(|audio| Some(audio.band?.name())),
        audio.map(|audio| audio.carried == Carried::Transcoded),
        audio.and_then(|audio| Some(fractional_ms(audio.round_trip?))),
        heard.map(|heard| bits(heard.packets)),
        heard.map(|heard| bits(heard.lost)),
        decoded.map(|decoded| bits(decoded.late)),
        heard.map(|heard| fractional_ms(heard.jitter)),
        heard.and_then(|heard| Some(fractional_ms(heard.delay?))),
        heard.and_then(|heard| Some(score(heard.mos?))),
        decoded.map(|decoded| fractional_ms(decoded.concealed)),
        decoded.map(|decoded| fractional_ms(decoded.buffer_most)),
        decoded.and_then(|decoded| Some(f64::from(decoded.level?.tenths()) / 10.0)),
        sent.map(|sent| bits(sent.packets)),
        hears.map(|hears| bits(hears.lost)),
        hears.map(|hears| fractional_ms(hears.jitter)),
        hears.and_then(|hears| Some(score(hears.mos?))),
        audio.and_then(|audio| audio.encryption),
    ])?;
    Ok(())
}

fn write_door(connection: &Connection, record: &DoorRecord) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO door_event VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (command) DO NOTHING",
    )?;
    let (result, reason) = match record.result {
        DoorResult::Opened => ("opened", None),
        DoorResult::SentNotConfirmed => ("sent_not_confirmed", None),
        DoorResult::Failed => ("failed", None),
        DoorResult::Denied(why) => ("denied", Some(why.to_string())),
    };
    statement.execute(params![
        record.command.to_string(),
        bits(record.door.get()),
        record.station.map(|station| bits(station.get())),
        authority(record.authority),
        record.call.map(|call| bits(call.get())),
        record.asked.unix_ms(),
        record.concluded.unix_ms(),
        result,
        reason,
    ])?;
    Ok(())
}

fn write_recording(connection: &Connection, note: &RecordingNote) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO recording VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (file) DO UPDATE SET
         length_ms = excluded.length_ms, bytes = excluded.bytes, failure = excluded.failure",
    )?;
    let end = note.end.as_ref();
    statement.execute(params![
        note.file.to_string_lossy(),
        bits(note.call.get()),
        note.began.unix_ms(),
        end.map(|end| milliseconds(end.length)),
        end.map(|end| bits(end.bytes)),
        end.and_then(|end| end.failure.as_deref()),
    ])?;
    Ok(())
}

/// SQLite knows signed numbers only: the same bits, so that nothing is lost.
fn bits(id: u64) -> i64 {
    id.cast_signed()
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// To a hundredth: more would be noise.
fn fractional_ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

fn score(mos: Mos) -> f64 {
    f64::from(mos.hundredths()) / 100.0
}

fn address(address: &Address) -> String {
    match address {
        Address::Local(number) => number.to_string(),
        Address::Remote { node, number } => format!("{node}/{number}"),
        Address::Sip(uri) => uri.as_str().to_owned(),
        Address::CloudUser(user) => user.to_string(),
        Address::Group(group) => group.to_string(),
        Address::Desk(desk) => desk.to_string(),
    }
}

fn authority(authority: Authority) -> String {
    match authority {
        Authority::Leg(leg) => leg.to_string(),
        Authority::Station(station) => station.to_string(),
        Authority::CloudUser(user) => user.to_string(),
        Authority::Operator => "operator".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::file::{Check, open};
    use crate::store::{Sync, tests};

    #[test]
    fn records_of_before_the_figures_stay_and_new_ones_have_them() {
        let folder = tempfile::tempdir().unwrap();
        let before = Layout {
            migrations: &[RECORDS, RECORDINGS],
            ..LAYOUT
        };
        let old = open(folder.path(), before, Sync::Power, Check::Now).unwrap();
        let insert = "INSERT INTO call_record VALUES
            (1, 2, 3, 'caller', NULL, NULL, 'x', NULL, NULL, 70, 0, NULL, 9, 9, 0, NULL,
             'no_answer', 'no_answer')";
        old.connection.execute(insert, []).unwrap();
        drop(old);
        let new = open(folder.path(), LAYOUT, Sync::Power, Check::Now).unwrap();
        write_call(&new.connection, &tests::call_with_audio(2)).unwrap();
        let mut rows = new
            .connection
            .prepare(
                "SELECT id, codec, transcoded, heard_lost, heard_late, heard_jitter_ms, heard_mos,
                        heard_level_dbov, hears_lost, hears_mos, encryption
                        FROM call_record ORDER BY id",
            )
            .unwrap();
        let rows: Vec<Vec<rusqlite::types::Value>> = rows
            .query_map([], |row| (0..11).map(|column| row.get(column)).collect())
            .unwrap()
            .map(Result::unwrap)
            .collect();
        use rusqlite::types::Value::{Integer, Null, Real, Text};
        let mut nothing = vec![Integer(1)];
        nothing.resize(11, Null);
        let figures = vec![
            Integer(2),
            Text("g722".into()),
            Integer(1),
            Integer(12),
            Integer(3),
            Real(4.25),
            Real(4.02),
            Real(-26.4),
            Null,
            Null,
            Text("AEAD_AES_128_GCM".into()),
        ];
        assert_eq!(rows, [nothing, figures]);
    }
}
