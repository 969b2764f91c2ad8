//! Notices in the portal: look, and say that somebody looks after it.

#![expect(
    unused_qualifications,
    reason = "the macro that describes a route writes them for its parameters"
)]

use axum::extract::State;
use cloud_logic::ids::{CompanyId, NoticeId, ProjectId, SiteId};
use cloud_logic::language::Language;
use cloud_logic::notices::Kind;
use cloud_logic::rights::Permission;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::rows::{self, Notice, Wanted};
use super::{conditions, texts};
use crate::api::answers::Refused;
use crate::api::{Cursor, Finding, Json, Page, PageOf, Path, Problem, Query, Time};
use crate::core::Core;
use crate::people::{Caller, Who, language_of, visible_in};
use crate::store::audit::Audit;
use crate::store::{StoreError, Tx};

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read))
        .routes(routes!(acknowledge))
}

/// Something people are told of.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Notice)]
struct NoticeBody {
    #[schema(value_type = String)]
    id: NoticeId,
    /// `device_offline`, `device_unsteady`, `site_outage`, `site_unsteady`, `certificate_ending`,
    /// `command_failed`, `letter_undelivered`, `mail_waiting` or `subscription_ending`.
    kind: &'static str,
    /// `info`, `warning` or `critical`.
    severity: &'static str,
    #[schema(value_type = String)]
    company: CompanyId,
    #[schema(value_type = Option<String>)]
    project: Option<ProjectId>,
    #[schema(value_type = Option<String>)]
    site: Option<SiteId>,
    /// The id of what it is about.
    subject: String,
    /// What it says, in your language.
    text: String,
    /// What the text is made of.
    #[schema(value_type = Object)]
    words: Value,
    opened: Time,
    closed: Option<Time>,
    /// Why it is closed: `back`, `covered` by one of its site, `replaced` by one that says more,
    /// `gone` with what it was about, `seen`.
    how: Option<String>,
    acknowledged: Option<Time>,
    acknowledged_by: Option<String>,
}

fn body(notice: Notice, language: Language) -> NoticeBody {
    NoticeBody {
        id: notice.id,
        kind: notice.kind.word(),
        severity: notice.kind.severity().word(),
        company: notice.scope.company(),
        project: notice.scope.project(),
        site: notice.scope.site(),
        text: texts::line(language, &notice),
        subject: notice.subject,
        words: notice.words,
        opened: Time(notice.opened),
        closed: notice.closed.map(Time),
        how: notice.how,
        acknowledged: notice.acknowledged.map(Time),
        acknowledged_by: notice.acknowledged_by,
    }
}

async fn language(tx: &mut Tx, caller: &Caller) -> Result<Language, StoreError> {
    match caller.who {
        Who::User { id, .. } => language_of(tx, id).await,
        Who::Integration(_) => Ok(Language::default()),
    }
}

/// Which notices are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those that are `open` or `closed`.
    #[param(pattern = "^(open|closed)$")]
    state: Option<String>,
    /// Only of this kind.
    #[param(max_length = 40, pattern = "^[a-z_]+$")]
    kind: Option<String>,
    /// Only at this site.
    #[param(max_length = 29)]
    site: Option<String>,
}

fn wanted(which: &Which) -> Result<Wanted, Problem> {
    let wrong =
        |name: &str, detail: &str| Problem::invalid(vec![Finding::new(name, "unknown", detail)]);
    let open = match which.state.as_deref() {
        None => None,
        Some("open") => Some(true),
        Some("closed") => Some(false),
        Some(_) => return Err(wrong("?state", "Ask for open or closed.")),
    };
    let kind = which.kind.as_deref().map(str::parse::<Kind>).transpose();
    let site = which.site.as_deref().map(str::parse).transpose();
    Ok(Wanted {
        open,
        kind: kind.map_err(|error| wrong("?kind", &error.to_string()))?,
        site: site.map_err(|_| wrong("?site", "Use the id of a site."))?,
        before: None,
    })
}

/// Notices of a company, the newest first
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/notices",
    tag = "notices",
    params(("company" = String, Path, description = "Which company."), Which, PageOf),
    extensions(("x-permission" = json!("notice.view"))),
    responses((status = 200, description = "A part of them.", body = Page<NoticeBody>), Refused)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Query(which): Query<Which>,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<NoticeBody>>, Problem> {
    let visible = visible_in(&caller, Permission::NoticeView, company)?;
    let limit = page.limit()?;
    let wanted = Wanted {
        before: page.id()?,
        ..wanted(&which)?
    };
    let mut tx = core.store.read().await?;
    let language = language(&mut tx, &caller).await?;
    let found = rows::of_company(&mut tx, company, &visible, wanted, limit + 1).await?;
    let bodies = found.into_iter().map(|notice| body(notice, language));
    Ok(Json(Page::of(bodies.collect(), limit, |notice| Cursor {
        key: String::new(),
        id: notice.id.to_string(),
    })))
}

async fn permitted(
    tx: &mut Tx,
    caller: &Caller,
    id: NoticeId,
    permission: Permission,
) -> Result<Notice, Problem> {
    let found = rows::find(tx, id).await?;
    let notice = found.ok_or_else(Problem::not_found)?;
    caller.require(permission, &notice.scope)?;
    Ok(notice)
}

/// A notice
#[utoipa::path(
    get,
    path = "/api/v1/notices/{notice}",
    tag = "notices",
    params(("notice" = String, Path, description = "Which notice.")),
    extensions(("x-permission" = json!("notice.view"))),
    responses((status = 200, description = "It.", body = NoticeBody), Refused)
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
    Path(notice): Path<NoticeId>,
) -> Result<Json<NoticeBody>, Problem> {
    let mut tx = core.store.read().await?;
    let notice = permitted(&mut tx, &caller, notice, Permission::NoticeView).await?;
    let language = language(&mut tx, &caller).await?;
    Ok(Json(body(notice, language)))
}

/// Say that you look after it
///
/// The first who says so stands there; saying it again changes nothing. A notice of something that
/// has happened, and cannot be over by itself, is closed with it.
#[utoipa::path(
    post,
    path = "/api/v1/notices/{notice}/acknowledge",
    tag = "notices",
    params(("notice" = String, Path, description = "Which notice.")),
    extensions(("x-permission" = json!("notice.configure"))),
    responses((status = 200, description = "As it is now.", body = NoticeBody), Refused)
)]
async fn acknowledge(
    State(core): State<Core>,
    caller: Caller,
    Path(notice): Path<NoticeId>,
) -> Result<Json<NoticeBody>, Problem> {
    let mut tx = core.store.write().await?;
    let before = permitted(&mut tx, &caller, notice, Permission::NoticeConfigure).await?;
    let language = language(&mut tx, &caller).await?;
    if before.acknowledged.is_some() {
        return Ok(Json(body(before, language)));
    }
    let by = caller.actor().name;
    let mut notice = rows::acknowledge(&mut tx, &before, &by, caller.now).await?;
    if conditions::has_happened(notice.kind) {
        let about = (notice.kind, notice.subject.as_str());
        if let Some(closed) = rows::close(&mut tx, about, "seen", caller.now).await? {
            notice = closed;
        }
    }
    tx.audit(Audit {
        at: caller.now,
        company: Some(notice.scope.company()),
        actor: caller.actor(),
        action: "notice.acknowledge",
        object_kind: "notice",
        object_id: notice.id.to_string(),
        before: None,
        after: Some(json!({ "kind": notice.kind, "subject": notice.subject })),
    });
    tx.commit().await?;
    Ok(Json(body(notice, language)))
}
