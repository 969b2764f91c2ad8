//! Letters that wait for the mail server.
//!
//! Written in the transaction of what they tell of, so that neither is without the other; whoever
//! sends mail takes them from the table. Their link opens an account: it is sealed until then, and
//! a letter that was not sent in time is forgotten with it.

use cloud_logic::ids::{CompanyId, LetterId};
use model::Timestamp;

use super::secret::Secret;
use crate::core::{Core, NewId};
use crate::keys;
use crate::store::{StoreError, Tx, query};

/// What a letter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Invitation,
    PasswordReset,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::PasswordReset => "password_reset",
        }
    }

    /// The page that takes the secret. After the `#`, so that it reaches no server's log.
    pub(super) fn link(self, core: &Core, secret: &Secret) -> String {
        let page = match self {
            Self::Invitation => "join",
            Self::PasswordReset => "password",
        };
        let origin = &core.people.site().origin;
        format!("{origin}/{page}#s={}", secret.text())
    }
}

#[derive(Debug)]
pub(super) struct Letter<'a> {
    pub(super) company: CompanyId,
    pub(super) kind: Kind,
    pub(super) recipient: &'a str,
    pub(super) language: &'a str,
    /// What the text speaks of: names, never secrets.
    pub(super) words: serde_json::Value,
    pub(super) link: &'a str,
    pub(super) expires: Timestamp,
}

pub(super) async fn write(tx: &mut Tx, core: &Core, letter: Letter<'_>) -> Result<(), StoreError> {
    let now = core.now();
    let id = LetterId::new_at(now);
    let row = id.to_string();
    let place = keys::Secret {
        column: "letter.sealed_link",
        row: &row,
    };
    tx.execute(
        query(
            "INSERT INTO letter (id, company_id, kind, recipient, language, words, sealed_link,
                                 created, expires)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(id)
        .bind(letter.company)
        .bind(letter.kind.word())
        .bind(letter.recipient)
        .bind(letter.language)
        .bind(letter.words.to_string())
        .bind(core.keys.sealer().seal(place, letter.link.as_bytes()))
        .bind(now)
        .bind(letter.expires),
    )
    .await?;
    Ok(())
}

/// Forgets letters whose link is worth nothing any more.
pub(super) async fn forget(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(query("DELETE FROM letter WHERE expires <= $1").bind(now))
        .await?;
    Ok(())
}
