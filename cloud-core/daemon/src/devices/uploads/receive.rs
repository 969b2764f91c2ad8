//! Takes the octets of an upload, piece by piece, and makes the whole of them.
//!
//! What has arrived is kept, whatever happens to the connection: the device asks how far it came and
//! goes on there. Runs beside its request, so that a connection that breaks does not take the last
//! piece with it. Invariant: one piece in memory for each request, and so many requests at once.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use cloud_logic::ids::BlobId;
use serde_json::json;
use tokio::time::Instant;
use tokio_stream::StreamExt;

use super::KEPT;
use super::rows::{self, Upload};
use crate::api::{Code, Finding, Problem};
use crate::blobs::rows::{Keep, keep};
use crate::blobs::{BlobError, Kind, Written};
use crate::core::{Core, NewId};
use crate::store::audit::{Actor, Audit};
use crate::store::changes::{Change, What};
use crate::store::{StoreError, Tx};

/// Octets of one piece.
const PIECE: usize = 4 << 20;
/// How slow a sender may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long nothing may come.
    pub(super) silence: Duration,
    /// How long one request may take, whatever comes.
    pub(super) whole: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(30),
            whole: Duration::from_secs(600),
        }
    }
}

/// After that a core that was to make a whole of the pieces has ended.
const ABANDONED: Duration = Duration::from_secs(120);

/// How far it has come. `upload` is as it was read with the request, whose body begins there.
pub(super) async fn receive(
    core: Core,
    mut upload: Upload,
    body: Body,
    pace: Pace,
) -> Result<i64, Problem> {
    let until = Instant::now() + pace.whole;
    let mut octets = body.into_data_stream();
    let mut piece = BytesMut::new();
    let mut left = upload.length - upload.received;
    let ended = loop {
        let silence = Instant::now() + pace.silence;
        let some = match tokio::time::timeout_at(silence.min(until), octets.next()).await {
            Ok(Some(Ok(some))) => some,
            Ok(None) => break Ok(()),
            Ok(Some(Err(_broken))) => break Err(broken()),
            Err(_elapsed) => break Err(too_slow()),
        };
        left -= i64::try_from(some.len()).unwrap_or(i64::MAX);
        if left < 0 {
            // What was announced is the most: none of this is right then.
            return Err(too_much());
        }
        piece.extend_from_slice(&some);
        while piece.len() >= PIECE {
            upload.received = store(&core, &upload, piece.split_to(PIECE).freeze()).await?;
        }
    };
    if !piece.is_empty() {
        upload.received = store(&core, &upload, piece.freeze()).await?;
    }
    if upload.received == upload.length {
        make_whole(&core, &upload).await?;
    }
    ended.map(|()| upload.received)
}

fn too_slow() -> Problem {
    let detail = "What came is kept. Ask how far it is (HEAD), and go on there.";
    Problem::new(Code::TooSlow, detail)
}

fn broken() -> Problem {
    Problem::new(
        Code::Malformed,
        "The body ended too early; what came is kept.",
    )
}

fn too_much() -> Problem {
    let detail = "More came than upload-length has announced.";
    Problem::new(Code::TooLarge, detail)
}

/// Keeps one piece; how far the upload is then.
async fn store(core: &Core, upload: &Upload, piece: Bytes) -> Result<i64, Problem> {
    let now = core.now();
    let size = i64::try_from(piece.len()).unwrap_or(i64::MAX);
    let id = BlobId::new_at(now);
    let written = core.blobs.write(id, piece).await?;
    let mut tx = core.store.write().await?;
    let part = Keep {
        company: upload.company,
        project: upload.whose.project,
        kind: Kind::Part,
        media_type: "application/octet-stream",
        now,
        expires: Some(upload.expires),
    };
    keep(&mut tx, written, part).await?;
    if !rows::add_part(&mut tx, upload.id, (upload.received, size), id).await? {
        drop(tx);
        core.blobs.remove(id).await?;
        return Err(elsewhere());
    }
    tx.commit().await?;
    Ok(upload.received + size)
}

pub(super) fn elsewhere() -> Problem {
    let detail = "It has come further meanwhile, or is gone. Ask how far it is (HEAD).";
    Problem::new(Code::Conflict, detail)
}

/// All pieces are there: one blob of them, if it is what was announced. May be asked again.
pub(super) async fn make_whole(core: &Core, upload: &Upload) -> Result<(), Problem> {
    let mut tx = core.store.read().await?;
    let parts = rows::parts(&mut tx, upload.id).await?;
    drop(tx);
    let id = BlobId::new_at(core.now());
    let whole = match core.blobs.join(id, &parts).await {
        Ok(whole) => whole,
        // Another request was quicker, and the pieces have gone.
        Err(BlobError::Gone) => return Err(elsewhere()),
        Err(error) => return Err(error.into()),
    };
    let as_announced = whole.sha256().as_slice() == upload.sha256;
    let kept = if as_announced {
        finish(core, upload, whole).await?
    } else {
        refuse(core, upload).await?;
        false
    };
    if !kept {
        core.blobs.remove(id).await?;
    }
    if as_announced { Ok(()) } else { Err(differs()) }
}

fn differs() -> Problem {
    Problem::invalid(vec![Finding::new(
        "upload-metadata",
        "sha256_differs",
        "What arrived is not what sha256 has announced. It was thrown away: send it again.",
    )])
}

/// Whether the whole is kept; not, if another request has done so.
async fn finish(core: &Core, upload: &Upload, whole: Written) -> Result<bool, Problem> {
    let now = core.now();
    let expires = now.saturating_add(KEPT);
    let mut tx = core.store.write().await?;
    let log = Keep {
        company: upload.company,
        project: upload.whose.project,
        kind: Kind::DeviceLog,
        media_type: "application/octet-stream",
        now,
        expires: Some(expires),
    };
    keep(&mut tx, whole, log).await?;
    if !rows::become_whole(&mut tx, upload.id, whole.id(), (now, expires)).await? {
        return Ok(false);
    }
    tell(core, &mut tx, upload, "log.arrive");
    tx.changed(Change {
        at: now,
        whose: upload.whose,
        kind: "log",
        id: upload.id.to_string(),
        what: What::Created,
    });
    tx.commit().await?;
    Ok(true)
}

async fn refuse(core: &Core, upload: &Upload) -> Result<(), StoreError> {
    let mut tx = core.store.write().await?;
    if rows::give_up(&mut tx, upload.id).await? {
        tell(core, &mut tx, upload, "log.refuse");
    }
    tx.commit().await
}

/// Into the audit log, as done by the device.
pub(super) fn tell(core: &Core, tx: &mut Tx, upload: &Upload, action: &'static str) {
    tx.audit(Audit {
        at: core.now(),
        company: Some(upload.company),
        actor: Actor::named(&upload.device.to_string()),
        action,
        object_kind: "log",
        object_id: upload.id.to_string(),
        before: None,
        after: Some(json!({
            "device": upload.device,
            "command": upload.command,
            "octets": upload.length,
        })),
    });
}

/// Finishes what a core that ended has left with all its pieces; how many there were.
pub(crate) async fn finish_whole(core: &Core) -> Result<u64, StoreError> {
    let before = core.now().saturating_sub(ABANDONED);
    let mut tx = core.store.read().await?;
    let left = rows::left_before_whole(&mut tx, before).await?;
    drop(tx);
    let mut finished = 0;
    for upload in &left {
        match make_whole(core, upload).await {
            Ok(()) => finished += 1,
            Err(problem) => tracing::warn!(
                upload = %upload.id,
                code = problem.code.as_str(),
                "a log that had arrived could not be made whole"
            ),
        }
    }
    Ok(finished)
}
