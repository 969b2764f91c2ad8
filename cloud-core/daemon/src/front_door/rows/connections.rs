//! Rows of connections: who holds a device's socket, its session, whether it is online.
//!
//! Invariant: an epoch of a device is given once, and what is written under an older epoch
//! than the row's changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud_logic::condition::Presence;
use cloud_logic::ids::{DeviceId, NodeId};
use cloud_logic::presence::{Epoch, Numbers};
use contract::document::Counter;
use contract::topic::Subscribed;
use contract::up::Hello;
use model::Timestamp;

use crate::devices::registry::rows as registry;
pub(in crate::front_door) use crate::devices::whose;
use crate::store::changes::{Change, What, Whose};
use crate::store::{Row, StoreError, Tx, query};

/// A device at the door.
#[derive(Debug, Clone, Copy)]
pub(in crate::front_door) struct Arrival {
    pub(in crate::front_door) device: DeviceId,
    pub(in crate::front_door) node: NodeId,
    pub(in crate::front_door) protocol: u8,
    pub(in crate::front_door) clean: bool,
    pub(in crate::front_door) session: Duration,
}

/// What a device finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::front_door) struct Arrived {
    pub(in crate::front_door) epoch: Epoch,
    /// Its subscriptions, if its session is still there.
    pub(in crate::front_door) session: Option<Subscribed>,
}

/// Lets a device in; `None` when there is no such device or nobody owns it.
pub(in crate::front_door) async fn arrive(
    tx: &mut Tx,
    arrival: Arrival,
    now: Timestamp,
) -> Result<Option<Arrived>, StoreError> {
    let Some(whose) = whose(tx, arrival.device).await? else {
        return Ok(None);
    };
    let before = tx
        .optional(
            query(
                "SELECT online, subscribed, session_ms, session_until FROM connection
                 WHERE device_id = $1",
            )
            .bind(arrival.device),
        )
        .await?;
    let (was_online, session) = match before {
        None => (false, None),
        Some(row) => {
            let until = row.maybe_time("session_until")?;
            let kept = row.int("session_ms")? > 0 && until.is_none_or(|until| until > now);
            let bits = u8::try_from(row.int("subscribed")?).unwrap_or(0);
            let session = Some(Subscribed::from_bits(bits)).filter(|_| kept && !arrival.clean);
            (row.flag("online")?, session)
        }
    };
    let subscribed = session.unwrap_or_default();
    let row = tx
        .one(
            query(
                "INSERT INTO connection (device_id, node_id, epoch, online, online_since, opened,
                                         protocol, subscribed, session_ms)
                 VALUES ($1, $2, 1, 1, $3, $3, $4, $5, $6)
                 ON CONFLICT (device_id) DO UPDATE SET
                     node_id = excluded.node_id, epoch = connection.epoch + 1, online = 1,
                     online_since = CASE WHEN connection.online = 1
                         THEN connection.online_since ELSE excluded.online_since END,
                     opened = excluded.opened, protocol = excluded.protocol,
                     subscribed = excluded.subscribed, session_ms = excluded.session_ms,
                     session_until = NULL, boot = NULL, conn = NULL
                 RETURNING epoch",
            )
            .bind(arrival.device)
            .bind(arrival.node)
            .bind(now)
            .bind(i64::from(arrival.protocol))
            .bind(i64::from(subscribed.bits()))
            .bind(i64::try_from(arrival.session.as_millis()).unwrap_or(i64::MAX)),
        )
        .await?;
    // Another node learns from it that its socket is an old one.
    tell(tx, "connection", arrival.device, whose, now);
    if !was_online {
        registry::is_now(tx, arrival.device, Presence::Online, now).await?;
        tell(tx, "presence", arrival.device, whose, now);
    }
    Ok(Some(Arrived {
        epoch: Epoch(row.int("epoch")?),
        session,
    }))
}

/// Whose a device is, and how long its company keeps what calls leave behind.
#[derive(Debug, Clone, Copy)]
pub(in crate::front_door) struct Owner {
    pub(in crate::front_door) whose: Whose,
    pub(in crate::front_door) call_data_days: u32,
}

/// The owners of those devices that have one.
pub(in crate::front_door) async fn owners(
    tx: &mut Tx,
    devices: impl IntoIterator<Item = DeviceId>,
) -> Result<BTreeMap<DeviceId, Owner>, StoreError> {
    let asked = query(
        "SELECT d.id, d.company_id, d.project_id, d.site_id, c.call_data_days
         FROM device d JOIN company c ON c.id = d.company_id WHERE d.id IN ",
    );
    let rows = tx.all(asked.any_of(devices)).await?;
    let owner = |row: &Row| {
        let owner = Owner {
            whose: Whose {
                company: row.maybe_parsed("company_id")?,
                project: row.maybe_parsed("project_id")?,
                site: row.maybe_parsed("site_id")?,
            },
            call_data_days: u32::try_from(row.int("call_data_days")?).unwrap_or(0),
        };
        Ok((row.parsed("id")?, owner))
    };
    rows.iter().map(owner).collect()
}

pub(in crate::front_door) fn tell(
    tx: &mut Tx,
    kind: &'static str,
    device: DeviceId,
    whose: Whose,
    at: Timestamp,
) {
    let id = device.to_string();
    let what = What::Updated;
    tx.changed(Change {
        at,
        whose,
        kind,
        id,
        what,
    });
}

/// The socket is gone; the session begins to age.
pub(in crate::front_door) async fn leave(
    tx: &mut Tx,
    device: DeviceId,
    epoch: Epoch,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        query(
            "UPDATE connection SET node_id = NULL, session_until = session_ms + $3
             WHERE device_id = $1 AND epoch = $2",
        )
        .bind(device)
        .bind(epoch.0)
        .bind(now),
    )
    .await?;
    Ok(())
}

/// The device counts as offline, unless it came back in the meantime.
pub(in crate::front_door) async fn offline(
    tx: &mut Tx,
    device: DeviceId,
    epoch: Epoch,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let touched = tx
        .execute(
            query(
                "UPDATE connection SET online = 0, online_since = $3, node_id = NULL
                 WHERE device_id = $1 AND epoch = $2 AND online = 1",
            )
            .bind(device)
            .bind(epoch.0)
            .bind(now),
        )
        .await?;
    if touched == 0 {
        return Ok(false);
    }
    registry::is_now(tx, device, Presence::Offline, now).await?;
    let whose = whose(tx, device).await?.unwrap_or_default();
    tell(tx, "presence", device, whose, now);
    Ok(true)
}

pub(in crate::front_door) async fn subscribe(
    tx: &mut Tx,
    device: DeviceId,
    epoch: Epoch,
    subscribed: Subscribed,
) -> Result<(), StoreError> {
    tx.execute(
        query("UPDATE connection SET subscribed = $3 WHERE device_id = $1 AND epoch = $2")
            .bind(device)
            .bind(epoch.0)
            .bind(i64::from(subscribed.bits())),
    )
    .await?;
    Ok(())
}

/// What a device said of itself when it came.
pub(in crate::front_door) async fn hello(
    tx: &mut Tx,
    device: DeviceId,
    epoch: Epoch,
    hello: &Hello,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mode = serde_json::to_value(hello.mode).unwrap_or_default();
    let touched = tx
        .execute(
            query(
                "UPDATE connection SET boot = $3, conn = $4, firmware = $5, revision = $6, mode = $7
                 WHERE device_id = $1 AND epoch = $2",
            )
            .bind(device)
            .bind(epoch.0)
            .bind(hello.boot.get())
            .bind(hello.conn.get())
            .bind(hello.fw.as_str())
            .bind(hello.rev.as_ref().map(contract::document::Text::as_str))
            .bind(mode.as_str()),
        )
        .await?;
    if touched > 0 {
        registry::introduced(tx, device, hello).await?;
        let whose = whose(tx, device).await?.unwrap_or_default();
        tell(tx, "device", device, whose, now);
    }
    Ok(())
}

/// The epoch that is current, and who holds it.
pub(in crate::front_door) async fn current(
    tx: &mut Tx,
    device: DeviceId,
) -> Result<Option<(Epoch, Option<NodeId>)>, StoreError> {
    let asked = query("SELECT epoch, node_id FROM connection WHERE device_id = $1").bind(device);
    let row = tx.optional(asked).await?;
    row.map(|row| Ok((Epoch(row.int("epoch")?), row.maybe_parsed("node_id")?)))
        .transpose()
}

/// A device that counts as online, and its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::front_door) struct Held {
    pub(in crate::front_door) device: DeviceId,
    pub(in crate::front_door) epoch: Epoch,
    /// As its hello told, if there was one.
    pub(in crate::front_door) numbers: Option<Numbers>,
}

impl Held {
    fn of(row: &Row) -> Result<Self, StoreError> {
        let counter = |column| {
            let counter = row.maybe_int(column)?;
            Ok::<_, StoreError>(counter.and_then(|counter| Counter::new(counter).ok()))
        };
        let numbers = counter("boot")?.zip(counter("conn")?);
        Ok(Self {
            device: row.parsed("device_id")?,
            epoch: Epoch(row.int("epoch")?),
            numbers: numbers.map(|(boot, conn)| Numbers { boot, conn }),
        })
    }
}

/// The device's connection, if `node` holds it.
pub(in crate::front_door) async fn held(
    tx: &mut Tx,
    node: NodeId,
    device: DeviceId,
) -> Result<Option<Held>, StoreError> {
    let asked = query(
        "SELECT device_id, epoch, boot, conn FROM connection
         WHERE node_id = $1 AND device_id = $2 AND online = 1",
    );
    let row = tx.optional(asked.bind(node).bind(device)).await?;
    row.as_ref().map(Held::of).transpose()
}

/// What `node` holds, after a device.
pub(in crate::front_door) async fn held_by(
    tx: &mut Tx,
    node: NodeId,
    after: Option<DeviceId>,
    limit: u32,
) -> Result<Vec<Held>, StoreError> {
    let asked = query(
        "SELECT device_id, epoch, boot, conn FROM connection
         WHERE node_id = $1 AND device_id > $2 AND online = 1 ORDER BY device_id LIMIT $3",
    );
    let after = after.map_or(String::new(), |device| device.to_string());
    let rows = tx.all(asked.bind(node).bind(after).bind(limit)).await?;
    rows.iter().map(Held::of).collect()
}

/// Devices that are held for online though nobody holds their socket, or a node that is
/// no more: their last node may have ended before it could say so.
pub(in crate::front_door) async fn abandoned(
    tx: &mut Tx,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<(DeviceId, Epoch)>, StoreError> {
    let rows = tx
        .all(
            query(
                "SELECT c.device_id, c.epoch FROM connection c
                 LEFT JOIN node n ON n.id = c.node_id
                 WHERE c.online = 1 AND c.node_id IS NOT NULL
                   AND (n.id IS NULL OR n.lease_until <= $1)
                 ORDER BY c.device_id LIMIT $2",
            )
            .bind(now)
            .bind(limit),
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.parsed("device_id")?, Epoch(row.int("epoch")?))))
        .collect()
}
