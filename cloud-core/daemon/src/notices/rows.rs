//! The table of notices.

use cloud_logic::ids::{CompanyId, NoticeId, ProjectId, SiteId};
use cloud_logic::notices::Kind;
use cloud_logic::rights::{Scope, Visible};
use model::Timestamp;
use serde_json::Value;

use crate::core::NewId;
use crate::people::{Columns, VisibleRows};
use crate::store::changes::{Change, What, Whose};
use crate::store::{Row, StoreError, Tx, query};

/// A notice.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) id: NoticeId,
    pub(super) scope: Scope,
    pub(super) kind: Kind,
    pub(super) subject: String,
    pub(super) words: Value,
    pub(super) opened: Timestamp,
    pub(super) closed: Option<Timestamp>,
    pub(super) how: Option<String>,
    pub(super) acknowledged: Option<Timestamp>,
    pub(super) acknowledged_by: Option<String>,
}

fn notice(row: &Row) -> Result<Notice, StoreError> {
    let company = row.parsed("company_id")?;
    let project: Option<ProjectId> = row.maybe_parsed("project_id")?;
    let site: Option<SiteId> = row.maybe_parsed("site_id")?;
    Ok(Notice {
        id: row.parsed("id")?,
        scope: match (project, site) {
            (Some(project), Some(site)) => Scope::Site(company, project, site),
            (Some(project), None) => Scope::Project(company, project),
            (None, _) => Scope::Company(company),
        },
        kind: row.parsed("kind")?,
        subject: row.text("subject")?,
        words: row.json("words")?,
        opened: row.time("opened")?,
        closed: row.maybe_time("closed")?,
        how: row.maybe_text("how")?,
        acknowledged: row.maybe_time("acknowledged")?,
        acknowledged_by: row.maybe_text("acknowledged_by")?,
    })
}

fn tell(tx: &mut Tx, notice: &Notice, what: What, at: Timestamp) {
    tx.changed(Change {
        at,
        whose: Whose {
            company: Some(notice.scope.company()),
            project: notice.scope.project(),
            site: notice.scope.site(),
        },
        kind: "notice",
        id: notice.id.to_string(),
        what,
    });
}

/// Something to be told.
#[derive(Debug)]
pub(crate) struct New {
    pub(crate) scope: Scope,
    pub(crate) kind: Kind,
    /// What of its kind stands open once.
    pub(crate) subject: String,
    pub(crate) words: Value,
}

/// Opens a notice; nothing where the same stands open already.
pub(super) async fn open(
    tx: &mut Tx,
    new: New,
    now: Timestamp,
) -> Result<Option<Notice>, StoreError> {
    let notice = Notice {
        id: NoticeId::new_at(now),
        scope: new.scope,
        kind: new.kind,
        subject: new.subject,
        words: new.words,
        opened: now,
        closed: None,
        how: None,
        acknowledged: None,
        acknowledged_by: None,
    };
    let made = tx
        .execute(
            query(
                "INSERT INTO notice (id, company_id, project_id, site_id, kind, subject, words,
                                     opened)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                 ON CONFLICT (kind, subject) WHERE closed IS NULL DO NOTHING",
            )
            .bind(notice.id)
            .bind(notice.scope.company())
            .bind(notice.scope.project())
            .bind(notice.scope.site())
            .bind(notice.kind.word())
            .bind(&notice.subject)
            .bind(notice.words.to_string())
            .bind(now),
        )
        .await?;
    if made == 0 {
        return Ok(None);
    }
    tell(tx, &notice, What::Created, now);
    Ok(Some(notice))
}

/// Closes what stands open about a subject.
pub(super) async fn close(
    tx: &mut Tx,
    (kind, subject): (Kind, &str),
    how: &str,
    now: Timestamp,
) -> Result<Option<Notice>, StoreError> {
    let closed = query(
        "UPDATE notice SET closed = $3, how = $4
         WHERE kind = $1 AND subject = $2 AND closed IS NULL RETURNING *",
    );
    let row = tx
        .optional(closed.bind(kind.word()).bind(subject).bind(now).bind(how))
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let notice = notice(&row)?;
    tell(tx, &notice, What::Updated, now);
    Ok(Some(notice))
}

/// What stands open at a site, of these kinds.
pub(super) async fn open_at_site(
    tx: &mut Tx,
    site: SiteId,
    kinds: &[Kind],
) -> Result<Vec<Notice>, StoreError> {
    let asked = query("SELECT * FROM notice WHERE closed IS NULL AND site_id = ").value(site);
    let asked = asked
        .text(" AND kind IN ")
        .values(kinds.iter().map(|kind| kind.word()));
    tx.all(asked.text(" ORDER BY id"))
        .await?
        .iter()
        .map(notice)
        .collect()
}

/// What of a kind stands open, anywhere.
pub(super) async fn open_of_kind(tx: &mut Tx, kind: Kind) -> Result<Vec<Notice>, StoreError> {
    let asked = query("SELECT * FROM notice WHERE kind = $1 AND closed IS NULL ORDER BY id");
    let rows = tx.all(asked.bind(kind.word())).await?;
    rows.iter().map(notice).collect()
}

/// Whether there ever was one about this.
pub(super) async fn is_known(tx: &mut Tx, kind: Kind, subject: &str) -> Result<bool, StoreError> {
    let asked = query("SELECT id FROM notice WHERE subject = $1 AND kind = $2 LIMIT 1");
    let row = tx.optional(asked.bind(subject).bind(kind.word())).await?;
    Ok(row.is_some())
}

/// Which notices are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    pub(super) open: Option<bool>,
    pub(super) kind: Option<Kind>,
    pub(super) site: Option<SiteId>,
    pub(super) before: Option<NoticeId>,
}

/// Notices of a company that are seen with these rights, the newest first.
pub(super) async fn of_company(
    tx: &mut Tx,
    company: CompanyId,
    visible: &Visible,
    wanted: Wanted,
    limit: u32,
) -> Result<Vec<Notice>, StoreError> {
    let mut asked = query("SELECT * FROM notice WHERE company_id = ")
        .value(company)
        .text(" AND ")
        .visible(visible, Columns::USUAL);
    match wanted.open {
        Some(true) => asked = asked.text(" AND closed IS NULL"),
        Some(false) => asked = asked.text(" AND closed IS NOT NULL"),
        None => {}
    }
    if let Some(kind) = wanted.kind {
        asked = asked.text(" AND kind = ").value(kind.word());
    }
    if let Some(site) = wanted.site {
        asked = asked.text(" AND site_id = ").value(site);
    }
    if let Some(before) = wanted.before {
        asked = asked.text(" AND id < ").value(before);
    }
    let rows = tx.all(asked.text(" ORDER BY id DESC LIMIT ").value(limit));
    rows.await?.iter().map(notice).collect()
}

pub(super) async fn find(tx: &mut Tx, id: NoticeId) -> Result<Option<Notice>, StoreError> {
    let row = tx
        .optional(query("SELECT * FROM notice WHERE id = $1").bind(id))
        .await?;
    row.as_ref().map(notice).transpose()
}

/// Somebody looks after it. What has no end of its own is over with that.
pub(super) async fn acknowledge(
    tx: &mut Tx,
    before: &Notice,
    by: &str,
    now: Timestamp,
) -> Result<Notice, StoreError> {
    let row = tx
        .one(
            query(
                "UPDATE notice SET acknowledged = COALESCE(acknowledged, $2),
                                   acknowledged_by = COALESCE(acknowledged_by, $3)
                 WHERE id = $1 RETURNING *",
            )
            .bind(before.id)
            .bind(now)
            .bind(by),
        )
        .await?;
    let notice = notice(&row)?;
    tell(tx, &notice, What::Updated, now);
    Ok(notice)
}

/// How many notices stand open in a company, by how much they matter: for its overview.
pub(crate) async fn open_of_company(
    tx: &mut Tx,
    company: CompanyId,
) -> Result<Vec<(Kind, i64)>, StoreError> {
    let asked = query(
        "SELECT kind, count(*) AS n FROM notice
         WHERE company_id = $1 AND closed IS NULL GROUP BY kind ORDER BY kind",
    );
    let rows = tx.all(asked.bind(company)).await?;
    rows.iter()
        .map(|row| Ok((row.parsed("kind")?, row.int("n")?)))
        .collect()
}

/// Forgets notices that closed before then, at most `limit`.
pub(super) async fn forget(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let old = query(
        "DELETE FROM notice WHERE id IN
            (SELECT id FROM notice WHERE closed <= $1 ORDER BY closed LIMIT $2)",
    );
    tx.execute(old.bind(before).bind(limit)).await
}
