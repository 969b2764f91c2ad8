//! A device's twin in the portal: look how it is set, set it otherwise.

use axum::extract::State;
use cloud_logic::catalogue;
use cloud_logic::ids::DeviceId;
use cloud_logic::rights::Permission;
use cloud_logic::settings::{self, Kind, Needs, Refusal};
use cloud_logic::twin::{Key, State as Standing};
use contract::canonical;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::rows;
use super::set::{By, SetError, set};
use crate::api::answers::{NotMade, Refused, Stale};
use crate::api::problem::ProblemBody;
use crate::api::version::stale;
use crate::api::{Code, Finding, IfMatch, Json, Path, Problem, Time, Versioned};
use crate::core::Core;
use crate::devices::{permitted, registry};
use crate::people::Caller;
use crate::store::Tx;
use crate::subscriptions;

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(known))
        .routes(routes!(read, change))
}

/// A setting that devices may have.
#[derive(Debug, Serialize, ToSchema)]
struct KnownSetting {
    /// Where it stands in the document of settings (RFC 6901).
    #[schema(example = "/audio/volume")]
    pointer: &'static str,
    /// `text`, `one_of`, `whole`, `switch`, `language` or `version`.
    #[schema(example = "whole")]
    kind: &'static str,
    /// The words of `one_of`.
    words: Vec<&'static str>,
    /// Of `whole`.
    least: Option<i64>,
    /// Of `whole`; characters of `text`.
    most: Option<i64>,
    /// The families of devices that have it: `mx`, `bf`, `gateway`.
    #[schema(value_type = Vec<String>)]
    families: &'static [catalogue::Family],
    /// What one must be allowed to set it.
    #[schema(value_type = String)]
    permission: Permission,
}

fn permission(needs: Needs) -> Permission {
    match needs {
        Needs::Configure => Permission::DeviceConfigure,
        Needs::Firmware => Permission::FirmwareConfigure,
    }
}

/// Settings that devices may have
#[utoipa::path(
    get,
    path = "/api/v1/settings",
    tag = "devices",
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 200, description = "All of them.", body = Vec<KnownSetting>), Refused)
)]
async fn known(_: Caller) -> Json<Vec<KnownSetting>> {
    let described = settings::KNOWN.iter().map(|setting| {
        let (kind, words, least, most) = match setting.kind {
            Kind::Text(most) => ("text", Vec::new(), None, i64::try_from(most).ok()),
            Kind::OneOf(words) => ("one_of", words.to_vec(), None, None),
            Kind::Whole(least, most) => ("whole", Vec::new(), Some(least), Some(most)),
            Kind::Switch => ("switch", Vec::new(), None, None),
            Kind::Language => ("language", Vec::new(), None, None),
            Kind::Version => ("version", Vec::new(), None, None),
        };
        KnownSetting {
            pointer: setting.pointer,
            kind,
            words,
            least,
            most,
            families: setting.families,
            permission: permission(setting.needs),
        }
    });
    Json(described.collect())
}

/// How a device is set, and how it shall be.
#[derive(Debug, Serialize, ToSchema)]
struct TwinBody {
    #[schema(value_type = String)]
    device: DeviceId,
    /// `none`, `applied`, `differs`, `pending` or `failed`: as with the worst of its settings.
    #[schema(value_type = String)]
    state: Standing,
    /// Counts the changes of `desired`.
    revision: i64,
    /// The revision that the device has taken.
    applied: i64,
    #[schema(value_type = Object)]
    desired: Value,
    /// `sha256:` and the digest of `desired` in canonical form (RFC 8785), as the device is told it.
    hash: String,
    /// What the device says of itself.
    #[schema(value_type = Object)]
    reported: Value,
    reported_at: Option<Time>,
    /// Each setting that is desired, and how it stands with it.
    settings: Vec<KeyBody>,
}

#[derive(Debug, Serialize, ToSchema)]
struct KeyBody {
    #[schema(example = "/audio/volume")]
    pointer: String,
    /// `applied`; `differs`: it was changed where it stands; `pending`; `failed`: see `code`.
    #[schema(value_type = String)]
    state: Standing,
    #[schema(value_type = Value)]
    desired: Value,
    /// Null where the device says nothing of it.
    #[schema(value_type = Value)]
    reported: Option<Value>,
    /// Why the device could not take it, for programs and for translation.
    code: Option<String>,
    detail: Option<String>,
}

impl From<Key> for KeyBody {
    fn from(key: Key) -> Self {
        Self {
            pointer: key.pointer,
            state: key.state,
            desired: key.desired,
            reported: key.reported,
            code: key.code,
            detail: key.detail,
        }
    }
}

async fn answer(tx: &mut Tx, device: DeviceId) -> Result<Versioned<TwinBody>, Problem> {
    let (twin, reported_at) = rows::find(tx, device).await?;
    let settings = twin.keys().into_iter().map(KeyBody::from).collect();
    let body = TwinBody {
        device,
        state: twin.state(),
        revision: twin.revision,
        applied: twin.applied,
        hash: canonical::hash(&twin.desired).to_string(),
        desired: twin.desired,
        reported: twin.reported,
        reported_at: reported_at.map(Time),
        settings,
    };
    Ok(Versioned(twin.revision, body))
}

/// How a device is set, and how it shall be
#[utoipa::path(
    get,
    path = "/api/v1/devices/{device}/twin",
    tag = "devices",
    params(("device" = String, Path, description = "Which device.")),
    extensions(("x-permission" = json!("device.view"))),
    responses((status = 200, description = "It.", body = TwinBody), Refused)
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
    Path(device): Path<DeviceId>,
) -> Result<Versioned<TwinBody>, Problem> {
    let mut tx = core.store.read().await?;
    permitted(&mut tx, &caller, Permission::DeviceView, device).await?;
    answer(&mut tx, device).await
}

/// Set a device otherwise
///
/// The body is a merge patch (RFC 7396) of `desired`: what it does not name stays, null removes. What
/// settings there are says `GET /api/v1/settings`; those of firmware need `firmware.configure`. The
/// device gets it at once, or when it is back; `settings` tells how far it is.
#[utoipa::path(
    patch,
    path = "/api/v1/devices/{device}/twin",
    tag = "devices",
    params(
        ("device" = String, Path, description = "Which device."),
        ("if-match" = String, Header, description = "The ETag that was read; `\"0\"` before the first change.")
    ),
    extensions(("x-permission" = json!("device.configure"))),
    request_body(content = Object, description = "What is to be different.", example = json!({"audio": {"volume": 70}})),
    responses(
        (status = 200, description = "As it is now.", body = TwinBody),
        (status = 402, description = "A subscription for it is missing.", body = ProblemBody),
        NotMade,
        Stale
    )
)]
async fn change(
    State(core): State<Core>,
    caller: Caller,
    Path(device): Path<DeviceId>,
    version: IfMatch,
    Json(patch): Json<Map<String, Value>>,
) -> Result<Versioned<TwinBody>, Problem> {
    let mut tx = core.store.write().await?;
    let scope = permitted(&mut tx, &caller, Permission::DeviceConfigure, device).await?;
    for setting in settings::touches(&patch) {
        caller.require(permission(setting.needs), &scope)?;
    }
    subscriptions::require_management(&mut tx, &core, device).await?;
    let family = registry::rows::family(&mut tx, device).await?;
    settings::check(&patch, family).map_err(|refusals| findings(&refusals))?;
    let (before, _) = rows::find(&mut tx, device).await?;
    version.check(before.revision)?;
    let patch = Value::Object(patch);
    let by = By::caller(&caller);
    set(&mut tx, &by, (device, scope.into()), &before, &patch).await?;
    let answer = answer(&mut tx, device).await?;
    tx.commit().await?;
    Ok(answer)
}

pub(in crate::devices) fn findings(refusals: &[Refusal]) -> Problem {
    let finding = |one: &Refusal| Finding::new(one.pointer(), one.code(), one.to_string());
    Problem::invalid(refusals.iter().map(finding).collect())
}

impl From<SetError> for Problem {
    fn from(error: SetError) -> Self {
        match error {
            SetError::Store(error) => error.into(),
            SetError::Stale => stale(),
            error @ SetError::TooLarge(_) => {
                Self::invalid(vec![Finding::new("", "too_large", error.to_string())])
            }
            error @ SetError::CounterEnds => Self::new(Code::Conflict, error.to_string()),
        }
    }
}
