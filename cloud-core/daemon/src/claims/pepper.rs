//! The secret under which claim codes are kept: who takes the table alone finds no code by trying.

use contract::enrolment::ClaimCode;
use ring::hmac::{Key, sign};

use crate::keys::{NamedSecretError, Sealer, named_secret};
use crate::store::Tx;

const NAME: &str = "claim_code_pepper";

pub(super) struct Pepper(Key);

impl Pepper {
    /// Made when it is needed first.
    pub(super) async fn of(tx: &mut Tx, sealer: &Sealer) -> Result<Self, NamedSecretError> {
        Ok(Self(named_secret(tx, sealer, NAME).await?))
    }

    pub(super) fn mac(&self, code: &ClaimCode) -> Vec<u8> {
        sign(&self.0, &*code.canonical()).as_ref().to_vec()
    }
}
