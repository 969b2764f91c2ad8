//! Another key for all secrets: a new one is put into the key file, then every sealed value of the
//! store is sealed anew with it.
//!
//! May be cut off and run again at any moment, beside a running core: values of both keys open until
//! the old ones are dropped, and they are dropped only when no value of theirs is left. Invariant:
//! every column that holds sealed values stands in `COLUMNS`; sealing for another one fails in tests.

use super::key_file::{self, KeyFileError};
use super::sealer::{Sealer, Secret, UnsealError};
use crate::store::{Store, StoreError, query};

/// Values sealed anew in one transaction.
const BATCH: u32 = 200;

/// A column of sealed values.
pub(super) struct Column {
    /// As `Secret` names it.
    pub(super) name: &'static str,
    /// `row` and `sealed`, of rows after $1, at most $2.
    select: &'static str,
    /// $1 the row, $2 what was sealed before, $3 what is now: nothing happens to a value that has
    /// changed meanwhile.
    update: &'static str,
}

/// What is sealed and handed out for minutes: no rotation finds it in the store, and none has to.
pub(super) const NEVER_STORED: &[&str] = &["passkey_ceremony"];

pub(super) const COLUMNS: &[Column] = &[
    Column {
        name: "authority.key",
        select: "SELECT id AS row, key AS sealed FROM authority
                 WHERE key IS NOT NULL AND id > $1 ORDER BY id LIMIT $2",
        update: "UPDATE authority SET key = $3 WHERE id = $1 AND key = $2",
    },
    Column {
        name: "claim.proof_key",
        select: "SELECT unit_id AS row, proof_key AS sealed FROM claim
                 WHERE proof_key IS NOT NULL AND unit_id > $1 ORDER BY unit_id LIMIT $2",
        update: "UPDATE claim SET proof_key = $3 WHERE unit_id = $1 AND proof_key = $2",
    },
    Column {
        name: "installation_secret.sealed",
        select: "SELECT name AS row, sealed FROM installation_secret
                 WHERE name > $1 ORDER BY name LIMIT $2",
        update: "UPDATE installation_secret SET sealed = $3 WHERE name = $1 AND sealed = $2",
    },
    Column {
        name: "letter.sealed_link",
        select: "SELECT id AS row, sealed_link AS sealed FROM letter
                 WHERE sealed_link IS NOT NULL AND id > $1 ORDER BY id LIMIT $2",
        update: "UPDATE letter SET sealed_link = $3 WHERE id = $1 AND sealed_link = $2",
    },
    Column {
        name: "token_key.sealed",
        select: "SELECT id AS row, sealed FROM token_key WHERE id > $1 ORDER BY id LIMIT $2",
        update: "UPDATE token_key SET sealed = $3 WHERE id = $1 AND sealed = $2",
    },
];

/// Why a rotation did not come to its end. Run it again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RotateError {
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a rotation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rotated {
    pub(crate) resealed: usize,
    pub(crate) keys_dropped: usize,
}

/// Adds a key and seals everything with it. The old keys stay in the file.
pub(crate) async fn rotate(store: &Store, sealer: &Sealer) -> Result<Rotated, RotateError> {
    key_file::add_key(&sealer.path())?;
    sealer.reload()?;
    Ok(Rotated {
        resealed: reseal(store, sealer).await?,
        keys_dropped: 0,
    })
}

/// Seals what is left of older keys with the newest, then forgets the older keys. Only when every
/// node has the newest key file: what a node seals with an older key would be lost.
pub(crate) async fn drop_old(store: &Store, sealer: &Sealer) -> Result<Rotated, RotateError> {
    sealer.reload()?;
    let resealed = reseal(store, sealer).await?;
    let keys_dropped = key_file::drop_old_keys(&sealer.path())?;
    sealer.reload()?;
    Ok(Rotated {
        resealed,
        keys_dropped,
    })
}

async fn reseal(store: &Store, sealer: &Sealer) -> Result<usize, RotateError> {
    let mut count = 0;
    for column in COLUMNS {
        let mut after = String::new();
        loop {
            let mut tx = store.write().await?;
            let rows = tx
                .all(query(column.select).bind(&after).bind(BATCH))
                .await?;
            for row in &rows {
                after = row.text("row")?;
                let sealed = row.octets("sealed")?;
                if sealer.is_current(&sealed) {
                    continue;
                }
                let place = Secret {
                    column: column.name,
                    row: &after,
                };
                let secret = sealer.unseal(place, &sealed)?;
                let anew = sealer.seal(place, &secret);
                let put = query(column.update).bind(&after).bind(sealed).bind(anew);
                tx.execute(put).await?;
                count += 1;
            }
            tx.commit().await?;
            if rows.len() < BATCH as usize {
                break;
            }
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::authority;
    use crate::keys::testing::keys;
    use crate::store::testing::on_both;

    #[tokio::test]
    async fn g2_a_rotation_seals_everything_anew_and_a_running_core_goes_on() {
        on_both(async |store| {
            let world = keys(&store).await;
            let core = world.core(&store);
            let other = Sealer::open(&core.keys.sealer().path()).unwrap();
            let rotated = rotate(&store, &other).await.unwrap();
            // Root, devices, servers.
            assert_eq!(rotated.resealed, 3);
            core.keys.tend_once(&core).await.unwrap();
            let dropped = drop_old(&store, &other).await.unwrap();
            let nothing_left = Rotated {
                resealed: 0,
                keys_dropped: 1,
            };
            assert_eq!(dropped, nothing_left);
            let fresh = Sealer::open(&other.path()).unwrap();
            let mut tx = store.read().await.unwrap();
            let names = ["core.example".to_owned()];
            let issued = authority::issue_server(&mut tx, &fresh, core.now(), &names).await;
            assert_eq!(issued.unwrap().chain.len(), 2);
        })
        .await;
    }

    #[tokio::test]
    async fn g2_a_rotation_that_was_cut_off_is_finished_by_the_next() {
        on_both(async |store| {
            let world = keys(&store).await;
            let sealer = world.keys.sealer().clone();
            key_file::add_key(&sealer.path()).unwrap();
            let finished = drop_old(&store, &sealer).await.unwrap();
            let all = Rotated {
                resealed: 3,
                keys_dropped: 1,
            };
            assert_eq!(finished, all);
        })
        .await;
    }
}
