//! Reading the words of the domain: numbers, addresses, schedules, time zones.
//!
//! The rules are those of `model`; here stands only how they are written in TOML.

use model::{Address, CallNumber, DateRange, DayPeriod, DoorCode, HttpUrl, SipUri, Site, Weekdays};
use toml::de::DeValue;

use crate::problems::{Place, Problems};
use crate::section::Value;
use crate::values::{TimeZoneName, text};

macro_rules! by_parser {
    ($($type:ty, $parse:expr, $expected:literal;)+) => {$(
        impl Value for $type {
            const EXPECTED: &'static str = $expected;

            fn from_toml(
                value: &DeValue<'_>,
                _: &Place,
                _: &mut Problems,
            ) -> Result<Self, String> {
                $parse(text(value)?)
            }
        }
    )+};
}

by_parser! {
    CallNumber, |text| CallNumber::parse(text).map_err(say), "1 to 8 digits in double quotes";
    SipUri, |text| SipUri::parse(text).map_err(say), "an address such as \"sip:101@192.0.2.7\"";
    HttpUrl, |text| HttpUrl::parse(text).map_err(say), "a URL such as \"http://192.0.2.7/open\"";
    DoorCode, |text| DoorCode::parse(text).map_err(say), "telephone keys such as \"#1\"";
    Weekdays, |text| Weekdays::parse(text).map_err(say), "days such as \"mon-fri\" or \"sat,sun\"";
    Address, address,
        "a call number such as \"101\" or an address such as \"sip:101@192.0.2.7\"";
    DateRange, dates, "first and last day such as \"2026-12-24/2027-01-06\"";
    DayPeriod, hours, "begin and end such as \"22:00-06:00\"";
    TimeZoneName, time_zone, "a name of the tz database such as \"Europe/Vienna\"";
}

fn say(error: impl std::error::Error) -> String {
    error.to_string()
}

fn address(text: &str) -> Result<Address, String> {
    // Numbers have digits only, URIs begin with a scheme: neither looks like the other.
    if text.contains(':') {
        SipUri::parse(text).map(Address::Sip).map_err(say)
    } else {
        CallNumber::parse(text).map(Address::Local).map_err(say)
    }
}

fn dates(text: &str) -> Result<DateRange, String> {
    let (first, last) = text.split_once('/').unwrap_or((text, text));
    DateRange::parse(first.trim(), last.trim()).map_err(say)
}

fn hours(text: &str) -> Result<DayPeriod, String> {
    let Some((from, until)) = text.split_once('-') else {
        return Err(format!("\"{text}\" has no begin and end"));
    };
    DayPeriod::parse(from.trim(), until.trim()).map_err(say)
}

fn time_zone(text: &str) -> Result<TimeZoneName, String> {
    let site = Site::in_zone(text).map_err(say)?;
    Ok(TimeZoneName(site.zone))
}
