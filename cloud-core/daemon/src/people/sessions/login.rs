//! Signing in and out, and showing once more that it is really she.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse};
use cloud_logic::ids::UserId;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::caller::{comes_from_us, foreign_origin};
use super::super::passwords::{self, Verdict};
use super::super::users::{self, Account, mail_key};
use super::super::{Caller, Peer, Who, cookie};
use super::mine::Me;
use super::{begin, prove, rows};
use crate::api::problem::ProblemBody;
use crate::api::{Code, Json, Problem};
use crate::core::Core;
use crate::store::audit::{Actor, Audit};

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(login))
        .routes(routes!(logout))
        .routes(routes!(proof))
}

/// The header with which a session's secret goes to the browser.
pub(in super::super) type SetCookie = AppendHeaders<[(header::HeaderName, HeaderValue); 1]>;

pub(in super::super) fn set_cookie(value: HeaderValue) -> SetCookie {
    AppendHeaders([(header::SET_COOKIE, value)])
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    #[schema(max_length = 254, example = "anna@example.com")]
    mail: String,
    #[schema(max_length = 256, format = Password)]
    password: String,
}

/// Sign in with a password
///
/// The cookie of the answer is the session. After a few tries that did not fit, each further one
/// has to wait.
#[utoipa::path(
    post,
    path = "/api/v1/login",
    tag = "people",
    extensions(("x-permission" = json!("public"))),
    request_body = Login,
    responses(
        (status = 200, description = "Signed in; the cookie is the session.", body = Me),
        (status = 401, description = "That does not fit.", body = ProblemBody),
        (status = 403, description = "Not from a page of this portal.", body = ProblemBody),
        (status = 429, description = "Wait before the next try.", body = ProblemBody),
    )
)]
async fn login(
    State(core): State<Core>,
    peer: Peer,
    headers: HeaderMap,
    Json(login): Json<Login>,
) -> Result<impl IntoResponse, Problem> {
    only_from_us(&core, &headers)?;
    let account = verified(&core, peer, &login.mail, &login.password).await?;
    signed_in(&core, peer, &headers, account.id, "password").await
}

/// Begins a session for somebody who has shown who she is, and tells her who that is.
pub(in super::super) async fn signed_in(
    core: &Core,
    peer: Peer,
    headers: &HeaderMap,
    user: UserId,
    with: &'static str,
) -> Result<(SetCookie, Json<Me>), Problem> {
    let now = core.now();
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    let mut tx = core.store.write().await?;
    let account = users::by_id(&mut tx, user)
        .await?
        .filter(|account| !account.blocked)
        .ok_or_else(wrong)?;
    let (session, secret) = begin(&mut tx, user, core.people.patience(), peer, agent, now).await?;
    let actor = Actor {
        name: user.to_string(),
        address: peer.text(),
        session: Some(session.to_string()),
    };
    tx.audit(Audit {
        at: now,
        company: Some(account.company),
        actor,
        action: "session.begin",
        object_kind: "session",
        object_id: session.to_string(),
        before: None,
        after: Some(serde_json::json!({ "with": with })),
    });
    let me = Me::of(&mut tx, &account, session, now).await?;
    tx.commit().await?;
    let cookie = cookie::give(core.people.site(), &secret);
    Ok((set_cookie(cookie), Json(me)))
}

/// The account of this mail address, if the password fits; slowly, if there were many tries.
async fn verified(core: &Core, peer: Peer, mail: &str, password: &str) -> Result<Account, Problem> {
    let key = mail_key(mail);
    core.people.logins().begin(&key, peer, core.now())?;
    let mut tx = core.store.read().await?;
    let account = users::by_mail(&mut tx, &key).await?;
    drop(tx);
    // Nobody's password can be so long, and hashing takes time by length.
    let password = if password.len() <= passwords::LONGEST {
        password
    } else {
        ""
    };
    let stored = account
        .as_ref()
        .and_then(|account| account.password.clone());
    let verdict = core.people.passwords().verify(password, stored).await?;
    let rehashed = match verdict {
        Verdict::Wrong => return Err(wrong()),
        Verdict::Right => None,
        Verdict::RightRehash(hash) => Some(hash),
    };
    let account = account
        .filter(|account| !account.blocked)
        .ok_or_else(wrong)?;
    core.people.logins().succeeded(&key, peer);
    if let Some(hash) = rehashed {
        let mut tx = core.store.write().await?;
        users::set_password(&mut tx, account.id, &hash).await?;
        tx.commit().await?;
    }
    Ok(account)
}

/// Sign out
#[utoipa::path(
    post,
    path = "/api/v1/logout",
    tag = "people",
    extensions(("x-permission" = json!("signed_in"))),
    responses(
        (status = 204, description = "Signed out; the session is over."),
        (status = 401, description = "Not signed in.", body = ProblemBody),
    )
)]
async fn logout(State(core): State<Core>, caller: Caller) -> Result<impl IntoResponse, Problem> {
    let user = caller.user()?;
    if let Who::User { session, .. } = caller.who {
        let mut tx = core.store.write().await?;
        rows::end(&mut tx, user, session).await?;
        tx.commit().await?;
    }
    let cookie = cookie::take_away(core.people.site());
    Ok((StatusCode::NO_CONTENT, set_cookie(cookie)))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Proof {
    #[schema(max_length = 256, format = Password)]
    password: String,
}

/// Show the password once more
///
/// Some routes ask for it: what gives rights or credentials away. The session goes on under a new
/// cookie.
#[utoipa::path(
    post,
    path = "/api/v1/me/proof",
    tag = "people",
    extensions(("x-permission" = json!("signed_in"))),
    request_body = Proof,
    responses(
        (status = 204, description = "Shown; it counts for ten minutes."),
        (status = 401, description = "That does not fit.", body = ProblemBody),
        (status = 429, description = "Wait before the next try.", body = ProblemBody),
    )
)]
async fn proof(
    State(core): State<Core>,
    caller: Caller,
    Json(proof): Json<Proof>,
) -> Result<impl IntoResponse, Problem> {
    let user = caller.user()?;
    confirm(&core, &caller, user, &proof.password).await?;
    proved(&core, &caller).await
}

/// Checks the password of somebody who is signed in.
pub(super) async fn confirm(
    core: &Core,
    caller: &Caller,
    user: UserId,
    password: &str,
) -> Result<(), Problem> {
    let mut tx = core.store.read().await?;
    let account = users::by_id(&mut tx, user).await?.ok_or_else(wrong)?;
    drop(tx);
    let account = verified(core, caller.peer, &account.mail, password).await?;
    if account.id == user {
        Ok(())
    } else {
        Err(wrong())
    }
}

/// Notes the proof, and gives the session its new secret.
pub(in super::super) async fn proved(
    core: &Core,
    caller: &Caller,
) -> Result<(StatusCode, SetCookie), Problem> {
    caller.user()?;
    let Who::User { session, .. } = caller.who else {
        return Err(wrong());
    };
    let mut tx = core.store.write().await?;
    let secret = prove(&mut tx, session, core.now()).await?;
    tx.commit().await?;
    let cookie = cookie::give(core.people.site(), &secret);
    Ok((StatusCode::NO_CONTENT, set_cookie(cookie)))
}

/// Another page must not sign anybody in either.
pub(in super::super) fn only_from_us(core: &Core, headers: &HeaderMap) -> Result<(), Problem> {
    if comes_from_us(&Method::POST, headers, core.people.site()) {
        Ok(())
    } else {
        Err(foreign_origin())
    }
}

/// The same words whatever was wrong.
pub(in super::super) fn wrong() -> Problem {
    Problem::new(
        Code::WrongCredentials,
        "The mail address and the password, or the passkey, do not fit together.",
    )
}
