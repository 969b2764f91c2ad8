//! The public key of a request, and nothing else of it.
//!
//! A request to sign (PKCS #10) may ask for names, purposes and a life of its own choosing. Its
//! signature shows that the sender has the private key; beyond that, what it asks for is not read.

use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ED25519};
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

/// A key that is fit to be certified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    /// SubjectPublicKeyInfo.
    der: Vec<u8>,
}

/// Why a request to sign is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadSigningRequest {
    #[error("this is no PKCS #10 request in PEM")]
    Form,
    #[error("the key must be one of P-256 or Ed25519: make a new one")]
    Key,
    #[error("the request is not signed by its own key: it was changed, or the key is another's")]
    Signature,
}

impl BadSigningRequest {
    /// For translation.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Form => "signing_request_form",
            Self::Key => "signing_request_key",
            Self::Signature => "signing_request_signature",
        }
    }
}

impl PublicKey {
    /// From a request whose length the caller has limited.
    pub(crate) fn of_signing_request(pem: &str) -> Result<Self, BadSigningRequest> {
        let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
            .map_err(|_not_pem| BadSigningRequest::Form)?;
        let (rest, request) =
            X509CertificationRequest::from_der(&der).map_err(|_not_der| BadSigningRequest::Form)?;
        if !rest.is_empty() {
            return Err(BadSigningRequest::Form);
        }
        let key = &request.certification_request_info.subject_pki;
        if !is_fit(key) {
            return Err(BadSigningRequest::Key);
        }
        request
            .verify_signature()
            .map_err(|_wrong| BadSigningRequest::Signature)?;
        let der = key.raw.to_vec();
        Ok(Self { der })
    }

    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// What a key is known by.
    pub(crate) fn hash(&self) -> [u8; 32] {
        hash_of_key(&self.der)
    }
}

/// SHA-256 of a SubjectPublicKeyInfo.
pub(crate) fn hash_of_key(der: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, der).as_ref());
    hash
}

/// RFC 5480 2.1.1, RFC 8410 3. That a point lies on its curve shows when the signature is checked.
fn is_fit(key: &SubjectPublicKeyInfo<'_>) -> bool {
    let algorithm = key.algorithm.oid();
    let parameters = key.algorithm.parameters();
    let octets = &*key.subject_public_key.data;
    if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = parameters.and_then(|any| any.as_oid().ok());
        curve.is_some_and(|curve| curve == OID_EC_P256) && octets.len() == 65 && octets[0] == 4
    } else {
        *algorithm == OID_SIG_ED25519 && parameters.is_none() && octets.len() == 32
    }
}
