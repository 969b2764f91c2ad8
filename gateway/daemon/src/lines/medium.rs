//! From the settings of a line to what it is opened with: certificates are read here.

use anyhow::Context as _;
use net::lines::Medium;
use net::tls::{
    CertificateFiles, ClientCertificates, ClientTls, ClientTlsFiles, ServerName, ServerTls,
    ServerTlsFiles, TlsVersion, TrustFiles,
};

use crate::config::{LineTls, MediumSettings};

/// None: the line runs over nothing, or over what only ISDN runs over.
pub(crate) fn medium(settings: &MediumSettings) -> anyhow::Result<Option<Medium>> {
    Ok(Some(match settings {
        MediumSettings::Nothing | MediumSettings::L1oip { .. } | MediumSettings::E1d { .. } => {
            return Ok(None);
        }
        MediumSettings::Serial(serial) => Medium::Serial(serial.clone()),
        MediumSettings::Connect { to, tls: None } => Medium::Connect { to: *to, tls: None },
        MediumSettings::Connect {
            to,
            tls: Some((files, name)),
        } => {
            let name = ServerName::try_from(name.clone())
                .with_context(|| format!("\"{name}\" is no name that a certificate can have"))?;
            let tls = ClientTls::load(&ClientTlsFiles {
                trust: trust(files),
                certificate: Some(certificate(files)),
                oldest: TlsVersion::Tls13,
            })?;
            Medium::Connect {
                to: *to,
                tls: Some((tls, name)),
            }
        }
        MediumSettings::Listen { at, tls } => {
            let load = |files: &LineTls| {
                ServerTls::load(&ServerTlsFiles {
                    certificates: vec![certificate(files)],
                    clients: ClientCertificates::Required(trust(files)),
                    oldest: TlsVersion::Tls13,
                })
            };
            Medium::Listen {
                at: *at,
                tls: tls.as_ref().map(load).transpose()?,
            }
        }
        MediumSettings::ConnectUnix(path) => Medium::ConnectUnix(path.clone()),
        MediumSettings::ListenUnix(path) => Medium::ListenUnix(path.clone()),
    }))
}

fn certificate(files: &LineTls) -> CertificateFiles {
    CertificateFiles {
        chain: files.certificate.clone(),
        key: files.key.clone(),
    }
}

fn trust(files: &LineTls) -> TrustFiles {
    TrustFiles {
        roots: vec![files.authorities.clone()],
        revocation_lists: Vec::new(),
    }
}
