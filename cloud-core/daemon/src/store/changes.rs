//! The cursor table: what changed, for everybody who listens on any node.
//!
//! A change is written in the transaction that makes it. Readers go on from a `Position`; a wake-up
//! is only a hint to look. In PostgreSQL transactions commit in another order than they count, so a
//! reader sees only those that no older one can still join. Invariant: a reader that goes from
//! position to position sees every change once.

use std::fmt;
use std::str::FromStr;

use cloud_logic::ids::{CompanyId, ProjectId, SiteId};
use model::Timestamp;
use serde::Serialize;

use super::sql::{Engine, StoreError, Tx, query};

/// How far a reader has come. Its text is the id of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    tx: i64,
    seq: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.tx, self.seq)
    }
}

/// A text that is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the id of an event")]
pub(crate) struct NotAPosition;

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let (tx, seq) = text.split_once('.').ok_or(NotAPosition)?;
        let number = |text: &str| text.parse().map_err(|_| NotAPosition);
        Ok(Self {
            tx: number(tx)?,
            seq: number(seq)?,
        })
    }
}

/// What became of the thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    Created,
    Updated,
    Deleted,
}

impl What {
    fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

impl FromStr for What {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "created" => Ok(Self::Created),
            "updated" => Ok(Self::Updated),
            "deleted" => Ok(Self::Deleted),
            _ => Err("no such change"),
        }
    }
}

/// Whose business a change is: as narrow as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Whose {
    pub(crate) company: Option<CompanyId>,
    pub(crate) project: Option<ProjectId>,
    pub(crate) site: Option<SiteId>,
}

/// One thing that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) at: Timestamp,
    pub(crate) whose: Whose,
    /// `site`, `device`, `command` ...
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) what: What,
}

/// A change as a reader finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) position: Position,
    pub(crate) at: Timestamp,
    pub(crate) whose: Whose,
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) what: What,
}

impl Tx {
    /// Writes down that something changed, and wakes the listeners at commit.
    pub(crate) async fn changed(&mut self, change: Change) -> Result<(), StoreError> {
        self.wakes_listeners();
        self.execute(
            query(
                "INSERT INTO change (at, company_id, project_id, site_id, kind, object_id, what)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(change.at)
            .bind(change.whose.company)
            .bind(change.whose.project)
            .bind(change.whose.site)
            .bind(change.kind)
            .bind(change.id)
            .bind(change.what.as_str()),
        )
        .await?;
        Ok(())
    }

    /// What came after `position`, at most `limit` of it, oldest first.
    pub(crate) async fn changes_after(
        &mut self,
        position: Position,
        limit: u32,
    ) -> Result<Vec<Seen>, StoreError> {
        let asked = query(
            "SELECT seq, tx, at, company_id, project_id, site_id, kind, object_id, what
             FROM change WHERE ",
        );
        let asked = match self.engine() {
            Engine::Sqlite => asked.text("seq > ").value(position.seq),
            Engine::Postgres => asked
                .text("(tx, seq) > (")
                .value(position.tx)
                .text(", ")
                .value(position.seq)
                .text(") AND tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"),
        };
        let asked = asked.text(" ORDER BY tx, seq LIMIT ").value(limit);
        let rows = self.all(asked).await?;
        rows.iter()
            .map(|row| {
                Ok(Seen {
                    position: Position {
                        tx: row.int("tx")?,
                        seq: row.int("seq")?,
                    },
                    at: row.time("at")?,
                    whose: Whose {
                        company: row.maybe_parsed("company_id")?,
                        project: row.maybe_parsed("project_id")?,
                        site: row.maybe_parsed("site_id")?,
                    },
                    kind: row.text("kind")?,
                    id: row.text("object_id")?,
                    what: row.parsed("what")?,
                })
            })
            .collect()
    }

    /// The newest position a reader may begin at to miss nothing that comes from now on.
    pub(crate) async fn newest_position(&mut self) -> Result<Position, StoreError> {
        let settled = match self.engine() {
            Engine::Sqlite => {
                query("SELECT seq, tx FROM change ORDER BY tx DESC, seq DESC LIMIT 1")
            }
            Engine::Postgres => query(
                "SELECT seq, tx FROM change
                 WHERE tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
                 ORDER BY tx DESC, seq DESC LIMIT 1",
            ),
        };
        let newest = self.optional(settled).await?;
        newest.map_or(Ok(Position::default()), |row| {
            Ok(Position {
                tx: row.int("tx")?,
                seq: row.int("seq")?,
            })
        })
    }

    /// The oldest position that is still kept; before it, a reader has to begin anew.
    pub(crate) async fn oldest_position(&mut self) -> Result<Option<Position>, StoreError> {
        let oldest = query("SELECT seq, tx FROM change ORDER BY tx, seq LIMIT 1");
        let row = self.optional(oldest).await?;
        row.map(|row| {
            Ok(Position {
                tx: row.int("tx")?,
                seq: row.int("seq")?,
            })
        })
        .transpose()
    }

    /// Forgets changes from before `moment`, at most `limit` of them; how many.
    pub(crate) async fn forget_changes_before(
        &mut self,
        moment: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.execute(
            query(
                "DELETE FROM change WHERE (tx, seq) IN
                 (SELECT tx, seq FROM change WHERE at < $1 ORDER BY at LIMIT $2)",
            )
            .bind(moment)
            .bind(limit),
        )
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::on_both;

    fn change(id: &str) -> Change {
        Change {
            at: Timestamp::from_unix_ms(1),
            whose: Whose::default(),
            kind: "site",
            id: id.to_owned(),
            what: What::Created,
        }
    }

    async fn seen_after(
        store: &crate::store::Store,
        position: Position,
    ) -> (Vec<String>, Position) {
        let mut tx = store.read().await.unwrap();
        let seen = tx.changes_after(position, 100).await.unwrap();
        let last = seen.last().map_or(position, |change| change.position);
        (seen.into_iter().map(|change| change.id).collect(), last)
    }

    /// Reads on until so many are there. Transactions of the other tests, which run in the same
    /// server of PostgreSQL, hold them back for a moment.
    async fn wait_for(
        count: usize,
        store: &crate::store::Store,
        mut position: Position,
    ) -> (Vec<String>, Position) {
        let mut seen = Vec::new();
        let enough = async {
            while seen.len() < count {
                let (more, last) = seen_after(store, position).await;
                seen.extend(more);
                position = last;
                tokio::task::yield_now().await;
            }
        };
        let limit = std::time::Duration::from_secs(60);
        tokio::time::timeout(limit, enough).await.unwrap();
        (seen, position)
    }

    #[tokio::test]
    async fn a_reader_that_goes_on_sees_each_change_once() {
        on_both(async |store| {
            for id in ["a", "b"] {
                let mut tx = store.write().await.unwrap();
                tx.changed(change(id)).await.unwrap();
                tx.commit().await.unwrap();
            }
            let (seen, position) = wait_for(2, &store, Position::default()).await;
            assert_eq!(seen, ["a", "b"]);
            let mut tx = store.write().await.unwrap();
            tx.changed(change("c")).await.unwrap();
            tx.commit().await.unwrap();
            let (seen, position) = wait_for(1, &store, position).await;
            assert_eq!(seen, ["c"]);
            let text = position.to_string();
            assert_eq!(text.parse(), Ok(position));
            assert_eq!(seen_after(&store, position).await.0, Vec::<String>::new());
        })
        .await;
    }

    #[tokio::test]
    async fn what_was_rolled_back_is_never_seen() {
        on_both(async |store| {
            let mut tx = store.write().await.unwrap();
            tx.changed(change("gone")).await.unwrap();
            drop(tx);
            assert!(seen_after(&store, Position::default()).await.0.is_empty());
        })
        .await;
    }

    /// Two transactions of PostgreSQL, the older one commits last.
    #[tokio::test]
    async fn a_change_that_commits_late_is_not_skipped() {
        on_both(async |store| {
            if store.engine() == Engine::Sqlite {
                return;
            }
            let mut slow = store.write().await.unwrap();
            slow.changed(change("slow")).await.unwrap();
            let mut quick = store.write().await.unwrap();
            quick.changed(change("quick")).await.unwrap();
            quick.commit().await.unwrap();
            let (early, position) = seen_after(&store, Position::default()).await;
            slow.commit().await.unwrap();
            let (late, _) = wait_for(2 - early.len(), &store, position).await;
            assert_eq!([early, late].concat(), ["slow", "quick"]);
        })
        .await;
    }

    #[tokio::test]
    async fn old_changes_are_forgotten_in_portions() {
        on_both(async |store| {
            let mut tx = store.write().await.unwrap();
            for id in ["a", "b", "c"] {
                tx.changed(change(id)).await.unwrap();
            }
            tx.commit().await.unwrap();
            let mut tx = store.write().await.unwrap();
            let later = Timestamp::from_unix_ms(2);
            assert_eq!(tx.forget_changes_before(later, 2).await.unwrap(), 2);
            assert_eq!(tx.forget_changes_before(later, 2).await.unwrap(), 1);
        })
        .await;
    }
}
