//! Who a peer proved to be with its certificate.
//!
//! Reads names only; whether the certificate is to be trusted has been decided before, by the
//! handshake.

use std::fmt;
use std::net::IpAddr;

use sha2::{Digest, Sha256};
use tokio_rustls::rustls::CommonState;
use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// The names in the certificate of a peer. A certificate that cannot be read has a fingerprint and
/// no names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    pub fingerprint: Fingerprint,
    /// As it was shown.
    pub der: Box<[u8]>,
    /// Subject alternative names. RFC 5922 7.1: a SIP domain is a URI, or else a DNS name.
    pub uris: Vec<String>,
    pub dns_names: Vec<String>,
    pub addresses: Vec<IpAddr>,
    pub common_name: Option<String>,
}

/// SHA-256 of the certificate; shown as `openssl x509 -fingerprint -sha256` does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl PeerCertificate {
    pub(crate) fn of(session: &CommonState) -> Option<Self> {
        session.peer_certificates()?.first().map(Self::read)
    }

    pub(crate) fn read(certificate: &CertificateDer<'_>) -> Self {
        let mut identity = Self {
            fingerprint: Fingerprint(Sha256::digest(certificate).into()),
            der: certificate.as_ref().into(),
            uris: Vec::new(),
            dns_names: Vec::new(),
            addresses: Vec::new(),
            common_name: None,
        };
        if let Ok(certificate) = Certificate::from_der(certificate) {
            let subject = certificate.tbs_certificate().subject();
            if let Ok(Some(name)) = subject.common_name() {
                identity.common_name = Some(String::from(name));
            }
            if let Ok(Some((_, names))) = certificate
                .tbs_certificate()
                .get_extension::<SubjectAltName>()
            {
                identity.take(names);
            }
        }
        identity
    }

    fn take(&mut self, names: SubjectAltName) {
        for name in names.0 {
            match name {
                GeneralName::UniformResourceIdentifier(uri) => self.uris.push(uri.to_string()),
                GeneralName::DnsName(name) => self.dns_names.push(name.to_string()),
                GeneralName::IpAddress(octets) => {
                    let octets = octets.as_bytes();
                    let ipv4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
                    let ipv6 = <[u8; 16]>::try_from(octets).map(IpAddr::from);
                    self.addresses.extend(ipv4.or(ipv6));
                }
                GeneralName::OtherName(_)
                | GeneralName::Rfc822Name(_)
                | GeneralName::DirectoryName(_)
                | GeneralName::EdiPartyName(_)
                | GeneralName::RegisteredId(_) => {}
            }
        }
    }
}
