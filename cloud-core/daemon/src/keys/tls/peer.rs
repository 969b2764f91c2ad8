//! What is known of the other end of a TLS connection, and which device it is.

use contract::enrolment::{CHANNEL_BINDING_LABEL, CHANNEL_BINDING_OCTETS, ChannelBinding};
use model::Timestamp;
use rustls::ServerConnection;
use rustls::pki_types::CertificateDer;

use crate::keys::authority::{self, Certificate, Reason, Serial};
use crate::store::{StoreError, Tx};

/// The other end. An extension of every request that came over TLS.
#[derive(Clone, Debug)]
pub(crate) struct TlsPeer {
    /// The handshake has judged it; whether it is void it has not.
    pub(crate) certificate: Option<CertificateDer<'static>>,
    pub(crate) channel: ChannelBinding,
}

impl TlsPeer {
    /// Of a connection whose handshake is done.
    pub(crate) fn of(connection: &ServerConnection) -> Result<Self, rustls::Error> {
        let exported = [0; CHANNEL_BINDING_OCTETS];
        let exported = connection.export_keying_material(exported, CHANNEL_BINDING_LABEL, None)?;
        let presented = connection
            .peer_certificates()
            .and_then(|chain| chain.first());
        Ok(Self {
            certificate: presented.map(|der| der.clone().into_owned()),
            channel: ChannelBinding::new(exported),
        })
    }
}

/// Why a certificate opens nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Barred {
    #[error("the certificate is none that this core has issued")]
    Unknown,
    #[error("the certificate was made void: {0:?}")]
    Void(Reason),
    #[error("the certificate has expired")]
    Expired,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which device this certificate is for, if it holds at this moment. The one place that decides it:
/// asked at each connection, and again when something was made void.
pub(crate) async fn identify(
    tx: &mut Tx,
    der: &CertificateDer<'_>,
    now: Timestamp,
) -> Result<Certificate, Barred> {
    let known = known(tx, der).await?;
    if now > known.not_after {
        return Err(Barred::Expired);
    }
    Ok(known)
}

/// As `identify`, but how long it has been expired is the caller's matter.
pub(crate) async fn known(tx: &mut Tx, der: &CertificateDer<'_>) -> Result<Certificate, Barred> {
    let (_, read) = x509_parser::parse_x509_certificate(der).map_err(|_error| Barred::Unknown)?;
    let serial = Serial::of_octets(&read.tbs_certificate.serial.to_bytes_be());
    let serial = serial.ok_or(Barred::Unknown)?;
    let known = authority::certificate(tx, serial).await?;
    // Another authority that is trusted may have given out the same number.
    let known = known.filter(|known| known.is(der)).ok_or(Barred::Unknown)?;
    match known.void {
        Some(reason) => Err(Barred::Void(reason)),
        None => Ok(known),
    }
}
