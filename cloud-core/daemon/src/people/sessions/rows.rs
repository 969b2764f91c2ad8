//! The table of sessions.

use std::collections::BTreeMap;

use cloud_logic::ids::{SessionId, UserId};
use model::Timestamp;

use super::super::secret::Secret;
use super::Session;
use crate::store::{Query, Row, StoreError, Tx, query};

/// A session of a user who is not blocked.
const FIND: &str =
    "SELECT s.id, s.user_id, s.token_hash, s.created, s.last_seen, s.proved, s.ends, s.address, s.agent
    FROM session s JOIN user_account u ON u.id = s.user_id
    WHERE u.blocked = 0 AND ";

fn session(row: &Row) -> Result<Session, StoreError> {
    Ok(Session {
        id: row.parsed("id")?,
        user: row.parsed("user_id")?,
        created: row.time("created")?,
        last_seen: row.time("last_seen")?,
        proved: row.time("proved")?,
        ends: row.time("ends")?,
        address: row.maybe_text("address")?,
        agent: row.maybe_text("agent")?,
    })
}

async fn one(tx: &mut Tx, query: Query) -> Result<Option<Session>, StoreError> {
    tx.optional(query).await?.as_ref().map(session).transpose()
}

/// Sessions by the hashes of their secrets.
pub(super) async fn by_hashes(
    tx: &mut Tx,
    hashes: &[Vec<u8>],
) -> Result<BTreeMap<Vec<u8>, Session>, StoreError> {
    let hashes = hashes.iter().map(Vec::as_slice);
    let found = query(FIND).text("s.token_hash IN ").any_of(hashes);
    let rows = tx.all(found).await?;
    rows.iter()
        .map(|row| Ok((row.octets("token_hash")?, session(row)?)))
        .collect()
}

pub(super) async fn by_id(tx: &mut Tx, id: SessionId) -> Result<Option<Session>, StoreError> {
    one(tx, query(FIND).text("s.id = ").value(id)).await
}

pub(super) async fn of_user(tx: &mut Tx, user: UserId) -> Result<Vec<Session>, StoreError> {
    let found = query(FIND)
        .text("s.user_id = ")
        .value(user)
        .text(" ORDER BY s.last_seen DESC, s.id LIMIT 100");
    tx.all(found).await?.iter().map(session).collect()
}

pub(super) async fn insert(
    tx: &mut Tx,
    session: &Session,
    secret: &Secret,
) -> Result<(), StoreError> {
    tx.execute(
        query(
            "INSERT INTO session (id, user_id, token_hash, created, last_seen, proved, ends,
                                  address, agent)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(session.id)
        .bind(session.user)
        .bind(secret.hash())
        .bind(session.created)
        .bind(session.last_seen)
        .bind(session.proved)
        .bind(session.ends)
        .bind(session.address.clone())
        .bind(session.agent.clone()),
    )
    .await?;
    Ok(())
}

pub(super) async fn seen(tx: &mut Tx, id: SessionId, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        query("UPDATE session SET last_seen = $2 WHERE id = $1 AND last_seen < $2")
            .bind(id)
            .bind(now),
    )
    .await?;
    Ok(())
}

pub(super) async fn proved(
    tx: &mut Tx,
    id: SessionId,
    secret: &Secret,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        query("UPDATE session SET token_hash = $2, proved = $3, last_seen = $3 WHERE id = $1")
            .bind(id)
            .bind(secret.hash())
            .bind(now),
    )
    .await?;
    Ok(())
}

/// Ends one session of this user; whether there was one.
pub(super) async fn end(tx: &mut Tx, user: UserId, id: SessionId) -> Result<bool, StoreError> {
    let ended = query("DELETE FROM session WHERE id = $1 AND user_id = $2")
        .bind(id)
        .bind(user);
    Ok(tx.execute(ended).await? > 0)
}

/// Ends all sessions of a user but one; how many.
pub(in super::super) async fn end_all_of(
    tx: &mut Tx,
    user: UserId,
    but: Option<SessionId>,
) -> Result<u64, StoreError> {
    let ended = query("DELETE FROM session WHERE user_id = $1 AND id <> $2")
        .bind(user)
        .bind(but.map_or(String::new(), |id| id.to_string()));
    tx.execute(ended).await
}

/// Forgets sessions that are over.
pub(in super::super) async fn end_expired(tx: &mut Tx, now: Timestamp) -> Result<u64, StoreError> {
    tx.execute(query("DELETE FROM session WHERE ends <= $1").bind(now))
        .await
}
