//! Where a thing belongs, as a scope of rights, and the record of what became of it.

use cloud_logic::ids::{CompanyId, ProjectId, SiteId};
use cloud_logic::rights::{Permission, Scope};
use serde_json::Value;

use crate::api::Problem;
use crate::people::Caller;
use crate::store::audit::Audit;
use crate::store::changes::{Change, What, Whose};
use crate::store::{Engine, Query, StoreError, Tx, query};

/// Where this project is, if there is such a one.
pub(crate) async fn of_project(
    tx: &mut Tx,
    project: ProjectId,
) -> Result<Option<Scope>, StoreError> {
    let asked = query("SELECT company_id FROM project WHERE id = $1").bind(project);
    // Until what is written below it is written, nobody gives it to another company.
    let asked = held(tx, asked, " FOR NO KEY UPDATE");
    let row = tx.optional(asked).await?;
    row.map(|row| Ok(Scope::Project(row.parsed("company_id")?, project)))
        .transpose()
}

/// Where this site is, if there is such a one.
pub(crate) async fn of_site(tx: &mut Tx, site: SiteId) -> Result<Option<Scope>, StoreError> {
    let asked = query(
        "SELECT p.company_id, p.id AS project_id FROM site s JOIN project p ON p.id = s.project_id
         WHERE s.id = $1",
    )
    .bind(site);
    let asked = held(tx, asked, " FOR SHARE OF p");
    let row = tx.optional(asked).await?;
    row.map(|row| {
        let company: CompanyId = row.parsed("company_id")?;
        Ok(Scope::Site(company, row.parsed("project_id")?, site))
    })
    .transpose()
}

/// In a transaction that writes, where others write at the same time.
fn held(tx: &Tx, asked: Query, lock: &'static str) -> Query {
    if tx.writes() && tx.engine() == Engine::Postgres {
        asked.text(lock)
    } else {
        asked
    }
}

/// The project, if the caller may do this there.
pub(crate) async fn permitted_project(
    tx: &mut Tx,
    caller: &Caller,
    permission: Permission,
    project: ProjectId,
) -> Result<Scope, Problem> {
    let scope = of_project(tx, project)
        .await?
        .ok_or_else(Problem::not_found)?;
    caller.require(permission, &scope)?;
    Ok(scope)
}

/// The site, if the caller may do this there.
pub(crate) async fn permitted_site(
    tx: &mut Tx,
    caller: &Caller,
    permission: Permission,
    site: SiteId,
) -> Result<Scope, Problem> {
    let scope = of_site(tx, site).await?.ok_or_else(Problem::not_found)?;
    caller.require(permission, &scope)?;
    Ok(scope)
}

/// What became of a thing, for the log and for those who listen.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) scope: Scope,
    pub(crate) action: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) what: What,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

/// Writes it down with the transaction.
pub(crate) fn tell(tx: &mut Tx, caller: &Caller, told: Told) {
    tx.changed(Change {
        at: caller.now,
        whose: Whose::from(told.scope),
        kind: told.kind,
        id: told.id.clone(),
        what: told.what,
    });
    tx.audit(Audit {
        at: caller.now,
        company: Some(told.scope.company()),
        actor: caller.actor(),
        action: told.action,
        object_kind: told.kind,
        object_id: told.id,
        before: told.before,
        after: told.after,
    });
}
