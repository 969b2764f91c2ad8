//! Logs of a device, for people: list, download, delete.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cloud_logic::ids::{CommandId, CompanyId, DeviceId, UploadId};
use cloud_logic::rights::Permission;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::rows::{self, Upload};
use crate::api::answers::Refused;
use crate::api::{Cursor, Finding, Json, Page, PageOf, Path, Problem, Query, Time};
use crate::blobs::{self, SAFE_TO_SHOW};
use crate::core::Core;
use crate::devices::permitted;
use crate::people::Caller;
use crate::store::Tx;
use crate::store::audit::Audit;
use crate::store::changes::{Change, What};

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read, delete))
        .routes(routes!(download))
}

/// A log of a device that has arrived.
#[derive(Debug, Serialize, ToSchema)]
struct DeviceLog {
    #[schema(value_type = String, example = "up-01J9ZK3V7Q8W2M4N6P0R5T1X8Y")]
    id: UploadId,
    #[schema(value_type = String)]
    device: DeviceId,
    /// The command that asked for it.
    #[schema(value_type = Option<String>)]
    command: Option<CommandId>,
    /// As the device calls it.
    name: String,
    /// In octets.
    size: i64,
    /// Of its octets, in hexadecimal.
    sha256: String,
    begun: Time,
    arrived: Option<Time>,
    /// When it is forgotten.
    expires: Time,
}

impl From<Upload> for DeviceLog {
    fn from(upload: Upload) -> Self {
        Self {
            id: upload.id,
            device: upload.device,
            command: upload.command,
            name: upload.name,
            size: upload.length,
            sha256: upload
                .sha256
                .iter()
                .map(|octet| format!("{octet:02x}"))
                .collect(),
            begun: Time(upload.created),
            arrived: upload.finished.map(Time),
            expires: Time(upload.expires),
        }
    }
}

/// Where a device is whose logs the caller may see.
async fn place(
    tx: &mut Tx,
    caller: &Caller,
    device: DeviceId,
) -> Result<(DeviceId, CompanyId), Problem> {
    let scope = permitted(tx, caller, Permission::DeviceDiagnose, device).await?;
    Ok((device, scope.company()))
}

/// Logs of a device, newest first
#[utoipa::path(
    get,
    path = "/api/v1/devices/{device}/logs",
    tag = "logs",
    params(("device" = String, Path, description = "Which device."), PageOf),
    extensions(("x-permission" = json!("device.diagnose"))),
    responses((status = 200, description = "A part of them.", body = Page<DeviceLog>), Refused)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Path(device): Path<DeviceId>,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<DeviceLog>>, Problem> {
    let limit = page.limit()?;
    let before = match page.cursor()? {
        None => None,
        Some(cursor) => Some(cursor.id.parse().map_err(|_| {
            let detail = "Use next_cursor of an answer, unchanged.";
            Problem::invalid(vec![Finding::new("?cursor", "not_a_cursor", detail)])
        })?),
    };
    let mut tx = core.store.read().await?;
    let place = place(&mut tx, &caller, device).await?;
    let logs = rows::logs_of(&mut tx, place, before, limit + 1).await?;
    let bodies = logs.into_iter().map(DeviceLog::from).collect();
    Ok(Json(Page::of(bodies, limit, |log| Cursor {
        key: String::new(),
        id: log.id.to_string(),
    })))
}

/// A log of a device
#[utoipa::path(
    get,
    path = "/api/v1/devices/{device}/logs/{log}",
    tag = "logs",
    params(
        ("device" = String, Path, description = "Which device."),
        ("log" = String, Path, description = "Which log."),
    ),
    extensions(("x-permission" = json!("device.diagnose"))),
    responses((status = 200, description = "What is known of it.", body = DeviceLog), Refused)
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
    Path((device, log)): Path<(DeviceId, UploadId)>,
) -> Result<Json<DeviceLog>, Problem> {
    let mut tx = core.store.read().await?;
    let place = place(&mut tx, &caller, device).await?;
    let found = rows::log_of(&mut tx, place, log).await?;
    found
        .map(|log| Json(log.into()))
        .ok_or_else(Problem::not_found)
}

/// The octets of a log
///
/// As the device has sent them. Stands in the audit log.
#[utoipa::path(
    get,
    path = "/api/v1/devices/{device}/logs/{log}/content",
    tag = "logs",
    params(
        ("device" = String, Path, description = "Which device."),
        ("log" = String, Path, description = "Which log."),
    ),
    extensions(("x-permission" = json!("device.diagnose"))),
    responses(
        (status = 200, description = "They.", body = Vec<u8>, content_type = "application/octet-stream"),
        Refused
    )
)]
async fn download(
    State(core): State<Core>,
    caller: Caller,
    Path((device, log)): Path<(DeviceId, UploadId)>,
) -> Result<Response, Problem> {
    let mut tx = core.store.write().await?;
    let place = place(&mut tx, &caller, device).await?;
    let log = rows::log_of(&mut tx, place, log)
        .await?
        .ok_or_else(Problem::not_found)?;
    let blob = log.blob.ok_or_else(Problem::not_found)?;
    let octets = core.blobs.read(blob).await?;
    tx.audit(audit(&caller, &log, "log.download"));
    tx.commit().await?;
    // A name of ours: what the device calls it becomes no header.
    let name = format!("attachment; filename=\"{}.{}.log\"", log.device, log.id);
    let headers: [(HeaderName, String); 3] = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, log.length.to_string()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, SAFE_TO_SHOW, Body::from_stream(octets)).into_response())
}

/// Delete a log of a device
#[utoipa::path(
    delete,
    path = "/api/v1/devices/{device}/logs/{log}",
    tag = "logs",
    params(
        ("device" = String, Path, description = "Which device."),
        ("log" = String, Path, description = "Which log."),
    ),
    extensions(("x-permission" = json!("device.diagnose"))),
    responses((status = 204, description = "It is gone."), Refused)
)]
async fn delete(
    State(core): State<Core>,
    caller: Caller,
    Path((device, log)): Path<(DeviceId, UploadId)>,
) -> Result<StatusCode, Problem> {
    let mut tx = core.store.write().await?;
    let place = place(&mut tx, &caller, device).await?;
    let log = rows::log_of(&mut tx, place, log)
        .await?
        .ok_or_else(Problem::not_found)?;
    let blob = log.blob.ok_or_else(Problem::not_found)?;
    blobs::rows::let_go(&mut tx, blob).await?;
    tx.audit(audit(&caller, &log, "log.delete"));
    tx.changed(Change {
        at: caller.now,
        whose: log.whose,
        kind: "log",
        id: log.id.to_string(),
        what: What::Deleted,
    });
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn audit(caller: &Caller, log: &Upload, action: &'static str) -> Audit {
    Audit {
        at: caller.now,
        company: Some(log.company),
        actor: caller.actor(),
        action,
        object_kind: "log",
        object_id: log.id.to_string(),
        before: None,
        after: Some(json!({"device": log.device, "octets": log.length})),
    }
}
