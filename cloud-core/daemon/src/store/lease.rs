//! Tasks that one node at a time does.
//!
//! Whoever takes a lease holds it for a while and takes it again before that is over; when its node
//! dies, another takes it then. A hint that spares work, not a lock: what is done under a lease must
//! be harmless when two do it for a moment.

use std::time::Duration;

use cloud_logic::ids::NodeId;
use model::Timestamp;

use super::sql::{StoreError, Tx, query};

/// Takes the task, or goes on with it; whether it is the caller's now.
pub(crate) async fn take(
    tx: &mut Tx,
    task: &'static str,
    holder: NodeId,
    (now, life): (Timestamp, Duration),
) -> Result<bool, StoreError> {
    let taken = query(
        "INSERT INTO lease (task, holder, until) VALUES ($1, $2, $3)
         ON CONFLICT (task) DO UPDATE SET holder = $2, until = $3
         WHERE lease.holder = $2 OR lease.until <= $4",
    )
    .bind(task)
    .bind(holder)
    .bind(now.saturating_add(life))
    .bind(now);
    Ok(tx.execute(taken).await? > 0)
}

/// Gives the task to whoever comes next.
pub(crate) async fn give(
    tx: &mut Tx,
    task: &'static str,
    holder: NodeId,
) -> Result<(), StoreError> {
    let given = query("DELETE FROM lease WHERE task = $1 AND holder = $2");
    tx.execute(given.bind(task).bind(holder)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::testing::on_both;

    const LIFE: Duration = Duration::from_secs(60);

    async fn takes(store: &Store, holder: u128, at_s: i64) -> bool {
        let mut tx = store.write().await.unwrap();
        let now = Timestamp::from_unix_ms(at_s * 1000);
        let taken = take(&mut tx, "sweep", NodeId::from_bits(holder), (now, LIFE)).await;
        tx.commit().await.unwrap();
        taken.unwrap()
    }

    #[tokio::test]
    async fn g6_a_task_is_one_nodes_until_it_is_silent_for_too_long() {
        on_both(async |store| {
            assert!(takes(&store, 1, 0).await);
            assert!(!takes(&store, 2, 30).await, "held");
            assert!(takes(&store, 1, 50).await, "goes on");
            assert!(!takes(&store, 2, 109).await, "still held");
            assert!(takes(&store, 2, 110).await, "its holder was silent");
            assert!(!takes(&store, 1, 111).await);
        })
        .await;
    }

    #[tokio::test]
    async fn g6_a_task_that_is_given_back_can_be_taken_at_once() {
        on_both(async |store| {
            assert!(takes(&store, 1, 0).await);
            let mut tx = store.write().await.unwrap();
            let [one, other] = [1, 2].map(NodeId::from_bits);
            give(&mut tx, "sweep", other).await.unwrap();
            tx.commit().await.unwrap();
            assert!(!takes(&store, 2, 1).await, "not the other's to give");
            let mut tx = store.write().await.unwrap();
            give(&mut tx, "sweep", one).await.unwrap();
            tx.commit().await.unwrap();
            assert!(takes(&store, 2, 1).await);
        })
        .await;
    }
}
