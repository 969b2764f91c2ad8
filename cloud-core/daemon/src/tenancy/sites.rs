//! Sites: one installation each, with one time zone (S6) and one directory.

#![expect(
    unused_qualifications,
    reason = "the macro that describes a route writes them for its parameters"
)]

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use cloud_logic::ids::{CompanyId, FolderId, ProjectId, SiteId};
use cloud_logic::rights::{Permission, Scope};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::place::{permitted_project, permitted_site};
use super::shape::{self, About, Kept};
use super::{folders, metadata};
use crate::api::answers::{NotMade, Refused, Stale};
use crate::api::check::{Findings, key_of};
use crate::api::{IfMatch, Json, Page, PageOf, Path, Problem, Query, Time, Versioned};
use crate::core::{Core, NewId};
use crate::people::{Caller, Columns, VisibleRows, visible_in};
use crate::store::{Row, StoreError, Tx, query};

const COLUMNS: Columns = Columns {
    company: "company_id",
    project: Some("project_id"),
    site: Some("id"),
};

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(add))
        .routes(routes!(read, change, delete))
}

/// A site.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Site {
    #[schema(value_type = String, example = "si-01J9ZK3V7Q8W2M4N6P0R5T1X8Y")]
    id: SiteId,
    #[schema(value_type = String)]
    company: CompanyId,
    #[schema(value_type = String)]
    project: ProjectId,
    #[serde(flatten)]
    settings: SiteSettings,
    created: Time,
    #[serde(skip)]
    version: i64,
}

/// What can be set for a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SiteSettings {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Of the tz database. Rules of this site are meant in it.
    #[schema(example = "Europe/Vienna")]
    time_zone: String,
    /// Where it is, as people write it.
    #[serde(default)]
    #[schema(max_length = 300)]
    address: String,
    /// The folder of the project that it is sorted into.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    folder: Option<FolderId>,
    /// Values of the company's own keys.
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

impl SiteSettings {
    async fn check(self, tx: &mut Tx, scope: &Scope) -> Result<Self, Problem> {
        let keys = metadata::keys_of(tx, scope.company()).await?;
        let mut findings = Findings::default();
        let name = findings.name("/name", &self.name);
        let address = findings.words("/address", &self.address, 0, 300);
        findings.time_zone("/time_zone", &self.time_zone);
        findings.metadata(&self.metadata, &keys);
        if let Some(folder) = self.folder
            && folders::project_of(tx, folder).await? != scope.project()
        {
            findings.add(
                "/folder",
                "no_such_folder",
                "The project has no such folder.",
            );
        }
        findings.done()?;
        Ok(Self {
            name,
            address,
            ..self
        })
    }
}

impl Kept for Site {
    const KIND: &'static str = "site";
    type Settings = SiteSettings;

    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("id")?,
            company: row.parsed("company_id")?,
            project: row.parsed("project_id")?,
            settings: SiteSettings {
                name: row.text("name")?,
                time_zone: row.text("time_zone")?,
                address: row.text("address")?,
                folder: row.maybe_parsed("folder_id")?,
                metadata: row.json("metadata")?,
            },
            created: Time(row.time("created")?),
            version: row.int("version")?,
        })
    }

    fn about(&self) -> About<'_, SiteSettings> {
        About {
            id: self.id.to_string(),
            name: &self.settings.name,
            scope: Scope::Site(self.company, self.project, self.id),
            settings: &self.settings,
            version: self.version,
        }
    }

    fn changed_to(self, settings: SiteSettings, version: i64) -> Self {
        Self {
            settings,
            version,
            ..self
        }
    }
}

async fn find(tx: &mut Tx, id: SiteId) -> Result<Site, Problem> {
    let asked = query("SELECT * FROM site WHERE id = $1").bind(id);
    shape::find(tx, asked).await
}

/// Which sites of a company are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only of this project.
    #[param(value_type = Option<String>)]
    project: Option<ProjectId>,
    /// Only those whose name begins so, in whatever case.
    #[param(max_length = 100)]
    name: Option<String>,
}

/// Sites of a company
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/sites",
    tag = "tenancy",
    params(("company" = String, Path, description = "Which company."), Wanted, PageOf),
    extensions(("x-permission" = json!("site.view"))),
    responses((status = 200, description = "Those you see, by name.", body = Page<Site>), Refused)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Query(wanted): Query<Wanted>,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<Site>>, Problem> {
    let visible = visible_in(&caller, Permission::SiteView, company)?;
    let mut asked = query("SELECT * FROM site WHERE company_id = ")
        .value(company)
        .text(" AND ")
        .visible(&visible, COLUMNS);
    if let Some(project) = wanted.project {
        asked = asked.text(" AND project_id = ").value(project);
    }
    if let Some(name) = wanted.name {
        asked = asked.begins("name_key", &key_of(&name));
    }
    shape::page_by_name(&core, asked, &page).await
}

/// Begin a site
#[utoipa::path(
    post,
    path = "/api/v1/projects/{project}/sites",
    tag = "tenancy",
    params(("project" = String, Path, description = "Which project.")),
    extensions(("x-permission" = json!("project.configure"))),
    request_body = SiteSettings,
    responses((status = 201, description = "Begun.", body = Site), NotMade)
)]
async fn add(
    State(core): State<Core>,
    caller: Caller,
    Path(project): Path<ProjectId>,
    Json(wish): Json<SiteSettings>,
) -> Result<(StatusCode, Versioned<Site>), Problem> {
    let mut tx = core.store.write().await?;
    let scope = permitted_project(&mut tx, &caller, Permission::ProjectConfigure, project).await?;
    let made = Site {
        id: SiteId::new_at(caller.now),
        company: scope.company(),
        project,
        settings: wish.check(&mut tx, &scope).await?,
        created: Time(caller.now),
        version: 1,
    };
    let settings = &made.settings;
    let insert = query(
        "INSERT INTO site (id, company_id, project_id, folder_id, name, name_key, time_zone, address,
                           metadata, version, created)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10)",
    )
    .bind(made.id)
    .bind(made.company)
    .bind(project)
    .bind(settings.folder)
    .bind(&settings.name)
    .bind(key_of(&settings.name))
    .bind(&settings.time_zone)
    .bind(&settings.address)
    .bind(json!(settings.metadata).to_string())
    .bind(caller.now);
    shape::make(tx, &caller, (insert, made), "site.add").await
}

/// One site
#[utoipa::path(
    get,
    path = "/api/v1/sites/{site}",
    tag = "tenancy",
    params(("site" = String, Path, description = "Which site.")),
    extensions(("x-permission" = json!("site.view"))),
    responses((status = 200, description = "It.", body = Site), Refused)
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<SiteId>,
) -> Result<Versioned<Site>, Problem> {
    let mut tx = core.store.read().await?;
    permitted_site(&mut tx, &caller, Permission::SiteView, id).await?;
    let site = find(&mut tx, id).await?;
    Ok(Versioned(site.version, site))
}

/// Change a site
#[utoipa::path(
    put,
    path = "/api/v1/sites/{site}",
    tag = "tenancy",
    params(
        ("site" = String, Path, description = "Which site."),
        ("if-match" = String, Header, description = "The ETag that was read.")
    ),
    extensions(("x-permission" = json!("site.configure"))),
    request_body = SiteSettings,
    responses((status = 200, description = "As it is now.", body = Site), NotMade, Stale)
)]
async fn change(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<SiteId>,
    version: IfMatch,
    Json(wish): Json<SiteSettings>,
) -> Result<Versioned<Site>, Problem> {
    let mut tx = core.store.write().await?;
    let scope = permitted_site(&mut tx, &caller, Permission::SiteConfigure, id).await?;
    let wish = wish.check(&mut tx, &scope).await?;
    let before = find(&mut tx, id).await?;
    let update = query(
        "UPDATE site SET name = $3, name_key = $4, time_zone = $5, address = $6, folder_id = $7,
                         metadata = $8, version = version + 1
         WHERE id = $1 AND version = $2",
    )
    .bind(id)
    .bind(before.version)
    .bind(&wish.name)
    .bind(key_of(&wish.name))
    .bind(&wish.time_zone)
    .bind(&wish.address)
    .bind(wish.folder)
    .bind(json!(wish.metadata).to_string());
    let changed = (update, before, wish);
    shape::change(tx, &caller, version, changed, "site.change").await
}

/// Delete a site that has no devices
#[utoipa::path(
    delete,
    path = "/api/v1/sites/{site}",
    tag = "tenancy",
    params(
        ("site" = String, Path, description = "Which site."),
        ("if-match" = String, Header, description = "The ETag that was read.")
    ),
    extensions(("x-permission" = json!("project.configure"))),
    responses((status = 204, description = "Gone."), NotMade, Stale)
)]
async fn delete(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<SiteId>,
    version: IfMatch,
) -> Result<StatusCode, Problem> {
    let mut tx = core.store.write().await?;
    permitted_site(&mut tx, &caller, Permission::SiteView, id).await?;
    let before = find(&mut tx, id).await?;
    let above = Scope::Project(before.company, before.project);
    caller.require(Permission::ProjectConfigure, &above)?;
    // Devices and whatever else stands on the site refer to it, and so keep it.
    let delete = query("DELETE FROM site WHERE id = $1").bind(id);
    shape::end(tx, &caller, version, (delete, before), "site.delete").await
}
