//! How a core is, read from its store alone: for `status`, whether the core runs or not.

use std::fmt;

use model::Timestamp;
use serde::Serialize;

use crate::api::Time;
use crate::backup;
use crate::config::Settings;
use crate::store::{Engine, Store, StoreError, Tx, query};

const DAY_MS: i64 = 24 * 3600 * 1000;
/// A certificate that ends so soon wants somebody to look.
const SOON_DAYS: i64 = 30;
/// A backup older than this is none.
const BACKUP_DAYS: i64 = 7;
/// Less free room in the folder is too little.
const LEAST_FREE: u64 = 1 << 30;

/// A core at one moment.
#[derive(Debug, Serialize)]
pub(crate) struct State {
    version: &'static str,
    /// The newest migration of its tables.
    schema: i64,
    engine: &'static str,
    nodes: Vec<Node>,
    devices: Devices,
    waiting: Waiting,
    authorities: Vec<Authority>,
    space: Space,
    last_backup: Option<Time>,
    /// What somebody should look at, in words.
    pub(crate) attention: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Node {
    id: String,
    started: Time,
    /// Whether it holds its lease.
    runs: bool,
}

#[derive(Debug, Serialize)]
struct Devices {
    claimed: i64,
    online: i64,
}

/// Lengths of queues.
#[derive(Debug, Serialize)]
struct Waiting {
    commands: i64,
    letters: i64,
    exports: i64,
    uploads: i64,
    blobs_leaving: i64,
}

#[derive(Debug, Serialize)]
struct Authority {
    kind: String,
    ends: Time,
}

/// In octets.
#[derive(Debug, Serialize)]
struct Space {
    database: i64,
    blobs: i64,
    /// In the folder of the core.
    free: Option<u64>,
}

/// Reads it all; changes nothing.
pub(crate) async fn gather(
    store: &Store,
    settings: &Settings,
    now: Timestamp,
) -> Result<State, StoreError> {
    let mut tx = store.read().await?;
    let engine = match tx.engine() {
        Engine::Sqlite => "SQLite",
        Engine::Postgres => "PostgreSQL",
    };
    let schema = tx.schema().await?.last().copied().unwrap_or(0);
    let free = rustix::fs::statvfs(&settings.folder)
        .ok()
        .map(|folder| folder.f_bavail.saturating_mul(folder.f_frsize));
    let mut state = State {
        version: env!("CARGO_PKG_VERSION"),
        schema,
        engine,
        nodes: nodes(&mut tx, now).await?,
        devices: devices(&mut tx).await?,
        waiting: waiting(&mut tx).await?,
        authorities: authorities(&mut tx).await?,
        space: Space {
            database: tx.database_octets().await?,
            blobs: count(
                &mut tx,
                "SELECT CAST(COALESCE(sum(size), 0) AS BIGINT) AS n FROM blob",
            )
            .await?,
            free,
        },
        last_backup: backup::last(&mut tx).await?.map(Time),
        attention: Vec::new(),
    };
    state.attention = state.judged(now);
    Ok(state)
}

async fn count(tx: &mut Tx, asked: &'static str) -> Result<i64, StoreError> {
    tx.one(query(asked)).await?.int("n")
}

async fn nodes(tx: &mut Tx, now: Timestamp) -> Result<Vec<Node>, StoreError> {
    let asked = query("SELECT id, started, lease_until FROM node ORDER BY started, id LIMIT 100");
    let rows = tx.all(asked).await?;
    rows.iter()
        .map(|row| {
            Ok(Node {
                id: row.text("id")?,
                started: Time(row.time("started")?),
                runs: row.time("lease_until")? > now,
            })
        })
        .collect()
}

async fn devices(tx: &mut Tx) -> Result<Devices, StoreError> {
    Ok(Devices {
        claimed: count(
            tx,
            "SELECT count(*) AS n FROM device WHERE company_id IS NOT NULL",
        )
        .await?,
        online: count(tx, "SELECT count(*) AS n FROM connection WHERE online = 1").await?,
    })
}

async fn waiting(tx: &mut Tx) -> Result<Waiting, StoreError> {
    Ok(Waiting {
        commands: count(
            tx,
            "SELECT count(*) AS n FROM command WHERE state = 'queued'",
        )
        .await?,
        letters: count(
            tx,
            "SELECT count(*) AS n FROM letter WHERE state = 'waiting'",
        )
        .await?,
        exports: count(tx, "SELECT count(*) AS n FROM export WHERE blob_id IS NULL").await?,
        uploads: count(tx, "SELECT count(*) AS n FROM upload WHERE blob_id IS NULL").await?,
        blobs_leaving: count(tx, "SELECT count(*) AS n FROM blob WHERE state = 'leaving'").await?,
    })
}

async fn authorities(tx: &mut Tx) -> Result<Vec<Authority>, StoreError> {
    let asked =
        query("SELECT kind, not_after FROM authority WHERE state = 'issuing' ORDER BY kind");
    let rows = tx.all(asked).await?;
    rows.iter()
        .map(|row| {
            Ok(Authority {
                kind: row.text("kind")?,
                ends: Time(row.time("not_after")?),
            })
        })
        .collect()
}

impl State {
    fn judged(&self, now: Timestamp) -> Vec<String> {
        let mut attention = Vec::new();
        if !self.nodes.iter().any(|node| node.runs) {
            attention.push("no core runs on this store: start one".to_owned());
        }
        let days_since = |at: Time| (now.unix_ms() - at.0.unix_ms()) / DAY_MS;
        for authority in &self.authorities {
            if -days_since(authority.ends) < SOON_DAYS {
                attention.push(format!(
                    "the authority of {} ends on {}: `admin renew-authority`",
                    authority.kind, authority.ends.0
                ));
            }
        }
        match self.last_backup {
            None => attention.push("there was never a backup: `backup --to FILE`".to_owned()),
            Some(at) if days_since(at) >= BACKUP_DAYS => attention.push(format!(
                "the last backup is of {}: `backup --to FILE`",
                at.0
            )),
            Some(_) => {}
        }
        if let Some(free) = self.space.free.filter(|free| *free < LEAST_FREE) {
            attention.push(format!("only {} are free in its folder", octets(free)));
        }
        attention
    }
}

fn octets(octets: u64) -> String {
    match octets {
        0..1024 => format!("{octets} octets"),
        1024..1_048_576 => format!("{} KiB", octets >> 10),
        1_048_576..1_073_741_824 => format!("{} MiB", octets >> 20),
        _ => format!("{} GiB", octets >> 30),
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sized = |size: i64| octets(size.unsigned_abs());
        writeln!(f, "version    {}", self.version)?;
        writeln!(
            f,
            "store      {}, tables of {:04}",
            self.engine, self.schema
        )?;
        for node in &self.nodes {
            let how = if node.runs { "runs" } else { "is gone" };
            writeln!(f, "node       {} {how}, since {}", node.id, node.started.0)?;
        }
        let devices = &self.devices;
        writeln!(
            f,
            "devices    {} claimed, {} online",
            devices.claimed, devices.online
        )?;
        let waiting = &self.waiting;
        writeln!(
            f,
            "waiting    {} commands, {} letters, {} exports, {} uploads, {} blobs to delete",
            waiting.commands,
            waiting.letters,
            waiting.exports,
            waiting.uploads,
            waiting.blobs_leaving
        )?;
        for authority in &self.authorities {
            writeln!(
                f,
                "authority  of {} until {}",
                authority.kind, authority.ends.0
            )?;
        }
        let space = &self.space;
        writeln!(
            f,
            "space      {} in rows, {} in blobs, {} free",
            sized(space.database),
            sized(space.blobs),
            space.free.map_or("unknown".to_owned(), octets)
        )?;
        match self.last_backup {
            Some(at) => writeln!(f, "backup     {}", at.0)?,
            None => writeln!(f, "backup     never")?,
        }
        for reason in &self.attention {
            writeln!(f, "attention  {reason}")?;
        }
        Ok(())
    }
}
