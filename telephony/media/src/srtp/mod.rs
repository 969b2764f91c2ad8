//! SRTP and SRTCP: packets protected and unprotected in place (RFC 3711, RFC 6188, RFC 7714).
//!
//! A [`Sender`] and a [`Receiver`] hold one direction of one leg each, with keys that signalling
//! agreed on (SDES). They make no keys, know no addresses and no time, and do not judge what is
//! inside a packet. Left out, because nobody offers it in SDES: key derivation rates other than
//! zero, the null cipher and F8, encrypted header extensions, forward error correction.
//!
//! Invariants: an index never protects two packets under one key; nothing is remembered of a
//! packet before its tag is verified, and an unverified packet is left as it came; a packet
//! allocates nothing; keys are wiped when they are dropped and never shown.

mod counter;
mod gcm;
mod hmac;
mod kdf;
mod keys;
mod packet;
mod receiver;
mod sender;
mod suite;
mod window;

pub use receiver::{Receiver, UnprotectError};
pub use sender::{ProtectError, Sender};
pub use suite::{KeyError, MAX_MKI, MasterKey, Suite};

/// By how much a packet grows at most: tag, index, key identifier.
pub const MAX_GROWTH: usize = 16 + 4 + MAX_MKI;

/// Streams (SSRCs) that one direction of a leg can have at a time.
const MAX_SOURCES: usize = 4;

/// RFC 3711 9.2: so many packets may be protected under one master key.
const RTP_LIFETIME: u64 = 1 << 48;
const RTCP_LIFETIME: u64 = 1 << 31;

/// Octets written as digits, for the vectors of the standards.
#[cfg(test)]
fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.as_chunks::<2>().0.iter();
    let octet = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.map(octet).collect()
}
