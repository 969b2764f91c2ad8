//! What the keys need from time to time: fresh lists, a new authority in good time, new certificates
//! for our own listeners.
//!
//! A reconciler: it looks at what is there, does what is due, and may be run at any moment, on every
//! node. Invariant: what it cannot do it says in the log with the remedy, and tries again.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::authority::{self, AuthorityError};
use super::{Keys, KeysError};
use crate::core::Core;

const EVERY: Duration = Duration::from_secs(60);

impl Keys {
    /// Until `stop`.
    pub(crate) async fn tend(&self, core: &Core, stop: CancellationToken) {
        loop {
            if let Err(error) = self.tend_once(core).await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "keys and certificates could not be tended"
                );
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    pub(crate) async fn tend_once(&self, core: &Core) -> Result<(), KeysError> {
        let now = core.now();
        // A key that a rotation has added is the one that seals from the next minute on.
        if let Err(error) = self.sealer().reload() {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the key file cannot be read; the keys read before are used"
            );
        }
        let mut tx = core.store.write().await?;
        match authority::renew(&mut tx, self.sealer(), now, None).await {
            // Five years are long; whoever keeps the key has to be told often.
            Err(error @ AuthorityError::RootAway) => {
                tracing::error!(%error, "an authority ends within a year");
            }
            Err(error) => return Err(error.into()),
            Ok(0) => {}
            Ok(made) => tracing::info!(made, "new authorities sign from now on"),
        }
        tx.commit().await?;
        loop {
            let mut tx = core.store.write().await?;
            let lists = &self.addresses().lists;
            let more = authority::maintain_lists(&mut tx, self.sealer(), now, lists).await?;
            tx.commit().await?;
            if !more {
                break;
            }
        }
        self.refresh_tls(core).await
    }
}
