//! Where stations are registered: one row for each address-of-record, with all its bindings.
//!
//! A REGISTER changes one row, so it costs one statement. The bindings themselves are packed by the
//! registrar and opaque here. Invariant: what a row says replaces what was said before; an order
//! without bindings removes it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use model::Timestamp;
use rusqlite::{Connection, params};

use super::file::{Layout, Sharing};
use super::lane::Book;

/// Rows that expired longer ago than this go; younger ones tell why a station was known.
const KEEP_EXPIRED_MS: i64 = 24 * 3_600_000;
const TIDY_ROWS: usize = 1_000;

const LAYOUT: Layout = Layout {
    name: "bindings.db",
    sharing: Sharing::Alone,
    migrations: &["
        CREATE TABLE binding (
            aor TEXT PRIMARY KEY,
            expires_ms INTEGER NOT NULL,
            bindings BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
    "],
};

/// All bindings of an address-of-record, as they are from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingsWrite {
    pub aor: Arc<str>,
    pub bindings: Vec<StoredBinding>,
}

/// One binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBinding {
    pub expires: Timestamp,
    /// As the registrar packed it.
    pub data: Box<[u8]>,
}

/// The registrations.
#[derive(Debug)]
pub(super) struct Bindings;

impl Book for Bindings {
    type Write = BindingsWrite;

    /// A station waits for its answer, but does not notice half a millisecond.
    const PACE: Duration = Duration::from_micros(500);

    fn layout() -> Layout {
        LAYOUT
    }

    fn write(connection: &Connection, write: &BindingsWrite) -> rusqlite::Result<()> {
        let latest = write.bindings.iter().map(|binding| binding.expires).max();
        let Some(latest) = latest else {
            let mut statement = connection.prepare_cached("DELETE FROM binding WHERE aor = ?1")?;
            statement.execute([&*write.aor])?;
            return Ok(());
        };
        let mut statement = connection.prepare_cached(
            "INSERT INTO binding VALUES (?1, ?2, ?3)
             ON CONFLICT (aor) DO UPDATE SET
             expires_ms = excluded.expires_ms, bindings = excluded.bindings",
        )?;
        statement.execute(params![
            &*write.aor,
            latest.unix_ms(),
            pack(&write.bindings)
        ])?;
        Ok(())
    }

    fn tidy(&self, connection: &Connection) -> rusqlite::Result<()> {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        connection.execute(
            &format!(
                "DELETE FROM binding WHERE aor IN
                 (SELECT aor FROM binding WHERE expires_ms < ?1 LIMIT {TIDY_ROWS})"
            ),
            [now.saturating_sub(KEEP_EXPIRED_MS)],
        )?;
        Ok(())
    }
}

/// All rows. One that is damaged is left out: its station registers again.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<Vec<BindingsWrite>> {
    let mut statement = connection.prepare("SELECT aor, bindings FROM binding")?;
    let rows = statement.query_map([], |row| {
        let aor: Arc<str> = row.get(0)?;
        let data: Vec<u8> = row.get(1)?;
        Ok((aor, data))
    })?;
    let mut all = Vec::new();
    for row in rows {
        let (aor, data) = row?;
        match unpack(&data) {
            Some(bindings) => all.push(BindingsWrite { aor, bindings }),
            None => tracing::warn!("a stored registration is damaged and left out"),
        }
    }
    Ok(all)
}

fn pack(bindings: &[StoredBinding]) -> Vec<u8> {
    let size = bindings.iter().map(|binding| binding.data.len() + 12).sum();
    let mut packed = Vec::with_capacity(size);
    for binding in bindings {
        let len = u32::try_from(binding.data.len()).unwrap_or(u32::MAX);
        packed.extend(binding.expires.unix_ms().to_be_bytes());
        packed.extend(len.to_be_bytes());
        packed.extend(&binding.data);
    }
    packed
}

fn unpack(mut packed: &[u8]) -> Option<Vec<StoredBinding>> {
    let mut bindings = Vec::new();
    while !packed.is_empty() {
        let (expires, rest) = packed.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
        let (data, rest) = rest.split_at_checked(len)?;
        packed = rest;
        bindings.push(StoredBinding {
            expires: Timestamp::from_unix_ms(i64::from_be_bytes(*expires)),
            data: data.into(),
        });
    }
    Some(bindings)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_read_again(rows: Vec<(i64, Vec<u8>)>) {
            let bindings: Vec<_> = rows
                .into_iter()
                .map(|(expires, data)| StoredBinding {
                    expires: Timestamp::from_unix_ms(expires),
                    data: data.into(),
                })
                .collect();
            prop_assert_eq!(unpack(&pack(&bindings)), Some(bindings));
        }

        #[test]
        fn no_damage_makes_the_reader_panic(packed: Vec<u8>) {
            let _ = unpack(&packed);
        }
    }
}
