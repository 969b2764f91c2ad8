//! The suites that we speak, and the master key that signalling hands in.

use std::fmt;

use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

/// How packets are protected; the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    AeadAes256Gcm,
    AeadAes128Gcm,
    AesCm128HmacSha1_80,
    AesCm256HmacSha1_80,
    AesCm128HmacSha1_32,
    AesCm256HmacSha1_32,
}

impl Suite {
    pub const ALL: [Suite; 6] = [
        Suite::AeadAes256Gcm,
        Suite::AeadAes128Gcm,
        Suite::AesCm128HmacSha1_80,
        Suite::AesCm256HmacSha1_80,
        Suite::AesCm128HmacSha1_32,
        Suite::AesCm256HmacSha1_32,
    ];

    /// As SDES writes it (RFC 4568 6.2, RFC 6188 4, RFC 7714 14.2).
    pub fn name(self) -> &'static str {
        match self {
            Suite::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Suite::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Suite::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Suite::AesCm256HmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Suite::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Suite::AesCm256HmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
        }
    }

    /// Octets of master key and master salt together: what stands behind `inline:`.
    pub fn keying_len(self) -> usize {
        self.key_len() + self.salt_len()
    }

    pub(super) fn key_len(self) -> usize {
        match self {
            Suite::AeadAes128Gcm | Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => 16,
            Suite::AeadAes256Gcm | Suite::AesCm256HmacSha1_80 | Suite::AesCm256HmacSha1_32 => 32,
        }
    }

    pub(super) fn salt_len(self) -> usize {
        match self {
            Suite::AeadAes256Gcm | Suite::AeadAes128Gcm => 12,
            Suite::AesCm128HmacSha1_80
            | Suite::AesCm256HmacSha1_80
            | Suite::AesCm128HmacSha1_32
            | Suite::AesCm256HmacSha1_32 => 14,
        }
    }
}

/// A longer key identifier than this is refused, so that the growth of a packet is bounded.
pub const MAX_MKI: usize = 16;

/// Why keying material cannot be used; whoever wrote the crypto line is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    #[error("{} takes {} octets of key and salt, not {found}", suite.name(), suite.keying_len())]
    Length { suite: Suite, found: usize },
    #[error("a key identifier has 1 to {MAX_MKI} octets, not {0}")]
    Mki(usize),
}

/// Master key and salt of one direction, with the key identifier if packets carry one.
#[derive(Clone)]
pub struct MasterKey {
    pub(super) suite: Suite,
    keying: Zeroizing<[u8; MAX_KEYING]>,
    mki: [u8; MAX_MKI],
    mki_len: usize,
}

const MAX_KEYING: usize = 46;

impl MasterKey {
    /// `keying` is the key followed by the salt, as SDES hands them over.
    pub fn new(suite: Suite, keying: &[u8]) -> Result<MasterKey, KeyError> {
        if keying.len() != suite.keying_len() {
            let found = keying.len();
            return Err(KeyError::Length { suite, found });
        }
        let mut copy = Zeroizing::new([0; MAX_KEYING]);
        copy[..keying.len()].copy_from_slice(keying);
        Ok(MasterKey {
            suite,
            keying: copy,
            mki: [0; MAX_MKI],
            mki_len: 0,
        })
    }

    /// Packets name this key by `mki` (RFC 3711 3.1).
    pub fn with_mki(mut self, mki: &[u8]) -> Result<MasterKey, KeyError> {
        if mki.is_empty() || mki.len() > MAX_MKI {
            return Err(KeyError::Mki(mki.len()));
        }
        self.mki[..mki.len()].copy_from_slice(mki);
        self.mki_len = mki.len();
        Ok(self)
    }

    pub fn suite(&self) -> Suite {
        self.suite
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.keying[..self.suite.key_len()]
    }

    pub(super) fn salt(&self) -> &[u8] {
        &self.keying[self.suite.key_len()..self.suite.keying_len()]
    }

    pub(super) fn mki(&self) -> &[u8] {
        &self.mki[..self.mki_len]
    }

    /// Whether packets look the same under both.
    pub(super) fn is_same(&self, other: &MasterKey) -> bool {
        let keying = self.keying.as_slice().ct_eq(other.keying.as_slice());
        self.suite == other.suite && self.mki() == other.mki() && bool::from(keying)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({} ..)", self.suite.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_length_of_its_suite() {
        for suite in Suite::ALL {
            let octets = [7; 64];
            let fits = |len: usize| MasterKey::new(suite, &octets[..len]).is_ok();
            let lengths: Vec<usize> = (0..=64).filter(|len| fits(*len)).collect();
            assert_eq!(lengths, [suite.keying_len()], "{}", suite.name());
        }
        let error = MasterKey::new(Suite::AeadAes128Gcm, &[0; 30]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "AEAD_AES_128_GCM takes 28 octets of key and salt, not 30"
        );
    }

    #[test]
    fn a_key_does_not_show_and_its_identifier_is_bounded() {
        let key = MasterKey::new(Suite::AeadAes128Gcm, &[0xab; 28]).unwrap();
        assert_eq!(format!("{key:?}"), "MasterKey(AEAD_AES_128_GCM ..)");
        assert!(key.clone().with_mki(&[1; MAX_MKI]).is_ok());
        assert_eq!(key.clone().with_mki(&[]).unwrap_err(), KeyError::Mki(0));
        assert_eq!(key.with_mki(&[1; 17]).unwrap_err(), KeyError::Mki(17));
    }
}
