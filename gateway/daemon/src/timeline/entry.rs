//! One entry of the timeline, as it stands in the file: a line of JSON.
//!
//! The names here are a format that outlives versions: fields are added, never renamed, and a
//! reader passes over what it does not know. Octets stand as text where they are text, else as hex.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Something that came, left or happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Counted from 1, also over restarts.
    pub(crate) entry: u64,
    pub(crate) time: Time,
    /// The entry of what caused this, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) because: Option<u64>,
    #[serde(flatten)]
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum What {
    /// A SIP message, whole.
    Sip(SipMessage),
    /// What travelled on a line to an older intercom server.
    Frame(Frame),
    /// Which SIP dialog a leg of a call is.
    Leg(LegNamed),
    /// What the gateway made of it, and what it did.
    Event(Happened),
    /// Entries that should stand here and do not.
    Gap(Gap),
    /// Written by a later version.
    #[serde(other)]
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Way {
    In,
    Out,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SipMessage {
    pub(crate) way: Way,
    pub(crate) transport: Transport,
    pub(crate) source: SocketAddr,
    pub(crate) target: SocketAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) call_id: Option<String>,
    /// Why it did not leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) not_sent: Option<String>,
    #[serde(flatten)]
    pub(crate) octets: Octets,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Transport {
    Udp,
    Tcp,
    Tls,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Frame {
    /// The line's name in the configuration.
    pub(crate) line: String,
    /// What is spoken on it: `open_link`, `acdp`, `isdn`, `table`.
    pub(crate) protocol: String,
    pub(crate) way: Way,
    #[serde(flatten)]
    pub(crate) octets: Octets,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LegNamed {
    pub(crate) leg: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) call: Option<u64>,
    /// The Call-ID of its SIP dialog.
    pub(crate) call_id: String,
}

/// An event in neutral words. What has a name of its own here can be searched for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Happened {
    pub(crate) event: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) call: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) leg: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<u64>,
    /// Call numbers of the stations concerned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) stations: Vec<String>,
    /// The door's key in the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) door: Option<String>,
    /// The id of the door command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) details: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gap {
    /// How many entries are not there.
    pub(crate) missed: u64,
    pub(crate) why: String,
}

/// Why entries are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    /// More came than the writer could take.
    Behind,
    /// One sender sent more than is kept of one sender.
    Flood,
    /// The disk failed.
    Disk,
}

impl Missed {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Behind => "more came than could be written",
            Self::Flood => "one sender sent more than is kept of one",
            Self::Disk => "the disk failed",
        }
    }
}

/// What was on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Octets {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hex: Option<String>,
    /// How many there were, where not all are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cut_from: Option<usize>,
    /// What was replaced by marks of the same length, because it is secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) masked: Vec<String>,
}

impl Octets {
    pub(crate) fn new(octets: Vec<u8>, masked: Vec<String>) -> Self {
        let readable = |text: &str| {
            !text
                .bytes()
                .any(|byte| byte.is_ascii_control() && !matches!(byte, b'\r' | b'\n' | b'\t'))
        };
        match String::from_utf8(octets) {
            Ok(text) if readable(&text) => Self {
                text: Some(text),
                masked,
                ..Self::default()
            },
            Ok(text) => Self::hex(text.as_bytes(), masked),
            Err(error) => Self::hex(error.as_bytes(), masked),
        }
    }

    pub(crate) fn hex(octets: &[u8], masked: Vec<String>) -> Self {
        Self {
            hex: Some(hex(octets)),
            masked,
            ..Self::default()
        }
    }

    /// Nothing if a damaged entry holds no hex.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        match (&self.text, &self.hex) {
            (Some(text), _) => Some(text.as_bytes().to_vec()),
            (None, Some(hex)) => unhex(hex),
            (None, None) => Some(Vec::new()),
        }
    }
}

pub(crate) fn hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(octets.len() * 2);
    for octet in octets {
        text.push(char::from(DIGITS[usize::from(octet >> 4)]));
        text.push(char::from(DIGITS[usize::from(octet & 15)]));
    }
    text
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        let digit = char::from(byte).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

/// Microseconds since 1970, UTC; RFC 3339 in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(pub(crate) i64);

impl Time {
    pub(crate) fn now() -> Self {
        let since_1970 = std::time::SystemTime::now()
            .duration_since(std::time::SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let time: jiff::Timestamp = text.parse().ok()?;
        Some(Self(time.as_microsecond()))
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time:.6}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("this is no time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_back_as_it_was_written_and_is_plain_to_read() {
        let entry = Entry {
            entry: 7,
            time: Time(1_795_279_500_000_001),
            because: Some(6),
            what: What::Sip(SipMessage {
                way: Way::Out,
                transport: Transport::Udp,
                source: "192.0.2.1:5060".parse().unwrap(),
                target: "[fe80::1%2]:5060".parse().unwrap(),
                call_id: Some("abc".to_owned()),
                not_sent: None,
                octets: Octets::new(b"BYE\r\n".to_vec(), Vec::new()),
            }),
        };
        let line = serde_json::to_string(&entry).unwrap();
        assert_eq!(
            line,
            r#"{"entry":7,"time":"2026-11-21T16:45:00.000001Z","because":6,"kind":"sip","way":"out","transport":"udp","source":"192.0.2.1:5060","target":"[fe80::1%2]:5060","call_id":"abc","text":"BYE\r\n"}"#
        );
        assert_eq!(serde_json::from_str::<Entry>(&line).unwrap(), entry);
    }

    #[test]
    fn what_a_later_version_wrote_is_still_an_entry() {
        let line = r#"{"entry":8,"time":"2026-11-21T16:45:00Z","kind":"smell","of":"roses"}"#;
        let entry: Entry = serde_json::from_str(line).unwrap();
        assert_eq!((entry.entry, entry.what), (8, What::Unknown));
    }

    #[test]
    fn octets_are_text_where_they_are_and_come_back_as_they_were() {
        for octets in [&b"plain\r\n"[..], b"\x7e\x00\x01", b"\xff\xfe", b""] {
            let kept = Octets::new(octets.to_vec(), Vec::new());
            assert_eq!(kept.bytes().as_deref(), Some(octets));
        }
        assert_eq!(unhex("7e0"), None);
        assert_eq!(unhex("zz"), None);
    }
}
