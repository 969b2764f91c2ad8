//! Secrets at rest, the core's own certificate authority, and who may open a connection.
//!
//! `sealer` encrypts whatever secret stands in a row. `authority` issues the certificates of devices
//! and of our own listeners and tells which are void. `tls` judges who connects. Invariant: a key
//! stands in a row only sealed, and whatever a device asks for, nothing of its request but the
//! public key reaches a certificate.

pub(crate) mod authority;
mod key_file;
mod makers;
mod named;
mod reseal;
mod routes;
mod sealer;
mod tend;
#[cfg(test)]
pub(crate) mod testing;
mod tls;

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::{Mutex, watch};

use crate::clock::Clock;
use crate::core::Core;
use crate::store::{Store, StoreError};

pub(crate) use key_file::create as create_key_file;
pub(crate) use makers::trust_maker;
pub(crate) use named::{NamedSecretError, find_named_secret, named_secret};
pub(crate) use reseal::{drop_old, rotate};
pub(crate) use routes::revocation_lists;
pub(crate) use sealer::{Sealer, Secret, UnsealError};
pub(crate) use tls::{Barred, TlsError, TlsPeer, identify, known, provider as tls_provider};

use authority::{AuthorityError, Kind};
use tls::{Anchors, OurCertificate};

/// Where devices find what they need. Stands in certificates and in answers to enrolments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// Base of the lists of void certificates, `http://` and without a slash at its end.
    pub(crate) lists: String,
    /// `host:port` of the front door.
    pub(crate) mqtt: String,
    /// Base of HTTPS.
    pub(crate) https: String,
    /// `host:port` of calls, if there are any.
    pub(crate) calls: Option<String>,
    /// Names in our own certificate.
    pub(crate) names: Vec<String>,
}

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What this domain keeps while the core runs. A clone is the same.
#[derive(Clone)]
pub(crate) struct Keys {
    inner: Arc<Inner>,
}

struct Inner {
    sealer: Sealer,
    addresses: Addresses,
    devices: watch::Sender<Arc<ServerConfig>>,
    web: watch::Sender<Arc<ServerConfig>>,
    /// What the present settings of TLS were made of.
    made_of: Mutex<MadeOf>,
}

struct MadeOf {
    anchors: Anchors,
    ours: OurCertificate,
    renew_after: model::Timestamp,
}

impl Keys {
    /// Needs an authority (`authority::found`). Takes a new certificate for our listeners.
    pub(crate) async fn open(
        store: &Store,
        clock: &Clock,
        sealer: Sealer,
        addresses: Addresses,
    ) -> Result<Self, KeysError> {
        let made_of = make(store, clock, &sealer, &addresses, None).await?;
        let devices = tls::device_config(&made_of.anchors, &made_of.ours, clock)?;
        let web = tls::web_config(&made_of.anchors, &made_of.ours, clock)?;
        Ok(Self {
            inner: Arc::new(Inner {
                sealer,
                addresses,
                devices: watch::Sender::new(devices),
                web: watch::Sender::new(web),
                made_of: Mutex::new(made_of),
            }),
        })
    }

    pub(crate) fn sealer(&self) -> &Sealer {
        &self.inner.sealer
    }

    pub(crate) fn addresses(&self) -> &Addresses {
        &self.inner.addresses
    }

    /// For the front door. Take the newest for each connection.
    pub(crate) fn device_tls(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.inner.devices.subscribe()
    }

    /// For HTTPS. Take the newest for each connection.
    pub(crate) fn web_tls(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.inner.web.subscribe()
    }

    /// Makes new settings where an authority or our own certificate has changed.
    async fn refresh_tls(&self, core: &Core) -> Result<(), KeysError> {
        let inner = &self.inner;
        let mut held = inner.made_of.lock().await;
        let now = core.now();
        let present = (now < held.renew_after).then(|| &*held);
        let next = make(
            &core.store,
            &core.clock,
            &inner.sealer,
            &inner.addresses,
            present,
        )
        .await?;
        if next.anchors == held.anchors && next.ours.chain == held.ours.chain {
            return Ok(());
        }
        let devices = tls::device_config(&next.anchors, &next.ours, &core.clock)?;
        let web = tls::web_config(&next.anchors, &next.ours, &core.clock)?;
        inner.devices.send_replace(devices);
        inner.web.send_replace(web);
        *held = next;
        Ok(())
    }
}

/// `present` keeps its certificate.
async fn make(
    store: &Store,
    clock: &Clock,
    sealer: &Sealer,
    addresses: &Addresses,
    present: Option<&MadeOf>,
) -> Result<MadeOf, KeysError> {
    let now = clock.now();
    let mut tx = store.read().await?;
    let anchors = Anchors {
        devices: authority::anchors(&mut tx, Kind::Devices).await?,
        makers: makers::anchors(&mut tx).await?,
    };
    if let Some(present) = present {
        return Ok(MadeOf {
            anchors,
            ours: present.ours.clone(),
            renew_after: present.renew_after,
        });
    }
    let issued = authority::issue_server(&mut tx, sealer, now, &addresses.names).await?;
    let ours = OurCertificate {
        chain: issued.chain,
        key: issued.key,
    };
    Ok(MadeOf {
        anchors,
        ours,
        renew_after: issued.renew_after,
    })
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("sealer", &self.inner.sealer)
            .field("addresses", &self.inner.addresses)
            .finish_non_exhaustive()
    }
}
