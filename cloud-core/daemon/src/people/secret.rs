//! Secrets that a bearer shows: of sessions, invitations, resets and integrations.
//!
//! 256 random bits. The store keeps the SHA-256 of them: with so many bits nothing slower is
//! needed, and a stolen store opens nothing. Invariant: `Debug` shows no secret.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::random;

/// 32 octets in base 64 without padding.
const LENGTH: usize = 43;

#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn new() -> Self {
        let octets: [u8; 32] = random::octets();
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(octets)))
    }

    /// What somebody shows, if it has the form of a secret.
    pub(crate) fn shown(text: &str) -> Option<Self> {
        let sound = text.len() == LENGTH
            && text
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_');
        sound.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// As it is stored and looked up.
    pub(crate) fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_as_it_is_shown_and_hides_itself() {
        let secret = Secret::new();
        let again = Secret::shown(secret.text()).expect("of the right form");
        assert_eq!(again.hash(), secret.hash());
        assert_ne!(Secret::new().hash(), secret.hash());
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        for text in [
            "",
            "x",
            &"!".repeat(43),
            &"a".repeat(44),
            &"\u{e9}".repeat(43),
        ] {
            assert!(Secret::shown(text).is_none(), "{text}");
        }
    }
}
