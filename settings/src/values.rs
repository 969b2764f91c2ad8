//! Reading single TOML values: durations, addresses, port ranges, sizes, secrets, lists.
//!
//! Knows forms and ranges of single values, no rules between them. Invariant: a `Secret` shows
//! nothing of itself in Debug output or in an error text.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use model::Gain;
use toml::de::DeValue;

use crate::problems::{Place, Problems};
use crate::section::{Located, Value};

/// A password or a key: printed by nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one who has to compute with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

pub fn text<'a>(value: &'a DeValue<'_>) -> Result<&'a str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("this is {}, not a string", article(value)))
}

fn article(value: &DeValue<'_>) -> String {
    match value.type_str() {
        kind @ ("array" | "integer") => format!("an {kind}"),
        kind => format!("a {kind}"),
    }
}

fn parsed<T: std::str::FromStr>(value: &DeValue<'_>, what: &str) -> Result<T, String> {
    let text = text(value)?;
    text.parse()
        .map_err(|_| format!("\"{text}\" is not {what}"))
}

macro_rules! from_text {
    ($($type:ty, $what:literal, $expected:literal;)+) => {$(
        impl Value for $type {
            const EXPECTED: &'static str = $expected;

            fn from_toml(
                value: &DeValue<'_>,
                _: &Place,
                _: &mut Problems,
            ) -> Result<Self, String> {
                parsed(value, $what)
            }
        }
    )+};
}

from_text! {
    IpAddr, "an IP address", "an IP address such as \"192.0.2.10\" or \"2001:db8::1\"";
}

impl Value for String {
    const EXPECTED: &'static str = "a string in double quotes that is not empty";

    fn from_toml(value: &DeValue<'_>, _: &Place, _: &mut Problems) -> Result<Self, String> {
        match text(value)? {
            "" => Err("this is empty".into()),
            text => Ok(text.to_owned()),
        }
    }
}

impl Value for Secret {
    const EXPECTED: &'static str = "a string in double quotes that is not empty";

    fn from_toml(
        value: &DeValue<'_>,
        place: &Place,
        problems: &mut Problems,
    ) -> Result<Self, String> {
        String::from_toml(value, place, problems).map(Secret)
    }
}

impl Value for PathBuf {
    const EXPECTED: &'static str = "a file name in double quotes";

    fn from_toml(
        value: &DeValue<'_>,
        place: &Place,
        problems: &mut Problems,
    ) -> Result<Self, String> {
        String::from_toml(value, place, problems).map(Self::from)
    }
}

impl Value for bool {
    const EXPECTED: &'static str = "true or false, without quotes";

    fn from_toml(value: &DeValue<'_>, _: &Place, _: &mut Problems) -> Result<Self, String> {
        value
            .as_bool()
            .ok_or_else(|| format!("this is {}, not true or false", article(value)))
    }
}

/// How much louder something is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decibels(pub Gain);

impl Value for Decibels {
    const EXPECTED: &'static str = "a whole number of dB without quotes";

    fn from_toml(value: &DeValue<'_>, _: &Place, _: &mut Problems) -> Result<Self, String> {
        let number = value
            .as_integer()
            .ok_or_else(|| format!("this is {}, not a whole number", article(value)))?;
        let db = i64::from_str_radix(number.as_str(), number.radix());
        let gain = Gain::from_db(db.unwrap_or(i64::MAX));
        gain.map(Self).map_err(|_| {
            let bounds = (Gain::LEAST_DB, Gain::MOST_DB);
            format!(
                "{number} dB is not between {} and {} dB",
                bounds.0, bounds.1
            )
        })
    }
}

/// A whole number between two bounds, which are part of its type so that the remedy names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<const MIN: u64, const MAX: u64>(pub u64);

impl<const MIN: u64, const MAX: u64> Value for Whole<MIN, MAX> {
    const EXPECTED: &'static str = "a whole number without quotes";

    fn from_toml(value: &DeValue<'_>, _: &Place, _: &mut Problems) -> Result<Self, String> {
        let number = value
            .as_integer()
            .ok_or_else(|| format!("this is {}, not a whole number", article(value)))?;
        u64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|n| (MIN..=MAX).contains(n))
            .map(Self)
            .ok_or_else(|| format!("{number} is not between {MIN} and {MAX}"))
    }
}

impl Value for Duration {
    const EXPECTED: &'static str =
        "a duration such as \"500ms\", \"30s\", \"10m\", \"2h\" or \"180d\"";

    fn from_toml(value: &DeValue<'_>, _: &Place, _: &mut Problems) -> Result<Self, String> {
        let text = text(value)?;
        duration(text).ok_or_else(|| format!("\"{text}\" is not a duration"))
    }
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let milliseconds = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

/// A duration as it would be written in the configuration.
pub fn written(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    for (unit, size) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ] {
        if milliseconds > 0 && milliseconds.is_multiple_of(size) {
            return format!("{}{unit}", milliseconds / size);
        }
    }
    format!("{milliseconds}ms")
}

/// A time zone of the tz database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeZoneName(pub jiff::tz::TimeZone);

/// Ports for media, first and last, as `"10000-50000"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRange(pub RangeInclusive<u16>);

impl Value for PortRange {
    const EXPECTED: &'static str = "first and last port, such as \"10000-50000\"";

    fn from_toml(value: &DeValue<'_>, _: &Place, _: &mut Problems) -> Result<Self, String> {
        let text = text(value)?;
        let ports = text
            .split_once('-')
            .and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        match ports {
            Some((first, last)) if first <= last && first > 0 => Ok(Self(first..=last)),
            Some(_) => Err(format!("\"{text}\" holds no port")),
            None => Err(format!("\"{text}\" is not a range of ports")),
        }
    }
}

impl Value for SocketAddr {
    const EXPECTED: &'static str = "an address with a port, such as \"0.0.0.0:5060\", \
         \"[2001:db8::1]:5060\" or \"[fe80::1%eth0]:5060\"";

    fn from_toml(value: &DeValue<'_>, _: &Place, _: &mut Problems) -> Result<Self, String> {
        let text = text(value)?;
        if let Ok(address) = text.parse() {
            return Ok(address);
        }
        match scoped(text) {
            Some((address, port, zone)) => {
                let scope = nix::net::if_::if_nametoindex(zone)
                    .map_err(|_| format!("there is no network interface \"{zone}\" here"))?;
                Ok(SocketAddrV6::new(address, port, 0, scope).into())
            }
            None => Err(format!("\"{text}\" is not an address with a port")),
        }
    }
}

/// The parts of `[fe80::1%eth0]:5060`: an interface is named, as the standard library cannot read.
fn scoped(text: &str) -> Option<(Ipv6Addr, u16, &str)> {
    let (inside, port) = text.strip_prefix('[')?.rsplit_once("]:")?;
    let (address, zone) = inside.split_once('%')?;
    Some((address.parse().ok()?, port.parse().ok()?, zone))
}

impl<T: Value> Value for Vec<Located<T>> {
    const EXPECTED: &'static str = "a list in [brackets]";

    fn from_toml(
        value: &DeValue<'_>,
        place: &Place,
        problems: &mut Problems,
    ) -> Result<Self, String> {
        let entries = value
            .as_array()
            .ok_or_else(|| format!("this is {}, not a list", article(value)))?;
        let mut values = Self::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let place = place.entry(entry.span().start, index);
            match T::from_toml(entry.get_ref(), &place, problems) {
                Ok(value) => values.push(Located { value, place }),
                Err(what) => problems.report(&place, what, format!("write {}", T::EXPECTED)),
            }
        }
        Ok(values)
    }
}

/// Declares an enum that is written as one of a few words.
#[macro_export]
macro_rules! words {
    (
        $(#[doc = $about:literal])+
        $visibility:vis enum $Name:ident {
            $( $(#[doc = $doc:literal])+ $variant:ident = $word:literal, )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $visibility enum $Name {
            $( $(#[doc = $doc])+ $variant, )+
        }

        impl $crate::section::Value for $Name {
            const EXPECTED: &'static str = concat!("one of", $(" \"", $word, "\""),+);

            fn from_toml(
                value: &toml::de::DeValue<'_>,
                _: &$crate::problems::Place,
                _: &mut $crate::problems::Problems,
            ) -> Result<Self, String> {
                match value.as_str() {
                    $( Some($word) => Ok(Self::$variant), )+
                    Some(other) => Err(format!("\"{other}\" is not known here")),
                    None => Err(format!("this is a {}, not a string", value.type_str())),
                }
            }
        }
    };
}
pub use crate::words;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_do_not_overflow() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("10m"), Some(Duration::from_secs(600)));
        assert_eq!(duration("180d"), Some(Duration::from_secs(180 * 86_400)));
        for wrong in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "10 s",
            "99999999999999999999s",
        ] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        assert_eq!(duration("18446744073709551615d"), None);
        for text in ["500ms", "90s", "10m", "25h", "180d", "0ms"] {
            assert_eq!(written(duration(text).unwrap()), text);
        }
    }

    #[test]
    fn a_link_local_address_keeps_its_interface() {
        let (address, port, zone) = scoped("[fe80::1%lo]:5060").expect("well formed");
        assert_eq!(
            (address.to_string().as_str(), port, zone),
            ("fe80::1", 5060, "lo")
        );
        assert_eq!(scoped("[fe80::1]:5060"), None);
        assert_eq!(scoped("fe80::1%lo:5060"), None);
    }

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        assert_eq!(format!("{:?}", Secret::new("tiger")), "Secret(redacted)");
    }
}
