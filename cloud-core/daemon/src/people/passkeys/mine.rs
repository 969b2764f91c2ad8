//! A person's own passkeys: new ones, their names, and taking them away.

use axum::extract::State;
use axum::http::StatusCode;
use cloud_logic::ids::{PasskeyId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use webauthn_rs::prelude::{PasskeyRegistration, RegisterPublicKeyCredential, WebauthnError};

use super::super::Caller;
use super::super::sessions;
use super::super::users;
use super::ceremony::{self, Purpose};
use super::rows::{self, Kept};
use super::{MOST, handle, not_begun, read, the_party};
use crate::api::answers::{NotMade, Refused, Stale};
use crate::api::check::Findings;
use crate::api::{Code, Finding, IfMatch, Json, Path, Problem, Time, Versioned};
use crate::core::{Core, NewId};
use crate::store::Tx;

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list, register))
        .routes(routes!(begin))
        .routes(routes!(rename, delete))
        .routes(routes!(drop_password))
}

/// A passkey.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Passkey)]
struct PasskeyBody {
    #[schema(value_type = String, example = "pk-01J9ZK3V7Q8W2M4N6P0R5T1X8Y")]
    id: PasskeyId,
    name: String,
    /// Whether the maker of the browser or telephone keeps copies of it for other machines.
    synced: bool,
    created: Time,
    last_used: Option<Time>,
    /// For `if-match`.
    version: i64,
}

impl From<&Kept> for PasskeyBody {
    fn from(kept: &Kept) -> Self {
        Self {
            id: kept.id,
            name: kept.name.clone(),
            synced: kept.inside().backup_state,
            created: Time(kept.created),
            last_used: kept.last_used.map(Time),
            version: kept.version,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct Passkeys {
    items: Vec<PasskeyBody>,
}

/// Your passkeys
#[utoipa::path(
    get,
    path = "/api/v1/me/passkeys",
    tag = "people",
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 200, description = "All of them, the oldest first.", body = Passkeys), Refused)
)]
async fn list(State(core): State<Core>, caller: Caller) -> Result<Json<Passkeys>, Problem> {
    let user = caller.user()?;
    let kept = rows::of_user(&mut core.store.read().await?, user).await?;
    let items = kept.iter().map(PasskeyBody::from).collect();
    Ok(Json(Passkeys { items }))
}

/// What a browser needs to ask its authenticator.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PasskeyCeremony)]
pub(super) struct Begun {
    /// Send it back with what the authenticator says, within five minutes.
    pub(super) ceremony: String,
    /// For `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON`.
    #[schema(value_type = Object)]
    pub(super) public_key: Value,
}

/// Begin to add a passkey
///
/// Asks for a password or passkey shown a short while ago.
#[utoipa::path(
    post,
    path = "/api/v1/me/passkeys/begin",
    tag = "people",
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 200, description = "Give it to the browser.", body = Begun), NotMade)
)]
async fn begin(State(core): State<Core>, caller: Caller) -> Result<Json<Begun>, Problem> {
    let user = caller.user()?;
    caller.require_fresh_proof(&core)?;
    let party = the_party(&core)?;
    let mut tx = core.store.read().await?;
    let account = users::by_id(&mut tx, user)
        .await?
        .ok_or_else(Problem::not_found)?;
    let known = rows::of_user(&mut tx, user).await?;
    drop(tx);
    has_room(&known)?;
    let ids = known.iter().map(|kept| kept.credential.cred_id().clone());
    let (options, state) = party
        .start_passkey_registration(
            handle(user),
            &account.mail,
            &account.name,
            Some(ids.collect()),
        )
        .map_err(|error| not_begun(&error))?;
    let mut public_key = json!(options.public_key);
    // She will sign in without saying who she is: the authenticator has to keep that.
    public_key["authenticatorSelection"]["residentKey"] = json!("required");
    public_key["authenticatorSelection"]["requireResidentKey"] = json!(true);
    Ok(Json(Begun {
        ceremony: ceremony::begin(&core, Purpose::Register(user), &state),
        public_key,
    }))
}

fn has_room(known: &[Kept]) -> Result<(), Problem> {
    if known.len() < MOST {
        return Ok(());
    }
    let told = format!("Nobody has more than {MOST} passkeys. Take one away first.");
    Err(Problem::new(Code::Conflict, told))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPasskey {
    /// As it came from `begin`.
    #[schema(max_length = 40000)]
    ceremony: String,
    /// By what she knows it again, such as the name of the telephone.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// What `PublicKeyCredential.toJSON()` gives.
    #[schema(value_type = Object)]
    credential: Value,
}

/// Add a passkey
#[utoipa::path(
    post,
    path = "/api/v1/me/passkeys",
    tag = "people",
    extensions(("x-permission" = json!("signed_in"))),
    request_body = NewPasskey,
    responses((status = 201, description = "Added.", body = PasskeyBody), NotMade)
)]
async fn register(
    State(core): State<Core>,
    caller: Caller,
    Json(wish): Json<NewPasskey>,
) -> Result<(StatusCode, Versioned<PasskeyBody>), Problem> {
    let user = caller.user()?;
    let party = the_party(&core)?;
    let name = named(&wish.name)?;
    let under_way = Purpose::Register(user);
    let ceremony = ceremony::resume::<PasskeyRegistration>(&core, under_way, &wish.ceremony)?;
    let shown: RegisterPublicKeyCredential = read(wish.credential)?;
    let credential = party
        .finish_passkey_registration(&shown, &ceremony.state)
        .map_err(|error| not_taken(&error))?;
    let mut tx = core.store.write().await?;
    rows::hold(&mut tx, user).await?;
    has_room(&rows::of_user(&mut tx, user).await?)?;
    ceremony.end(&mut tx).await?;
    let id = PasskeyId::new_at(caller.now);
    rows::insert(&mut tx, (id, user), &name, &credential, caller.now).await?;
    sessions::note(&mut tx, &caller, user, "passkey.add").await?;
    let made = of(&mut tx, user, id).await?;
    tx.commit().await?;
    let body = PasskeyBody::from(&made);
    Ok((StatusCode::CREATED, Versioned(made.version, body)))
}

fn not_taken(error: &WebauthnError) -> Problem {
    let told = format!("The passkey was not taken: {error}. Begin again, or use another one.");
    Problem::invalid(vec![Finding::new("/credential", "not_taken", told)])
}

fn named(name: &str) -> Result<String, Problem> {
    let mut findings = Findings::default();
    let name = findings.name("/name", name);
    findings.done()?;
    Ok(name)
}

/// One of this person's.
async fn of(tx: &mut Tx, user: UserId, id: PasskeyId) -> Result<Kept, Problem> {
    let all = rows::of_user(tx, user).await?;
    let found = all.into_iter().find(|kept| kept.id == id);
    found.ok_or_else(Problem::not_found)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasskeyName {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
}

/// Give a passkey another name
#[utoipa::path(
    put,
    path = "/api/v1/me/passkeys/{passkey}",
    tag = "people",
    params(
        ("passkey" = String, Path, description = "Which passkey."),
        ("if-match" = String, Header, description = "Its version, in quotes.")
    ),
    extensions(("x-permission" = json!("signed_in"))),
    request_body = PasskeyName,
    responses((status = 200, description = "As it is now.", body = PasskeyBody), NotMade, Stale)
)]
async fn rename(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<PasskeyId>,
    version: IfMatch,
    Json(wish): Json<PasskeyName>,
) -> Result<Versioned<PasskeyBody>, Problem> {
    let user = caller.user()?;
    let name = named(&wish.name)?;
    let mut tx = core.store.write().await?;
    let before = of(&mut tx, user, id).await?;
    version.check(before.version)?;
    version.changed(rows::rename(&mut tx, id, before.version, &name).await?)?;
    sessions::note(&mut tx, &caller, user, "passkey.rename").await?;
    let now = of(&mut tx, user, id).await?;
    tx.commit().await?;
    Ok(Versioned(now.version, PasskeyBody::from(&now)))
}

/// Take a passkey away
///
/// The last one stays where there is no password. Asks for a password or passkey shown a short
/// while ago.
#[utoipa::path(
    delete,
    path = "/api/v1/me/passkeys/{passkey}",
    tag = "people",
    params(("passkey" = String, Path, description = "Which passkey.")),
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 204, description = "Nobody signs in with it any more."), NotMade)
)]
async fn delete(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<PasskeyId>,
) -> Result<StatusCode, Problem> {
    let user = caller.user()?;
    caller.require_fresh_proof(&core)?;
    let mut tx = core.store.write().await?;
    rows::hold(&mut tx, user).await?;
    of(&mut tx, user, id).await?;
    rows::delete(&mut tx, id).await?;
    keeps_a_way_in(&mut tx, user).await?;
    sessions::note(&mut tx, &caller, user, "passkey.remove").await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Do without a password
///
/// From then on only passkeys sign in; at least one must be there. Asks for a password or passkey
/// shown a short while ago.
#[utoipa::path(
    delete,
    path = "/api/v1/me/password",
    tag = "people",
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 204, description = "There is none any more."), NotMade)
)]
async fn drop_password(State(core): State<Core>, caller: Caller) -> Result<StatusCode, Problem> {
    let user = caller.user()?;
    caller.require_fresh_proof(&core)?;
    let mut tx = core.store.write().await?;
    rows::hold(&mut tx, user).await?;
    users::drop_password(&mut tx, user).await?;
    keeps_a_way_in(&mut tx, user).await?;
    sessions::note(&mut tx, &caller, user, "user.drop_password").await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether she can still sign in as things stand in the transaction.
async fn keeps_a_way_in(tx: &mut Tx, user: UserId) -> Result<(), Problem> {
    let account = users::by_id(tx, user)
        .await?
        .ok_or_else(Problem::not_found)?;
    let passkeys = rows::of_user(tx, user).await?;
    if account.password.is_some() || !passkeys.is_empty() {
        return Ok(());
    }
    Err(Problem::new(
        Code::Conflict,
        "It is the last way to sign in. Add a passkey or choose a password first.",
    ))
}
