//! `admin`: what the operator of a core does by hand, on the machine itself.
//!
//! Every command stands in the audit log. Secrets go into files that only their owner can read and
//! that were not there before, never to standard output.

mod incident;
mod keys;
mod letters;
mod people;
mod subscriptions;
mod units;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};

use super::args::{Admin, Configured};
use crate::config::Settings;
use crate::core::Core;
use crate::store::Store;
use crate::store::audit::Actor;

impl Admin {
    pub(super) fn core(&self) -> &Configured {
        match self {
            Self::Users(work) => work.core(),
            Self::Grants(work) => work.core(),
            Self::Reset(reset) => &reset.core,
            Self::Subscriptions(what) => what.core(),
            Self::RotateKey { core, .. }
            | Self::Root { core }
            | Self::TakeRootKey { core, .. }
            | Self::RenewAuthority { core, .. }
            | Self::TrustMaker { core, .. }
            | Self::ImportUnits { core, .. }
            | Self::Letters { core, .. } => core,
            Self::Incident(what) => what.core(),
        }
    }
}

/// What was done, for the one who reads it.
pub(super) async fn run(settings: &Settings, what: &Admin) -> Result<String> {
    let store = Store::open(&settings.store).await?;
    let core = crate::serve::open(settings, store.clone()).await?;
    let told = carry_out(&core, what).await;
    store.close().await;
    told
}

async fn carry_out(core: &Core, what: &Admin) -> Result<String> {
    match what {
        Admin::Users(work) => people::users(core, work).await,
        Admin::Grants(work) => people::grants(core, work).await,
        Admin::Reset(reset) => people::reset(core, reset).await,
        Admin::RotateKey { drop_old, .. } if *drop_old => keys::drop_old(core).await,
        Admin::RotateKey { .. } => keys::rotate(core).await,
        Admin::Root { .. } => keys::roots(core).await,
        Admin::TakeRootKey { to, .. } => keys::take_root_key(core, to).await,
        Admin::RenewAuthority { root_key, .. } => keys::renew_authority(core, root_key).await,
        Admin::TrustMaker { certificate, .. } => keys::trust_maker(core, certificate).await,
        Admin::ImportUnits { list, labels, .. } => units::import(core, list, labels).await,
        Admin::Incident(what) => incident::run(core, what).await,
        Admin::Subscriptions(what) => subscriptions::run(core, what).await,
        Admin::Letters { state, .. } => letters::list(core, state.as_deref()).await,
    }
}

fn operator() -> Actor {
    Actor::named("cli")
}

/// A file that nobody else can read and that was not there before.
pub(super) fn write_secret(path: &Path, text: &str) -> Result<()> {
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().with_context(|| format!("writing {}", path.display()))
}
