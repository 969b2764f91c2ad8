//! The keys that sign tokens: made, shown, retired.
//!
//! A key is shown a day before it signs, so that whoever keeps the list for a while knows it in
//! time, and a day after. The private half stands in the store, sealed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloud_logic::ids::TokenKeyId;
use model::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use std::time::Duration;
use zeroize::Zeroizing;

use super::rows;
use crate::core::{Core, NewId};
use crate::keys::{Sealer, Secret, UnsealError};
use crate::store::{StoreError, Tx};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// So long a key signs.
const SIGNS: Duration = Duration::from_secs(30 * 24 * 3600);

/// The public half, and when it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TokenKey {
    pub(super) id: TokenKeyId,
    pub(super) sealed: Vec<u8>,
    /// Coordinates of the point on P-256, in base 64 (RFC 7518 6.2.1).
    pub(super) x: String,
    pub(super) y: String,
    pub(super) signs_from: Timestamp,
    pub(super) signs_until: Timestamp,
    pub(super) shown_until: Timestamp,
}

impl TokenKey {
    fn new(sealer: &Sealer, now: Timestamp, signs_from: Timestamp) -> Option<Self> {
        let id = TokenKeyId::new_at(now);
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).ok()?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).ok()?;
        // Uncompressed: 4, then 32 octets each (SEC 1 2.3.3).
        let point = pair.public_key().as_ref();
        let (x, y) = point.get(1..65)?.split_at(32);
        let signs_until = signs_from.saturating_add(SIGNS);
        Some(Self {
            sealed: sealer.seal(place(&id.to_string()), pkcs8.as_ref()),
            id,
            x: URL_SAFE_NO_PAD.encode(x),
            y: URL_SAFE_NO_PAD.encode(y),
            signs_from,
            signs_until,
            shown_until: signs_until.saturating_add(DAY),
        })
    }

    /// The private half, in PKCS #8.
    pub(super) fn open(&self, sealer: &Sealer) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        sealer.unseal(place(&self.id.to_string()), &self.sealed)
    }
}

fn place(row: &str) -> Secret<'_> {
    Secret {
        column: "token_key.sealed",
        row,
    }
}

/// The key that signs now; the first one is made when it is first needed.
pub(super) async fn signing(core: &Core) -> Result<TokenKey, StoreError> {
    let now = core.now();
    let mut tx = core.store.read().await?;
    if let Some(key) = rows::signing(&mut tx, now).await? {
        return Ok(key);
    }
    drop(tx);
    let mut tx = core.store.write().await?;
    let key = match rows::signing(&mut tx, now).await? {
        Some(key) => key,
        None => make(&mut tx, core, now).await?,
    };
    tx.commit().await?;
    Ok(key)
}

/// Makes the next key in time, and forgets those that are no longer shown. To be called every
/// few hours; does nothing when there is nothing to do.
pub(crate) async fn tend(core: &Core) -> Result<(), StoreError> {
    let now = core.now();
    let mut tx = core.store.write().await?;
    rows::forget(&mut tx, now).await?;
    if let Some(newest) = rows::newest(&mut tx).await?
        && newest.signs_until <= now.saturating_add(DAY + DAY)
    {
        let from = newest.signs_until.saturating_sub(DAY);
        make(&mut tx, core, from.max(now.saturating_add(DAY))).await?;
    }
    tx.commit().await
}

async fn make(tx: &mut Tx, core: &Core, signs_from: Timestamp) -> Result<TokenKey, StoreError> {
    let key = TokenKey::new(core.keys.sealer(), core.now(), signs_from).ok_or_else(|| {
        StoreError::Content {
            column: "token_key.sealed".to_owned(),
            what: "the library made a key that it does not read".to_owned(),
        }
    })?;
    rows::insert(tx, &key).await?;
    Ok(key)
}
