//! Octets that are too large for a row: logs, pictures, exports. In a folder, or in a store of
//! others that speaks S3.
//!
//! Each has a row (`rows`) that says whose it is, how large, and until when. The octets are written
//! before their row, and leave after it: `Written` can only be kept, and what is kept is there whole.
//! What a crash leaves without a row is swept away (`sweep`). Where something lies follows from its id
//! alone: no word from outside ever becomes part of a path.
//!
//! Deliberately not here: what the octets mean, and who may read them. Invariant: a row that is `here`
//! has its octets.

pub(crate) mod picture;
mod place;
pub(crate) mod rows;
mod sweep;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, header};
use bytes::Bytes;
use cloud_logic::ids::BlobId;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio_stream::{Stream, StreamExt};

pub(crate) use place::{BlobPlace, Bucket, OpenError};
pub(crate) use rows::Kind;
pub(crate) use sweep::{leave, sweep};

use crate::api::{Code, Problem};
use crate::store::StoreError;

/// Where blobs are. A clone is the same place.
#[derive(Clone)]
pub(crate) struct Blobs {
    objects: Arc<dyn ObjectStore>,
    /// What all blobs of a company may take, in octets.
    room: i64,
    /// Requests that bring octets at the same time: each holds a piece of them in memory.
    places: Arc<Semaphore>,
}

/// So many requests bring octets at once on one node.
const MOST_AT_ONCE: usize = 32;

/// Goes with octets that came from outside: a browser that shows them does nothing else with them.
pub(crate) const SAFE_TO_SHOW: [(HeaderName, HeaderValue); 2] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    ),
];

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blobs in {}", self.objects)
    }
}

/// Why octets could not be written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlobError {
    #[error("the octets are gone")]
    Gone,
    #[error("the place of uploads does not answer, or is full; its log or its disk says why")]
    Place(#[source] object_store::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<object_store::Error> for BlobError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Gone,
            error => Self::Place(error),
        }
    }
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Gone => Self::not_found(),
            BlobError::Store(error) => error.into(),
            error @ BlobError::Place(_) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "uploads cannot be written or read"
                );
                Self::new(
                    Code::Unavailable,
                    "The place of uploads does not answer. The log of the core says why.",
                )
                .retry_after(30)
            }
        }
    }
}

/// Octets that are in their place and have no row yet: keep them (`rows::keep`), or they are swept away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Written {
    id: BlobId,
    size: i64,
    sha256: [u8; 32],
}

impl Written {
    pub(crate) fn id(&self) -> BlobId {
        self.id
    }

    pub(crate) fn sha256(&self) -> [u8; 32] {
        self.sha256
    }
}

impl Blobs {
    pub(crate) fn open(place: &BlobPlace, room: i64) -> Result<Self, OpenError> {
        Ok(Self {
            objects: place::open(place)?,
            room,
            places: Arc::new(Semaphore::new(MOST_AT_ONCE)),
        })
    }

    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        Self {
            objects: Arc::new(object_store::memory::InMemory::new()),
            room: 1 << 40,
            places: Arc::new(Semaphore::new(MOST_AT_ONCE)),
        }
    }

    /// What all blobs of a company may take, in octets.
    pub(crate) fn room(&self) -> i64 {
        self.room
    }

    /// A place for a request that brings octets, until it is dropped; none when all are taken.
    pub(crate) fn place_to_receive(&self) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        Arc::clone(&self.places).try_acquire_owned()
    }

    pub(crate) async fn write(&self, id: BlobId, octets: Bytes) -> Result<Written, BlobError> {
        let written = Written {
            id,
            size: octets.len().try_into().unwrap_or(i64::MAX),
            sha256: Sha256::digest(&octets).into(),
        };
        let payload = PutPayload::from_bytes(octets);
        self.objects.put(&path(id), payload).await?;
        Ok(written)
    }

    /// One blob of several, in their order.
    pub(crate) async fn join(&self, id: BlobId, parts: &[BlobId]) -> Result<Written, BlobError> {
        let upload = self.objects.put_multipart(&path(id)).await?;
        let mut writer = WriteMultipart::new(upload);
        match self.append(&mut writer, parts).await {
            Ok((size, sha256)) => {
                writer.finish().await?;
                Ok(Written { id, size, sha256 })
            }
            Err(error) => {
                writer.abort().await?;
                Err(error)
            }
        }
    }

    async fn append(
        &self,
        writer: &mut WriteMultipart,
        parts: &[BlobId],
    ) -> Result<(i64, [u8; 32]), BlobError> {
        let mut digest = Sha256::new();
        let mut size: i64 = 0;
        for part in parts {
            let mut octets = self.read(*part).await?;
            while let Some(some) = octets.next().await {
                let some = some?;
                digest.update(&some);
                size = size.saturating_add(some.len().try_into().unwrap_or(i64::MAX));
                // So many pieces are on their way at once.
                writer.wait_for_capacity(4).await?;
                writer.put(some);
            }
        }
        Ok((size, digest.finalize().into()))
    }

    pub(crate) async fn read(
        &self,
        id: BlobId,
    ) -> Result<impl Stream<Item = Result<Bytes, BlobError>> + Unpin + use<>, BlobError> {
        let found = self.objects.get(&path(id)).await?;
        Ok(found
            .into_stream()
            .map(|some| some.map_err(BlobError::from)))
    }

    /// All of it, for what is known to be small.
    pub(crate) async fn whole(&self, id: BlobId) -> Result<Bytes, BlobError> {
        Ok(self.objects.get(&path(id)).await?.bytes().await?)
    }

    /// What is gone already is gone.
    pub(crate) async fn remove(&self, id: BlobId) -> Result<(), BlobError> {
        match self.objects.delete(&path(id)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What lies there, in no order; what is none of ours is left out.
    pub(crate) fn all(&self) -> impl Stream<Item = Result<BlobId, BlobError>> + Unpin {
        let listed = self.objects.list(Some(&Path::from(FOLDER)));
        listed.filter_map(|found| match found {
            Ok(object) => id_of(&object.location).map(Ok),
            Err(error) => Some(Err(error.into())),
        })
    }
}

const FOLDER: &str = "blobs";

/// Spread over folders by the last two characters, which are random.
fn path(id: BlobId) -> Path {
    let name = id.to_string();
    let shelf = &name[name.len() - 2..];
    Path::from_iter([FOLDER, shelf, &name])
}

fn id_of(location: &Path) -> Option<BlobId> {
    let id: BlobId = location.filename()?.parse().ok()?;
    (path(id) == *location).then_some(id)
}
