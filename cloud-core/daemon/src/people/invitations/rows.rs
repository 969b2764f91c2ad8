//! The table of invitations.

use cloud_logic::ids::{CompanyId, InvitationId};
use cloud_logic::rights::{Period, Role, Scope, Visible, Withheld};
use model::Timestamp;

use super::super::grants::Granted;
use super::super::secret::Secret;
use super::super::users::mail_key;
use super::super::{Columns, VisibleRows};
use crate::store::{Query, Row, StoreError, Tx, query};

#[derive(Clone, Debug)]
pub(super) struct Invitation {
    pub(super) id: InvitationId,
    pub(super) mail: String,
    pub(super) language: String,
    pub(super) role: Role,
    pub(super) scope: Scope,
    pub(super) until: Option<Timestamp>,
    pub(super) withheld: Withheld,
    pub(super) reason: String,
    pub(super) invited_by: String,
    pub(super) created: Timestamp,
    pub(super) expires: Timestamp,
}

impl Invitation {
    /// The right, from the moment at which she joins; none if it is over by then.
    pub(super) fn granted(&self, now: Timestamp) -> Option<Granted> {
        Some(Granted {
            role: self.role,
            scope: self.scope,
            period: Period::new(now, self.until).ok()?,
            withheld: self.withheld,
            reason: self.reason.clone(),
        })
    }
}

const FIND: &str = "SELECT id, company_id, project_id, site_id, mail, language, role, valid_until,
    withheld, reason, invited_by, created, expires FROM invitation WHERE ";

fn invitation(row: &Row) -> Result<Invitation, StoreError> {
    let company = row.parsed("company_id")?;
    let project = row.maybe_parsed("project_id")?;
    let scope = match (project, row.maybe_parsed("site_id")?) {
        (None, _) => Scope::Company(company),
        (Some(project), None) => Scope::Project(company, project),
        (Some(project), Some(site)) => Scope::Site(company, project, site),
    };
    Ok(Invitation {
        id: row.parsed("id")?,
        mail: row.text("mail")?,
        language: row.text("language")?,
        role: row.parsed("role")?,
        scope,
        until: row.maybe_time("valid_until")?,
        withheld: Withheld::from_bits(u8::try_from(row.int("withheld")?).unwrap_or(u8::MAX)),
        reason: row.text("reason")?,
        invited_by: row.text("invited_by")?,
        created: row.time("created")?,
        expires: row.time("expires")?,
    })
}

async fn one(tx: &mut Tx, found: Query) -> Result<Option<Invitation>, StoreError> {
    tx.optional(found)
        .await?
        .as_ref()
        .map(invitation)
        .transpose()
}

pub(super) async fn by_secret(
    tx: &mut Tx,
    secret: &Secret,
    now: Timestamp,
) -> Result<Option<Invitation>, StoreError> {
    let found = query(FIND)
        .text("token_hash = ")
        .value(secret.hash())
        .text(" AND expires > ")
        .value(now);
    one(tx, found).await
}

pub(super) async fn by_id(
    tx: &mut Tx,
    company: CompanyId,
    id: InvitationId,
) -> Result<Option<Invitation>, StoreError> {
    let found = query(FIND)
        .text("company_id = ")
        .value(company)
        .text(" AND id = ")
        .value(id);
    one(tx, found).await
}

pub(super) async fn of_company(
    tx: &mut Tx,
    company: CompanyId,
    visible: &Visible,
    now: Timestamp,
    after: &str,
    limit: u32,
) -> Result<Vec<Invitation>, StoreError> {
    let found = query(FIND)
        .text("company_id = ")
        .value(company)
        .text(" AND ")
        .visible(visible, Columns::USUAL)
        .text(" AND expires > ")
        .value(now)
        .text(" AND id > ")
        .value(after)
        .text(" ORDER BY id LIMIT ")
        .value(i64::from(limit) + 1);
    tx.all(found).await?.iter().map(invitation).collect()
}

pub(super) async fn insert(
    tx: &mut Tx,
    invitation: &Invitation,
    secret: &Secret,
) -> Result<(), StoreError> {
    let scope = invitation.scope;
    tx.execute(
        query(
            "INSERT INTO invitation (id, company_id, project_id, site_id, mail, mail_key, language,
                                     role, valid_until, withheld, reason, token_hash, invited_by,
                                     created, expires)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        )
        .bind(invitation.id)
        .bind(scope.company())
        .bind(scope.project())
        .bind(scope.site())
        .bind(&invitation.mail)
        .bind(mail_key(&invitation.mail))
        .bind(&invitation.language)
        .bind(invitation.role.word())
        .bind(invitation.until)
        .bind(i64::from(invitation.withheld.bits()))
        .bind(&invitation.reason)
        .bind(secret.hash())
        .bind(&invitation.invited_by)
        .bind(invitation.created)
        .bind(invitation.expires),
    )
    .await?;
    Ok(())
}

/// Takes the invitation away; false if another request has done so before.
pub(super) async fn take(tx: &mut Tx, id: InvitationId) -> Result<bool, StoreError> {
    let taken = query("DELETE FROM invitation WHERE id = $1").bind(id);
    Ok(tx.execute(taken).await? == 1)
}

pub(in super::super) async fn forget(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(query("DELETE FROM invitation WHERE expires <= $1").bind(now))
        .await?;
    Ok(())
}
