//! Hosts: names, IPv4 and IPv6 literals, with the zone of a link-local address.
//!
//! Nothing is resolved here. Invariant: a [`Host`] can be written into a URI or a Via as it is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The host of a URI or of a Via's sent-by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    Name(HostName),
    V4(Ipv4Addr),
    /// `zone` names the interface of a link-local address (`fe80::1%eth0`). It means something on
    /// this machine only: [`Host::without_zone`] before a message leaves for a peer.
    V6 {
        addr: Ipv6Addr,
        zone: Option<Zone>,
    },
}

/// A host name as written: letters, digits, `-`, `_`, `.`. Only [`Host::parse`] makes one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HostName(Box<str>);

/// The name or index of an interface. Only [`Host::parse`] makes one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Zone(Box<str>);

/// A host still lying in the text it was read from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostRef<'a> {
    Name(&'a str),
    V4(Ipv4Addr),
    V6 {
        addr: Ipv6Addr,
        zone: Option<&'a str>,
    },
}

impl Host {
    /// Reads a host as it stands in a URI: IPv6 in brackets, with or without `%zone` or `%25zone`.
    pub fn parse(text: &str) -> Option<Self> {
        HostRef::parse(text).map(Into::into)
    }

    /// Reads a host where brackets are optional, as devices write `received=` (RFC 5118 4.5).
    pub fn parse_lenient(text: &str) -> Option<Self> {
        let host = HostRef::parse(text).or_else(|| HostRef::parse_v6(text));
        host.map(Into::into)
    }

    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(addr) => Some((*addr).into()),
            Self::V6 { addr, .. } => Some((*addr).into()),
        }
    }

    pub fn zone(&self) -> Option<&str> {
        match self {
            Self::Name(_) | Self::V4(_) => None,
            Self::V6 { zone, .. } => zone.as_ref().map(Zone::as_str),
        }
    }

    /// The same host as another machine may see it.
    #[must_use]
    pub fn without_zone(self) -> Self {
        match self {
            Self::V6 { addr, .. } => Self::V6 { addr, zone: None },
            Self::Name(_) | Self::V4(_) => self,
        }
    }

    /// Names compare without case (RFC 3261 19.1.4), addresses by value (RFC 5118 4.9).
    pub fn equivalent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.as_str().eq_ignore_ascii_case(b.as_str()),
            _ => self == other,
        }
    }
}

impl HostName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Zone {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'a> HostRef<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        if let Some(inside) = text.strip_prefix('[') {
            return Self::parse_v6(inside.strip_suffix(']')?);
        }
        // A name may start with digits (`3com.example`), so only a full dotted quad is an address.
        if text.starts_with(|c: char| c.is_ascii_digit())
            && let Ok(addr) = text.parse()
        {
            return Some(Self::V4(addr));
        }
        let name_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        (!text.is_empty() && text.bytes().all(name_byte)).then_some(Self::Name(text))
    }

    fn parse_v6(text: &'a str) -> Option<Self> {
        let Some((addr, zone)) = text.split_once('%') else {
            return Some(Self::V6 {
                addr: v6_address(text)?,
                zone: None,
            });
        };
        // RFC 6874 2 escapes the separator as `%25`; SIP has never asked for it.
        let zone = zone
            .strip_prefix("25")
            .filter(|z| !z.is_empty())
            .unwrap_or(zone);
        let zone_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        (!zone.is_empty() && zone.bytes().all(zone_byte)).then(|| {
            Some(Self::V6 {
                addr: v6_address(addr)?,
                zone: Some(zone),
            })
        })?
    }
}

/// With the tolerance of RFC 5118 4.10: the grammar of RFC 3261 lets a third colon stand before an
/// embedded IPv4 address.
fn v6_address(text: &str) -> Option<Ipv6Addr> {
    text.parse().ok().or_else(|| {
        let (left, right) = text.split_once(":::")?;
        right.parse::<Ipv4Addr>().ok()?;
        format!("{left}::{right}").parse().ok()
    })
}

impl From<HostRef<'_>> for Host {
    fn from(host: HostRef<'_>) -> Self {
        match host {
            HostRef::Name(name) => Self::Name(HostName(name.into())),
            HostRef::V4(addr) => Self::V4(addr),
            HostRef::V6 { addr, zone } => Self::V6 {
                addr,
                zone: zone.map(|z| Zone(z.into())),
            },
        }
    }
}

impl From<IpAddr> for Host {
    fn from(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(addr) => Self::V4(addr),
            IpAddr::V6(addr) => Self::V6 { addr, zone: None },
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(HostName(name)) => f.write_str(name),
            Self::V4(addr) => addr.fmt(f),
            Self::V6 { addr, zone: None } => write!(f, "[{addr}]"),
            Self::V6 {
                addr,
                zone: Some(Zone(zone)),
            } => write!(f, "[{addr}%{zone}]"),
        }
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_addresses_and_zones_are_told_apart() {
        let kind = |text| match Host::parse(text) {
            Some(Host::Name(_)) => "name",
            Some(Host::V4(_)) => "v4",
            Some(Host::V6 { zone: None, .. }) => "v6",
            Some(Host::V6 { zone: Some(_), .. }) => "scoped",
            None => "none",
        };
        let judged = [
            ("pbx.example.com", "name"),
            ("my_pbx", "name"),
            ("3com.example", "name"),
            ("1.2.3", "name"),
            ("192.0.2.1", "v4"),
            ("[2001:db8::1]", "v6"),
            ("[fe80::1%eth0]", "scoped"),
            ("[fe80::1%25eth0]", "scoped"),
            ("[fe80::1%25]", "scoped"),
            ("[fe80::1%]", "none"),
            ("[fe80::1%et h]", "none"),
            ("[2001:db8::1", "none"),
            ("2001:db8::1", "none"),
            ("[]", "none"),
            ("[192.0.2.1]", "none"),
            ("", "none"),
            ("a b", "none"),
            ("a/b", "none"),
        ];
        for (text, expected) in judged {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    #[test]
    fn a_zone_is_written_plain_and_can_be_dropped() {
        let host = Host::parse("[fe80::1%25eth0]").unwrap();
        assert_eq!(host.zone(), Some("eth0"));
        assert_eq!(host.to_string(), "[fe80::1%eth0]");
        assert_eq!(host.without_zone().to_string(), "[fe80::1]");
    }
}
