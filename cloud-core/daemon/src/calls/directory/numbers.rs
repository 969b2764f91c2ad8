//! Numbers of people, and where their calls go when, over the interface (C6).

use axum::extract::State;
use axum::http::StatusCode;
use cloud_logic::ids::{CallNumberId, CompanyId, SiteId, UserId};
use cloud_logic::rights::{Permission, Scope};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::forwarding::Rule;
use super::gather::{self, Edited};
use super::hold;
use super::target::{self, Target};
use crate::api::answers::{NotMade, Refused, Stale};
use crate::api::check::Findings;
use crate::api::{Cursor, IfMatch, Json, Page, PageOf, Path, Problem, Query, Versioned};
use crate::core::{Core, NewId};
use crate::people::Caller;
use crate::store::{Row, StoreError, Tx, query};
use crate::tenancy::of_site;
use crate::tenancy::shape::{self, About, Kept};

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(read, change, delete))
}

/// The number of a person.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct CallNumber {
    #[schema(value_type = String, example = "cn-01J9ZK3V7Q8W2M4N6P0R5T1X8Y")]
    id: CallNumberId,
    #[schema(value_type = String)]
    company: CompanyId,
    #[serde(flatten)]
    settings: NumberSettings,
    #[serde(skip)]
    version: i64,
}

/// What can be set for the number of a person. Nobody has two in one company.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NumberSettings {
    /// What is dialled. No two of a company are the same.
    #[schema(example = "201", pattern = "^[0-9]{1,8}$")]
    pub(super) number: String,
    #[schema(value_type = String)]
    pub(super) user: UserId,
    /// The site in whose time zone the rules are read; without it, in the company's.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) site: Option<SiteId>,
    /// Where her calls go instead. The first rule that fits decides.
    #[serde(default)]
    #[schema(max_items = 20)]
    pub(super) forwarding: Vec<Rule>,
}

impl NumberSettings {
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            number: row.text("number")?,
            user: row.parsed("user_id")?,
            site: row.maybe_parsed("site_id")?,
            forwarding: row.json("forwarding")?,
        })
    }

    async fn checked(
        self,
        tx: &mut Tx,
        id: CallNumberId,
        company: CompanyId,
    ) -> Result<Self, Problem> {
        let scope = Scope::Company(company);
        let mut findings = Findings::default();
        let her = Target::User { user: self.user };
        let rules = self.forwarding.iter().enumerate();
        let rules = rules.map(|(n, rule)| (format!("/forwarding/{n}/to"), &rule.to));
        let mut targets: Vec<_> = rules.collect();
        targets.push((String::new(), &her));
        target::check_known(tx, &scope, &targets, &mut findings).await?;
        if let Some(site) = self.site {
            let place = of_site(tx, site).await?;
            if place.is_none_or(|place| place.company() != company) {
                findings.add("/site", "no_such_site", "Name a site of this company.");
            }
        }
        let station = gather::station(id, &self, &mut findings);
        findings.done()?;
        let edited = Edited::Number(id, station.map(Box::new));
        gather::check(tx, company, edited).await?;
        Ok(self)
    }
}

impl Kept for CallNumber {
    const KIND: &'static str = "call_number";
    type Settings = NumberSettings;

    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("id")?,
            company: row.parsed("company_id")?,
            settings: NumberSettings::read(row)?,
            version: row.int("version")?,
        })
    }

    fn about(&self) -> About<'_, NumberSettings> {
        About {
            id: self.id.to_string(),
            name: &self.settings.number,
            scope: Scope::Company(self.company),
            settings: &self.settings,
            version: self.version,
        }
    }

    fn changed_to(self, settings: NumberSettings, version: i64) -> Self {
        Self {
            settings,
            version,
            ..self
        }
    }
}

async fn find(
    tx: &mut Tx,
    (company, id): (CompanyId, CallNumberId),
) -> Result<CallNumber, Problem> {
    let asked = query("SELECT * FROM call_number WHERE id = $1 AND company_id = $2");
    shape::find(tx, asked.bind(id).bind(company)).await
}

/// Numbers of the people of a company
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/call-numbers",
    tag = "calls",
    params(("company" = String, Path, description = "Which company."), PageOf),
    extensions(("x-permission" = json!("directory.view"))),
    responses((status = 200, description = "By number.", body = Page<CallNumber>), Refused)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<CallNumber>>, Problem> {
    caller.require(Permission::DirectoryView, &Scope::Company(company))?;
    let (limit, after) = (page.limit()?, page.cursor()?);
    let mut asked = query("SELECT * FROM call_number WHERE company_id = ").value(company);
    if let Some(after) = after {
        asked = asked.text(" AND number > ").value(after.key);
    }
    let asked = asked.text(" ORDER BY number LIMIT ").value(limit + 1);
    let numbers = shape::all(&mut core.store.read().await?, asked).await?;
    Ok(Json(Page::of(numbers, limit, |entry: &CallNumber| {
        Cursor {
            key: entry.settings.number.clone(),
            id: entry.id.to_string(),
        }
    })))
}

/// Give a person a number
#[utoipa::path(
    post,
    path = "/api/v1/companies/{company}/call-numbers",
    tag = "calls",
    params(("company" = String, Path, description = "Which company.")),
    extensions(("x-permission" = json!("directory.configure"))),
    request_body = NumberSettings,
    responses((status = 201, description = "She can be called.", body = CallNumber), NotMade)
)]
async fn add(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Json(wish): Json<NumberSettings>,
) -> Result<(StatusCode, Versioned<CallNumber>), Problem> {
    caller.require(Permission::DirectoryConfigure, &Scope::Company(company))?;
    let mut tx = core.store.write().await?;
    hold(&mut tx, company).await?;
    let id = CallNumberId::new_at(caller.now);
    let made = CallNumber {
        id,
        company,
        settings: wish.checked(&mut tx, id, company).await?,
        version: 1,
    };
    let settings = &made.settings;
    let insert = query(
        "INSERT INTO call_number (id, company_id, user_id, number, site_id, forwarding, version)
         VALUES ($1, $2, $3, $4, $5, $6, 1)",
    )
    .bind(id)
    .bind(company)
    .bind(settings.user)
    .bind(&settings.number)
    .bind(settings.site)
    .bind(json!(settings.forwarding).to_string());
    shape::make(tx, &caller, (insert, made), "call_number.add").await
}

/// The number of a person
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/call-numbers/{entry}",
    tag = "calls",
    params(
        ("company" = String, Path, description = "Which company."),
        ("entry" = String, Path, description = "Which number, by its id.")
    ),
    extensions(("x-permission" = json!("directory.view"))),
    responses((status = 200, description = "It.", body = CallNumber), Refused)
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
    Path(place): Path<(CompanyId, CallNumberId)>,
) -> Result<Versioned<CallNumber>, Problem> {
    caller.require(Permission::DirectoryView, &Scope::Company(place.0))?;
    let entry = find(&mut core.store.read().await?, place).await?;
    Ok(Versioned(entry.version, entry))
}

/// Change the number of a person
#[utoipa::path(
    put,
    path = "/api/v1/companies/{company}/call-numbers/{entry}",
    tag = "calls",
    params(
        ("company" = String, Path, description = "Which company."),
        ("entry" = String, Path, description = "Which number, by its id."),
        ("if-match" = String, Header, description = "The ETag that was read.")
    ),
    extensions(("x-permission" = json!("directory.configure"))),
    request_body = NumberSettings,
    responses((status = 200, description = "As it is now.", body = CallNumber), NotMade, Stale)
)]
async fn change(
    State(core): State<Core>,
    caller: Caller,
    Path((company, id)): Path<(CompanyId, CallNumberId)>,
    version: IfMatch,
    Json(wish): Json<NumberSettings>,
) -> Result<Versioned<CallNumber>, Problem> {
    caller.require(Permission::DirectoryConfigure, &Scope::Company(company))?;
    let mut tx = core.store.write().await?;
    hold(&mut tx, company).await?;
    let before = find(&mut tx, (company, id)).await?;
    let wish = wish.checked(&mut tx, id, company).await?;
    let update = query(
        "UPDATE call_number SET user_id = $3, number = $4, site_id = $5, forwarding = $6,
                version = version + 1
         WHERE id = $1 AND version = $2",
    )
    .bind(id)
    .bind(before.version)
    .bind(wish.user)
    .bind(&wish.number)
    .bind(wish.site)
    .bind(json!(wish.forwarding).to_string());
    let changed = (update, before, wish);
    shape::change(tx, &caller, version, changed, "call_number.change").await
}

/// Take a person's number
#[utoipa::path(
    delete,
    path = "/api/v1/companies/{company}/call-numbers/{entry}",
    tag = "calls",
    params(
        ("company" = String, Path, description = "Which company."),
        ("entry" = String, Path, description = "Which number, by its id."),
        ("if-match" = String, Header, description = "The ETag that was read.")
    ),
    extensions(("x-permission" = json!("directory.configure"))),
    responses((status = 204, description = "Gone."), NotMade, Stale)
)]
async fn delete(
    State(core): State<Core>,
    caller: Caller,
    Path((company, id)): Path<(CompanyId, CallNumberId)>,
    version: IfMatch,
) -> Result<StatusCode, Problem> {
    caller.require(Permission::DirectoryConfigure, &Scope::Company(company))?;
    let mut tx = core.store.write().await?;
    hold(&mut tx, company).await?;
    let before = find(&mut tx, (company, id)).await?;
    gather::check(&mut tx, company, Edited::Number(id, None)).await?;
    let delete = query("DELETE FROM call_number WHERE id = $1").bind(id);
    shape::end(tx, &caller, version, (delete, before), "call_number.delete").await
}
