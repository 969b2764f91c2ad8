//! Claim codes: 100 random bits as 20 characters that a person can read out, and a check character.
//!
//! Printed as five groups of four and the check character. Read forgivingly: any case, O as 0, I
//! and L as 1, spaces and hyphens wherever they are. Whether a code is mistyped is known without
//! asking anybody; whether it exists is known to the core alone.
//!
//! A code is a secret: `Debug` does not show it and its memory is wiped.

use std::fmt;
use std::str::FromStr;

use zeroize::{Zeroize, Zeroizing};

use super::field;

/// Crockford's base 32: no I, L, O (read as 1, 1, 0) and no U (no accidental words).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const SYMBOLS: usize = 20;

/// Proof, shown to a person, of who holds a device.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimCode {
    /// 0-31 each, without the check symbol.
    symbols: [u8; SYMBOLS],
}

/// Why a text is no claim code. It was mistyped: nothing is said about codes that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimCodeError {
    #[error(
        "the code has {got} characters, it should have 21: five groups of four and one at the end"
    )]
    Length { got: usize },
    #[error("character {place} of the code is `{found}`, which no code contains")]
    Character { place: usize, found: char },
    #[error("the code is mistyped: compare it with the label character by character")]
    Check,
}

impl ClaimCodeError {
    /// For translation.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Length { .. } => "claim_code_length",
            Self::Character { .. } => "claim_code_character",
            Self::Check => "claim_code_mistyped",
        }
    }
}

impl ClaimCode {
    /// Takes five bits of each octet, so that 20 random octets make 100 random bits.
    pub fn from_random(mut octets: [u8; SYMBOLS]) -> Self {
        let symbols = octets.map(|octet| octet & 31);
        octets.zeroize();
        Self { symbols }
    }

    /// The code in one word without its check character: what keys are made from.
    pub fn canonical(&self) -> Zeroizing<[u8; SYMBOLS]> {
        Zeroizing::new(self.symbols.map(letter))
    }

    /// As printed on labels: `XXXX-XXXX-XXXX-XXXX-XXXX-X`.
    pub fn printed(&self) -> Zeroizing<String> {
        let mut text = String::with_capacity(26);
        for (place, symbol) in self.symbols.iter().enumerate() {
            if place > 0 && place % 4 == 0 {
                text.push('-');
            }
            text.push(char::from(letter(*symbol)));
        }
        text.push('-');
        text.push(char::from(letter(field::check_symbol(&self.symbols))));
        Zeroizing::new(text)
    }
}

impl FromStr for ClaimCode {
    type Err = ClaimCodeError;

    fn from_str(text: &str) -> Result<Self, ClaimCodeError> {
        let mut read = Zeroizing::new([0; SYMBOLS + 1]);
        let mut got = 0;
        for character in text.chars() {
            if character.is_whitespace() || matches!(character, '-' | '\u{2010}'..='\u{2015}') {
                continue;
            }
            if let Some(place) = read.get_mut(got) {
                *place = symbol(character).ok_or(ClaimCodeError::Character {
                    place: got + 1,
                    found: character,
                })?;
            }
            got += 1;
        }
        if got != read.len() {
            return Err(ClaimCodeError::Length { got });
        }
        if field::value(&*read) != 0 {
            return Err(ClaimCodeError::Check);
        }
        let mut symbols = [0; SYMBOLS];
        symbols.copy_from_slice(&read[..SYMBOLS]);
        Ok(Self { symbols })
    }
}

impl Drop for ClaimCode {
    fn drop(&mut self) {
        self.symbols.zeroize();
    }
}

impl fmt::Debug for ClaimCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimCode(..)")
    }
}

fn letter(symbol: u8) -> u8 {
    ALPHABET[usize::from(symbol & 31)]
}

fn symbol(character: char) -> Option<u8> {
    let upper = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let place = ALPHABET
        .iter()
        .position(|letter| char::from(*letter) == upper)?;
    u8::try_from(place).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> ClaimCode {
        ClaimCode::from_random(std::array::from_fn(|place| {
            u8::try_from(place * 7).unwrap()
        }))
    }

    #[test]
    fn d1_a_code_prints_in_groups_of_four_and_reads_back() {
        let printed = sample().printed();
        assert_eq!(printed.len(), 26);
        assert_eq!(printed.split('-').count(), 6);
        assert_eq!(printed.parse(), Ok(sample()));
    }

    #[test]
    fn d1_a_code_is_read_as_people_write_it() {
        let code = ClaimCode::from_random([0; 20]);
        assert_eq!(code.printed().as_str(), "0000-0000-0000-0000-0000-0");
        assert_eq!("ooOO 0000 0000 0000 0000 o".parse(), Ok(code.clone()));
        assert_eq!("0000000000\u{2013}0000 0000 000".parse(), Ok(code));
        let one = ClaimCode::from_random([1; 20]);
        let written = one.printed().replace('1', "l");
        assert_eq!(written.parse(), Ok(one.clone()));
        assert_eq!(written.replace('l', "I").parse(), Ok(one));
    }

    #[test]
    fn d1_what_is_no_code_says_why() {
        let printed = sample().printed();
        assert_eq!(
            printed[..25].parse::<ClaimCode>(),
            Err(ClaimCodeError::Length { got: 20 })
        );
        assert_eq!(
            "U".parse::<ClaimCode>(),
            Err(ClaimCodeError::Character {
                place: 1,
                found: 'U'
            })
        );
        let long = "0".repeat(10_000);
        assert_eq!(
            long.parse::<ClaimCode>(),
            Err(ClaimCodeError::Length { got: 10_000 })
        );
    }

    #[test]
    fn g2_a_code_does_not_show_in_debug_output() {
        let shown = format!("{:?}", sample());
        assert_eq!(shown, "ClaimCode(..)");
    }

    proptest! {
        #[test]
        fn every_code_reads_back(octets: [u8; 20]) {
            let code = ClaimCode::from_random(octets);
            prop_assert_eq!(code.printed().parse::<ClaimCode>(), Ok(code));
        }

        #[test]
        fn d1_one_wrong_character_is_always_noticed(octets: [u8; 20], place in 0..21_usize, other in 0..32_u8) {
            let printed = ClaimCode::from_random(octets).printed().replace('-', "");
            let mut characters = printed.into_bytes();
            prop_assume!(characters[place] != letter(other));
            characters[place] = letter(other);
            let text = String::from_utf8(characters).unwrap();
            prop_assert_eq!(text.parse::<ClaimCode>(), Err(ClaimCodeError::Check));
        }

        #[test]
        fn d1_two_exchanged_characters_are_always_noticed(octets: [u8; 20], a in 0..21_usize, b in 0..21_usize) {
            let printed = ClaimCode::from_random(octets).printed().replace('-', "");
            let mut characters = printed.into_bytes();
            prop_assume!(characters[a] != characters[b]);
            characters.swap(a, b);
            let text = String::from_utf8(characters).unwrap();
            prop_assert_eq!(text.parse::<ClaimCode>(), Err(ClaimCodeError::Check));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text: String) {
            let _ = text.parse::<ClaimCode>();
        }
    }
}
