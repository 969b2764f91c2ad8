//! A store for a test: each test runs on both engines.

use super::{PgPlace, Place, Store};

/// Runs a test on an empty store of SQLite, and on an empty one of PostgreSQL.
pub(crate) async fn on_both<T>(test: T)
where
    T: AsyncFn(Store),
{
    let folder = tempfile::tempdir().expect("a folder for the test");
    let place = Place::File(folder.path().join("core.db"));
    let store = Store::open(&place).await.expect("a store of SQLite");
    test(store.clone()).await;
    store.close().await;

    let address = test_postgres::database().expect("a PostgreSQL server for the tests");
    let place = Place::Server(PgPlace {
        address,
        password: None,
    });
    let store = Store::open(&place).await.expect("a store of PostgreSQL");
    test(store.clone()).await;
    store.close().await;
}
