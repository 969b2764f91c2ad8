//! What a person sees and changes of herself: name, sessions, password.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use cloud_logic::ids::{CompanyId, SessionId, UserId};
use model::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::grants::{self, GrantBody};
use super::super::passwords::judge_new;
use super::super::users::{self, Account};
use super::super::{Caller, Who};
use super::login::{confirm, proved};
use super::{Session, rows};
use crate::api::problem::ProblemBody;
use crate::api::{Json, Path, Problem, Time};
use crate::core::Core;
use crate::store::audit::Audit;
use crate::store::{StoreError, Tx};

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(me))
        .routes(routes!(sessions, end_others))
        .routes(routes!(end_one))
        .routes(routes!(change_password))
}

/// Who is signed in, and what she may do where.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct Me {
    #[schema(value_type = String, example = "us-01J9ZK3V7Q8W2M4N6P0R5T1X8Y")]
    id: UserId,
    mail: String,
    name: String,
    language: String,
    #[schema(value_type = String)]
    session: SessionId,
    /// Those that hold now, over all companies.
    grants: Vec<GrantBody>,
    /// Companies in which anything is allowed.
    #[schema(value_type = Vec<String>)]
    companies: BTreeSet<CompanyId>,
}

impl Me {
    pub(super) async fn of(
        tx: &mut Tx,
        account: &Account,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let grants = grants::of_holder(tx, &account.id.to_string()).await?;
        let holding: Vec<_> = grants
            .into_iter()
            .filter(|grant| grant.grant.period.holds(now))
            .collect();
        Ok(Self {
            id: account.id,
            mail: account.mail.clone(),
            name: account.name.clone(),
            language: account.language.clone(),
            session,
            companies: holding
                .iter()
                .map(|grant| grant.grant.scope.company())
                .collect(),
            grants: holding.into_iter().map(GrantBody::from).collect(),
        })
    }
}

/// Who is signed in
#[utoipa::path(
    get,
    path = "/api/v1/me",
    tag = "people",
    extensions(("x-permission" = json!("signed_in"))),
    responses(
        (status = 200, description = "You.", body = Me),
        (status = 401, description = "Not signed in.", body = ProblemBody),
    )
)]
async fn me(State(core): State<Core>, caller: Caller) -> Result<Json<Me>, Problem> {
    let (user, session) = signed_in(&caller)?;
    let mut tx = core.store.read().await?;
    let account = users::by_id(&mut tx, user)
        .await?
        .ok_or_else(Problem::not_found)?;
    Ok(Json(Me::of(&mut tx, &account, session, caller.now).await?))
}

/// A place where the person is signed in.
#[derive(Debug, Serialize, ToSchema)]
struct SessionBody {
    #[schema(value_type = String)]
    id: SessionId,
    created: Time,
    last_seen: Time,
    ends: Time,
    /// Address from which it began.
    address: Option<String>,
    /// What the browser says it is.
    agent: Option<String>,
    /// Whether it is the one that asks.
    current: bool,
}

#[derive(Debug, Serialize, ToSchema)]
struct Sessions {
    items: Vec<SessionBody>,
}

/// Where one is signed in
#[utoipa::path(
    get,
    path = "/api/v1/me/sessions",
    tag = "people",
    extensions(("x-permission" = json!("signed_in"))),
    responses(
        (status = 200, description = "The sessions, the latest first.", body = Sessions),
        (status = 401, description = "Not signed in.", body = ProblemBody),
    )
)]
async fn sessions(State(core): State<Core>, caller: Caller) -> Result<Json<Sessions>, Problem> {
    let (user, current) = signed_in(&caller)?;
    let patience = core.people.patience();
    let mut tx = core.store.read().await?;
    let items = rows::of_user(&mut tx, user)
        .await?
        .into_iter()
        .filter(|session| session.goes_on(patience, caller.now))
        .map(|session| body(session, current))
        .collect();
    Ok(Json(Sessions { items }))
}

fn body(session: Session, current: SessionId) -> SessionBody {
    SessionBody {
        current: session.id == current,
        id: session.id,
        created: Time(session.created),
        last_seen: Time(session.last_seen),
        ends: Time(session.ends),
        address: session.address,
        agent: session.agent,
    }
}

/// Sign out everywhere else
#[utoipa::path(
    delete,
    path = "/api/v1/me/sessions",
    tag = "people",
    extensions(("x-permission" = json!("signed_in"))),
    responses(
        (status = 204, description = "All other sessions are over."),
        (status = 401, description = "Not signed in.", body = ProblemBody),
    )
)]
async fn end_others(State(core): State<Core>, caller: Caller) -> Result<StatusCode, Problem> {
    let (user, current) = signed_in(&caller)?;
    let mut tx = core.store.write().await?;
    rows::end_all_of(&mut tx, user, Some(current)).await?;
    note(&mut tx, &caller, user, "session.end_others").await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sign out somewhere
#[utoipa::path(
    delete,
    path = "/api/v1/me/sessions/{session}",
    tag = "people",
    params(("session" = String, Path, description = "Which one.")),
    extensions(("x-permission" = json!("signed_in"))),
    responses(
        (status = 204, description = "That session is over."),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 404, description = "There is no such session of yours.", body = ProblemBody),
    )
)]
async fn end_one(
    State(core): State<Core>,
    caller: Caller,
    Path(session): Path<SessionId>,
) -> Result<StatusCode, Problem> {
    let (user, _) = signed_in(&caller)?;
    let mut tx = core.store.write().await?;
    if !rows::end(&mut tx, user, session).await? {
        return Err(Problem::not_found());
    }
    note(&mut tx, &caller, user, "session.end").await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangePassword {
    /// The one that holds now; left out by who has none and showed a passkey a short while ago.
    #[serde(default)]
    #[schema(max_length = 256, format = Password)]
    current: Option<String>,
    #[schema(min_length = 12, max_length = 256, format = Password)]
    new: String,
}

/// Choose a new password
///
/// All other sessions end.
#[utoipa::path(
    put,
    path = "/api/v1/me/password",
    tag = "people",
    extensions(("x-permission" = json!("signed_in"))),
    request_body = ChangePassword,
    responses(
        (status = 204, description = "It holds from now on."),
        (status = 401, description = "The current one does not fit.", body = ProblemBody),
        (status = 403, description = "There is no current one, and no proof either.", body = ProblemBody),
        (status = 422, description = "The new one will not do.", body = ProblemBody),
        (status = 429, description = "Wait before the next try.", body = ProblemBody),
    )
)]
async fn change_password(
    State(core): State<Core>,
    caller: Caller,
    Json(change): Json<ChangePassword>,
) -> Result<impl IntoResponse, Problem> {
    let (user, session) = signed_in(&caller)?;
    let mut tx = core.store.read().await?;
    let account = users::by_id(&mut tx, user)
        .await?
        .ok_or_else(Problem::not_found)?;
    drop(tx);
    judge_new("/new", &change.new, &account.mail).map_err(|f| Problem::invalid(vec![f]))?;
    if account.password.is_some() {
        let current = change.current.as_deref().unwrap_or_default();
        confirm(&core, &caller, user, current).await?;
    } else {
        caller.require_fresh_proof(&core)?;
    }
    let hash = core.people.passwords().hash(&change.new).await?;
    let mut tx = core.store.write().await?;
    users::set_password(&mut tx, user, &hash).await?;
    rows::end_all_of(&mut tx, user, Some(session)).await?;
    note(&mut tx, &caller, user, "user.password").await?;
    tx.commit().await?;
    proved(&core, &caller).await
}

fn signed_in(caller: &Caller) -> Result<(UserId, SessionId), Problem> {
    let user = caller.user()?;
    match caller.who {
        Who::User { session, .. } => Ok((user, session)),
        Who::Integration(_) => Err(Problem::not_found()),
    }
}

/// Writes down what somebody did with her own account.
pub(in super::super) async fn note(
    tx: &mut Tx,
    caller: &Caller,
    user: UserId,
    action: &'static str,
) -> Result<(), StoreError> {
    let account = users::by_id(tx, user).await?;
    tx.audit(Audit {
        at: caller.now,
        company: account.map(|account| account.company),
        actor: caller.actor(),
        action,
        object_kind: "user",
        object_id: user.to_string(),
        before: None,
        after: None,
    });
    Ok(())
}
