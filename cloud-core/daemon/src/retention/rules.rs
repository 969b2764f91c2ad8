//! How long what is kept.
//!
//! One line for each table whose rows end by themselves. Not here, because they end with what they
//! belong to: sessions of a user, parts of an upload, labels; letters, of which is told what became. Never forgotten: the audit log.

use std::time::Duration;

use cloud_logic::ids::CompanyId;
use model::Timestamp;

use super::before;
use crate::core::Core;
use crate::store::{Engine, StoreError, Tx, query};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The longest that data of calls is kept.
const CALL_DATA: Duration = DAY.saturating_mul(contract::limits::CALL_DATA_DAYS as u32);

/// A kind of row that ends by itself: so long after the moment in `column`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// As logs and figures call it.
    pub(crate) name: &'static str,
    table: &'static str,
    column: &'static str,
    after: Duration,
}

const fn kind(
    name: &'static str,
    table: &'static str,
    column: &'static str,
    after: Duration,
) -> Kind {
    Kind {
        name,
        table,
        column,
        after,
    }
}

pub(crate) const KINDS: &[Kind] = &[
    kind("session", "session", "ends", Duration::ZERO),
    kind("invitation", "invitation", "expires", Duration::ZERO),
    kind(
        "password_reset",
        "password_reset",
        "expires",
        Duration::ZERO,
    ),
    kind(
        "passkey_ceremony",
        "passkey_ceremony_over",
        "expires",
        Duration::ZERO,
    ),
    kind("claim_attempt", "claim_attempt", "at", DAY),
    // A key is good for a day, as the interface says.
    kind("idempotency", "idempotency", "created", DAY),
    // Whoever was away for longer reads everything anew.
    kind("change", "change", "at", DAY.saturating_mul(7)),
    kind("command", "command", "ended", DAY.saturating_mul(180)),
    // Its end was set when it came: that of the device, and at most that of the policy of then.
    kind("device_event", "device_event", "expires", Duration::ZERO),
    kind("call_record", "call_record", "ended", CALL_DATA),
];

/// The columns by which a portion of rows is found and taken away.
fn row(tx: &Tx) -> &'static str {
    match tx.engine() {
        Engine::Sqlite => "rowid",
        Engine::Postgres => "ctid",
    }
}

/// Whether anything of this kind is over: asked without keeping those waiting who write.
pub(super) async fn any(core: &Core, kind: &Kind, now: Timestamp) -> Result<bool, StoreError> {
    let asked = query("SELECT 1 AS one FROM ")
        .text(kind.table)
        .text(" WHERE ")
        .text(kind.column)
        .text(" <= ")
        .value(before(now, kind.after))
        .text(" LIMIT 1");
    let mut tx = core.store.read().await?;
    Ok(tx.optional(asked).await?.is_some())
}

/// Forgets at most `limit` of a kind; how many.
pub(super) async fn forget(
    tx: &mut Tx,
    kind: &Kind,
    now: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let row = row(tx);
    let forget = query("DELETE FROM ")
        .text(kind.table)
        .text(" WHERE ")
        .text(row)
        .text(" IN (SELECT ")
        .text(row)
        .text(" FROM ")
        .text(kind.table)
        .text(" WHERE ")
        .text(kind.column)
        .text(" <= ")
        .value(before(now, kind.after))
        .text(" ORDER BY ")
        .text(kind.column)
        .text(" LIMIT ")
        .value(limit)
        .text(")");
    tx.execute(forget).await
}

/// Companies that keep data of calls for less than the most, and from when on.
pub(super) async fn shorter_policies(
    core: &Core,
    now: Timestamp,
) -> Result<Vec<(CompanyId, Timestamp)>, StoreError> {
    // Only those that have something to forget: a company may have had its policy for long.
    let asked = query(
        "SELECT c.id, c.call_data_days FROM company c WHERE c.call_data_days < $1
         AND (EXISTS (SELECT 1 FROM device_event e WHERE e.company_id = c.id
                      AND e.received <= $2 - c.call_data_days * 86400000)
              OR EXISTS (SELECT 1 FROM call_record r WHERE r.company_id = c.id
                         AND r.ended <= $2 - c.call_data_days * 86400000))
         LIMIT 100",
    );
    let asked = asked
        .bind(i64::from(contract::limits::CALL_DATA_DAYS))
        .bind(now);
    let mut tx = core.store.read().await?;
    let rows = tx.all(asked).await?;
    rows.iter()
        .map(|row| {
            let days = u32::try_from(row.int("call_data_days")?).unwrap_or(0);
            Ok((row.parsed("id")?, before(now, DAY.saturating_mul(days))))
        })
        .collect()
}

/// Forgets at most `limit` each of what a company's devices told of calls, and of the records of
/// its calls, until `cutoff`; how many.
pub(super) async fn forget_call_data(
    tx: &mut Tx,
    company: CompanyId,
    cutoff: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let mut forgotten = 0;
    for (table, column) in [("device_event", "received"), ("call_record", "ended")] {
        let row = row(tx);
        let forget = query("DELETE FROM ")
            .text(table)
            .text(" WHERE ")
            .text(row)
            .text(" IN (SELECT ")
            .text(row)
            .text(" FROM ")
            .text(table)
            .text(" WHERE company_id = ")
            .value(company)
            .text(" AND ")
            .text(column)
            .text(" <= ")
            .value(cutoff)
            .text(" ORDER BY ")
            .text(column)
            .text(" LIMIT ")
            .value(limit)
            .text(")");
        forgotten += tx.execute(forget).await?;
    }
    Ok(forgotten)
}
