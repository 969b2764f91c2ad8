//! `mail`: tries the way mails leave.

use anyhow::{Context, Result};

use super::args::{Configured, Mail};
use crate::config::Settings;
use crate::mail::send_test;
use crate::store::Store;

impl Mail {
    pub(super) fn core(&self) -> &Configured {
        match self {
            Self::Test { core, .. } => core,
        }
    }
}

/// What was done, for the one who reads it.
pub(super) async fn run(settings: &Settings, what: &Mail) -> Result<String> {
    let Mail::Test { address, .. } = what;
    let store = Store::open(&settings.store).await?;
    let core = crate::serve::open(settings, store.clone()).await?;
    let sent = send_test(&core, address).await;
    store.close().await;
    sent.with_context(|| format!("no letter to {address} has left"))?;
    Ok(format!(
        "the mail server has taken a letter to {address}; see whether it arrives\n"
    ))
}
