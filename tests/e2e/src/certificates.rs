//! A certificate authority that lives as long as a test.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};

#[derive(Debug)]
pub struct Certificates {
    folder: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

/// Files of one certificate, in PEM form.
#[derive(Debug, Clone)]
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Certificate and key in one file, as some programs want it.
    pub both: PathBuf,
}

impl Certificates {
    pub fn new(folder: &Path) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "Test authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let folder = folder.join("certificates");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("authority.crt"), authority.pem())?;
        Ok(Self { folder, authority })
    }

    /// The file with the authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("authority.crt")
    }

    /// A certificate for a program at `address`.
    pub fn issue(&self, name: &str, address: IpAddr) -> Result<Identity> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.subject_alt_names.push(SanType::IpAddress(address));
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, address.to_string());
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.authority).context("signing")?;
        let identity = Identity {
            certificate: self.folder.join(format!("{name}.crt")),
            key: self.folder.join(format!("{name}.key")),
            both: self.folder.join(format!("{name}.pem")),
        };
        std::fs::write(&identity.certificate, certificate.pem())?;
        std::fs::write(&identity.key, key.serialize_pem())?;
        std::fs::write(&identity.both, certificate.pem() + &key.serialize_pem())?;
        Ok(identity)
    }
}
