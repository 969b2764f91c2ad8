//! TLS settings for flows: certificates, keys, trust, and how to change them while running.
//!
//! A certificate that is not valid at present (expired, or the clock was lost) is used all the same
//! and reported by [`ServerTls::notices`]: peers decide whether to accept it, and an intercom that
//! does not start because of a date helps nobody.
//!
//! In debug builds `SSLKEYLOGFILE` names a file for session keys, so that a capture can be read; a
//! release build never writes one.
//!
//! What it does not do: renew certificates, watch files, trust the roots of the system. Loading
//! reads files and blocks; it belongs at start or on a blocking thread.

mod files;
mod identity;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};

use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{
    ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier,
};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, KeyLogFile, ServerConfig, SupportedProtocolVersion};

pub use self::files::{CertificateFiles, TlsError, TrustFiles, Validity};
pub use self::identity::{Fingerprint, PeerCertificate};
pub use tokio_rustls::rustls::pki_types::ServerName;

/// Makes ring the provider of cryptography of this process, if none is set yet. To be called once
/// at start; the settings made here do not depend on it, other users of rustls may.
pub fn install_provider() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        // An error means that the program has chosen another one before, which is its right.
        let _other = ring::default_provider().install_default();
    });
}

/// What a TLS listener shows and demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTlsFiles {
    /// The first is shown when no other fits the name and the algorithms of the client: an RSA
    /// certificate beside an ECDSA one serves old stations.
    pub certificates: Vec<CertificateFiles>,
    pub clients: ClientCertificates,
    pub oldest: TlsVersion,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    Ignored,
    /// Asked for; a client without one is served, a client with a bad one is not.
    Optional(TrustFiles),
    Required(TrustFiles),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTlsFiles {
    pub trust: TrustFiles,
    /// Shown to servers that ask.
    pub certificate: Option<CertificateFiles>,
    pub oldest: TlsVersion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

/// Something somebody should look at, though TLS works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsNotice {
    Expired { chain: PathBuf },
    NotYetValid { chain: PathBuf },
}

impl fmt::Display for TlsNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { chain } => write!(
                f,
                "the certificate in {} has expired; renew it and reload",
                chain.display()
            ),
            Self::NotYetValid { chain } => write!(
                f,
                "the certificate in {} is not valid yet; is the clock right?",
                chain.display()
            ),
        }
    }
}

/// Loaded settings of a TLS listener; cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    notices: Vec<TlsNotice>,
    valid_until: Option<SystemTime>,
}

/// Loaded settings for TLS connections that we open; cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
}

impl ServerTls {
    pub fn load(files: &ServerTlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let now = SystemTime::now();
        let mut choices = Vec::new();
        let mut notices = Vec::new();
        let mut valid_until = None;
        for certificate in &files.certificates {
            let (key, validity) = certificate.load(&provider)?;
            choices.push(key);
            if let Some(Validity { from, until }) = validity {
                let chain = certificate.chain.clone();
                if until < now {
                    notices.push(TlsNotice::Expired { chain });
                } else if now < from {
                    notices.push(TlsNotice::NotYetValid { chain });
                }
                valid_until = Some(valid_until.map_or(until, |other| until.min(other)));
            }
        }
        if choices.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(files.oldest.and_newer())?
            .with_client_cert_verifier(files.clients.verifier(provider)?)
            .with_cert_resolver(Arc::new(Certificates(choices)));
        if cfg!(debug_assertions) {
            config.key_log = Arc::new(KeyLogFile::new());
        }
        Ok(Self {
            config: Arc::new(config),
            notices,
            valid_until,
        })
    }

    /// Settings that somebody else has made: certificates that stand in no file, clients that are
    /// judged by rules of one's own.
    pub fn made(config: Arc<ServerConfig>) -> Self {
        Self {
            config,
            notices: Vec::new(),
            valid_until: None,
        }
    }

    pub fn notices(&self) -> &[TlsNotice] {
        &self.notices
    }

    /// When the first of its certificates expires.
    pub fn valid_until(&self) -> Option<SystemTime> {
        self.valid_until
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

impl ClientTls {
    pub fn load(files: &ClientTlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let roots = files.trust.roots()?;
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .with_crls(files.trust.revocation_lists()?)
            .build()
            .map_err(TlsError::RevocationLists)?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(files.oldest.and_newer())?
            .with_webpki_verifier(verifier);
        let mut config = match &files.certificate {
            Some(certificate) => {
                let (key, _) = certificate.load(&provider)?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
            None => builder.with_no_client_auth(),
        };
        if cfg!(debug_assertions) {
            config.key_log = Arc::new(KeyLogFile::new());
        }
        Ok(Self {
            config: Arc::new(config),
        })
    }

    /// Settings that somebody else has made of a certificate and of whom it believes.
    pub fn from_config(config: ClientConfig) -> Self {
        let config = Arc::new(config);
        Self { config }
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }
}

impl TlsVersion {
    fn and_newer(self) -> &'static [&'static SupportedProtocolVersion] {
        static FROM_12: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        static FROM_13: [&SupportedProtocolVersion; 1] = [&TLS13];
        match self {
            Self::Tls12 => &FROM_12,
            Self::Tls13 => &FROM_13,
        }
    }
}

impl ClientCertificates {
    fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let trusting = |trust: &TrustFiles| {
            let builder = WebPkiClientVerifier::builder_with_provider(trust.roots()?, provider);
            Ok::<_, TlsError>(builder.with_crls(trust.revocation_lists()?))
        };
        let builder = match self {
            Self::Ignored => return Ok(WebPkiClientVerifier::no_client_auth()),
            Self::Optional(trust) => trusting(trust)?.allow_unauthenticated(),
            Self::Required(trust) => trusting(trust)?,
        };
        builder.build().map_err(TlsError::RevocationLists)
    }
}

/// Chooses the certificate to show.
#[derive(Debug)]
struct Certificates(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let is_usable = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        let named = hello
            .server_name()
            .and_then(|name| ServerName::try_from(name).ok());
        let is_named = |key: &&Arc<CertifiedKey>| {
            let certificate = key.end_entity_cert().and_then(ParsedCertificate::try_from);
            named.as_ref().is_some_and(|name| {
                certificate.is_ok_and(|certificate| verify_server_name(&certificate, name).is_ok())
            })
        };
        let fitting = self.0.iter().filter(is_usable).find(is_named);
        let usable = || self.0.iter().find(is_usable);
        fitting.or_else(usable).or(self.0.first()).cloned()
    }
}
