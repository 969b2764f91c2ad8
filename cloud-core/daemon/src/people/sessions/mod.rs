//! Being signed in: beginning, going on, ending.
//!
//! A session is found by the hash of the secret in its cookie. It ends after a time without a
//! request, after a longest time in any case, when it is revoked, and when its user is blocked.
//! Its secret is a new one after each proof, so a secret that was planted or seen before is
//! worth nothing. Invariant: the secret stands in the cookie and nowhere else.

mod login;
mod mine;
mod rows;

use std::collections::BTreeMap;

use cloud_logic::ids::{SessionId, UserId};
use model::Timestamp;
use utoipa_axum::router::OpenApiRouter;

pub(super) use login::{only_from_us, proved, signed_in, wrong};
pub(super) use mine::{Me, note};
pub(super) use rows::{end_all_of, end_expired};

use super::secret::Secret;
use super::{Patience, Peer};
use crate::core::{Core, NewId};
use crate::store::{StoreError, Tx};

/// `last_seen` is not written more often than this.
const SEEN_EVERY_MS: i64 = 60_000;

/// The longest description of a browser that is kept.
const LONGEST_AGENT: usize = 200;

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) user: UserId,
    pub(crate) created: Timestamp,
    pub(crate) last_seen: Timestamp,
    pub(crate) proved: Timestamp,
    pub(crate) ends: Timestamp,
    pub(crate) address: Option<String>,
    pub(crate) agent: Option<String>,
}

impl Session {
    pub(super) fn goes_on(&self, patience: Patience, now: Timestamp) -> bool {
        now < self.ends && now < self.last_seen.saturating_add(patience.idle)
    }
}

pub(super) fn routes() -> OpenApiRouter<Core> {
    login::routes().merge(mine::routes())
}

/// The sessions of these secrets, by their hashes; of users who are not blocked. Whether they go on is
/// to be asked of each.
pub(super) async fn of_hashes(
    tx: &mut Tx,
    hashes: &[Vec<u8>],
) -> Result<BTreeMap<Vec<u8>, Session>, StoreError> {
    rows::by_hashes(tx, hashes).await
}

/// The session of this id, if it goes on and its user is not blocked: for tokens that name one.
pub(super) async fn find_by_id(
    tx: &mut Tx,
    id: SessionId,
    patience: Patience,
    now: Timestamp,
) -> Result<Option<Session>, StoreError> {
    let session = rows::by_id(tx, id).await?;
    Ok(session.filter(|session| session.goes_on(patience, now)))
}

/// Notes that the session is in use; seldom, because it costs a write.
pub(super) async fn seen(core: &Core, session: &Session, now: Timestamp) -> Result<(), StoreError> {
    if now.unix_ms() - session.last_seen.unix_ms() < SEEN_EVERY_MS {
        return Ok(());
    }
    let mut tx = core.store.write().await?;
    rows::seen(&mut tx, session.id, now).await?;
    tx.commit().await
}

/// Somebody has shown who she is: a new session, and the secret for its cookie.
pub(super) async fn begin(
    tx: &mut Tx,
    user: UserId,
    patience: Patience,
    peer: Peer,
    agent: Option<&str>,
    now: Timestamp,
) -> Result<(SessionId, Secret), StoreError> {
    let secret = Secret::new();
    let session = Session {
        id: SessionId::new_at(now),
        user,
        created: now,
        last_seen: now,
        proved: now,
        ends: now.saturating_add(patience.absolute),
        address: peer.text(),
        agent: agent.map(shortened),
    };
    rows::insert(tx, &session, &secret).await?;
    Ok((session.id, secret))
}

/// She has shown it once more: the same session goes on under a new secret.
pub(super) async fn prove(
    tx: &mut Tx,
    session: SessionId,
    now: Timestamp,
) -> Result<Secret, StoreError> {
    let secret = Secret::new();
    rows::proved(tx, session, &secret, now).await?;
    Ok(secret)
}

fn shortened(agent: &str) -> String {
    agent
        .chars()
        .filter(|letter| !letter.is_control())
        .take(LONGEST_AGENT)
        .collect()
}
