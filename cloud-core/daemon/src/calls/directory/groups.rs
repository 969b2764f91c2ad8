//! Ring groups over the interface (C5).

#![expect(
    unused_qualifications,
    reason = "the macro that describes a route writes them for its parameters"
)]

use axum::extract::State;
use axum::http::StatusCode;
use cloud_logic::ids::{CompanyId, ProjectId, RingGroupId};
use cloud_logic::rights::{Permission, Scope};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::gather::{self, Edited};
use super::hold;
use super::target::{self, Target};
use crate::api::answers::{NotMade, Refused, Stale};
use crate::api::check::{Findings, LONGEST_NAME, key_of};
use crate::api::{Cursor, IfMatch, Json, Page, PageOf, Path, Problem, Query, Versioned};
use crate::core::{Core, NewId};
use crate::people::{Caller, Columns, VisibleRows, visible_in};
use crate::store::{Row, StoreError, Tx, query};
use crate::tenancy::of_project;
use crate::tenancy::shape::{self, About, Kept};

const COLUMNS: Columns = Columns {
    company: "company_id",
    project: Some("project_id"),
    site: None,
};

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(read, change, delete))
}

/// Several that ring at once.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct RingGroup {
    #[schema(value_type = String, example = "rg-01J9ZK3V7Q8W2M4N6P0R5T1X8Y")]
    id: RingGroupId,
    #[schema(value_type = String)]
    company: CompanyId,
    #[serde(flatten)]
    settings: GroupSettings,
    #[serde(skip)]
    version: i64,
}

/// What can be set for a ring group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupSettings {
    #[schema(min_length = 1, max_length = 100)]
    pub(super) name: String,
    /// What is dialled. No two of a company are the same.
    #[schema(example = "500", pattern = "^[0-9]{1,8}$")]
    pub(super) number: String,
    /// The project whose group it is; without it, the company's.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) project: Option<ProjectId>,
    /// Who rings. People and stations, no groups.
    #[schema(min_items = 1, max_items = 32)]
    pub(super) members: Vec<Target>,
    /// How long they ring.
    #[serde(default = "usual_ring")]
    #[schema(minimum = 1, maximum = 600, default = 30)]
    pub(super) ring_s: u32,
    /// Whether they see and hear the caller before they answer.
    #[serde(default = "usual_early_media")]
    #[schema(default = true)]
    pub(super) early_media: bool,
    /// Where the call goes on to when nobody answers.
    #[serde(default)]
    pub(super) onward: Option<Target>,
}

const fn usual_ring() -> u32 {
    30
}

const fn usual_early_media() -> bool {
    true
}

impl GroupSettings {
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        let onward = match row.maybe_text("onward")? {
            Some(_) => Some(row.json("onward")?),
            None => None,
        };
        Ok(Self {
            name: row.text("name")?,
            number: row.text("number")?,
            project: row.maybe_parsed("project_id")?,
            members: row.json("members")?,
            ring_s: u32::try_from(row.int("ring_s")?).unwrap_or(u32::MAX),
            early_media: row.flag("early_media")?,
            onward,
        })
    }

    /// Every target, with where it stands.
    pub(super) fn targets(&self) -> Vec<(String, &Target)> {
        let members = self.members.iter().enumerate();
        let members = members.map(|(n, member)| (format!("/members/{n}"), member));
        let onward = self.onward.iter().map(|to| ("/onward".to_owned(), to));
        members.chain(onward).collect()
    }

    /// The wish in order, or all that is wrong with it.
    async fn checked(
        mut self,
        tx: &mut Tx,
        id: RingGroupId,
        scope: &Scope,
    ) -> Result<Self, Problem> {
        let mut findings = Findings::default();
        self.name = findings.name("/name", &self.name);
        target::check_known(tx, scope, &self.targets(), &mut findings).await?;
        let group = gather::ring_group(id, &self, &mut findings);
        findings.done()?;
        gather::check(tx, scope.company(), Edited::Group(id, group)).await?;
        Ok(self)
    }
}

impl Kept for RingGroup {
    const KIND: &'static str = "ring_group";
    type Settings = GroupSettings;

    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("id")?,
            company: row.parsed("company_id")?,
            settings: GroupSettings::read(row)?,
            version: row.int("version")?,
        })
    }

    fn about(&self) -> About<'_, GroupSettings> {
        About {
            id: self.id.to_string(),
            name: &self.settings.name,
            scope: match self.settings.project {
                Some(project) => Scope::Project(self.company, project),
                None => Scope::Company(self.company),
            },
            settings: &self.settings,
            version: self.version,
        }
    }

    fn changed_to(self, settings: GroupSettings, version: i64) -> Self {
        Self {
            settings,
            version,
            ..self
        }
    }
}

/// The place that a group is wished at, if the caller may set groups there.
async fn wished_at(
    tx: &mut Tx,
    caller: &Caller,
    company: CompanyId,
    project: Option<ProjectId>,
) -> Result<Scope, Problem> {
    let scope = match project {
        None => Scope::Company(company),
        Some(project) => match of_project(tx, project).await? {
            Some(scope) if scope.company() == company => scope,
            Some(_) | None => return Err(Problem::not_found()),
        },
    };
    caller.require(Permission::DirectoryConfigure, &scope)?;
    Ok(scope)
}

/// The group, if the caller may do this with it.
async fn permitted(
    tx: &mut Tx,
    caller: &Caller,
    permission: Permission,
    (company, id): (CompanyId, RingGroupId),
) -> Result<RingGroup, Problem> {
    let asked = query("SELECT * FROM ring_group WHERE id = $1 AND company_id = $2");
    let found: Result<RingGroup, _> = shape::find(tx, asked.bind(id).bind(company)).await;
    let scope = match &found {
        Ok(group) => group.about().scope,
        Err(_) => Scope::Company(company),
    };
    caller.require(permission, &scope)?;
    found
}

/// Which groups are wanted.
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

/// Ring groups of a company
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/ring-groups",
    tag = "calls",
    params(("company" = String, Path, description = "Which company."), Wanted, PageOf),
    extensions(("x-permission" = json!("directory.view"))),
    responses((status = 200, description = "Those you see, by number.", body = Page<RingGroup>), Refused)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Query(wanted): Query<Wanted>,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<RingGroup>>, Problem> {
    let visible = visible_in(&caller, Permission::DirectoryView, company)?;
    let (limit, after) = (page.limit()?, page.cursor()?);
    let mut findings = Findings::default();
    let begins = wanted
        .name
        .map(|name| findings.words("/name", &name, 0, LONGEST_NAME));
    findings.done()?;
    let mut asked = query("SELECT * FROM ring_group WHERE company_id = ")
        .value(company)
        .text(" AND ")
        .visible(&visible, COLUMNS);
    if let Some(project) = wanted.project {
        asked = asked.text(" AND project_id = ").value(project);
    }
    if let Some(name) = begins {
        asked = asked.begins("name_key", &key_of(&name));
    }
    if let Some(after) = after {
        asked = asked.text(" AND number > ").value(after.key);
    }
    let asked = asked.text(" ORDER BY number LIMIT ").value(limit + 1);
    let groups = shape::all(&mut core.store.read().await?, asked).await?;
    Ok(Json(Page::of(groups, limit, |group: &RingGroup| Cursor {
        key: group.settings.number.clone(),
        id: group.id.to_string(),
    })))
}

/// Make a ring group
#[utoipa::path(
    post,
    path = "/api/v1/companies/{company}/ring-groups",
    tag = "calls",
    params(("company" = String, Path, description = "Which company.")),
    extensions(("x-permission" = json!("directory.configure"))),
    request_body = GroupSettings,
    responses((status = 201, description = "It can be called.", body = RingGroup), NotMade)
)]
async fn add(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Json(wish): Json<GroupSettings>,
) -> Result<(StatusCode, Versioned<RingGroup>), Problem> {
    let mut tx = core.store.write().await?;
    let scope = wished_at(&mut tx, &caller, company, wish.project).await?;
    hold(&mut tx, company).await?;
    let id = RingGroupId::new_at(caller.now);
    let made = RingGroup {
        id,
        company,
        settings: wish.checked(&mut tx, id, &scope).await?,
        version: 1,
    };
    let settings = &made.settings;
    let insert = query(
        "INSERT INTO ring_group (id, company_id, project_id, number, name, name_key, members,
                                 ring_s, early_media, onward, version)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1)",
    )
    .bind(id)
    .bind(company)
    .bind(settings.project)
    .bind(&settings.number)
    .bind(&settings.name)
    .bind(key_of(&settings.name))
    .bind(json!(settings.members).to_string())
    .bind(settings.ring_s)
    .bind(settings.early_media)
    .bind(settings.onward.as_ref().map(|to| json!(to).to_string()));
    shape::make(tx, &caller, (insert, made), "ring_group.add").await
}

/// One ring group
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/ring-groups/{group}",
    tag = "calls",
    params(
        ("company" = String, Path, description = "Which company."),
        ("group" = String, Path, description = "Which group.")
    ),
    extensions(("x-permission" = json!("directory.view"))),
    responses((status = 200, description = "It.", body = RingGroup), Refused)
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
    Path(place): Path<(CompanyId, RingGroupId)>,
) -> Result<Versioned<RingGroup>, Problem> {
    let mut tx = core.store.read().await?;
    let group = permitted(&mut tx, &caller, Permission::DirectoryView, place).await?;
    Ok(Versioned(group.version, group))
}

/// Change a ring group
#[utoipa::path(
    put,
    path = "/api/v1/companies/{company}/ring-groups/{group}",
    tag = "calls",
    params(
        ("company" = String, Path, description = "Which company."),
        ("group" = String, Path, description = "Which group."),
        ("if-match" = String, Header, description = "The ETag that was read.")
    ),
    extensions(("x-permission" = json!("directory.configure"))),
    request_body = GroupSettings,
    responses((status = 200, description = "As it is now.", body = RingGroup), NotMade, Stale)
)]
async fn change(
    State(core): State<Core>,
    caller: Caller,
    Path((company, id)): Path<(CompanyId, RingGroupId)>,
    version: IfMatch,
    Json(wish): Json<GroupSettings>,
) -> Result<Versioned<RingGroup>, Problem> {
    let mut tx = core.store.write().await?;
    let configure = Permission::DirectoryConfigure;
    permitted(&mut tx, &caller, configure, (company, id)).await?;
    let scope = wished_at(&mut tx, &caller, company, wish.project).await?;
    hold(&mut tx, company).await?;
    let before = permitted(&mut tx, &caller, configure, (company, id)).await?;
    let wish = wish.checked(&mut tx, id, &scope).await?;
    let update = query(
        "UPDATE ring_group SET project_id = $3, number = $4, name = $5, name_key = $6, members = $7,
                ring_s = $8, early_media = $9, onward = $10, version = version + 1
         WHERE id = $1 AND version = $2",
    )
    .bind(id)
    .bind(before.version)
    .bind(wish.project)
    .bind(&wish.number)
    .bind(&wish.name)
    .bind(key_of(&wish.name))
    .bind(json!(wish.members).to_string())
    .bind(wish.ring_s)
    .bind(wish.early_media)
    .bind(wish.onward.as_ref().map(|to| json!(to).to_string()));
    let changed = (update, before, wish);
    shape::change(tx, &caller, version, changed, "ring_group.change").await
}

/// Delete a ring group
#[utoipa::path(
    delete,
    path = "/api/v1/companies/{company}/ring-groups/{group}",
    tag = "calls",
    params(
        ("company" = String, Path, description = "Which company."),
        ("group" = String, Path, description = "Which group."),
        ("if-match" = String, Header, description = "The ETag that was read.")
    ),
    extensions(("x-permission" = json!("directory.configure"))),
    responses((status = 204, description = "Gone."), NotMade, Stale)
)]
async fn delete(
    State(core): State<Core>,
    caller: Caller,
    Path((company, id)): Path<(CompanyId, RingGroupId)>,
    version: IfMatch,
) -> Result<StatusCode, Problem> {
    let mut tx = core.store.write().await?;
    let configure = Permission::DirectoryConfigure;
    permitted(&mut tx, &caller, configure, (company, id)).await?;
    hold(&mut tx, company).await?;
    let before = permitted(&mut tx, &caller, configure, (company, id)).await?;
    gather::check(&mut tx, company, Edited::Group(id, None)).await?;
    let delete = query("DELETE FROM ring_group WHERE id = $1").bind(id);
    shape::end(tx, &caller, version, (delete, before), "ring_group.delete").await
}
