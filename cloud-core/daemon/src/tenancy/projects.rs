//! Projects: parts of a company's work, with sites below them.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use cloud_logic::ids::{CompanyId, ProjectId};
use cloud_logic::rights::{Permission, Scope};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::metadata;
use super::place::permitted_project;
use super::shape::{self, About, Kept};
use crate::api::answers::{NotMade, Refused, Stale};
use crate::api::check::{Findings, key_of};
use crate::api::{Code, IfMatch, Json, Page, PageOf, Path, Problem, Query, Time, Versioned};
use crate::core::{Core, NewId};
use crate::people::{Caller, Columns, VisibleRows, visible_in};
use crate::store::{Row, StoreError, Tx, query};

const COLUMNS: Columns = Columns {
    company: "company_id",
    project: Some("id"),
    site: None,
};

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(read, change, delete))
}

/// A project.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Project {
    #[schema(value_type = String, example = "pr-01J9ZK3V7Q8W2M4N6P0R5T1X8Y")]
    id: ProjectId,
    #[schema(value_type = String)]
    company: CompanyId,
    #[serde(flatten)]
    settings: ProjectSettings,
    created: Time,
    #[serde(skip)]
    version: i64,
}

/// What can be set for a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProjectSettings {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Values of the company's own keys.
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

impl ProjectSettings {
    fn check(self, keys: &[String]) -> Result<Self, Problem> {
        let mut findings = Findings::default();
        let name = findings.name("/name", &self.name);
        findings.metadata(&self.metadata, keys);
        findings.done()?;
        Ok(Self { name, ..self })
    }
}

impl Kept for Project {
    const KIND: &'static str = "project";
    type Settings = ProjectSettings;

    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("id")?,
            company: row.parsed("company_id")?,
            settings: ProjectSettings {
                name: row.text("name")?,
                metadata: row.json("metadata")?,
            },
            created: Time(row.time("created")?),
            version: row.int("version")?,
        })
    }

    fn about(&self) -> About<'_, ProjectSettings> {
        About {
            id: self.id.to_string(),
            name: &self.settings.name,
            scope: Scope::Project(self.company, self.id),
            settings: &self.settings,
            version: self.version,
        }
    }

    fn changed_to(self, settings: ProjectSettings, version: i64) -> Self {
        Self {
            settings,
            version,
            ..self
        }
    }
}

async fn find(tx: &mut Tx, id: ProjectId) -> Result<Project, Problem> {
    let asked = query("SELECT * FROM project WHERE id = $1").bind(id);
    shape::find(tx, asked).await
}

/// Projects of a company
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/projects",
    tag = "tenancy",
    params(("company" = String, Path, description = "Which company."), PageOf),
    extensions(("x-permission" = json!("project.view"))),
    responses((status = 200, description = "Those you see, by name.", body = Page<Project>), Refused)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<Project>>, Problem> {
    let visible = visible_in(&caller, Permission::ProjectView, company)?;
    let asked = query("SELECT * FROM project WHERE company_id = ")
        .value(company)
        .text(" AND ")
        .visible(&visible, COLUMNS);
    shape::page_by_name(&core, asked, &page).await
}

/// Begin a project
#[utoipa::path(
    post,
    path = "/api/v1/companies/{company}/projects",
    tag = "tenancy",
    params(("company" = String, Path, description = "Which company.")),
    extensions(("x-permission" = json!("company.configure"))),
    request_body = ProjectSettings,
    responses((status = 201, description = "Begun.", body = Project), NotMade)
)]
async fn add(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Json(wish): Json<ProjectSettings>,
) -> Result<(StatusCode, Versioned<Project>), Problem> {
    caller.require(Permission::CompanyConfigure, &Scope::Company(company))?;
    let mut tx = core.store.write().await?;
    let settings = wish.check(&metadata::keys_of(&mut tx, company).await?)?;
    let made = Project {
        id: ProjectId::new_at(caller.now),
        company,
        settings,
        created: Time(caller.now),
        version: 1,
    };
    let insert = query(
        "INSERT INTO project (id, company_id, name, name_key, metadata, version, created)
         VALUES ($1, $2, $3, $4, $5, 1, $6)",
    )
    .bind(made.id)
    .bind(company)
    .bind(&made.settings.name)
    .bind(key_of(&made.settings.name))
    .bind(json!(made.settings.metadata).to_string())
    .bind(caller.now);
    shape::make(tx, &caller, (insert, made), "project.add").await
}

/// One project
#[utoipa::path(
    get,
    path = "/api/v1/projects/{project}",
    tag = "tenancy",
    params(("project" = String, Path, description = "Which project.")),
    extensions(("x-permission" = json!("project.view"))),
    responses((status = 200, description = "It.", body = Project), Refused)
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<ProjectId>,
) -> Result<Versioned<Project>, Problem> {
    let mut tx = core.store.read().await?;
    permitted_project(&mut tx, &caller, Permission::ProjectView, id).await?;
    let project = find(&mut tx, id).await?;
    Ok(Versioned(project.version, project))
}

/// Change a project
#[utoipa::path(
    put,
    path = "/api/v1/projects/{project}",
    tag = "tenancy",
    params(
        ("project" = String, Path, description = "Which project."),
        ("if-match" = String, Header, description = "The ETag that was read.")
    ),
    extensions(("x-permission" = json!("project.configure"))),
    request_body = ProjectSettings,
    responses((status = 200, description = "As it is now.", body = Project), NotMade, Stale)
)]
async fn change(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<ProjectId>,
    version: IfMatch,
    Json(wish): Json<ProjectSettings>,
) -> Result<Versioned<Project>, Problem> {
    let mut tx = core.store.write().await?;
    let scope = permitted_project(&mut tx, &caller, Permission::ProjectConfigure, id).await?;
    let wish = wish.check(&metadata::keys_of(&mut tx, scope.company()).await?)?;
    let before = find(&mut tx, id).await?;
    let update = query(
        "UPDATE project SET name = $3, name_key = $4, metadata = $5, version = version + 1
         WHERE id = $1 AND version = $2",
    )
    .bind(id)
    .bind(before.version)
    .bind(&wish.name)
    .bind(key_of(&wish.name))
    .bind(json!(wish.metadata).to_string());
    let changed = (update, before, wish);
    shape::change(tx, &caller, version, changed, "project.change").await
}

/// Delete a project that has no sites
#[utoipa::path(
    delete,
    path = "/api/v1/projects/{project}",
    tag = "tenancy",
    params(
        ("project" = String, Path, description = "Which project."),
        ("if-match" = String, Header, description = "The ETag that was read.")
    ),
    extensions(("x-permission" = json!("company.configure"))),
    responses((status = 204, description = "Gone."), NotMade, Stale)
)]
async fn delete(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<ProjectId>,
    version: IfMatch,
) -> Result<StatusCode, Problem> {
    let mut tx = core.store.write().await?;
    let scope = permitted_project(&mut tx, &caller, Permission::ProjectView, id).await?;
    // A project is begun and ended by those who look after the company.
    caller.require(
        Permission::CompanyConfigure,
        &Scope::Company(scope.company()),
    )?;
    let before = find(&mut tx, id).await?;
    version.check(before.version)?;
    let sites = query("SELECT id FROM site WHERE project_id = $1 LIMIT 1").bind(id);
    if tx.optional(sites).await?.is_some() {
        return Err(Problem::new(
            Code::Conflict,
            "It still has sites. Delete them or give them to another project first.",
        ));
    }
    tx.execute(query("DELETE FROM folder WHERE project_id = $1").bind(id))
        .await?;
    let delete = query("DELETE FROM project WHERE id = $1").bind(id);
    shape::end(tx, &caller, version, (delete, before), "project.delete").await
}
