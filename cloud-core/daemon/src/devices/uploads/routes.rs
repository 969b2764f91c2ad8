//! `/v1/uploads`: devices send files, resumably, by tus 1.0.0 (core, creation, expiration,
//! termination; <https://tus.io/protocols/resumable-upload>).

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::options;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloud_logic::ids::{CommandId, CompanyId, DeviceId, UploadId};
use model::Timestamp;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::receive::{self, Pace, elsewhere, make_whole};
use super::rows::{self, Upload};
use super::ticket::{Tickets, UPLOADS};
use super::{LARGEST, MOST_OF_A_DEVICE, OPEN, PATIENCE};
use crate::api::check::Findings;
use crate::api::problem::ProblemBody;
use crate::api::{Code, Finding, Path, Problem};
use crate::blobs;
use crate::core::{Core, NewId};
use crate::keys::{Barred, NamedSecretError, TlsPeer, identify};
use crate::store::Tx;

const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(how_far, send, take_back))
        .route(UPLOADS, options(what_is_spoken))
        .layer(map_response(async |mut response: Response| {
            response.headers_mut().insert(RESUMABLE, VERSION);
            response
        }))
}

/// For clients that ask before they begin.
async fn what_is_spoken() -> Response {
    let headers = [
        ("tus-version", "1.0.0".to_owned()),
        (
            "tus-extension",
            "creation,expiration,termination".to_owned(),
        ),
        ("tus-max-size", LARGEST.to_string()),
    ];
    (
        StatusCode::NO_CONTENT,
        headers.map(|(name, value)| (HeaderName::from_static(name), value)),
    )
        .into_response()
}

/// Who sends.
struct Sender {
    device: DeviceId,
    /// What its ticket is for; a certificate opens more.
    only: Option<CommandId>,
}

impl Sender {
    async fn of(
        core: &Core,
        tx: &mut Tx,
        peer: Option<Extension<TlsPeer>>,
        headers: &HeaderMap,
    ) -> Result<Self, Problem> {
        if let Some(ticket) = bearer(headers) {
            return Self::with_ticket(core, tx, ticket).await;
        }
        let certificate = peer.and_then(|Extension(peer)| peer.certificate);
        let Some(certificate) = certificate else {
            return Err(unknown());
        };
        match identify(tx, &certificate, core.now()).await {
            Ok(known) => Ok(Self {
                device: known.holder.device,
                only: None,
            }),
            Err(Barred::Store(error)) => Err(error.into()),
            Err(Barred::Unknown | Barred::Void(_) | Barred::Expired) => Err(unknown()),
        }
    }

    async fn with_ticket(core: &Core, tx: &mut Tx, ticket: &str) -> Result<Self, Problem> {
        let tickets = Tickets::known(tx, core).await.map_err(of_secret)?;
        let command = tickets.and_then(|tickets| tickets.read(ticket));
        let Some(command) = command else {
            return Err(unknown());
        };
        let open = core.now().saturating_sub(PATIENCE);
        match rows::asked_by(tx, command, open).await? {
            Some((device, _)) => Ok(Self {
                device,
                only: Some(command),
            }),
            None => Err(unknown()),
        }
    }

    /// Its upload. One of another device does not exist.
    async fn upload(&self, tx: &mut Tx, id: UploadId) -> Result<Upload, Problem> {
        let found = rows::find(tx, id).await?;
        let hers = found.filter(|upload| {
            let by_ticket = self.only.is_none() || self.only == upload.command;
            upload.device == self.device && by_ticket
        });
        hers.ok_or_else(Problem::not_found)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, ticket) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| ticket.trim())
}

fn unknown() -> Problem {
    let detail = "Show the device's certificate in the handshake, or send the ticket of the command \
                  in the header authorization: Bearer.";
    Problem::new(Code::NotSignedIn, detail)
}

fn of_secret(error: NamedSecretError) -> Problem {
    match error {
        NamedSecretError::Store(error) => error.into(),
        NamedSecretError::Unseal(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the key of tickets cannot be read"
            );
            Problem::new(
                Code::Unavailable,
                "The core cannot read tickets at the moment.",
            )
        }
    }
}

/// tus 1.0.0, "Tus-Resumable": another version is answered with the ones that are spoken.
fn other_version(headers: &HeaderMap) -> Option<Response> {
    if headers.get(RESUMABLE) == Some(&VERSION) {
        return None;
    }
    let detail = "Send the header tus-resumable: 1.0.0.";
    let mut response = Problem::new(Code::VersionStale, detail).into_response();
    let version = HeaderName::from_static("tus-version");
    response.headers_mut().insert(version, VERSION);
    Some(response)
}

/// What a device announces.
struct Announced {
    length: i64,
    name: String,
    sha256: Vec<u8>,
    command: Option<CommandId>,
}

impl Announced {
    fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut findings = Findings::default();
        let length = number(headers, &LENGTH).unwrap_or(0);
        if !(1..=LARGEST).contains(&length) {
            let detail = format!("Announce 1 to {LARGEST} octets; compress what is longer.");
            findings.add(LENGTH.as_str(), "out_of_range", detail);
        }
        let words = metadata(headers);
        let sha256 = words.get("sha256").and_then(|text| from_hex(text));
        if sha256.is_none() {
            let detail = "Announce the SHA-256 of the whole as 64 hexadecimal digits.";
            findings.add("upload-metadata/sha256", "missing", detail);
        }
        let name = words.get("name").map_or("log", String::as_str);
        let name = findings.words("upload-metadata/name", name, 1, 100);
        let command = words.get("command").map(|text| text.parse());
        if let Some(Err(error)) = &command {
            let error: &cloud_logic::ids::NotAnId = error;
            findings.add("upload-metadata/command", "not_an_id", error.to_string());
        }
        findings.done()?;
        Ok(Self {
            length,
            name,
            sha256: sha256.unwrap_or_default(),
            command: command.and_then(Result::ok),
        })
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<i64> {
    let text = headers.get(name)?.to_str().ok()?;
    text.parse().ok().filter(|number| *number >= 0)
}

/// tus 1.0.0, "Upload-Metadata": `key base64, key base64`.
fn metadata(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = headers.get(METADATA).and_then(|text| text.to_str().ok());
    let pairs = text.unwrap_or_default().split(',').take(16);
    pairs
        .filter_map(|pair| {
            let (key, value) = pair.trim().split_once(' ')?;
            let value = STANDARD.decode(value.trim()).ok()?;
            Some((key.to_owned(), String::from_utf8(value).ok()?))
        })
        .collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    (0..64)
        .step_by(2)
        .map(|place| u8::from_str_radix(&text[place..place + 2], 16).ok())
        .collect()
}

/// Begin to send a log
///
/// tus 1.0.0. With the device's certificate, or with the ticket of the command that asks for it. Then
/// send the octets to the address in `location` (PATCH), as often as it takes.
#[utoipa::path(
    post,
    path = "/v1/uploads",
    tag = "uploads",
    params(
        ("tus-resumable" = String, Header, description = "1.0.0"),
        ("upload-length" = i64, Header, description = "How many octets it has, at most 67108864."),
        ("upload-metadata" = String, Header, description = "`sha256` of the whole in hexadecimal, `name`, `command` that asks for it; each value in Base64."),
    ),
    extensions(("x-permission" = json!("device"))),
    responses(
        (status = 201, description = "Send it to this address.", headers(("location" = String), ("upload-expires" = String))),
        (status = 401, description = "Neither a certificate nor a ticket that holds.", body = ProblemBody),
        (status = 403, description = "The device is nobody's.", body = ProblemBody),
        (status = 409, description = "The command has its log already.", body = ProblemBody),
        (status = 412, description = "Another version of tus.", body = ProblemBody),
        (status = 413, description = "The company has no room for it.", body = ProblemBody),
        (status = 422, description = "Something announced is not right.", body = ProblemBody),
        (status = 429, description = "Too many are under way, or kept, of this device.", body = ProblemBody),
    )
)]
async fn create(
    State(core): State<Core>,
    peer: Option<Extension<TlsPeer>>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    if let Some(refused) = other_version(&headers) {
        return Err(refused);
    }
    let upload = begin(&core, peer, &headers)
        .await
        .map_err(IntoResponse::into_response)?;
    let location = format!("{UPLOADS}/{}", upload.id);
    let told = [
        (header::LOCATION, location),
        (EXPIRES, http_date(upload.expires)),
    ];
    Ok((StatusCode::CREATED, told).into_response())
}

async fn begin(
    core: &Core,
    peer: Option<Extension<TlsPeer>>,
    headers: &HeaderMap,
) -> Result<Upload, Problem> {
    // Whoever may not send learns nothing else, and keeps no writer waiting.
    let mut tx = core.store.read().await?;
    let sender = Sender::of(core, &mut tx, peer, headers).await?;
    drop(tx);
    let announced = Announced::read(headers)?;
    let mut tx = core.store.write().await?;
    let whose = crate::devices::whose(&mut tx, sender.device).await?;
    let Some((whose, company)) = whose.and_then(|whose| Some((whose, whose.company?))) else {
        let detail = "The device is nobody's: there is nobody to send logs to.";
        return Err(Problem::new(Code::NotAllowed, detail));
    };
    let now = core.now();
    let command = sender.only.or(announced.command);
    if let Some(command) = command {
        let open = now.saturating_sub(PATIENCE);
        let asked = rows::asked_by(&mut tx, command, open).await?;
        if asked != Some((sender.device, Some(company))) {
            return Err(no_such_command());
        }
    }
    room(core, &mut tx, (sender.device, company), announced.length).await?;
    let upload = Upload {
        id: UploadId::new_at(now),
        device: sender.device,
        company,
        whose,
        command,
        name: announced.name,
        length: announced.length,
        received: 0,
        sha256: announced.sha256,
        blob: None,
        created: now,
        finished: None,
        expires: now.saturating_add(PATIENCE),
    };
    rows::insert(&mut tx, &upload).await?;
    receive::tell(core, &mut tx, &upload, "log.begin");
    tx.commit().await?;
    Ok(upload)
}

fn no_such_command() -> Problem {
    Problem::invalid(vec![Finding::new(
        "upload-metadata/command",
        "not_asked",
        "No open command of this device asks for its logs. Leave it out to send one unasked.",
    )])
}

/// Whether there is room for so much more, at the device and at the company.
async fn room(
    core: &Core,
    tx: &mut Tx,
    (device, company): (DeviceId, CompanyId),
    length: i64,
) -> Result<(), Problem> {
    let taken = blobs::rows::taken(tx, company).await?;
    let held = rows::of_device(tx, device).await?;
    if held.open >= OPEN || held.octets + length > MOST_OF_A_DEVICE {
        let detail = "This device has sent enough: finish what is under way, or have old logs \
                      deleted.";
        return Err(Problem::new(Code::TooMany, detail).retry_after(3600));
    }
    if taken + rows::expected(tx, company).await? + length > core.blobs.room() {
        let detail = "The company has no room left for uploads: have some deleted.";
        return Err(Problem::new(Code::TooLarge, detail));
    }
    Ok(())
}

/// RFC 9110 5.6.7, as tus asks.
fn http_date(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.unix_ms()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// How far it has come.
fn progress(upload: &Upload) -> [(HeaderName, String); 3] {
    [
        (OFFSET, upload.received.to_string()),
        (EXPIRES, http_date(upload.expires)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ]
}

/// How far a log has come
#[utoipa::path(
    head,
    path = "/v1/uploads/{upload}",
    tag = "uploads",
    params(
        ("upload" = String, Path, description = "Which one."),
        ("tus-resumable" = String, Header, description = "1.0.0"),
    ),
    extensions(("x-permission" = json!("device"))),
    responses(
        (status = 200, description = "Go on there.", headers(("upload-offset" = i64), ("upload-length" = i64))),
        (status = 401, description = "Neither a certificate nor a ticket that holds."),
        (status = 404, description = "None of this sender's, or given up."),
        (status = 412, description = "Another version of tus."),
    )
)]
async fn how_far(
    State(core): State<Core>,
    peer: Option<Extension<TlsPeer>>,
    Path(id): Path<UploadId>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    if let Some(refused) = other_version(&headers) {
        return Err(refused);
    }
    let upload = find(&core, peer, &headers, id)
        .await
        .map_err(IntoResponse::into_response)?;
    let length = [(LENGTH, upload.length.to_string())];
    Ok((progress(&upload), length).into_response())
}

async fn find(
    core: &Core,
    peer: Option<Extension<TlsPeer>>,
    headers: &HeaderMap,
    id: UploadId,
) -> Result<Upload, Problem> {
    let mut tx = core.store.read().await?;
    let sender = Sender::of(core, &mut tx, peer, headers).await?;
    sender.upload(&mut tx, id).await
}

/// Send octets of a log
///
/// From where it ended on. What has arrived stays, however the connection ends. With the last octet
/// the whole is compared with the announced SHA-256; if it differs, all of it is thrown away.
#[utoipa::path(
    patch,
    path = "/v1/uploads/{upload}",
    tag = "uploads",
    params(
        ("upload" = String, Path, description = "Which one."),
        ("tus-resumable" = String, Header, description = "1.0.0"),
        ("upload-offset" = i64, Header, description = "Where these octets begin."),
    ),
    extensions(("x-permission" = json!("device"))),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses(
        (status = 204, description = "So far it has come.", headers(("upload-offset" = i64))),
        (status = 400, description = "The body ended too early; what came is kept.", body = ProblemBody),
        (status = 401, description = "Neither a certificate nor a ticket that holds.", body = ProblemBody),
        (status = 404, description = "None of this sender's, or given up.", body = ProblemBody),
        (status = 408, description = "Too slow; what came is kept.", body = ProblemBody),
        (status = 409, description = "It does not begin where the last one ended.", body = ProblemBody),
        (status = 412, description = "Another version of tus.", body = ProblemBody),
        (status = 413, description = "More than was announced.", body = ProblemBody),
        (status = 415, description = "Not application/offset+octet-stream.", body = ProblemBody),
        (status = 422, description = "It is not what was announced, or the offset is missing.", body = ProblemBody),
        (status = 503, description = "Too many send at once.", body = ProblemBody),
    )
)]
async fn send(
    State(core): State<Core>,
    peer: Option<Extension<TlsPeer>>,
    Path(id): Path<UploadId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Response> {
    if let Some(refused) = other_version(&headers) {
        return Err(refused);
    }
    let received = take(core, peer, (&headers, id), body)
        .await
        .map_err(IntoResponse::into_response)?;
    Ok((StatusCode::NO_CONTENT, progress(&received)).into_response())
}

async fn take(
    core: Core,
    peer: Option<Extension<TlsPeer>>,
    (headers, id): (&HeaderMap, UploadId),
    body: Body,
) -> Result<Upload, Problem> {
    let upload = find(&core, peer, headers, id).await?;
    let media_type = headers.get(header::CONTENT_TYPE);
    if media_type.is_none_or(|value| value != "application/offset+octet-stream") {
        let detail = "Send the header content-type: application/offset+octet-stream.";
        return Err(Problem::new(Code::NotJson, detail));
    }
    let Some(offset) = number(headers, &OFFSET) else {
        let detail = "Say where these octets begin.";
        return Err(Problem::invalid(vec![Finding::new(
            OFFSET.as_str(),
            "missing",
            detail,
        )]));
    };
    if offset != upload.received {
        return Err(elsewhere());
    }
    if upload.blob.is_some() {
        return Ok(upload);
    }
    if upload.received == upload.length {
        make_whole(&core, &upload).await?;
        return Ok(upload);
    }
    let place = core.blobs.place_to_receive().map_err(|_full| {
        Problem::new(Code::Unavailable, "Too many send at once.").retry_after(30)
    })?;
    let mut after = upload.clone();
    // It outlives a connection that breaks, so that the last piece is kept.
    let receiving = tokio::spawn(async move {
        let received = receive::receive(core, upload, body, Pace::default()).await;
        drop(place);
        received
    });
    after.received = receiving.await.map_err(|error| {
        tracing::error!(%error, "an upload ended before its time");
        Problem::new(
            Code::Fault,
            "The core could not finish this. Its log says why.",
        )
    })??;
    Ok(after)
}

/// Give up sending a log
#[utoipa::path(
    delete,
    path = "/v1/uploads/{upload}",
    tag = "uploads",
    params(
        ("upload" = String, Path, description = "Which one."),
        ("tus-resumable" = String, Header, description = "1.0.0"),
    ),
    extensions(("x-permission" = json!("device"))),
    responses(
        (status = 204, description = "It is gone."),
        (status = 401, description = "Neither a certificate nor a ticket that holds.", body = ProblemBody),
        (status = 404, description = "None of this sender's, or given up.", body = ProblemBody),
        (status = 409, description = "It is whole: now it is its owner's.", body = ProblemBody),
        (status = 412, description = "Another version of tus.", body = ProblemBody),
    )
)]
async fn take_back(
    State(core): State<Core>,
    peer: Option<Extension<TlsPeer>>,
    Path(id): Path<UploadId>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    if let Some(refused) = other_version(&headers) {
        return Err(refused);
    }
    give_up(&core, peer, &headers, id)
        .await
        .map_err(IntoResponse::into_response)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn give_up(
    core: &Core,
    peer: Option<Extension<TlsPeer>>,
    headers: &HeaderMap,
    id: UploadId,
) -> Result<(), Problem> {
    let upload = find(core, peer, headers, id).await?;
    let mut tx = core.store.write().await?;
    if !rows::give_up(&mut tx, upload.id).await? {
        let detail = "It is whole: from now on it belongs to the owner of the device.";
        return Err(Problem::new(Code::Conflict, detail));
    }
    receive::tell(core, &mut tx, &upload, "log.take_back");
    Ok(tx.commit().await?)
}
