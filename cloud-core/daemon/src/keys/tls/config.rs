//! Settings of TLS for each kind of listener. Version 1.2 or newer (G2), ring as the only provider.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, VerifierBuilderError};
use rustls::time_provider::TimeProvider;
use rustls::{ServerConfig, version};
use zeroize::Zeroizing;

use super::verifier::{Asked, Verifier};
use crate::clock::Clock;

/// Why a listener cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("a certificate, or its key, is not fit for TLS")]
    Rustls(#[from] rustls::Error),
    #[error("the certificates to be trusted are not fit for it")]
    Verifier(#[from] VerifierBuilderError),
}

/// Whose certificates are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Anchors {
    pub(crate) devices: Vec<CertificateDer<'static>>,
    pub(crate) makers: Vec<CertificateDer<'static>>,
}

/// Our own certificate, with what signed it, and its key (PKCS #8).
#[derive(Clone)]
pub(crate) struct OurCertificate {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: Zeroizing<Vec<u8>>,
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// For the front door: devices with a certificate that holds, and nobody else.
pub(crate) fn device_config(
    anchors: &Anchors,
    ours: &OurCertificate,
    clock: &Clock,
) -> Result<Arc<ServerConfig>, TlsError> {
    let verifier = Verifier::new(Asked::Device, &anchors.devices, &anchors.makers)?;
    let mut config = config(verifier, ours, clock)?;
    // A resumed session would not be judged again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// For HTTPS: browsers without a certificate, devices that enrol with whatever they have.
pub(crate) fn web_config(
    anchors: &Anchors,
    ours: &OurCertificate,
    clock: &Clock,
) -> Result<Arc<ServerConfig>, TlsError> {
    let verifier = Verifier::new(Asked::Nothing, &anchors.devices, &anchors.makers)?;
    let mut config = config(verifier, ours, clock)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn config(
    verifier: Verifier,
    ours: &OurCertificate,
    clock: &Clock,
) -> Result<ServerConfig, TlsError> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(ours.key.to_vec()));
    let time = Arc::new(ClockOfTls(clock.clone()));
    let mut config = ServerConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(ours.chain.clone(), key)?;
    // RFC 9266 3: without it, what is exported of a connection of TLS 1.2 is not bound to it.
    config.require_ems = true;
    Ok(config)
}

/// The core's clock, which a test can move.
#[derive(Debug)]
pub(crate) struct ClockOfTls(pub(crate) Clock);

impl TimeProvider for ClockOfTls {
    fn current_time(&self) -> Option<UnixTime> {
        let ms = u64::try_from(self.0.now().unix_ms()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(ms)))
    }
}
