//! Single values of a line: pairs of prefixes, versions of older servers.

use std::fmt;

use toml::de::DeValue;

use crate::config::problems::{Place, Problems};
use crate::config::section::Value;
use crate::config::values::text;

/// Digits in front of a number, ours and theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PrefixPair {
    pub(crate) ours: String,
    pub(crate) theirs: String,
}

impl Value for PrefixPair {
    const EXPECTED: &'static str = "two prefixes, ours first, such as \"72=2\", \"7=\" or \"=7\"";

    fn from_toml(value: &DeValue<'_>, _: &Place, _: &mut Problems) -> Result<Self, String> {
        let text = text(value)?;
        let (ours, theirs) = text
            .split_once('=')
            .ok_or_else(|| format!("\"{text}\" is no pair of prefixes"))?;
        let pair = [ours.trim(), theirs.trim()];
        let digits = |prefix: &str| prefix.len() <= 8 && prefix.bytes().all(|b| b.is_ascii_digit());
        if !pair.iter().all(|prefix| digits(prefix)) {
            return Err(format!(
                "\"{text}\" holds a prefix that is not up to 8 digits"
            ));
        }
        let [ours, theirs] = pair.map(str::to_owned);
        Ok(Self { ours, theirs })
    }
}

/// A version as it is written, and its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VersionText {
    text: String,
    numbers: Vec<u32>,
}

impl VersionText {
    /// The numbers of "11.1.6" are 11, 1, 6; those of "PRO 800 6.4 build 3" are 6, 4, 3: the 800 is
    /// part of the name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let version = text.trim();
        let version = version.strip_prefix("PRO 800").unwrap_or(version);
        let parts = version.split(|c: char| !c.is_ascii_digit());
        let numbers = parts
            .filter(|part| !part.is_empty())
            .map(|part| part.parse().ok());
        let numbers: Vec<u32> = numbers.collect::<Option<_>>()?;
        (!numbers.is_empty()).then(|| Self {
            text: text.trim().to_owned(),
            numbers,
        })
    }

    /// Missing numbers count as 0.
    pub(super) fn is_at_least(&self, least: &[u32]) -> bool {
        let length = self.numbers.len().max(least.len());
        let number = |numbers: &[u32], at: usize| numbers.get(at).copied().unwrap_or(0);
        let both = (0..length).map(|at| (number(&self.numbers, at), number(least, at)));
        both.clone()
            .find(|(have, need)| have != need)
            .is_none_or(|(have, need)| have > need)
    }
}

impl fmt::Display for VersionText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Value for VersionText {
    const EXPECTED: &'static str =
        "a version such as \"11.1.6\" or \"PRO 800 6.4 build 3\", as the server shows it";

    fn from_toml(value: &DeValue<'_>, _: &Place, _: &mut Problems) -> Result<Self, String> {
        let text = text(value)?;
        Self::parse(text).ok_or_else(|| format!("\"{text}\" holds no version"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_least(text: &str, least: &[u32]) -> bool {
        VersionText::parse(text).unwrap().is_at_least(least)
    }

    #[test]
    fn b7_versions_are_compared_by_their_numbers() {
        for (text, least, enough) in [
            ("11.1.6", &[11, 1, 6][..], true),
            ("11.1.10", &[11, 1, 6], true),
            ("11.2", &[11, 1, 6], true),
            ("11.1", &[11, 1, 6], false),
            ("9.9.9", &[11, 1, 6], false),
            ("PRO 800 6.4 build 3", &[6, 4, 3], true),
            ("PRO 800 6.4 build 2", &[6, 4, 3], false),
            ("PRO 800 7.0", &[6, 4, 3], true),
            ("6.4.12", &[6, 4, 3], true),
        ] {
            assert_eq!(at_least(text, least), enough, "{text}");
        }
        assert_eq!(VersionText::parse("new"), None);
        assert_eq!(VersionText::parse("99999999999.1"), None);
    }
}
