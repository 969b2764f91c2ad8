//! The `crypto` attribute of SDES (RFC 4568): read far enough to know what it offers and that it is
//! whole, written as it came.
//!
//! Where the keys belong to the two ends, a line is passed on as it is; where they are ours, it
//! is made here and [`Crypto::key`] reads it (see [`super::secure`]). Nothing here encrypts.
//! Invariant: no key is ever shown by `Debug`.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// Devices leave the padding out, or fill the last digit with what they had.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// One line: a tag, a suite, and the keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Crypto {
    tag: u32,
    suite: Suite,
    /// The whole value, white space made single.
    text: Box<str>,
}

/// What protects the packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suite {
    AesCm128HmacSha1_80,
    AesCm128HmacSha1_32,
    AesCm192HmacSha1_80,
    AesCm192HmacSha1_32,
    AesCm256HmacSha1_80,
    AesCm256HmacSha1_32,
    AeadAes128Gcm,
    AeadAes256Gcm,
    F8_128HmacSha1_80,
    /// Passed on as well; its keys are not checked.
    Other(Box<str>),
}

impl Suite {
    /// What we can protect by ourselves, the best first.
    pub const PREFERRED: [Self; 6] = [
        Self::AeadAes256Gcm,
        Self::AeadAes128Gcm,
        Self::AesCm128HmacSha1_80,
        Self::AesCm256HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::AesCm256HmacSha1_32,
    ];

    /// Names of RFC 4568 6.2, RFC 6188 4, RFC 7714 14.2; with the bytes of key and salt.
    const TABLE: [(Self, &'static str, usize); 9] = [
        (Self::AesCm128HmacSha1_80, "AES_CM_128_HMAC_SHA1_80", 30),
        (Self::AesCm128HmacSha1_32, "AES_CM_128_HMAC_SHA1_32", 30),
        (Self::AesCm192HmacSha1_80, "AES_192_CM_HMAC_SHA1_80", 38),
        (Self::AesCm192HmacSha1_32, "AES_192_CM_HMAC_SHA1_32", 38),
        (Self::AesCm256HmacSha1_80, "AES_256_CM_HMAC_SHA1_80", 46),
        (Self::AesCm256HmacSha1_32, "AES_256_CM_HMAC_SHA1_32", 46),
        (Self::AeadAes128Gcm, "AEAD_AES_128_GCM", 28),
        (Self::AeadAes256Gcm, "AEAD_AES_256_GCM", 44),
        (Self::F8_128HmacSha1_80, "F8_128_HMAC_SHA1_80", 30),
    ];

    fn from_name(name: &str) -> Self {
        // Linphone and others write the key length behind the mode.
        let usual = match name {
            "AES_CM_256_HMAC_SHA1_80" => "AES_256_CM_HMAC_SHA1_80",
            "AES_CM_256_HMAC_SHA1_32" => "AES_256_CM_HMAC_SHA1_32",
            other => other,
        };
        let row = Self::TABLE
            .iter()
            .find(|(_, known, _)| known.eq_ignore_ascii_case(usual));
        row.map_or_else(|| Self::Other(name.into()), |(suite, ..)| suite.clone())
    }

    pub fn name(&self) -> &str {
        let row = Self::TABLE.iter().find(|(suite, ..)| suite == self);
        match (self, row) {
            (Self::Other(name), _) => name,
            (_, row) => row.map_or("", |(_, name, _)| name),
        }
    }

    pub(super) fn key_len(&self) -> Option<usize> {
        Self::TABLE
            .iter()
            .find(|(suite, ..)| suite == self)
            .map(|(.., len)| *len)
    }
}

const MAX_LEN: usize = 1024;
/// Octets of a key identifier; a longer one makes packets longer than they need be.
const MAX_MKI: usize = 16;

/// What protects one direction of a stream: master key and master salt, one behind the other.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    keying: Zeroizing<Vec<u8>>,
    mki: Box<[u8]>,
}

impl Key {
    pub fn reveal(&self) -> &[u8] {
        &self.keying
    }

    /// The identifier that its packets carry; empty: they carry none.
    pub fn mki(&self) -> &[u8] {
        &self.mki
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Crypto {
    /// Reads the value of the attribute. `None`: malformed, or a key that cannot fit the suite.
    pub fn parse(value: &str) -> Option<Self> {
        if value.len() > MAX_LEN {
            return None;
        }
        let mut words = value.split_ascii_whitespace();
        let (tag, suite, keys) = (words.next()?, words.next()?, words.next()?);
        // RFC 4568 9.1: 1 to 9 digits.
        if tag.len() > 9 || !tag.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let (tag, suite) = (tag.parse().ok()?, Suite::from_name(suite));
        if !keys.split(';').all(|key| is_key(key, suite.key_len())) {
            return None;
        }
        let text = value
            .split_ascii_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .into();
        Some(Self { tag, suite, text })
    }

    /// A line of ours. `None`: the keying material is not as long as the suite wants it.
    pub fn new(tag: u32, suite: Suite, keying: &[u8]) -> Option<Self> {
        if suite.key_len() != Some(keying.len()) {
            return None;
        }
        let (name, key) = (suite.name(), LENIENT.encode(keying));
        let text = format!("{tag} {name} inline:{key}").into();
        Some(Self { tag, suite, text })
    }

    /// The key of a line that we can do all of what it asks for: one key, and no session parameter
    /// that takes protection away or that we do not know (RFC 4568 6.3).
    pub fn key(&self) -> Option<Key> {
        let mut words = self.text.split(' ').skip(2);
        let inline = words.next()?.strip_prefix("inline:")?;
        if !words.all(is_harmless) {
            return None;
        }
        let mut parts = inline.split('|');
        let keying = Zeroizing::new(LENIENT.decode(parts.next()?).ok()?);
        let mut mki = Box::default();
        for part in parts {
            match part.split_once(':') {
                Some((value, len)) => mki = key_identifier(value, len)?,
                None => is_lifetime(part).then_some(())?,
            }
        }
        (self.suite.key_len() == Some(keying.len())).then_some(Key { keying, mki })
    }

    pub fn tag(&self) -> u32 {
        self.tag
    }

    pub fn suite(&self) -> &Suite {
        &self.suite
    }

    /// The value of the attribute, keys and all.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Whether this line of an answer takes up that line of the offer (RFC 4568 5.1.2).
    pub fn accepts(&self, offered: &Self) -> bool {
        self.tag == offered.tag && self.suite == offered.suite
    }
}

/// `inline:base64[|lifetime][|mki:length]` (RFC 4568 6.1).
fn is_key(text: &str, len: Option<usize>) -> bool {
    let Some(inline) = text.strip_prefix("inline:") else {
        return false;
    };
    let key = inline.split('|').next().unwrap_or_default();
    let digits = key.trim_end_matches('=');
    let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    // Devices leave the padding out; the digits alone say how many bytes there are.
    let whole = key.len() - digits.len() <= 2 && digits.bytes().all(base64) && !digits.is_empty();
    whole && len.is_none_or(|len| digits.len() * 6 / 8 == len)
}

/// RFC 4568 6.3: what changes nothing for us, and what may be passed over (6.3.7).
fn is_harmless(parameter: &str) -> bool {
    parameter.starts_with('-')
        || parameter.starts_with("WSH=")
        || parameter.starts_with("FEC_ORDER=")
}

/// RFC 4568 6.1: a count of packets, also as a power of two. Who sends with the key minds it.
fn is_lifetime(text: &str) -> bool {
    let digits = text.strip_prefix("2^").unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// RFC 4568 6.1: a number, and in how many octets packets carry it.
fn key_identifier(value: &str, len: &str) -> Option<Box<[u8]>> {
    let (value, len): (u128, usize) = (value.parse().ok()?, len.parse().ok()?);
    let octets = value.to_be_bytes();
    let (zeros, mki) = octets.split_at_checked(octets.len().checked_sub(len)?)?;
    let fits = (1..=MAX_MKI).contains(&len) && zeros.iter().all(|octet| *octet == 0);
    fits.then(|| mki.into())
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crypto({} {:?} ..)", self.tag, self.suite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    // RFC 4568 4, 7.1.1
    #[test]
    fn lines_of_the_standard_and_of_devices_are_read() {
        let read = |text: &str| Crypto::parse(text).unwrap_or_else(|| panic!("{text}"));
        let line = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4 FEC_ORDER=FEC_SRTP");
        let crypto = read(&line);
        assert_eq!(
            (crypto.tag(), crypto.suite()),
            (1, &Suite::AesCm128HmacSha1_80)
        );
        assert_eq!(crypto.reveal(), line);
        read(&format!(
            "2 F8_128_HMAC_SHA1_80 inline:{KEY};inline:{KEY}|2^20|2:4 UNENCRYPTED_SRTP"
        ));
        read(&format!("3  aes_cm_128_hmac_sha1_32   inline:{KEY}"));
        let long = "A".repeat(62) + "==";
        let crypto = read(&format!("4 AES_CM_256_HMAC_SHA1_80 inline:{long}"));
        assert_eq!(crypto.suite(), &Suite::AesCm256HmacSha1_80);
        assert_eq!(
            read("5 X_NEW inline:AAAA").suite(),
            &Suite::Other("X_NEW".into())
        );
    }

    #[test]
    fn broken_lines_are_no_offer() {
        for text in [
            "",
            "1",
            "1 AES_CM_128_HMAC_SHA1_80",
            "x AES_CM_128_HMAC_SHA1_80 inline:AAAA",
            "1234567890 X inline:AAAA",
            "1 AES_CM_128_HMAC_SHA1_80 inline:AAAA",
            "1 AES_CM_128_HMAC_SHA1_80 uri:AAAA",
            "1 X inline:",
            "1 X inline:A?",
            "1 X inline:A===",
        ] {
            assert_eq!(Crypto::parse(text), None, "{text}");
        }
        assert_eq!(
            Crypto::parse(&format!("1 X inline:{}", "A".repeat(2000))),
            None
        );
    }

    #[test]
    fn an_answer_takes_up_the_line_of_its_tag_and_suite() {
        let line = |tag: u32, suite: &str| Crypto::parse(&format!("{tag} {suite} inline:{KEY}"));
        let offered = line(1, "AES_CM_128_HMAC_SHA1_80").unwrap();
        assert!(
            line(1, "AES_CM_128_HMAC_SHA1_80")
                .unwrap()
                .accepts(&offered)
        );
        assert!(
            !line(2, "AES_CM_128_HMAC_SHA1_80")
                .unwrap()
                .accepts(&offered)
        );
        assert!(
            !line(1, "AES_CM_128_HMAC_SHA1_32")
                .unwrap()
                .accepts(&offered)
        );
    }

    #[test]
    fn a_key_does_not_show() {
        let crypto = Crypto::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}")).unwrap();
        assert_eq!(format!("{crypto:?}"), "Crypto(1 AesCm128HmacSha1_80 ..)");
    }
}
