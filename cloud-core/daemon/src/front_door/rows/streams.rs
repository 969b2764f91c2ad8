//! Rows of what devices say: how far each stream is stored, events, twins.
//!
//! Invariant: a message whose (boot, seq) is not above the stream's mark changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cloud_logic::ids::DeviceId;
use contract::document::{Counter, Text};
use contract::down::Stream;
use contract::{limits, merge, up};
use model::Timestamp;
use serde_json::Value;

use super::connections::Owner;
use crate::devices::registry::rows as registry;
use crate::devices::twin::rows;
use crate::store::{Engine, Rows, StoreError, Tx, query};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn name(stream: Stream) -> &'static str {
    match stream {
        Stream::Reported => "reported",
        Stream::Event => "event",
    }
}

/// Moves a stream's mark; whether the message is a new one.
async fn advance(
    tx: &mut Tx,
    device: DeviceId,
    stream: Stream,
    boot: Counter,
    seq: Counter,
) -> Result<bool, StoreError> {
    let touched = tx
        .execute(
            query(
                "INSERT INTO link_stream (device_id, stream, boot, seq) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (device_id, stream) DO UPDATE
                     SET boot = excluded.boot, seq = excluded.seq
                 WHERE excluded.boot > link_stream.boot
                    OR (excluded.boot = link_stream.boot AND excluded.seq > link_stream.seq)",
            )
            .bind(device)
            .bind(name(stream))
            .bind(boot.get())
            .bind(seq.get()),
        )
        .await?;
    Ok(touched > 0)
}

/// How far a stream is stored: boot and sequence number.
pub(in crate::front_door) async fn mark(
    tx: &mut Tx,
    device: DeviceId,
    stream: Stream,
) -> Result<Option<(i64, i64)>, StoreError> {
    let asked = query("SELECT boot, seq FROM link_stream WHERE device_id = $1 AND stream = $2");
    let row = tx.optional(asked.bind(device).bind(name(stream))).await?;
    row.map(|row| Ok((row.int("boot")?, row.int("seq")?)))
        .transpose()
}

/// Where a message stands in its stream: boot and sequence number.
pub(in crate::front_door) type Place = (i64, i64);

/// Before every message.
const NOWHERE: Place = (-1, -1);

/// How far the streams of these devices are stored. Nobody else moves them before this transaction
/// ends.
pub(in crate::front_door) async fn hold(
    tx: &mut Tx,
    stream: Stream,
    devices: &BTreeSet<DeviceId>,
) -> Result<BTreeMap<DeviceId, Place>, StoreError> {
    let mut marks = held(tx, stream, devices).await?;
    if marks.len() < devices.len() {
        let mut rows = Rows::new(
            "INSERT INTO link_stream (device_id, stream, boot, seq) VALUES",
            4,
        )
        .on_conflict(" ON CONFLICT (device_id, stream) DO NOTHING");
        for device in devices.iter().filter(|device| !marks.contains_key(device)) {
            let (boot, seq) = NOWHERE;
            rows.bind(*device).bind(name(stream)).bind(boot).bind(seq);
        }
        tx.insert(rows).await?;
        marks = held(tx, stream, devices).await?;
    }
    Ok(marks)
}

async fn held(
    tx: &mut Tx,
    stream: Stream,
    devices: &BTreeSet<DeviceId>,
) -> Result<BTreeMap<DeviceId, Place>, StoreError> {
    let asked = query("SELECT device_id, boot, seq FROM link_stream WHERE stream = ")
        .value(name(stream))
        .text(" AND device_id IN ")
        .any_of(devices.iter().copied());
    let asked = match tx.engine() {
        // Its one writer is us.
        Engine::Sqlite => asked,
        // In one order, so that two nodes do not wait for each other.
        Engine::Postgres => asked.text(" ORDER BY device_id FOR UPDATE"),
    };
    let rows = tx.all(asked).await?;
    rows.iter()
        .map(|row| {
            let place = (row.int("boot")?, row.int("seq")?);
            Ok((row.parsed("device_id")?, place))
        })
        .collect()
}

/// Moves marks that are held.
pub(in crate::front_door) async fn move_to(
    tx: &mut Tx,
    stream: Stream,
    marks: &BTreeMap<DeviceId, Place>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(
        "INSERT INTO link_stream (device_id, stream, boot, seq) VALUES",
        4,
    )
    .on_conflict(
        " ON CONFLICT (device_id, stream) DO UPDATE SET boot = excluded.boot, seq = excluded.seq",
    );
    for (device, (boot, seq)) in marks {
        rows.bind(*device).bind(name(stream)).bind(*boot).bind(*seq);
    }
    tx.insert(rows).await?;
    Ok(())
}

/// Keeps new events of devices that are somebody's.
pub(in crate::front_door) async fn keep(
    tx: &mut Tx,
    events: &[(DeviceId, &up::Event)],
    owners: &BTreeMap<DeviceId, Owner>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(
        "INSERT INTO device_event (device_id, boot, seq, event_id, company_id, project_id,
                                   site_id, kind, at, received, expires, data) VALUES",
        12,
    );
    for (device, event) in events {
        let Some(owner) = owners.get(device) else {
            continue;
        };
        let days = u32::from(event.ttl_days.unwrap_or(limits::CALL_DATA_DAYS));
        rows.bind(*device)
            .bind(event.boot.get())
            .bind(event.seq.get())
            .bind(event.id.as_str())
            .bind(owner.whose.company)
            .bind(owner.whose.project)
            .bind(owner.whose.site)
            .bind(event.kind.as_str())
            .bind(event.ts.0.get())
            .bind(now)
            // The company's own policy may be shorter, never longer.
            .bind(now.saturating_add(DAY * days.min(owner.call_data_days)))
            .bind(event.data.to_string());
    }
    tx.insert(rows).await?;
    Ok(())
}

/// Takes over what a device reports; whether it is news.
pub(in crate::front_door) async fn reported(
    tx: &mut Tx,
    device: DeviceId,
    reported: &up::Reported,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if !advance(tx, device, Stream::Reported, reported.boot, reported.seq).await? {
        return Ok(false);
    }
    let (mut twin, _) = rows::find(tx, device).await?;
    let mut whole = match reported.full {
        true => Value::Object(serde_json::Map::new()),
        false => twin.reported.clone(),
    };
    merge::apply(&mut whole, &reported.patch);
    // Many small patches must not make one large document.
    if whole.to_string().len() <= limits::REPORTED {
        twin.reported = whole;
    }
    if let Some(applied) = &reported.applied {
        twin.applied = applied.desired.get();
        twin.errors = applied.errors.clone();
        if !applied.ok && twin.errors.is_empty() {
            twin.errors.extend(not_told());
        }
    }
    let errors = serde_json::to_string(&twin.errors).unwrap_or_else(|_| "[]".to_owned());
    tx.execute(
        query(
            "INSERT INTO twin (device_id, desired, desired_rev, reported, reported_at,
                               applied_rev, applied_errors)
             VALUES ($1, '{}', 0, $2, $3, $4, $5)
             ON CONFLICT (device_id) DO UPDATE SET
                 reported = excluded.reported, reported_at = excluded.reported_at,
                 applied_rev = excluded.applied_rev, applied_errors = excluded.applied_errors",
        )
        .bind(device)
        .bind(twin.reported.to_string())
        .bind(now)
        .bind(twin.applied)
        .bind(errors),
    )
    .await?;
    registry::concerns(tx, device, &twin).await?;
    Ok(true)
}

/// It failed, and the device does not say at what.
fn not_told() -> Option<up::ApplyError> {
    Some(up::ApplyError {
        pointer: Text::new("/").ok()?,
        code: Text::new("not-told").ok()?,
        detail: None,
    })
}

/// Settings a device shall have, and their revision.
pub(in crate::front_door) async fn desired(
    tx: &mut Tx,
    device: DeviceId,
) -> Result<Option<(i64, Value)>, StoreError> {
    let asked = query("SELECT desired_rev, desired FROM twin WHERE device_id = $1").bind(device);
    let row = tx.optional(asked).await?;
    row.map(|row| Ok((row.int("desired_rev")?, row.json("desired")?)))
        .transpose()
}
