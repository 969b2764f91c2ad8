//! Figures of a company, a project or a site at a glance (S5).
//!
//! Counted when they are asked for, by one pass through an index in the order of its groups: a
//! company of 100,000 devices is a few hundred groups. So there are no counters that could drift.

use std::collections::BTreeMap;

use axum::extract::State;
use cloud_logic::condition::{Attention, Concern, Presence};
use cloud_logic::ids::{CompanyId, ProjectId, SiteId};
use cloud_logic::rights::{Permission, Scope};
use model::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answers::Refused;
use crate::api::{Json, Path, Problem};
use crate::core::Core;
use crate::notices;
use crate::people::Caller;
use crate::store::{Query, StoreError, Tx, query};
use crate::subscriptions::{self, Balance};
use crate::tenancy::{permitted_project, permitted_site};

/// So many versions of firmware are told of a model; the rest is counted together.
const FIRMWARES: usize = 20;

/// Who did something so lately counts as being here.
const HERE: std::time::Duration = std::time::Duration::from_secs(15 * 60);

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(of_company))
        .routes(routes!(of_project))
        .routes(routes!(of_site))
}

/// Figures of this moment.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Overview {
    devices: Devices,
    /// By model, in alphabetical order.
    models: Vec<OfModel>,
    /// Null where only a project or site is looked at.
    projects: Option<i64>,
    /// Null where only a site is looked at.
    sites: Option<i64>,
    /// Null where only a project or site is looked at.
    users: Option<Users>,
    /// What stands open and how often, by kind: `site_outage`, `device_offline` ... Null where only
    /// a project or site is looked at, or you may not see notices.
    notices: Option<BTreeMap<String, i64>>,
    /// Null where only a project or site is looked at, or you may not see subscriptions.
    subscriptions: Option<Vec<Balance>>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
struct Devices {
    total: i64,
    online: i64,
    offline: i64,
    /// Claimed, and has never come.
    never_seen: i64,
    /// Need attention, for whatever reason.
    attention: i64,
    firmware: FirmwareState,
}

#[derive(Debug, Default, Serialize, ToSchema)]
struct FirmwareState {
    /// As new as its mode needs.
    fits: i64,
    /// Older than its mode needs.
    old: i64,
    /// The device has not told it yet.
    unknown: i64,
}

#[derive(Debug, Serialize, ToSchema)]
struct OfModel {
    model: String,
    devices: i64,
    online: i64,
    /// The most frequent first, at most twenty; null where the device has not told it.
    firmwares: Vec<OfFirmware>,
}

#[derive(Debug, Serialize, ToSchema)]
struct OfFirmware {
    firmware: Option<String>,
    devices: i64,
}

#[derive(Debug, Serialize, ToSchema)]
struct Users {
    total: i64,
    /// Did something within the last fifteen minutes.
    here: i64,
}

/// Devices of one model with the same firmware.
#[derive(Default)]
struct Counted {
    online: i64,
    by_firmware: BTreeMap<Option<String>, i64>,
}

/// The devices of a place, counted.
async fn devices(tx: &mut Tx, scope: Scope) -> Result<(Devices, Vec<OfModel>), StoreError> {
    let asked = query(
        "SELECT model, firmware, presence, attention, count(*) AS n FROM device WHERE company_id = ",
    );
    let asked = below(asked.value(scope.company()), scope);
    // The mode is there for the order of the index.
    let groups = asked.text(" GROUP BY model, mode, firmware, presence, attention");
    let mut devices = Devices::default();
    let mut models: BTreeMap<String, Counted> = BTreeMap::new();
    for row in tx.all(groups).await? {
        let n = row.int("n")?;
        let attention = Attention::from_bits(row.int("attention")?);
        let firmware = row.maybe_text("firmware")?;
        let model = models.entry(row.text("model")?).or_default();
        devices.total += n;
        match row.parsed("presence")? {
            Presence::Online => {
                devices.online += n;
                model.online += n;
            }
            Presence::Offline => devices.offline += n,
            Presence::NeverSeen => devices.never_seen += n,
        }
        if !attention.is_empty() {
            devices.attention += n;
        }
        match &firmware {
            None => devices.firmware.unknown += n,
            Some(_) if attention.has(Concern::FirmwareOld) => devices.firmware.old += n,
            Some(_) => devices.firmware.fits += n,
        }
        *model.by_firmware.entry(firmware).or_default() += n;
    }
    let models = models.into_iter().map(|(model, counted)| {
        let mut firmwares: Vec<_> = counted
            .by_firmware
            .into_iter()
            .map(|(firmware, devices)| OfFirmware { firmware, devices })
            .collect();
        firmwares.sort_by_key(|one| std::cmp::Reverse(one.devices));
        let devices = firmwares.iter().map(|one| one.devices).sum();
        firmwares.truncate(FIRMWARES);
        OfModel {
            model,
            devices,
            online: counted.online,
            firmwares,
        }
    });
    Ok((devices, models.collect()))
}

/// ` AND` in the project or site, where it is one.
fn below(asked: Query, scope: Scope) -> Query {
    match scope {
        Scope::Company(_) => asked,
        Scope::Project(_, project) => asked.text(" AND project_id = ").value(project),
        Scope::Site(_, _, site) => asked.text(" AND site_id = ").value(site),
    }
}

async fn overview(tx: &mut Tx, scope: Scope, now: Timestamp) -> Result<Overview, StoreError> {
    let (devices, models) = devices(tx, scope).await?;
    let count = async |tx: &mut Tx, asked: Query| tx.one(asked).await?.int("n");
    let mut overview = Overview {
        devices,
        models,
        ..Overview::default()
    };
    match scope {
        Scope::Company(company) => {
            let projects = query("SELECT count(*) AS n FROM project WHERE company_id = $1");
            let sites = query("SELECT count(*) AS n FROM site WHERE company_id = $1");
            let users = query("SELECT count(*) AS n FROM user_account WHERE company_id = $1");
            let here = query(
                "SELECT count(DISTINCT s.user_id) AS n FROM session s
                 JOIN user_account u ON u.id = s.user_id
                 WHERE u.company_id = $1 AND s.last_seen >= $2 AND s.ends > $3",
            );
            overview.projects = Some(count(tx, projects.bind(company)).await?);
            overview.sites = Some(count(tx, sites.bind(company)).await?);
            let here = here.bind(company).bind(now.saturating_sub(HERE)).bind(now);
            overview.users = Some(Users {
                total: count(tx, users.bind(company)).await?,
                here: count(tx, here).await?,
            });
        }
        Scope::Project(_, project) => {
            let sites = query("SELECT count(*) AS n FROM site WHERE project_id = $1");
            overview.sites = Some(count(tx, sites.bind(project)).await?);
        }
        Scope::Site(..) => {}
    }
    Ok(overview)
}

/// A company at a glance
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/overview",
    tag = "devices",
    params(("company" = String, Path, description = "Which company.")),
    extensions(("x-permission" = json!("company.view"))),
    responses((status = 200, description = "Its figures.", body = Overview), Refused)
)]
async fn of_company(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
) -> Result<Json<Overview>, Problem> {
    let scope = Scope::Company(company);
    caller.require(Permission::CompanyView, &scope)?;
    let mut tx = core.store.read().await?;
    let mut figures = overview(&mut tx, scope, core.now()).await?;
    if caller.require(Permission::NoticeView, &scope).is_ok() {
        let open = notices::open_of_company(&mut tx, company).await?;
        let by_kind = open
            .into_iter()
            .map(|(kind, n)| (kind.word().to_owned(), n));
        figures.notices = Some(by_kind.collect());
    }
    if caller.require(Permission::SubscriptionView, &scope).is_ok() {
        figures.subscriptions = Some(subscriptions::balances(&mut tx, &core, company).await?);
    }
    Ok(Json(figures))
}

/// A project at a glance
#[utoipa::path(
    get,
    path = "/api/v1/projects/{project}/overview",
    tag = "devices",
    params(("project" = String, Path, description = "Which project.")),
    extensions(("x-permission" = json!("project.view"))),
    responses((status = 200, description = "Its figures.", body = Overview), Refused)
)]
async fn of_project(
    State(core): State<Core>,
    caller: Caller,
    Path(project): Path<ProjectId>,
) -> Result<Json<Overview>, Problem> {
    let mut tx = core.store.read().await?;
    let scope = permitted_project(&mut tx, &caller, Permission::ProjectView, project).await?;
    Ok(Json(overview(&mut tx, scope, core.now()).await?))
}

/// A site at a glance
#[utoipa::path(
    get,
    path = "/api/v1/sites/{site}/overview",
    tag = "devices",
    params(("site" = String, Path, description = "Which site.")),
    extensions(("x-permission" = json!("site.view"))),
    responses((status = 200, description = "Its figures.", body = Overview), Refused)
)]
async fn of_site(
    State(core): State<Core>,
    caller: Caller,
    Path(site): Path<SiteId>,
) -> Result<Json<Overview>, Problem> {
    let mut tx = core.store.read().await?;
    let scope = permitted_site(&mut tx, &caller, Permission::SiteView, site).await?;
    Ok(Json(overview(&mut tx, scope, core.now()).await?))
}
