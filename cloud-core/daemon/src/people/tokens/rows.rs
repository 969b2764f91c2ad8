//! The table of the keys that sign tokens.

use cloud_logic::ids::TokenKeyId;
use model::Timestamp;

use super::keys::TokenKey;
use crate::store::{Query, Row, StoreError, Tx, query};

const FIND: &str = "SELECT id, sealed, x, y, signs_from, signs_until, shown_until FROM token_key ";

fn key(row: &Row) -> Result<TokenKey, StoreError> {
    Ok(TokenKey {
        id: row.parsed("id")?,
        sealed: row.octets("sealed")?,
        x: row.text("x")?,
        y: row.text("y")?,
        signs_from: row.time("signs_from")?,
        signs_until: row.time("signs_until")?,
        shown_until: row.time("shown_until")?,
    })
}

async fn one(tx: &mut Tx, found: Query) -> Result<Option<TokenKey>, StoreError> {
    tx.optional(found).await?.as_ref().map(key).transpose()
}

/// The newest of those that sign now.
pub(super) async fn signing(tx: &mut Tx, now: Timestamp) -> Result<Option<TokenKey>, StoreError> {
    let found = query(FIND)
        .text("WHERE signs_from <= ")
        .value(now)
        .text(" AND signs_until > ")
        .value(now)
        .text(" ORDER BY signs_from DESC, id DESC LIMIT 1");
    one(tx, found).await
}

/// A key that a token names, if it is still shown.
pub(super) async fn shown(
    tx: &mut Tx,
    id: TokenKeyId,
    now: Timestamp,
) -> Result<Option<TokenKey>, StoreError> {
    let found = query(FIND)
        .text("WHERE id = ")
        .value(id)
        .text(" AND shown_until > ")
        .value(now);
    one(tx, found).await
}

pub(super) async fn all_shown(tx: &mut Tx, now: Timestamp) -> Result<Vec<TokenKey>, StoreError> {
    let found = query(FIND)
        .text("WHERE shown_until > ")
        .value(now)
        .text(" ORDER BY signs_from, id LIMIT 16");
    tx.all(found).await?.iter().map(key).collect()
}

pub(super) async fn newest(tx: &mut Tx) -> Result<Option<TokenKey>, StoreError> {
    one(
        tx,
        query(FIND).text("ORDER BY signs_until DESC, id DESC LIMIT 1"),
    )
    .await
}

pub(super) async fn insert(tx: &mut Tx, key: &TokenKey) -> Result<(), StoreError> {
    tx.execute(
        query(
            "INSERT INTO token_key (id, sealed, x, y, signs_from, signs_until, shown_until)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(key.id)
        .bind(key.sealed.clone())
        .bind(&key.x)
        .bind(&key.y)
        .bind(key.signs_from)
        .bind(key.signs_until)
        .bind(key.shown_until),
    )
    .await?;
    Ok(())
}

pub(super) async fn forget(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(query("DELETE FROM token_key WHERE shown_until <= $1").bind(now))
        .await?;
    Ok(())
}
