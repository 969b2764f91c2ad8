//! Folders that the sites of a project are sorted into. A folder may stand in another.

use axum::extract::State;
use axum::http::StatusCode;
use cloud_logic::ids::{CompanyId, FolderId, ProjectId};
use cloud_logic::rights::{Permission, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::place::permitted_project;
use super::shape::{self, About, Kept};
use crate::api::answers::{NotMade, Refused, Stale};
use crate::api::check::{Findings, key_of};
use crate::api::{Code, IfMatch, Json, Path, Problem, Versioned};
use crate::core::{Core, NewId};
use crate::people::Caller;
use crate::store::{Row, StoreError, Tx, query};

/// So many folders a project may have, one in another at most so deep.
const MOST: i64 = 500;
const DEEPEST: usize = 8;

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(change, delete))
}

/// A folder.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Folder {
    #[schema(value_type = String, example = "fo-01J9ZK3V7Q8W2M4N6P0R5T1X8Y")]
    id: FolderId,
    #[serde(skip)]
    company: CompanyId,
    #[schema(value_type = String)]
    project: ProjectId,
    #[serde(flatten)]
    settings: FolderSettings,
    /// For `if-match`.
    version: i64,
}

/// What can be set for a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FolderSettings {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// The folder it stands in.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    parent: Option<FolderId>,
}

/// All folders of a project; there are never many.
#[derive(Debug, Serialize, ToSchema)]
struct Folders {
    items: Vec<Folder>,
}

impl Kept for Folder {
    const KIND: &'static str = "folder";
    type Settings = FolderSettings;

    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("id")?,
            company: row.parsed("company_id")?,
            project: row.parsed("project_id")?,
            settings: FolderSettings {
                name: row.text("name")?,
                parent: row.maybe_parsed("parent_id")?,
            },
            version: row.int("version")?,
        })
    }

    fn about(&self) -> About<'_, FolderSettings> {
        About {
            id: self.id.to_string(),
            name: &self.settings.name,
            scope: Scope::Project(self.company, self.project),
            settings: &self.settings,
            version: self.version,
        }
    }

    fn changed_to(self, settings: FolderSettings, version: i64) -> Self {
        Self {
            settings,
            version,
            ..self
        }
    }
}

async fn all(tx: &mut Tx, project: ProjectId) -> Result<Vec<Folder>, StoreError> {
    let asked = query("SELECT * FROM folder WHERE project_id = $1 ORDER BY name_key, id");
    shape::all(tx, asked.bind(project)).await
}

/// The project of a folder.
pub(crate) async fn project_of(
    tx: &mut Tx,
    folder: FolderId,
) -> Result<Option<ProjectId>, StoreError> {
    let asked = query("SELECT project_id FROM folder WHERE id = $1").bind(folder);
    let row = tx.optional(asked).await?;
    row.map(|row| row.parsed("project_id")).transpose()
}

/// Whether `folder` may stand where it wants to: in its own project, not in itself, not too deep.
fn check(all: &[Folder], folder: Option<FolderId>, wish: &FolderSettings) -> Result<(), Problem> {
    let mut findings = Findings::default();
    findings.name("/name", &wish.name);
    let mut above = wish.parent;
    let mut depth = 0;
    while let Some(id) = above {
        depth += 1;
        if depth > DEEPEST {
            findings.add(
                "/parent",
                "too_deep",
                "Folders stand in each other at most eight deep.",
            );
            break;
        }
        if folder == Some(id) {
            findings.add("/parent", "in_itself", "A folder cannot stand in itself.");
            break;
        }
        let Some(found) = all.iter().find(|folder| folder.id == id) else {
            findings.add(
                "/parent",
                "no_such_folder",
                "The project has no such folder.",
            );
            break;
        };
        above = found.settings.parent;
    }
    findings.done()
}

/// Folders of a project
#[utoipa::path(
    get,
    path = "/api/v1/projects/{project}/folders",
    tag = "tenancy",
    params(("project" = String, Path, description = "Which project.")),
    extensions(("x-permission" = json!("project.view"))),
    responses((status = 200, description = "All of them, by name.", body = Folders), Refused)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Path(project): Path<ProjectId>,
) -> Result<Json<Folders>, Problem> {
    let mut tx = core.store.read().await?;
    permitted_project(&mut tx, &caller, Permission::ProjectView, project).await?;
    let items = all(&mut tx, project).await?;
    Ok(Json(Folders { items }))
}

/// Add a folder to a project
#[utoipa::path(
    post,
    path = "/api/v1/projects/{project}/folders",
    tag = "tenancy",
    params(("project" = String, Path, description = "Which project.")),
    extensions(("x-permission" = json!("project.configure"))),
    request_body = FolderSettings,
    responses((status = 201, description = "Added.", body = Folder), NotMade)
)]
async fn add(
    State(core): State<Core>,
    caller: Caller,
    Path(project): Path<ProjectId>,
    Json(wish): Json<FolderSettings>,
) -> Result<(StatusCode, Versioned<Folder>), Problem> {
    let mut tx = core.store.write().await?;
    let scope = permitted_project(&mut tx, &caller, Permission::ProjectConfigure, project).await?;
    let others = all(&mut tx, project).await?;
    if i64::try_from(others.len()).unwrap_or(i64::MAX) >= MOST {
        return Err(Problem::new(
            Code::Conflict,
            "A project has at most 500 folders.",
        ));
    }
    check(&others, None, &wish)?;
    let made = Folder {
        id: FolderId::new_at(caller.now),
        company: scope.company(),
        project,
        settings: wish,
        version: 1,
    };
    let insert = query(
        "INSERT INTO folder (id, company_id, project_id, parent_id, name, name_key, version)
         VALUES ($1, $2, $3, $4, $5, $6, 1)",
    )
    .bind(made.id)
    .bind(scope.company())
    .bind(project)
    .bind(made.settings.parent)
    .bind(made.settings.name.trim())
    .bind(key_of(made.settings.name.trim()));
    shape::make(tx, &caller, (insert, made), "folder.add").await
}

/// Rename a folder, or put it into another
#[utoipa::path(
    put,
    path = "/api/v1/folders/{folder}",
    tag = "tenancy",
    params(
        ("folder" = String, Path, description = "Which folder."),
        ("if-match" = String, Header, description = "Its version, in quotes.")
    ),
    extensions(("x-permission" = json!("project.configure"))),
    request_body = FolderSettings,
    responses((status = 200, description = "As it is now.", body = Folder), NotMade, Stale)
)]
async fn change(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<FolderId>,
    version: IfMatch,
    Json(wish): Json<FolderSettings>,
) -> Result<Versioned<Folder>, Problem> {
    let mut tx = core.store.write().await?;
    let (others, before) = permitted(&mut tx, &caller, id).await?;
    check(&others, Some(id), &wish)?;
    let update = query(
        "UPDATE folder SET name = $3, name_key = $4, parent_id = $5, version = version + 1
         WHERE id = $1 AND version = $2",
    )
    .bind(id)
    .bind(before.version)
    .bind(wish.name.trim())
    .bind(key_of(wish.name.trim()))
    .bind(wish.parent);
    let changed = (update, before, wish);
    shape::change(tx, &caller, version, changed, "folder.change").await
}

async fn permitted(
    tx: &mut Tx,
    caller: &Caller,
    id: FolderId,
) -> Result<(Vec<Folder>, Folder), Problem> {
    let project = project_of(tx, id).await?.ok_or_else(Problem::not_found)?;
    permitted_project(tx, caller, Permission::ProjectConfigure, project).await?;
    let others = all(tx, project).await?;
    let this = others.iter().find(|folder| folder.id == id).cloned();
    Ok((others, this.ok_or_else(Problem::not_found)?))
}

/// Delete an empty folder
#[utoipa::path(
    delete,
    path = "/api/v1/folders/{folder}",
    tag = "tenancy",
    params(
        ("folder" = String, Path, description = "Which folder."),
        ("if-match" = String, Header, description = "Its version, in quotes.")
    ),
    extensions(("x-permission" = json!("project.configure"))),
    responses((status = 204, description = "Gone."), NotMade, Stale)
)]
async fn delete(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<FolderId>,
    version: IfMatch,
) -> Result<StatusCode, Problem> {
    let mut tx = core.store.write().await?;
    let (_, before) = permitted(&mut tx, &caller, id).await?;
    // What stands in it refers to it, and so keeps it.
    let delete = query("DELETE FROM folder WHERE id = $1").bind(id);
    shape::end(tx, &caller, version, (delete, before), "folder.delete").await
}
