//! A registration or a proof that is under way.
//!
//! Its state is sealed and handed to the browser, which brings it back: whoever begins a thousand of
//! them fills no table, and any node can finish one. Invariant: one is finished once, for the purpose
//! and the person it was sealed for, before its end.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloud_logic::ids::{CeremonyId, UserId};
use model::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::sessions;
use super::LASTS;
use crate::api::Problem;
use crate::core::{Core, NewId};
use crate::keys;
use crate::store::{StoreError, Tx, query};

/// The longest that is looked at.
pub(super) const LONGEST: usize = 40_000;

/// What for. Sealed with it: a ceremony for one is nothing for another.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Register(UserId),
    SignIn,
    Proof(UserId),
}

impl Purpose {
    fn place(self, id: CeremonyId) -> String {
        match self {
            Self::Register(user) => format!("{id} registers {user}"),
            Self::SignIn => format!("{id} signs in"),
            Self::Proof(user) => format!("{id} proves {user}"),
        }
    }
}

/// One that was brought back.
#[derive(Debug)]
pub(super) struct Ceremony<S> {
    id: CeremonyId,
    ends: Timestamp,
    pub(super) state: S,
}

#[derive(Serialize, Deserialize)]
struct Sealed<S> {
    ends: i64,
    state: S,
}

fn secret(place: &str) -> keys::Secret<'_> {
    keys::Secret {
        column: "passkey_ceremony",
        row: place,
    }
}

/// Seals a new one.
pub(super) fn begin<S: Serialize>(core: &Core, purpose: Purpose, state: &S) -> String {
    let now = core.now();
    let id = CeremonyId::new_at(now);
    let sealed = Sealed {
        ends: now.saturating_add(LASTS).unix_ms(),
        state,
    };
    let text = serde_json::to_vec(&sealed).expect("the library's states can be written as JSON");
    let sealer = core.keys.sealer();
    let sealed = sealer.seal(secret(&purpose.place(id)), &text);
    format!("{id}.{}", URL_SAFE_NO_PAD.encode(sealed))
}

/// The one that this text is. Whatever is wrong with it, the answer is the same.
pub(super) fn resume<S: DeserializeOwned>(
    core: &Core,
    purpose: Purpose,
    text: &str,
) -> Result<Ceremony<S>, Problem> {
    opened(core, purpose, text)
        .filter(|ceremony| core.now() < ceremony.ends)
        .ok_or_else(sessions::wrong)
}

fn opened<S: DeserializeOwned>(core: &Core, purpose: Purpose, text: &str) -> Option<Ceremony<S>> {
    let (id, sealed) = text.split_once('.').filter(|_| text.len() <= LONGEST)?;
    let id: CeremonyId = id.parse().ok()?;
    let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let sealer = core.keys.sealer();
    let text = sealer.unseal(secret(&purpose.place(id)), &sealed).ok()?;
    let Sealed { ends, state } = serde_json::from_slice(&text).ok()?;
    Some(Ceremony {
        id,
        ends: Timestamp::from_unix_ms(ends),
        state,
    })
}

impl<S> Ceremony<S> {
    /// Notes that it is over; fails if it was before.
    pub(super) async fn end(&self, tx: &mut Tx) -> Result<(), Problem> {
        let over = query(
            "INSERT INTO passkey_ceremony_over (id, expires) VALUES ($1, $2)
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(self.id)
        .bind(self.ends);
        match tx.execute(over).await? {
            0 => Err(sessions::wrong()),
            _ => Ok(()),
        }
    }
}

/// Forgets those that time has ended.
pub(in super::super) async fn forget(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(query("DELETE FROM passkey_ceremony_over WHERE expires <= $1").bind(now))
        .await?;
    Ok(())
}
