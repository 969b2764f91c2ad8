//! Choosing a password anew, by a link: asked for by the one who forgot it, or made by who looks
//! after the account.
//!
//! Invariant: whether there is an account with a mail address is told to nobody who asks.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use cloud_logic::ids::{CompanyId, UserId};
use model::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::letters::{self, Kind, Letter, Page};
use super::passwords::judge_new;
use super::secret::Secret;
use super::users::{self, Account, mail_key};
use super::{Caller, Peer, grants, sessions};
use crate::api::problem::ProblemBody;
use crate::api::{Code, Json, Path, Problem, Time};
use crate::core::Core;
use crate::store::audit::{Actor, Audit};
use crate::store::{StoreError, Tx, query};

/// So long a link counts.
const LASTS: Duration = Duration::from_secs(3600);

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(forgotten))
        .routes(routes!(choose))
        .routes(routes!(reset))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Forgotten {
    #[schema(max_length = 254, example = "anna@example.com")]
    mail: String,
}

/// Ask for a new password
///
/// The answer is the same whether there is such an account or not. If there is, it gets a letter
/// with a link that counts once and for an hour.
#[utoipa::path(
    post,
    path = "/api/v1/password/forgotten",
    tag = "people",
    extensions(("x-permission" = json!("public"))),
    request_body = Forgotten,
    responses(
        (status = 202, description = "If there is such an account, a letter is on its way."),
        (status = 403, description = "Not from a page of this portal.", body = ProblemBody),
        (status = 429, description = "Wait before the next try.", body = ProblemBody),
    )
)]
async fn forgotten(
    State(core): State<Core>,
    peer: Peer,
    headers: HeaderMap,
    Json(forgotten): Json<Forgotten>,
) -> Result<StatusCode, Problem> {
    sessions::only_from_us(&core, &headers)?;
    let (key, now) = (mail_key(&forgotten.mail), core.now());
    // Nobody's letter box is to be filled either: a purse of tries of its own.
    core.people
        .logins()
        .begin(&format!("letter to {key}"), peer, now)?;
    let mut tx = core.store.write().await?;
    let account = users::by_mail(&mut tx, &key).await?;
    if let Some(account) = account.filter(|account| !account.blocked) {
        let link = offer(&mut tx, &core, &account, now).await?;
        let letter = Letter {
            company: account.company,
            kind: Kind::PasswordReset,
            recipient: &account.mail,
            language: &account.language,
            words: serde_json::json!({ "name": account.name }),
            link: Some(&link),
            expires: now.saturating_add(LASTS),
        };
        letters::write(&mut tx, &core, letter).await?;
    }
    tx.commit().await?;
    Ok(StatusCode::ACCEPTED)
}

/// Makes a link; older ones of the account are worth nothing from then on.
pub(super) async fn offer(
    tx: &mut Tx,
    core: &Core,
    account: &Account,
    now: Timestamp,
) -> Result<String, StoreError> {
    let secret = Secret::new();
    tx.execute(query("DELETE FROM password_reset WHERE user_id = $1").bind(account.id))
        .await?;
    tx.execute(
        query(
            "INSERT INTO password_reset (token_hash, user_id, created, expires)
             VALUES ($1, $2, $3, $4)",
        )
        .bind(secret.hash())
        .bind(account.id)
        .bind(now)
        .bind(now.saturating_add(LASTS)),
    )
    .await?;
    Ok(Page::Password.link(core, &secret))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Choose {
    /// What stands in the link after `#s=`.
    #[schema(max_length = 43)]
    secret: String,
    #[schema(min_length = 12, max_length = 256, format = Password)]
    password: String,
}

/// Choose a new password by a link
///
/// All sessions of the account end.
#[utoipa::path(
    post,
    path = "/api/v1/password/choose",
    tag = "people",
    extensions(("x-permission" = json!("public"))),
    request_body = Choose,
    responses(
        (status = 204, description = "It holds from now on; sign in with it."),
        (status = 401, description = "The link is worth nothing any more.", body = ProblemBody),
        (status = 403, description = "Not from a page of this portal.", body = ProblemBody),
        (status = 422, description = "The password will not do.", body = ProblemBody),
        (status = 429, description = "Wait before the next try.", body = ProblemBody),
    )
)]
async fn choose(
    State(core): State<Core>,
    peer: Peer,
    headers: HeaderMap,
    Json(choose): Json<Choose>,
) -> Result<StatusCode, Problem> {
    sessions::only_from_us(&core, &headers)?;
    let now = core.now();
    core.people.logins().begin_unguessable(peer, now)?;
    let secret = Secret::shown(&choose.secret).ok_or_else(sessions::wrong)?;
    let mut tx = core.store.read().await?;
    let account = whose(&mut tx, &secret, now).await?;
    drop(tx);
    core.people.logins().unguessable_succeeded(peer);
    judge_new("/password", &choose.password, &account.mail)
        .map_err(|finding| Problem::invalid(vec![finding]))?;
    let hash = core.people.passwords().hash(&choose.password).await?;
    let mut tx = core.store.write().await?;
    let taken = query("DELETE FROM password_reset WHERE token_hash = $1").bind(secret.hash());
    if tx.execute(taken).await? != 1 {
        return Err(sessions::wrong());
    }
    users::set_password(&mut tx, account.id, &hash).await?;
    sessions::end_all_of(&mut tx, account.id, None).await?;
    let actor = Actor {
        name: account.id.to_string(),
        address: peer.text(),
        session: None,
    };
    note(&mut tx, actor, &account, "user.password", now);
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn whose(tx: &mut Tx, secret: &Secret, now: Timestamp) -> Result<Account, Problem> {
    let found = query("SELECT user_id FROM password_reset WHERE token_hash = $1 AND expires > $2")
        .bind(secret.hash())
        .bind(now);
    let row = tx.optional(found).await?.ok_or_else(sessions::wrong)?;
    users::by_id(tx, row.parsed("user_id")?)
        .await?
        .filter(|account| !account.blocked)
        .ok_or_else(sessions::wrong)
}

/// A link for a new password.
#[derive(Debug, Serialize, ToSchema)]
struct ResetLink {
    /// Shown this once. Who has it can choose the password.
    link: String,
    expires: Time,
}

/// Let somebody choose her password anew
///
/// For accounts that the company looks after. Who makes the link could use it herself, so she must
/// hold all that the account holds, in other companies too. Asks for a password or passkey shown a
/// short while ago.
#[utoipa::path(
    post,
    path = "/api/v1/companies/{company}/users/{user}/password-reset",
    tag = "people",
    params(
        ("company" = String, Path, description = "Which company."),
        ("user" = String, Path, description = "Who.")
    ),
    extensions(("x-permission" = json!("user.configure"))),
    responses(
        (status = 201, description = "The link.", body = ResetLink),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 403, description = "She holds more than you, or a proof is needed.", body = ProblemBody),
        (status = 404, description = "The company looks after nobody of that name.", body = ProblemBody),
    )
)]
async fn reset(
    State(core): State<Core>,
    caller: Caller,
    Path((company, user)): Path<(CompanyId, UserId)>,
) -> Result<(StatusCode, Json<ResetLink>), Problem> {
    let mut tx = core.store.write().await?;
    let account = users::looked_after(&mut tx, &caller, company, user).await?;
    let theirs = grants::rights_of(&mut tx, &user.to_string()).await?;
    let beyond = theirs
        .grants()
        .iter()
        .filter(|grant| !grant.period.is_over(caller.now))
        .flat_map(|grant| {
            grant
                .permissions()
                .iter()
                .map(|wanted| (wanted, grant.scope))
        })
        .any(|(wanted, scope)| !caller.rights.may(wanted, &scope, caller.now));
    if beyond {
        return Err(Problem::new(
            Code::NotAllowed,
            "She may do things that you may not, perhaps elsewhere. Let her ask for a letter.",
        ));
    }
    caller.require_fresh_proof(&core)?;
    let link = offer(&mut tx, &core, &account, caller.now).await?;
    note(
        &mut tx,
        caller.actor(),
        &account,
        "user.password_reset",
        caller.now,
    );
    tx.commit().await?;
    let expires = Time(caller.now.saturating_add(LASTS));
    Ok((StatusCode::CREATED, Json(ResetLink { link, expires })))
}

fn note(tx: &mut Tx, actor: Actor, account: &Account, action: &'static str, at: Timestamp) {
    tx.audit(Audit {
        at,
        company: Some(account.company),
        actor,
        action,
        object_kind: "user",
        object_id: account.id.to_string(),
        before: None,
        after: None,
    });
}

/// Forgets links that are worth nothing any more.
pub(super) async fn forget(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(query("DELETE FROM password_reset WHERE expires <= $1").bind(now))
        .await?;
    Ok(())
}
