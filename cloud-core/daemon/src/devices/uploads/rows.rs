//! Rows of uploads.

use cloud_logic::ids::{BlobId, CommandId, CompanyId, DeviceId, UploadId};
use contract::down::Operation;
use model::Timestamp;

use crate::blobs;
use crate::store::changes::Whose;
use crate::store::{Row, StoreError, Tx, query};

/// A file that comes, or has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) id: UploadId,
    pub(crate) device: DeviceId,
    pub(crate) company: CompanyId,
    pub(crate) whose: Whose,
    pub(crate) command: Option<CommandId>,
    /// As the device calls it.
    pub(crate) name: String,
    pub(crate) length: i64,
    pub(crate) received: i64,
    pub(crate) sha256: Vec<u8>,
    /// The whole.
    pub(crate) blob: Option<BlobId>,
    pub(crate) created: Timestamp,
    pub(crate) finished: Option<Timestamp>,
    pub(crate) expires: Timestamp,
}

impl Upload {
    fn of(row: &Row) -> Result<Self, StoreError> {
        let company = row.parsed("company_id")?;
        Ok(Self {
            id: row.parsed("id")?,
            device: row.parsed("device_id")?,
            company,
            whose: Whose {
                company: Some(company),
                project: row.maybe_parsed("project_id")?,
                site: row.maybe_parsed("site_id")?,
            },
            command: row.maybe_parsed("command_id")?,
            name: row.text("name")?,
            length: row.int("length")?,
            received: row.int("received")?,
            sha256: row.octets("sha256")?,
            blob: row.maybe_parsed("blob_id")?,
            created: row.time("created")?,
            finished: row.maybe_time("finished")?,
            expires: row.time("expires")?,
        })
    }
}

pub(super) async fn insert(tx: &mut Tx, upload: &Upload) -> Result<(), StoreError> {
    let insert = query(
        "INSERT INTO upload (id, device_id, company_id, project_id, site_id, command_id, name,
                             length, received, sha256, created, expires)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(upload.id)
    .bind(upload.device)
    .bind(upload.company)
    .bind(upload.whose.project)
    .bind(upload.whose.site)
    .bind(upload.command)
    .bind(&upload.name)
    .bind(upload.length)
    .bind(upload.received)
    .bind(upload.sha256.as_slice())
    .bind(upload.created)
    .bind(upload.expires);
    tx.execute(insert).await?;
    Ok(())
}

pub(super) async fn find(tx: &mut Tx, id: UploadId) -> Result<Option<Upload>, StoreError> {
    let asked = query("SELECT * FROM upload WHERE id = $1").bind(id);
    tx.optional(asked)
        .await?
        .as_ref()
        .map(Upload::of)
        .transpose()
}

/// What there is of a device already.
pub(super) struct Held {
    pub(super) open: i64,
    pub(super) octets: i64,
}

pub(super) async fn of_device(tx: &mut Tx, device: DeviceId) -> Result<Held, StoreError> {
    let asked = query(
        "SELECT count(CASE WHEN blob_id IS NULL THEN 1 END) AS open,
                CAST(COALESCE(sum(length), 0) AS BIGINT) AS octets
         FROM upload WHERE device_id = $1",
    );
    let row = tx.one(asked.bind(device)).await?;
    Ok(Held {
        open: row.int("open")?,
        octets: row.int("octets")?,
    })
}

/// What uploads that are under way will need still.
pub(super) async fn expected(tx: &mut Tx, company: CompanyId) -> Result<i64, StoreError> {
    let asked = query(
        "SELECT CAST(COALESCE(sum(length - received), 0) AS BIGINT) AS octets
         FROM upload WHERE company_id = $1 AND blob_id IS NULL",
    );
    tx.one(asked.bind(company)).await?.int("octets")
}

/// The device that a command asks for its logs, where that is still open at `moment`.
pub(super) async fn asked_by(
    tx: &mut Tx,
    command: CommandId,
    moment: Timestamp,
) -> Result<Option<(DeviceId, Option<CompanyId>)>, StoreError> {
    let asked = query(
        "SELECT device_id, company_id FROM command WHERE id = $1 AND op = $2 AND expires > $3
         AND state IN ('sent', 'running', 'done', 'unknown')",
    )
    .bind(command)
    .bind(Operation::UploadLogs.name())
    .bind(moment);
    let row = tx.optional(asked).await?;
    row.map(|row| Ok((row.parsed("device_id")?, row.maybe_parsed("company_id")?)))
        .transpose()
}

/// A piece that begins where the last one ended; false if another one was quicker.
pub(super) async fn add_part(
    tx: &mut Tx,
    upload: UploadId,
    (from, size): (i64, i64),
    blob: BlobId,
) -> Result<bool, StoreError> {
    let advance = query(
        "UPDATE upload SET received = received + $3
         WHERE id = $1 AND received = $2 AND blob_id IS NULL AND received + $3 <= length",
    );
    let advance = advance.bind(upload).bind(from).bind(size);
    if tx.execute(advance).await? == 0 {
        return Ok(false);
    }
    let insert =
        query("INSERT INTO upload_part (upload_id, place, blob_id, size) VALUES ($1, $2, $3, $4)");
    tx.execute(insert.bind(upload).bind(from).bind(blob).bind(size))
        .await?;
    Ok(true)
}

/// Its pieces, in their order.
pub(super) async fn parts(tx: &mut Tx, upload: UploadId) -> Result<Vec<BlobId>, StoreError> {
    let asked = query("SELECT blob_id FROM upload_part WHERE upload_id = $1 ORDER BY place");
    let rows = tx.all(asked.bind(upload)).await?;
    rows.iter().map(|row| row.parsed("blob_id")).collect()
}

/// All pieces have become one; false if they have already.
pub(super) async fn become_whole(
    tx: &mut Tx,
    upload: UploadId,
    blob: BlobId,
    (now, expires): (Timestamp, Timestamp),
) -> Result<bool, StoreError> {
    let whole = query(
        "UPDATE upload SET blob_id = $2, finished = $3, expires = $4
         WHERE id = $1 AND blob_id IS NULL",
    );
    let whole = whole.bind(upload).bind(blob).bind(now).bind(expires);
    if tx.execute(whole).await? == 0 {
        return Ok(false);
    }
    let_parts_go(tx, upload).await?;
    Ok(true)
}

/// Gives up an upload that is not whole; false if it is, or is gone.
pub(super) async fn give_up(tx: &mut Tx, upload: UploadId) -> Result<bool, StoreError> {
    let open = query("SELECT id FROM upload WHERE id = $1 AND blob_id IS NULL");
    if tx.optional(open.bind(upload)).await?.is_none() {
        return Ok(false);
    }
    let_parts_go(tx, upload).await?;
    let gone = query("DELETE FROM upload WHERE id = $1 AND blob_id IS NULL");
    Ok(tx.execute(gone.bind(upload)).await? > 0)
}

async fn let_parts_go(tx: &mut Tx, upload: UploadId) -> Result<(), StoreError> {
    for part in parts(tx, upload).await? {
        blobs::rows::let_go(tx, part).await?;
    }
    tx.execute(query("DELETE FROM upload_part WHERE upload_id = $1").bind(upload))
        .await?;
    Ok(())
}

/// Gives up those whose time is over, at most `limit`; how many.
pub(crate) async fn give_up_expired(
    tx: &mut Tx,
    now: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let over = query(
        "SELECT id FROM upload WHERE blob_id IS NULL AND expires <= $1 ORDER BY expires LIMIT $2",
    );
    let rows = tx.all(over.bind(now).bind(limit)).await?;
    let mut given_up = 0;
    for row in &rows {
        given_up += u64::from(give_up(tx, row.parsed("id")?).await?);
    }
    Ok(given_up)
}

/// Those whose pieces are all there and have not become one: a core ended in between.
pub(super) async fn left_before_whole(
    tx: &mut Tx,
    before: Timestamp,
) -> Result<Vec<Upload>, StoreError> {
    let asked = query(
        "SELECT * FROM upload WHERE blob_id IS NULL AND received = length AND created <= $1
         ORDER BY id LIMIT 20",
    );
    let rows = tx.all(asked.bind(before)).await?;
    rows.iter().map(Upload::of).collect()
}

/// Logs of a device that are whole, newest first, older than `before`.
pub(super) async fn logs_of(
    tx: &mut Tx,
    (device, company): (DeviceId, CompanyId),
    before: Option<UploadId>,
    limit: u32,
) -> Result<Vec<Upload>, StoreError> {
    let asked = query("SELECT u.* FROM upload u JOIN blob b ON b.id = u.blob_id")
        .text(" WHERE b.state = 'here' AND u.device_id = ")
        .value(device)
        .text(" AND u.company_id = ")
        .value(company);
    let asked = match before {
        Some(before) => asked.text(" AND u.id < ").value(before),
        None => asked,
    };
    let asked = asked.text(" ORDER BY u.id DESC LIMIT ").value(limit);
    tx.all(asked).await?.iter().map(Upload::of).collect()
}

/// One of them.
pub(super) async fn log_of(
    tx: &mut Tx,
    (device, company): (DeviceId, CompanyId),
    id: UploadId,
) -> Result<Option<Upload>, StoreError> {
    let asked = query(
        "SELECT u.* FROM upload u JOIN blob b ON b.id = u.blob_id
         WHERE b.state = 'here' AND u.device_id = $1 AND u.company_id = $2 AND u.id = $3",
    );
    let asked = asked.bind(device).bind(company).bind(id);
    tx.optional(asked)
        .await?
        .as_ref()
        .map(Upload::of)
        .transpose()
}
