//! Hardware revisions: two letters, counted AA, AB, ... AZ, BA, ...

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A revision of hardware, as on the type plate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Revision([u8; 2]);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a revision is two letters such as AB")]
pub struct NotARevision;

impl Revision {
    pub const FIRST: Self = Self(*b"AA");
}

impl FromStr for Revision {
    type Err = NotARevision;

    fn from_str(text: &str) -> Result<Self, NotARevision> {
        match *text.as_bytes() {
            [first, second] if first.is_ascii_alphabetic() && second.is_ascii_alphabetic() => {
                Ok(Self([
                    first.to_ascii_uppercase(),
                    second.to_ascii_uppercase(),
                ]))
            }
            _ => Err(NotARevision),
        }
    }
}

impl TryFrom<String> for Revision {
    type Error = NotARevision;

    fn try_from(text: String) -> Result<Self, NotARevision> {
        text.parse()
    }
}

impl From<Revision> for String {
    fn from(revision: Revision) -> Self {
        revision.to_string()
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", char::from(self.0[0]), char::from(self.0[1]))
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d1_revisions_are_counted_like_columns_of_a_sheet() {
        let order = ["AA", "AB", "AL", "AZ", "BA", "BZ", "ZZ"];
        let read: Vec<Revision> = order.iter().map(|text| text.parse().unwrap()).collect();
        assert!(read.is_sorted_by(|a, b| a < b));
        assert_eq!("ab".parse::<Revision>().unwrap().to_string(), "AB");
    }

    #[test]
    fn what_is_no_revision_is_refused() {
        for text in ["", "A", "A1", "AAA", "é", " A"] {
            assert_eq!(text.parse::<Revision>(), Err(NotARevision), "{text}");
        }
    }
}
