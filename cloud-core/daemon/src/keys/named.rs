//! Secrets of the whole installation, by name: made when they are needed first, sealed in the store.

use ring::hmac::{HMAC_SHA256, Key};

use super::sealer::{Sealer, Secret, UnsealError};
use crate::random;
use crate::store::{StoreError, Tx, query};

const COLUMN: &str = "installation_secret.sealed";

/// Why a secret is not at hand.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NamedSecretError {
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The key of this name. `tx` is one that writes.
pub(crate) async fn named_secret(
    tx: &mut Tx,
    sealer: &Sealer,
    name: &'static str,
) -> Result<Key, NamedSecretError> {
    let place = Secret {
        column: COLUMN,
        row: name,
    };
    if let Some(key) = find_named_secret(tx, sealer, name).await? {
        return Ok(key);
    }
    let fresh: [u8; 32] = random::octets();
    let insert = query(
        "INSERT INTO installation_secret (name, sealed) VALUES ($1, $2)
         ON CONFLICT (name) DO NOTHING",
    );
    tx.execute(insert.bind(name).bind(sealer.seal(place, &fresh)))
        .await?;
    // Another node may have made it in the same instant.
    let found = find_named_secret(tx, sealer, name).await?;
    Ok(found.unwrap_or_else(|| Key::new(HMAC_SHA256, &fresh)))
}

/// The key of this name, if it was made already.
pub(crate) async fn find_named_secret(
    tx: &mut Tx,
    sealer: &Sealer,
    name: &'static str,
) -> Result<Option<Key>, NamedSecretError> {
    let place = Secret {
        column: COLUMN,
        row: name,
    };
    let asked = query("SELECT sealed FROM installation_secret WHERE name = $1");
    let Some(row) = tx.optional(asked.bind(name)).await? else {
        return Ok(None);
    };
    let secret = sealer.unseal(place, &row.octets("sealed")?)?;
    Ok(Some(Key::new(HMAC_SHA256, &secret)))
}
