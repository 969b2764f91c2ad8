//! Rows of blobs.

use cloud_logic::ids::{BlobId, CompanyId, ProjectId};
use model::Timestamp;

use super::Written;
use crate::store::{Row, StoreError, Tx, query};

/// What octets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A piece of an upload that is not whole yet.
    Part,
    DeviceLog,
    Logo,
    /// What is known of a person.
    Export,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Part => "part",
            Self::DeviceLog => "device_log",
            Self::Logo => "logo",
            Self::Export => "export",
        }
    }
}

/// What is said of octets when they are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    pub(crate) company: CompanyId,
    pub(crate) project: Option<ProjectId>,
    pub(crate) kind: Kind,
    pub(crate) media_type: &'static str,
    pub(crate) now: Timestamp,
    pub(crate) expires: Option<Timestamp>,
}

/// Octets that are here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) id: BlobId,
    pub(crate) media_type: String,
    pub(crate) size: i64,
    pub(crate) sha256: Vec<u8>,
}

impl Blob {
    fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("id")?,
            media_type: row.text("media_type")?,
            size: row.int("size")?,
            sha256: row.octets("sha256")?,
        })
    }
}

/// Gives written octets their row.
pub(crate) async fn keep(tx: &mut Tx, written: Written, keep: Keep) -> Result<(), StoreError> {
    let insert = query(
        "INSERT INTO blob (id, company_id, project_id, kind, media_type, size, sha256, state,
                           created, expires)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'here', $8, $9)",
    )
    .bind(written.id)
    .bind(keep.company)
    .bind(keep.project)
    .bind(keep.kind.word())
    .bind(keep.media_type)
    .bind(written.size)
    .bind(written.sha256.as_slice())
    .bind(keep.now)
    .bind(keep.expires);
    tx.execute(insert).await?;
    Ok(())
}

pub(crate) async fn find(tx: &mut Tx, id: BlobId) -> Result<Option<Blob>, StoreError> {
    let asked =
        query("SELECT id, media_type, size, sha256 FROM blob WHERE id = $1 AND state = 'here'");
    let row = tx.optional(asked.bind(id)).await?;
    row.as_ref().map(Blob::of).transpose()
}

/// It is no longer here; its octets follow soon after the commit.
pub(crate) async fn let_go(tx: &mut Tx, id: BlobId) -> Result<(), StoreError> {
    let gone = query("UPDATE blob SET state = 'leaving' WHERE id = $1");
    tx.execute(gone.bind(id)).await?;
    Ok(())
}

/// Lets those go whose time is over, at most `limit`; how many. Those that something else names go
/// with it.
pub(crate) async fn let_expired_go(
    tx: &mut Tx,
    now: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let gone = query(
        "UPDATE blob SET state = 'leaving' WHERE id IN
         (SELECT id FROM blob WHERE expires <= $1 AND state = 'here' ORDER BY expires LIMIT $2)",
    );
    tx.execute(gone.bind(now).bind(limit)).await
}

/// Those whose octets are on their way out.
pub(super) async fn leaving(tx: &mut Tx, limit: u32) -> Result<Vec<BlobId>, StoreError> {
    let asked = query("SELECT id FROM blob WHERE state = 'leaving' ORDER BY id LIMIT $1");
    let rows = tx.all(asked.bind(limit)).await?;
    rows.iter().map(|row| row.parsed("id")).collect()
}

/// Their octets are gone, and now their rows are.
pub(super) async fn gone(tx: &mut Tx, ids: &[BlobId]) -> Result<u64, StoreError> {
    let gone = query("DELETE FROM blob WHERE state = 'leaving' AND id IN ");
    tx.execute(gone.values(ids.iter().copied())).await
}

/// Which of these have a row.
pub(super) async fn known(tx: &mut Tx, ids: &[BlobId]) -> Result<Vec<BlobId>, StoreError> {
    let asked = query("SELECT id FROM blob WHERE id IN ").values(ids.iter().copied());
    let rows = tx.all(asked).await?;
    rows.iter().map(|row| row.parsed("id")).collect()
}

/// How many octets a company keeps. Whoever asks in order to write more holds the company until
/// commit, so that two do not take the same room.
pub(crate) async fn taken(tx: &mut Tx, company: CompanyId) -> Result<i64, StoreError> {
    let hold = query("UPDATE company SET id = id WHERE id = $1");
    tx.execute(hold.bind(company)).await?;
    let asked = query(
        "SELECT CAST(COALESCE(sum(size), 0) AS BIGINT) AS octets FROM blob WHERE company_id = $1",
    );
    tx.one(asked.bind(company)).await?.int("octets")
}
