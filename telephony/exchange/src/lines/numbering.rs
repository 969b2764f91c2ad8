//! Numbers and systems of a network of older servers, as they call them and as we do.
//!
//! Servers have system numbers; whose station is meant says the system, then the number. Digits in
//! front may differ between both sides of a line, so each side of it has a map of prefixes. A block
//! number is what we dial in front of any number of another system.

use legacy_protocols::number::{Node, Number, Party};
use model::{CallNumber, NodeId};
use thiserror::Error;

/// A server behind a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub node: NodeId,
    /// Its system number.
    pub number: Node,
    /// What is dialled here in front of its numbers; none: only its stations in the directory can
    /// be called.
    pub block: Option<CallNumber>,
    /// Its stations' numbers: as they are in our directory, and as they are at home.
    pub prefixes: PrefixMap,
}

/// What we are to the network behind a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbering {
    /// Our system number there.
    pub own: Node,
    /// Our stations' numbers: as they are here, and as they are dialled there.
    pub prefixes: PrefixMap,
}

/// Pairs of prefixes; the longest that fits is replaced, a number that fits none stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefixMap {
    pairs: Vec<Pair>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pair {
    ours: String,
    theirs: String,
}

/// Why pairs of prefixes cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PrefixError {
    #[error("{0:?} is no prefix; write up to 8 digits, or nothing")]
    NotDigits(String),
    #[error("the prefix {0:?} is given twice; each can mean one thing only")]
    Twice(String),
}

impl Server {
    pub fn new(node: NodeId, number: Node) -> Self {
        Self {
            node,
            number,
            block: None,
            prefixes: PrefixMap::default(),
        }
    }

    /// A number of ours of one of its stations, as it is at home.
    pub(crate) fn party(&self, ours: CallNumber) -> Option<Party> {
        let number = self.prefixes.to_theirs(ours)?;
        Some(Party {
            node: self.number,
            number,
        })
    }
}

impl Numbering {
    pub fn new(own: Node) -> Self {
        Self {
            own,
            prefixes: PrefixMap::default(),
        }
    }

    /// One of our numbers, as they dial it.
    pub(crate) fn party(&self, ours: CallNumber) -> Option<Party> {
        let number = self.prefixes.to_theirs(ours)?;
        Some(Party {
            node: self.own,
            number,
        })
    }
}

impl PrefixMap {
    /// Of (ours, theirs).
    pub fn new<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, PrefixError> {
        let mut map = Self::default();
        for (ours, theirs) in pairs {
            for prefix in [ours, theirs] {
                let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
                if !digits || prefix.len() > CallNumber::MAX_DIGITS {
                    return Err(PrefixError::NotDigits(prefix.to_owned()));
                }
            }
            if map.pairs.iter().any(|pair| pair.ours == ours) {
                return Err(PrefixError::Twice(ours.to_owned()));
            }
            if map.pairs.iter().any(|pair| pair.theirs == theirs) {
                return Err(PrefixError::Twice(theirs.to_owned()));
            }
            map.pairs.push(Pair {
                ours: ours.to_owned(),
                theirs: theirs.to_owned(),
            });
        }
        Ok(map)
    }

    /// None: it has more than 8 digits there.
    pub(crate) fn to_theirs(&self, ours: CallNumber) -> Option<Number> {
        let pairs = self.pairs.iter();
        let pairs = pairs.map(|pair| (pair.ours.as_str(), pair.theirs.as_str()));
        Number::new(&replaced(ours.as_str(), pairs)).ok()
    }

    /// None: it has more than 8 digits here.
    pub(crate) fn to_ours(&self, theirs: Number) -> Option<CallNumber> {
        let pairs = self.pairs.iter();
        let pairs = pairs.map(|pair| (pair.theirs.as_str(), pair.ours.as_str()));
        CallNumber::parse(&replaced(&theirs.to_string(), pairs)).ok()
    }
}

fn replaced<'a>(number: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let fits = pairs.filter_map(|(from, to)| Some((from.len(), number.strip_prefix(from)?, to)));
    match fits.max_by_key(|(length, ..)| *length) {
        Some((_, rest, to)) => format!("{to}{rest}"),
        None => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(map: &PrefixMap, ours: &str) -> Option<String> {
        let number = map.to_theirs(CallNumber::parse(ours).unwrap())?;
        Some(number.to_string())
    }

    fn here(map: &PrefixMap, theirs: &str) -> Option<String> {
        let number = map.to_ours(Number::new(theirs).unwrap())?;
        Some(number.to_string())
    }

    #[test]
    fn b2_the_longest_prefix_is_replaced_and_others_stay() {
        let map = PrefixMap::new([("2", ""), ("21", "9"), ("3", "44")]).unwrap();
        for (ours, theirs) in [
            ("2001", "001"),
            ("2101", "901"),
            ("355", "4455"),
            ("7", "7"),
        ] {
            assert_eq!(there(&map, ours).as_deref(), Some(theirs));
        }
        assert_eq!(here(&map, "901").as_deref(), Some("2101"));
        assert_eq!(here(&map, "4455").as_deref(), Some("355"));
    }

    #[test]
    fn a_number_that_grows_too_long_or_vanishes_is_none() {
        let map = PrefixMap::new([("1", "12345678"), ("2", "")]).unwrap();
        assert_eq!(there(&map, "11"), None);
        assert_eq!(there(&map, "2"), None);
        assert_eq!(there(&map, "1").as_deref(), Some("12345678"));
    }

    #[test]
    fn pairs_that_cannot_be_told_apart_are_refused() {
        let refused = |pairs: [(&'static str, &'static str); 2]| PrefixMap::new(pairs).unwrap_err();
        let twice = PrefixError::Twice("1".into());
        assert_eq!(refused([("1", "2"), ("1", "3")]), twice);
        assert_eq!(refused([("2", "1"), ("3", "1")]), twice);
        let not = PrefixError::NotDigits("1a".into());
        assert_eq!(refused([("2", "1"), ("1a", "3")]), not);
    }
}
