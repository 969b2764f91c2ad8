//! Putting other rows in the place of all that are there, in one transaction.
//!
//! References between rows are checked at its end, so rows may come in any order.

use super::sql::{Engine, StoreError, Tx, query};
use super::tables::Table;

/// Readers of changes who saw what came after a backup must not take new ones for those: numbers go
/// on so far beyond.
const LEAP: i64 = 1_000_000;

impl Tx {
    /// From here on, rows may refer to others that come later.
    pub(crate) async fn defer_references(&mut self) -> Result<(), StoreError> {
        match self.engine() {
            Engine::Sqlite => {
                self.execute(query("PRAGMA defer_foreign_keys = ON"))
                    .await?;
            }
            Engine::Postgres => {
                self.alter_references(" DEFERRABLE INITIALLY DEFERRED")
                    .await?;
            }
        }
        Ok(())
    }

    /// All references hold, or nothing of it was done.
    pub(crate) async fn check_references(&mut self) -> Result<(), StoreError> {
        match self.engine() {
            // At commit, by itself.
            Engine::Sqlite => {}
            Engine::Postgres => {
                self.execute(query("SET CONSTRAINTS ALL IMMEDIATE")).await?;
                self.alter_references(" NOT DEFERRABLE").await?;
            }
        }
        Ok(())
    }

    async fn alter_references(&mut self, how: &'static str) -> Result<(), StoreError> {
        let asked = query(
            "SELECT CAST(c.conname AS TEXT) AS name, CAST(t.relname AS TEXT) AS table_name
             FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
             JOIN pg_namespace n ON n.oid = t.relnamespace
             WHERE c.contype = 'f' AND n.nspname = current_schema()",
        );
        for row in self.all(asked).await? {
            let alter = query("ALTER TABLE ").name(&row.text("table_name")?);
            let alter = alter.text(" ALTER CONSTRAINT ").name(&row.text("name")?);
            self.execute(alter.text(how)).await?;
        }
        Ok(())
    }

    pub(crate) async fn empty(&mut self, table: &Table) -> Result<u64, StoreError> {
        self.execute(query("DELETE FROM ").table(table)).await
    }

    pub(crate) async fn count_rows(&mut self, table: &Table) -> Result<i64, StoreError> {
        let asked = query("SELECT count(*) AS n FROM ").table(table);
        self.one(asked).await?.int("n")
    }

    /// How far changes were counted.
    pub(crate) async fn changes_counted(&mut self) -> Result<i64, StoreError> {
        let asked = match self.engine() {
            Engine::Sqlite => query("SELECT seq FROM sqlite_sequence WHERE name = 'change'"),
            Engine::Postgres => query(
                "SELECT last_value AS seq FROM pg_sequences
                 WHERE CAST(schemaname AS TEXT) = CAST(current_schema() AS TEXT)
                   AND sequencename = 'change_seq_seq'",
            ),
        };
        let row = self.optional(asked).await?;
        let counted = row.map_or(Ok(None), |row| row.maybe_int("seq"))?;
        Ok(counted.unwrap_or(0))
    }

    /// Whoever followed changes until `counted` begins anew.
    pub(crate) async fn leap_changes(&mut self, counted: i64) -> Result<(), StoreError> {
        let next = counted.saturating_add(LEAP);
        match self.engine() {
            Engine::Sqlite => {
                self.execute(query("DELETE FROM sqlite_sequence WHERE name = 'change'"))
                    .await?;
                let set = query("INSERT INTO sqlite_sequence (name, seq) VALUES ('change', $1)");
                self.execute(set.bind(next)).await?;
            }
            Engine::Postgres => {
                let set = query("SELECT setval(pg_get_serial_sequence('change', 'seq'), $1) AS n");
                self.one(set.bind(next)).await?;
            }
        }
        Ok(())
    }

    /// Which migrations made the tables.
    pub(crate) async fn schema(&mut self) -> Result<Vec<i64>, StoreError> {
        let asked = query("SELECT version FROM _sqlx_migrations ORDER BY version");
        let rows = self.all(asked).await?;
        rows.iter().map(|row| row.int("version")).collect()
    }

    /// Octets of the whole database, as its engine counts them.
    pub(crate) async fn database_octets(&mut self) -> Result<i64, StoreError> {
        let asked = match self.engine() {
            Engine::Sqlite => query(
                "SELECT p.page_count * s.page_size AS octets
                 FROM pragma_page_count() p, pragma_page_size() s",
            ),
            Engine::Postgres => query("SELECT pg_database_size(current_database()) AS octets"),
        };
        self.one(asked).await?.int("octets")
    }
}
