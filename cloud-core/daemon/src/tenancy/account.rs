//! The account view: all companies and projects in which somebody holds a right, with what an
//! integrator looks for first: how many devices, how many of them are there, what is open (S1).
//!
//! Counts what the caller sees, never more: of a company in which she holds one site, that site.

use std::collections::BTreeMap;

use axum::extract::State;
use cloud_logic::ids::{CompanyId, ProjectId};
use cloud_logic::rights::{Permission, Role};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answers::Refused;
use crate::api::check::key_of;
use crate::api::{Cursor, Json, Page, PageOf, Problem, Query, Time};
use crate::core::Core;
use crate::people::{Caller, Columns, VisibleRows};
use crate::store::{self, StoreError, Tx, query};

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(companies))
        .routes(routes!(projects))
}

/// How many, as far as the caller sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
struct Counts {
    sites: i64,
    devices: i64,
    /// Of those devices, the ones that are connected now.
    online: i64,
}

/// A company in which the caller holds a right.
#[derive(Debug, Serialize, ToSchema)]
struct AccountCompany {
    #[schema(value_type = String)]
    id: CompanyId,
    name: String,
    /// What she is there, or in parts of it.
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
    /// When the last of her rights there ends; null where one has no end.
    until: Option<Time>,
    projects: i64,
    #[serde(flatten)]
    counts: Counts,
}

/// A project that the caller sees.
#[derive(Debug, Serialize, ToSchema)]
struct AccountProject {
    #[schema(value_type = String)]
    id: ProjectId,
    name: String,
    #[schema(value_type = String)]
    company: CompanyId,
    company_name: String,
    #[serde(flatten)]
    counts: Counts,
}

/// Companies of your account, with what there is in them
#[utoipa::path(
    get,
    path = "/api/v1/account",
    tag = "tenancy",
    params(PageOf),
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 200, description = "A page of them, by name.", body = Page<AccountCompany>), Refused)
)]
async fn companies(
    State(core): State<Core>,
    caller: Caller,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<AccountCompany>>, Problem> {
    let limit = page.limit()?;
    let asked = query("SELECT id, name FROM company WHERE id IN ")
        .values(caller.rights.companies(caller.now));
    let mut tx = core.store.read().await?;
    let rows = tx.all(paged(asked, "name_key", "id", &page)?).await?;
    let mut found = Vec::new();
    for row in &rows {
        found.push((row.parsed::<CompanyId>("id")?, row.text("name")?));
    }
    let ids: Vec<_> = found.iter().map(|(id, _)| *id).collect();
    let counts = counts(&mut tx, &caller, "company_id", &ids).await?;
    let projects = query("SELECT company_id AS of_it, COUNT(*) AS n FROM project WHERE ")
        .visible(&caller.visible(Permission::ProjectView), PROJECTS)
        .text(" AND company_id IN ")
        .values(ids);
    let projects: BTreeMap<CompanyId, i64> =
        by_owner(&mut tx, projects.text(" GROUP BY company_id")).await?;
    let items = found
        .into_iter()
        .map(|(id, name)| {
            let (roles, until) = held(&caller, id);
            AccountCompany {
                id,
                name,
                roles,
                until,
                projects: projects.get(&id).copied().unwrap_or_default(),
                counts: counts.get(&id).copied().unwrap_or_default(),
            }
        })
        .collect();
    Ok(Json(Page::of(items, limit, |company: &AccountCompany| {
        Cursor {
            key: key_of(&company.name),
            id: company.id.to_string(),
        }
    })))
}

/// What the caller is in a company, and until when.
fn held(caller: &Caller, company: CompanyId) -> (Vec<Role>, Option<Time>) {
    let holding = || {
        let grants = caller.rights.grants().iter();
        grants.filter(|grant| grant.scope.company() == company && grant.period.holds(caller.now))
    };
    let mut roles: Vec<_> = holding().map(|grant| grant.role).collect();
    roles.sort_unstable();
    roles.dedup();
    let ends: Option<Vec<_>> = holding().map(|grant| grant.period.until()).collect();
    let until = ends.and_then(|ends| ends.into_iter().max()).map(Time);
    (roles, until)
}

/// Projects of your account, over all companies
#[utoipa::path(
    get,
    path = "/api/v1/account/projects",
    tag = "tenancy",
    params(PageOf),
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 200, description = "A page of them, by name.", body = Page<AccountProject>), Refused)
)]
async fn projects(
    State(core): State<Core>,
    caller: Caller,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<AccountProject>>, Problem> {
    let limit = page.limit()?;
    let asked = query(
        "SELECT project.id, project.name, company_id, c.name AS company_name
         FROM project JOIN company c ON c.id = company_id WHERE ",
    )
    .visible(&caller.visible(Permission::ProjectView), PROJECTS);
    let mut tx = core.store.read().await?;
    let asked = paged(asked, "project.name_key", "project.id", &page)?;
    let rows = tx.all(asked).await?;
    let mut items = Vec::new();
    for row in &rows {
        items.push(AccountProject {
            id: row.parsed("id")?,
            name: row.text("name")?,
            company: row.parsed("company_id")?,
            company_name: row.text("company_name")?,
            counts: Counts::default(),
        });
    }
    let ids: Vec<_> = items.iter().map(|project| project.id).collect();
    let counts = counts(&mut tx, &caller, "project_id", &ids).await?;
    for project in &mut items {
        project.counts = counts.get(&project.id).copied().unwrap_or_default();
    }
    Ok(Json(Page::of(items, limit, |project: &AccountProject| {
        Cursor {
            key: key_of(&project.name),
            id: project.id.to_string(),
        }
    })))
}

const PROJECTS: Columns = Columns {
    company: "company_id",
    project: Some("project.id"),
    site: None,
};

const SITES: Columns = Columns {
    company: "company_id",
    project: Some("project_id"),
    site: Some("id"),
};

/// The part of a list that is wanted, by name.
fn paged(
    mut asked: store::Query,
    name_key: &'static str,
    id: &'static str,
    page: &PageOf,
) -> Result<store::Query, Problem> {
    if let Some(after) = page.cursor()? {
        asked = asked
            .text(" AND (")
            .text(name_key)
            .text(", ")
            .text(id)
            .text(") > (")
            .value(after.key)
            .text(", ")
            .value(after.id)
            .text(")");
    }
    let asked = asked.text(" ORDER BY ").text(name_key).text(", ").text(id);
    Ok(asked.text(" LIMIT ").value(page.limit()? + 1))
}

/// What the caller sees in each of these companies or projects.
async fn counts<I>(
    tx: &mut Tx,
    caller: &Caller,
    owner: &'static str,
    ids: &[I],
) -> Result<BTreeMap<I, Counts>, StoreError>
where
    I: Copy + Ord + std::str::FromStr + store::Bind,
    I::Err: std::fmt::Display,
{
    let (sites, devices) = (
        caller.visible(Permission::SiteView),
        caller.visible(Permission::DeviceView),
    );
    let of = |what: &'static str| query("SELECT ").text(owner).text(" AS of_it, ").text(what);
    let grouped = |asked: store::Query| {
        let asked = asked.text(" AND ").text(owner).text(" IN ");
        let asked = asked.values(ids.iter().copied());
        asked.text(" GROUP BY ").text(owner)
    };
    let asked = of("COUNT(*) AS n FROM site WHERE ").visible(&sites, SITES);
    let sites: BTreeMap<I, i64> = by_owner(tx, grouped(asked)).await?;
    let asked = of("COUNT(*) AS n FROM device WHERE ").visible(&devices, Columns::USUAL);
    let all: BTreeMap<I, i64> = by_owner(tx, grouped(asked)).await?;
    let asked = of(
        "COUNT(*) AS n FROM device JOIN connection c ON c.device_id = device.id AND c.online = 1
         WHERE ",
    )
    .visible(&devices, Columns::USUAL);
    let online: BTreeMap<I, i64> = by_owner(tx, grouped(asked)).await?;
    let n = |found: &BTreeMap<I, i64>, id: &I| found.get(id).copied().unwrap_or_default();
    Ok(ids
        .iter()
        .map(|id| {
            let counts = Counts {
                sites: n(&sites, id),
                devices: n(&all, id),
                online: n(&online, id),
            };
            (*id, counts)
        })
        .collect())
}

async fn by_owner<I>(tx: &mut Tx, asked: store::Query) -> Result<BTreeMap<I, i64>, StoreError>
where
    I: Ord + std::str::FromStr,
    I::Err: std::fmt::Display,
{
    let rows = tx.all(asked).await?;
    rows.iter()
        .map(|row| Ok((row.parsed("of_it")?, row.int("n")?)))
        .collect()
}
