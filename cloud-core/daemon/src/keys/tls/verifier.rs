//! Judges the certificates of those who connect.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};

use super::config::{TlsError, provider};

/// An expired certificate still opens the connection in which its device asks for the next one.
const GRACE: Duration = Duration::from_secs(30 * 24 * 3600);

/// How much is asked of who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A device's certificate, and it holds.
    Device,
    /// None; or a device's, perhaps expired of late; or one a device was born with.
    Nothing,
}

#[derive(Debug)]
pub(super) struct Verifier {
    asked: Asked,
    devices: Arc<dyn ClientCertVerifier>,
    /// Of makers whose devices enrol by the key they were born with.
    makers: Option<Arc<dyn ClientCertVerifier>>,
    hints: Vec<DistinguishedName>,
}

impl Verifier {
    pub(super) fn new(
        asked: Asked,
        devices: &[CertificateDer<'static>],
        makers: &[CertificateDer<'static>],
    ) -> Result<Self, TlsError> {
        let devices = web_pki(devices)?;
        let makers = match asked {
            Asked::Nothing if !makers.is_empty() => Some(web_pki(makers)?),
            Asked::Nothing | Asked::Device => None,
        };
        let mut hints = devices.root_hint_subjects().to_vec();
        if let Some(makers) = &makers {
            hints.extend_from_slice(makers.root_hint_subjects());
        }
        Ok(Self {
            asked,
            devices,
            makers,
            hints,
        })
    }
}

fn web_pki(anchors: &[CertificateDer<'static>]) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for anchor in anchors {
        roots.add(anchor.clone())?;
    }
    let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
    Ok(built)
}

impl ClientCertVerifier for Verifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.asked == Asked::Device
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let judge = |by: &Arc<dyn ClientCertVerifier>, at| {
            by.verify_client_cert(end_entity, intermediates, at)
        };
        let refused = match judge(&self.devices, now) {
            Ok(verified) => return Ok(verified),
            Err(refused) => refused,
        };
        match (self.asked, &self.makers) {
            (Asked::Device, _) => Err(refused),
            (Asked::Nothing, _) if has_expired(&refused) => {
                let before = now.as_secs().saturating_sub(GRACE.as_secs());
                let before = UnixTime::since_unix_epoch(Duration::from_secs(before));
                judge(&self.devices, before)
            }
            (Asked::Nothing, Some(makers)) => judge(makers, now),
            (Asked::Nothing, None) => Err(refused),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.devices
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.devices
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.devices.supported_verify_schemes()
    }
}

fn has_expired(refused: &Error) -> bool {
    matches!(
        refused,
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. }
        )
    )
}
