//! Rows of nodes: the processes of the core that hold devices, each with its lease.

use std::time::Duration;

use cloud_logic::ids::NodeId;
use model::Timestamp;

use crate::store::{StoreError, Tx, query};

/// How long a node is believed after its last renewal.
pub(in crate::front_door) const LEASE: Duration = Duration::from_secs(15);

/// Renews, or begins, a lease.
pub(in crate::front_door) async fn renew(
    tx: &mut Tx,
    node: NodeId,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        query(
            "INSERT INTO node (id, started, lease_until) VALUES ($1, $2, $3)
             ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until",
        )
        .bind(node)
        .bind(now)
        .bind(now.saturating_add(LEASE)),
    )
    .await?;
    Ok(())
}

/// The node ends, and says so.
pub(in crate::front_door) async fn resign(tx: &mut Tx, node: NodeId) -> Result<(), StoreError> {
    tx.execute(query("DELETE FROM node WHERE id = $1").bind(node))
        .await?;
    Ok(())
}

/// Forgets nodes that ended without a word a while ago.
pub(in crate::front_door) async fn forget(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    let long_ago = now.saturating_sub(Duration::from_secs(60 * 60));
    tx.execute(query("DELETE FROM node WHERE lease_until < $1").bind(long_ago))
        .await?;
    Ok(())
}
