//! What the certificates and lists of the authority say. Makes them; keeps nothing.
//!
//! Every field is set here: rcgen's defaults would make a serial of the public key (two certificates
//! of one key, one serial) and a life until the year 4096.

use std::time::Duration;

use model::Timestamp;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CrlScope, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PublicKeyData, RevocationReason, RevokedCertParams, SanType,
    SerialNumber, SubjectPublicKeyInfo, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

use super::public_key::PublicKey;
use super::{Kind, Reason, Serial};

/// Clocks of devices that have just started go wrong.
const BACKDATED: Duration = Duration::from_secs(3600);

/// A certificate that signs others, with its key (PKCS #8).
pub(super) struct Signer {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: Zeroizing<Vec<u8>>,
}

impl Signer {
    /// Whether the key is the one that the certificate names.
    pub(super) fn key_fits(&self) -> bool {
        let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(self.key.as_slice()));
        let named = X509Certificate::from_der(&self.certificate);
        match (key, named) {
            (Ok(key), Ok((_, named))) => named.public_key().raw == key.subject_public_key_info(),
            (Ok(_) | Err(_), _) => false,
        }
    }
}

/// The authority's own key or certificate does not work.
#[derive(Debug, thiserror::Error)]
#[error("the authority cannot sign: its key or certificate is damaged, bring back a backup")]
pub(crate) struct SignError(#[from] rcgen::Error);

#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

impl Life {
    pub(super) fn starting(now: Timestamp, length: Duration) -> Self {
        Self {
            from: now.saturating_sub(BACKDATED),
            until: now.saturating_add(length),
        }
    }
}

/// What a device's certificate says beside its key.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeviceCertificate<'a> {
    pub(super) name: &'a str,
    pub(super) serial: Serial,
    pub(super) life: Life,
    pub(super) crl: &'a str,
}

/// One void certificate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Void {
    pub(super) serial: Serial,
    pub(super) at: Timestamp,
    pub(super) reason: Reason,
}

pub(super) fn root(name: &str, serial: Serial, life: Life) -> Result<Signer, SignError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
    let constraint = BasicConstraints::Constrained(1);
    let params = authority_params(name, serial, life, constraint);
    let certificate = params.self_signed(&key)?.der().clone();
    Ok(signer(certificate, &key))
}

/// An authority below the root, for one purpose: what it signs for another is refused everywhere.
pub(super) fn issuing(
    kind: Kind,
    name: &str,
    serial: Serial,
    life: Life,
    root: &Signer,
) -> Result<Signer, SignError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let constraint = BasicConstraints::Constrained(0);
    let mut params = authority_params(name, serial, life, constraint);
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = match kind {
        Kind::Root => Vec::new(),
        Kind::Devices => vec![ExtendedKeyUsagePurpose::ClientAuth],
        Kind::Servers => vec![ExtendedKeyUsagePurpose::ServerAuth],
    };
    let certificate = params.signed_by(&key, &issuer(root)?)?.der().clone();
    Ok(signer(certificate, &key))
}

pub(super) fn device(
    what: DeviceCertificate<'_>,
    key: &PublicKey,
    by: &Signer,
) -> Result<CertificateDer<'static>, SignError> {
    let mut params = end_params(what.name, what.serial, what.life);
    let uri = format!("urn:antiphon:device:{}", what.name);
    params.subject_alt_names = vec![SanType::URI(ia5(&uri)?)];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.crl_distribution_points = vec![CrlDistributionPoint {
        uris: vec![what.crl.to_owned()],
    }];
    let key = SubjectPublicKeyInfo::from_der(key.der())?;
    Ok(params.signed_by(&key, &issuer(by)?)?.der().clone())
}

/// A certificate for our own listeners, with a key of its own.
pub(super) fn server(
    names: &[String],
    serial: Serial,
    life: Life,
    by: &Signer,
) -> Result<Signer, SignError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let name = names.first().map_or("antiphon-cloud", String::as_str);
    let mut params = end_params(name, serial, life);
    params.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.signed_by(&key, &issuer(by)?)?.der().clone();
    Ok(signer(certificate, &key))
}

pub(super) fn crl(
    number: u64,
    life: Life,
    address: &str,
    void: &[Void],
    by: &Signer,
) -> Result<Vec<u8>, SignError> {
    let revoked_certs = void.iter().map(|void| RevokedCertParams {
        serial_number: serial_number(void.serial),
        revocation_time: date_time_ymd(1970, 1, 1) + since_1970(void.at),
        reason_code: Some(match void.reason {
            Reason::KeyCompromise => RevocationReason::KeyCompromise,
            Reason::Superseded => RevocationReason::Superseded,
            Reason::Released => RevocationReason::CessationOfOperation,
            Reason::Withdrawn => RevocationReason::PrivilegeWithdrawn,
        }),
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(1970, 1, 1) + since_1970(life.from),
        next_update: date_time_ymd(1970, 1, 1) + since_1970(life.until),
        crl_number: SerialNumber::from(number),
        // RFC 5280 5.2.5: a list of a part says which part it is.
        issuing_distribution_point: Some(CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint {
                uris: vec![address.to_owned()],
            },
            scope: Some(CrlScope::UserCertsOnly),
        }),
        revoked_certs: revoked_certs.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Ok(params.signed_by(&issuer(by)?)?.der().to_vec())
}

fn authority_params(
    name: &str,
    serial: Serial,
    life: Life,
    constraint: BasicConstraints,
) -> CertificateParams {
    let mut params = params(name, serial, life);
    params.is_ca = IsCa::Ca(constraint);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn end_params(name: &str, serial: Serial, life: Life) -> CertificateParams {
    let mut params = params(name, serial, life);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params
}

fn params(name: &str, serial: Serial, life: Life) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(serial_number(serial));
    params.not_before = date_time_ymd(1970, 1, 1) + since_1970(life.from);
    params.not_after = date_time_ymd(1970, 1, 1) + since_1970(life.until);
    params
}

fn issuer(by: &Signer) -> Result<Issuer<'static, KeyPair>, SignError> {
    let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(by.key.as_slice()))?;
    Ok(Issuer::from_ca_cert_der(&by.certificate, key)?)
}

fn signer(certificate: CertificateDer<'static>, key: &KeyPair) -> Signer {
    let key = Zeroizing::new(key.serialized_der().to_vec());
    Signer { certificate, key }
}

fn serial_number(serial: Serial) -> SerialNumber {
    SerialNumber::from_slice(&serial.0)
}

fn ia5(text: &str) -> Result<Ia5String, rcgen::Error> {
    Ia5String::try_from(text)
}

/// Certificates know seconds.
fn since_1970(at: Timestamp) -> Duration {
    Duration::from_secs(at.unix_ms().max(0).unsigned_abs() / 1000)
}
