//! `CallNumber`: the number of a station or group in the intercom world, 1 to 8 decimal digits.
//!
//! Leading zeros count: 07 and 7 are two numbers. Telephone numbers are not call numbers; they are
//! SIP or tel URIs.

use std::fmt;
use std::str::FromStr;

/// 1 to 8 digits. Orders as text does, so that 10 stands before 2.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallNumber {
    // Digits as ASCII, zero bytes behind them; the zero sorts a prefix before what it begins.
    digits: [u8; CallNumber::MAX_DIGITS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    #[error("a call number needs at least one digit; write 1 to 8 digits")]
    Empty,
    #[error(
        "a call number has at most 8 digits, this one has {0}; telephone numbers are written as SIP or tel URIs"
    )]
    TooLong(usize),
    #[error("a call number has digits only, found {0:?}; remove it")]
    NotADigit(char),
}

impl CallNumber {
    pub const MAX_DIGITS: usize = 8;

    pub fn parse(text: &str) -> Result<Self, NumberError> {
        if text.is_empty() {
            return Err(NumberError::Empty);
        }
        if let Some(other) = text.chars().find(|c| !c.is_ascii_digit()) {
            return Err(NumberError::NotADigit(other));
        }
        if text.len() > Self::MAX_DIGITS {
            return Err(NumberError::TooLong(text.len()));
        }
        let mut digits = [0; Self::MAX_DIGITS];
        digits[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { digits })
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.digits[..self.len()]).unwrap_or_default()
    }

    #[expect(clippy::len_without_is_empty, reason = "a call number is never empty")]
    pub fn len(&self) -> usize {
        self.digits
            .iter()
            .position(|d| *d == 0)
            .unwrap_or(Self::MAX_DIGITS)
    }
}

impl FromStr for CallNumber {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        Self::parse(text)
    }
}

impl fmt::Display for CallNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for CallNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_eight_digits_and_nothing_else() {
        assert_eq!(CallNumber::parse("0").unwrap().as_str(), "0");
        assert_eq!(
            CallNumber::parse("12345678").unwrap().to_string(),
            "12345678"
        );
        assert_eq!(CallNumber::parse(""), Err(NumberError::Empty));
        assert_eq!(CallNumber::parse("123456789"), Err(NumberError::TooLong(9)));
        assert_eq!(CallNumber::parse("12F"), Err(NumberError::NotADigit('F')));
        assert_eq!(CallNumber::parse("1٢"), Err(NumberError::NotADigit('٢')));
    }

    #[test]
    fn leading_zeros_count() {
        assert_ne!(
            CallNumber::parse("07").unwrap(),
            CallNumber::parse("7").unwrap()
        );
    }
}
