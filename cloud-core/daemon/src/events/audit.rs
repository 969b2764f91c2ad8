//! The audit log of a company, newest first.

#![expect(
    unused_qualifications,
    reason = "the macro that describes a route writes them for its parameters"
)]

use axum::extract::State;
use cloud_logic::ids::CompanyId;
use cloud_logic::rights::{Permission, Scope};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answers::Refused;
use crate::api::{Cursor, Finding, Json, Page, PageOf, Path, Problem, Query, Time};
use crate::core::Core;
use crate::people::Caller;
use crate::store::{Row, StoreError, query};

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(verify))
}

/// Who did what to what.
#[derive(Debug, Serialize, ToSchema)]
struct AuditEntry {
    /// Counted without a gap from 1, per company.
    seq: i64,
    at: Time,
    /// A user, an integration, a device, `cli` or `core`.
    actor: String,
    address: Option<String>,
    session: Option<String>,
    #[schema(example = "site.change")]
    action: String,
    object_kind: String,
    object_id: String,
    before: Option<Value>,
    after: Option<Value>,
}

fn entry(row: &Row) -> Result<AuditEntry, StoreError> {
    let json = |column| -> Result<Option<Value>, StoreError> {
        match row.maybe_text(column)? {
            Some(_) => row.json(column),
            None => Ok(None),
        }
    };
    Ok(AuditEntry {
        seq: row.int("seq")?,
        at: Time(row.time("at")?),
        actor: row.text("actor")?,
        address: row.maybe_text("address")?,
        session: row.maybe_text("session")?,
        action: row.text("action")?,
        object_kind: row.text("object_kind")?,
        object_id: row.text("object_id")?,
        before: json("before")?,
        after: json("after")?,
    })
}

/// Which entries are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only about this thing.
    #[param(max_length = 64)]
    object: Option<String>,
    /// Only of this actor.
    #[param(max_length = 64)]
    actor: Option<String>,
}

/// The audit log of a company
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/audit",
    tag = "audit",
    params(("company" = String, Path, description = "Which company."), Wanted, PageOf),
    extensions(("x-permission" = json!("audit.view"))),
    responses((status = 200, description = "Newest first.", body = Page<AuditEntry>), Refused)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Query(wanted): Query<Wanted>,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    caller.require(Permission::AuditView, &Scope::Company(company))?;
    let (limit, after) = (page.limit()?, page.cursor()?);
    let mut asked = query("SELECT * FROM audit WHERE company_id = ").value(company);
    if let Some(object) = wanted.object {
        asked = asked.text(" AND object_id = ").value(object);
    }
    if let Some(actor) = wanted.actor {
        asked = asked.text(" AND actor = ").value(actor);
    }
    if let Some(after) = after {
        let seq: i64 = after.key.parse().map_err(|_| foreign_cursor())?;
        asked = asked.text(" AND seq < ").value(seq);
    }
    let asked = asked.text(" ORDER BY seq DESC LIMIT ").value(limit + 1);
    let rows = core.store.read().await?.all(asked).await?;
    let entries = rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(Page::of(entries, limit, |entry| Cursor {
        key: entry.seq.to_string(),
        id: String::new(),
    })))
}

fn foreign_cursor() -> Problem {
    Problem::invalid(vec![Finding::new(
        "?cursor",
        "not_a_cursor",
        "Use next_cursor of this list, unchanged.",
    )])
}

/// Whether the log is whole.
#[derive(Debug, Serialize, ToSchema)]
struct AuditState {
    /// Nothing was changed and nothing is missing.
    holds: bool,
    /// So many entries hold, or the first that does not.
    seq: i64,
    /// What is wrong there.
    why: Option<String>,
}

/// Check the audit log of a company
///
/// Each entry carries the hash of the one before it: one that was changed or taken out shows.
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/audit/state",
    tag = "audit",
    params(("company" = String, Path, description = "Which company.")),
    extensions(("x-permission" = json!("audit.view"))),
    responses((status = 200, description = "What was found.", body = AuditState), Refused)
)]
async fn verify(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
) -> Result<Json<AuditState>, Problem> {
    caller.require(Permission::AuditView, &Scope::Company(company))?;
    let found = core.store.read().await?.audit_holds(Some(company)).await?;
    Ok(Json(match found {
        Ok(seq) => AuditState {
            holds: true,
            seq,
            why: None,
        },
        Err(broken) => AuditState {
            holds: false,
            seq: broken.seq,
            why: Some(broken.why.to_owned()),
        },
    }))
}
