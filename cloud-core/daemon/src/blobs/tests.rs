//! Rows and octets never disagree, whatever comes between.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use cloud_logic::ids::{BlobId, CompanyId};
use tokio_stream::StreamExt;

use super::rows::{self, Keep};
use super::{BlobError, BlobPlace, Blobs, Kind, leave, sweep};
use crate::core::{Core, NewId};
use crate::people::testing::World;
use crate::store::testing::on_both;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A core that keeps its blobs in a folder of the test.
async fn with_folder(world: &World) -> (Core, tempfile::TempDir, CompanyId) {
    let folder = tempfile::tempdir().unwrap();
    let place = BlobPlace::Folder(folder.path().to_owned());
    let core = Core {
        blobs: Blobs::open(&place, 1 << 20).unwrap(),
        ..world.core.clone()
    };
    let company = world.company("Clinics").await.company;
    (core, folder, company)
}

fn files_in(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|entry| if entry.is_dir() { files_in(&entry) } else { 1 })
        .sum()
}

async fn kept(core: &Core, company: CompanyId, octets: &'static [u8]) -> BlobId {
    let now = core.now();
    let id = BlobId::new_at(now);
    let written = core
        .blobs
        .write(id, Bytes::from_static(octets))
        .await
        .unwrap();
    let mut tx = core.store.write().await.unwrap();
    let keep = Keep {
        company,
        project: None,
        kind: Kind::DeviceLog,
        media_type: "text/plain",
        now,
        expires: Some(now.saturating_add(DAY)),
    };
    rows::keep(&mut tx, written, keep).await.unwrap();
    tx.commit().await.unwrap();
    id
}

#[tokio::test]
async fn d4_octets_come_back_as_they_were_written_and_leave_the_folder_with_their_row() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (core, folder, company) = with_folder(&world).await;
        let id = kept(&core, company, b"hello").await;
        assert_eq!(core.blobs.whole(id).await.unwrap(), "hello");
        let mut tx = core.store.write().await.unwrap();
        assert_eq!(rows::taken(&mut tx, company).await.unwrap(), 5);
        let found = rows::find(&mut tx, id).await.unwrap().unwrap();
        assert_eq!(found.size, 5);
        rows::let_go(&mut tx, id).await.unwrap();
        assert_eq!(
            rows::find(&mut tx, id).await.unwrap(),
            None,
            "not here any more"
        );
        tx.commit().await.unwrap();
        assert_eq!(files_in(folder.path()), 1);
        assert_eq!(leave(&core).await.unwrap(), 1);
        assert_eq!(files_in(folder.path()), 0);
        assert_eq!(leave(&core).await.unwrap(), 0);
        assert!(matches!(core.blobs.whole(id).await, Err(BlobError::Gone)));
    })
    .await;
}

#[tokio::test]
async fn g1_what_is_over_leaves_and_what_is_not_stays() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (core, folder, company) = with_folder(&world).await;
        kept(&core, company, b"old").await;
        core.clock.advance(DAY / 2);
        kept(&core, company, b"newer").await;
        core.clock.advance(DAY / 2);
        let mut tx = core.store.write().await.unwrap();
        assert_eq!(
            rows::let_expired_go(&mut tx, core.now(), 10).await.unwrap(),
            1
        );
        tx.commit().await.unwrap();
        leave(&core).await.unwrap();
        assert_eq!(files_in(folder.path()), 1);
    })
    .await;
}

#[tokio::test]
async fn what_a_crash_left_without_a_row_is_swept_away_and_nothing_else() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (core, folder, company) = with_folder(&world).await;
        let id = kept(&core, company, b"kept").await;
        let orphan = BlobId::new_at(core.now());
        let _never_kept = core
            .blobs
            .write(orphan, Bytes::from_static(b"lost"))
            .await
            .unwrap();
        let foreign = folder.path().join("blobs/readme.txt");
        std::fs::write(&foreign, "none of ours").unwrap();
        assert_eq!(sweep(&core).await.unwrap(), 0, "its row may still come");
        core.clock.advance(2 * DAY);
        assert_eq!(sweep(&core).await.unwrap(), 1);
        assert!(matches!(
            core.blobs.whole(orphan).await,
            Err(BlobError::Gone)
        ));
        assert_eq!(core.blobs.whole(id).await.unwrap(), "kept");
        assert!(foreign.exists());
    })
    .await;
}

#[tokio::test]
async fn parts_are_joined_in_their_order_and_a_missing_one_leaves_nothing() {
    let blobs = Blobs::in_memory();
    let [one, two, whole, other] = [1, 2, 3, 4].map(BlobId::from_bits);
    let piece = vec![7; 6 << 20];
    let _ = blobs.write(one, Bytes::from(piece.clone())).await.unwrap();
    let _ = blobs.write(two, Bytes::from_static(b"end")).await.unwrap();
    let written = blobs.join(whole, &[one, two]).await.unwrap();
    let expected = [piece.as_slice(), b"end"].concat();
    let again = blobs
        .write(other, Bytes::from(expected.clone()))
        .await
        .unwrap();
    assert_eq!(written.sha256(), again.sha256());
    assert_eq!(blobs.whole(whole).await.unwrap(), expected);
    blobs.remove(whole).await.unwrap();
    blobs.remove(two).await.unwrap();
    assert!(blobs.join(whole, &[one, two]).await.is_err());
    assert!(matches!(blobs.whole(whole).await, Err(BlobError::Gone)));
}

#[tokio::test]
async fn where_a_blob_lies_follows_from_its_id_alone() {
    let blobs = Blobs::in_memory();
    let id: BlobId = "bl-01J9ZK3V7Q8W2M4N6P0R5T1X8Y".parse().unwrap();
    assert_eq!(
        super::path(id).as_ref(),
        "blobs/8Y/bl-01J9ZK3V7Q8W2M4N6P0R5T1X8Y"
    );
    let _ = blobs.write(id, Bytes::new()).await.unwrap();
    let all: Vec<_> = blobs.all().map(Result::unwrap).collect().await;
    assert_eq!(all, [id]);
}
