//! Reading and writing of documents, and the bounded words they are made of.
//!
//! Unknown keys are ignored, so that a newer end may say more. Deliberately not here:
//! which document belongs to which topic. Invariant: see the crate's heading.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use crate::limits;

/// A document of the link.
pub trait Document: Serialize + DeserializeOwned {
    /// Rules that stand between the fields.
    ///
    /// # Errors
    /// The rule that is broken, in words.
    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

/// Why octets are no document of the expected kind. The sender is at fault.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{0} octets; a document has at most {max}", max = limits::DOCUMENT)]
    TooLong(usize),
    #[error("not the JSON expected here")]
    Shape(#[from] serde_json::Error),
    #[error("{0}")]
    Rule(&'static str),
}

/// Why a document cannot be sent. We are at fault.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{0} octets; a document has at most {max}", max = limits::DOCUMENT)]
    TooLong(usize),
    #[error("no JSON for it")]
    Shape(#[from] serde_json::Error),
    #[error("{0}")]
    Rule(&'static str),
}

/// Reads a document and checks its rules.
///
/// # Errors
/// When it is too long, not JSON of this shape, or breaks a rule.
pub fn read<D: Document>(octets: &[u8]) -> Result<D, ReadError> {
    if octets.len() > limits::DOCUMENT {
        return Err(ReadError::TooLong(octets.len()));
    }
    let document: D = serde_json::from_slice(octets)?;
    document.check().map_err(ReadError::Rule)?;
    Ok(document)
}

/// Writes a document, by the rules its reader will hold against it.
///
/// # Errors
/// When the reader would refuse it.
pub fn write<D: Document>(document: &D) -> Result<Vec<u8>, WriteError> {
    document.check().map_err(WriteError::Rule)?;
    let octets = serde_json::to_vec(document)?;
    if octets.len() > limits::DOCUMENT {
        return Err(WriteError::TooLong(octets.len()));
    }
    Ok(octets)
}

/// A text of 1 to `MAX` octets without control characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Text<const MAX: usize>(String);

/// Why a text does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a text of 1 to {0} octets without control characters is expected")]
pub struct TextError(usize);

impl<const MAX: usize> Text<MAX> {
    /// # Errors
    /// When it is empty, too long, or holds control characters.
    pub fn new(text: impl Into<String>) -> Result<Self, TextError> {
        let text = text.into();
        if text.is_empty() || text.len() > MAX || text.chars().any(char::is_control) {
            return Err(TextError(MAX));
        }
        Ok(Self(text))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(to)
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// A counter (`boot`, `conn`, `seq`, `rev`): 0 to 2^53 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
pub struct Counter(u64);

/// Why a number is no counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a counter is a whole number from 0 to 2^53 - 1")]
pub struct CounterError;

impl Counter {
    /// # Errors
    /// When it is negative or above 2^53 - 1.
    pub fn new(value: i64) -> Result<Self, CounterError> {
        u64::try_from(value)
            .ok()
            .filter(|value| *value <= limits::COUNTER)
            .map(Self)
            .ok_or(CounterError)
    }

    /// As a database keeps it.
    #[must_use]
    pub fn get(self) -> i64 {
        i64::try_from(self.0).expect("at most 2^53 - 1")
    }
}

impl<'de> Deserialize<'de> for Counter {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = u64::deserialize(from)?;
        if value > limits::COUNTER {
            return Err(D::Error::custom(CounterError));
        }
        Ok(Self(value))
    }
}

/// A moment: milliseconds since 1970-01-01T00:00Z, by the clock of whoever says it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
pub struct Moment(pub Counter);

/// What a merge patch or a set of settings must be at its top.
pub(crate) fn is_object(value: &serde_json::Value) -> bool {
    value.is_object()
}
