//! Claims in the portal: claim, add a gateway, look, release, replace, revoke; and the catalogue.

use axum::extract::State;
use axum::http::StatusCode;
use cloud_logic::catalogue::{self, Firmware, GATEWAY_MODEL, Mode, Refusal, Revision};
use cloud_logic::claims::Epoch;
use cloud_logic::ids::{DeviceId, SiteId};
use cloud_logic::rights::{Permission, Scope};
use contract::enrolment::ClaimCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::bind::{self, BindError, Claimed, Wanted};
use super::rows::{self, Bound, By, Place};
use super::sheet;
use super::units::{self, NewUnit, UnitError};
use crate::api::problem::ProblemBody;
use crate::api::{Code, Finding, Json, Path, Problem, Time};
use crate::core::Core;
use crate::keys::authority::{self, Reason};
use crate::people::Caller;
use crate::store::{Tx, query};
use crate::subscriptions;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(models))
        .routes(routes!(claim))
        .routes(routes!(add_gateway))
        .routes(routes!(read, release))
        .routes(routes!(replace))
        .routes(routes!(revoke))
}

/// A model of the catalogue.
#[derive(Debug, Serialize, ToSchema)]
struct ModelBody {
    #[schema(example = "OD1 CM-B")]
    model: String,
    /// `mx`, `bf` or `gateway`.
    #[schema(value_type = String)]
    family: catalogue::Family,
    /// The oldest hardware that can be claimed.
    #[schema(value_type = String, example = "AB")]
    min_revision: Revision,
    modes: Vec<ModeBody>,
}

/// A mode in which a model runs.
#[derive(Debug, Serialize, ToSchema)]
struct ModeBody {
    /// `cloud`, `managed`, `on_prem_mesh` or `bridge`.
    #[schema(value_type = String)]
    mode: Mode,
    /// The oldest firmware with which it can be claimed; null where any will do.
    #[schema(value_type = Option<String>, example = "03.02.01.65")]
    min_firmware: Option<Firmware>,
}

/// Models of devices, their modes and what they need at least
#[utoipa::path(
    get,
    path = "/api/v1/catalogue",
    tag = "claims",
    extensions(("x-permission" = json!("signed_in"))),
    responses(
        (status = 200, description = "All of them.", body = Vec<ModelBody>),
        (status = 401, description = "Not signed in.", body = ProblemBody),
    )
)]
async fn models(_: Caller) -> Json<Vec<ModelBody>> {
    let models = catalogue::compiled()
        .models()
        .iter()
        .map(|model| ModelBody {
            model: model.name.clone(),
            family: model.family,
            min_revision: model.min_revision,
            modes: model
                .modes()
                .iter()
                .map(|mode| ModeBody {
                    mode: *mode,
                    min_firmware: catalogue::minimum_firmware(model.family, *mode),
                })
                .collect(),
        });
    Json(models.collect())
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Claim {
    /// As on the label or in its QR code; case, hyphens and spaces do not matter.
    #[schema(max_length = 64, example = "7K2M-Q8ZT-0A4H-V6XC-3NPR-D")]
    code: String,
    /// `cloud`, `managed`, `on_prem_mesh` or `bridge`.
    #[schema(value_type = String)]
    mode: Mode,
}

/// A device that is the company's now.
#[derive(Debug, Serialize, ToSchema)]
struct ClaimedBody {
    #[schema(value_type = String)]
    device: DeviceId,
    /// Counts the claims of this device.
    #[schema(value_type = u64)]
    epoch: Epoch,
    model: String,
    serial_number: String,
    /// What it lacks though it is claimed: `subscription_missing`.
    warnings: Vec<Finding>,
}

impl From<Claimed> for ClaimedBody {
    fn from(claimed: Claimed) -> Self {
        Self {
            device: claimed.device,
            epoch: claimed.epoch,
            model: claimed.model,
            serial_number: claimed.serial_number,
            warnings: claimed
                .lacks
                .map(|missing| {
                    let code = Code::SubscriptionMissing.as_str();
                    Finding::new("/mode", code, format!("{missing}."))
                })
                .into_iter()
                .collect(),
        }
    }
}

/// Claim a device for a site
///
/// With the code on its label, before or after it has been online for the first time. Unknown codes
/// and those of devices that belong to somebody are one answer; five wrong ones in an hour are
/// enough for a user, fifty in a day for a company.
#[utoipa::path(
    post,
    path = "/api/v1/sites/{site}/claims",
    tag = "claims",
    params(("site" = String, Path, description = "Where the device is, or will be.")),
    extensions(("x-permission" = json!("device.claim"))),
    request_body = Claim,
    responses(
        (status = 201, description = "Claimed; it gets its certificate when it comes online.", body = ClaimedBody),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 402, description = "Its mode needs a subscription that is missing.", body = ProblemBody),
        (status = 403, description = "Your role does not allow it.", body = ProblemBody),
        (status = 404, description = "No such site.", body = ProblemBody),
        (status = 422, description = "The code is mistyped or claims nothing, or the device cannot be run in this mode.", body = ProblemBody),
        (status = 429, description = "Too many wrong codes.", body = ProblemBody),
    )
)]
async fn claim(
    State(core): State<Core>,
    caller: Caller,
    Path(site): Path<SiteId>,
    Json(body): Json<Claim>,
) -> Result<(StatusCode, Json<ClaimedBody>), Problem> {
    let place = place(&core, &caller, site).await?;
    let code = read_code(&body.code)?;
    let mode = body.mode;
    let wanted = Wanted { code, place, mode };
    let claimed = bind::claim(&core, caller.user()?, &caller.actor(), wanted).await;
    let claimed = claimed.map_err(|error| problem(error, &caller))?;
    Ok((StatusCode::CREATED, Json(claimed.into())))
}

/// A gateway that is the company's now, and the code that is typed into it.
#[derive(Debug, Serialize, ToSchema)]
struct GatewayBody {
    #[schema(value_type = String)]
    device: DeviceId,
    /// Told this once. Type it into the gateway.
    code: String,
    /// The same as a link, with the code behind the `#`, which no server is told.
    link: String,
    /// The link as a picture (SVG).
    qr: String,
}

/// Add a gateway to a site
///
/// For gateways that are software: makes a code and claims it at once. The answer is the only time
/// that the code can be read.
#[utoipa::path(
    post,
    path = "/api/v1/sites/{site}/gateways",
    tag = "claims",
    params(("site" = String, Path, description = "Where the gateway is, or will be.")),
    extensions(("x-permission" = json!("device.claim"))),
    responses(
        (status = 201, description = "Added; it gets its certificate when it comes online.", body = GatewayBody),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 403, description = "Your role does not allow it.", body = ProblemBody),
        (status = 404, description = "No such site.", body = ProblemBody),
        (status = 429, description = "Too many wrong codes.", body = ProblemBody),
    )
)]
async fn add_gateway(
    State(core): State<Core>,
    caller: Caller,
    Path(site): Path<SiteId>,
) -> Result<(StatusCode, Json<GatewayBody>), Problem> {
    let place = place(&core, &caller, site).await?;
    let user = caller.user()?;
    let unit = NewUnit {
        model: GATEWAY_MODEL.to_owned(),
        revision: None,
        serial_number: None,
        factory_key: None,
        code: None,
    };
    let mut tx = core.store.write().await?;
    let (_, code) = units::add(&mut tx, &core, &caller.actor(), unit)
        .await
        .map_err(of_unit)?;
    tx.commit().await?;
    let mode = Mode::Bridge;
    let wanted = Wanted {
        code: code.clone(),
        place,
        mode,
    };
    let claimed = bind::claim(&core, user, &caller.actor(), wanted).await;
    let claimed = claimed.map_err(|error| problem(error, &caller))?;
    let label = sheet::Label::of(&core.keys.addresses().https, &code);
    let body = GatewayBody {
        device: claimed.device,
        code: code.printed().to_string(),
        qr: label.qr(),
        link: label.link,
    };
    Ok((StatusCode::CREATED, Json(body)))
}

/// How a device came to its site, and what it holds.
#[derive(Debug, Serialize, ToSchema)]
struct ClaimBody {
    #[schema(value_type = String)]
    device: DeviceId,
    #[schema(value_type = String)]
    site: SiteId,
    #[schema(value_type = u64)]
    epoch: Epoch,
    /// `bound` until the device has come online, then `enrolled`.
    #[schema(value_type = String)]
    stage: cloud_logic::claims::Stage,
    #[schema(value_type = String)]
    mode: Mode,
    model: String,
    #[schema(value_type = Option<String>)]
    revision: Option<Revision>,
    serial_number: String,
    /// Its certificates that have not ended, the newest first.
    certificates: Vec<CertificateBody>,
}

#[derive(Debug, Serialize, ToSchema)]
struct CertificateBody {
    /// In hexadecimal.
    serial: String,
    issued: Time,
    ends: Time,
    /// Why it is void, if it is.
    void: Option<&'static str>,
}

/// The claim of a device
#[utoipa::path(
    get,
    path = "/api/v1/devices/{device}/claim",
    tag = "claims",
    params(("device" = String, Path, description = "Which device.")),
    extensions(("x-permission" = json!("device.view"))),
    responses(
        (status = 200, description = "It.", body = ClaimBody),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 403, description = "Your role does not allow it.", body = ProblemBody),
        (status = 404, description = "No such device.", body = ProblemBody),
    )
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
    Path(device): Path<DeviceId>,
) -> Result<Json<ClaimBody>, Problem> {
    let mut tx = core.store.read().await?;
    let bound = device_of(&mut tx, &caller, (device, Permission::DeviceView)).await?;
    let certificates = authority::certificates_of(&mut tx, device, core.now()).await?;
    let certificates = certificates.into_iter().map(|one| CertificateBody {
        serial: one.serial.to_string(),
        issued: Time(one.issued),
        ends: Time(one.not_after),
        void: one.void.map(Reason::name),
    });
    Ok(Json(ClaimBody {
        device,
        site: bound.place.site,
        epoch: bound.claim.epoch(),
        stage: bound.claim.stage(),
        mode: bound.mode,
        model: bound.model,
        revision: bound.revision,
        serial_number: bound.serial_number,
        certificates: certificates.collect(),
    }))
}

/// Release a device
///
/// Its certificates are void at once, and whoever has its code can claim it. Asks for a password or
/// passkey shown a short while ago.
#[utoipa::path(
    delete,
    path = "/api/v1/devices/{device}/claim",
    tag = "claims",
    params(("device" = String, Path, description = "Which device.")),
    extensions(("x-permission" = json!("device.claim"))),
    responses(
        (status = 204, description = "Released."),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 403, description = "Your role does not allow it, or a proof is needed.", body = ProblemBody),
        (status = 404, description = "No such device.", body = ProblemBody),
    )
)]
async fn release(
    State(core): State<Core>,
    caller: Caller,
    Path(device): Path<DeviceId>,
) -> Result<StatusCode, Problem> {
    let mut tx = core.store.read().await?;
    device_of(&mut tx, &caller, (device, Permission::DeviceClaim)).await?;
    drop(tx);
    caller.require_fresh_proof(&core)?;
    let released = bind::release(&core, &caller.actor(), device).await;
    released.map_err(|error| problem(error, &caller))?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Replacement {
    /// On the label of the new hardware.
    #[schema(max_length = 64)]
    code: String,
}

/// Replace the hardware of a device
///
/// Another unit of the same model takes its place; settings, names and history stay. What the old
/// one holds is void at once.
#[utoipa::path(
    post,
    path = "/api/v1/devices/{device}/replacement",
    tag = "claims",
    params(("device" = String, Path, description = "Which device.")),
    extensions(("x-permission" = json!("device.claim"))),
    request_body = Replacement,
    responses(
        (status = 200, description = "Replaced.", body = ClaimedBody),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 403, description = "Your role does not allow it.", body = ProblemBody),
        (status = 404, description = "No such device.", body = ProblemBody),
        (status = 422, description = "The code is mistyped or claims nothing, or the unit does not fit.", body = ProblemBody),
        (status = 429, description = "Too many wrong codes.", body = ProblemBody),
    )
)]
async fn replace(
    State(core): State<Core>,
    caller: Caller,
    Path(device): Path<DeviceId>,
    Json(body): Json<Replacement>,
) -> Result<Json<ClaimedBody>, Problem> {
    let mut tx = core.store.read().await?;
    let bound = device_of(&mut tx, &caller, (device, Permission::DeviceClaim)).await?;
    drop(tx);
    let code = read_code(&body.code)?;
    let what = (device, bound.place, code);
    let replaced = bind::replace(&core, caller.user()?, &caller.actor(), what).await;
    let replaced = replaced.map_err(|error| problem(error, &caller))?;
    Ok(Json(replaced.into()))
}

/// Why certificates are made void.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Why {
    /// Somebody else may have the device's key.
    KeyCompromise,
    /// The device may not take part any more.
    Withdrawn,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Revocation {
    reason: Why,
}

/// What was made void.
#[derive(Debug, Serialize, ToSchema)]
struct RevokedBody {
    certificates: usize,
}

/// Make a device's certificates void
///
/// It is cut off within a second, on every node. It stays the company's; to let it in again,
/// release it and claim it anew. Asks for a password or passkey shown a short while ago.
#[utoipa::path(
    post,
    path = "/api/v1/devices/{device}/revocation",
    tag = "claims",
    params(("device" = String, Path, description = "Which device.")),
    extensions(("x-permission" = json!("device.claim"))),
    request_body = Revocation,
    responses(
        (status = 200, description = "Void.", body = RevokedBody),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 403, description = "Your role does not allow it, or a proof is needed.", body = ProblemBody),
        (status = 404, description = "No such device.", body = ProblemBody),
        (status = 422, description = "No such reason.", body = ProblemBody),
    )
)]
async fn revoke(
    State(core): State<Core>,
    caller: Caller,
    Path(device): Path<DeviceId>,
    Json(body): Json<Revocation>,
) -> Result<Json<RevokedBody>, Problem> {
    let mut tx = core.store.read().await?;
    device_of(&mut tx, &caller, (device, Permission::DeviceClaim)).await?;
    drop(tx);
    caller.require_fresh_proof(&core)?;
    let reason = match body.reason {
        Why::KeyCompromise => Reason::KeyCompromise,
        Why::Withdrawn => Reason::Withdrawn,
    };
    let revoked = bind::revoke(&core, &caller.actor(), device, reason).await;
    let certificates = revoked.map_err(|error| problem(error, &caller))?;
    Ok(Json(RevokedBody { certificates }))
}

/// A site in which the caller may claim.
async fn place(core: &Core, caller: &Caller, site: SiteId) -> Result<Place, Problem> {
    let mut tx = core.store.read().await?;
    let asked = query("SELECT company_id, project_id FROM site WHERE id = $1").bind(site);
    let row = tx.optional(asked).await?.ok_or_else(Problem::not_found)?;
    let place = Place {
        company: row.parsed("company_id")?,
        project: row.parsed("project_id")?,
        site,
    };
    caller.require(Permission::DeviceClaim, &scope(place))?;
    Ok(place)
}

/// A device for which the caller has a permission.
async fn device_of(
    tx: &mut Tx,
    caller: &Caller,
    (device, permission): (DeviceId, Permission),
) -> Result<Bound, Problem> {
    let found = rows::bound(tx, By::Device(device)).await?;
    let bound = found.ok_or_else(Problem::not_found)?;
    caller.require(permission, &scope(bound.place))?;
    Ok(bound)
}

fn scope(place: Place) -> Scope {
    Scope::Site(place.company, place.project, place.site)
}

fn read_code(text: &str) -> Result<ClaimCode, Problem> {
    text.parse()
        .map_err(|error: contract::enrolment::ClaimCodeError| {
            let finding = Finding::new("/code", error.code(), error.to_string());
            Problem::invalid(vec![finding])
        })
}

fn problem(error: BindError, caller: &Caller) -> Problem {
    let at = |pointer: &str, code: &str, detail: String| {
        Problem::invalid(vec![Finding::new(pointer, code, detail)])
    };
    match error {
        BindError::NoSuchCode => at(
            "/code",
            "claim_code_refused",
            BindError::NoSuchCode.to_string(),
        ),
        BindError::TooMany { until } => {
            let ms = until.unix_ms().saturating_sub(caller.now.unix_ms());
            let seconds = u32::try_from(ms / 1000 + 1).unwrap_or(1);
            let detail = "Too many wrong codes. Wait, and compare the next one with the label.";
            Problem::new(Code::TooMany, detail).retry_after(seconds)
        }
        BindError::Catalogue(refusals) => Problem::invalid(refusals.iter().map(finding).collect()),
        error @ BindError::OtherModel { .. } => at("/code", "model_differs", error.to_string()),
        BindError::NoSuchDevice | BindError::NoSuchSite | BindError::Rule(_) => {
            Problem::not_found()
        }
        BindError::Subscription(missing) => subscriptions::problem(&missing),
        BindError::Store(error) => error.into(),
        error @ (BindError::Pepper(_) | BindError::Authority(_)) => fault(&error),
    }
}

fn finding(refusal: &Refusal) -> Finding {
    Finding::new("", refusal.code(), refusal.to_string())
}

fn of_unit(error: UnitError) -> Problem {
    match error {
        UnitError::Store(error) => error.into(),
        error => fault(&error),
    }
}

fn fault(error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(error, "claims cannot be carried out");
    Problem::new(
        Code::Unavailable,
        "The core cannot read its keys at the moment. Its log says why.",
    )
}
