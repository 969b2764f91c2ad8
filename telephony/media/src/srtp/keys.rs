//! The session keys of one master key, and where tag, index and key identifier stand in a packet.
//!
//! Callers have read the header and made sure that the packet, or the room behind it, is long
//! enough. Knows no packet before or after this one.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::counter::Aes;
use super::gcm::{self, Forged, Gcm};
use super::hmac::HmacSha1;
use super::kdf::{Label, derive, salt};
use super::suite::{MasterKey, Suite};

/// What stands before the first encrypted octet of RTCP: header and SSRC (RFC 3711 3.4).
pub(super) const RTCP_HEAD: usize = 8;
const WORD: usize = 4;
/// RFC 3711 3.4: the first bit of the word that holds the SRTCP index.
const ENCRYPTED: u32 = 1 << 31;
/// RFC 4568 6.2.2: also of suites whose RTP tags are shorter.
const RTCP_TAG: usize = 10;

/// Whose packet, and which one: the roll-over counter and sequence number, or the SRTCP index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) ssrc: u32,
    pub(super) index: u64,
}

pub(super) struct Keys {
    master: MasterKey,
    rtp: Protection,
    rtcp: Protection,
}

enum Protection {
    CounterMode {
        aes: Aes,
        salt: u128,
        mac: HmacSha1,
        tag: usize,
    },
    Gcm {
        gcm: Gcm,
        salt: u128,
    },
}

impl Keys {
    pub(super) fn new(master: MasterKey) -> Keys {
        use Label::{RtcpAuthentication, RtcpKey, RtcpSalt, RtpAuthentication, RtpKey, RtpSalt};
        let tag = match master.suite {
            Suite::AesCm128HmacSha1_32 | Suite::AesCm256HmacSha1_32 => 4,
            Suite::AesCm128HmacSha1_80 | Suite::AesCm256HmacSha1_80 => 10,
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => gcm::TAG,
        };
        Keys {
            rtp: Protection::new(&master, [RtpKey, RtpAuthentication, RtpSalt], tag),
            rtcp: Protection::new(&master, [RtcpKey, RtcpAuthentication, RtcpSalt], RTCP_TAG),
            master,
        }
    }

    pub(super) fn is_of(&self, master: &MasterKey) -> bool {
        self.master.is_same(master)
    }

    pub(super) fn suite(&self) -> Suite {
        self.master.suite
    }

    fn mki(&self) -> &[u8] {
        self.master.mki()
    }

    /// Octets behind a protected RTP packet.
    pub(super) fn rtp_trailer(&self) -> usize {
        self.rtp.tag_len() + self.mki().len()
    }

    pub(super) fn rtcp_trailer(&self) -> usize {
        self.rtcp.tag_len() + WORD + self.mki().len()
    }

    /// Protects the packet of `len` octets at the beginning of `buffer`; returns its new length.
    pub(super) fn seal_rtp(
        &self,
        buffer: &mut [u8],
        len: usize,
        header: usize,
        place: Place,
    ) -> usize {
        let (head, text) = buffer[..len].split_at_mut(header);
        match &self.rtp {
            Protection::CounterMode {
                aes,
                salt,
                mac,
                tag,
            } => {
                aes.apply(place.counter(*salt), text);
                let code = mac.code(&buffer[..len], &place.roll_over());
                append(buffer, len, [self.mki(), &code[..*tag], &[]])
            }
            Protection::Gcm { gcm, salt } => {
                let tag = gcm.seal(place.nonce(*salt), [head, &[]], text);
                append(buffer, len, [&tag, self.mki(), &[]])
            }
        }
    }

    /// Verifies and decrypts; returns the length of the packet inside.
    pub(super) fn open_rtp(
        &self,
        packet: &mut [u8],
        header: usize,
        place: Place,
    ) -> Result<usize, Forged> {
        let inside = packet.len() - self.rtp_trailer();
        let (body, trailer) = packet.split_at_mut(inside);
        match &self.rtp {
            Protection::CounterMode { aes, salt, mac, .. } => {
                let (mki, tag) = trailer.split_at(self.mki().len());
                let code = mac.code(body, &place.roll_over());
                verify(&code[..tag.len()], tag)?;
                self.is_named(mki)?;
                aes.apply(place.counter(*salt), &mut body[header..]);
            }
            Protection::Gcm { gcm, salt } => {
                let (tag, mki) = trailer.split_at(gcm::TAG);
                self.is_named(mki)?;
                let (head, text) = body.split_at_mut(header);
                gcm.open(place.nonce(*salt), [head, &[]], text, tag)?;
            }
        }
        Ok(inside)
    }

    pub(super) fn seal_rtcp(&self, buffer: &mut [u8], len: usize, place: Place) -> usize {
        let word = (place.index as u32 | ENCRYPTED).to_be_bytes();
        let (head, text) = buffer[..len].split_at_mut(RTCP_HEAD);
        match &self.rtcp {
            Protection::CounterMode {
                aes,
                salt,
                mac,
                tag,
            } => {
                aes.apply(place.counter(*salt), text);
                let code = mac.code(&buffer[..len], &word);
                append(buffer, len, [&word, self.mki(), &code[..*tag]])
            }
            Protection::Gcm { gcm, salt } => {
                // RFC 7714 9.2: the word is authenticated behind the header.
                let tag = gcm.seal(place.nonce(*salt), [head, &word], text);
                append(buffer, len, [&tag, &word, self.mki()])
            }
        }
    }

    /// The index that a protected RTCP packet states.
    pub(super) fn rtcp_index(&self, packet: &[u8]) -> u64 {
        let behind = match &self.rtcp {
            Protection::CounterMode { tag, .. } => self.mki().len() + tag,
            Protection::Gcm { .. } => self.mki().len(),
        };
        let at = packet.len() - behind - WORD;
        u64::from(word(&packet[at..]) & !ENCRYPTED)
    }

    pub(super) fn open_rtcp(&self, packet: &mut [u8], place: Place) -> Result<usize, Forged> {
        let inside = packet.len() - self.rtcp_trailer();
        match &self.rtcp {
            Protection::CounterMode {
                aes,
                salt,
                mac,
                tag,
            } => {
                let (signed, rest) = packet.split_at_mut(inside + WORD);
                let (mki, code) = rest.split_at(rest.len() - tag);
                verify(&mac.code(signed, &[])[..*tag], code)?;
                self.is_named(mki)?;
                // RFC 3711 3.4: the sender says whether it encrypts, and has signed it.
                if word(&signed[inside..]) & ENCRYPTED != 0 {
                    aes.apply(place.counter(*salt), &mut signed[RTCP_HEAD..inside]);
                }
            }
            Protection::Gcm { gcm, salt } => {
                let (body, trailer) = packet.split_at_mut(inside);
                let (tag, rest) = trailer.split_at(gcm::TAG);
                let (index, mki) = rest.split_at(WORD);
                self.is_named(mki)?;
                let nonce = place.nonce(*salt);
                if word(index) & ENCRYPTED != 0 {
                    let (head, text) = body.split_at_mut(RTCP_HEAD);
                    gcm.open(nonce, [head, index], text, tag)?;
                } else {
                    // RFC 7714 9.3: everything is authenticated, nothing encrypted.
                    gcm.open(nonce, [body, index], &mut [], tag)?;
                }
            }
        }
        Ok(inside)
    }

    fn is_named(&self, mki: &[u8]) -> Result<(), Forged> {
        if mki == self.mki() {
            Ok(())
        } else {
            Err(Forged)
        }
    }
}

impl Protection {
    fn new(master: &MasterKey, [key, authentication, salting]: [Label; 3], tag: usize) -> Self {
        let mut octets = Zeroizing::new([0; 32]);
        let encryption = &mut octets[..master.suite.key_len()];
        derive(master, key, encryption);
        let mut salted = Zeroizing::new([0; 14]);
        let salted = &mut salted[..master.suite.salt_len()];
        derive(master, salting, salted);
        let salt = salt(salted);
        match master.suite {
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => Protection::Gcm {
                gcm: Gcm::new(encryption),
                // 96 bits, without the place of the block counter.
                salt: salt >> 32,
            },
            Suite::AesCm128HmacSha1_80
            | Suite::AesCm128HmacSha1_32
            | Suite::AesCm256HmacSha1_80
            | Suite::AesCm256HmacSha1_32 => {
                let mut code = Zeroizing::new([0; HmacSha1::KEY]);
                derive(master, authentication, code.as_mut_slice());
                Protection::CounterMode {
                    aes: Aes::new(encryption),
                    salt,
                    mac: HmacSha1::new(&code),
                    tag,
                }
            }
        }
    }

    fn tag_len(&self) -> usize {
        match self {
            Protection::CounterMode { tag, .. } => *tag,
            Protection::Gcm { .. } => gcm::TAG,
        }
    }
}

impl Drop for Protection {
    fn drop(&mut self) {
        match self {
            Protection::CounterMode { salt, .. } | Protection::Gcm { salt, .. } => salt.zeroize(),
        }
    }
}

impl Place {
    /// RFC 3711 4.1.1
    fn counter(self, salt: u128) -> u128 {
        salt ^ (u128::from(self.ssrc) << 64) ^ (u128::from(self.index) << 16)
    }

    /// RFC 7714 8.1, 9.1: two zero octets, SSRC, then the index in six octets.
    fn nonce(self, salt: u128) -> u128 {
        salt ^ (u128::from(self.ssrc) << 48) ^ u128::from(self.index)
    }

    /// RFC 3711 4.2: authenticated behind the packet, though it is not sent.
    fn roll_over(self) -> [u8; 4] {
        ((self.index >> 16) as u32).to_be_bytes()
    }
}

fn verify(right: &[u8], found: &[u8]) -> Result<(), Forged> {
    if bool::from(right.ct_eq(found)) {
        Ok(())
    } else {
        Err(Forged)
    }
}

fn word(octets: &[u8]) -> u32 {
    octets
        .first_chunk()
        .map_or(0, |first| u32::from_be_bytes(*first))
}

/// Writes the parts behind the first `len` octets; returns where they end.
fn append(buffer: &mut [u8], len: usize, parts: [&[u8]; 3]) -> usize {
    let mut end = len;
    for part in parts {
        buffer[end..end + part.len()].copy_from_slice(part);
        end += part.len();
    }
    end
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({} ..)", self.master.suite.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::hex;

    /// Session keys as the vectors of RFC 7714 give them, without a master key.
    fn keys(key: &str) -> Keys {
        let key = hex(key);
        let suite = match key.len() {
            16 => Suite::AeadAes128Gcm,
            _ => Suite::AeadAes256Gcm,
        };
        let master = MasterKey::new(suite, &vec![0; suite.keying_len()]).unwrap();
        let protection = || Protection::Gcm {
            gcm: Gcm::new(&key),
            salt: u128::from_str_radix("517569642070726f2071756f", 16).unwrap(),
        };
        Keys {
            rtp: protection(),
            rtcp: protection(),
            master,
        }
    }

    const SHORT: &str = "000102030405060708090a0b0c0d0e0f";
    const LONG: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const RTP: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
        69736120 696e2070 61727465 73207472 6573";
    const RTCP: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
        deadbeef deadbeef deadbeef deadbeef deadbeef";

    fn check_rtp(key: &str, expected: &str) {
        let (keys, plain, expected) = (keys(key), hex(RTP), hex(expected));
        let place = Place {
            ssrc: 0x5501_a0b2,
            index: 0xf17b,
        };
        let mut packet = plain.clone();
        packet.resize(plain.len() + keys.rtp_trailer(), 0);
        assert_eq!(
            keys.seal_rtp(&mut packet, plain.len(), 12, place),
            expected.len()
        );
        assert_eq!(packet, expected);
        assert_eq!(keys.open_rtp(&mut packet, 12, place), Ok(plain.len()));
        assert_eq!(packet[..plain.len()], plain);
    }

    // RFC 7714 16.1, 16.2
    #[test]
    fn rtp_is_protected_as_in_the_standard() {
        check_rtp(
            SHORT,
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f
             42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        );
        check_rtp(
            LONG,
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3
             b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        );
    }

    fn check_rtcp(key: &str, expected: &str) {
        let (keys, plain, expected) = (keys(key), hex(RTCP), hex(expected));
        let place = Place {
            ssrc: 0x4d61_7273,
            index: 0x5d4,
        };
        let mut packet = expected.clone();
        assert_eq!(keys.rtcp_index(&packet), place.index);
        assert_eq!(keys.open_rtcp(&mut packet, place), Ok(plain.len()));
        assert_eq!(packet[..plain.len()], plain);
        if word(&expected[expected.len() - WORD..]) & ENCRYPTED != 0 {
            assert_eq!(
                keys.seal_rtcp(&mut packet, plain.len(), place),
                expected.len()
            );
            assert_eq!(packet, expected);
        }
    }

    // RFC 7714 17.1, 17.2, 17.3
    #[test]
    fn rtcp_is_protected_as_in_the_standard() {
        check_rtcp(
            SHORT,
            "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1
             730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        );
        check_rtcp(
            LONG,
            "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1
             110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
        );
        check_rtcp(
            SHORT,
            "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef
             deadbeef deadbeef deadbeef deadbeef 841dd968 3dd78ec9 2ae58790 125f62b3 000005d4",
        );
    }

    #[test]
    fn keys_do_not_show() {
        assert_eq!(format!("{:?}", keys(SHORT)), "Keys(AEAD_AES_128_GCM ..)");
    }
}
