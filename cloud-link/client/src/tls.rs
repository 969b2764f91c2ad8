//! TLS towards the core: whom we believe, what we show, and what went wrong in words.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::identity::Identity;
use crate::way::PATIENCE;

/// Why there is no TLS with somebody who answers.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(
        "{host} shows a certificate of an authority that is not known here: {said}; if somebody \
         between inspects TLS, let this machine through without that; if the core has an authority \
         of its own, name its file in `cloud.authorities`"
    )]
    Authority { host: String, said: String },
    #[error(
        "by the clock of this machine the certificate of {host} does not hold: {said}; set the \
         clock (NTP), or renew the certificate of the core"
    )]
    Clock { host: String, said: String },
    #[error("the certificate that answers for {host} is for somebody else: {said}")]
    Name { host: String, said: String },
    #[error(
        "no TLS with {host}: {said}; something between may end or alter the connection: let \
         this machine through as it is"
    )]
    Other { host: String, said: String },
    #[error("{0} is no name of a host")]
    NoName(String),
    #[error("there is no certificate in {0}; it is a file in PEM")]
    NoAuthority(String),
    #[error("what is kept of this gateway cannot be used: {0}; claim it again")]
    Kept(String),
}

/// Believes authorities, and shows nothing.
pub(crate) fn first_contact(authorities: Option<&str>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(pem) => {
            for root in certificates(pem).map_err(TlsError::NoAuthority)? {
                let added = roots.add(root);
                added.map_err(|error| TlsError::NoAuthority(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(TlsError::NoAuthority("`cloud.authorities`".to_owned()));
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(system.certs);
        }
    }
    Ok(builder(roots).with_no_client_auth())
}

/// Believes the roots that the core gave, and shows the gateway's certificate.
pub fn as_ourselves(identity: &Identity) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    for pem in &identity.trust {
        for root in certificates(pem).map_err(TlsError::Kept)? {
            let added = roots.add(root);
            added.map_err(|error| TlsError::Kept(error.to_string()))?;
        }
    }
    let chain = certificates(&identity.chain).map_err(TlsError::Kept)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
    let key = key.map_err(|error| TlsError::Kept(error.to_string()))?;
    let config = builder(roots).with_client_auth_cert(chain, key);
    config.map_err(|error| TlsError::Kept(error.to_string()))
}

fn builder(
    roots: RootCertStore,
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3");
    match WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build() {
        Ok(verifier) => builder.with_webpki_verifier(verifier),
        // Without any root nobody is believed.
        Err(_) => builder.with_root_certificates(RootCertStore::empty()),
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

pub(crate) async fn shake_hands(
    stream: TcpStream,
    host: &str,
    config: ClientConfig,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|_| TlsError::NoName(host.to_owned()))?;
    let shaking = TlsConnector::from(Arc::new(config)).connect(name, stream);
    match tokio::time::timeout(PATIENCE, shaking).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(told(host, &error)),
        Err(_) => Err(TlsError::Other {
            host: host.to_owned(),
            said: "it says nothing".to_owned(),
        }),
    }
}

pub(crate) fn told(host: &str, error: &std::io::Error) -> TlsError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    let (host, said) = (host.to_owned(), error.to_string());
    let Some(rustls::Error::InvalidCertificate(wrong)) = inner else {
        return TlsError::Other { host, said };
    };
    match wrong {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => TlsError::Clock { host, said },
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsError::Name { host, said }
        }
        _ => TlsError::Authority { host, said },
    }
}
