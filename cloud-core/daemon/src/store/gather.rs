//! Common commits: what comes at the same time is stored in one transaction.
//!
//! While one portion is being committed the next one gathers, so that many share one write to the disk
//! and a single one waits for nobody. Deliberately not here: what is stored. Invariant: each thing is
//! handed back once, with the commit it was part of or with the reason why there was none.

use tokio::sync::mpsc;

use super::sql::StoreError;

/// What becomes of things that are gathered.
pub(crate) trait Gathered: Sync {
    type Item: Send;
    /// What is known when they are stored.
    type Stored: Send;

    /// Begins the transaction and commits it.
    fn store(
        &self,
        items: &mut [Self::Item],
    ) -> impl Future<Output = Result<Self::Stored, StoreError>> + Send;

    /// How a portion ended.
    fn done(&self, items: Vec<Self::Item>, stored: Result<Self::Stored, StoreError>);
}

/// Stores what comes, at most `portion` at once, until all who could send are gone.
///
/// Where several fail together, one of them may be what the store does not take: then each is tried on
/// its own.
pub(crate) async fn gather<G: Gathered>(
    by: &G,
    mut items: mpsc::Receiver<G::Item>,
    portion: usize,
) {
    loop {
        let mut some = Vec::new();
        if items.recv_many(&mut some, portion).await == 0 {
            return;
        }
        match by.store(&mut some).await {
            Err(_) if some.len() > 1 => {
                for item in some {
                    let mut one = [item];
                    let stored = by.store(&mut one).await;
                    by.done(one.into(), stored);
                }
            }
            stored => by.done(some, stored),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Takes everything but 13.
    #[derive(Default)]
    struct Numbers(Mutex<Vec<(Vec<u32>, bool)>>);

    impl Gathered for Numbers {
        type Item = u32;
        type Stored = ();

        async fn store(&self, items: &mut [u32]) -> Result<(), StoreError> {
            match items.contains(&13) {
                true => Err(StoreError::Unstorable),
                false => Ok(()),
            }
        }

        fn done(&self, items: Vec<u32>, stored: Result<(), StoreError>) {
            self.0.lock().unwrap().push((items, stored.is_ok()));
        }
    }

    async fn gathered(items: impl IntoIterator<Item = u32>) -> Vec<(Vec<u32>, bool)> {
        let (sender, receiver) = mpsc::channel(100);
        for item in items {
            sender.send(item).await.unwrap();
        }
        drop(sender);
        let numbers = Numbers::default();
        gather(&numbers, receiver, 4).await;
        numbers.0.into_inner().unwrap()
    }

    #[tokio::test]
    async fn what_waits_is_stored_together_and_in_order() {
        assert_eq!(
            gathered(1..=6).await,
            [(vec![1, 2, 3, 4], true), (vec![5, 6], true)]
        );
    }

    #[tokio::test]
    async fn what_the_store_does_not_take_costs_its_neighbours_nothing() {
        let ended = gathered([1, 13, 3]).await;
        assert_eq!(ended, [(vec![1], true), (vec![13], false), (vec![3], true)]);
    }
}
