//! Commands in the portal: order one, look what became of it, take it back.
//!
//! To order is not to be obeyed: the answer is 202 and the command as a thing of its own.

use axum::extract::State;
use axum::response::Response;
use cloud_logic::commands::{Refusal, State as Stage, life};
use cloud_logic::ids::{CommandId, DeviceId};
use cloud_logic::rights::Permission;
use contract::down::Operation;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::orders::Order;
use super::rows::{self, Command};
use crate::api::answers::{NotMade, Refused};
use crate::api::once::OnceKey;
use crate::api::problem::ProblemBody;
use crate::api::{Code, Cursor, Finding, Json, Once, Page, PageOf, Path, Problem, Query, Time};
use crate::core::Core;
use crate::devices::permitted;
use crate::people::Caller;
use crate::store::audit::Audit;

/// Octets of `args`.
const ARGS: usize = 8 * 1024;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list, order))
        .routes(routes!(read, cancel))
}

/// What the device is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
enum Op {
    #[serde(rename = "reboot")]
    Reboot,
    #[serde(rename = "door.open")]
    OpenDoor,
    #[serde(rename = "logs.upload")]
    UploadLogs,
    #[serde(rename = "identify")]
    Identify,
}

impl From<Op> for Operation {
    fn from(op: Op) -> Self {
        match op {
            Op::Reboot => Self::Reboot,
            Op::OpenDoor => Self::OpenDoor,
            Op::UploadLogs => Self::UploadLogs,
            Op::Identify => Self::Identify,
        }
    }
}

impl From<Operation> for Op {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Reboot => Self::Reboot,
            Operation::OpenDoor => Self::OpenDoor,
            Operation::UploadLogs => Self::UploadLogs,
            Operation::Identify => Self::Identify,
        }
    }
}

/// Whether it is a part of looking after a device, for which there is a subscription. Opening a door
/// never is.
pub(super) fn needs_management(operation: Operation) -> bool {
    match operation {
        Operation::Reboot | Operation::UploadLogs => true,
        Operation::Identify | Operation::OpenDoor => false,
    }
}

pub(super) fn permission(operation: Operation) -> Permission {
    match operation {
        Operation::Reboot | Operation::Identify => Permission::DeviceCommand,
        Operation::OpenDoor => Permission::DoorOpen,
        Operation::UploadLogs => Permission::DeviceDiagnose,
    }
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Order)]
struct OrderBody {
    op: Op,
    /// Depends on `op`: which door, how much of a log.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    args: Option<serde_json::Map<String, serde_json::Value>>,
    /// How long it may wait for the device: at most a day, for a door at most 10 s.
    #[schema(minimum = 1, maximum = 86400)]
    seconds: Option<u32>,
}

/// A command, and what became of it so far.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CommandBody {
    #[schema(value_type = String)]
    id: CommandId,
    #[schema(value_type = String)]
    device: DeviceId,
    op: Op,
    /// `queued`, `sent`, `running`, `done`, `failed`, `rejected`, `expired`, `cancelled`, or
    /// `unknown`: it was sent, no answer came, and it is not tried again.
    #[schema(value_type = String)]
    state: Stage,
    /// Why, for programs and for translation.
    code: Option<String>,
    ordered_by: String,
    issued: Time,
    expires: Time,
    ended: Option<Time>,
}

impl From<Command> for CommandBody {
    fn from(command: Command) -> Self {
        Self {
            id: command.id,
            device: command.device,
            op: command.operation.into(),
            state: command.state,
            code: command.code,
            ordered_by: command.ordered_by,
            issued: Time(command.issued),
            expires: Time(command.expires),
            ended: command.ended.map(Time),
        }
    }
}

/// Tell a device to do something
///
/// It is done when its state says so. What must not happen twice (`reboot`, `door.open`) is sent
/// once and never repeated: without an answer its end is `unknown`. Opening a door needs the
/// permission `door.open`, an upload of logs `device.diagnose`.
#[utoipa::path(
    post,
    path = "/api/v1/devices/{device}/commands",
    tag = "commands",
    params(
        ("device" = String, Path, description = "Which device."),
        OnceKey,
    ),
    extensions(("x-permission" = json!("device.command"))),
    request_body = OrderBody,
    responses(
        (status = 202, description = "Ordered.", body = CommandBody),
        (status = 402, description = "A subscription for it is missing.", body = ProblemBody),
        (status = 429, description = "Too many wait for this device.", body = ProblemBody),
        NotMade,
    )
)]
async fn order(
    State(core): State<Core>,
    caller: Caller,
    Path(device): Path<DeviceId>,
    once: Once<OrderBody>,
) -> Result<Response, Problem> {
    let (body, known) = once.apart(&caller);
    let operation = Operation::from(body.op);
    let asked = body
        .seconds
        .map(|seconds| Duration::from_secs(seconds.into()));
    let args = serde_json::Value::Object(body.args.unwrap_or_default());
    let life = life(operation, asked).map_err(refused);
    let too_long = args.to_string().len() > ARGS;
    let order = Order {
        caller,
        known,
        device,
        operation,
        args,
        life: match too_long {
            false => life,
            true => Err(Problem::invalid(vec![Finding::new(
                "/args",
                "too_long",
                "At most 8 KiB are taken to a device.",
            )])),
        },
    };
    core.orders.hand_in(order).await
}

fn refused(refusal: Refusal) -> Problem {
    let code = match refusal {
        Refusal::TooShort => "too_short",
        Refusal::TooLong(_) => "too_long",
    };
    Problem::invalid(vec![Finding::new("/seconds", code, refusal.to_string())])
}

pub(super) fn audit(caller: &Caller, command: &Command, action: &'static str) -> Audit {
    Audit {
        at: caller.now,
        company: command.whose.company,
        actor: caller.actor(),
        action,
        object_kind: "command",
        object_id: command.id.to_string(),
        before: None,
        after: Some(serde_json::json!({
            "device": command.device,
            "op": command.operation.name(),
            "args": command.args,
        })),
    }
}

/// What a device was told to do, newest first
#[utoipa::path(
    get,
    path = "/api/v1/devices/{device}/commands",
    tag = "commands",
    params(("device" = String, Path, description = "Which device."), PageOf),
    extensions(("x-permission" = json!("device.view"))),
    responses((status = 200, description = "A part of them.", body = Page<CommandBody>), Refused)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Path(device): Path<DeviceId>,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<CommandBody>>, Problem> {
    let limit = page.limit()?;
    let before = page.id()?;
    let mut tx = core.store.read().await?;
    permitted(&mut tx, &caller, Permission::DeviceView, device).await?;
    let commands = rows::of_device(&mut tx, device, before, limit + 1).await?;
    let bodies = commands.into_iter().map(CommandBody::from).collect();
    let cursor = |command: &CommandBody| Cursor {
        key: String::new(),
        id: command.id.to_string(),
    };
    Ok(Json(Page::of(bodies, limit, cursor)))
}

/// A command
#[utoipa::path(
    get,
    path = "/api/v1/devices/{device}/commands/{command}",
    tag = "commands",
    params(
        ("device" = String, Path, description = "Which device."),
        ("command" = String, Path, description = "Which command."),
    ),
    extensions(("x-permission" = json!("device.view"))),
    responses((status = 200, description = "It.", body = CommandBody), Refused)
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
    Path((device, command)): Path<(DeviceId, CommandId)>,
) -> Result<Json<CommandBody>, Problem> {
    let mut tx = core.store.read().await?;
    permitted(&mut tx, &caller, Permission::DeviceView, device).await?;
    let found = rows::find(&mut tx, device, command).await?;
    found
        .map(|command| Json(command.into()))
        .ok_or_else(Problem::not_found)
}

/// Take a command back
///
/// Possible as long as it has not left for the device. Needs what ordering it needed.
#[utoipa::path(
    delete,
    path = "/api/v1/devices/{device}/commands/{command}",
    tag = "commands",
    params(
        ("device" = String, Path, description = "Which device."),
        ("command" = String, Path, description = "Which command."),
    ),
    extensions(("x-permission" = json!("device.command"))),
    responses(
        (status = 200, description = "Taken back.", body = CommandBody),
        (status = 409, description = "It has left already, or is over.", body = ProblemBody),
        Refused,
    )
)]
async fn cancel(
    State(core): State<Core>,
    caller: Caller,
    Path((device, command)): Path<(DeviceId, CommandId)>,
) -> Result<Json<CommandBody>, Problem> {
    let mut tx = core.store.write().await?;
    permitted(&mut tx, &caller, Permission::DeviceView, device).await?;
    let found = rows::find(&mut tx, device, command)
        .await?
        .ok_or_else(Problem::not_found)?;
    permitted(&mut tx, &caller, permission(found.operation), device).await?;
    if !rows::cancel(&mut tx, &found, core.now()).await? {
        let detail = "It has left for the device, or is over. Read it to see what became of it.";
        return Err(Problem::new(Code::Conflict, detail));
    }
    tx.audit(audit(&caller, &found, "command.cancel"));
    let cancelled = rows::find(&mut tx, device, command)
        .await?
        .ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    Ok(Json(cancelled.into()))
}
