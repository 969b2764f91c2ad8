//! Companies: the account view over all that a person sees, one, and its settings.

use axum::extract::State;
use cloud_logic::ids::CompanyId;
use cloud_logic::rights::{Permission, Scope};
use model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::shape::{self, About, Kept};
use crate::api::answers::{NotMade, Refused, Stale};
use crate::api::check::{Findings, key_of};
use crate::api::{IfMatch, Json, Page, PageOf, Path, Problem, Query, Time, Versioned};
use crate::core::{Core, NewId};
use crate::people::Caller;
use crate::store::audit::{Actor, Audit};
use crate::store::{Row, StoreError, Tx, query};

/// Languages of pages and mails (S6).
pub(crate) const LANGUAGES: [&str; 3] = ["en", "de", "fr"];

/// Call data are never kept longer (G1).
const LONGEST_CALL_DATA: i64 = 180;

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read, change))
}

/// A company.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Company {
    #[schema(value_type = String, example = "co-01J9ZK3V7Q8W2M4N6P0R5T1X8Y")]
    id: CompanyId,
    #[serde(flatten)]
    settings: CompanySettings,
    created: Time,
    #[serde(skip)]
    version: i64,
}

/// What can be set for a company.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CompanySettings {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Of mails, and of pages for those who have not chosen: en, de or fr.
    #[schema(example = "de")]
    language: String,
    /// Where nothing nearer has one.
    #[schema(example = "Europe/Vienna")]
    time_zone: String,
    /// After so many days call data are deleted.
    #[schema(minimum = 1, maximum = 180)]
    call_data_days: i64,
}

impl CompanySettings {
    fn check(self) -> Result<Self, Problem> {
        let mut findings = Findings::default();
        let name = findings.name("/name", &self.name);
        findings.one_of("/language", &self.language, &LANGUAGES);
        findings.time_zone("/time_zone", &self.time_zone);
        findings.range("/call_data_days", self.call_data_days, 1, LONGEST_CALL_DATA);
        findings.done()?;
        Ok(Self { name, ..self })
    }
}

impl Kept for Company {
    const KIND: &'static str = "company";
    type Settings = CompanySettings;

    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("id")?,
            settings: CompanySettings {
                name: row.text("name")?,
                language: row.text("language")?,
                time_zone: row.text("time_zone")?,
                call_data_days: row.int("call_data_days")?,
            },
            created: Time(row.time("created")?),
            version: row.int("version")?,
        })
    }

    fn about(&self) -> About<'_, CompanySettings> {
        About {
            id: self.id.to_string(),
            name: &self.settings.name,
            scope: Scope::Company(self.id),
            settings: &self.settings,
            version: self.version,
        }
    }

    fn changed_to(self, settings: CompanySettings, version: i64) -> Self {
        Self {
            settings,
            version,
            ..self
        }
    }
}

/// Companies you have a role in
#[utoipa::path(
    get,
    path = "/api/v1/companies",
    tag = "tenancy",
    params(PageOf),
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 200, description = "A page of them, by name.", body = Page<Company>), Refused)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<Company>>, Problem> {
    let asked =
        query("SELECT * FROM company WHERE id IN ").values(caller.rights.companies(caller.now));
    shape::page_by_name(&core, asked, &page).await
}

async fn find(tx: &mut Tx, id: CompanyId) -> Result<Company, Problem> {
    let asked = query("SELECT * FROM company WHERE id = $1").bind(id);
    shape::find(tx, asked).await
}

/// One company
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}",
    tag = "tenancy",
    params(("company" = String, Path, description = "Which company.")),
    extensions(("x-permission" = json!("company.view"))),
    responses((status = 200, description = "It.", body = Company), Refused)
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<CompanyId>,
) -> Result<Versioned<Company>, Problem> {
    caller.require(Permission::CompanyView, &Scope::Company(id))?;
    let company = find(&mut core.store.read().await?, id).await?;
    Ok(Versioned(company.version, company))
}

/// Change the settings of a company
#[utoipa::path(
    put,
    path = "/api/v1/companies/{company}",
    tag = "tenancy",
    params(
        ("company" = String, Path, description = "Which company."),
        ("if-match" = String, Header, description = "The ETag that was read.")
    ),
    extensions(("x-permission" = json!("company.configure"))),
    request_body = CompanySettings,
    responses((status = 200, description = "As it is now.", body = Company), NotMade, Stale)
)]
async fn change(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<CompanyId>,
    version: IfMatch,
    Json(wish): Json<CompanySettings>,
) -> Result<Versioned<Company>, Problem> {
    caller.require(Permission::CompanyConfigure, &Scope::Company(id))?;
    let wish = wish.check()?;
    let mut tx = core.store.write().await?;
    let before = find(&mut tx, id).await?;
    let update = query(
        "UPDATE company SET name = $3, name_key = $4, language = $5, time_zone = $6,
                            call_data_days = $7, version = version + 1
         WHERE id = $1 AND version = $2",
    )
    .bind(id)
    .bind(before.version)
    .bind(&wish.name)
    .bind(key_of(&wish.name))
    .bind(&wish.language)
    .bind(&wish.time_zone)
    .bind(wish.call_data_days);
    let changed = (update, before, wish);
    shape::change(tx, &caller, version, changed, "company.change").await
}

/// A company to be: made by the operator of the core.
#[derive(Clone, Debug)]
pub(crate) struct NewCompany {
    pub(crate) name: String,
    pub(crate) language: String,
    pub(crate) time_zone: String,
}

pub(crate) async fn add(
    tx: &mut Tx,
    actor: &Actor,
    company: NewCompany,
    now: Timestamp,
) -> Result<CompanyId, Problem> {
    let settings = CompanySettings {
        name: company.name,
        language: company.language,
        time_zone: company.time_zone,
        call_data_days: LONGEST_CALL_DATA,
    }
    .check()?;
    let id = CompanyId::new_at(now);
    let insert = query(
        "INSERT INTO company (id, name, name_key, language, time_zone, call_data_days, version, created)
         VALUES ($1, $2, $3, $4, $5, $6, 1, $7)",
    )
    .bind(id)
    .bind(&settings.name)
    .bind(key_of(&settings.name))
    .bind(&settings.language)
    .bind(&settings.time_zone)
    .bind(settings.call_data_days)
    .bind(now);
    tx.execute(insert).await?;
    tx.audit(Audit {
        at: now,
        company: Some(id),
        actor: actor.clone(),
        action: "company.add",
        object_kind: "company",
        object_id: id.to_string(),
        before: None,
        after: Some(json!(settings)),
    });
    Ok(id)
}
