//! Looks at one site: reads its devices, asks the machine, writes what follows.

use std::collections::BTreeMap;

use cloud_logic::ids::{CompanyId, DeviceId, NodeId, ProjectId, SiteId};
use cloud_logic::notices::{Act, How, Kind, Rules, Seen, Site, Subject, Watched};
use cloud_logic::rights::Scope;
use model::Timestamp;
use serde_json::{Value, json};

use super::audience::{self, News};
use super::rows::{self, New, Notice};
use super::watch::hold;
use super::{policy, texts};
use crate::core::Core;
use crate::store::{Row, StoreError, Tx, query};

/// What follows from the coming and going of devices.
const KINDS: [Kind; 4] = [
    Kind::DeviceOffline,
    Kind::DeviceUnsteady,
    Kind::SiteOutage,
    Kind::SiteUnsteady,
];

/// So many devices of an outage are named.
const NAMED: usize = 20;

/// A site, if it is there.
struct Place {
    scope: Scope,
    name: String,
    rules: Rules,
}

/// A device of the site.
struct Known {
    seen: Seen,
    name: String,
}

/// Looks at a site, in one transaction; whether the watch was ours, else nothing happened.
pub(super) async fn look(core: &Core, holder: NodeId, site: SiteId) -> Result<bool, StoreError> {
    let now = core.now();
    let mut tx = core.store.write().await?;
    if !hold(&mut tx, holder, now).await? {
        return Ok(false);
    }
    let place = place(&mut tx, site).await?;
    let rules = place
        .as_ref()
        .map_or_else(Rules::default, |place| place.rules);
    let known = devices(&mut tx, site).await?;
    let open = rows::open_at_site(&mut tx, site, &KINDS).await?;
    let subjects = open
        .iter()
        .map(|notice| (subject_of(notice, site), notice.kind));
    let mut machine = Site::new(watched(&mut tx, site).await?, subjects.collect());
    let before = machine.devices().clone();
    let seen: Vec<Seen> = known.values().map(|known| known.seen).collect();
    let acts = machine.look(&seen, rules, now);
    keep(&mut tx, site, &before, &machine).await?;
    let mut news = News::default();
    for act in acts {
        match act {
            Act::Close { subject, kind, how } => {
                let about = (kind, text_of(subject, site));
                let closed = rows::close(&mut tx, (about.0, &about.1), how.word(), now).await?;
                if how == How::Back {
                    news.over.extend(closed);
                }
            }
            Act::Open { subject, kind } => {
                // A site that is gone has no devices, and so nothing to open.
                let Some(place) = &place else { continue };
                let new = New {
                    scope: place.scope,
                    kind,
                    subject: text_of(subject, site),
                    words: words(&machine, &known, &place.name, subject),
                };
                news.opened.extend(rows::open(&mut tx, new, now).await?);
            }
        }
    }
    if let Some(place) = &place {
        let title = texts::Title::Site(place.name.clone());
        audience::write_to_all(&mut tx, core, place.scope, &title, &news).await?;
    }
    due(&mut tx, site, machine.deadline(rules, now)).await?;
    tx.commit().await?;
    Ok(true)
}

fn subject_of(notice: &Notice, site: SiteId) -> Subject {
    match notice.subject.parse::<DeviceId>() {
        Ok(device) => Subject::Device(device),
        Err(_) => {
            debug_assert_eq!(notice.subject, site.to_string());
            Subject::Site
        }
    }
}

fn text_of(subject: Subject, site: SiteId) -> String {
    match subject {
        Subject::Site => site.to_string(),
        Subject::Device(device) => device.to_string(),
    }
}

async fn place(tx: &mut Tx, site: SiteId) -> Result<Option<Place>, StoreError> {
    let asked = query("SELECT company_id, project_id, name FROM site WHERE id = $1");
    let Some(row) = tx.optional(asked.bind(site)).await? else {
        return Ok(None);
    };
    let company: CompanyId = row.parsed("company_id")?;
    let project: ProjectId = row.parsed("project_id")?;
    Ok(Some(Place {
        scope: Scope::Site(company, project, site),
        name: row.text("name")?,
        rules: policy::rules_of(tx, company).await?.rules,
    }))
}

/// Those that have been online once: what never came cannot be lost.
async fn devices(tx: &mut Tx, site: SiteId) -> Result<BTreeMap<DeviceId, Known>, StoreError> {
    let asked = query(
        "SELECT id, name, mode, presence, since FROM device
         WHERE site_id = $1 AND presence <> 'never_seen'",
    );
    let rows = tx.all(asked.bind(site)).await?;
    let known = |row: &Row| {
        let device = row.parsed("id")?;
        let seen = Seen {
            device,
            is_gateway: row.maybe_text("mode")?.as_deref() == Some("bridge"),
            online: row.text("presence")? == "online",
            since: row.time("since")?,
        };
        let name = row.text("name")?;
        Ok((device, Known { seen, name }))
    };
    rows.iter().map(known).collect()
}

async fn watched(tx: &mut Tx, site: SiteId) -> Result<BTreeMap<DeviceId, Watched>, StoreError> {
    // A device that was moved here brings along what is known of it.
    let asked = query(
        "SELECT w.device_id, w.online, w.since, w.losses, w.down, w.unsteady FROM watched w
         LEFT JOIN device d ON d.id = w.device_id
         WHERE w.site_id = $1 OR d.site_id = $1",
    );
    let rows = tx.all(asked.bind(site)).await?;
    let watched = |row: &Row| {
        let losses: Vec<i64> = row.json("losses")?;
        let watched = Watched {
            online: row.flag("online")?,
            since: row.time("since")?,
            losses: losses.into_iter().map(Timestamp::from_unix_ms).collect(),
            down: row.flag("down")?,
            unsteady: row.flag("unsteady")?,
        };
        Ok((row.parsed("device_id")?, watched))
    };
    rows.iter().map(watched).collect()
}

/// Writes down what is known now, where it is not what was known before.
async fn keep(
    tx: &mut Tx,
    site: SiteId,
    before: &BTreeMap<DeviceId, Watched>,
    now: &Site,
) -> Result<(), StoreError> {
    for device in before.keys() {
        if !now.devices().contains_key(device) {
            // One that went to another site is that one's to forget.
            let gone = query("DELETE FROM watched WHERE device_id = $1 AND site_id = $2");
            tx.execute(gone.bind(*device).bind(site)).await?;
        }
    }
    for (&device, watched) in now.devices() {
        if before.get(&device) == Some(watched) {
            continue;
        }
        let losses: Vec<i64> = watched.losses.iter().map(|loss| loss.unix_ms()).collect();
        tx.execute(
            query(
                "INSERT INTO watched (device_id, site_id, online, since, losses, down, unsteady)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)
                 ON CONFLICT (device_id) DO UPDATE SET
                     site_id = excluded.site_id, online = excluded.online,
                     since = excluded.since, losses = excluded.losses, down = excluded.down,
                     unsteady = excluded.unsteady",
            )
            .bind(device)
            .bind(site)
            .bind(watched.online)
            .bind(watched.since)
            .bind(json!(losses).to_string())
            .bind(watched.down)
            .bind(watched.unsteady),
        )
        .await?;
    }
    Ok(())
}

/// What a notice speaks of.
fn words(machine: &Site, known: &BTreeMap<DeviceId, Known>, site: &str, subject: Subject) -> Value {
    let name = |device: &DeviceId| known.get(device).map(|known| known.name.clone());
    match subject {
        Subject::Device(device) => json!({
            "site": site,
            "device": name(&device),
            "since": machine.devices().get(&device).map(|watched| watched.since.to_string()),
        }),
        Subject::Site => {
            let gone = |watched: &Watched| !watched.online || watched.down || watched.unsteady;
            let gone: Vec<&DeviceId> = machine
                .devices()
                .iter()
                .filter(|(_, watched)| gone(watched))
                .map(|(device, _)| device)
                .collect();
            let named: Vec<String> = gone.iter().copied().filter_map(name).take(NAMED).collect();
            json!({
                "site": site,
                "devices": machine.devices().len(),
                "affected": gone.len(),
                "named": named,
                "gateway": machine.gateways_are_down(),
            })
        }
    }
}

async fn due(tx: &mut Tx, site: SiteId, at: Option<Timestamp>) -> Result<(), StoreError> {
    let written = match at {
        Some(at) => query("UPDATE site_watch SET due = $2 WHERE site_id = $1")
            .bind(site)
            .bind(at),
        None => query("DELETE FROM site_watch WHERE site_id = $1").bind(site),
    };
    tx.execute(written).await?;
    Ok(())
}
