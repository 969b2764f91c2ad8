//! Changes of late, in memory: read from the cursor table once for all who listen in this process.
//!
//! Who has seen all that is here makes a look at the table, together with all others who have; who is
//! far behind reads the table by herself until she is here. No task, no wake-ups: when to look is the
//! business of those who listen. Invariant: as for the table, from position to position every change
//! comes once.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use super::changes::{Position, Seen};
use super::open::Store;
use super::sql::StoreError;
use super::together::Together;

/// So many are kept; a few hundred octets each.
const KEPT: usize = 4096;

/// So many are read at once.
const PORTION: u32 = 1000;

#[derive(Debug, Default)]
pub(super) struct Feed {
    recent: RwLock<Option<Recent>>,
    looks: Together<(), ()>,
}

#[derive(Debug)]
struct Recent {
    /// Everything after it, up to the last one here, is here.
    after: Position,
    changes: VecDeque<Arc<Seen>>,
}

impl Recent {
    fn newest(&self) -> Position {
        let last = self.changes.back();
        last.map_or(self.after, |change| change.position)
    }

    fn add(&mut self, seen: Vec<Seen>) {
        self.changes.extend(seen.into_iter().map(Arc::new));
        while self.changes.len() > KEPT {
            if let Some(oldest) = self.changes.pop_front() {
                self.after = oldest.position;
            }
        }
    }
}

/// What is here after a position.
enum Here {
    Some(Vec<Arc<Seen>>),
    Nothing,
    /// It is not known here what came right after it.
    Unknown,
}

impl Feed {
    fn here(&self, position: Position, limit: usize) -> Here {
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        let Some(recent) = recent.as_ref().filter(|recent| recent.after <= position) else {
            return Here::Unknown;
        };
        let changes = &recent.changes;
        let from = changes.partition_point(|change| change.position <= position);
        match changes
            .range(from..)
            .take(limit)
            .cloned()
            .collect::<Vec<_>>()
        {
            some if some.is_empty() => Here::Nothing,
            some => Here::Some(some),
        }
    }

    fn newest(&self) -> Option<Position> {
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        recent.as_ref().map(Recent::newest)
    }

    /// Only one look is made at a time, so nothing was added since `newest`.
    fn add(&self, newest: Position, seen: Vec<Seen>) {
        let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
        let recent = recent.get_or_insert(Recent {
            after: newest,
            changes: VecDeque::new(),
        });
        recent.add(seen);
    }
}

impl Store {
    /// What came after `position`, at most `limit` of it, oldest first; nothing when there was nothing
    /// at some moment after this was called.
    pub(crate) async fn news(
        &self,
        position: Position,
        limit: u32,
    ) -> Result<Vec<Arc<Seen>>, StoreError> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        if let Here::Some(news) = self.feed.here(position, most) {
            return Ok(news);
        }
        let look = |asked| self.look(asked);
        self.feed.looks.ask(&(), look).await?;
        match self.feed.here(position, most) {
            Here::Some(news) => Ok(news),
            Here::Nothing => Ok(Vec::new()),
            Here::Unknown => {
                let mut tx = self.read().await?;
                let seen = tx.changes_after(position, limit).await?;
                Ok(seen.into_iter().map(Arc::new).collect())
            }
        }
    }

    async fn look(&self, asked: Vec<()>) -> Result<Vec<()>, StoreError> {
        let mut tx = self.read().await?;
        let newest = match self.feed.newest() {
            Some(newest) => newest,
            None => tx.newest_position().await?,
        };
        let seen = tx.changes_after(newest, PORTION).await?;
        drop(tx);
        self.feed.add(newest, seen);
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;
    use crate::store::changes::{Change, What, Whose};
    use crate::store::testing::on_both;

    async fn make(store: &Store, numbers: std::ops::Range<usize>) {
        let mut tx = store.write().await.unwrap();
        for number in numbers {
            tx.changed(Change {
                at: Timestamp::from_unix_ms(1),
                whose: Whose::default(),
                kind: "site",
                id: number.to_string(),
                what: What::Created,
            });
        }
        tx.commit().await.unwrap();
    }

    /// Everything after a position, and where it ends.
    async fn all(store: &Store, mut position: Position) -> (Vec<usize>, Position) {
        let mut all = Vec::new();
        loop {
            let news = store.news(position, 300).await.unwrap();
            let Some(last) = news.last() else {
                return (all, position);
            };
            position = last.position;
            all.extend(
                news.iter()
                    .map(|change| change.id.parse::<usize>().unwrap()),
            );
        }
    }

    #[tokio::test]
    async fn every_change_comes_once_to_those_who_are_here_and_to_those_who_are_behind_s5() {
        on_both(async |store| {
            let begin = Position::default();
            assert_eq!(all(&store, begin).await.0, [0; 0]);
            make(&store, 0..10).await;
            let (seen, here) = all(&store, begin).await;
            assert_eq!(seen, Vec::from_iter(0..10));
            // More than is kept: who was away reads the table, who begins anew too.
            make(&store, 10..6000).await;
            let listeners = (0..20).map(|_| {
                let store = store.clone();
                tokio::spawn(async move { all(&store, here).await.0 })
            });
            for listener in Vec::from_iter(listeners) {
                assert_eq!(listener.await.unwrap(), Vec::from_iter(10..6000));
            }
            let (seen, end) = all(&store, begin).await;
            assert_eq!(seen, Vec::from_iter(0..6000));
            make(&store, 6000..6001).await;
            assert_eq!(all(&store, end).await.0, [6000]);
        })
        .await;
    }
}
