//! Tags, branches, Call-IDs and other values nobody may guess.
//!
//! A stream of SHA-256 over a secret seed and a counter: equal seeds give equal streams, so tests
//! can be repeated, and no output tells anything about the seed or the next one. That they cannot
//! be foretold rests on the seed alone, which the shell takes from the operating system.

use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};

/// 80 bits as 16 characters that may stand in a tag, a branch and a Call-ID.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Token([u8; Token::LEN]);

impl Token {
    pub(crate) const LEN: usize = 16;

    /// Reads one of ours back; other text is `None`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let token = Self(text.as_bytes().try_into().ok()?);
        token
            .0
            .iter()
            .all(|b| ALPHABET.contains(b))
            .then_some(token)
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("the alphabet is ASCII")
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A secret for one purpose, out of a seed for all of them: it tells nothing about the seed or about
/// the others.
pub fn secret_for(purpose: &str, seed: &[u8; 32]) -> [u8; 32] {
    let hash = Sha256::new().chain_update(seed).chain_update(purpose);
    hash.finalize().into()
}

/// No letter that reads like a digit; one case, as some devices compare without case.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The stream.
pub(crate) struct Tokens {
    seed: [u8; 32],
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl fmt::Debug for Tokens {
    /// The seed is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("counter", &self.counter)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self {
            seed,
            counter: 0,
            block: [0; 32],
            used: 32,
        }
    }

    /// A seed for another stream that tells nothing about this one.
    pub(crate) fn fork(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.fill(&mut seed);
        seed
    }

    pub(crate) fn token(&mut self) -> Token {
        let mut bits = [0; 10];
        self.fill(&mut bits);
        let mut text = [0; Token::LEN];
        for (group, five) in text.chunks_exact_mut(8).zip(bits.chunks_exact(5)) {
            let word = five
                .iter()
                .fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
            for (at, letter) in group.iter_mut().enumerate() {
                *letter = ALPHABET[(word >> (35 - 5 * at) & 31) as usize];
            }
        }
        Token(text)
    }

    /// A number below `bound`, which is not zero. The bias is below 2^-32.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        let mut bits = [0; 8];
        self.fill(&mut bits);
        (u64::from_le_bytes(bits) % u64::from(bound)) as u32
    }

    /// A duration from `from` to `to` in steps of 10 ms (RFC 3261 14.1).
    pub(crate) fn duration(&mut self, from: Duration, to: Duration) -> Duration {
        let steps = (to.saturating_sub(from).as_millis() / 10) as u32;
        from + Duration::from_millis(10) * self.below(steps + 1)
    }

    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.used == self.block.len() {
                let hash = Sha256::new()
                    .chain_update(self.seed)
                    .chain_update(self.counter.to_le_bytes());
                self.block = hash.finalize().into();
                self.counter += 1;
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn equal_seeds_give_equal_streams_and_no_token_comes_twice() {
        let (mut a, mut b) = (Tokens::new([7; 32]), Tokens::new([7; 32]));
        let tokens: HashSet<_> = (0..10_000)
            .map(|_| {
                let token = a.token();
                assert_eq!(token, b.token());
                assert_eq!(Token::parse(token.as_str()), Some(token));
                token
            })
            .collect();
        assert_eq!(tokens.len(), 10_000);
        assert_ne!(Tokens::new([8; 32]).token(), Tokens::new([7; 32]).token());
    }

    #[test]
    fn foreign_text_is_no_token() {
        for text in [
            "",
            "short",
            "0123456789ABCDEF",
            "0123456789abcdefg",
            "z9hG4bK776asdhds",
        ] {
            assert_eq!(Token::parse(text), None);
        }
    }

    #[test]
    fn durations_stay_in_their_range() {
        let mut tokens = Tokens::new([1; 32]);
        let (from, to) = (Duration::from_millis(2100), Duration::from_millis(4000));
        assert!(
            (0..1000)
                .map(|_| tokens.duration(from, to))
                .all(|d| d >= from && d <= to)
        );
    }
}
