//! Messages of devices, each acknowledged after it is committed; and how soon a page hears of a
//! change while they come in.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use rusqlite::Connection;
use tokio::task::JoinSet;

use super::fleet::{Device, Identity, Packet};
use super::portal::Portal;
use super::subjects::Cloud;
use super::tell;
use crate::process::Usage;
use crate::report::Samples;

/// Devices that send at once, each with as many unacknowledged as the link allows.
const SENDERS: usize = 200;
const IN_FLIGHT: usize = 20;

/// As many as the core commits at once.
const PORTION: usize = 500;

/// An answer that takes longer does not come.
const LATEST: Duration = Duration::from_secs(30);

/// Between two changes whose way to the page is measured.
const PAUSE: Duration = Duration::from_millis(100);

/// For how long, and how many a second if not as many as can be.
pub(super) async fn run(
    cloud: &Cloud,
    folder: &Path,
    (secs, rate): (u64, Option<u32>),
) -> Result<()> {
    let (watched, senders) = cloud.fleet.split_first().context("no devices")?;
    let time = Duration::from_secs(secs);
    let until = Instant::now() + time;
    let before = Usage::of(&[cloud.running.pid()]).cpu_seconds;
    let taken = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for identity in senders.iter().take(SENDERS) {
        let taken = Arc::clone(&taken);
        let pause = rate.map(|rate| Duration::from_secs(1) * SENDERS as u32 / rate.max(1));
        let pace = Pace { until, pause };
        tasks.spawn(send(cloud.door, identity.clone(), taken, pace));
    }
    let mut heard = hear(cloud, watched, until).await?;
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let taken = taken.load(Ordering::Relaxed) as f64;
    let cpu = Usage::of(&[cloud.running.pid()]).cpu_seconds - before;
    let peer = Some(("bare SQLite", bare(folder, time)?));
    let rate = taken / secs as f64;
    tell("committed messages per second", rate, peer, ">= 10000");
    tell(
        "the same, CPU of one, us",
        cpu / taken * 1e6,
        None,
        "<= 100",
    );
    let p95 = heard.percentile(0.95).context("no change was heard")?;
    let p95 = p95.as_secs_f64() * 1e3;
    tell("a change at a page meanwhile, p95, ms", p95, None, "<= 300");
    Ok(())
}

/// Reports of one device among the load, each until its change is at the page.
async fn hear(cloud: &Cloud, watched: &Identity, until: Instant) -> Result<Samples> {
    let page = Portal::open(cloud.api, &cloud.cookie).await?;
    let mut page = page.listen().await?;
    let mut device = connect(cloud.door, watched).await?;
    let mut samples = Samples::default();
    let boot = boot();
    for seq in 1.. {
        if Instant::now() > until {
            break;
        }
        let report = format!(
            r#"{{"seq":{seq},"boot":{boot},"ts":1,"full":true,"patch":{{"volume":{seq}}}}}"#
        );
        let topic = device.up("reported");
        let begin = Instant::now();
        device.publish(&topic, &report).await?;
        loop {
            let (kind, id) = page.next().await?;
            if kind == "twin" && id == device.name {
                break;
            }
        }
        samples.push(begin.elapsed());
        while !matches!(device.next().await?, Packet::Acknowledged(_)) {}
        tokio::time::sleep(PAUSE).await;
    }
    Ok(samples)
}

async fn connect(door: SocketAddr, identity: &Identity) -> Result<Device> {
    let filter = format!("d/{}/1/down/cmd", identity.name);
    Device::connect(door, identity, &filter).await
}

/// Later than in every run before.
fn boot() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| now.as_secs())
}

async fn send(
    door: SocketAddr,
    identity: Identity,
    taken: Arc<AtomicU64>,
    Pace { until, pause }: Pace,
) -> Result<()> {
    let mut device = connect(door, &identity).await?;
    let (topic, boot) = (device.up("event"), boot());
    let mut under_way = 0;
    let mut seq = 0;
    // Not all at the same moment.
    let phase = u32::from(identity.name.bytes().next_back().unwrap_or(0) % 32);
    let mut next = Instant::now() + pause.unwrap_or_default() * phase / 32;
    loop {
        while under_way < IN_FLIGHT && Instant::now() < until && Instant::now() >= next {
            seq += 1;
            device.publish(&topic, &event(boot, seq)).await?;
            under_way += 1;
            next += pause.unwrap_or_default();
        }
        if under_way == 0 && Instant::now() >= until {
            return Ok(());
        }
        let may_send = under_way < IN_FLIGHT && Instant::now() < until;
        let wake = if may_send { next } else { until + LATEST };
        tokio::select! {
            packet = device.next() => if let Packet::Acknowledged(_) = packet? {
                under_way -= 1;
                taken.fetch_add(u64::from(Instant::now() < until), Ordering::Relaxed);
            },
            () = tokio::time::sleep_until(wake.into()) => ensure!(may_send, "no answer any more"),
        }
    }
}

/// How a device sends.
#[derive(Debug, Clone, Copy)]
struct Pace {
    until: Instant,
    /// Between two messages.
    pause: Option<Duration>,
}

fn event(boot: u64, seq: u64) -> String {
    let id = "01JZ5W3N8Q4V7X2K9M6T1R0PAC";
    format!(
        r#"{{"seq":{seq},"boot":{boot},"ts":1,"type":"call.ended","id":"{id}","data":{{"seconds":31}}}}"#
    )
}

/// The same rows into the same engine with nothing around it, rows per second.
fn bare(folder: &Path, time: Duration) -> Result<f64> {
    let mut database = Connection::open(folder.join("bare.db"))?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute_batch(
        "CREATE TABLE event (device_id TEXT, boot BIGINT, seq BIGINT, event_id TEXT,
             company_id TEXT, kind TEXT, at BIGINT, received BIGINT, expires BIGINT, data TEXT);
         CREATE INDEX of_device ON event (device_id, received);
         CREATE INDEX age ON event (expires);
         CREATE INDEX of_company ON event (company_id, received);",
    )?;
    let begin = Instant::now();
    let mut rows = 0;
    while begin.elapsed() < time {
        portion(&mut database, rows)?;
        rows += PORTION;
    }
    Ok(rows as f64 / begin.elapsed().as_secs_f64())
}

fn portion(database: &mut Connection, from: usize) -> Result<()> {
    let transaction = database.transaction()?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO event VALUES (?1, 1, ?2, ?3, ?4, 'call.ended', ?2, ?2, ?2, ?5)",
    )?;
    for row in from..from + PORTION {
        let device = format!("de-{:026}", row % SENDERS);
        let company = "co-00000000000000000000000001";
        let id = "01JZ5W3N8Q4V7X2K9M6T1R0PAC";
        insert.execute((device, row as i64, id, company, "{\"seconds\":31}"))?;
    }
    drop(insert);
    Ok(transaction.commit()?)
}
