//! The name of a device on the link: the common name of its certificate, its MQTT
//! client identifier, and the second segment of its topics, all three the same.
//!
//! Deliberately not here: what kind of thing the device is, and whom it belongs to.
//! Invariant: a `DeviceName` holds no character that means something in a topic filter.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const LENGTH: usize = 29;

/// Two lower-case letters, a hyphen, a ULID: `de-01JZ5W3N8Q4V7X2K9M6T1R0PAB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceName([u8; LENGTH]);

/// Why a text is no device name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a device name is two lower-case letters, a hyphen and a ULID, as in its certificate's common name"
)]
pub struct NotADeviceName;

impl DeviceName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only ASCII passes `from_str`")
    }
}

impl FromStr for DeviceName {
    type Err = NotADeviceName;

    fn from_str(text: &str) -> Result<Self, NotADeviceName> {
        let octets: [u8; LENGTH] = text.as_bytes().try_into().map_err(|_| NotADeviceName)?;
        let (prefix, ulid) = octets.split_at(3);
        let prefix_fits = prefix[..2].iter().all(u8::is_ascii_lowercase) && prefix[2] == b'-';
        // A ULID has 128 bits in 26 digits of 5: the first is at most 7.
        let ulid_fits = ulid[0] <= b'7' && ulid.iter().all(|digit| is_crockford(*digit));
        if prefix_fits && ulid_fits {
            Ok(Self(octets))
        } else {
            Err(NotADeviceName)
        }
    }
}

fn is_crockford(digit: u8) -> bool {
    matches!(digit, b'0'..=b'9' | b'A'..=b'H' | b'J' | b'K' | b'M' | b'N' | b'P'..=b'T' | b'V'..=b'Z')
}

impl fmt::Display for DeviceName {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.as_str())
    }
}

impl fmt::Debug for DeviceName {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.as_str())
    }
}

impl Serialize for DeviceName {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for DeviceName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let text = "de-01JZ5W3N8Q4V7X2K9M6T1R0PAB";
        assert_eq!(text.parse::<DeviceName>().expect("valid").to_string(), text);
    }

    #[test]
    fn what_could_mean_something_in_a_topic_is_no_name() {
        for text in [
            "",
            "de-",
            "de-01JZ5W3N8Q4V7X2K9M6T1R0PA",
            "de-01JZ5W3N8Q4V7X2K9M6T1R0PABB",
            "de-01JZ5W3N8Q4V7X2K9M6T1R0P/B",
            "de-01JZ5W3N8Q4V7X2K9M6T1R0P#B",
            "de-01JZ5W3N8Q4V7X2K9M6T1R0P+B",
            "de-01JZ5W3N8Q4V7X2K9M6T1R0Pab",
            "DE-01JZ5W3N8Q4V7X2K9M6T1R0PAB",
            "de-81JZ5W3N8Q4V7X2K9M6T1R0PAB",
            "de-01JZ5W3N8Q4V7X2K9M6T1R0PAU",
            "de-01JZ5W3N8Q4V7X2K9M6T1R0Pé",
            "de\u{0}01JZ5W3N8Q4V7X2K9M6T1R0PAB",
        ] {
            assert_eq!(text.parse::<DeviceName>(), Err(NotADeviceName), "{text:?}");
        }
    }
}
