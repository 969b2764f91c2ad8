//! There and back: on the same engine, on the other one, and what stops an archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use cloud_logic::ids::BlobId;
use cloud_logic::rights::{Role, Scope};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::blobs::rows::{Keep, keep};
use crate::blobs::{Blobs, Kind};
use crate::core::{Core, NewId};
use crate::people::testing::{Browser, World};
use crate::store::testing::on_both;
use crate::store::{Store, query};

/// Past the leases of the nodes of a test.
const LATER: Duration = Duration::from_secs(60);

/// A company with an owner, a device, a log of its and entries in the audit log.
async fn lived_in(store: Store) -> (World, Browser) {
    let world = World::new(store).await;
    let place = world.company("Clinics").await;
    let scope = Scope::Company(place.company);
    let owner = world.holder(Role::Owner, scope, "o@a.test").await;
    let projects = format!("/api/v1/companies/{}/projects", place.company);
    world
        .post(&owner, &projects, &json!({"name": "K\u{e4}the's \"wing\""}))
        .await
        .is(201);
    world.device(place).await;
    let now = world.core.now();
    let id = BlobId::new_at(now);
    let octets = Bytes::from_static(b"octets of a log");
    let written = world.core.blobs.write(id, octets).await.unwrap();
    let mut tx = world.core.store.write().await.unwrap();
    let what = Keep {
        company: place.company,
        project: None,
        kind: Kind::DeviceLog,
        media_type: "text/plain",
        now,
        expires: None,
    };
    keep(&mut tx, written, what).await.unwrap();
    tx.commit().await.unwrap();
    (world, owner)
}

async fn archived(core: &Core, folder: &TempDir) -> PathBuf {
    let wanted = Wanted {
        installation: "Test",
        now: core.now(),
        keys: None,
        blobs: true,
    };
    let (octets, backed) = back_up(&core.store, &core.blobs, Vec::new(), wanted)
        .await
        .unwrap();
    assert_eq!(backed.octets, octets.len() as u64);
    assert_eq!((backed.blobs, backed.blobs_gone), (1, 0));
    let file = folder.path().join("backup.tar");
    fs::write(&file, octets).unwrap();
    remember(&core.store, &backed, wanted).await.unwrap();
    let mut tx = core.store.read().await.unwrap();
    assert_eq!(last(&mut tx).await.unwrap(), Some(wanted.now));
    file
}

/// Every row of what is backed up, in an order of its own.
async fn everything(store: &Store) -> Vec<String> {
    let mut tx = store.read().await.unwrap();
    let mut all = Vec::new();
    for table in tx.tables().await.unwrap() {
        if LEFT_OUT.contains(&table.name.as_str()) {
            continue;
        }
        let rows = tx.rows_of(&table, |row| {
            all.push(format!("{} {row}", table.name));
            Ok(())
        });
        rows.await.unwrap();
    }
    all.sort();
    all
}

async fn back(store: &Store, blobs: &Blobs, file: &Path, now: model::Timestamp) -> Restored {
    let sound = Sound::read(file).unwrap();
    restore(store, blobs, file, (&sound, now)).await.unwrap()
}

#[tokio::test]
async fn a_store_comes_back_row_by_row_on_either_engine_and_its_logs_hold() {
    let archives = Mutex::new(Vec::new());
    on_both(async |store| {
        let (world, _) = lived_in(store).await;
        let folder = tempfile::tempdir().unwrap();
        let before = everything(&world.core.store).await;
        let file = archived(&world.core, &folder).await;
        archives
            .lock()
            .unwrap()
            .push((before, file, folder, world.core.now()));
    })
    .await;
    let archives = archives.into_inner().unwrap();
    // Each on both: also from one engine to the other.
    on_both(async |store| {
        for (before, file, _, now) in &archives {
            let blobs = Blobs::in_memory();
            let now = now.saturating_add(LATER);
            let restored = back(&store, &blobs, file, now).await;
            assert!(
                restored.broken.is_empty() && restored.logs >= 1,
                "{restored:?}"
            );
            assert_eq!(restored.without_octets, 0);
            let mut after = everything(&store).await;
            // What the restore itself has told.
            after.retain(|row| {
                !row.contains("installation.restore") && !row.starts_with("audit_head")
            });
            let mut before = before.clone();
            before.retain(|row| !row.starts_with("audit_head"));
            assert_eq!(after, before);
            let mut tx = store.read().await.unwrap();
            let id = tx
                .one(query("SELECT id FROM blob"))
                .await
                .unwrap()
                .parsed("id")
                .unwrap();
            assert_eq!(blobs.whole(id).await.unwrap(), "octets of a log");
        }
    })
    .await;
}

#[tokio::test]
async fn whoever_followed_changes_begins_anew_after_a_restore() {
    on_both(async |store| {
        let (world, owner) = lived_in(store).await;
        let folder = tempfile::tempdir().unwrap();
        let file = archived(&world.core, &folder).await;
        let mut tx = world.core.store.read().await.unwrap();
        let seen = tx.newest_position().await.unwrap();
        drop(tx);
        let now = world.core.now().saturating_add(LATER);
        back(&world.core.store, &world.core.blobs, &file, now).await;
        let companies = world.get(&owner, "/api/v1/companies").await.json();
        let company = companies["items"][0]["id"].as_str().unwrap();
        let projects = format!("/api/v1/companies/{company}/projects");
        world
            .post(&owner, &projects, &json!({"name": "later"}))
            .await
            .is(201);
        let mut tx = world.core.store.read().await.unwrap();
        let oldest = tx.oldest_position().await.unwrap().unwrap();
        assert!(seen.misses_some_before(oldest));
    })
    .await;
}

#[tokio::test]
async fn g1_who_was_forgotten_since_is_not_brought_back() {
    on_both(async |store| {
        let (world, owner) = lived_in(store).await;
        let companies = world.get(&owner, "/api/v1/companies").await.json();
        let company = companies["items"][0]["id"].as_str().unwrap().to_owned();
        let scope = Scope::Company(company.parse().unwrap());
        let (anna, _) = world
            .somebody(Role::Viewer, scope, "unmistakable@a.test")
            .await;
        let folder = tempfile::tempdir().unwrap();
        let file = archived(&world.core, &folder).await;
        let mut owner = owner.clone();
        owner.headers.push(("if-match", "\"1\"".to_owned()));
        let path = format!("/api/v1/companies/{company}/users/{anna}");
        world.delete(&owner, &path).await.is(204);
        let now = world.core.now().saturating_add(LATER);
        let restored = back(&world.core.store, &world.core.blobs, &file, now).await;
        assert_eq!(restored.forgotten_again, 1);
        for row in everything(&world.core.store).await {
            assert!(!row.contains("unmistakable"), "{row}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_damaged_a_shortened_and_a_foreign_archive_change_nothing() {
    on_both(async |store| {
        let (world, _) = lived_in(store).await;
        let folder = tempfile::tempdir().unwrap();
        let file = archived(&world.core, &folder).await;
        let sound = fs::read(&file).unwrap();
        let place = sound
            .windows(15)
            .position(|some| some == b"octets of a log")
            .unwrap();
        let mut damaged = sound.clone();
        damaged[place] ^= 1;
        fs::write(&file, &damaged).unwrap();
        assert!(matches!(
            Sound::read(&file),
            Err(BackupError::Damaged { .. })
        ));
        fs::write(&file, &sound[..place + 600]).unwrap();
        assert!(Sound::read(&file).is_err());
        fs::write(&file, "none").unwrap();
        assert!(Sound::read(&file).is_err());
        fs::write(&file, &sound).unwrap();
        let mut other = Sound::read(&file).unwrap();
        other.about.schema.pop();
        let now = world.core.now().saturating_add(LATER);
        let refused = restore(&world.core.store, &world.core.blobs, &file, (&other, now)).await;
        assert!(matches!(refused, Err(BackupError::OtherVersion { .. })));
    })
    .await;
}

#[tokio::test]
async fn nothing_is_put_back_under_a_core_that_runs() {
    on_both(async |store| {
        let (world, _) = lived_in(store).await;
        let folder = tempfile::tempdir().unwrap();
        let file = archived(&world.core, &folder).await;
        let now = world.core.now();
        let mut tx = world.core.store.write().await.unwrap();
        let node = query("INSERT INTO node (id, started, lease_until) VALUES ('no', 1, $1)");
        tx.execute(node.bind(now.saturating_add(LATER)))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let sound = Sound::read(&file).unwrap();
        let refused = restore(&world.core.store, &world.core.blobs, &file, (&sound, now)).await;
        assert!(matches!(refused, Err(BackupError::Running)));
    })
    .await;
}
