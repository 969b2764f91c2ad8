//! Lists of void certificates (RFC 5280 5), for those who do not ask the core itself: gateways
//! among themselves, SIP proxies, third parties.
//!
//! A list covers one month's certificates, at most 10,000 of them, so that none grows beyond some
//! 350 KB. It is signed anew in the transaction that makes a certificate void, and every 12 hours;
//! it says that the next comes within seven days, so that a core which is down for a weekend locks
//! nobody out.

use std::time::Duration;

use cloud_logic::ids::AuthorityId;
use model::Timestamp;

use super::ground::{self, AuthorityError, Issuing};
use super::signing::{self, Life, Void};
use crate::keys::Sealer;
use crate::store::{StoreError, Tx, query};

const MOST_OF_A_LIST: i64 = 10_000;
const HOUR: Duration = Duration::from_secs(3600);
const NEXT_WITHIN: Duration = HOUR.saturating_mul(7 * 24);
const SIGNED_EVERY: Duration = HOUR.saturating_mul(12);
/// After the end of its last certificate and of its grace a list serves nobody.
const KEPT_AFTER: Duration = HOUR.saturating_mul(60 * 24);
/// Lists signed in one transaction.
const BATCH: u32 = 20;

/// A list as it is served.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) der: Vec<u8>,
    pub(crate) number: i64,
}

/// Where a list is found. Part of certificates for 90 days.
pub(super) fn address(lists: &str, authority: AuthorityId, shard: i64) -> String {
    format!("{lists}/crl/{authority}/{shard}.crl")
}

pub(crate) async fn read(
    tx: &mut Tx,
    authority: AuthorityId,
    shard: i64,
) -> Result<Option<List>, StoreError> {
    let wanted = query("SELECT * FROM crl WHERE authority_id = $1 AND shard = $2");
    let row = tx.optional(wanted.bind(authority).bind(shard)).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(List {
        der: row.octets("list")?,
        number: row.int("number")?,
    }))
}

/// Signs the lists anew that are due, forgets those and the certificates that nobody needs. Whether there is more to do.
pub(crate) async fn maintain(
    tx: &mut Tx,
    sealer: &Sealer,
    now: Timestamp,
    lists: &str,
) -> Result<bool, AuthorityError> {
    let forget = query("DELETE FROM crl WHERE last_end < $1");
    tx.execute(forget.bind(now.saturating_sub(KEPT_AFTER)))
        .await?;
    let forget = query("DELETE FROM certificate WHERE not_after < $1");
    tx.execute(forget.bind(now.saturating_sub(KEPT_AFTER)))
        .await?;
    let due = query(
        "SELECT authority_id, shard FROM crl WHERE this_update <= $1 ORDER BY this_update LIMIT $2",
    );
    let due = due.bind(now.saturating_sub(SIGNED_EVERY)).bind(BATCH);
    let rows = tx.all(due).await?;
    for row in &rows {
        let place = (row.parsed("authority_id")?, row.int("shard")?, lists);
        publish(tx, sealer, now, place).await?;
    }
    Ok(rows.len() >= BATCH as usize)
}

/// The list that a certificate of now belongs to; counts it in. The first of a month, or of ten
/// thousand, opens a list and signs it, empty, at once.
pub(super) async fn shard_for(
    tx: &mut Tx,
    (by, lists): (&Issuing, &str),
    now: Timestamp,
    end: Timestamp,
) -> Result<i64, AuthorityError> {
    let month = month(now);
    let count = query(
        "UPDATE crl SET issued = issued + 1,
                        last_end = CASE WHEN last_end < $4 THEN $4 ELSE last_end END
         WHERE authority_id = $1 AND month = $2 AND issued < $3
           AND shard = (SELECT max(shard) FROM crl WHERE authority_id = $1)
         RETURNING shard",
    )
    .bind(by.id)
    .bind(month)
    .bind(MOST_OF_A_LIST)
    .bind(end);
    if let Some(row) = tx.optional(count).await? {
        return Ok(row.int("shard")?);
    }
    let last = query("SELECT coalesce(max(shard), 0) AS last FROM crl WHERE authority_id = $1");
    let shard = tx.one(last.bind(by.id)).await?.int("last")? + 1;
    let life = life(now);
    let list = signing::crl(1, life, &address(lists, by.id, shard), &[], &by.signer)?;
    let open = query(
        "INSERT INTO crl (authority_id, shard, month, issued, last_end, number, list,
                          this_update, next_update)
         VALUES ($1, $2, $3, 1, $4, 1, $5, $6, $7)
         ON CONFLICT (authority_id, shard) DO UPDATE SET issued = crl.issued + 1",
    )
    .bind(by.id)
    .bind(shard)
    .bind(month)
    .bind(end)
    .bind(list)
    .bind(life.from)
    .bind(life.until);
    tx.execute(open).await?;
    Ok(shard)
}

/// Signs a list of what is void now.
pub(super) async fn publish(
    tx: &mut Tx,
    sealer: &Sealer,
    now: Timestamp,
    (authority, shard, lists): (AuthorityId, i64, &str),
) -> Result<(), AuthorityError> {
    let by = ground::with_id(tx, sealer, authority).await?;
    // Holds the list until commit: two that revoke at once sign one after the other.
    let count = query(
        "UPDATE crl SET number = number + 1 WHERE authority_id = $1 AND shard = $2 RETURNING number",
    );
    let Some(row) = tx.optional(count.bind(authority).bind(shard)).await? else {
        return Ok(());
    };
    let number = row.int("number")?;
    let wanted = query(
        "SELECT serial, revoked, reason FROM certificate
         WHERE authority_id = $1 AND shard = $2 AND revoked IS NOT NULL ORDER BY serial",
    );
    let rows = tx.all(wanted.bind(authority).bind(shard)).await?;
    let void = rows.iter().map(|row| {
        Ok(Void {
            serial: row.parsed("serial")?,
            at: row.time("revoked")?,
            reason: row.parsed("reason")?,
        })
    });
    let void = void.collect::<Result<Vec<_>, StoreError>>()?;
    let life = life(now);
    let place = address(lists, authority, shard);
    let list = signing::crl(number.unsigned_abs(), life, &place, &void, &by.signer)?;
    let put = query(
        "UPDATE crl SET list = $3, this_update = $4, next_update = $5
         WHERE authority_id = $1 AND shard = $2",
    )
    .bind(authority)
    .bind(shard)
    .bind(list)
    .bind(life.from)
    .bind(life.until);
    tx.execute(put).await?;
    Ok(())
}

fn life(now: Timestamp) -> Life {
    let from = now;
    let until = now.saturating_add(NEXT_WITHIN);
    Life { from, until }
}

/// Months since the year 0.
fn month(at: Timestamp) -> i64 {
    let moment =
        jiff::Timestamp::from_millisecond(at.unix_ms()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let date = moment.to_zoned(jiff::tz::TimeZone::UTC).date();
    i64::from(date.year()) * 12 + i64::from(date.month()) - 1
}
