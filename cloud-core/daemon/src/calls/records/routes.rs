//! Calls that were, over the interface (C7).
//!
//! Who called and who answered is shown to those who may see people; the others see times, places
//! and outcome.

#![expect(
    unused_qualifications,
    reason = "the macro that describes a route writes them for its parameters"
)]

use axum::extract::State;
use cloud_logic::ids::{CallId, CallLegId, CallRecordId, CompanyId, ProjectId, SiteId};
use cloud_logic::rights::{Permission, Scope};
use model::DialStatus;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Audio, End};
use crate::api::answers::Refused;
use crate::api::check::Findings;
use crate::api::{Cursor, Json, Page, PageOf, Path, Problem, Query, Time};
use crate::core::Core;
use crate::people::{Caller, Columns, VisibleRows, visible_in};
use crate::store::{Row, StoreError, query};

pub(in crate::calls) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read))
}

/// One device's or person's part of a call.
#[derive(Debug, Serialize, ToSchema)]
struct CallRecord {
    #[schema(value_type = String, example = "cr-01J9ZK3V7Q8W2M4N6P0R5T1X8Y")]
    id: CallRecordId,
    /// The same for all that belong together.
    #[schema(value_type = String, example = "ca-01J9ZK3V7Q8W2M4N6P0R5T1X8Y")]
    call: CallId,
    #[schema(value_type = String)]
    leg: CallLegId,
    /// The leg that it was last connected with.
    #[schema(value_type = Option<String>)]
    talked_with: Option<CallLegId>,
    #[schema(value_type = Option<String>)]
    project: Option<ProjectId>,
    #[schema(value_type = Option<String>)]
    site: Option<SiteId>,
    /// `caller` or `callee`.
    role: String,
    /// Whose part it was; null for those who may not see who calls.
    party: Option<End>,
    /// Whom the caller called.
    dialled: Option<End>,
    /// Whose forwarding or group brought the call here.
    by_way_of: Option<End>,
    /// From 1, the most urgent, to 250.
    priority: i64,
    started: Time,
    answered: Option<Time>,
    ended: Time,
    rang_ms: i64,
    talked_ms: i64,
    /// `answered`, `no_answer`, `busy`, `declined`, `cancelled`, `answered_elsewhere`,
    /// `unreachable`, `refused` or `failed`.
    status: String,
    /// Why it ended, more exactly.
    cause: String,
    /// How its sound travelled; null where it had none.
    audio: Option<Audio>,
}

impl CallRecord {
    fn read(row: &Row, caller: &Caller) -> Result<Self, StoreError> {
        let json = |column| -> Result<Option<End>, StoreError> {
            match row.maybe_text(column)? {
                Some(_) => row.json(column),
                None => Ok(None),
            }
        };
        let company = row.parsed("company_id")?;
        let (project, site) = (
            row.maybe_parsed("project_id")?,
            row.maybe_parsed("site_id")?,
        );
        let scope = match (project, site) {
            (Some(project), Some(site)) => Scope::Site(company, project, site),
            (Some(project), None) => Scope::Project(company, project),
            (None, _) => Scope::Company(company),
        };
        let people = caller.require(Permission::CallPartyView, &scope).is_ok();
        let shown = |column| match people {
            true => json(column),
            false => Ok(None),
        };
        Ok(Self {
            id: row.parsed("id")?,
            call: row.parsed("call_id")?,
            leg: row.parsed("leg_id")?,
            talked_with: row.maybe_parsed("talked_with")?,
            project,
            site,
            role: row.text("role")?,
            party: shown("party")?,
            dialled: shown("dialled")?,
            by_way_of: shown("by_way_of")?,
            priority: row.int("priority")?,
            started: Time(row.time("started")?),
            answered: row.maybe_time("answered")?.map(Time),
            ended: Time(row.time("ended")?),
            rang_ms: row.int("rang_ms")?,
            talked_ms: row.int("talked_ms")?,
            status: row.text("status")?,
            cause: row.text("cause")?,
            audio: match row.maybe_text("audio")? {
                Some(_) => row.json("audio")?,
                None => None,
            },
        })
    }
}

/// Which calls are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only of this project.
    #[param(value_type = Option<String>)]
    project: Option<ProjectId>,
    /// Only of this site.
    #[param(value_type = Option<String>)]
    site: Option<SiteId>,
    /// Only those that came to this: `answered`, `busy` ...
    #[param(max_length = 32)]
    status: Option<String>,
    /// Only those that began at this moment or later.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Time>,
    /// Only those that began before this moment.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Time>,
}

/// Calls of a company, leg by leg
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/calls",
    tag = "calls",
    params(("company" = String, Path, description = "Which company."), Wanted, PageOf),
    extensions(("x-permission" = json!("call_report.view"))),
    responses((status = 200, description = "Those you see, the latest first.", body = Page<CallRecord>), Refused)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Query(wanted): Query<Wanted>,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<CallRecord>>, Problem> {
    let visible = visible_in(&caller, Permission::CallReportView, company)?;
    let limit = page.limit()?;
    let mut findings = Findings::default();
    if let Some(status) = &wanted.status {
        findings.one_of("/status", status, &DialStatus::ALL.map(DialStatus::name));
    }
    findings.done()?;
    let mut asked = query("SELECT * FROM call_record WHERE company_id = ")
        .value(company)
        .text(" AND ")
        .visible(&visible, Columns::USUAL);
    if let Some(project) = wanted.project {
        asked = asked.text(" AND project_id = ").value(project);
    }
    if let Some(site) = wanted.site {
        asked = asked.text(" AND site_id = ").value(site);
    }
    if let Some(status) = wanted.status {
        asked = asked.text(" AND status = ").value(status);
    }
    if let Some(Time(from)) = wanted.from {
        asked = asked.text(" AND started >= ").value(from);
    }
    if let Some(Time(until)) = wanted.until {
        asked = asked.text(" AND started < ").value(until);
    }
    if let Some(after) = page.cursor()? {
        let started: i64 = after.key.parse().unwrap_or(i64::MAX);
        asked = asked
            .text(" AND (started, id) < (")
            .value(started)
            .text(", ")
            .value(after.id)
            .text(")");
    }
    let asked = asked
        .text(" ORDER BY started DESC, id DESC LIMIT ")
        .value(limit + 1);
    let rows = core.store.read().await?.all(asked).await?;
    let records: Vec<_> = (rows.iter())
        .map(|row| CallRecord::read(row, &caller))
        .collect::<Result<_, _>>()?;
    Ok(Json(Page::of(records, limit, |record: &CallRecord| {
        Cursor {
            key: record.started.0.unix_ms().to_string(),
            id: record.id.to_string(),
        }
    })))
}

/// A call with all its legs.
#[derive(Debug, Serialize, ToSchema)]
struct Call {
    #[schema(value_type = String)]
    id: CallId,
    /// In the order in which they began.
    legs: Vec<CallRecord>,
}

/// One call
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/calls/{call}",
    tag = "calls",
    params(
        ("company" = String, Path, description = "Which company."),
        ("call" = String, Path, description = "Which call.")
    ),
    extensions(("x-permission" = json!("call_report.view"))),
    responses((status = 200, description = "Those of its legs that you see.", body = Call), Refused)
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
    Path((company, call)): Path<(CompanyId, CallId)>,
) -> Result<Json<Call>, Problem> {
    let visible = visible_in(&caller, Permission::CallReportView, company)?;
    let asked = query("SELECT * FROM call_record WHERE company_id = ")
        .value(company)
        .text(" AND call_id = ")
        .value(call)
        .text(" AND ")
        .visible(&visible, Columns::USUAL)
        .text(" ORDER BY started, leg_id LIMIT 1000");
    let rows = core.store.read().await?.all(asked).await?;
    let legs: Vec<_> = (rows.iter())
        .map(|row| CallRecord::read(row, &caller))
        .collect::<Result<_, _>>()?;
    if legs.is_empty() {
        return Err(Problem::not_found());
    }
    Ok(Json(Call { id: call, legs }))
}
