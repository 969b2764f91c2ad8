//! The audit log: who did what to what, append-only, chained by hashes per company.
//!
//! An entry is written at the commit of the transaction that makes the change it tells of, so neither
//! can be without the other. Each entry's hash covers the one before it: an entry that is changed or taken out breaks
//! the chain from there on. Of the address of a person the chain covers only a mark, so that the address
//! itself can be taken out when she wants to be forgotten. Invariant: entries of a company are counted without a gap.

use cloud_logic::ids::CompanyId;
use model::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::insert::Rows;
use super::sql::{Row, StoreError, Tx, query};
use crate::random;

/// The chain of what belongs to no company: the installation itself.
const INSTALLATION: &str = "";

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Actor {
    /// `us-...`, `cli`, `core`, or a device.
    pub(crate) name: String,
    pub(crate) address: Option<String>,
    pub(crate) session: Option<String>,
}

impl Actor {
    /// The core itself: what follows from a rule.
    pub(crate) fn core() -> Self {
        Self::named("core")
    }

    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            address: None,
            session: None,
        }
    }
}

/// What was done.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    pub(crate) at: Timestamp,
    pub(crate) company: Option<CompanyId>,
    pub(crate) actor: Actor,
    /// `site.update`, `user.login`, ...
    pub(crate) action: &'static str,
    pub(crate) object_kind: &'static str,
    pub(crate) object_id: String,
    /// What it was and what it is now, without secrets.
    pub(crate) before: Option<serde_json::Value>,
    pub(crate) after: Option<serde_json::Value>,
}

impl Audit {
    /// The entry as a row; its hash.
    fn write(
        &self,
        company: &str,
        seq: i64,
        previous: &[u8],
        rows: &mut Rows,
    ) -> Result<Vec<u8>, StoreError> {
        let before = self.before.as_ref().map(serde_json::Value::to_string);
        let after = self.after.as_ref().map(serde_json::Value::to_string);
        let address = self.actor.address.as_deref().map(Marked::new);
        let mark = address.as_ref().map(|marked| covered_mark(&marked.mark));
        let hash = Covered {
            company,
            seq,
            at: self.at.unix_ms(),
            actor: &self.actor.name,
            address: mark.as_deref(),
            session: self.actor.session.as_deref(),
            action: self.action,
            object_kind: self.object_kind,
            object_id: &self.object_id,
            before: before.as_deref(),
            after: after.as_deref(),
        }
        .hash(previous)?;
        rows.bind(company)
            .bind(seq)
            .bind(self.at)
            .bind(&self.actor.name)
            .bind(self.actor.address.as_deref())
            .bind(self.actor.session.as_deref())
            .bind(self.action)
            .bind(self.object_kind)
            .bind(&self.object_id)
            .bind(before)
            .bind(after)
            .bind(hash.clone())
            .bind(address.as_ref().map(|marked| marked.salt.to_vec()))
            .bind(address.map(|marked| marked.mark));
        Ok(hash)
    }
}

/// The part of an entry that its hash covers, in this order.
#[derive(Serialize)]
struct Covered<'a> {
    company: &'a str,
    seq: i64,
    at: i64,
    actor: &'a str,
    address: Option<&'a str>,
    session: Option<&'a str>,
    action: &'a str,
    object_kind: &'a str,
    object_id: &'a str,
    before: Option<&'a str>,
    after: Option<&'a str>,
}

impl Covered<'_> {
    fn hash(&self, previous: &[u8]) -> Result<Vec<u8>, StoreError> {
        let text = serde_json::to_vec(self).map_err(|error| StoreError::Content {
            column: "audit".to_owned(),
            what: error.to_string(),
        })?;
        let hash = Sha256::new().chain_update(previous).chain_update(text);
        Ok(hash.finalize().to_vec())
    }
}

/// An address, as the chain covers it.
struct Marked {
    salt: [u8; 16],
    mark: Vec<u8>,
}

impl Marked {
    fn new(address: &str) -> Self {
        let salt = random::octets();
        Self {
            salt,
            mark: mark(&salt, address),
        }
    }
}

/// Tells nothing of the address to those who do not have the salt.
fn mark(salt: &[u8], address: &str) -> Vec<u8> {
    let digest = Sha256::new().chain_update(salt).chain_update(address);
    digest.finalize().to_vec()
}

fn covered_mark(mark: &[u8]) -> String {
    let digits: String = mark.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("sha256:{digits}")
}

/// Where a chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) seq: i64,
    pub(crate) why: &'static str,
}

/// Writes what was done in a transaction, shortly before it commits. The chains are held in the order
/// of their companies, so two transactions cannot wait for each other.
pub(super) async fn write(tx: &mut Tx, mut entries: Vec<Audit>) -> Result<(), StoreError> {
    entries.sort_by_key(|entry| entry.company);
    for some in entries.chunk_by(|one, next| one.company == next.company) {
        tx.add_to_chain(some).await?;
    }
    Ok(())
}

impl Tx {
    /// Entries of one company, in the order in which they came about.
    async fn add_to_chain(&mut self, entries: &[Audit]) -> Result<(), StoreError> {
        let company = entries.first().and_then(|entry| entry.company);
        let company = company.map(|id| id.to_string());
        let company = company.as_deref().unwrap_or(INSTALLATION);
        let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
        let (last, mut hash) = self.take_places(company, count).await?;
        let mut rows = Rows::new(
            "INSERT INTO audit (company_id, seq, at, actor, address, session, action,
                                object_kind, object_id, before, after, hash,
                                address_salt, address_mark) VALUES",
            14,
        );
        for (seq, entry) in (last - count + 1..).zip(entries) {
            hash = entry.write(company, seq, &hash, &mut rows)?;
        }
        self.insert(rows).await?;
        let head = query("UPDATE audit_head SET hash = $2 WHERE company_id = $1");
        self.execute(head.bind(company).bind(hash)).await?;
        Ok(())
    }

    /// The number of the last of `count` new entries, and the hash of the entry before them. Holds the
    /// chain until commit, so that two transactions cannot take the same number.
    async fn take_places(
        &mut self,
        company: &str,
        count: i64,
    ) -> Result<(i64, Vec<u8>), StoreError> {
        let row = self
            .one(
                query(
                    "INSERT INTO audit_head (company_id, seq, hash) VALUES ($1, $2, $3)
                     ON CONFLICT (company_id) DO UPDATE SET seq = audit_head.seq + excluded.seq
                     RETURNING seq, hash",
                )
                .bind(company)
                .bind(count)
                .bind(Vec::new()),
            )
            .await?;
        Ok((row.int("seq")?, row.octets("hash")?))
    }

    /// Whether a company's chain holds from its first entry to its last.
    pub(crate) async fn audit_holds(
        &mut self,
        company: Option<CompanyId>,
    ) -> Result<Result<i64, Broken>, StoreError> {
        let company = company.map(|id| id.to_string());
        let company = company.as_deref().unwrap_or(INSTALLATION);
        let mut previous = Vec::new();
        let mut seq = 0;
        loop {
            let rows = self
                .all(
                    query("SELECT * FROM audit WHERE company_id = $1 AND seq > $2 ORDER BY seq LIMIT 500")
                        .bind(company)
                        .bind(seq),
                )
                .await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                if row.int("seq")? != seq + 1 {
                    let why = "an entry before it is missing";
                    return Ok(Err(Broken {
                        seq: row.int("seq")?,
                        why,
                    }));
                }
                seq += 1;
                previous = match hash_of(company, &row, &previous)? {
                    hash if hash == row.octets("hash")? => hash,
                    _ => {
                        return Ok(Err(Broken {
                            seq,
                            why: "it was changed after it was written",
                        }));
                    }
                };
            }
        }
        let head = self
            .optional(query("SELECT seq, hash FROM audit_head WHERE company_id = $1").bind(company))
            .await?;
        let end = head.map_or(Ok(0), |head| head.int("seq"))?;
        if end == seq {
            Ok(Ok(seq))
        } else {
            let why = "the last entries are missing";
            Ok(Err(Broken { seq, why }))
        }
    }
}

fn hash_of(company: &str, row: &Row, previous: &[u8]) -> Result<Vec<u8>, StoreError> {
    let address = covered_address(row)?;
    Covered {
        company,
        seq: row.int("seq")?,
        at: row.int("at")?,
        actor: &row.text("actor")?,
        address: address.as_deref(),
        session: row.maybe_text("session")?.as_deref(),
        action: &row.text("action")?,
        object_kind: &row.text("object_kind")?,
        object_id: &row.text("object_id")?,
        before: row.maybe_text("before")?.as_deref(),
        after: row.maybe_text("after")?.as_deref(),
    }
    .hash(previous)
}

/// The mark; of an address that is still there, one made anew, so that another address shows.
fn covered_address(row: &Row) -> Result<Option<String>, StoreError> {
    let address = row.maybe_text("address")?;
    let Some(marked) = row.maybe_octets("address_mark")? else {
        return Ok(address);
    };
    let salt = row.maybe_octets("address_salt")?.unwrap_or_default();
    let now = address.map_or(marked, |address| mark(&salt, &address));
    Ok(Some(covered_mark(&now)))
}

impl Tx {
    /// Takes out where somebody was; what she did stays, and the chain holds.
    pub(crate) async fn forget_addresses_of(&mut self, actor: &str) -> Result<u64, StoreError> {
        let forget = query(
            "UPDATE audit SET address = NULL, address_salt = NULL
             WHERE actor = $1 AND address_mark IS NOT NULL",
        );
        self.execute(forget.bind(actor)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::testing::on_both;

    async fn write(store: &Store, object: &str) {
        let mut tx = store.write().await.unwrap();
        tx.audit(Audit {
            at: Timestamp::from_unix_ms(7),
            company: None,
            actor: Actor::core(),
            action: "site.update",
            object_kind: "site",
            object_id: object.to_owned(),
            before: None,
            after: Some(serde_json::json!({"name": object})),
        });
        tx.commit().await.unwrap();
    }

    async fn holds(store: &Store) -> Result<i64, Broken> {
        store.read().await.unwrap().audit_holds(None).await.unwrap()
    }

    async fn tamper(store: &Store, statement: &'static str) {
        let mut tx = store.write().await.unwrap();
        assert_eq!(tx.execute(query(statement)).await.unwrap(), 1);
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn a_chain_that_nobody_touched_holds_u4() {
        on_both(async |store| {
            for object in ["a", "b", "c"] {
                write(&store, object).await;
            }
            assert_eq!(holds(&store).await, Ok(3));
        })
        .await;
    }

    #[tokio::test]
    async fn a_changed_entry_shows_u4() {
        on_both(async |store| {
            for object in ["a", "b", "c"] {
                write(&store, object).await;
            }
            tamper(&store, "UPDATE audit SET actor = 'somebody' WHERE seq = 2").await;
            assert_eq!(holds(&store).await.unwrap_err().seq, 2);
        })
        .await;
    }

    #[tokio::test]
    async fn g1_addresses_can_be_forgotten_and_not_replaced() {
        on_both(async |store| {
            let mut tx = store.write().await.unwrap();
            for name in ["us-a", "us-b"] {
                tx.audit(Audit {
                    at: Timestamp::from_unix_ms(7),
                    company: None,
                    actor: Actor {
                        address: Some("192.0.2.7".to_owned()),
                        ..Actor::named(name)
                    },
                    action: "session.begin",
                    object_kind: "session",
                    object_id: String::new(),
                    before: None,
                    after: None,
                });
            }
            tx.commit().await.unwrap();
            assert_eq!(holds(&store).await, Ok(2));
            let mut tx = store.write().await.unwrap();
            assert_eq!(tx.forget_addresses_of("us-a").await.unwrap(), 1);
            tx.commit().await.unwrap();
            assert_eq!(holds(&store).await, Ok(2));
            tamper(
                &store,
                "UPDATE audit SET address = '192.0.2.8' WHERE seq = 2",
            )
            .await;
            assert_eq!(holds(&store).await.unwrap_err().seq, 2);
        })
        .await;
    }

    #[tokio::test]
    async fn a_missing_entry_shows_wherever_it_was_u4() {
        for (taken, shown) in [
            ("DELETE FROM audit WHERE seq = 1", 2),
            ("DELETE FROM audit WHERE seq = 3", 2),
        ] {
            on_both(async |store| {
                for object in ["a", "b", "c"] {
                    write(&store, object).await;
                }
                tamper(&store, taken).await;
                assert_eq!(holds(&store).await.unwrap_err().seq, shown);
            })
            .await;
        }
    }

    #[tokio::test]
    async fn entries_written_at_the_same_time_make_one_chain_u4() {
        on_both(async |store| {
            let writers: Vec<_> = (0..20)
                .map(|n| {
                    let store = store.clone();
                    tokio::spawn(async move { write(&store, &n.to_string()).await })
                })
                .collect();
            for writer in writers {
                writer.await.unwrap();
            }
            assert_eq!(holds(&store).await, Ok(20));
        })
        .await;
    }
}
