//! Opening the store: one folder, or one address of a PostgreSQL server.
//!
//! In SQLite there is one connection that writes and several that read; every commit reaches the
//! disk (WAL, synchronous FULL). In PostgreSQL one pool serves both. Migrations run at opening, each
//! once. Invariant: a store that opened has the tables of this version.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Connection as _, Postgres, Transaction};
use thiserror::Error;
use tokio::sync::Notify;

use super::feed::Feed;
use super::migrations;
use super::sql::{StoreError, Tx};

/// How long a statement may wait for the writer before it is an error.
const BUSY: Duration = Duration::from_secs(5);

/// How long a request may wait for a connection.
const ACQUIRE: Duration = Duration::from_secs(10);

/// Texts of statements that a connection keeps prepared: those of this program, and those of lists by
/// their lengths.
const PREPARED: usize = 1000;

/// A connection to a server that was not used for so long is tried before it is: the server may have
/// been started anew.
const TRIED_AFTER: Duration = Duration::from_secs(1);

/// Where the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file of SQLite.
    File(PathBuf),
    /// A PostgreSQL server: `postgres://user@host/database`.
    Server(PgPlace),
}

/// The address of a database with its password, which is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PgPlace {
    pub(crate) address: String,
    /// When it does not stand in the address.
    pub(crate) password: Option<String>,
}

impl std::fmt::Debug for PgPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostgreSQL")
    }
}

/// Why the store cannot be used.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    #[error(
        "the database {place} cannot be opened; it must be there, writable and of this program"
    )]
    Open {
        place: String,
        #[source]
        source: sqlx::Error,
    },
    #[error(
        "the tables cannot be brought to this version; a database of a newer version needs the newer program"
    )]
    Migrate(#[source] sqlx::migrate::MigrateError),
}

/// The open store. A clone is the same store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(super) pools: Pools,
    pub(super) signals: Arc<Signals>,
    pub(super) feed: Arc<Feed>,
}

/// Who is told of a change.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// All who listen in this process: something was committed, here or on another node.
    pub(super) changed: Notify,
    /// The one that tells other nodes: something was committed here.
    pub(super) committed: Notify,
}

#[derive(Clone, Debug)]
pub(super) enum Pools {
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres(PgPool),
}

/// How many connections to the database there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Connections {
    pub(crate) all: u64,
    pub(crate) idle: u64,
}

impl Store {
    pub(crate) async fn open(place: &Place) -> Result<Self, OpenError> {
        let pools = match place {
            Place::File(file) => open_file(file).await?,
            Place::Server(address) => open_server(address).await?,
        };
        match &pools {
            Pools::Sqlite { writer, .. } => migrations::SQLITE.run(writer).await,
            Pools::Postgres(pool) => migrations::POSTGRES.run(pool).await,
        }
        .map_err(OpenError::Migrate)?;
        Ok(Self {
            pools,
            signals: Arc::default(),
            feed: Arc::default(),
        })
    }

    /// A transaction that only reads; it sees one state of the whole.
    pub(crate) async fn read(&self) -> Result<Tx, StoreError> {
        match &self.pools {
            Pools::Sqlite { readers, .. } => Ok(Tx::sqlite(readers.begin().await?, None)),
            Pools::Postgres(pool) => {
                let snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                Ok(Tx::postgres(begun(pool, snapshot).await?, None))
            }
        }
    }

    /// A transaction that writes.
    pub(crate) async fn write(&self) -> Result<Tx, StoreError> {
        let signals = Some(Arc::clone(&self.signals));
        match &self.pools {
            // Begun as a writer, so that it never has to become one and fail at it.
            Pools::Sqlite { writer, .. } => Ok(Tx::sqlite(
                writer.begin_with("BEGIN IMMEDIATE").await?,
                signals,
            )),
            Pools::Postgres(pool) => Ok(Tx::postgres(begun(pool, "BEGIN").await?, signals)),
        }
    }

    /// Connections of this moment.
    pub(crate) fn connections(&self) -> Connections {
        let of = |all: u32, idle: usize| Connections {
            all: all.into(),
            idle: idle as u64,
        };
        match &self.pools {
            Pools::Sqlite { writer, readers } => of(
                writer.size() + readers.size(),
                writer.num_idle() + readers.num_idle(),
            ),
            Pools::Postgres(pool) => of(pool.size(), pool.num_idle()),
        }
    }

    /// Wakes when a change was committed. A hint: ask for `news`, and ask by yourself too, since
    /// hints of other nodes may be lost.
    pub(crate) fn changed(&self) -> &Notify {
        &self.signals.changed
    }

    pub(crate) async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

/// Begins a transaction, also when nobody waits for it any more: sqlx (0.9.0) forgets a BEGIN that is
/// cancelled before its answer, and whoever is given the connection next finds itself in the
/// transaction of somebody else, which may only read.
async fn begun(
    pool: &PgPool,
    statement: &'static str,
) -> Result<Transaction<'static, Postgres>, StoreError> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin_with(statement).await });
    let begun = begun.await.map_err(|_| sqlx::Error::WorkerCrashed)?;
    Ok(begun?)
}

async fn open_file(file: &std::path::Path) -> Result<Pools, OpenError> {
    let reading = SqliteConnectOptions::new()
        .filename(file)
        .statement_cache_capacity(PREPARED)
        .busy_timeout(BUSY);
    let writing = reading
        .clone()
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .foreign_keys(true);
    let failed = |source| OpenError::Open {
        place: file.display().to_string(),
        source,
    };
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        // A file does not go away.
        .test_before_acquire(false)
        .acquire_timeout(ACQUIRE)
        .connect_with(writing)
        .await
        .map_err(failed)?;
    let readers = SqlitePoolOptions::new()
        .max_connections(8)
        .test_before_acquire(false)
        .acquire_timeout(ACQUIRE)
        .connect_with(reading.read_only(true))
        .await
        .map_err(failed)?;
    Ok(Pools::Sqlite { writer, readers })
}

async fn open_server(address: &PgPlace) -> Result<Pools, OpenError> {
    let failed = |source| OpenError::Open {
        place: "PostgreSQL".to_owned(),
        source,
    };
    let mut options: PgConnectOptions = address.address.parse().map_err(failed)?;
    options = options.statement_cache_capacity(PREPARED);
    if let Some(password) = &address.password {
        options = options.password(password);
    }
    let pool = PgPoolOptions::new()
        .max_connections(16)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > TRIED_AFTER {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .acquire_timeout(ACQUIRE)
        .connect_with(options)
        .await
        .map_err(failed)?;
    Ok(Pools::Postgres(pool))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::query;
    use crate::store::testing::on_both;

    #[tokio::test(flavor = "multi_thread")]
    async fn who_goes_away_while_a_transaction_begins_leaves_nothing_to_others() {
        on_both(async |store| {
            for step in 0..400 {
                let patience = Duration::from_micros(step % 40 * 20);
                let _ = tokio::time::timeout(patience, store.read()).await;
            }
            for _ in 0..40 {
                let mut tx = store.write().await.unwrap();
                let written = query("UPDATE company SET name = name WHERE id = ''");
                tx.execute(written).await.expect("it may write");
                tx.commit().await.unwrap();
            }
        })
        .await;
    }
}
