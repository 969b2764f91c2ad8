//! The table of passkeys.

use cloud_logic::ids::{PasskeyId, UserId};
use model::Timestamp;
use webauthn_rs::prelude::{Credential, Passkey};

use crate::store::{Engine, Row, StoreError, Tx, query};

/// A passkey as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) id: PasskeyId,
    pub(super) user: UserId,
    pub(super) name: String,
    pub(super) credential: Passkey,
    /// As it was read: what changes it says what it was before.
    written: String,
    pub(super) created: Timestamp,
    pub(super) last_used: Option<Timestamp>,
    pub(super) version: i64,
}

impl Kept {
    /// With what the library tells of it.
    pub(super) fn inside(&self) -> Credential {
        self.credential.clone().into()
    }
}

fn kept(row: &Row) -> Result<Kept, StoreError> {
    Ok(Kept {
        id: row.parsed("id")?,
        user: row.parsed("user_id")?,
        name: row.text("name")?,
        credential: row.json("credential")?,
        written: row.text("credential")?,
        created: row.time("created")?,
        last_used: row.maybe_time("last_used")?,
        version: row.int("version")?,
    })
}

/// All of a person, the oldest first.
pub(super) async fn of_user(tx: &mut Tx, user: UserId) -> Result<Vec<Kept>, StoreError> {
    let found = query("SELECT * FROM passkey WHERE user_id = $1 ORDER BY id").bind(user);
    tx.all(found).await?.iter().map(kept).collect()
}

/// By the name that its authenticator gave it.
pub(super) async fn by_credential(
    tx: &mut Tx,
    credential: &[u8],
) -> Result<Option<Kept>, StoreError> {
    let found = query("SELECT * FROM passkey WHERE credential_id = $1").bind(credential);
    tx.optional(found).await?.as_ref().map(kept).transpose()
}

/// Whoever changes a person's ways to sign in goes one after the other.
pub(super) async fn hold(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    if tx.engine() == Engine::Postgres {
        let held_fast = query("SELECT id FROM user_account WHERE id = $1 FOR UPDATE").bind(user);
        tx.one(held_fast).await?;
    }
    Ok(())
}

pub(super) async fn insert(
    tx: &mut Tx,
    (id, user): (PasskeyId, UserId),
    name: &str,
    credential: &Passkey,
    now: Timestamp,
) -> Result<(), StoreError> {
    let octets: &[u8] = credential.cred_id();
    tx.execute(
        query(
            "INSERT INTO passkey (id, user_id, name, credential_id, credential, created, version)
             VALUES ($1, $2, $3, $4, $5, $6, 1)",
        )
        .bind(id)
        .bind(user)
        .bind(name)
        .bind(octets)
        .bind(as_text(credential))
        .bind(now),
    )
    .await?;
    Ok(())
}

/// Notes a use; false if it was used or taken away since it was read.
pub(super) async fn used(
    tx: &mut Tx,
    before: &Kept,
    credential: &Passkey,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let used = query(
        "UPDATE passkey SET credential = $3, last_used = $4 WHERE id = $1 AND credential = $2",
    )
    .bind(before.id)
    .bind(&before.written)
    .bind(as_text(credential))
    .bind(now);
    Ok(tx.execute(used).await? == 1)
}

pub(super) async fn rename(
    tx: &mut Tx,
    id: PasskeyId,
    version: i64,
    name: &str,
) -> Result<u64, StoreError> {
    let renamed =
        query("UPDATE passkey SET name = $3, version = version + 1 WHERE id = $1 AND version = $2")
            .bind(id)
            .bind(version)
            .bind(name);
    tx.execute(renamed).await
}

pub(super) async fn delete(tx: &mut Tx, id: PasskeyId) -> Result<(), StoreError> {
    tx.execute(query("DELETE FROM passkey WHERE id = $1").bind(id))
        .await?;
    Ok(())
}

fn as_text(credential: &Passkey) -> String {
    serde_json::to_string(credential).expect("the library writes a passkey as JSON")
}
