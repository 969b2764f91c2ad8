//! Opening the place of blobs: a folder, or a bucket of a store that speaks S3.
//!
//! A folder is written to so that what was confirmed survives a power cut. A bucket is reached over
//! TLS, with the same cryptography as everything else here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::ClientOptions;
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use settings::values::Secret;

/// How long an answer of a bucket may take.
const ANSWER: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub(crate) enum BlobPlace {
    Folder(PathBuf),
    Bucket(Bucket),
}

/// A bucket, and how it is reached.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    /// `https://s3.example.com`; `http://` for a server on this machine only.
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) name: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: Secret,
}

/// Why there is no place for blobs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("the folder {folder} cannot be made")]
    Make {
        folder: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the place of uploads cannot be opened; look at the folder, or at [blobs.s3]")]
    Open(#[from] object_store::Error),
}

pub(super) fn open(place: &BlobPlace) -> Result<Arc<dyn ObjectStore>, OpenError> {
    match place {
        BlobPlace::Folder(folder) => {
            std::fs::create_dir_all(folder).map_err(|source| OpenError::Make {
                folder: folder.display().to_string(),
                source,
            })?;
            let opened = LocalFileSystem::new_with_prefix(folder)?;
            Ok(Arc::new(opened.with_fsync(true)))
        }
        BlobPlace::Bucket(bucket) => Ok(Arc::new(open_bucket(bucket)?)),
    }
}

fn open_bucket(bucket: &Bucket) -> Result<object_store::aws::AmazonS3, object_store::Error> {
    // Whoever was first has set the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = ClientOptions::new()
        .with_timeout(ANSWER)
        .with_connect_timeout(CONNECT)
        .with_allow_http(bucket.endpoint.starts_with("http://"));
    AmazonS3Builder::new()
        .with_client_options(client)
        .with_endpoint(&bucket.endpoint)
        .with_region(&bucket.region)
        .with_bucket_name(&bucket.name)
        .with_access_key_id(&bucket.access_key)
        .with_secret_access_key(bucket.secret_key.expose())
        .build()
}
