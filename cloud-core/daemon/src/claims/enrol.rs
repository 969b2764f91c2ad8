//! `POST /v1/enroll` and `POST /v1/reenroll`: a claimed device gets its certificates.
//!
//! A device shows the key it was born with (its factory certificate), or that it knows its claim
//! code, or the certificate it has. Whoever cannot show anything that fits is told to wait, in the
//! same words as a device that nobody has claimed yet: nothing can be learnt here about codes.

use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloud_logic::catalogue::{self, Firmware, Revision};
use cloud_logic::claims::{Enrol, Refused};
use contract::enrolment::{BadRequest, EnrolRequest, Enrolment, MAX_REQUEST_OCTETS};
use model::Timestamp;
use rustls::pki_types::CertificateDer;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use x509_parser::parse_x509_certificate;

use super::rows::{self, Bound, By};
use crate::api::problem::ProblemBody;
use crate::api::{Code, Finding, Json, Problem};
use crate::core::Core;
use crate::keys::authority::{
    self, AuthorityError, Certificate, Holder, IssueError, Issued, PublicKey, hash_of_key,
};
use crate::keys::{Barred, TlsPeer, UnsealError, known};
use crate::random;
use crate::store::audit::{Actor, Audit};
use crate::store::changes::{Change, What};
use crate::store::{StoreError, Tx};

const HOUR: Duration = Duration::from_secs(3600);
/// An answer that may have been lost is given again to the same key for so long; the key of its
/// burnt code is kept as long.
const KEPT: Duration = HOUR.saturating_mul(24);

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(enrol))
        .routes(routes!(renew))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_OCTETS))
}

/// Forgets what is no longer needed, every hour, until `stop`.
pub(crate) async fn tend(core: Core, stop: CancellationToken) {
    loop {
        if let Err(error) = forget_burnt(&core).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the keys of used claim codes could not be forgotten"
            );
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(HOUR) => {}
        }
    }
}

/// Forgets the keys of codes that were burnt a day ago.
pub(super) async fn forget_burnt(core: &Core) -> Result<(), StoreError> {
    let mut tx = core.store.write().await?;
    rows::forget_proof_keys(&mut tx, core.now().saturating_sub(KEPT)).await?;
    tx.commit().await
}

/// First certificate of a claimed device
///
/// Over TLS, with the factory certificate or with a proof of the claim code that is bound to the
/// connection (RFC 9266). 202 for as long as nobody has claimed the device: ask again after
/// `Retry-After`.
#[utoipa::path(
    post,
    path = "/v1/enroll",
    tag = "enrolment",
    extensions(("x-permission" = json!("device"))),
    request_body(content = serde_json::Value, description = "An `EnrolRequest` of the link's contract."),
    responses(
        (status = 200, description = "The certificate, and where to connect.", body = serde_json::Value),
        (status = 202, description = "Nobody has claimed the device yet.", headers(("retry-after" = u32))),
        (status = 400, description = "Not JSON.", body = ProblemBody),
        (status = 403, description = "Not over TLS, or this device gets no certificate.", body = ProblemBody),
        (status = 413, description = "Too long.", body = ProblemBody),
        (status = 415, description = "Not JSON.", body = ProblemBody),
        (status = 422, description = "The request, or the device itself, is not fit.", body = ProblemBody),
        (status = 503, description = "Not now.", body = ProblemBody),
    )
)]
async fn enrol(
    State(core): State<Core>,
    peer: Option<Extension<TlsPeer>>,
    Json(request): Json<EnrolRequest>,
) -> Result<Response, Problem> {
    let peer = over_tls(peer)?;
    let asked = Asked::read(&request)?;
    // Whoever has nothing to show does not keep those waiting who write.
    let mut tx = core.store.read().await?;
    let found = match &request.possession {
        Some(possession) => {
            let (handle, proof) = possession.read().map_err(bad_request)?;
            let found = rows::bound(&mut tx, By::Handle(&handle)).await?;
            found.filter(|bound| proves(&core, bound, (&peer, &request, &proof)))
        }
        None => match peer.certificate.as_deref().and_then(key_of_certificate) {
            Some(key) => rows::bound(&mut tx, By::FactoryKey(&key)).await?,
            None => None,
        },
    };
    drop(tx);
    let Some(shown) = found else {
        return Ok(wait());
    };
    let mut tx = core.store.write().await?;
    let found = rows::bound(&mut tx, By::Device(shown.device)).await?;
    let Some(bound) = found.filter(|bound| bound.claim.epoch() == shown.claim.epoch()) else {
        return Ok(wait());
    };
    let by = match &request.possession {
        None => Enrol::FactoryKey,
        Some(_) => Enrol::Code {
            same_key: certified(&mut tx, &bound, (&asked.key, core.now()))
                .await?
                .is_some(),
        },
    };
    give(&core, tx, bound, by, &asked).await
}

/// Next certificate of a device
///
/// Over TLS, with the certificate the device has, which may have been expired for 30 days. The key
/// must be a new one.
#[utoipa::path(
    post,
    path = "/v1/reenroll",
    tag = "enrolment",
    extensions(("x-permission" = json!("device"))),
    request_body(content = serde_json::Value, description = "An `EnrolRequest` of the link's contract."),
    responses(
        (status = 200, description = "The certificate, and where to connect.", body = serde_json::Value),
        (status = 400, description = "Not JSON.", body = ProblemBody),
        (status = 403, description = "No certificate, or one that is void.", body = ProblemBody),
        (status = 413, description = "Too long.", body = ProblemBody),
        (status = 415, description = "Not JSON.", body = ProblemBody),
        (status = 422, description = "The request, or the device itself, is not fit.", body = ProblemBody),
        (status = 503, description = "Not now.", body = ProblemBody),
    )
)]
async fn renew(
    State(core): State<Core>,
    peer: Option<Extension<TlsPeer>>,
    Json(request): Json<EnrolRequest>,
) -> Result<Response, Problem> {
    let peer = over_tls(peer)?;
    let asked = Asked::read(&request)?;
    let Some(certificate) = peer.certificate else {
        return Err(no_certificate(
            "Show the device's certificate in the handshake.",
        ));
    };
    let mut tx = core.store.read().await?;
    of_ours(&mut tx, &certificate).await?;
    drop(tx);
    let mut tx = core.store.write().await?;
    let known = of_ours(&mut tx, &certificate).await?;
    let found = rows::bound(&mut tx, By::Device(known.holder.device)).await?;
    let Some(bound) = found else {
        return Err(refused(Refused::Ended));
    };
    let by = Enrol::Certificate {
        epoch: known.holder.epoch,
        not_after: known.not_after,
    };
    give(&core, tx, bound, by, &asked).await
}

/// The device's certificate, unless it is void or none of ours.
async fn of_ours(tx: &mut Tx, der: &CertificateDer<'_>) -> Result<Certificate, Problem> {
    match known(tx, der).await {
        Ok(known) => Ok(known),
        Err(Barred::Store(error)) => Err(error.into()),
        Err(barred @ (Barred::Unknown | Barred::Void(_) | Barred::Expired)) => {
            Err(no_certificate(&barred.to_string()))
        }
    }
}

/// A request, read and found fit.
struct Asked {
    key: PublicKey,
    model: String,
    revision: Revision,
    firmware: Firmware,
}

impl Asked {
    fn read(request: &EnrolRequest) -> Result<Self, Problem> {
        request.check().map_err(bad_request)?;
        let mut findings = Vec::new();
        let key = PublicKey::of_signing_request(&request.signing_request).map_err(|error| {
            findings.push(Finding::new(
                "/signing_request",
                error.code(),
                error.to_string(),
            ));
        });
        let revision = request.revision.parse::<Revision>().map_err(|error| {
            findings.push(Finding::new(
                "/revision",
                "not_a_revision",
                error.to_string(),
            ));
        });
        let firmware = request.firmware.parse::<Firmware>().map_err(|error| {
            findings.push(Finding::new(
                "/firmware",
                "not_a_version",
                error.to_string(),
            ));
        });
        match (key, revision, firmware) {
            (Ok(key), Ok(revision), Ok(firmware)) => Ok(Self {
                key,
                model: request.model.clone(),
                revision,
                firmware,
            }),
            (_, _, _) => Err(Problem::invalid(findings)),
        }
    }
}

/// Carries out what the rules allow.
async fn give(
    core: &Core,
    mut tx: Tx,
    bound: Bound,
    by: Enrol,
    asked: &Asked,
) -> Result<Response, Problem> {
    let now = core.now();
    fit(&bound, asked)?;
    let mut claim = bound.claim;
    claim.enrol(by, now).map_err(refused)?;
    let issued = match certified(&mut tx, &bound, (&asked.key, now)).await? {
        // The answer was lost on its way.
        Some(again) => again,
        None => issue(core, &mut tx, &bound, (by, asked)).await?,
    };
    let answer = answer(core, &mut tx, &bound, &issued).await?;
    tx.commit().await?;
    Ok((StatusCode::OK, Json(answer)).into_response())
}

async fn issue(
    core: &Core,
    tx: &mut Tx,
    bound: &Bound,
    (by, asked): (Enrol, &Asked),
) -> Result<Issued, Problem> {
    let now = core.now();
    let holder = Holder {
        device: bound.device,
        epoch: bound.claim.epoch(),
    };
    let lists = core.keys.addresses().lists.as_str();
    let issued = authority::issue(tx, core.keys.sealer(), now, (holder, &asked.key, lists)).await;
    let issued = issued.map_err(|error| match error {
        IssueError::KeyUsed => Problem::invalid(vec![Finding::new(
            "/signing_request",
            "key_used",
            IssueError::KeyUsed.to_string(),
        )]),
        IssueError::Authority(error) => of_authority(error),
    })?;
    rows::enrolled(tx, bound, asked.revision, now).await?;
    let actor = Actor::named(&bound.device.to_string());
    let entry = Audit {
        at: now,
        company: Some(bound.place.company),
        actor,
        action: match by {
            Enrol::FactoryKey | Enrol::Code { .. } => "device.enrol",
            Enrol::Certificate { .. } => "device.renew",
        },
        object_kind: "device",
        object_id: bound.device.to_string(),
        before: None,
        after: Some(json!({
            "epoch": bound.claim.epoch(),
            "revision": asked.revision,
            "firmware": asked.firmware,
            "until": issued.not_after.unix_ms(),
        })),
    };
    tx.audit(entry);
    let change = Change {
        at: now,
        whose: bound.place.whose(),
        kind: "device",
        id: bound.device.to_string(),
        what: What::Updated,
    };
    tx.changed(change);
    Ok(issued)
}

/// What this device was given for this key within the time in which an answer may be asked for again.
async fn certified(
    tx: &mut Tx,
    bound: &Bound,
    (key, now): (&PublicKey, Timestamp),
) -> Result<Option<Issued>, Problem> {
    let found = authority::certificate_of_key(tx, &key.hash()).await?;
    let holder = Holder {
        device: bound.device,
        epoch: bound.claim.epoch(),
    };
    let again = found.filter(|known| {
        let recent = now <= known.issued.saturating_add(KEPT);
        recent && known.holder == holder && known.void.is_none()
    });
    let Some(known) = again else {
        return Ok(None);
    };
    known.issued_again(tx).await.map(Some).map_err(of_authority)
}

/// What was not known when the device was claimed is checked now (D5).
fn fit(bound: &Bound, asked: &Asked) -> Result<(), Problem> {
    let catalogue = catalogue::compiled();
    let same = catalogue.model(&asked.model) == catalogue.model(&bound.model);
    if !same {
        return Err(Problem::invalid(vec![Finding::new(
            "/model",
            "model_differs",
            format!(
                "The device was claimed as {}, it says {}.",
                bound.model, asked.model
            ),
        )]));
    }
    let (revision, firmware) = (Some(asked.revision), Some(asked.firmware));
    let checked = catalogue.check(&bound.model, revision, firmware, bound.mode);
    checked.map(|_checked| ()).map_err(|refusals| {
        let findings = refusals
            .iter()
            .map(|refusal| Finding::new("", refusal.code(), refusal.to_string()));
        Problem::invalid(findings.collect())
    })
}

fn proves(
    core: &Core,
    bound: &Bound,
    (peer, request, proof): (&TlsPeer, &EnrolRequest, &contract::enrolment::Proof),
) -> bool {
    let key = match bound.proof_key(core.keys.sealer()) {
        Ok(Some(key)) => key,
        Ok(None) => return false,
        Err(error) => {
            log_unseal(&error);
            return false;
        }
    };
    let holds = key.verify(&peer.channel, &request.signing_request, proof);
    if let Err(error) = holds {
        tracing::warn!(device = %bound.device, %error, "an enrolment was not proved");
    }
    holds.is_ok()
}

fn log_unseal(error: &UnsealError) {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "the key that an enrolment is proved with cannot be read"
    );
}

/// The key of whatever certificate the handshake has taken: the device has shown that it holds it.
fn key_of_certificate(der: &[u8]) -> Option<[u8; 32]> {
    let (_, certificate) = parse_x509_certificate(der).ok()?;
    Some(hash_of_key(certificate.public_key().raw))
}

async fn answer(
    core: &Core,
    tx: &mut Tx,
    bound: &Bound,
    issued: &Issued,
) -> Result<Enrolment, Problem> {
    let addresses = core.keys.addresses();
    let roots = authority::roots(tx).await.map_err(of_authority)?;
    Ok(Enrolment {
        device: bound.device.to_string(),
        epoch: bound.claim.epoch().number(),
        chain: pem(&issued.certificate) + &pem(&issued.authority),
        trust: roots.iter().map(|root| pem(root)).collect(),
        mqtt: addresses.mqtt.clone(),
        https: addresses.https.clone(),
        calls: addresses.calls.clone(),
        now: core.now().unix_ms(),
        renew_after: issued.renew_after.unix_ms(),
        expires: issued.not_after.unix_ms(),
    })
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let body: String = lines.map(|line| line.into_owned() + "\n").collect();
    format!("-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")
}

/// 30 to 90 seconds, so that a thousand devices after a power cut do not come at once.
fn wait() -> Response {
    let [random] = random::octets();
    let seconds = 30 + u32::from(random) * 60 / 255;
    let mut response = StatusCode::ACCEPTED.into_response();
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

fn over_tls(peer: Option<Extension<TlsPeer>>) -> Result<TlsPeer, Problem> {
    let Some(Extension(peer)) = peer else {
        let detail = "Devices enrol over TLS, directly with the core: no proxy may end it.";
        return Err(Problem::new(Code::NotAllowed, detail));
    };
    Ok(peer)
}

fn no_certificate(detail: &str) -> Problem {
    Problem::new(Code::NotAllowed, detail)
}

fn refused(why: Refused) -> Problem {
    let finding = Finding::new("", why.code(), why.to_string());
    Problem {
        errors: vec![finding],
        ..Problem::new(Code::NotAllowed, "This device gets no certificate.")
    }
}

fn bad_request(error: BadRequest) -> Problem {
    Problem::invalid(vec![Finding::new(
        "",
        "not_an_enrolment",
        error.to_string(),
    )])
}

fn of_authority(error: AuthorityError) -> Problem {
    match error {
        AuthorityError::Store(error) => error.into(),
        error => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the authority cannot sign"
            );
            Problem::new(Code::Unavailable, "The core cannot sign at the moment.").retry_after(300)
        }
    }
}
