//! People: who they are, how they show it, and what they may do where.
//!
//! A person has one account, whatever the number of companies she works for; what she may do
//! stands in grants. She signs in with a password or a passkey and is then known by a cookie, or,
//! for a few minutes, by a token. Every other domain meets people as a `Caller` and asks it.
//!
//! Not here: what a right means (`cloud_logic::rights`), sending of letters (`mail`). Invariant: no secret
//! is stored in the clear, and whatever is wrong with credentials, the answer is the same.

pub(crate) mod by_operator;
mod caller;
mod cookie;
mod founding;
mod grants;
mod handing_on;
mod integrations;
mod invitations;
mod letters;
mod logins;
mod passkeys;
mod passwords;
mod peer;
mod privacy;
mod resets;
mod secret;
mod sessions;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tokens;
mod users;
mod visible;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloud_logic::rights::Rights;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use webauthn_rs::Webauthn;

use crate::core::Core;
use crate::store::{StoreError, Together};
use crate::tenancy;

pub(crate) use caller::{Caller, Who, rights_now};
pub(crate) use founding::{NewOwner, add_owner};
pub(crate) use grants::{Reader, readers, visible_in};
pub(crate) use handing_on::{change_owner, end_in_project, mail_key_of, sound_mail, still_may};
pub(crate) use peer::Peer;
pub(crate) use privacy::{forget_again, tend as tend_exports};
pub(crate) use users::{account_of, language_of};
pub(crate) use visible::{Columns, VisibleRows};

use logins::Logins;
use passwords::Passwords;

/// What the portal's address says about cookies, origins and passkeys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    /// `https://core.example.com`, without a slash at its end.
    pub(crate) origin: String,
    pub(crate) name: String,
}

/// How long people stay signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    pub(crate) idle: Duration,
    pub(crate) absolute: Duration,
    /// How long a password or passkey counts as just shown.
    pub(crate) proof: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            // An operator's shift.
            idle: Duration::from_secs(12 * 3600),
            absolute: Duration::from_secs(7 * 24 * 3600),
            proof: Duration::from_secs(10 * 60),
        }
    }
}

/// What this domain keeps while the core runs. A clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct People {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    site: Site,
    patience: Patience,
    passwords: Passwords,
    /// Whom passkeys are made for; nobody where the address has no host name.
    party: Option<Webauthn>,
    logins: Mutex<Logins>,
    cookies: Cookies,
}

/// By the hash of a cookie's secret: whose it is, and what she may do.
type Cookies = Together<Vec<u8>, Option<(sessions::Session, Rights)>>;

impl People {
    pub(crate) fn new(site: Site) -> Self {
        Self {
            inner: Arc::new(Inner {
                party: passkeys::party(&site),
                site,
                patience: Patience::default(),
                passwords: Passwords::new(),
                logins: Mutex::new(Logins::new()),
                cookies: Cookies::default(),
            }),
        }
    }

    pub(crate) fn site(&self) -> &Site {
        &self.inner.site
    }

    pub(crate) fn patience(&self) -> Patience {
        self.inner.patience
    }

    fn passwords(&self) -> &Passwords {
        &self.inner.passwords
    }

    fn party(&self) -> Option<&Webauthn> {
        self.inner.party.as_ref()
    }

    fn cookies(&self) -> &Cookies {
        &self.inner.cookies
    }

    /// Never held over an await.
    fn logins(&self) -> std::sync::MutexGuard<'_, Logins> {
        self.inner
            .logins
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often what is over is forgotten, and the next key for tokens made.
const TENDED_EVERY: Duration = Duration::from_secs(3600);

/// Forgets sessions that are over and keeps keys for tokens at hand. Until `stop`.
pub(crate) async fn tend(core: Core, stop: CancellationToken) {
    loop {
        if let Err(error) = tend_once(&core).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "what is over could not be forgotten; it is tried again in an hour"
            );
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TENDED_EVERY) => {}
        }
    }
}

async fn tend_once(core: &Core) -> Result<(), StoreError> {
    let mut tx = core.store.write().await?;
    let now = core.now();
    sessions::end_expired(&mut tx, now).await?;
    invitations::forget(&mut tx, now).await?;
    resets::forget(&mut tx, now).await?;
    crate::mail::forget(&mut tx, now).await?;
    passkeys::forget(&mut tx, now).await?;
    tx.commit().await?;
    tenancy::tend(core).await?;
    tokens::tend(core).await
}

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .merge(sessions::routes())
        .merge(passkeys::routes())
        .merge(users::routes())
        .merge(grants::routes())
        .merge(integrations::routes())
        .merge(invitations::routes())
        .merge(resets::routes())
        .merge(privacy::routes())
        .merge(tokens::routes())
}
