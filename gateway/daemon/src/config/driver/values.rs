//! Single values of a driver's file: octets, ranges of numbers, names of events, commands and slots.

use legacy_protocols::coverage::{CommandKind, EventKind};
use legacy_protocols::number::Number;
use legacy_protocols::table::Slot;
use toml::de::DeValue;

use crate::config::problems::{Place, Problems};
use crate::config::section::Value;
use crate::config::values::text;

/// Octets as they are written: a text that stands for itself, or `hex:` and hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Octets(pub(crate) Vec<u8>);

/// From, to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NumberRange(pub(crate) Number, pub(crate) Number);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventName(pub(crate) EventKind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommandName(pub(crate) CommandKind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotName(pub(crate) Slot);

impl Value for Octets {
    const EXPECTED: &'static str =
        "a text of ASCII such as \"Ical \" or \"\\r\\n\", or octets such as \"hex:7E 01\"";

    fn from_toml(value: &DeValue<'_>, _: &Place, _: &mut Problems) -> Result<Self, String> {
        let text = text(value)?;
        let octets = match text.strip_prefix("hex:") {
            Some(digits) => from_hex(digits).ok_or("these are not pairs of hex digits")?,
            None if text.is_ascii() => text.as_bytes().to_vec(),
            None => return Err("not all of it is ASCII".to_owned()),
        };
        if octets.is_empty() {
            return Err("this is nothing; leave it out".to_owned());
        }
        Ok(Self(octets))
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks();
    rest.is_empty()
        .then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

impl Value for NumberRange {
    const EXPECTED: &'static str = "a range of call numbers such as \"100-199\", or one number";

    fn from_toml(value: &DeValue<'_>, _: &Place, _: &mut Problems) -> Result<Self, String> {
        let text = text(value)?;
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| Number::new(text.trim()).map_err(|error| error.to_string());
        Ok(Self(number(from)?, number(to)?))
    }
}

macro_rules! named {
    ($($type:ident, $kind:ty, $expected:literal;)+) => {$(
        impl Value for $type {
            const EXPECTED: &'static str = $expected;

            fn from_toml(value: &DeValue<'_>, _: &Place, _: &mut Problems) -> Result<Self, String> {
                let text = text(value)?;
                let found = <$kind>::named(text).map(Self);
                found.ok_or_else(|| match nearest(text, <$kind>::ALL.iter().map(|k| k.name())) {
                    Some(name) => format!("\"{text}\" is not known here; did you mean \"{name}\"?"),
                    None => format!("\"{text}\" is not known here"),
                })
            }
        }
    )+};
}

named! {
    EventName, EventKind, "an event such as \"station_state\"; docs/table-drivers.md lists them";
    CommandName, CommandKind, "a command such as \"call_setup\"; docs/table-drivers.md lists them";
    SlotName, Slot, "a slot such as \"station\"; docs/table-drivers.md lists them";
}

fn nearest(given: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    known
        .map(|name| (strsim::jaro_winkler(given, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
