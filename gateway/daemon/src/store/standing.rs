//! Diversions and programmes of stations, in the journal's file: as small and as dear as it.
//!
//! Invariant: one row for each station and kind, which says what holds now.

use std::time::Duration;

use exchange::{Standing, StandingOrder};
use model::{Address, CallNumber, ForwardWhen, ForwardingRule, NodeId};
use rusqlite::{Connection, params};

pub(super) const TABLES: &str = "
        CREATE TABLE diversion (
            station TEXT PRIMARY KEY,
            condition TEXT NOT NULL,
            after_ms INTEGER,
            node INTEGER,
            number TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE programme (
            station TEXT PRIMARY KEY,
            programme INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
    ";

pub(super) fn write(connection: &Connection, standing: &Standing) -> rusqlite::Result<()> {
    let station = standing.station.to_string();
    match &standing.order {
        StandingOrder::Diversion(Some(rule)) => write_diversion(connection, &station, rule),
        StandingOrder::Diversion(None) => {
            connection.execute("DELETE FROM diversion WHERE station = ?1", [station])?;
            Ok(())
        }
        StandingOrder::Programme(Some(programme)) => {
            connection.execute(
                "INSERT INTO programme VALUES (?1, ?2)
                 ON CONFLICT (station) DO UPDATE SET programme = excluded.programme",
                params![station, programme],
            )?;
            Ok(())
        }
        StandingOrder::Programme(None) => {
            connection.execute("DELETE FROM programme WHERE station = ?1", [station])?;
            Ok(())
        }
    }
}

fn write_diversion(
    connection: &Connection,
    station: &str,
    rule: &ForwardingRule,
) -> rusqlite::Result<()> {
    let (node, number) = match &rule.to {
        Address::Local(number) => (None, *number),
        Address::Remote { node, number } => (Some(node.get().cast_signed()), *number),
        Address::Sip(_) | Address::CloudUser(_) | Address::Group(_) | Address::Desk(_) => {
            tracing::warn!("a diversion to what has no number is not kept over a restart");
            return Ok(());
        }
    };
    let (condition, after) = match rule.when {
        ForwardWhen::Always => (ALWAYS, None),
        ForwardWhen::Busy => (BUSY, None),
        ForwardWhen::NoAnswer { after } => (NO_ANSWER, Some(after)),
        ForwardWhen::Unreachable => (UNREACHABLE, None),
    };
    let after = after.map(|after| i64::try_from(after.as_millis()).unwrap_or(i64::MAX));
    connection.execute(
        "INSERT INTO diversion VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (station) DO UPDATE SET condition = excluded.condition,
         after_ms = excluded.after_ms, node = excluded.node, number = excluded.number",
        params![station, condition, after, node, number.to_string()],
    )?;
    Ok(())
}

/// All that hold. A row that is damaged is left out, and said.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<Vec<Standing>> {
    let mut standing = Vec::new();
    let mut statement =
        connection.prepare("SELECT station, condition, after_ms, node, number FROM diversion")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let station: String = row.get(0)?;
        let condition: String = row.get(1)?;
        let after: Option<i64> = row.get(2)?;
        let node: Option<i64> = row.get(3)?;
        let number: String = row.get(4)?;
        let read = || {
            let number = CallNumber::parse(&number).ok()?;
            let to = match node {
                Some(node) => Address::Remote {
                    node: NodeId::new(node.cast_unsigned()),
                    number,
                },
                None => Address::Local(number),
            };
            let rule = ForwardingRule::new(when(&condition, after)?, to);
            let order = StandingOrder::Diversion(Some(rule));
            let station = CallNumber::parse(&station).ok()?;
            Some(Standing { station, order })
        };
        match read() {
            Some(read) => standing.push(read),
            None => tracing::warn!("a stored diversion is damaged and left out"),
        }
    }
    let mut statement = connection.prepare("SELECT station, programme FROM programme")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (station, programme): (String, u8) = (row.get(0)?, row.get(1)?);
        let order = StandingOrder::Programme(Some(programme));
        match CallNumber::parse(&station) {
            Ok(station) => standing.push(Standing { station, order }),
            Err(_) => tracing::warn!("a stored programme is damaged and left out"),
        }
    }
    Ok(standing)
}

const ALWAYS: &str = "always";
const BUSY: &str = "busy";
const NO_ANSWER: &str = "no-answer";
const UNREACHABLE: &str = "unreachable";

fn when(condition: &str, after: Option<i64>) -> Option<ForwardWhen> {
    match condition {
        ALWAYS => Some(ForwardWhen::Always),
        BUSY => Some(ForwardWhen::Busy),
        NO_ANSWER => {
            let after = Duration::from_millis(u64::try_from(after?).ok()?);
            Some(ForwardWhen::NoAnswer { after })
        }
        UNREACHABLE => Some(ForwardWhen::Unreachable),
        _ => None,
    }
}
