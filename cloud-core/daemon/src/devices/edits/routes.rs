//! Edits in the portal: look, carry out, follow, take back.

#![expect(
    unused_qualifications,
    reason = "the macro that describes a route writes them for its parameters"
)]

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use cloud_logic::edits::Outcome;
use cloud_logic::ids::{CompanyId, DeviceId, EditId};
use cloud_logic::rights::{Permission, Scope};
use cloud_logic::settings;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::preview::{self, Asked, MOST_NAMED};
use super::rows::{self, Counts, Edit, Judged, Selection, Stage};
use super::run;
use crate::api::answers::{NotMade, Refused};
use crate::api::problem::ProblemBody;
use crate::api::{Code, Cursor, Finding, Json, Page, PageOf, Path, Problem, Query, Time};
use crate::core::{Core, NewId};
use crate::devices::registry::Wanted;
use crate::people::{Caller, visible_in};
use crate::store::Tx;
use crate::store::audit::Audit;

/// How long a preview may be carried out.
const FRESH: Duration = Duration::from_secs(24 * 3600);

pub(in crate::devices) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list, preview))
        .routes(routes!(read))
        .routes(routes!(devices))
        .routes(routes!(apply))
        .routes(routes!(undo))
}

/// What shall be set, and on which devices.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EditWish {
    /// Their ids, at most 1000; or else a filter.
    #[schema(value_type = Option<Vec<String>>, max_items = 1000)]
    devices: Option<Vec<DeviceId>>,
    /// As the list of devices takes it; an empty one means all that you may configure.
    #[schema(value_type = Option<Wanted>)]
    filter: Option<Map<String, Value>>,
    /// A merge patch (RFC 7396) of their settings.
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
}

impl EditWish {
    fn selection(&self) -> Result<Selection, Problem> {
        let wrong = |pointer: &str, code: &str, detail: &str| {
            Problem::invalid(vec![Finding::new(pointer, code, detail)])
        };
        match (&self.devices, &self.filter) {
            (Some(ids), None) if ids.len() > MOST_NAMED => {
                let detail = "Name at most 1000 devices, or use a filter.";
                Err(wrong("/devices", "too_many", detail))
            }
            (Some(ids), None) => {
                let mut ids = ids.clone();
                ids.sort_unstable();
                ids.dedup();
                Ok(Selection::Devices(ids))
            }
            (None, Some(filter)) => {
                let wanted: Wanted = serde_json::from_value(Value::Object(filter.clone()))
                    .map_err(|error| wrong("/filter", "wrong_shape", &error.to_string()))?;
                // A filter with a mistyped name would be a wider one.
                let known = serde_json::to_value(&wanted).unwrap_or_default();
                if let Some(name) = filter.keys().find(|name| known.get(name).is_none()) {
                    let pointer = format!("/filter/{name}");
                    return Err(wrong(&pointer, "unknown", "The list has no such filter."));
                }
                Ok(Selection::Filter(Box::new(wanted)))
            }
            (Some(_), Some(_)) | (None, None) => {
                let detail = "Send either `devices` or `filter`.";
                Err(wrong("/devices", "one_of", detail))
            }
        }
    }
}

/// One change of settings for many devices.
#[derive(Debug, Serialize, ToSchema)]
struct EditBody {
    #[schema(value_type = String, example = "ed-01J9ZK3V7Q8W2M4N6P0R5T1X8Y")]
    id: EditId,
    #[schema(value_type = String)]
    company: CompanyId,
    /// `preview`, `running` or `done`.
    #[schema(value_type = String)]
    state: Stage,
    made_by: String,
    /// What is set; empty where an edit is taken back, each device has its own then.
    #[schema(value_type = Object)]
    settings: Value,
    /// The edit that this one takes back.
    #[schema(value_type = Option<String>)]
    undoes: Option<EditId>,
    /// Of what was shown. Send it when you carry the edit out.
    hash: String,
    devices: CountsBody,
    created: Time,
    /// Until when the preview can be carried out.
    expires: Time,
    started: Option<Time>,
    ended: Option<Time>,
}

/// How many devices came to what.
#[derive(Debug, Serialize, ToSchema)]
struct CountsBody {
    /// Would change, or wait for their turn.
    waiting: i64,
    /// Are to be set like this already.
    same: i64,
    /// Do not take it; `GET .../devices` says why.
    refused: i64,
    /// Shall be set like this from now on.
    changed: i64,
    /// Were set otherwise, or gone, when their turn came.
    skipped: i64,
    /// Of those changed: have answered that they have it.
    taken: i64,
}

impl From<Counts> for CountsBody {
    fn from(counts: Counts) -> Self {
        Self {
            waiting: counts.waiting,
            same: counts.same,
            refused: counts.refused,
            changed: counts.changed,
            skipped: counts.skipped,
            taken: counts.taken,
        }
    }
}

async fn body(tx: &mut Tx, edit: Edit) -> Result<EditBody, Problem> {
    let counts = rows::counts(tx, edit.id).await?;
    Ok(EditBody {
        id: edit.id,
        company: edit.company,
        state: edit.stage,
        made_by: edit.made_by,
        settings: edit.patch,
        undoes: match edit.selection {
            Selection::Undo(id) => Some(id),
            Selection::Devices(_) | Selection::Filter(_) => None,
        },
        hash: edit.hash,
        devices: counts.into(),
        created: Time(edit.created),
        expires: Time(edit.expires),
        started: edit.started.map(Time),
        ended: edit.ended.map(Time),
    })
}

/// An edit that the caller has to do with: her own, or one of a company that she configures.
async fn permitted(tx: &mut Tx, caller: &Caller, id: EditId) -> Result<Edit, Problem> {
    let edit = rows::find(tx, id).await?.ok_or_else(Problem::not_found)?;
    let whole = Scope::Company(edit.company);
    let all = caller.require(Permission::DeviceConfigure, &whole).is_ok();
    let own = edit.made_by == caller.actor().name
        && visible_in(caller, Permission::DeviceConfigure, edit.company).is_ok();
    if all || own {
        Ok(edit)
    } else {
        Err(Problem::not_found())
    }
}

/// See what a change of settings would do to many devices
///
/// Changes nothing yet: it says of each device whether it would change, is so already, or does not
/// take it and why. Carry it out with its `hash` within a day. At most 10,000 devices.
#[utoipa::path(
    post,
    path = "/api/v1/companies/{company}/edits",
    tag = "devices",
    params(("company" = String, Path, description = "Whose devices.")),
    extensions(("x-permission" = json!("device.configure"))),
    request_body = EditWish,
    responses((status = 201, description = "The preview.", body = EditBody), NotMade)
)]
async fn preview(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Json(wish): Json<EditWish>,
) -> Result<(StatusCode, Json<EditBody>), Problem> {
    visible_in(&caller, Permission::DeviceConfigure, company)?;
    let selection = wish.selection()?;
    // What no device takes is told here; what some do not, device by device.
    settings::check(&wish.settings, None).map_err(|refusals| {
        let at = |one: &settings::Refusal| format!("/settings{}", one.pointer());
        let finding = |one| Finding::new(&at(one), one.code(), one.to_string());
        Problem::invalid(refusals.iter().map(finding).collect())
    })?;
    make(&core, &caller, company, (selection, wish.settings)).await
}

async fn make(
    core: &Core,
    caller: &Caller,
    company: CompanyId,
    (selection, patch): (Selection, Map<String, Value>),
) -> Result<(StatusCode, Json<EditBody>), Problem> {
    let asked = Asked {
        caller,
        company,
        selection: &selection,
        patch: &patch,
    };
    // Others can write while the devices are judged.
    let mut tx = core.store.read().await?;
    let looked = preview::look(&mut tx, asked).await?;
    drop(tx);
    let edit = Edit {
        id: EditId::new_at(caller.now),
        company,
        made_by: caller.actor().name,
        selection,
        patch: Value::Object(patch),
        hash: looked.hash,
        stage: Stage::Preview,
        created: caller.now,
        expires: caller.now.saturating_add(FRESH),
        started: None,
        ended: None,
    };
    let mut tx = core.store.write().await?;
    rows::insert(&mut tx, &edit, &looked.devices).await?;
    let body = body(&mut tx, edit).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(body)))
}

/// Edits of a company, the newest first
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/edits",
    tag = "devices",
    params(("company" = String, Path, description = "Which company."), PageOf),
    extensions(("x-permission" = json!("device.configure"))),
    responses((status = 200, description = "Your own; all, where you configure the whole company.", body = Page<EditBody>), Refused)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<EditBody>>, Problem> {
    visible_in(&caller, Permission::DeviceConfigure, company)?;
    let limit = page.limit()?;
    let before = match page.cursor()? {
        None => None,
        Some(cursor) => Some(cursor.id.parse().map_err(|_| not_a_cursor())?),
    };
    let whole = Scope::Company(company);
    let all = caller.require(Permission::DeviceConfigure, &whole).is_ok();
    let name = caller.actor().name;
    let whose = (company, Some(name.as_str()).filter(|_| !all));
    let mut tx = core.store.read().await?;
    let mut bodies = Vec::new();
    for edit in rows::of_company(&mut tx, whose, before, limit + 1).await? {
        bodies.push(body(&mut tx, edit).await?);
    }
    Ok(Json(Page::of(bodies, limit, |edit| Cursor {
        key: String::new(),
        id: edit.id.to_string(),
    })))
}

fn not_a_cursor() -> Problem {
    let detail = "Use next_cursor of an answer, unchanged.";
    Problem::invalid(vec![Finding::new("?cursor", "not_a_cursor", detail)])
}

/// An edit, and how far it is
#[utoipa::path(
    get,
    path = "/api/v1/edits/{edit}",
    tag = "devices",
    params(("edit" = String, Path, description = "Which edit.")),
    extensions(("x-permission" = json!("device.configure"))),
    responses((status = 200, description = "It.", body = EditBody), Refused)
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<EditId>,
) -> Result<Json<EditBody>, Problem> {
    let mut tx = core.store.read().await?;
    let edit = permitted(&mut tx, &caller, id).await?;
    Ok(Json(body(&mut tx, edit).await?))
}

/// A device of an edit.
#[derive(Debug, Serialize, ToSchema)]
struct EditedDevice {
    #[schema(value_type = String)]
    device: DeviceId,
    /// Null where it is no longer the company's.
    name: Option<String>,
    /// `waiting`, `same`, `refused`, `changed` or `skipped`.
    #[schema(value_type = String)]
    outcome: Outcome,
    /// Why, for programs and for translation.
    code: Option<String>,
    detail: Option<String>,
}

impl EditedDevice {
    fn of((judged, name): (Judged, Option<String>)) -> Self {
        Self {
            device: judged.device,
            name,
            outcome: judged.outcome,
            code: judged.code,
            detail: judged.detail,
        }
    }
}

/// Which devices of an edit are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Outcomes {
    /// Only those that came to this.
    #[param(value_type = Option<String>)]
    outcome: Option<Outcome>,
}

/// Devices of an edit, and what became of each
#[utoipa::path(
    get,
    path = "/api/v1/edits/{edit}/devices",
    tag = "devices",
    params(("edit" = String, Path, description = "Which edit."), Outcomes, PageOf),
    extensions(("x-permission" = json!("device.configure"))),
    responses((status = 200, description = "A part of them.", body = Page<EditedDevice>), Refused)
)]
async fn devices(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<EditId>,
    Query(wanted): Query<Outcomes>,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<EditedDevice>>, Problem> {
    let (limit, after) = (page.limit()?, page.cursor()?);
    let mut tx = core.store.read().await?;
    let edit = permitted(&mut tx, &caller, id).await?;
    let after = after.as_ref().map(|cursor| cursor.id.as_str());
    let found = rows::devices(&mut tx, &edit, (wanted.outcome, after), limit + 1).await?;
    let devices = found.into_iter().map(EditedDevice::of).collect();
    Ok(Json(Page::of(devices, limit, |device| Cursor {
        key: String::new(),
        id: device.device.to_string(),
    })))
}

/// What was shown and is to be done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Apply {
    /// Of the preview.
    #[schema(max_length = 100)]
    hash: String,
}

/// Carry an edit out
///
/// Only as it was shown: where devices came, went or were set otherwise since, nothing is done. It is
/// worked on in the background, whatever becomes of this node; `GET` tells how far it is, and the
/// stream of events says `edit`. Sent twice it is done once.
#[utoipa::path(
    post,
    path = "/api/v1/edits/{edit}/apply",
    tag = "devices",
    params(("edit" = String, Path, description = "Which edit.")),
    extensions(("x-permission" = json!("device.configure"))),
    request_body = Apply,
    responses(
        (status = 202, description = "It is worked on, or done.", body = EditBody),
        (status = 409, description = "It is no longer as it was shown.", body = ProblemBody),
        NotMade,
    )
)]
async fn apply(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<EditId>,
    Json(wish): Json<Apply>,
) -> Result<(StatusCode, Json<EditBody>), Problem> {
    let mut tx = core.store.write().await?;
    let edit = permitted(&mut tx, &caller, id).await?;
    let changed = || {
        let detail = "Devices came, went, or were set otherwise since the preview. Make a new one.";
        Problem::new(Code::Conflict, detail)
    };
    if wish.hash != edit.hash {
        return Err(changed());
    }
    if edit.stage == Stage::Preview {
        let patch = edit.patch.as_object().cloned().unwrap_or_default();
        let asked = Asked {
            caller: &caller,
            company: edit.company,
            selection: &edit.selection,
            patch: &patch,
        };
        let now = preview::look(&mut tx, asked).await?;
        if now.hash != edit.hash || edit.expires <= caller.now {
            return Err(changed());
        }
        if !rows::start(&mut tx, id, caller.now).await? {
            return Err(changed());
        }
        tx.audit(Audit {
            at: caller.now,
            company: Some(edit.company),
            actor: caller.actor(),
            action: "edit.apply",
            object_kind: "edit",
            object_id: id.to_string(),
            before: None,
            after: Some(json!({"settings": edit.patch, "hash": edit.hash})),
        });
        tx.changed(run::told(&core, &edit));
    }
    let edit = permitted(&mut tx, &caller, id).await?;
    let body = body(&mut tx, edit).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(body)))
}

/// See what taking an edit back would do
///
/// A preview like any other, to be carried out with its own `hash`: each device goes back to what it
/// was to be before. Devices on which something of it was changed since are left as they are.
#[utoipa::path(
    post,
    path = "/api/v1/edits/{edit}/undo",
    tag = "devices",
    params(("edit" = String, Path, description = "Which edit.")),
    extensions(("x-permission" = json!("device.configure"))),
    responses(
        (status = 201, description = "The preview.", body = EditBody),
        (status = 409, description = "It is not done yet.", body = ProblemBody),
        Refused,
    )
)]
async fn undo(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<EditId>,
) -> Result<(StatusCode, Json<EditBody>), Problem> {
    let mut tx = core.store.read().await?;
    let edit = permitted(&mut tx, &caller, id).await?;
    drop(tx);
    if edit.stage != Stage::Done {
        let detail = "Only what is done can be taken back. A preview simply expires.";
        return Err(Problem::new(Code::Conflict, detail));
    }
    let selection = Selection::Undo(id);
    make(&core, &caller, edit.company, (selection, Map::new())).await
}
