//! `init`: what a new core needs before it can serve.
//!
//! Makes the folder, the key that seals all secrets, the tables and the authority; on demand a first
//! company with its owner. Run again, it makes
//! what is missing and leaves alone what is there. Invariant: it never replaces a key.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;

use anyhow::{Context, Result, anyhow};

use super::args::Init;
use super::in_words;
use crate::api::Problem;
use crate::clock::Clock;
use crate::config::Settings;
use crate::keys::authority::{self, AuthorityError};
use crate::keys::{Sealer, create_key_file};
use crate::people::{self, NewOwner};
use crate::serve::key_file;
use crate::store::audit::Actor;
use crate::store::{Store, Tx};
use crate::tenancy::{self, NewCompany};

/// What was done, for the one who reads it.
pub(super) async fn run(settings: &Settings, asked: &Init) -> Result<String> {
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
    if let (Some(company), Some(owner)) = (&asked.company, &asked.owner) {
        let password = first_company(&mut tx, company, owner, asked).await;
        let password = password.map_err(|problem| anyhow!("{}", in_words(&problem)))?;
        told += &format!(
            "made the company {company} and its owner {owner}\n  password, shown only now: {password}\n"
        );
    }
    tx.commit().await?;
    store.close().await;
    if !told.is_empty() {
        told += &format!(
            "next: antiphon-cloud serve, then sign in at {}\n",
            settings.url
        );
    }
    if told.is_empty() {
        told += "everything is there already; nothing was changed\n";
    }
    Ok(told)
}

/// The password of its owner.
async fn first_company(
    tx: &mut Tx,
    company: &str,
    owner: &str,
    asked: &Init,
) -> Result<String, Problem> {
    let now = Clock::default().now();
    let actor = Actor::named("cli");
    let company = NewCompany {
        name: company.to_owned(),
        language: asked.language.clone(),
        time_zone: asked.time_zone.clone(),
    };
    let company = tenancy::add_company(tx, &actor, company, now).await?;
    let owner = NewOwner {
        mail: owner.to_owned(),
        language: asked.language.clone(),
    };
    people::add_owner(tx, &actor, company, owner, now).await
}
