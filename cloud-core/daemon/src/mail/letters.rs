//! The table of letters.

use std::str::FromStr;
use std::time::Duration;

use cloud_logic::ids::{CompanyId, LetterId};
use cloud_logic::language::Language;
use model::Timestamp;
use zeroize::Zeroizing;

use crate::core::{Core, NewId};
use crate::keys;
use crate::store::changes::{Change, What, Whose};
use crate::store::{Query, Row, StoreError, Tx, query};

/// What a letter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Invitation,
    PasswordReset,
    Notice,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Invitation, Self::PasswordReset, Self::Notice];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::PasswordReset => "password_reset",
            Self::Notice => "notice",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such word")]
pub(crate) struct UnknownWord;

impl FromStr for Kind {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.word() == word).ok_or(UnknownWord)
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Waiting,
    Sent,
    /// It will not be tried again.
    Failed,
}

impl State {
    pub(crate) const ALL: [Self; 3] = [Self::Waiting, Self::Sent, Self::Failed];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for State {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let mut all = Self::ALL.into_iter();
        all.find(|state| state.word() == word).ok_or(UnknownWord)
    }
}

/// A letter to be written.
#[derive(Debug)]
pub(crate) struct Letter<'a> {
    pub(crate) company: CompanyId,
    pub(crate) kind: Kind,
    pub(crate) recipient: &'a str,
    pub(crate) language: &'a str,
    /// What the text speaks of: names, never secrets.
    pub(crate) words: serde_json::Value,
    /// What only the recipient may know.
    pub(crate) link: Option<&'a str>,
    /// Afterwards it is worth nothing.
    pub(crate) expires: Timestamp,
}

pub(crate) async fn write(tx: &mut Tx, core: &Core, letter: Letter<'_>) -> Result<(), StoreError> {
    let now = core.now();
    let id = LetterId::new_at(now);
    let row = id.to_string();
    let seal = |link: &str| core.keys.sealer().seal(place(&row), link.as_bytes());
    tx.execute(
        query(
            "INSERT INTO letter (id, company_id, kind, recipient, language, words, sealed_link,
                                 created, expires, due)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $8)",
        )
        .bind(id)
        .bind(letter.company)
        .bind(letter.kind.word())
        .bind(letter.recipient)
        .bind(letter.language)
        .bind(letter.words.to_string())
        .bind(letter.link.map(seal))
        .bind(now)
        .bind(letter.expires),
    )
    .await?;
    Ok(())
}

fn place(row: &str) -> keys::Secret<'_> {
    keys::Secret {
        column: "letter.sealed_link",
        row,
    }
}

/// A letter that is to leave now.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) id: LetterId,
    pub(super) kind: Kind,
    pub(super) recipient: String,
    pub(super) language: Language,
    pub(super) words: serde_json::Value,
    pub(super) link: Option<Zeroizing<String>>,
    /// Name and time zone of the company it is from.
    pub(super) company: Option<(String, String)>,
    pub(super) expires: Timestamp,
    /// With this one.
    pub(super) tries: u32,
}

pub(super) async fn any_due(tx: &mut Tx, now: Timestamp) -> Result<bool, StoreError> {
    let asked = query("SELECT id FROM letter WHERE state = 'waiting' AND due <= $1 LIMIT 1");
    Ok(tx.optional(asked.bind(now)).await?.is_some())
}

/// Takes the letter that is due the longest. Nobody else takes it before `held`, even if we die.
pub(super) async fn take(
    tx: &mut Tx,
    core: &Core,
    held: Duration,
) -> Result<Option<Due>, StoreError> {
    let now = core.now();
    let asked = query(
        "SELECT l.id, l.kind, l.recipient, l.language, l.words, l.sealed_link, l.expires, l.tries,
                c.name, c.time_zone
         FROM letter l LEFT JOIN company c ON c.id = l.company_id
         WHERE l.state = 'waiting' AND l.due <= $1 AND l.expires > $1
         ORDER BY l.due, l.id LIMIT 1",
    );
    let Some(row) = tx.optional(asked.bind(now)).await? else {
        return Ok(None);
    };
    let id: LetterId = row.parsed("id")?;
    let tries = u32::try_from(row.int("tries")?)
        .unwrap_or(u32::MAX)
        .saturating_add(1);
    tx.execute(
        query("UPDATE letter SET due = $2, tries = $3 WHERE id = $1")
            .bind(id)
            .bind(now.saturating_add(held))
            .bind(tries),
    )
    .await?;
    let name = row.maybe_text("name")?;
    Ok(Some(Due {
        id,
        kind: row.parsed("kind")?,
        recipient: row.text("recipient")?,
        language: row.text("language")?.parse().unwrap_or_default(),
        words: row.json("words")?,
        link: link_of(&row, core)?,
        company: name.zip(row.maybe_text("time_zone")?),
        expires: row.time("expires")?,
        tries,
    }))
}

fn link_of(row: &Row, core: &Core) -> Result<Option<Zeroizing<String>>, StoreError> {
    let Some(sealed) = row.maybe_octets("sealed_link")? else {
        return Ok(None);
    };
    let content = |what: String| StoreError::Content {
        column: "letter.sealed_link".to_owned(),
        what,
    };
    let opened = core
        .keys
        .sealer()
        .unseal(place(&row.text("id")?), &sealed)
        .map_err(|error| content(error.to_string()))?;
    let text = String::from_utf8(opened.to_vec()).map_err(|error| content(error.to_string()))?;
    Ok(Some(Zeroizing::new(text)))
}

/// It is tried again then.
pub(super) async fn put_off(
    tx: &mut Tx,
    id: LetterId,
    until: Timestamp,
    reason: &str,
) -> Result<(), StoreError> {
    tx.execute(
        query("UPDATE letter SET due = $2, reason = $3 WHERE id = $1 AND state = 'waiting'")
            .bind(id)
            .bind(until)
            .bind(reason),
    )
    .await?;
    Ok(())
}

/// It has left, or never will. The link goes with it.
pub(super) async fn end(
    tx: &mut Tx,
    id: LetterId,
    (state, reason): (State, Option<&str>),
    now: Timestamp,
) -> Result<(), StoreError> {
    let ended = tx
        .optional(
            query(
                "UPDATE letter SET state = $2, reason = $3, ended = $4, sealed_link = NULL
                 WHERE id = $1 AND state = 'waiting' RETURNING company_id",
            )
            .bind(id)
            .bind(state.word())
            .bind(reason)
            .bind(now),
        )
        .await?;
    if let Some(row) = ended {
        tx.changed(Change {
            at: now,
            whose: Whose {
                company: row.maybe_parsed("company_id")?,
                ..Whose::default()
            },
            kind: "letter",
            id: id.to_string(),
            what: What::Updated,
        });
    }
    Ok(())
}

/// Ended ones are shown for so long.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// So many are ended or forgotten at once.
const PORTION: u32 = 500;

/// Ends letters that are worth nothing any more, and forgets those that ended long ago.
pub(crate) async fn forget(tx: &mut Tx, now: Timestamp) -> Result<u32, StoreError> {
    let asked = query(
        "SELECT id, reason FROM letter WHERE state = 'waiting' AND expires <= $1
         ORDER BY id LIMIT $2",
    );
    let late = tx.all(asked.bind(now).bind(PORTION)).await?;
    for row in &late {
        let reason = row.maybe_text("reason")?;
        let reason = match &reason {
            Some(last) => format!("it was not taken in time; the last answer was: {last}"),
            None => "it did not leave in time".to_owned(),
        };
        end(tx, row.parsed("id")?, (State::Failed, Some(&reason)), now).await?;
    }
    let old = query(
        "DELETE FROM letter WHERE id IN
            (SELECT id FROM letter WHERE ended <= $1 ORDER BY id LIMIT $2)",
    );
    let before = now.saturating_sub(KEPT);
    tx.execute(old.bind(before).bind(PORTION)).await?;
    Ok(u32::try_from(late.len()).unwrap_or(u32::MAX))
}

/// How many letters of a kind were written to somebody since then.
pub(crate) async fn so_many_to(
    tx: &mut Tx,
    recipient: &str,
    kind: Kind,
    since: Timestamp,
) -> Result<i64, StoreError> {
    let asked = query(
        "SELECT count(*) AS n FROM letter WHERE recipient = $1 AND kind = $2 AND created > $3",
    );
    let asked = asked.bind(recipient).bind(kind.word()).bind(since);
    tx.one(asked).await?.int("n")
}

/// A letter as it is listed: never its words nor its link.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) id: LetterId,
    pub(crate) kind: Kind,
    pub(crate) recipient: String,
    pub(crate) state: State,
    pub(crate) tries: i64,
    pub(crate) due: Timestamp,
    pub(crate) reason: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) ended: Option<Timestamp>,
}

/// Letters of a company, or of all, the newest first.
pub(crate) async fn listed(
    tx: &mut Tx,
    company: Option<CompanyId>,
    state: Option<State>,
    before: Option<LetterId>,
    limit: u32,
) -> Result<Vec<Listed>, StoreError> {
    let mut asked: Query = query(
        "SELECT id, kind, recipient, state, tries, due, reason, created, expires, ended
         FROM letter WHERE 1 = 1",
    );
    if let Some(company) = company {
        asked = asked.text(" AND company_id = ").value(company);
    }
    if let Some(state) = state {
        asked = asked.text(" AND state = ").value(state.word());
    }
    if let Some(before) = before {
        asked = asked.text(" AND id < ").value(before);
    }
    let rows = tx.all(asked.text(" ORDER BY id DESC LIMIT ").value(limit));
    rows.await?
        .iter()
        .map(|row| {
            Ok(Listed {
                id: row.parsed("id")?,
                kind: row.parsed("kind")?,
                recipient: row.text("recipient")?,
                state: row.parsed("state")?,
                tries: row.int("tries")?,
                due: row.time("due")?,
                reason: row.maybe_text("reason")?,
                created: row.time("created")?,
                expires: row.time("expires")?,
                ended: row.maybe_time("ended")?,
            })
        })
        .collect()
}

/// How many letters are in each state, for figures.
pub(crate) async fn counts(tx: &mut Tx) -> Result<Vec<(State, i64)>, StoreError> {
    let rows = tx
        .all(query(
            "SELECT state, count(*) AS n FROM letter GROUP BY state",
        ))
        .await?;
    let known: Vec<(State, i64)> = rows
        .iter()
        .map(|row| Ok((row.parsed("state")?, row.int("n")?)))
        .collect::<Result<_, StoreError>>()?;
    let of = |state| known.iter().find(|(known, _)| *known == state);
    Ok(State::ALL
        .into_iter()
        .map(|state| (state, of(state).map_or(0, |(_, n)| *n)))
        .collect())
}
