//! What a device costs that is connected, has said what it is, and then says nothing.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;

use super::fleet::{Device, Identity};
use super::subjects::{Cloud, Mosquitto};
use super::tell;
use crate::process::Usage;

/// Connected before it is measured, so that what a process takes once is not counted.
const FIRST: usize = 100;

const HELLO: &str = r#"{"boot":1,"conn":1,"fw":"1.0.0.0","rev":"AA","mode":"bridge",
    "have":{"desired":0},"outbox":{"from":1,"n":0}}"#;

const REPORTED: &str = r#"{"seq":1,"boot":1,"ts":1,"full":true,
    "patch":{"volume":7,"microphone":5,"name":"gate"}}"#;

pub(super) async fn run(cloud: &Cloud, mosquitto: &Mosquitto) -> Result<()> {
    let ours = measure(cloud.door, cloud.running.pid(), &cloud.fleet).await?;
    let peer = measure(mosquitto.door, mosquitto.running.pid(), &cloud.fleet).await?;
    let peer = Some(("mosquitto", peer));
    tell("memory of a connected device, kB", ours, peer, "<= 10 kB");
    Ok(())
}

/// Kilobytes of a device.
async fn measure(door: SocketAddr, pid: i32, fleet: &[Identity]) -> Result<f64> {
    let (first, others) = fleet.split_at(FIRST.min(fleet.len() / 2));
    let mut connected = Vec::new();
    for identity in first {
        connected.push(idle(door, identity).await?);
    }
    let before = settled(pid).await;
    for identity in others {
        connected.push(idle(door, identity).await?);
    }
    let after = settled(pid).await;
    Ok((after as f64 - before as f64) / others.len() as f64)
}

/// Connected, with a session and a report of what it is.
async fn idle(door: SocketAddr, identity: &Identity) -> Result<Device> {
    let filter = format!("d/{}/1/down/#", identity.name);
    let mut device = Device::connect(door, identity, &filter).await?;
    device.say("hello", HELLO).await?;
    device.say("reported", REPORTED).await?;
    Ok(device)
}

async fn settled(pid: i32) -> u64 {
    tokio::time::sleep(Duration::from_secs(3)).await;
    Usage::of(&[pid]).rss_kb
}
