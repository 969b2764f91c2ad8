//! The secret under which claim codes are kept: who takes the table alone finds no code by trying.

use contract::enrolment::ClaimCode;
use ring::hmac::{HMAC_SHA256, Key, sign};

use crate::keys::{Sealer, Secret, UnsealError};
use crate::random;
use crate::store::{StoreError, Tx, query};

const NAME: &str = "claim_code_pepper";
const COLUMN: &str = "installation_secret.sealed";

/// Why codes cannot be compared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PepperError {
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(super) struct Pepper(Key);

impl Pepper {
    /// Made when it is needed first.
    pub(super) async fn of(tx: &mut Tx, sealer: &Sealer) -> Result<Self, PepperError> {
        let place = Secret {
            column: COLUMN,
            row: NAME,
        };
        let fresh: [u8; 32] = random::octets();
        let insert = query(
            "INSERT INTO installation_secret (name, sealed) VALUES ($1, $2)
             ON CONFLICT (name) DO NOTHING",
        );
        let wanted = query("SELECT sealed FROM installation_secret WHERE name = $1");
        let row = match tx.optional(wanted.clone().bind(NAME)).await? {
            Some(row) => row,
            None => {
                let sealed = sealer.seal(place, &fresh);
                tx.execute(insert.bind(NAME).bind(sealed)).await?;
                tx.one(wanted.bind(NAME)).await?
            }
        };
        let secret = sealer.unseal(place, &row.octets("sealed")?)?;
        Ok(Self(Key::new(HMAC_SHA256, &secret)))
    }

    pub(super) fn mac(&self, code: &ClaimCode) -> Vec<u8> {
        sign(&self.0, &*code.canonical()).as_ref().to_vec()
    }
}
