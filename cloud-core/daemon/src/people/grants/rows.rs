//! The table of grants.

use cloud_logic::ids::{CompanyId, GrantId, UserId};
use cloud_logic::rights::{Grant, Period, Permission, Role, Scope, Visible, Withheld};

use super::super::{Columns, VisibleRows};
use super::Held;
use crate::store::{Engine, Query, Row, StoreError, Tx, query};

const FIND: &str = "SELECT g.id, g.company_id, g.project_id, g.site_id, g.holder, g.role,
    g.valid_from, g.valid_until, g.withheld, g.reason, g.granted_by, g.created FROM grant_ g ";

fn held(row: &Row) -> Result<Held, StoreError> {
    let company = row.parsed("company_id")?;
    let project = row.maybe_parsed("project_id")?;
    let scope = match (project, row.maybe_parsed("site_id")?) {
        (None, _) => Scope::Company(company),
        (Some(project), None) => Scope::Project(company, project),
        (Some(project), Some(site)) => Scope::Site(company, project, site),
    };
    let content = |column: &str, what: String| StoreError::Content {
        column: column.to_owned(),
        what,
    };
    let period = Period::new(row.time("valid_from")?, row.maybe_time("valid_until")?)
        .map_err(|error| content("valid_until", error.to_string()))?;
    let withheld = u8::try_from(row.int("withheld")?)
        .map_err(|error| content("withheld", error.to_string()))?;
    Ok(Held {
        grant: Grant {
            id: row.parsed("id")?,
            role: row.parsed("role")?,
            scope,
            period,
            withheld: Withheld::from_bits(withheld),
        },
        holder: row.text("holder")?,
        reason: row.text("reason")?,
        granted_by: row.text("granted_by")?,
        created: row.time("created")?,
    })
}

async fn all(tx: &mut Tx, found: Query) -> Result<Vec<Held>, StoreError> {
    tx.all(found).await?.iter().map(held).collect()
}

/// All grants of a user or an integration, over all companies.
pub(in super::super) async fn of_holder(
    tx: &mut Tx,
    holder: &str,
) -> Result<Vec<Held>, StoreError> {
    let found = query(FIND)
        .text("WHERE g.holder = ")
        .value(holder)
        .text(" ORDER BY g.id");
    all(tx, found).await
}

/// All grants of several, over all companies.
pub(in super::super) async fn of_holders(
    tx: &mut Tx,
    holders: impl IntoIterator<Item = String>,
) -> Result<Vec<Held>, StoreError> {
    let found = query(FIND).text("WHERE g.holder IN ").any_of(holders);
    all(tx, found.text(" ORDER BY g.id")).await
}

/// Grants of one holder, of one company, or all, each with the mail address of the person.
pub(in super::super) async fn everywhere(
    tx: &mut Tx,
    holder: Option<&str>,
    company: Option<CompanyId>,
) -> Result<Vec<(Held, Option<String>)>, StoreError> {
    let mut found = query(
        "SELECT g.id, g.company_id, g.project_id, g.site_id, g.holder, g.role, g.valid_from,
                g.valid_until, g.withheld, g.reason, g.granted_by, g.created, u.mail
         FROM grant_ g LEFT JOIN user_account u ON u.id = g.holder WHERE 1 = 1",
    );
    if let Some(holder) = holder {
        found = found.text(" AND g.holder = ").value(holder);
    }
    if let Some(company) = company {
        found = found.text(" AND g.company_id = ").value(company);
    }
    let rows = tx.all(found.text(" ORDER BY g.id")).await?;
    rows.iter()
        .map(|row| Ok((held(row)?, row.maybe_text("mail")?)))
        .collect()
}

/// Somebody who can be written to.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) user: UserId,
    pub(crate) mail: String,
    pub(crate) language: String,
}

/// Without the person.
impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// People who hold a role with this permission somewhere in a company, each with that grant.
pub(crate) async fn readers(
    tx: &mut Tx,
    company: CompanyId,
    permission: Permission,
) -> Result<Vec<(Reader, Grant)>, StoreError> {
    let roles = Role::ALL
        .iter()
        .filter(|role| role.permissions().contains(permission));
    let found = query(
        "SELECT g.id, g.company_id, g.project_id, g.site_id, g.holder, g.role, g.valid_from,
                g.valid_until, g.withheld, g.reason, g.granted_by, g.created,
                u.id AS user_id, u.mail, u.language
         FROM grant_ g JOIN user_account u ON u.id = g.holder
         WHERE u.blocked = 0 AND g.company_id = ",
    );
    let found = found.value(company).text(" AND g.role IN ");
    let found = found.values(roles.map(|role| role.word()));
    let reader = |row: &Row| {
        let reader = Reader {
            user: row.parsed("user_id")?,
            mail: row.text("mail")?,
            language: row.text("language")?,
        };
        Ok((reader, held(row)?.grant))
    };
    let rows = tx.all(found.text(" ORDER BY g.id LIMIT 2000")).await?;
    rows.iter().map(reader).collect()
}

/// Grants of a company that somebody with these rights sees.
pub(super) async fn of_company(
    tx: &mut Tx,
    company: CompanyId,
    visible: &Visible,
    holder: Option<&str>,
    after: &str,
    limit: u32,
) -> Result<Vec<Held>, StoreError> {
    let mut found = query(FIND)
        .text("WHERE g.company_id = ")
        .value(company)
        .text(" AND ")
        .visible(visible, Columns::USUAL);
    if let Some(holder) = holder {
        found = found.text(" AND g.holder = ").value(holder);
    }
    let found = found
        .text(" AND g.id > ")
        .value(after)
        .text(" ORDER BY g.id LIMIT ")
        .value(i64::from(limit) + 1);
    all(tx, found).await
}

pub(super) async fn by_id(
    tx: &mut Tx,
    company: CompanyId,
    id: GrantId,
) -> Result<Option<Held>, StoreError> {
    let found = query(FIND)
        .text("WHERE g.company_id = ")
        .value(company)
        .text(" AND g.id = ")
        .value(id);
    tx.optional(found).await?.as_ref().map(held).transpose()
}

/// The owners of a company who can sign in. They stay as they are until this transaction ends, so
/// that two of them cannot take each other's role at once.
pub(super) async fn owners(tx: &mut Tx, company: CompanyId) -> Result<Vec<Grant>, StoreError> {
    if tx.engine() == Engine::Postgres {
        let held_fast = query("SELECT id FROM company WHERE id = $1 FOR UPDATE").bind(company);
        tx.one(held_fast).await?;
    }
    let found = query(FIND)
        .text("JOIN user_account u ON u.id = g.holder WHERE u.blocked = 0 AND g.company_id = ")
        .value(company)
        .text(" AND g.role = ")
        .value(Role::Owner.word());
    let owners = all(tx, found).await?;
    Ok(owners.into_iter().map(|held| held.grant).collect())
}

/// How many grants somebody holds.
pub(super) async fn count_of(tx: &mut Tx, holder: &str) -> Result<i64, StoreError> {
    let counted = query("SELECT COUNT(*) AS held FROM grant_ WHERE holder = $1").bind(holder);
    tx.one(counted).await?.int("held")
}

pub(crate) async fn insert(tx: &mut Tx, held: &Held) -> Result<(), StoreError> {
    let scope = held.grant.scope;
    tx.execute(
        query(
            "INSERT INTO grant_ (id, company_id, project_id, site_id, holder, role, valid_from,
                                 valid_until, withheld, reason, granted_by, created)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(held.grant.id)
        .bind(scope.company())
        .bind(scope.project())
        .bind(scope.site())
        .bind(&held.holder)
        .bind(held.grant.role.word())
        .bind(held.grant.period.from())
        .bind(held.grant.period.until())
        .bind(i64::from(held.grant.withheld.bits()))
        .bind(&held.reason)
        .bind(&held.granted_by)
        .bind(held.created),
    )
    .await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, id: GrantId) -> Result<(), StoreError> {
    tx.execute(query("DELETE FROM grant_ WHERE id = $1").bind(id))
        .await?;
    Ok(())
}
