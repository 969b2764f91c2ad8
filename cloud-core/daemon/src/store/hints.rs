//! Hints between nodes: who commits a change wakes the others, by NOTIFY of PostgreSQL.
//!
//! A hint says that there is something, never what. One task sends them for the whole node, at most
//! twenty a second: each NOTIFY holds up all commits of the database for a moment. Readers look at
//! the cursor table by themselves as well, so a hint that is lost, or a database that has none
//! (CockroachDB), costs them up to a second and nothing else. Invariant: a hint that came is not
//! passed on.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool};
use tokio_util::sync::CancellationToken;

use super::open::{Pools, Signals, Store};

const CHANNEL: &str = "antiphon_changes";

/// Between two hints of this node.
const PAUSE: Duration = Duration::from_millis(50);

/// After a failure.
const AGAIN: Duration = Duration::from_secs(5);

/// Sends and hears hints until it is told to stop; `node` is what this process calls itself.
pub(crate) async fn exchange(store: Store, node: String, stop: CancellationToken) {
    if let Pools::Postgres(pool) = &store.pools {
        let told = tell(pool, &store.signals, &node);
        let heard = hear(pool, &store.signals, &node);
        stop.run_until_cancelled(async { tokio::join!(told, heard) })
            .await;
    }
    // A file has one node, and a database without NOTIFY is asked no further.
    stop.cancelled().await;
}

/// The database knows no hints.
fn has_none(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    // Feature not supported, undefined function, syntax error.
    let none = code.is_some_and(|code| matches!(code.as_ref(), "0A000" | "42883" | "42601"));
    if none {
        tracing::info!(
            "this database has no NOTIFY: nodes see each other's changes within a second"
        );
    }
    none
}

async fn tell(pool: &PgPool, signals: &Signals, node: &str) {
    loop {
        signals.committed.notified().await;
        let hint = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL);
        match hint.bind(node).execute(pool).await {
            Ok(_) => tokio::time::sleep(PAUSE).await,
            Err(error) if has_none(&error) => return,
            Err(error) => {
                tracing::debug!(%error, "a hint was not sent");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

async fn hear(pool: &PgPool, signals: &Signals, node: &str) {
    loop {
        match listen(pool, signals, node).await {
            Err(error) if has_none(&error) => return,
            Ok(()) => {}
            Err(error) => tracing::debug!(%error, "hints of other nodes are not heard"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Until the connection ends.
async fn listen(pool: &PgPool, signals: &Signals, node: &str) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    while let Some(hint) = listener.try_recv().await? {
        if hint.payload() != node {
            signals.changed.notify_waiters();
        }
    }
    // Something may have been missed.
    signals.changed.notify_waiters();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use cloud_logic::ids::CompanyId;
    use model::Timestamp;
    use tokio::time::timeout;

    use super::*;
    use crate::store::changes::{Change, What, Whose};
    use crate::store::{PgPlace, Place};

    const LONG: Duration = Duration::from_secs(20);

    async fn change(store: &Store) {
        let mut tx = store.write().await.unwrap();
        tx.changed(Change {
            at: Timestamp::from_unix_ms(1),
            whose: Whose::default(),
            kind: "company",
            id: CompanyId::from_bits(1).to_string(),
            what: What::Updated,
        });
        tx.commit().await.unwrap();
    }

    fn place() -> Place {
        let address = test_postgres::database().unwrap();
        let password = None;
        Place::Server(PgPlace { address, password })
    }

    struct Node {
        store: Store,
        stop: CancellationToken,
        task: tokio::task::JoinHandle<()>,
    }

    impl Node {
        async fn open(place: &Place, name: &str) -> Self {
            let store = Store::open(place).await.unwrap();
            let stop = CancellationToken::new();
            let task = exchange(store.clone(), name.to_owned(), stop.clone());
            let task = tokio::spawn(task);
            Self { store, stop, task }
        }

        async fn close(self) {
            self.stop.cancel();
            self.task.await.unwrap();
            self.store.close().await;
        }
    }

    /// Changes are made until one is heard: when the listener begins nobody knows.
    async fn heard(from: &Node, at: &Node) {
        let heard = at.store.changed().notified();
        let mut heard = std::pin::pin!(heard);
        let begin = Instant::now();
        while timeout(PAUSE, heard.as_mut()).await.is_err() {
            assert!(begin.elapsed() < LONG, "no hint came");
            change(&from.store).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_node_is_woken_by_another_ones_commit_and_passes_nothing_on_g6() {
        let place = place();
        let (first, second) = (Node::open(&place, "1").await, Node::open(&place, "2").await);
        heard(&first, &second).await;
        heard(&second, &first).await;
        // Many commits are few hints.
        let begin = Instant::now();
        let watched = second.store.clone();
        let counted = tokio::spawn(async move {
            let mut hints = 0;
            while timeout(Duration::from_secs(1), watched.changed().notified())
                .await
                .is_ok()
            {
                hints += 1;
            }
            hints
        });
        for _ in 0..200 {
            change(&first.store).await;
        }
        let hints = counted.await.unwrap();
        let most = begin.elapsed().as_millis() / PAUSE.as_millis() + 2;
        assert!((1..=most).contains(&hints), "{hints} of at most {most}");
        first.close().await;
        second.close().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_database_without_notify_is_left_alone() {
        let place = place();
        let store = Store::open(&place).await.unwrap();
        let Pools::Postgres(pool) = &store.pools else {
            panic!("a server")
        };
        let taken = "ALTER FUNCTION pg_catalog.pg_notify(text, text) RENAME TO pg_notify_taken";
        sqlx::query(taken).execute(pool).await.unwrap();
        change(&store).await;
        timeout(LONG, tell(pool, &store.signals, "1"))
            .await
            .expect("it gives up");
        store.close().await;
    }
}
