//! Proof of a claim code that never sends it.
//!
//! From a code come two values that do not lead back to it: a handle, by which the core finds what
//! was claimed, and a key, with which the device signs its request together with the keys of the TLS
//! connection it travels in (RFC 9266). A proof taken from one connection is worth nothing in
//! another, and none for another request.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::ClaimCode;

/// RFC 9266 section 2: the exporter with this label and no context.
pub const CHANNEL_BINDING_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
pub const CHANNEL_BINDING_OCTETS: usize = 32;

const HANDLE_OCTETS: usize = 16;
const HANDLE_INFO: &[u8] = b"antiphon claim handle 1";
const KEY_INFO: &[u8] = b"antiphon claim proof key 1";
const PROOF_INFO: &[u8] = b"antiphon enrolment proof 1";

/// What both ends of a TLS connection know and nobody between them.
#[derive(Clone)]
pub struct ChannelBinding(Zeroizing<[u8; CHANNEL_BINDING_OCTETS]>);

impl ChannelBinding {
    pub fn new(exported: [u8; CHANNEL_BINDING_OCTETS]) -> Self {
        Self(Zeroizing::new(exported))
    }
}

impl fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelBinding(..)")
    }
}

/// Names a claim code without telling it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Handle(String);

/// Why a text is no handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a handle has 32 hexadecimal digits in lower case")]
pub struct HandleError;

impl Handle {
    pub fn of(code: &ClaimCode) -> Self {
        let tag = tag(&*code.canonical(), &[HANDLE_INFO]);
        Self(hex(&tag[..HANDLE_OCTETS]))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Handle {
    type Err = HandleError;

    fn from_str(text: &str) -> Result<Self, HandleError> {
        let digit = |octet: u8| matches!(octet, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == HANDLE_OCTETS * 2 && text.bytes().all(digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(HandleError)
        }
    }
}

/// What a device signs its first request with. The core keeps it (sealed) from the claim until the
/// first certificate.
#[derive(Clone)]
pub struct ProofKey(Zeroizing<[u8; 32]>);

impl ProofKey {
    pub fn of(code: &ClaimCode) -> Self {
        Self(Zeroizing::new(tag(&*code.canonical(), &[KEY_INFO])))
    }

    pub fn from_octets(octets: [u8; 32]) -> Self {
        Self(Zeroizing::new(octets))
    }

    pub fn octets(&self) -> &[u8; 32] {
        &self.0
    }

    /// For a request to sign (as it stands in the document), on this connection.
    pub fn prove(&self, channel: &ChannelBinding, signing_request: &str) -> Proof {
        Proof(tag(
            &*self.0,
            &[PROOF_INFO, &*channel.0, signing_request.as_bytes()],
        ))
    }

    /// In constant time.
    pub fn verify(
        &self,
        channel: &ChannelBinding,
        signing_request: &str,
        proof: &Proof,
    ) -> Result<(), ProofError> {
        mac(
            &*self.0,
            &[PROOF_INFO, &*channel.0, signing_request.as_bytes()],
        )
        .verify_slice(&proof.0)
        .map_err(|_mismatch| ProofError::Wrong)
    }
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofKey(..)")
    }
}

/// That the sender of a request knows a claim code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof([u8; 32]);

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("a proof has 64 hexadecimal digits in lower case")]
    Form,
    #[error("the proof was not made with this code, on this connection, for this request")]
    Wrong,
}

impl Proof {
    pub fn to_text(&self) -> String {
        hex(&self.0)
    }
}

impl FromStr for Proof {
    type Err = ProofError;

    fn from_str(text: &str) -> Result<Self, ProofError> {
        let mut octets = [0; 32];
        let digits = text.as_bytes();
        if digits.len() != octets.len() * 2 {
            return Err(ProofError::Form);
        }
        for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
            *octet = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(octets))
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac =
        <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

/// The parts have fixed lengths but the last, so that no two lists of parts read the same.
fn tag(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    mac(key, parts).finalize().into_bytes().into()
}

fn hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    octets
        .iter()
        .flat_map(|octet| [octet >> 4, octet & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

fn nibble(digit: u8) -> Result<u8, ProofError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(ProofError::Form),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(seed: u8) -> ClaimCode {
        ClaimCode::from_random([seed; 20])
    }

    fn channel(seed: u8) -> ChannelBinding {
        ChannelBinding::new([seed; 32])
    }

    #[test]
    fn d1_a_proof_holds_for_its_code_channel_and_request_only() {
        let key = ProofKey::of(&code(3));
        let proof = key.prove(&channel(1), "request");
        assert_eq!(key.verify(&channel(1), "request", &proof), Ok(()));
        let wrong = Err(ProofError::Wrong);
        assert_eq!(key.verify(&channel(2), "request", &proof), wrong);
        assert_eq!(key.verify(&channel(1), "another", &proof), wrong);
        let other = ProofKey::of(&code(4));
        assert_eq!(other.verify(&channel(1), "request", &proof), wrong);
    }

    #[test]
    fn d1_a_proof_and_a_handle_travel_as_text() {
        let proof = ProofKey::of(&code(3)).prove(&channel(1), "request");
        assert_eq!(proof.to_text().parse(), Ok(proof.clone()));
        assert_eq!(
            proof.to_text().to_uppercase().parse::<Proof>(),
            Err(ProofError::Form)
        );
        let handle = Handle::of(&code(3));
        assert_eq!(handle.as_str().parse(), Ok(handle.clone()));
        assert_eq!("é".repeat(16).parse::<Handle>(), Err(HandleError));
        assert_ne!(handle, Handle::of(&code(4)));
    }

    // Reckoned with Python's hmac, so that the other end can be written from the words above.
    #[test]
    fn d1_the_values_are_those_of_version_1() {
        let code: ClaimCode = "0000-0000-0000-0000-0000-0".parse().unwrap();
        assert_eq!(
            Handle::of(&code).as_str(),
            "353d1e5990bdb69d38e1b7e19c1ea525"
        );
        let proof = ProofKey::of(&code).prove(&channel(7), "csr");
        assert_eq!(
            proof.to_text(),
            "c7e836b25908b9503f4959649f949a6e496460922e58a7885e72d9b25b548dfc"
        );
    }

    #[test]
    fn g2_keys_do_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", ProofKey::of(&code(1))), "ProofKey(..)");
        assert_eq!(format!("{:?}", channel(1)), "ChannelBinding(..)");
    }
}
