//! The cryptography that str0m asks for: SRTP and hashes on ring and `aes`, DTLS on dimpl.
//!
//! No cryptography is written here but counter mode, which is a loop around a block; everything else
//! passes calls on. Why not one of the ready providers: docs/adr/0026.

mod dtls;
mod srtp;

use std::sync::Arc;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::hmac;
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::crypto::{Sha1HmacProvider, Sha1Provider, Sha256Provider};
use thiserror::Error;

/// What all legs share.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        srtp_provider: &srtp::Srtp,
        sha1_hmac_provider: &Hashes,
        sha1_provider: &Hashes,
        sha256_provider: &Hashes,
        dtls_provider: &dtls::Dtls,
    })
}

#[derive(Debug, Error)]
#[error("no certificate for calls of browsers can be made: {0}")]
pub struct CertificateError(#[from] rcgen::Error);

/// A certificate that lives as long as the process. Browsers know it by its hash in the session
/// description (RFC 8122), so its names mean nothing.
pub(crate) fn certificate() -> Result<DtlsCert, CertificateError> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let certificate = rcgen::CertificateParams::new(Vec::new())?.self_signed(&key)?;
    Ok(DtlsCert {
        certificate: certificate.der().to_vec(),
        private_key: key.serialize_der(),
    })
}

#[derive(Debug)]
struct Hashes;

impl Sha1HmacProvider for Hashes {
    /// RFC 8489 14.5: the integrity of STUN.
    fn sha1_hmac(&self, key: &[u8], payloads: &[&[u8]]) -> [u8; 20] {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
        let mut context = hmac::Context::with_key(&key);
        for payload in payloads {
            context.update(payload);
        }
        exactly(context.sign().as_ref())
    }
}

impl Sha1Provider for Hashes {
    fn sha1(&self, data: &[u8]) -> [u8; 20] {
        exactly(digest(&SHA1_FOR_LEGACY_USE_ONLY, data).as_ref())
    }
}

impl Sha256Provider for Hashes {
    fn sha256(&self, data: &[u8]) -> [u8; 32] {
        exactly(digest(&SHA256, data).as_ref())
    }
}

fn exactly<const LEN: usize>(hash: &[u8]) -> [u8; LEN] {
    hash.try_into().expect("an algorithm's hash has its length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_standards() {
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        // FIPS 180-2 A.1 and B.1, RFC 2202 3.
        assert_eq!(
            hex(&Hashes.sha1(b"abc")),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
        assert_eq!(
            hex(&Hashes.sha256(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            hex(&Hashes.sha1_hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"])),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
        );
    }
}
