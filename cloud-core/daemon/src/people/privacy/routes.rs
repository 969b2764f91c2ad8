//! Exports and erasure over the interface.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cloud_logic::ids::{CompanyId, ExportId, UserId};
use cloud_logic::rights::{Permission, Scope};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Caller;
use super::super::users::{self, Account};
use super::erase::erase;
use super::rows::{self, Export};
use crate::api::answers::{NotMade, Refused, Stale};
use crate::api::{Code, Cursor, Finding, IfMatch, Json, Page, PageOf, Path, Problem, Query, Time};
use crate::blobs::SAFE_TO_SHOW;
use crate::core::{Core, NewId};
use crate::store::Tx;
use crate::store::audit::Audit;
use crate::store::changes::{Change, What, Whose};

pub(in super::super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(export))
        .routes(routes!(erasure))
        .routes(routes!(export_mine))
        .routes(routes!(list))
        .routes(routes!(read, delete))
        .routes(routes!(download))
}

/// What is known of a person, put together for whoever asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Export)]
struct ExportBody {
    #[schema(value_type = String, example = "ex-01J9ZK3V7Q8W2M4N6P0R5T1X8Y")]
    id: ExportId,
    /// Who it is about.
    #[schema(value_type = String)]
    user: UserId,
    /// `waiting`, or `ready` to be fetched.
    #[schema(example = "ready")]
    state: &'static str,
    asked: Time,
    /// When it is deleted.
    expires: Option<Time>,
}

impl From<Export> for ExportBody {
    fn from(export: Export) -> Self {
        Self {
            id: export.id,
            user: export.user,
            state: if export.blob.is_some() {
                "ready"
            } else {
                "waiting"
            },
            asked: Time(export.created),
            expires: export.expires.map(Time),
        }
    }
}

/// Somebody whom the company looks after, for whoever answers for the data of its people.
async fn of_company(
    tx: &mut Tx,
    core: &Core,
    caller: &Caller,
    (company, user): (CompanyId, UserId),
) -> Result<Account, Problem> {
    caller.require(Permission::PrivacyConfigure, &Scope::Company(company))?;
    let account = users::looked_after(tx, caller, company, user).await?;
    caller.require_fresh_proof(core)?;
    Ok(account)
}

async fn ask(
    mut tx: Tx,
    caller: &Caller,
    export: Export,
) -> Result<(StatusCode, Json<ExportBody>), Problem> {
    if let Some(waiting) = rows::waiting_for(&mut tx, &export).await? {
        return Ok((StatusCode::ACCEPTED, Json(waiting.into())));
    }
    rows::insert(&mut tx, &export).await?;
    tx.audit(audit(caller, &export, "export.ask"));
    // Whoever makes exports is woken by any change.
    tx.changed(Change {
        at: caller.now,
        whose: Whose {
            company: Some(export.company),
            ..Whose::default()
        },
        kind: "export",
        id: export.id.to_string(),
        what: What::Created,
    });
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(export.into())))
}

fn audit(caller: &Caller, export: &Export, action: &'static str) -> Audit {
    Audit {
        at: caller.now,
        company: Some(export.company),
        actor: caller.actor(),
        action,
        object_kind: "export",
        object_id: export.id.to_string(),
        before: None,
        after: Some(serde_json::json!({ "user": export.user })),
    }
}

/// Put together what is known of a person
///
/// What this company may know of somebody it looks after: account, rights, sessions, labels, letters,
/// and what she did. Fetch it from `/api/v1/me/exports` when it is `ready`. Needs a fresh proof.
#[utoipa::path(
    post,
    path = "/api/v1/companies/{company}/users/{user}/export",
    tag = "privacy",
    params(
        ("company" = String, Path, description = "Which company."),
        ("user" = String, Path, description = "Who.")
    ),
    extensions(("x-permission" = json!("privacy.configure"))),
    responses((status = 202, description = "It is put together.", body = ExportBody), Refused)
)]
async fn export(
    State(core): State<Core>,
    caller: Caller,
    Path((company, user)): Path<(CompanyId, UserId)>,
) -> Result<(StatusCode, Json<ExportBody>), Problem> {
    let asked_by = caller.user()?.to_string();
    let mut tx = core.store.write().await?;
    let account = of_company(&mut tx, &core, &caller, (company, user)).await?;
    let export = Export {
        id: ExportId::new_at(caller.now),
        company,
        user: account.id,
        asked_by,
        of_company: true,
        blob: None,
        created: caller.now,
        expires: None,
    };
    ask(tx, &caller, export).await
}

/// Put together what is known of you
///
/// In all companies. Fetch it from `/api/v1/me/exports` when it is `ready`. Needs a fresh proof.
#[utoipa::path(
    post,
    path = "/api/v1/me/export",
    tag = "privacy",
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 202, description = "It is put together.", body = ExportBody), Refused)
)]
async fn export_mine(
    State(core): State<Core>,
    caller: Caller,
) -> Result<(StatusCode, Json<ExportBody>), Problem> {
    let me = caller.user()?;
    caller.require_fresh_proof(&core)?;
    let mut tx = core.store.write().await?;
    let account = users::by_id(&mut tx, me)
        .await?
        .ok_or_else(Problem::not_found)?;
    let export = Export {
        id: ExportId::new_at(caller.now),
        company: account.company,
        user: me,
        asked_by: me.to_string(),
        of_company: false,
        blob: None,
        created: caller.now,
        expires: None,
    };
    ask(tx, &caller, export).await
}

/// Exports that you asked for, newest first
#[utoipa::path(
    get,
    path = "/api/v1/me/exports",
    tag = "privacy",
    params(PageOf),
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 200, description = "A part of them.", body = Page<ExportBody>), Refused)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<ExportBody>>, Problem> {
    let limit = page.limit()?;
    let before = match page.cursor()? {
        None => None,
        Some(cursor) => Some(cursor.id.parse().map_err(|_| {
            let detail = "Use next_cursor of an answer, unchanged.";
            Problem::invalid(vec![Finding::new("?cursor", "not_a_cursor", detail)])
        })?),
    };
    let mut tx = core.store.read().await?;
    let exports = rows::asked_by(&mut tx, caller.user()?, before, limit + 1).await?;
    let bodies = exports.into_iter().map(ExportBody::from).collect();
    Ok(Json(Page::of(bodies, limit, |export| Cursor {
        key: String::new(),
        id: export.id.to_string(),
    })))
}

async fn mine(tx: &mut Tx, caller: &Caller, id: ExportId) -> Result<Export, Problem> {
    let found = rows::one_asked_by(tx, caller.user()?, id).await?;
    found.ok_or_else(Problem::not_found)
}

/// An export that you asked for
#[utoipa::path(
    get,
    path = "/api/v1/me/exports/{export}",
    tag = "privacy",
    params(("export" = String, Path, description = "Which one.")),
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 200, description = "It.", body = ExportBody), Refused)
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<ExportId>,
) -> Result<Json<ExportBody>, Problem> {
    let mut tx = core.store.read().await?;
    Ok(Json(mine(&mut tx, &caller, id).await?.into()))
}

/// The document of an export
///
/// JSON that people can read. Needs a fresh proof, and stands in the audit log.
#[utoipa::path(
    get,
    path = "/api/v1/me/exports/{export}/content",
    tag = "privacy",
    params(("export" = String, Path, description = "Which one.")),
    extensions(("x-permission" = json!("signed_in"))),
    responses(
        (status = 200, description = "All that is known.", body = serde_json::Value),
        (status = 409, description = "It is not ready yet.", body = crate::api::problem::ProblemBody),
        Refused
    )
)]
async fn download(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<ExportId>,
) -> Result<Response, Problem> {
    let mut tx = core.store.write().await?;
    let export = mine(&mut tx, &caller, id).await?;
    caller.require_fresh_proof(&core)?;
    let Some(blob) = export.blob else {
        let detail = "It is being put together. Try again in a moment.";
        return Err(Problem::new(Code::Conflict, detail).retry_after(2));
    };
    let octets = core.blobs.read(blob).await?;
    tx.audit(audit(&caller, &export, "export.download"));
    tx.commit().await?;
    let name = format!("attachment; filename=\"{}.json\"", export.id);
    let headers: [(HeaderName, String); 3] = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, SAFE_TO_SHOW, Body::from_stream(octets)).into_response())
}

/// Delete an export that you asked for
#[utoipa::path(
    delete,
    path = "/api/v1/me/exports/{export}",
    tag = "privacy",
    params(("export" = String, Path, description = "Which one.")),
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 204, description = "It is gone."), Refused)
)]
async fn delete(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<ExportId>,
) -> Result<StatusCode, Problem> {
    let mut tx = core.store.write().await?;
    let export = mine(&mut tx, &caller, id).await?;
    rows::let_go(&mut tx, &export).await?;
    tx.audit(audit(&caller, &export, "export.delete"));
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forget a person
///
/// Somebody whom the company looks after: her account, her rights everywhere, her sessions, passkeys,
/// labels and letters go at once and cannot be brought back. What she did stays in the log under her
/// id, without name, mail and address. Needs a fresh proof.
#[utoipa::path(
    delete,
    path = "/api/v1/companies/{company}/users/{user}",
    tag = "privacy",
    params(
        ("company" = String, Path, description = "Which company."),
        ("user" = String, Path, description = "Who."),
        ("if-match" = String, Header, description = "The ETag that was read.")
    ),
    extensions(("x-permission" = json!("privacy.configure"))),
    responses((status = 204, description = "She is forgotten."), NotMade, Stale)
)]
async fn erasure(
    State(core): State<Core>,
    caller: Caller,
    Path((company, user)): Path<(CompanyId, UserId)>,
    version: IfMatch,
) -> Result<StatusCode, Problem> {
    let mut tx = core.store.write().await?;
    let account = of_company(&mut tx, &core, &caller, (company, user)).await?;
    version.check(account.version)?;
    if caller.user() == Ok(user) {
        let detail = "Let somebody else do this: nobody would be there to see that it was done.";
        return Err(Problem::new(Code::Conflict, detail));
    }
    erase(&mut tx, &account, &caller.actor(), caller.now).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
