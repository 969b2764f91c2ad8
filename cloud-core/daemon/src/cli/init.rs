//! `init`: what a new core needs before it can serve.
//!
//! Makes the folder, the key that seals all secrets, the tables and the authority. Run again, it makes
//! what is missing and leaves alone what is there. Invariant: it never replaces a key.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;

use anyhow::{Context, Result};

use crate::clock::Clock;
use crate::config::Settings;
use crate::keys::authority::{self, AuthorityError};
use crate::keys::{Sealer, create_key_file};
use crate::serve::key_file;
use crate::store::Store;

/// What was done, for the one who reads it.
pub(super) async fn run(settings: &Settings) -> Result<String> {
    let mut told = String::new();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&settings.folder)
        .with_context(|| format!("making the folder {}", settings.folder.display()))?;
    let keys = key_file(settings);
    if !keys.exists() {
        create_key_file(&keys)?;
        told += &format!(
            "made the key of all secrets: {}\n  keep a copy of it apart from the backups: neither is of \
             use without the other\n",
            keys.display()
        );
    }
    let sealer = Sealer::open(&keys)?;
    let store = Store::open(&settings.store).await?;
    let mut tx = store.write().await?;
    match authority::found(&mut tx, &sealer, Clock::default().now()).await {
        Ok(_) => told += "made the authority that signs the certificates of devices\n",
        Err(AuthorityError::Exists) => {}
        Err(error) => return Err(error.into()),
    }
    tx.commit().await?;
    store.close().await;
    if told.is_empty() {
        told += "everything is there already; nothing was changed\n";
    }
    Ok(told)
}
