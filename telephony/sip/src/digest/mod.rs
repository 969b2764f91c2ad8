//! HTTP digest authentication as SIP uses it (RFC 7616, RFC 8760, RFC 3261 22).
//!
//! [`server`] checks what a station sends, on the raw header bytes: the hash covers the URI as it
//! was written, never one written anew. [`client`] answers the challenge of a peer. [`Ha1Set`] is
//! what is kept of a password. It deliberately knows no accounts, no bans and no SIP message, and
//! offers neither the `-sess` algorithms nor `auth-int` as a server.
//! Invariant: no password, HA1 or response is ever shown by `Debug`.

use std::fmt;
use std::fmt::Write as _;

use md5::Md5;
use sha2::{Sha256, Sha512_256};

pub mod client;
mod nonce;
mod parse;
pub mod server;

pub use parse::{Challenge, Credentials, Malformed};

/// A hash algorithm of RFC 8760, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// For stations that know nothing better; only where the account allows it.
    Md5,
    Sha256,
    Sha512_256,
}

impl Algorithm {
    /// The name in the `algorithm` parameter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512_256 => "SHA-512-256",
        }
    }

    /// `None` for names outside RFC 8760, `-sess` among them.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Md5, Self::Sha512_256]
            .into_iter()
            .find(|algorithm| name.eq_ignore_ascii_case(algorithm.name()))
    }

    /// The hash of all parts as if they were one.
    pub fn hash(self, parts: &[&[u8]]) -> Hash {
        match self {
            Self::Md5 => Hash::new(&digest::<Md5>(parts)),
            Self::Sha256 => Hash::new(&digest::<Sha256>(parts)),
            Self::Sha512_256 => Hash::new(&digest::<Sha512_256>(parts)),
        }
    }

    const fn hash_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha256 | Self::Sha512_256 => 32,
        }
    }
}

fn digest<D: sha2::Digest>(parts: &[&[u8]]) -> sha2::digest::Output<D> {
    let mut hasher = D::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// The output of one of the algorithms: 16 or 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash {
    bytes: [u8; 32],
    len: u8,
}

impl Hash {
    fn new(hash: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes[..hash.len()].copy_from_slice(hash);
        Self {
            bytes,
            len: hash.len() as u8,
        }
    }

    /// The same hash, as long as those of the algorithm: hashing it takes as long.
    fn cut_for(mut self, algorithm: Algorithm) -> Self {
        self.len = self.len.min(algorithm.hash_len() as u8);
        self
    }

    /// Reads lower or upper case hexadecimal digits; `None` unless they are as many as the
    /// algorithm makes.
    pub fn from_hex(text: &str, algorithm: Algorithm) -> Option<Self> {
        let mut bytes = [0; 32];
        decode_hex(text.as_bytes(), &mut bytes[..algorithm.hash_len()])?;
        Some(Self {
            bytes,
            len: algorithm.hash_len() as u8,
        })
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Lower case, as RFC 7616 3.1 wants it.
    pub fn to_hex(&self) -> Hex {
        let mut text = [0; 64];
        encode_hex(self.as_bytes(), &mut text);
        Hex {
            text,
            len: self.len * 2,
        }
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(..)")
    }
}

/// A hash in hexadecimal digits, without an allocation.
#[derive(Clone, Copy)]
pub struct Hex {
    text: [u8; 64],
    len: u8,
}

impl Hex {
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.len)]
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|b| f.write_char(char::from(*b)))
    }
}

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hex(..)")
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn encode_hex(bytes: &[u8], out: &mut [u8]) {
    for (byte, pair) in bytes.iter().zip(out.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

/// `None` unless `text` is exactly as many digits as fill `out`.
fn decode_hex(text: &[u8], out: &mut [u8]) -> Option<()> {
    if text.len() != out.len() * 2 {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    for (pair, byte) in text.chunks_exact(2).zip(out) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(())
}

/// What is kept of a password: H(user:realm:password), one for each algorithm the account may use.
///
/// An algorithm whose hash is missing is refused for that account, so MD5 is allowed exactly
/// where its hash is stored.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Ha1Set {
    sha256: Option<[u8; 32]>,
    md5: Option<[u8; 16]>,
}

/// Whether an account may answer with MD5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Md5Use {
    #[default]
    Refused,
    /// The station knows nothing better.
    Allowed,
}

impl Ha1Set {
    pub fn from_password(user: &str, realm: &str, password: &str, md5: Md5Use) -> Self {
        let set = Self::default().with(
            Algorithm::Sha256,
            ha1(Algorithm::Sha256, user, realm, password),
        );
        match md5 {
            Md5Use::Refused => set,
            Md5Use::Allowed => set.with(Algorithm::Md5, ha1(Algorithm::Md5, user, realm, password)),
        }
    }

    /// Adds a stored hash. SHA-512-256 is not offered as a server, so its hash is not kept.
    #[must_use]
    pub fn with(mut self, algorithm: Algorithm, hash: Hash) -> Self {
        match algorithm {
            Algorithm::Md5 => self.md5 = hash.as_bytes().try_into().ok(),
            Algorithm::Sha256 => self.sha256 = hash.as_bytes().try_into().ok(),
            Algorithm::Sha512_256 => {}
        }
        self
    }

    pub fn get(&self, algorithm: Algorithm) -> Option<Hash> {
        match algorithm {
            Algorithm::Md5 => self.md5.map(|hash| Hash::new(&hash)),
            Algorithm::Sha256 => self.sha256.map(|hash| Hash::new(&hash)),
            Algorithm::Sha512_256 => None,
        }
    }

    /// What its station is asked for: MD5 is allowed only where it knows nothing better.
    pub fn asked_for(&self) -> Algorithm {
        match self.md5 {
            Some(_) => Algorithm::Md5,
            None => Algorithm::Sha256,
        }
    }
}

impl fmt::Debug for Ha1Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |there| if there { ".." } else { "-" };
        write!(
            f,
            "Ha1Set(SHA-256 {}, MD5 {})",
            known(self.sha256.is_some()),
            known(self.md5.is_some())
        )
    }
}

/// H(user:realm:password) (RFC 7616 3.4.2).
pub fn ha1(algorithm: Algorithm, user: &str, realm: &str, password: &str) -> Hash {
    algorithm.hash(&[
        user.as_bytes(),
        b":",
        realm.as_bytes(),
        b":",
        password.as_bytes(),
    ])
}

/// The quality of protection of a response (RFC 7616 3.4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection<'a> {
    /// RFC 2069 form: no client nonce, no count.
    None,
    Auth {
        cnonce: &'a str,
        nc: &'a str,
    },
    AuthInt {
        cnonce: &'a str,
        nc: &'a str,
        body: &'a [u8],
    },
}

/// The `response` value (RFC 7616 3.4.1). `uri` is the text of the `uri` parameter.
pub fn response(
    algorithm: Algorithm,
    ha1: &Hash,
    nonce: &str,
    protection: Protection<'_>,
    method: &str,
    uri: &str,
) -> Hash {
    let a2: [&[u8]; 3] = [method.as_bytes(), b":", uri.as_bytes()];
    let ha2 = match protection {
        Protection::None | Protection::Auth { .. } => algorithm.hash(&a2),
        Protection::AuthInt { body, .. } => {
            let body = algorithm.hash(&[body]).to_hex();
            algorithm.hash(&[a2[0], a2[1], a2[2], b":", body.as_bytes()])
        }
    };
    let (ha1, ha2) = (ha1.to_hex(), ha2.to_hex());
    let (qop, cnonce, nc) = match protection {
        Protection::None => {
            return algorithm.hash(&[ha1.as_bytes(), b":", nonce.as_bytes(), b":", ha2.as_bytes()]);
        }
        Protection::Auth { cnonce, nc } => ("auth", cnonce, nc),
        Protection::AuthInt { cnonce, nc, .. } => ("auth-int", cnonce, nc),
    };
    let fields = [nonce, nc, cnonce, qop].map(str::as_bytes);
    algorithm.hash(&[
        ha1.as_bytes(),
        b":",
        fields[0],
        b":",
        fields[1],
        b":",
        fields[2],
        b":",
        fields[3],
        b":",
        ha2.as_bytes(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
    const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

    fn mufasa(algorithm: Algorithm) -> String {
        let ha1 = ha1(
            algorithm,
            "Mufasa",
            "http-auth@example.org",
            "Circle of Life",
        );
        let protection = Protection::Auth {
            cnonce: CNONCE,
            nc: "00000001",
        };
        response(algorithm, &ha1, NONCE, protection, "GET", "/dir/index.html")
            .to_hex()
            .to_string()
    }

    // RFC 7616 3.9.1
    #[test]
    fn the_md5_and_sha_256_examples_of_the_standard_come_out() {
        assert_eq!(mufasa(Algorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(
            mufasa(Algorithm::Sha256),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
    }

    // RFC 7616 3.9.2 as corrected by erratum 4897: its hashes came from a draft of SHA-512/256.
    #[test]
    fn the_sha_512_256_example_of_the_standard_comes_out() {
        let ha1 = ha1(
            Algorithm::Sha512_256,
            "J\u{e4}s\u{f8}n Doe",
            "api@example.org",
            "Secret, or not?",
        );
        let nonce = "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK";
        let cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v";
        let protection = Protection::Auth {
            cnonce,
            nc: "00000001",
        };
        let made = response(
            Algorithm::Sha512_256,
            &ha1,
            nonce,
            protection,
            "GET",
            "/doe.json",
        );
        assert_eq!(
            made.to_hex().to_string(),
            "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
        );
    }

    // RFC 2617 3.5
    #[test]
    fn the_older_example_comes_out_too() {
        let ha1 = ha1(
            Algorithm::Md5,
            "Mufasa",
            "testrealm@host.com",
            "Circle Of Life",
        );
        let protection = Protection::Auth {
            cnonce: "0a4f113b",
            nc: "00000001",
        };
        let nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
        let made = response(
            Algorithm::Md5,
            &ha1,
            nonce,
            protection,
            "GET",
            "/dir/index.html",
        );
        assert_eq!(
            made.to_hex().to_string(),
            "6629fae49393a05397450978507c4ef1"
        );
    }

    #[test]
    fn hex_digits_are_read_in_any_case_and_in_full_length_only() {
        let hash = Algorithm::Md5.hash(&[b"x"]);
        let text = hash.to_hex().to_string();
        assert_eq!(Hash::from_hex(&text, Algorithm::Md5), Some(hash));
        assert_eq!(
            Hash::from_hex(&text.to_uppercase(), Algorithm::Md5),
            Some(hash)
        );
        assert_eq!(Hash::from_hex(&text[1..], Algorithm::Md5), None);
        assert_eq!(Hash::from_hex(&text, Algorithm::Sha256), None);
        assert_eq!(
            Hash::from_hex(&text.replace(&text[..1], "g"), Algorithm::Md5),
            None
        );
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let set = Ha1Set::from_password("101", "site", "secret", Md5Use::Allowed);
        assert_eq!(format!("{set:?}"), "Ha1Set(SHA-256 .., MD5 ..)");
        assert_eq!(format!("{:?}", set.get(Algorithm::Md5)), "Some(Hash(..))");
    }
}
