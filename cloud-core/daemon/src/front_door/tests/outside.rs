//! mosquitto's clients, as a device that somebody else has built.

use std::process::{Command, Output, Stdio};

use tokio::task::{JoinHandle, spawn_blocking};

use super::{House, Known};

/// Version as mosquitto's clients want it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Version {
    Three,
    Five,
}

pub(super) const BOTH: [Version; 2] = [Version::Three, Version::Five];

pub(super) fn program(
    house: &House,
    program: &str,
    device: Option<&Known>,
    version: Version,
) -> Command {
    let mut command = Command::new("timeout");
    command.args(["20", program]).stdin(Stdio::null());
    let port = house.door.address().port().to_string();
    command.args(["-h", "localhost", "-p", &port, "--cafile"]);
    command.arg(house.folder.path().join("root.pem"));
    command.args([
        "-V",
        match version {
            Version::Three => "mqttv311",
            Version::Five => "mqttv5",
        },
    ]);
    if let Some(device) = device {
        command
            .arg("--cert")
            .arg(&device.certificate)
            .arg("--key")
            .arg(&device.key);
        command.args(["-i", &device.id.to_string()]);
    }
    command
}

pub(super) async fn publish(
    house: &House,
    device: &Known,
    version: Version,
    topic: &str,
    payload: &str,
) -> Output {
    let mut command = program(house, "mosquitto_pub", Some(device), version);
    command.args(["-q", "1", "-t", topic, "-m", payload]);
    ended(command).await
}

pub(super) async fn ended(command: Command) -> Output {
    running(command).await.expect("nobody cancels it")
}

fn running(mut command: Command) -> JoinHandle<Output> {
    spawn_blocking(move || command.output().expect("mosquitto's clients are installed"))
}

/// A subscriber that ends after `count` messages; its output tells topic and payload.
pub(super) fn subscriber(
    house: &House,
    device: &Known,
    version: Version,
    topic: &str,
    count: u32,
) -> JoinHandle<Output> {
    let mut command = program(house, "mosquitto_sub", Some(device), version);
    command.args(["-q", "1", "-v", "-t", topic, "-C", &count.to_string()]);
    running(command)
}

pub(super) async fn said(client: JoinHandle<Output>) -> String {
    text(&client.await.expect("nobody cancels it"))
}

pub(super) fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
