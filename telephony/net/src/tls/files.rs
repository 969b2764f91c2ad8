//! Reads certificates, keys and revocation lists from PEM files. Every error names the file and
//! what to do about it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use thiserror::Error;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, InconsistentKeys, RootCertStore};
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// A certificate with its key, as two PEM files; both may be the same file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, then the intermediate ones up to the root, without the root.
    pub chain: PathBuf,
    /// PKCS#8, SEC1 (`EC PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`).
    pub key: PathBuf,
}

/// Whom to trust. Nothing else is trusted: the roots of the system are not added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustFiles {
    /// PEM files with one root certificate or more.
    pub roots: Vec<PathBuf>,
    /// PEM files with revocation lists. If there is one, each issuer in a chain needs one. Their
    /// `nextUpdate` is not enforced: an appliance may be offline for long.
    pub revocation_lists: Vec<PathBuf>,
}

#[derive(Debug, Error)]
pub enum TlsError {
    #[error("cannot read {}", .file.display())]
    Read { file: PathBuf, source: io::Error },
    #[error("{} is not a valid PEM file: {problem}", .file.display())]
    Pem { file: PathBuf, problem: pem::Error },
    #[error("{} holds no {wanted}; expected a PEM block that begins with {begin:?}", .file.display())]
    Missing {
        file: PathBuf,
        wanted: &'static str,
        begin: &'static str,
    },
    #[error(
        "the key in {} is encrypted; remove the passphrase with \
         `openssl pkey -in {} -out key.pem` and protect the file by its mode instead",
        .file.display(),
        .file.display()
    )]
    EncryptedKey { file: PathBuf },
    #[error(
        "the key in {} does not belong to the certificate in {}: compare \
         `openssl pkey -pubout -in KEY` with `openssl x509 -pubkey -noout -in CERTIFICATE`; \
         the certificate must be the first in its file",
        .key.display(),
        .chain.display()
    )]
    Mismatch { chain: PathBuf, key: PathBuf },
    #[error("the key in {} cannot be used; ECDSA P-256/P-384, Ed25519 and RSA from 2048 bits can", .file.display())]
    Key {
        file: PathBuf,
        source: rustls::Error,
    },
    #[error("a certificate in {} cannot be used", .file.display())]
    Certificate {
        file: PathBuf,
        source: rustls::Error,
    },
    #[error("no certificate is configured; TLS needs at least one")]
    NoCertificate,
    #[error("no root certificate is configured; name the file of the authority to trust")]
    NoRoots,
    #[error("the revocation lists cannot be used: {0}")]
    RevocationLists(rustls::server::VerifierBuilderError),
    #[error("TLS refuses the settings")]
    Settings(#[from] rustls::Error),
}

/// When a certificate may be used; `None` if it cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub from: SystemTime,
    pub until: SystemTime,
}

impl CertificateFiles {
    pub(super) fn load(
        &self,
        provider: &CryptoProvider,
    ) -> Result<(Arc<CertifiedKey>, Option<Validity>), TlsError> {
        let chain = certificates(&self.chain)?;
        let validity = chain.first().and_then(validity);
        let key = private_key(&self.key)?;
        let key = provider
            .key_provider
            .load_private_key(key)
            .map_err(|source| TlsError::Key {
                file: self.key.clone(),
                source,
            })?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
                Ok((Arc::new(certified), validity))
            }
            Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::Mismatch {
                chain: self.chain.clone(),
                key: self.key.clone(),
            }),
            Err(source) => Err(TlsError::Certificate {
                file: self.chain.clone(),
                source,
            }),
        }
    }
}

impl TrustFiles {
    pub(super) fn roots(&self) -> Result<Arc<RootCertStore>, TlsError> {
        let mut roots = RootCertStore::empty();
        for file in &self.roots {
            for certificate in certificates(file)? {
                roots
                    .add(certificate)
                    .map_err(|source| TlsError::Certificate {
                        file: file.clone(),
                        source,
                    })?;
            }
        }
        if roots.is_empty() {
            return Err(TlsError::NoRoots);
        }
        Ok(Arc::new(roots))
    }

    pub(super) fn revocation_lists(
        &self,
    ) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
        let mut lists = Vec::new();
        for file in &self.revocation_lists {
            lists.extend(sections(file, "revocation list", "-----BEGIN X509 CRL")?);
        }
        Ok(lists)
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    sections(file, "certificate", "-----BEGIN CERTIFICATE")
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(file)?;
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) if is_encrypted(&text) => Err(TlsError::EncryptedKey {
            file: file.to_owned(),
        }),
        Err(pem::Error::NoItemsFound) => Err(TlsError::Missing {
            file: file.to_owned(),
            wanted: "private key",
            begin: "-----BEGIN PRIVATE KEY",
        }),
        Err(problem) => Err(TlsError::Pem {
            file: file.to_owned(),
            problem,
        }),
    }
}

/// PKCS#8 says so in its first line, the older formats in a header.
fn is_encrypted(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}

fn sections<T: PemObject>(
    file: &Path,
    wanted: &'static str,
    begin: &'static str,
) -> Result<Vec<T>, TlsError> {
    let text = read(file)?;
    let found: Result<Vec<T>, _> = T::pem_slice_iter(&text).collect();
    let found = found.map_err(|problem| TlsError::Pem {
        file: file.to_owned(),
        problem,
    })?;
    if found.is_empty() {
        return Err(TlsError::Missing {
            file: file.to_owned(),
            wanted,
            begin,
        });
    }
    Ok(found)
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(file).map_err(|source| TlsError::Read {
        file: file.to_owned(),
        source,
    })
}

fn validity(certificate: &CertificateDer<'static>) -> Option<Validity> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let period = certificate.tbs_certificate().validity();
    Some(Validity {
        from: period.not_before.to_system_time(),
        until: period.not_after.to_system_time(),
    })
}
