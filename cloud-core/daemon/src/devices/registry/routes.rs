//! Routes: the list with its search, one device, its name and its place.

#![expect(
    unused_qualifications,
    reason = "the macro that describes a route writes them for its parameters"
)]

use axum::extract::State;
use cloud_logic::catalogue::Mode;
use cloud_logic::condition::{Concern, Presence};
use cloud_logic::ids::{CompanyId, DeviceId, FolderId, ProjectId, SiteId};
use cloud_logic::rights::{Permission, Scope};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::rows::{self, Sorted};
use super::wanted::{Order, Wanted};
use crate::api::answers::{NotMade, Refused, Stale};
use crate::api::check::{Findings, key_of};
use crate::api::{Cursor, IfMatch, Json, Page, PageOf, Path, Problem, Query, Time, Versioned};
use crate::core::Core;
use crate::devices::{permitted, twin};
use crate::people::{Caller, visible_in};
use crate::store::changes::What;
use crate::store::{Tx, query};
use crate::tenancy::{Told, of_site, project_of_folder, tell};

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read, change))
}

/// A device, as it is now.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Device {
    #[schema(value_type = String, example = "de-01J9ZK3V7Q8W2M4N6P0R5T1X8Y")]
    id: DeviceId,
    #[schema(value_type = String)]
    company: CompanyId,
    #[schema(value_type = String)]
    project: ProjectId,
    #[schema(value_type = String)]
    site: SiteId,
    site_name: String,
    #[schema(value_type = Option<String>)]
    folder: Option<FolderId>,
    name: String,
    model: String,
    serial_number: String,
    /// Of the hardware; null until the device has told it.
    revision: Option<String>,
    /// `cloud`, `managed`, `on_prem_mesh` or `bridge`.
    #[schema(value_type = Option<String>)]
    mode: Option<Mode>,
    /// As it said when it came last.
    firmware: Option<String>,
    /// `online`, `offline` or `never_seen`.
    #[schema(value_type = String)]
    presence: Presence,
    /// Since when it is so.
    since: Time,
    /// What somebody should look at: `fault`, `settings_failed`, `settings_differ`, `firmware_old`.
    #[schema(value_type = Vec<String>)]
    attention: Vec<Concern>,
    settings: SettingsState,
    claimed: Time,
    #[serde(skip)]
    key: String,
}

/// How far the device has its settings.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
struct SettingsState {
    /// `none`, `pending`, `applied` or `failed`.
    #[schema(example = "applied")]
    state: &'static str,
    /// Counts the changes.
    desired: i64,
    /// The last of them that the device has taken.
    applied: i64,
}

/// One device, with what a list leaves out.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct DeviceInFull {
    #[serde(flatten)]
    device: Device,
    notes: String,
}

impl Device {
    fn of(row: rows::Device, order: Order) -> Self {
        let state = match (row.desired_rev, row.applied_rev) {
            (0, _) => "none",
            (desired, applied) if applied < desired => "pending",
            _ if row.attention.has(Concern::SettingsFailed) => "failed",
            _ => "applied",
        };
        let key = match order {
            Order::Name => key_of(&row.name),
            Order::Since | Order::SinceNewest => row.since.unix_ms().to_string(),
        };
        Self {
            id: row.id,
            company: row.company,
            project: row.project,
            site: row.site,
            site_name: row.site_name,
            folder: row.folder,
            name: row.name,
            model: row.model,
            serial_number: row.serial_number,
            revision: row.revision,
            mode: row.mode,
            firmware: row.firmware,
            presence: row.presence,
            since: Time(row.since),
            attention: row.attention.iter().collect(),
            settings: SettingsState {
                state,
                desired: row.desired_rev,
                applied: row.applied_rev,
            },
            claimed: Time(row.created),
            key,
        }
    }
}

/// How the list is sorted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Sorting {
    /// By name; or by the moment since when a device is online or offline, `-since` the newest first.
    #[serde(default)]
    #[param(inline)]
    sort: Order,
}

/// Devices of a company
///
/// Lists, filters and searches. Live: `presence` and `attention` are of this moment, and changes of
/// them come as `presence`, `device` and `twin` in the stream of events.
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/devices",
    tag = "devices",
    params(("company" = String, Path, description = "Which company."), Wanted, Sorting, PageOf),
    extensions(("x-permission" = json!("device.view"))),
    responses((status = 200, description = "Those you see.", body = Page<Device>), Refused)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Query(wanted): Query<Wanted>,
    Query(sorting): Query<Sorting>,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<Device>>, Problem> {
    let visible = visible_in(&caller, Permission::DeviceView, company)?;
    let (limit, after) = (page.limit()?, page.cursor()?);
    let order = sorting.sort;
    // The inner statement is answered by the index alone; only what is shown is read in full.
    let asked = query("SELECT ")
        .text(rows::COLUMNS)
        .text(" FROM (SELECT id FROM device WHERE ");
    let mut asked = wanted.conditions(asked, (&caller, &visible, company))?;
    if let Some(after) = after {
        asked = order.after(asked, &after.key, &after.id)?;
    }
    let asked = asked
        .text(order.inner())
        .value(limit + 1)
        .text(") p JOIN device d ON d.id = p.id")
        .text(rows::BESIDE)
        .text(order.outer());
    let found = core.store.read().await?.all(asked).await?;
    let devices = found
        .iter()
        .map(|row| Ok(Device::of(rows::Device::of(row)?, order)))
        .collect::<Result<Vec<_>, Problem>>()?;
    Ok(Json(Page::of(devices, limit, |device| Cursor {
        key: device.key.clone(),
        id: device.id.to_string(),
    })))
}

/// One device
#[utoipa::path(
    get,
    path = "/api/v1/devices/{device}",
    tag = "devices",
    params(("device" = String, Path, description = "Which device.")),
    extensions(("x-permission" = json!("device.view"))),
    responses((status = 200, description = "It.", body = DeviceInFull), Refused)
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<DeviceId>,
) -> Result<Versioned<DeviceInFull>, Problem> {
    let mut tx = core.store.read().await?;
    permitted(&mut tx, &caller, Permission::DeviceView, id).await?;
    in_full(&mut tx, id).await
}

async fn in_full(tx: &mut Tx, id: DeviceId) -> Result<Versioned<DeviceInFull>, Problem> {
    let row = rows::find(tx, id).await?.ok_or_else(Problem::not_found)?;
    let (version, notes) = (row.version, row.notes.clone());
    let device = Device::of(row, Order::Name);
    Ok(Versioned(version, DeviceInFull { device, notes }))
}

/// What is to be different; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct DeviceChange {
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    #[schema(max_length = 1000)]
    notes: Option<String>,
    /// Another site of the same company, where you may configure devices too.
    #[schema(value_type = Option<String>)]
    site: Option<SiteId>,
    /// A folder of the site's project; null for none.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    folder: Option<Option<FolderId>>,
}

/// Null is something else than nothing.
fn given<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

impl DeviceChange {
    /// What the device will be, and its project.
    async fn check(
        self,
        tx: &mut Tx,
        caller: &Caller,
        device: &rows::Device,
    ) -> Result<(Sorted, ProjectId), Problem> {
        let mut findings = Findings::default();
        let mut sorted = Sorted::of(device);
        if let Some(name) = self.name {
            sorted.name = findings.name("/name", &name);
        }
        if let Some(notes) = self.notes {
            sorted.notes = notes_of(&mut findings, &notes);
        }
        let mut project = device.project;
        if let Some(site) = self.site.filter(|site| *site != device.site) {
            match of_site(tx, site).await? {
                Some(Scope::Site(company, of, _)) if company == device.company => {
                    caller.require(Permission::DeviceConfigure, &Scope::Site(company, of, site))?;
                    if of != project {
                        // A folder belongs to a project, and stays there.
                        sorted.folder = None;
                    }
                    (sorted.site, project) = (site, of);
                }
                _ => findings.add("/site", "no_such_site", "The company has no such site."),
            }
        }
        if let Some(folder) = self.folder {
            sorted.folder = folder;
            if let Some(folder) = folder
                && project_of_folder(tx, folder).await? != Some(project)
            {
                let detail = "The project of the site has no such folder.";
                findings.add("/folder", "no_such_folder", detail);
            }
        }
        findings.done()?;
        Ok((sorted, project))
    }
}

/// Several lines, without other control characters.
fn notes_of(findings: &mut Findings, notes: &str) -> String {
    let lines: Vec<_> = notes.trim().lines().map(str::trim_end).collect();
    for line in &lines {
        findings.words("/notes", line, 0, 1000);
    }
    let notes = lines.join("\n");
    if notes.chars().count() > 1000 && lines.len() > 1 {
        findings.add("/notes", "too_long", "Write at most 1000 characters.");
    }
    notes
}

/// Rename a device, write notes, put it elsewhere
#[utoipa::path(
    patch,
    path = "/api/v1/devices/{device}",
    tag = "devices",
    params(
        ("device" = String, Path, description = "Which device."),
        ("if-match" = String, Header, description = "The ETag that was read.")
    ),
    extensions(("x-permission" = json!("device.configure"))),
    request_body = DeviceChange,
    responses((status = 200, description = "As it is now.", body = DeviceInFull), NotMade, Stale)
)]
async fn change(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<DeviceId>,
    version: IfMatch,
    Json(wish): Json<DeviceChange>,
) -> Result<Versioned<DeviceInFull>, Problem> {
    let mut tx = core.store.write().await?;
    let scope = permitted(&mut tx, &caller, Permission::DeviceConfigure, id).await?;
    let device = rows::find(&mut tx, id)
        .await?
        .ok_or_else(Problem::not_found)?;
    version.check(device.version)?;
    let before = Sorted::of(&device);
    let (sorted, project) = wish.check(&mut tx, &caller, &device).await?;
    version.changed(rows::sort(&mut tx, &device, &sorted, project).await?)?;
    let told = |scope| Told {
        scope,
        action: "device.change",
        kind: "device",
        id: id.to_string(),
        what: What::Updated,
        before: Some(json!(before)),
        after: Some(json!(sorted)),
    };
    if sorted.site != device.site {
        // Those who see only the old place learn that it has left.
        tx.changed(crate::store::changes::Change {
            at: caller.now,
            whose: scope.into(),
            kind: "device",
            id: id.to_string(),
            what: What::Updated,
        });
    }
    let now_in = Scope::Site(device.company, project, sorted.site);
    tell(&mut tx, &caller, told(now_in));
    if sorted.name != device.name {
        // The device shows its name, too.
        let (twin, _) = twin::rows::find(&mut tx, id).await?;
        let patch = json!({"name": sorted.name});
        twin::set(
            &mut tx,
            &twin::By::caller(&caller),
            (id, now_in.into()),
            &twin,
            &patch,
        )
        .await?;
    }
    let answer = in_full(&mut tx, id).await?;
    tx.commit().await?;
    Ok(answer)
}
