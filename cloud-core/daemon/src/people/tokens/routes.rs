//! Asking for tokens, and the public keys that verify them.

use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{AppendHeaders, IntoResponse};
use cloud_logic::ids::IntegrationId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::secret::Secret;
use super::super::sessions::wrong;
use super::super::{Caller, Peer, Who, integrations};
use super::claims::{Audience, Claims, issue};
use super::rows;
use crate::api::problem::ProblemBody;
use crate::api::{Code, Json, Problem};
use crate::core::Core;

/// A page asks anew before it is over.
const FOR_PAGES: Duration = Duration::from_secs(5 * 60);
const FOR_INTEGRATIONS: Duration = Duration::from_secs(10 * 60);

pub(in super::super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(token))
        .routes(routes!(integration_token))
        .routes(routes!(key_set))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TokenWish {
    /// For which service.
    audience: Audience,
}

/// A token.
#[derive(Debug, Serialize, ToSchema)]
struct Token {
    /// To be sent as `Authorization: Bearer`.
    token: String,
    /// Seconds until it is over.
    expires_in: u64,
}

/// A token for the one who is signed in
///
/// It ends with the session. A token begets no other token.
#[utoipa::path(
    post,
    path = "/api/v1/token",
    tag = "people",
    extensions(("x-permission" = json!("signed_in"))),
    request_body = TokenWish,
    responses(
        (status = 200, description = "A token.", body = Token),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 403, description = "Asked with a token.", body = ProblemBody),
    )
)]
async fn token(
    State(core): State<Core>,
    caller: Caller,
    Json(wish): Json<TokenWish>,
) -> Result<impl IntoResponse, Problem> {
    let Who::User { id, session, .. } = caller.who else {
        return Err(begets_none());
    };
    if caller.shows_token() {
        return Err(begets_none());
    }
    let mut claims = Claims::new(&core, id.to_string(), wish.audience, caller.now, FOR_PAGES);
    claims.sid = Some(session);
    answer(&core, &claims, FOR_PAGES).await
}

fn begets_none() -> Problem {
    Problem::new(
        Code::NotAllowed,
        "A token begets no other one. Ask with the session or with the integration's secret.",
    )
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct IntegrationTokenWish {
    #[schema(value_type = String)]
    integration: IntegrationId,
    #[schema(max_length = 43, format = Password)]
    secret: String,
    audience: Audience,
}

/// A token for an integration
#[utoipa::path(
    post,
    path = "/api/v1/token/integration",
    tag = "people",
    extensions(("x-permission" = json!("public"))),
    request_body = IntegrationTokenWish,
    responses(
        (status = 200, description = "A token.", body = Token),
        (status = 401, description = "That does not fit.", body = ProblemBody),
        (status = 429, description = "Wait before the next try.", body = ProblemBody),
    )
)]
async fn integration_token(
    State(core): State<Core>,
    peer: Peer,
    Json(wish): Json<IntegrationTokenWish>,
) -> Result<impl IntoResponse, Problem> {
    let now = core.now();
    let account = wish.integration.to_string();
    core.people.logins().begin_unguessable(peer, now)?;
    let secret = Secret::shown(&wish.secret).ok_or_else(wrong)?;
    let mut tx = core.store.read().await?;
    let version = integrations::version_of(&mut tx, wish.integration, Some(&secret))
        .await?
        .ok_or_else(wrong)?;
    drop(tx);
    core.people.logins().unguessable_succeeded(peer);
    let mut claims = Claims::new(&core, account, wish.audience, now, FOR_INTEGRATIONS);
    claims.ver = Some(version);
    answer(&core, &claims, FOR_INTEGRATIONS).await
}

async fn answer(
    core: &Core,
    claims: &Claims,
    lasts: Duration,
) -> Result<impl IntoResponse + use<>, Problem> {
    let token = Token {
        token: issue(core, claims).await?,
        expires_in: lasts.as_secs(),
    };
    // RFC 6749 5.1
    let unkept = AppendHeaders([(header::CACHE_CONTROL, "no-store")]);
    Ok((unkept, Json(token)))
}

/// A public key (RFC 7517 4, RFC 7518 6.2.1).
#[derive(Debug, Serialize, ToSchema)]
struct PublicKey {
    kty: &'static str,
    crv: &'static str,
    #[serde(rename = "use")]
    #[schema(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    kid: String,
    x: String,
    y: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct KeySet {
    keys: Vec<PublicKey>,
}

/// The keys that verify tokens
///
/// A new one is shown a day before it signs.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    tag = "people",
    extensions(("x-permission" = json!("public"))),
    responses((status = 200, description = "The keys.", body = KeySet))
)]
async fn key_set(State(core): State<Core>) -> Result<impl IntoResponse, Problem> {
    let mut tx = core.store.read().await?;
    let keys = rows::all_shown(&mut tx, core.now()).await?;
    let keys = keys
        .into_iter()
        .map(|key| PublicKey {
            kty: "EC",
            crv: "P-256",
            usage: "sig",
            alg: "ES256",
            kid: key.id.to_string(),
            x: key.x,
            y: key.y,
        })
        .collect();
    let kept = AppendHeaders([(header::CACHE_CONTROL, "public, max-age=3600")]);
    Ok((kept, Json(KeySet { keys })))
}
