//! The cursor table: what changed, for everybody who listens on any node.
//!
//! A change is kept with its transaction and written at its commit, one committing transaction after
//! the other, so changes count in the order in which they become visible. Readers go on from a
//! `Position`; a wake-up is only a hint to look. Invariant: a reader that goes from position to
//! position sees every change once.

use std::fmt;
use std::str::FromStr;

use cloud_logic::ids::{CompanyId, ProjectId, SiteId};
use cloud_logic::rights::Scope;
use model::Timestamp;
use serde::Serialize;

use super::insert::Rows;
use super::sql::{Engine, StoreError, Tx, query};

/// How far a reader has come. Its text is the id of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(i64);

impl Position {
    /// Whether changes between this position and the oldest one kept are gone.
    pub(crate) fn misses_some_before(self, oldest: Self) -> bool {
        self.0 + 1 < oldest.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the id of an event")]
pub(crate) struct NotAPosition;

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let seq = text.parse().map_err(|_| NotAPosition)?;
        if seq < 0 {
            Err(NotAPosition)
        } else {
            Ok(Self(seq))
        }
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

impl From<Scope> for Whose {
    fn from(scope: Scope) -> Self {
        Self {
            company: Some(scope.company()),
            project: scope.project(),
            site: scope.site(),
        }
    }
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
    /// What came after `position`, at most `limit` of it, oldest first.
    pub(crate) async fn changes_after(
        &mut self,
        position: Position,
        limit: u32,
    ) -> Result<Vec<Seen>, StoreError> {
        let rows = self
            .all(
                query(
                    "SELECT seq, at, company_id, project_id, site_id, kind, object_id, what
                     FROM change WHERE seq > $1 ORDER BY seq LIMIT $2",
                )
                .bind(position.0)
                .bind(limit),
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Seen {
                    position: Position(row.int("seq")?),
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

    /// Where a reader begins that wants what comes from now on.
    pub(crate) async fn newest_position(&mut self) -> Result<Position, StoreError> {
        let newest = query("SELECT seq FROM change ORDER BY seq DESC LIMIT 1");
        let row = self.optional(newest).await?;
        row.map_or(Ok(Position::default()), |row| Ok(Position(row.int("seq")?)))
    }

    /// The oldest change that is still kept; a reader from before it has to begin anew.
    pub(crate) async fn oldest_position(&mut self) -> Result<Option<Position>, StoreError> {
        let oldest = query("SELECT seq FROM change ORDER BY seq LIMIT 1");
        let row = self.optional(oldest).await?;
        row.map(|row| Ok(Position(row.int("seq")?))).transpose()
    }

    /// Forgets changes from before `moment`, at most `limit` of them; how many.
    #[cfg(test)]
    pub(crate) async fn forget_changes_before(
        &mut self,
        moment: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.execute(
            query(
                "DELETE FROM change WHERE seq IN
                 (SELECT seq FROM change WHERE at < $1 ORDER BY at LIMIT $2)",
            )
            .bind(moment)
            .bind(limit),
        )
        .await
    }
}

/// Any number of ours: who holds it is the one transaction that writes changes now.
const WRITING_CHANGES: i64 = 0x616e_7469_7068;

/// Writes what a transaction changed, as the last thing it does before it commits.
pub(super) async fn write(tx: &mut Tx, changes: Vec<Change>) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    if tx.engine() == Engine::Postgres {
        // Held until the commit is visible, so the next one's numbers are greater. Nothing else is
        // locked after it: it cannot be part of a deadlock.
        let lock = query("SELECT pg_advisory_xact_lock($1)").bind(WRITING_CHANGES);
        tx.execute(lock).await?;
    }
    let mut rows = Rows::new(
        "INSERT INTO change (at, company_id, project_id, site_id, kind, object_id, what) VALUES",
        7,
    );
    for change in changes {
        rows.bind(change.at)
            .bind(change.whose.company)
            .bind(change.whose.project)
            .bind(change.whose.site)
            .bind(change.kind)
            .bind(change.id)
            .bind(change.what.as_str());
    }
    tx.insert(rows).await?;
    Ok(())
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

    #[tokio::test]
    async fn a_reader_that_goes_on_sees_each_change_once() {
        on_both(async |store| {
            for id in ["a", "b"] {
                let mut tx = store.write().await.unwrap();
                tx.changed(change(id));
                tx.commit().await.unwrap();
            }
            let (seen, position) = seen_after(&store, Position::default()).await;
            assert_eq!(seen, ["a", "b"]);
            let mut tx = store.write().await.unwrap();
            tx.changed(change("c"));
            tx.commit().await.unwrap();
            let (seen, position) = seen_after(&store, position).await;
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
            tx.changed(change("gone"));
            drop(tx);
            assert!(seen_after(&store, Position::default()).await.0.is_empty());
        })
        .await;
    }

    #[tokio::test]
    async fn a_reader_beside_many_writers_skips_none() {
        on_both(async |store| {
            let writers: Vec<_> = (0..40)
                .map(|n: u32| {
                    let store = store.clone();
                    tokio::spawn(async move {
                        let mut tx = store.write().await.unwrap();
                        tx.changed(change(&n.to_string()));
                        tokio::task::yield_now().await;
                        tx.changed(change(&n.to_string()));
                        tx.commit().await.unwrap();
                    })
                })
                .collect();
            let mut position = Position::default();
            let mut seen = Vec::new();
            while seen.len() < 80 {
                let (more, last) = seen_after(&store, position).await;
                seen.extend(more);
                position = last;
            }
            for writer in writers {
                writer.await.unwrap();
            }
            seen.sort();
            let mut expected: Vec<_> = (0..40)
                .flat_map(|n| [n.to_string(), n.to_string()])
                .collect();
            expected.sort();
            assert_eq!(seen, expected);
        })
        .await;
    }

    #[tokio::test]
    async fn old_changes_are_forgotten_in_portions() {
        on_both(async |store| {
            let mut tx = store.write().await.unwrap();
            for id in ["a", "b", "c"] {
                tx.changed(change(id));
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
