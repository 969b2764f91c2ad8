//! Who is at the door, and how that is known.
//!
//! The handshake proves that a certificate is one of ours; whether it may still be used its
//! row says, when the device comes in and whenever something about it changes. Invariant:
//! on the listener of TLS nobody is known by word alone.

use cloud_logic::ids::DeviceId;
use model::Timestamp;
use rustls::pki_types::CertificateDer;

use crate::keys::authority::{self, Serial};
use crate::keys::{Barred, identify};
use crate::store::{StoreError, Tx};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Credential {
    pub(super) device: DeviceId,
    proof: Proof,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    Certificate(Serial),
    /// The listener for tests believes what it is told.
    Word,
    /// A broker has seen its certificate, and knows which are void as of its last list.
    Vouched,
}

impl Credential {
    /// Of a verified certificate; `None` when it names no device of ours.
    pub(super) fn shown(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let mut names = certificate.subject().iter_common_name();
        let name = names.next()?.as_str().ok()?;
        // Two names: nobody knows which one was meant.
        if names.next().is_some() {
            return None;
        }
        let device = name.parse().ok()?;
        let serial = Serial::of_octets(certificate.raw_serial())?;
        Some(Self {
            device,
            proof: Proof::Certificate(serial),
        })
    }

    pub(super) fn word(device: DeviceId) -> Self {
        Self {
            device,
            proof: Proof::Word,
        }
    }

    pub(super) fn vouched(device: DeviceId) -> Self {
        let proof = Proof::Vouched;
        Self { device, proof }
    }

    /// Whether the device has a certificate that holds: a broker may be behind.
    async fn has_any(&self, tx: &mut Tx, now: Timestamp) -> Result<bool, StoreError> {
        let all = authority::certificates_of(tx, self.device, now).await?;
        Ok(all.iter().any(|known| known.void.is_none()))
    }

    /// Whether the device may come in with the certificate it has shown.
    pub(super) async fn opens(
        &self,
        tx: &mut Tx,
        shown: Option<&CertificateDer<'static>>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        match (self.proof, shown) {
            (Proof::Word, None) => Ok(true),
            (Proof::Vouched, None) => self.has_any(tx, now).await,
            (Proof::Word | Proof::Vouched, Some(_)) | (Proof::Certificate(_), None) => Ok(false),
            (Proof::Certificate(_), Some(shown)) => match identify(tx, shown, now).await {
                Ok(known) => Ok(known.holder.device == self.device),
                Err(Barred::Store(error)) => Err(error),
                Err(Barred::Unknown | Barred::Void(_) | Barred::Expired) => Ok(false),
            },
        }
    }

    /// Whether a device that came in may stay.
    pub(super) async fn holds(&self, tx: &mut Tx, now: Timestamp) -> Result<bool, StoreError> {
        let serial = match self.proof {
            Proof::Word => return Ok(true),
            Proof::Vouched => return self.has_any(tx, now).await,
            Proof::Certificate(serial) => serial,
        };
        let known = authority::certificate(tx, serial).await?;
        Ok(known.is_some_and(|known| known.void.is_none() && known.not_after >= now))
    }
}
