//! The core is killed under load, again and again, on both engines: what it acknowledged is
//! there, and nothing is there twice. And one of two nodes is killed (`nodes`).
//!
//! The real program; devices of our own on its listener for tests, so that the load is the
//! core's and not that of 200 handshakes. What certificates decide is tested elsewhere.

mod core;
mod device;
mod fleet;
mod nodes;
mod portal;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::core::{Core, Place};
use crate::device::{Device, Stop};

const DEVICES: usize = 200;

/// How long the core lives before each kill: long enough to let them in, never the same.
const LIVES: [Duration; 4] = [
    Duration::from_millis(3100),
    Duration::from_millis(4700),
    Duration::from_millis(3900),
    Duration::from_millis(5300),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill_and_is_there_once_sqlite_m4() {
    killed_under_load(|folder| Place::File(folder.join("data/core.db"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill_and_is_there_once_postgresql_m4() {
    let address = test_postgres::database().expect("a PostgreSQL server for the tests");
    killed_under_load(|_| Place::Server(address)).await;
}

async fn killed_under_load(place: impl FnOnce(&std::path::Path) -> Place) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let place = place(folder.path());
    let mut core = Core::new(folder.path(), place);
    core.init("anna@example.com");
    let devices: Vec<_> = (0..DEVICES).map(|n| Arc::new(Device::new(n))).collect();
    let names: Vec<_> = devices.iter().map(|device| device.name.clone()).collect();
    core.register(&names).await;

    let stop = Stop::default();
    let running: Vec<_> = devices
        .iter()
        .map(|device| tokio::spawn(Arc::clone(device).run(core.port, stop.clone())))
        .collect();
    for life in LIVES {
        core.start();
        tokio::time::sleep(life).await;
        core.kill();
        judge(&devices, &core.stored().await);
    }
    core.start();
    stop.ask();
    for device in running {
        let ended = tokio::time::timeout(Duration::from_secs(60), device).await;
        ended
            .expect("each device brings its last message home")
            .expect("no panic");
    }
    core.kill();
    let stored = core.stored().await;
    judge(&devices, &stored);
    let all: i64 = stored.values().map(|stored| stored.count).sum();
    assert!(all > 2000, "there was a load: {all} messages");
    for device in &devices {
        let sent = device.sent.load(Ordering::SeqCst);
        assert_eq!(
            stored.get(&device.name).map_or(0, |stored| stored.last),
            sent
        );
    }
}

/// What is stored of a device: how many, how many different ones, and the highest number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stored {
    count: i64,
    different: i64,
    last: i64,
}

fn judge(devices: &[Arc<Device>], stored: &HashMap<String, Stored>) {
    let none = Stored {
        count: 0,
        different: 0,
        last: 0,
    };
    for device in devices {
        let acknowledged = device.acknowledged.load(Ordering::SeqCst);
        let stored = stored.get(&device.name).copied().unwrap_or(none);
        let name = &device.name;
        assert!(
            stored.last >= acknowledged,
            "{name}: {acknowledged} acknowledged, {stored:?}"
        );
        assert_eq!(
            stored.count, stored.different,
            "{name}: something is there twice"
        );
        assert_eq!(
            stored.count, stored.last,
            "{name}: something before the last is missing"
        );
    }
}
