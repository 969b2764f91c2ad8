//! Signing in with a passkey, and showing one once more.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloud_logic::ids::UserId;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use webauthn_rs::prelude::{DiscoverableAuthentication, PublicKeyCredential, WebauthnError};

use super::super::{Caller, Peer, sessions, users};
use super::ceremony::{self, Ceremony, Purpose};
use super::mine::Begun;
use super::rows::{self, Kept};
use super::{not_begun, read, the_party};
use crate::api::answers::NotMade;
use crate::api::problem::ProblemBody;
use crate::api::{Code, Json, Problem};
use crate::core::Core;
use crate::people::sessions::Me;
use crate::store::audit::{Actor, Audit};

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(begin_login))
        .routes(routes!(login))
        .routes(routes!(begin_proof))
        .routes(routes!(proof))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasskeyShown {
    /// As it came from `begin`.
    #[schema(max_length = 40000)]
    ceremony: String,
    /// What `PublicKeyCredential.toJSON()` gives.
    #[schema(value_type = Object)]
    credential: Value,
}

/// Begin to sign in with a passkey
///
/// Nobody says who she is: the authenticator knows. For a button, and for the browser's suggestions
/// at the field of the mail address (conditional mediation).
#[utoipa::path(
    post,
    path = "/api/v1/login/passkey/begin",
    tag = "people",
    extensions(("x-permission" = json!("public"))),
    responses(
        (status = 200, description = "Give it to the browser.", body = Begun),
        (status = 403, description = "Not from a page of this portal.", body = ProblemBody),
        (status = 503, description = "The core has no host name.", body = ProblemBody),
    )
)]
async fn begin_login(State(core): State<Core>, headers: HeaderMap) -> Result<Json<Begun>, Problem> {
    sessions::only_from_us(&core, &headers)?;
    begun(&core, Purpose::SignIn, &[]).map(Json)
}

/// Without `known`, the authenticator offers whatever it has for us.
fn begun(core: &Core, purpose: Purpose, known: &[Kept]) -> Result<Begun, Problem> {
    let (options, state) = the_party(core)?
        .start_discoverable_authentication()
        .map_err(|error| not_begun(&error))?;
    let mut public_key = json!(options.public_key);
    let allowed = known.iter().map(|kept| {
        let inside = kept.inside();
        let id: &[u8] = &inside.cred_id;
        let id = URL_SAFE_NO_PAD.encode(id);
        match inside.transports {
            Some(transports) => json!({"type": "public-key", "id": id, "transports": transports}),
            None => json!({"type": "public-key", "id": id}),
        }
    });
    public_key["allowCredentials"] = allowed.collect();
    Ok(Begun {
        ceremony: ceremony::begin(core, purpose, &state),
        public_key,
    })
}

/// Sign in with a passkey
///
/// The cookie of the answer is the session.
#[utoipa::path(
    post,
    path = "/api/v1/login/passkey",
    tag = "people",
    extensions(("x-permission" = json!("public"))),
    request_body = PasskeyShown,
    responses(
        (status = 200, description = "Signed in; the cookie is the session.", body = Me),
        (status = 401, description = "That does not fit.", body = ProblemBody),
        (status = 403, description = "Not from a page of this portal.", body = ProblemBody),
        (status = 422, description = "Not what a browser sends.", body = ProblemBody),
        (status = 429, description = "Wait before the next try.", body = ProblemBody),
        (status = 503, description = "The core has no host name.", body = ProblemBody),
    )
)]
async fn login(
    State(core): State<Core>,
    peer: Peer,
    headers: HeaderMap,
    Json(shown): Json<PasskeyShown>,
) -> Result<impl IntoResponse, Problem> {
    sessions::only_from_us(&core, &headers)?;
    core.people.logins().begin_unguessable(peer, core.now())?;
    let ceremony = ceremony::resume(&core, Purpose::SignIn, &shown.ceremony)?;
    let credential: PublicKeyCredential = read(shown.credential)?;
    let (handle, _) = the_party(&core)?
        .identify_discoverable_authentication(&credential)
        .map_err(|_| sessions::wrong())?;
    let user = UserId::from_bits(handle.as_u128());
    verified(&core, peer, ceremony, &credential, user).await?;
    core.people.logins().unguessable_succeeded(peer);
    sessions::signed_in(&core, peer, &headers, user, "passkey").await
}

/// Begin to show a passkey once more
#[utoipa::path(
    post,
    path = "/api/v1/me/proof/passkey/begin",
    tag = "people",
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 200, description = "Give it to the browser.", body = Begun), NotMade)
)]
async fn begin_proof(State(core): State<Core>, caller: Caller) -> Result<Json<Begun>, Problem> {
    let user = caller.user()?;
    let known = rows::of_user(&mut core.store.read().await?, user).await?;
    if known.is_empty() {
        return Err(Problem::new(
            Code::Conflict,
            "You have no passkey. Show your password (POST /api/v1/me/proof).",
        ));
    }
    begun(&core, Purpose::Proof(user), &known).map(Json)
}

/// Show a passkey once more
///
/// Counts as the password does: for ten minutes, and the session goes on under a new cookie.
#[utoipa::path(
    post,
    path = "/api/v1/me/proof/passkey",
    tag = "people",
    extensions(("x-permission" = json!("signed_in"))),
    request_body = PasskeyShown,
    responses(
        (status = 204, description = "Shown; it counts for ten minutes."),
        (status = 401, description = "That does not fit.", body = ProblemBody),
        (status = 422, description = "Not what a browser sends.", body = ProblemBody),
        (status = 429, description = "Wait before the next try.", body = ProblemBody),
    )
)]
async fn proof(
    State(core): State<Core>,
    caller: Caller,
    Json(shown): Json<PasskeyShown>,
) -> Result<impl IntoResponse, Problem> {
    let user = caller.user()?;
    core.people
        .logins()
        .begin_unguessable(caller.peer, caller.now)?;
    let ceremony = ceremony::resume(&core, Purpose::Proof(user), &shown.ceremony)?;
    let credential: PublicKeyCredential = read(shown.credential)?;
    verified(&core, caller.peer, ceremony, &credential, user).await?;
    core.people.logins().unguessable_succeeded(caller.peer);
    sessions::proved(&core, &caller).await
}

/// Whether it is a passkey of this person, used for this ceremony for the first time.
async fn verified(
    core: &Core,
    peer: Peer,
    ceremony: Ceremony<DiscoverableAuthentication>,
    shown: &PublicKeyCredential,
    user: UserId,
) -> Result<(), Problem> {
    let mut tx = core.store.read().await?;
    let kept = rows::by_credential(&mut tx, shown.get_credential_id())
        .await?
        .filter(|kept| kept.user == user)
        .ok_or_else(sessions::wrong)?;
    drop(tx);
    let judged = the_party(core)?.finish_discoverable_authentication_v2(
        shown,
        ceremony.state.clone(),
        &kept.credential,
    );
    let result = match judged {
        Ok(result) => result,
        Err(WebauthnError::CredentialPossibleCompromise) => {
            perhaps_copied(core, peer, &kept).await?;
            return Err(sessions::wrong());
        }
        Err(error) => {
            tracing::debug!(%error, "a passkey was refused");
            return Err(sessions::wrong());
        }
    };
    let mut credential = kept.credential.clone();
    credential.update_credential(&result);
    let mut tx = core.store.write().await?;
    ceremony.end(&mut tx).await?;
    if !rows::used(&mut tx, &kept, &credential, core.now()).await? {
        return Err(sessions::wrong());
    }
    tx.commit().await?;
    Ok(())
}

/// Its counter went back, as that of a copy does (Web Authentication 6.1.1). Refused, and written
/// down where an administrator sees it.
async fn perhaps_copied(core: &Core, peer: Peer, kept: &Kept) -> Result<(), Problem> {
    tracing::warn!(passkey = %kept.id, "the counter of a passkey went back; it may have been copied");
    let mut tx = core.store.write().await?;
    let account = users::by_id(&mut tx, kept.user).await?;
    tx.audit(Audit {
        at: core.now(),
        company: account.map(|account| account.company),
        actor: Actor {
            name: kept.user.to_string(),
            address: peer.text(),
            session: None,
        },
        action: "passkey.counter_went_back",
        object_kind: "user",
        object_id: kept.user.to_string(),
        before: None,
        after: None,
    });
    tx.commit().await?;
    Ok(())
}
