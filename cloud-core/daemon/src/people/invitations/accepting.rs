//! Joining by the link of an invitation: with a new account, or with the one that is there.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use cloud_logic::ids::{GrantId, UserId};
use cloud_logic::rights::Role;
use model::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::passwords::judge_new;
use super::super::secret::Secret;
use super::super::sessions::Me;
use super::super::users::{self, Account, judge_name, mail_key};
use super::super::{Caller, Peer, grants, sessions};
use super::rows::{self, Invitation};
use crate::api::problem::ProblemBody;
use crate::api::{Code, Json, Problem, Time};
use crate::core::{Core, NewId};
use crate::store::Tx;
use crate::store::audit::{Actor, Audit};
use crate::store::query;

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(look))
        .routes(routes!(join))
        .routes(routes!(accept))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Shown {
    /// What stands in the link after `#s=`.
    #[schema(max_length = 43)]
    secret: String,
}

/// What an invitation promises.
#[derive(Debug, Serialize, ToSchema)]
struct Promise {
    /// The company's name.
    company: String,
    mail: String,
    language: String,
    #[schema(value_type = String)]
    role: Role,
    expires: Time,
    /// Whether there is an account with this mail address, which has to sign in.
    has_account: bool,
}

/// Look at an invitation
#[utoipa::path(
    post,
    path = "/api/v1/invitations/look",
    tag = "people",
    extensions(("x-permission" = json!("public"))),
    request_body = Shown,
    responses(
        (status = 200, description = "What it promises.", body = Promise),
        (status = 401, description = "The link is worth nothing any more.", body = ProblemBody),
        (status = 403, description = "Not from a page of this portal.", body = ProblemBody),
        (status = 429, description = "Wait before the next try.", body = ProblemBody),
    )
)]
async fn look(
    State(core): State<Core>,
    peer: Peer,
    headers: HeaderMap,
    Json(shown): Json<Shown>,
) -> Result<Json<Promise>, Problem> {
    sessions::only_from_us(&core, &headers)?;
    let mut tx = core.store.read().await?;
    let invitation = found(&mut tx, &core, peer, &shown.secret).await?;
    let company = query("SELECT name FROM company WHERE id = $1").bind(invitation.scope.company());
    let company = tx.one(company).await?.text("name")?;
    let account = users::by_mail(&mut tx, &mail_key(&invitation.mail)).await?;
    Ok(Json(Promise {
        company,
        has_account: account.is_some(),
        mail: invitation.mail,
        language: invitation.language,
        role: invitation.role,
        expires: Time(invitation.expires),
    }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Join {
    /// What stands in the link after `#s=`.
    #[schema(max_length = 43)]
    secret: String,
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    #[schema(min_length = 12, max_length = 256, format = Password)]
    password: String,
}

/// Join with a new account
///
/// Whoever has an account signs in and accepts (POST /api/v1/me/invitations).
#[utoipa::path(
    post,
    path = "/api/v1/invitations/join",
    tag = "people",
    extensions(("x-permission" = json!("public"))),
    request_body = Join,
    responses(
        (status = 200, description = "Joined and signed in.", body = Me),
        (status = 401, description = "The link is worth nothing any more.", body = ProblemBody),
        (status = 403, description = "Not from a page of this portal.", body = ProblemBody),
        (status = 409, description = "There is an account; sign in.", body = ProblemBody),
        (status = 422, description = "Something in it is not right.", body = ProblemBody),
        (status = 429, description = "Wait before the next try.", body = ProblemBody),
    )
)]
async fn join(
    State(core): State<Core>,
    peer: Peer,
    headers: HeaderMap,
    Json(join): Json<Join>,
) -> Result<impl IntoResponse, Problem> {
    sessions::only_from_us(&core, &headers)?;
    let mut tx = core.store.read().await?;
    let invitation = found(&mut tx, &core, peer, &join.secret).await?;
    drop(tx);
    let findings: Vec<_> = [
        judge_name("/name", &join.name),
        judge_new("/password", &join.password, &invitation.mail),
    ]
    .into_iter()
    .filter_map(Result::err)
    .collect();
    if !findings.is_empty() {
        return Err(Problem::invalid(findings));
    }
    let hash = core.people.passwords().hash(&join.password).await?;
    let now = core.now();
    let mut tx = core.store.write().await?;
    if users::by_mail(&mut tx, &mail_key(&invitation.mail))
        .await?
        .is_some()
    {
        return Err(Problem::new(
            Code::Conflict,
            "There is an account with this mail address. Sign in, then accept the invitation.",
        ));
    }
    let account = Account {
        id: UserId::new_at(now),
        company: invitation.scope.company(),
        mail: invitation.mail.clone(),
        name: join.name.trim().to_owned(),
        language: invitation.language.clone(),
        password: Some(hash),
        blocked: false,
        version: 1,
        created: now,
    };
    users::insert(&mut tx, &account).await?;
    take(&mut tx, &invitation, account.id, peer, now).await?;
    tx.commit().await?;
    sessions::signed_in(&core, peer, &headers, account.id, "invitation").await
}

/// Accept an invitation with the account that is signed in
///
/// It must have the mail address that was invited.
#[utoipa::path(
    post,
    path = "/api/v1/me/invitations",
    tag = "people",
    extensions(("x-permission" = json!("signed_in"))),
    request_body = Shown,
    responses(
        (status = 204, description = "Accepted; the right holds from now on."),
        (status = 401, description = "The link is worth nothing any more, or is for somebody else.", body = ProblemBody),
        (status = 429, description = "Wait before the next try.", body = ProblemBody),
    )
)]
async fn accept(
    State(core): State<Core>,
    caller: Caller,
    Json(shown): Json<Shown>,
) -> Result<StatusCode, Problem> {
    let user = caller.user()?;
    let mut tx = core.store.write().await?;
    let invitation = found(&mut tx, &core, caller.peer, &shown.secret).await?;
    let account = users::by_id(&mut tx, user).await?.ok_or_else(void)?;
    if mail_key(&account.mail) != mail_key(&invitation.mail) {
        return Err(void());
    }
    take(&mut tx, &invitation, user, caller.peer, caller.now).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The invitation of this secret, while it counts.
async fn found(tx: &mut Tx, core: &Core, peer: Peer, secret: &str) -> Result<Invitation, Problem> {
    let now = core.now();
    core.people.logins().begin_unguessable(peer, now)?;
    let secret = Secret::shown(secret).ok_or_else(void)?;
    let invitation = rows::by_secret(tx, &secret, now).await?.ok_or_else(void)?;
    core.people.logins().unguessable_succeeded(peer);
    Ok(invitation)
}

/// Makes the promise true, once, if the one who made it could still make it.
async fn take(
    tx: &mut Tx,
    invitation: &Invitation,
    user: UserId,
    peer: Peer,
    now: Timestamp,
) -> Result<(), Problem> {
    if !rows::take(tx, invitation.id).await? {
        return Err(void());
    }
    let granted = invitation.granted(now).ok_or_else(void)?;
    if invitation.invited_by.starts_with(UserId::PREFIX) {
        let theirs = grants::rights_of(tx, &invitation.invited_by).await?;
        granted
            .allowed_to(&theirs, now)
            .map_err(|_refused| void())?;
    }
    let actor = Actor {
        name: user.to_string(),
        address: peer.text(),
        session: None,
    };
    let company = invitation.scope.company();
    let held = granted.with(
        GrantId::new_at(now),
        user.to_string(),
        invitation.invited_by.clone(),
        now,
    );
    tx.audit(Audit {
        at: now,
        company: Some(company),
        actor: actor.clone(),
        action: "invitation.accept",
        object_kind: "invitation",
        object_id: invitation.id.to_string(),
        before: None,
        after: Some(serde_json::json!({ "user": user })),
    });
    grants::keep(tx, actor, &held, now).await
}

fn void() -> Problem {
    Problem::new(
        Code::WrongCredentials,
        "This link is worth nothing any more, or is for another account. Ask for a new one.",
    )
}
