//! A little certificate authority with its files in a folder of its own.

use std::fs;
use std::path::PathBuf;

use net::tls::{CertificateFiles, TrustFiles};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams, SanType,
    SerialNumber, date_time_ymd,
};
use tempfile::TempDir;

pub(crate) struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
    issued: u64,
}

/// A certificate on disk and in memory.
pub(crate) struct Issued {
    pub(crate) files: CertificateFiles,
    pub(crate) certificate: rcgen::Certificate,
    pub(crate) key: KeyPair,
    serial: SerialNumber,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        Self {
            folder: TempDir::new().unwrap(),
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
            issued: 0,
        }
    }

    pub(crate) fn certificate(&self) -> &rcgen::Certificate {
        self.issuer.as_ref()
    }

    /// For a name or address.
    pub(crate) fn issue(&mut self, name: &str) -> Issued {
        self.issue_with(name, &KeyPair::generate().unwrap(), |_| {})
    }

    pub(crate) fn issue_with(
        &mut self,
        name: &str,
        key: &KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        self.issued += 1;
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(self.issued.into());
        change(&mut params);
        let certificate = params.signed_by(key, &self.issuer).unwrap();
        let files = CertificateFiles {
            chain: self.write(&format!("{}.crt", self.issued), &certificate.pem()),
            key: self.write(&format!("{}.key", self.issued), &key.serialize_pem()),
        };
        Issued {
            files,
            certificate,
            key: KeyPair::from_pem(&key.serialize_pem()).unwrap(),
            serial: self.issued.into(),
        }
    }

    pub(crate) fn trust(&self) -> TrustFiles {
        TrustFiles {
            roots: vec![self.write("root.crt", &self.issuer.pem())],
            revocation_lists: Vec::new(),
        }
    }

    pub(crate) fn trust_but(&self, revoked: &[&Issued]) -> TrustFiles {
        let entry = |issued: &&Issued| RevokedCertParams {
            serial_number: issued.serial.clone(),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2024, 2, 1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).unwrap().pem().unwrap();
        TrustFiles {
            revocation_lists: vec![self.write("revoked.crl", &list)],
            ..self.trust()
        }
    }

    pub(crate) fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(file);
        fs::write(&path, text).unwrap();
        path
    }
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(Ia5String::try_from(text).unwrap())
}
