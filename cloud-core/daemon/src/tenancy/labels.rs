//! Coloured labels, each user's own: nobody else sees them (S1).

use axum::extract::State;
use axum::http::StatusCode;
use cloud_logic::ids::{DeviceId, LabelId, ProjectId, SiteId, UserId};
use cloud_logic::rights::Permission;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::place::{permitted_project, permitted_site};
use crate::api::answers::{NotMade, Refused};
use crate::api::check::{Findings, key_of};
use crate::api::{Code, Json, Path, Problem};
use crate::core::{Core, NewId};
use crate::people::Caller;
use crate::store::{StoreError, Tx, query};

/// So many labels a user may have.
const MOST: usize = 100;

const COLOURS: [&str; 8] = [
    "grey", "red", "orange", "yellow", "green", "teal", "blue", "purple",
];

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(delete))
        .routes(routes!(put_on, take_off))
}

/// A label.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Label {
    #[schema(value_type = String, example = "la-01J9ZK3V7Q8W2M4N6P0R5T1X8Y")]
    id: LabelId,
    #[serde(flatten)]
    settings: LabelSettings,
    /// What it is on: ids of projects, sites and devices.
    on: Vec<String>,
}

/// What can be set for a label.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LabelSettings {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// grey, red, orange, yellow, green, teal, blue or purple.
    #[schema(example = "teal")]
    colour: String,
}

/// All labels of a user.
#[derive(Debug, Serialize, ToSchema)]
struct Labels {
    items: Vec<Label>,
}

async fn all(tx: &mut Tx, user: UserId) -> Result<Vec<Label>, StoreError> {
    let asked = query("SELECT * FROM label WHERE user_id = $1 ORDER BY name_key").bind(user);
    let mut labels = Vec::new();
    for row in tx.all(asked).await? {
        let id: LabelId = row.parsed("id")?;
        let on = query("SELECT object_id FROM labelled WHERE label_id = $1 ORDER BY object_id");
        let on = tx.all(on.bind(id)).await?;
        labels.push(Label {
            id,
            settings: LabelSettings {
                name: row.text("name")?,
                colour: row.text("colour")?,
            },
            on: on
                .iter()
                .map(|row| row.text("object_id"))
                .collect::<Result<_, _>>()?,
        });
    }
    Ok(labels)
}

/// Your labels
#[utoipa::path(
    get,
    path = "/api/v1/me/labels",
    tag = "tenancy",
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 200, description = "All of them, by name.", body = Labels), Refused)
)]
async fn list(State(core): State<Core>, caller: Caller) -> Result<Json<Labels>, Problem> {
    let user = caller.user()?;
    let items = all(&mut core.store.read().await?, user).await?;
    Ok(Json(Labels { items }))
}

/// Make a label
#[utoipa::path(
    post,
    path = "/api/v1/me/labels",
    tag = "tenancy",
    extensions(("x-permission" = json!("signed_in"))),
    request_body = LabelSettings,
    responses((status = 201, description = "Made.", body = Label), NotMade)
)]
async fn add(
    State(core): State<Core>,
    caller: Caller,
    Json(wish): Json<LabelSettings>,
) -> Result<(StatusCode, Json<Label>), Problem> {
    let user = caller.user()?;
    let mut findings = Findings::default();
    let name = findings.name("/name", &wish.name);
    findings.one_of("/colour", &wish.colour, &COLOURS);
    findings.done()?;
    let mut tx = core.store.write().await?;
    if all(&mut tx, user).await?.len() >= MOST {
        return Err(Problem::new(
            Code::Conflict,
            "Nobody has more than a hundred labels.",
        ));
    }
    let made = Label {
        id: LabelId::new_at(caller.now),
        settings: LabelSettings { name, ..wish },
        on: Vec::new(),
    };
    let insert = query(
        "INSERT INTO label (id, user_id, name, name_key, colour) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(made.id)
    .bind(user)
    .bind(&made.settings.name)
    .bind(key_of(&made.settings.name))
    .bind(&made.settings.colour);
    tx.execute(insert).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Delete a label
#[utoipa::path(
    delete,
    path = "/api/v1/me/labels/{label}",
    tag = "tenancy",
    params(("label" = String, Path, description = "Which label.")),
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 204, description = "Gone from everything."), Refused)
)]
async fn delete(
    State(core): State<Core>,
    caller: Caller,
    Path(label): Path<LabelId>,
) -> Result<StatusCode, Problem> {
    let mut tx = core.store.write().await?;
    mine(&mut tx, &caller, label).await?;
    tx.execute(query("DELETE FROM labelled WHERE label_id = $1").bind(label))
        .await?;
    tx.execute(query("DELETE FROM label WHERE id = $1").bind(label))
        .await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn mine(tx: &mut Tx, caller: &Caller, label: LabelId) -> Result<(), Problem> {
    let asked = query("SELECT id FROM label WHERE id = $1 AND user_id = $2");
    let found = tx.optional(asked.bind(label).bind(caller.user()?)).await?;
    found.map(|_| ()).ok_or_else(Problem::not_found)
}

/// Put a label on a project, a site or a device
#[utoipa::path(
    put,
    path = "/api/v1/me/labels/{label}/on/{object}",
    tag = "tenancy",
    params(
        ("label" = String, Path, description = "Which label."),
        ("object" = String, Path, description = "The id of a project, a site or a device.")
    ),
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 204, description = "It is on."), Refused)
)]
async fn put_on(
    State(core): State<Core>,
    caller: Caller,
    Path((label, object)): Path<(LabelId, String)>,
) -> Result<StatusCode, Problem> {
    let mut tx = core.store.write().await?;
    mine(&mut tx, &caller, label).await?;
    seen(&mut tx, &caller, &object).await?;
    let insert = query(
        "INSERT INTO labelled (label_id, object_id) VALUES ($1, $2)
         ON CONFLICT (label_id, object_id) DO NOTHING",
    );
    tx.execute(insert.bind(label).bind(object)).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Only what she sees can be marked.
async fn seen(tx: &mut Tx, caller: &Caller, object: &str) -> Result<(), Problem> {
    if let Ok(project) = object.parse::<ProjectId>() {
        permitted_project(tx, caller, Permission::ProjectView, project).await?;
    } else if let Ok(site) = object.parse::<SiteId>() {
        permitted_site(tx, caller, Permission::SiteView, site).await?;
    } else if let Ok(device) = object.parse::<DeviceId>() {
        crate::devices::permitted(tx, caller, Permission::DeviceView, device).await?;
    } else {
        return Err(Problem::not_found());
    }
    Ok(())
}

/// Take a label off a project, a site or a device
#[utoipa::path(
    delete,
    path = "/api/v1/me/labels/{label}/on/{object}",
    tag = "tenancy",
    params(
        ("label" = String, Path, description = "Which label."),
        ("object" = String, Path, description = "The id of a project, a site or a device.")
    ),
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 204, description = "It is off."), Refused)
)]
async fn take_off(
    State(core): State<Core>,
    caller: Caller,
    Path((label, object)): Path<(LabelId, String)>,
) -> Result<StatusCode, Problem> {
    let mut tx = core.store.write().await?;
    mine(&mut tx, &caller, label).await?;
    let gone = query("DELETE FROM labelled WHERE label_id = $1 AND object_id = $2");
    tx.execute(gone.bind(label).bind(object)).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
