//! Time passes, and what is over goes: rows, blobs, and nothing else (G1).

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use cloud_logic::ids::{BlobId, CompanyId, DeviceId, NodeId};
use model::Timestamp;

use super::*;
use crate::blobs::rows::{Keep, keep};
use crate::blobs::{BlobPlace, Blobs, Kind};
use crate::people::testing::{Place, World};
use crate::store::testing::on_both;
use crate::store::{Query, Store, query};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn carry_out(store: &Store, statement: Query) {
    let mut tx = store.write().await.unwrap();
    tx.execute(statement).await.unwrap();
    tx.commit().await.unwrap();
}

async fn count(store: &Store, asked: Query) -> i64 {
    let mut tx = store.read().await.unwrap();
    tx.one(asked).await.unwrap().int("n").unwrap()
}

async fn policy(store: &Store, company: CompanyId, days: i64) {
    let set = query("UPDATE company SET call_data_days = $2 WHERE id = $1");
    carry_out(store, set.bind(company).bind(days)).await;
}

/// An event of a device, told now and kept for 180 days.
async fn event(core: &Core, place: Place, device: DeviceId, seq: i64) {
    let now = core.now();
    let insert = query(
        "INSERT INTO device_event (device_id, boot, seq, event_id, company_id, kind, at, received,
                                   expires, data)
         VALUES ($1, 1, $2, 'e', $3, 'call.ended', $4, $4, $5, '{}')",
    );
    let insert = insert
        .bind(device)
        .bind(seq)
        .bind(place.company)
        .bind(now)
        .bind(now.saturating_add(180 * DAY));
    carry_out(&core.store, insert).await;
}

async fn events(core: &Core, company: CompanyId) -> i64 {
    let asked = query("SELECT count(*) AS n FROM device_event WHERE company_id = $1");
    count(&core.store, asked.bind(company)).await
}

#[tokio::test]
async fn g1_data_of_calls_are_gone_after_180_days_and_not_before() {
    on_both(async |store| {
        let world = World::new(store).await;
        let core = &world.core;
        let place = world.company("Clinics").await;
        let device = world.device(place).await;
        for seq in 0..1200 {
            event(core, place, device, seq).await;
        }
        core.clock.advance(179 * DAY);
        event(core, place, device, 5000).await;
        all(core).await;
        assert_eq!(events(core, place.company).await, 1201);
        core.clock.advance(DAY);
        assert_eq!(all(core).await.of("device_event"), 1200);
        assert_eq!(events(core, place.company).await, 1);
        core.clock.advance(180 * DAY);
        all(core).await;
        assert_eq!(events(core, place.company).await, 0);
    })
    .await;
}

#[tokio::test]
async fn g1_a_company_that_keeps_data_of_calls_for_30_days_keeps_them_no_longer() {
    on_both(async |store| {
        let world = World::new(store).await;
        let core = &world.core;
        let short = world.company("Clinics").await;
        let long = world.company("Hotels").await;
        let devices = [world.device(short).await, world.device(long).await];
        event(core, short, devices[0], 1).await;
        event(core, long, devices[1], 1).await;
        core.clock.advance(20 * DAY);
        // The policy is for what is there already, too.
        policy(&core.store, short.company, 30).await;
        event(core, short, devices[0], 2).await;
        core.clock.advance(10 * DAY);
        assert_eq!(all(core).await.of("call_data"), 1);
        assert_eq!(events(core, short.company).await, 1);
        assert_eq!(events(core, long.company).await, 1);
        core.clock.advance(20 * DAY);
        assert_eq!(all(core).await.of("call_data"), 1);
        assert_eq!(
            events(core, long.company).await,
            1,
            "the other keeps its own"
        );
    })
    .await;
}

fn files_in(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|entry| if entry.is_dir() { files_in(&entry) } else { 1 })
        .sum()
}

#[tokio::test]
async fn g1_blobs_go_from_the_folder_with_their_rows() {
    on_both(async |store| {
        let world = World::new(store).await;
        let folder = tempfile::tempdir().unwrap();
        let place = BlobPlace::Folder(folder.path().to_owned());
        let core = Core {
            blobs: Blobs::open(&place, 1 << 30).unwrap(),
            ..world.core.clone()
        };
        let company = world.company("Clinics").await.company;
        for (days, kind) in [(30, Kind::DeviceLog), (7, Kind::Export), (0, Kind::Logo)] {
            let now = core.now();
            let id = BlobId::new_at(now);
            let written = core
                .blobs
                .write(id, Bytes::from_static(b"x"))
                .await
                .unwrap();
            let mut tx = core.store.write().await.unwrap();
            let what = Keep {
                company,
                project: None,
                kind,
                media_type: "text/plain",
                now,
                expires: (days > 0).then(|| now.saturating_add(days * DAY)),
            };
            keep(&mut tx, written, what).await.unwrap();
            tx.commit().await.unwrap();
        }
        for (after, left) in [(0, 3), (7, 2), (22, 2), (1, 1), (1000, 1)] {
            core.clock.advance(after * DAY);
            all(&core).await;
            assert_eq!(files_in(folder.path()), left, "{after} days later");
            let rows = count(&core.store, query("SELECT count(*) AS n FROM blob")).await;
            assert_eq!(usize::try_from(rows).unwrap(), left);
        }
    })
    .await;
}

#[tokio::test]
async fn g1_what_ends_by_itself_ends_sessions_letters_keys_and_changes_alike() {
    on_both(async |store| {
        let world = World::new(store).await;
        let core = &world.core;
        let place = world.company("Clinics").await;
        let scope = cloud_logic::rights::Scope::Company(place.company);
        let role = cloud_logic::rights::Role::Owner;
        let owner = world.holder(role, scope, "o@a.test").await;
        let grant = serde_json::json!({"role": "viewer", "reason": "because"});
        let invited = serde_json::json!({"mail": "new@a.test", "language": "en", "grant": grant});
        let path = format!("/api/v1/companies/{}/invitations", place.company);
        world.post(&owner, &path, &invited).await.is(201);
        let now = core.now();
        for statement in [
            "INSERT INTO claim_attempt (user_id, company_id, at) VALUES ('u', 'c', $1)",
            "INSERT INTO idempotency (caller, key, fingerprint, created) VALUES ('c', 'k', '', $1)",
            "INSERT INTO passkey_ceremony_over (id, expires) VALUES ('ce', $1)",
        ] {
            carry_out(&core.store, query(statement).bind(now)).await;
        }
        let of_all = [
            ("session", 1),
            ("invitation", 1),
            ("letter", 1),
            ("claim_attempt", 1),
            ("idempotency", 1),
            ("passkey_ceremony", 1),
        ];
        core.clock.advance(400 * DAY);
        let forgotten = all(core).await;
        for (kind, at_least) in of_all {
            assert!(forgotten.of(kind) >= at_least, "{kind}: {forgotten}");
        }
        assert!(forgotten.of("change") > 0, "{forgotten}");
        assert!(all(core).await.is_nothing());
        let mut tx = core.store.read().await.unwrap();
        let log = tx.audit_holds(Some(place.company)).await.unwrap();
        assert!(log.unwrap() > 0, "the log stays, and holds");
    })
    .await;
}

#[tokio::test]
async fn every_kind_that_ends_names_a_table_and_a_column_with_an_index() {
    on_both(async |store| {
        let world = World::new(store).await;
        for kind in KINDS {
            let later = Timestamp::from_unix_ms(1);
            assert!(
                !rules::any(&world.core, kind, later).await.unwrap(),
                "{}",
                kind.name
            );
        }
    })
    .await;
}

#[tokio::test]
async fn g6_one_node_forgets_at_a_time() {
    on_both(async |store| {
        let world = World::new(store).await;
        let [one, other] = [1, 2].map(NodeId::from_bits);
        assert!(turn(&world.core, one, true).await.unwrap());
        assert!(!turn(&world.core, other, true).await.unwrap());
        resign(&world.core, one).await.unwrap();
        assert!(turn(&world.core, other, false).await.unwrap());
    })
    .await;
}
