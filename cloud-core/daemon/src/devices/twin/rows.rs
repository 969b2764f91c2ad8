//! Rows of twins.
//!
//! Invariant: `desired_rev` only grows, and with it `desired` changes in the same statement.

use cloud_logic::ids::DeviceId;
use cloud_logic::twin::Twin;
use contract::document::Counter;
use contract::limits;
use model::Timestamp;

use crate::devices::registry::rows as registry;
use crate::store::changes::{Change, What, Whose};
use crate::store::{Row, StoreError, Tx, query};

fn of(row: &Row) -> Result<Twin, StoreError> {
    Ok(Twin {
        desired: row.json("desired")?,
        revision: row.int("desired_rev")?,
        reported: row.json("reported")?,
        applied: row.int("applied_rev")?,
        errors: row.json("applied_errors")?,
    })
}

/// A device's twin and when the device last said something for it; an empty one where there is none.
pub(crate) async fn find(
    tx: &mut Tx,
    device: DeviceId,
) -> Result<(Twin, Option<Timestamp>), StoreError> {
    let asked = query(
        "SELECT desired, desired_rev, reported, reported_at, applied_rev, applied_errors
         FROM twin WHERE device_id = $1",
    );
    match tx.optional(asked.bind(device)).await? {
        Some(row) => Ok((of(&row)?, row.maybe_time("reported_at")?)),
        None => Ok((Twin::default(), None)),
    }
}

/// Makes this what the device shall have. False where it is not the revision after the one that is
/// there: another change came first.
pub(crate) async fn want(
    tx: &mut Tx,
    (device, whose): (DeviceId, Whose),
    twin: &Twin,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let written = tx
        .execute(
            query(
                "INSERT INTO twin (device_id, desired, desired_rev, reported, applied_rev,
                                   applied_errors)
                 VALUES ($1, $2, $3, '{}', 0, '[]')
                 ON CONFLICT (device_id) DO UPDATE SET
                     desired = excluded.desired, desired_rev = excluded.desired_rev
                 WHERE twin.desired_rev = $3 - 1",
            )
            .bind(device)
            .bind(twin.desired.to_string())
            .bind(twin.revision),
        )
        .await?;
    if written == 0 {
        return Ok(false);
    }
    registry::concerns(tx, device, twin).await?;
    tell(tx, device, whose, now);
    Ok(true)
}

/// The front door of the node that holds the device hears of it, and pages that listen.
fn tell(tx: &mut Tx, device: DeviceId, whose: Whose, at: Timestamp) {
    tx.changed(Change {
        at,
        whose,
        kind: "twin",
        id: device.to_string(),
        what: What::Updated,
    });
}

/// A device that has a revision above ours: this store was put back to an earlier state. What we
/// want counts, so it becomes the revision after the device's.
pub(crate) async fn overtake(
    tx: &mut Tx,
    device: DeviceId,
    has: Counter,
) -> Result<(), StoreError> {
    let next = has.get() + 1;
    if next.unsigned_abs() > limits::COUNTER {
        return Ok(());
    }
    let overtaken = query(
        "UPDATE twin SET desired_rev = $2 WHERE device_id = $1 AND desired_rev < $3
                                            AND desired_rev > 0",
    );
    let overtaken = overtaken.bind(device).bind(next).bind(has.get());
    tx.execute(overtaken).await?;
    Ok(())
}
