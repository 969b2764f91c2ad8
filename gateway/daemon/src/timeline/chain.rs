//! The chain: each line of a timeline begins with a hash of itself and of the line before.
//!
//! `HASH JSON`, where HASH is SHA-256 in hex over the HASH of the line before and this JSON. So
//! every octet of a file is covered, and anybody can check it with a few lines of any language
//! (`docs/operations.md` has them). The chain shows damage and careless changes; against somebody
//! who writes the whole chain anew stand the hashes in the log (`timeline` in `docs/operations.md`).

use sha2::{Digest, Sha256};

use super::entry::hex;

/// A SHA-256, in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hash(String);

const LENGTH: usize = 64;

impl Hash {
    /// Before the first line of all.
    pub(crate) fn start() -> Self {
        Self("0".repeat(LENGTH))
    }

    pub(crate) fn after(before: &Self, json: &[u8]) -> Self {
        let mut digest = Sha256::new();
        digest.update(before.0.as_bytes());
        digest.update(json);
        Self(hex(&digest.finalize()))
    }

    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let digits = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let sound = text.len() == LENGTH && text.iter().all(digits);
        let text = std::str::from_utf8(text).ok()?;
        sound.then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Adds a line that follows `before`; the hash that the next one follows.
pub(crate) fn append(before: &Hash, json: &[u8], to: &mut Vec<u8>) -> Hash {
    let hash = Hash::after(before, json);
    to.extend_from_slice(hash.as_str().as_bytes());
    to.push(b' ');
    to.extend_from_slice(json);
    to.push(b'\n');
    hash
}

/// The hash and the JSON of a line without its end; nothing if it is no such line.
pub(crate) fn split(line: &[u8]) -> Option<(Hash, &[u8])> {
    let (hash, rest) = line.split_at_checked(LENGTH)?;
    Some((Hash::read(hash)?, rest.strip_prefix(b" ")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_of_every_line_is_covered() {
        let mut file = Vec::new();
        let first = append(&Hash::start(), b"{\"entry\":1}", &mut file);
        append(&first, b"{\"entry\":2}", &mut file);
        let is_sound = |file: &[u8]| {
            let mut before = Hash::start();
            file.ends_with(b"\n")
                && file[..file.len() - 1]
                    .split(|byte| *byte == b'\n')
                    .all(|line| {
                        split(line).is_some_and(|(hash, json)| {
                            let sound = Hash::after(&before, json) == hash;
                            before = hash;
                            sound
                        })
                    })
        };
        assert!(is_sound(&file));
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut damaged = file.clone();
                damaged[at] ^= 1 << bit;
                assert!(!is_sound(&damaged), "octet {at}, bit {bit}");
            }
        }
    }
}
