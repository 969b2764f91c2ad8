//! What a device said that happened, the newest first.
//!
//! Events of calls tell of people: they are shown to those who may see reports of calls, and their
//! content to those who may see who called.

#![expect(
    unused_qualifications,
    reason = "the macro that describes a route writes them for its parameters"
)]

use axum::extract::State;
use cloud_logic::ids::DeviceId;
use cloud_logic::rights::{Decision, Permission};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::permitted;
use crate::api::answers::Refused;
use crate::api::{Cursor, Finding, Json, Page, PageOf, Path, Problem, Query, Time};
use crate::core::Core;
use crate::people::Caller;
use crate::store::query;

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
struct DeviceEvent {
    /// Made where it happened; both ends of a call may tell of the same.
    id: String,
    #[schema(example = "door.opened")]
    kind: String,
    /// By the device's clock.
    at: Time,
    /// By the core's.
    received: Time,
    /// Null where you may not see who called.
    #[schema(value_type = Option<Object>)]
    data: Option<Value>,
    /// Counts starts of the device, and what it said since.
    #[serde(skip)]
    place: (i64, i64),
}

/// Which events are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Kinds {
    /// Only those whose kind begins so: `door.`, `call.ended`.
    #[param(max_length = 64)]
    kind: Option<String>,
}

/// What happened at a device, the newest first
///
/// Events of calls (`call.`) need `call_report.view`, and `call_party.view` for what they tell.
#[utoipa::path(
    get,
    path = "/api/v1/devices/{device}/events",
    tag = "devices",
    params(("device" = String, Path, description = "Which device."), Kinds, PageOf),
    extensions(("x-permission" = json!("device.view"))),
    responses((status = 200, description = "A part of them.", body = Page<DeviceEvent>), Refused)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Path(device): Path<DeviceId>,
    Query(kinds): Query<Kinds>,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<DeviceEvent>>, Problem> {
    let (limit, after) = (page.limit()?, page.cursor()?);
    let mut tx = core.store.read().await?;
    let scope = permitted(&mut tx, &caller, Permission::DeviceView, device).await?;
    let may =
        |permission| caller.rights.decide(permission, &scope, caller.now) == Decision::Allowed;
    let mut asked = query(
        "SELECT boot, seq, event_id, kind, at, received, data FROM device_event
         WHERE device_id = $1 AND expires > $2",
    )
    .bind(device)
    .bind(core.now());
    if let Some(kind) = &kinds.kind {
        asked = asked.begins("kind", kind);
    }
    if !may(Permission::CallReportView) {
        asked = asked.text(" AND lower(kind) NOT LIKE 'call.%'");
    }
    if let Some(after) = after {
        let (received, boot, seq) = place(&after)?;
        asked = asked
            .text(" AND (received, boot, seq) < (")
            .value(received)
            .text(", ")
            .value(boot)
            .text(", ")
            .value(seq)
            .text(")");
    }
    let asked = asked.text(" ORDER BY received DESC, boot DESC, seq DESC LIMIT ");
    let of_people = may(Permission::CallPartyView);
    let mut events = Vec::new();
    for row in tx.all(asked.value(limit + 1)).await? {
        let kind = row.text("kind")?;
        let of_call = kind.to_ascii_lowercase().starts_with("call.");
        events.push(DeviceEvent {
            id: row.text("event_id")?,
            at: Time(row.time("at")?),
            received: Time(row.time("received")?),
            data: match of_call && !of_people {
                true => None,
                false => Some(row.json("data")?),
            },
            kind,
            place: (row.int("boot")?, row.int("seq")?),
        });
    }
    Ok(Json(Page::of(events, limit, |event| Cursor {
        key: event.received.0.unix_ms().to_string(),
        id: format!("{}.{}", event.place.0, event.place.1),
    })))
}

fn place(after: &Cursor) -> Result<(i64, i64, i64), Problem> {
    let read = || {
        let (boot, seq) = after.id.split_once('.')?;
        let number = |text: &str| text.parse::<i64>().ok();
        Some((number(&after.key)?, number(boot)?, number(seq)?))
    };
    read().ok_or_else(|| {
        let detail = "Use next_cursor of an answer, unchanged.";
        Problem::invalid(vec![Finding::new("?cursor", "not_a_cursor", detail)])
    })
}
