//! Rows of exports.

use cloud_logic::ids::{BlobId, CompanyId, ExportId, UserId};
use model::Timestamp;

use crate::blobs;
use crate::store::{Row, StoreError, Tx, query};

/// An export that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Export {
    pub(super) id: ExportId,
    pub(super) company: CompanyId,
    pub(super) user: UserId,
    pub(super) asked_by: String,
    /// Only what this company may know of her.
    pub(super) of_company: bool,
    pub(super) blob: Option<BlobId>,
    pub(super) created: Timestamp,
    pub(super) expires: Option<Timestamp>,
}

impl Export {
    fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("id")?,
            company: row.parsed("company_id")?,
            user: row.parsed("user_id")?,
            asked_by: row.text("asked_by")?,
            of_company: row.flag("of_company")?,
            blob: row.maybe_parsed("blob_id")?,
            created: row.time("created")?,
            expires: row.maybe_time("expires")?,
        })
    }
}

/// Not those whose octets are on their way out.
const FIND: &str = "SELECT e.* FROM export e LEFT JOIN blob b ON b.id = e.blob_id
    WHERE (b.id IS NULL OR b.state = 'here') AND ";

pub(super) async fn insert(tx: &mut Tx, export: &Export) -> Result<(), StoreError> {
    let insert = query(
        "INSERT INTO export (id, company_id, user_id, asked_by, of_company, created)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(export.id)
    .bind(export.company)
    .bind(export.user)
    .bind(&export.asked_by)
    .bind(export.of_company)
    .bind(export.created);
    tx.execute(insert).await?;
    Ok(())
}

/// One that waits already for the same person, for whoever asked.
pub(super) async fn waiting_for(
    tx: &mut Tx,
    export: &Export,
) -> Result<Option<Export>, StoreError> {
    let asked = query(FIND)
        .text("e.blob_id IS NULL AND e.asked_by = ")
        .value(&export.asked_by)
        .text(" AND e.user_id = ")
        .value(export.user)
        .text(" AND e.of_company = ")
        .value(export.of_company);
    tx.optional(asked)
        .await?
        .as_ref()
        .map(Export::of)
        .transpose()
}

/// Those that are still to be made, oldest first.
pub(super) async fn waiting(tx: &mut Tx) -> Result<Vec<Export>, StoreError> {
    let asked = query("SELECT * FROM export WHERE blob_id IS NULL ORDER BY id LIMIT 20");
    let rows = tx.all(asked).await?;
    rows.iter().map(Export::of).collect()
}

pub(super) async fn asked_by(
    tx: &mut Tx,
    who: UserId,
    before: Option<ExportId>,
    limit: u32,
) -> Result<Vec<Export>, StoreError> {
    let asked = query(FIND).text("e.asked_by = ").value(who);
    let asked = match before {
        Some(before) => asked.text(" AND e.id < ").value(before),
        None => asked,
    };
    let asked = asked.text(" ORDER BY e.id DESC LIMIT ").value(limit);
    tx.all(asked).await?.iter().map(Export::of).collect()
}

pub(super) async fn one_asked_by(
    tx: &mut Tx,
    who: UserId,
    id: ExportId,
) -> Result<Option<Export>, StoreError> {
    let asked = query(FIND)
        .text("e.asked_by = ")
        .value(who)
        .text(" AND e.id = ")
        .value(id);
    tx.optional(asked)
        .await?
        .as_ref()
        .map(Export::of)
        .transpose()
}

/// It is made; false if another node was quicker, or nobody wants it any more.
pub(super) async fn made(
    tx: &mut Tx,
    id: ExportId,
    blob: BlobId,
    (now, expires): (Timestamp, Timestamp),
) -> Result<bool, StoreError> {
    let made = query(
        "UPDATE export SET blob_id = $2, finished = $3, expires = $4
         WHERE id = $1 AND blob_id IS NULL",
    );
    let made = made.bind(id).bind(blob).bind(now).bind(expires);
    Ok(tx.execute(made).await? > 0)
}

/// Lets exports go that are about somebody, or that she asked for.
pub(super) async fn let_go_of(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    let asked = query("SELECT * FROM export WHERE user_id = $1 OR asked_by = $1").bind(user);
    for row in tx.all(asked).await? {
        let_go(tx, &Export::of(&row)?).await?;
    }
    Ok(())
}

pub(super) async fn let_go(tx: &mut Tx, export: &Export) -> Result<(), StoreError> {
    tx.execute(query("DELETE FROM export WHERE id = $1").bind(export.id))
        .await?;
    match export.blob {
        Some(blob) => blobs::rows::let_go(tx, blob).await,
        None => Ok(()),
    }
}
