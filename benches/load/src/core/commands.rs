//! A command to a device and its answer: at the core by its interface, in its audit log and its
//! store; at the broker from a client that may speak to all.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::fleet::{Device, Identity, Packet};
use super::portal::Portal;
use super::subjects::{Cloud, Mosquitto};
use super::tell;
use crate::process::Usage;
use crate::report::Samples;

/// Commands under way.
const WINDOW: usize = 32;
const DEVICES: usize = 200;

/// Who waits for the end of which command.
#[derive(Debug, Default)]
struct Waiting(Mutex<Ends>);

#[derive(Debug, Default)]
struct Ends {
    waiting: HashMap<String, oneshot::Sender<()>>,
    /// Ended before its name was told to who ordered it.
    early: HashSet<String>,
}

impl Waiting {
    fn wait_for(&self, id: &str) -> oneshot::Receiver<()> {
        let (end, ended) = oneshot::channel();
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ends.early.remove(id) {
            // It waits below, in this very function's caller.
            let _ = end.send(());
        } else {
            ends.waiting.insert(id.to_owned(), end);
        }
        ended
    }

    fn ended(&self, id: &str) {
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match ends.waiting.remove(id) {
            // Nobody waits any more when the run is over.
            Some(end) => drop(end.send(())),
            None => drop(ends.early.insert(id.to_owned())),
        }
    }
}

struct Figures {
    per_second: f64,
    per_core: f64,
    p50: f64,
    p99: f64,
}

impl Figures {
    fn of(mut samples: Samples, cpu: f64, secs: u64) -> Self {
        let count = samples.len() as f64;
        let mut ms = |percentile| {
            let sample = samples.percentile(percentile).unwrap_or_default();
            sample.as_secs_f64() * 1e3
        };
        Self {
            per_second: count / secs as f64,
            per_core: count / cpu.max(1e-9),
            p50: ms(0.5),
            p99: ms(0.99),
        }
    }
}

pub(super) async fn run(cloud: &Cloud, mosquitto: &Mosquitto, secs: u64) -> Result<()> {
    let ours = at_core(cloud, WINDOW, secs).await?;
    let peer = at_broker(mosquitto, &cloud.fleet, WINDOW, secs).await?;
    let beside = |value| Some(("mosquitto", value));
    let rate = beside(peer.per_second);
    tell("commands per second", ours.per_second, rate, "none");
    let rate = beside(peer.per_core);
    tell(
        "commands per second and core",
        ours.per_core,
        rate,
        ">= 0.7x",
    );
    tell(
        "command to answer, p50, ms",
        ours.p50,
        beside(peer.p50),
        "none",
    );
    tell(
        "command to answer, p99, ms",
        ours.p99,
        beside(peer.p99),
        "none",
    );
    let one = at_core(cloud, 1, secs).await?;
    tell("one at a time, p50, ms", one.p50, None, "none");
    tell("one at a time, p99, ms", one.p99, None, "< 40 ms");
    Ok(())
}

async fn at_core(cloud: &Cloud, window: usize, secs: u64) -> Result<Figures> {
    let waiting = Arc::new(Waiting::default());
    let fleet: Vec<_> = cloud.fleet.iter().take(DEVICES).collect();
    let mut devices = JoinSet::new();
    for identity in &fleet {
        let device = connect(cloud.door, identity).await?;
        devices.spawn(obey(device, Some(Arc::clone(&waiting))));
    }
    let names = fleet.iter().map(|device| device.name.clone());
    let names: Arc<Vec<_>> = Arc::new(names.collect());
    let turn = Arc::new(AtomicUsize::new(0));
    let mut portals = Vec::new();
    for _ in 0..window {
        portals.push(Portal::open(cloud.api, &cloud.cookie).await?);
    }
    let before = Usage::of(&[cloud.running.pid()]).cpu_seconds;
    let until = Instant::now() + Duration::from_secs(secs);
    let mut workers = JoinSet::new();
    for mut portal in portals {
        let (names, turn) = (Arc::clone(&names), Arc::clone(&turn));
        let waiting = Arc::clone(&waiting);
        workers.spawn(async move {
            let mut samples = Samples::default();
            while Instant::now() < until {
                let number = turn.fetch_add(1, Ordering::Relaxed);
                let name = &names[number % names.len()];
                let path = format!("/api/v1/devices/{name}/commands");
                let key = format!("{window}-{number}");
                let begin = Instant::now();
                let order = json!({"op": "identify"});
                let (_, made) = portal.post(&path, &key, &order).await?;
                let id = made["id"].as_str().context("no id")?;
                waiting.wait_for(id).await?;
                samples.push(begin.elapsed());
            }
            Ok(samples)
        });
    }
    let samples = gathered(workers).await?;
    let cpu = Usage::of(&[cloud.running.pid()]).cpu_seconds - before;
    Ok(Figures::of(samples, cpu, secs))
}

async fn gathered(mut workers: JoinSet<Result<Samples>>) -> Result<Samples> {
    let mut all = Samples::default();
    while let Some(samples) = workers.join_next().await {
        all.extend(&samples??);
    }
    Ok(all)
}

async fn connect(door: SocketAddr, identity: &Identity) -> Result<Device> {
    let filter = format!("d/{}/1/down/#", identity.name);
    Device::connect(door, identity, &filter).await
}

/// Answers each command; tells when the answer is acknowledged, if anybody wants to know.
async fn obey(mut device: Device, waiting: Option<Arc<Waiting>>) -> Result<()> {
    let topic = device.up("result");
    let mut under_way = HashMap::new();
    loop {
        match device.next().await? {
            Packet::Publish { id, payload } => {
                if let Some(id) = id {
                    device.acknowledge(id).await?;
                }
                let command: Value = serde_json::from_slice(&payload)?;
                let Some(command) = command["cmd"].as_str() else {
                    continue;
                };
                let result = format!(r#"{{"cmd":"{command}","state":"done"}}"#);
                let id = device.publish(&topic, &result).await?;
                under_way.insert(id, command.to_owned());
            }
            Packet::Acknowledged(id) => {
                if let (Some(command), Some(waiting)) = (under_way.remove(&id), &waiting) {
                    waiting.ended(&command);
                }
            }
            Packet::Other(_) => {}
        }
    }
}

async fn at_broker(
    mosquitto: &Mosquitto,
    fleet: &[Identity],
    window: usize,
    secs: u64,
) -> Result<Figures> {
    let fleet: Vec<_> = fleet.iter().take(DEVICES).collect();
    let mut devices = JoinSet::new();
    for identity in &fleet {
        let device = connect(mosquitto.door, identity).await?;
        devices.spawn(obey(device, None));
    }
    let all = "d/+/1/up/result";
    let mut commander = Device::connect(mosquitto.door, &mosquitto.commander, all).await?;
    let before = Usage::of(&[mosquitto.running.pid()]).cpu_seconds;
    let until = Instant::now() + Duration::from_secs(secs);
    let mut samples = Samples::default();
    let mut begun = HashMap::new();
    let mut number = 0;
    loop {
        while begun.len() < window && Instant::now() < until {
            let name = &fleet[number % fleet.len()].name;
            let id = format!("cm-{number:026}");
            let topic = format!("d/{name}/1/down/cmd");
            let command = command(&id);
            begun.insert(id, Instant::now());
            commander.publish(&topic, &command).await?;
            number += 1;
        }
        if begun.is_empty() {
            break;
        }
        if let Packet::Publish { id, payload } = commander.next().await? {
            if let Some(id) = id {
                commander.acknowledge(id).await?;
            }
            let result: Value = serde_json::from_slice(&payload)?;
            let command = result["cmd"].as_str().unwrap_or_default();
            if let Some(begin) = begun.remove(command) {
                samples.push(begin.elapsed());
            }
        }
    }
    let cpu = Usage::of(&[mosquitto.running.pid()]).cpu_seconds - before;
    Ok(Figures::of(samples, cpu, secs))
}

/// As the core writes it.
fn command(id: &str) -> String {
    let by = "us-01JZ5W3N8Q4V7X2K9M6T1R0PAC";
    json!({
        "cmd": id, "op": "identify", "args": {}, "issued": 1_790_000_000_000_u64,
        "expires": 1_790_000_300_000_u64, "idem": "repeatable", "by": by,
    })
    .to_string()
}
