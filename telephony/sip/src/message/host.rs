//! Hosts: names, IPv4 and IPv6 literals, with the zone of a link-local address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The host of a URI or of a Via's sent-by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    Name(Box<str>),
    V4(Ipv4Addr),
    /// `zone` names the interface of a link-local address (`fe80::1%eth0`). It means something on
    /// this machine only: [`Host::without_zone`] before a message leaves for a peer.
    V6 {
        addr: Ipv6Addr,
        zone: Option<Box<str>>,
    },
}

impl Host {
    /// Reads a host as it stands in a URI: IPv6 in brackets, with or without `%zone` or `%25zone`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(inside) = text.strip_prefix('[') {
            return Self::parse_v6(inside.strip_suffix(']')?);
        }
        // A name may start with digits (`3com.example`), so only a full dotted quad is an address.
        if let Ok(addr) = text.parse::<Ipv4Addr>() {
            return Some(Self::V4(addr));
        }
        let name_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        (!text.is_empty() && text.bytes().all(name_byte)).then(|| Self::Name(text.into()))
    }

    /// Reads a host where brackets are optional, as devices write `received=` (RFC 5118 4.5).
    pub fn parse_lenient(text: &str) -> Option<Self> {
        Self::parse(text).or_else(|| Self::parse_v6(text))
    }

    fn parse_v6(text: &str) -> Option<Self> {
        let (addr, zone) = match text.split_once('%') {
            Some((addr, zone)) => (
                addr,
                Some(
                    zone.strip_prefix("25")
                        .filter(|z| !z.is_empty())
                        .unwrap_or(zone),
                ),
            ),
            None => (text, None),
        };
        let zone_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        if zone.is_some_and(|z| z.is_empty() || !z.bytes().all(zone_byte)) {
            return None;
        }
        Some(Self::V6 {
            addr: addr.parse().ok()?,
            zone: zone.map(Into::into),
        })
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
            Self::V6 { zone, .. } => zone.as_deref(),
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

    /// Equality of RFC 3261 19.1.4: names without case; of RFC 5118 4.1: addresses by value.
    pub fn equivalent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            _ => self == other,
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
            Self::Name(name) => f.write_str(name),
            Self::V4(addr) => addr.fmt(f),
            Self::V6 { addr, zone: None } => write!(f, "[{addr}]"),
            Self::V6 {
                addr,
                zone: Some(zone),
            } => write!(f, "[{addr}%{zone}]"),
        }
    }
}
