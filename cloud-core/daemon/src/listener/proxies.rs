//! Whom a proxy speaks for.
//!
//! Only the proxies that are named in the configuration are believed, and only the one header that
//! is named there: a proxy passes on what it does not know, so a second header could be anybody's.
//! Entries are read from the end, as each proxy adds its own there; the first address that is no
//! proxy of ours is who asks. Invariant: what somebody else writes into a header never counts.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};
use settings::problems::{Place, Problems};
use settings::section::Value;
use settings::values::text;
use toml::de::DeValue;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// More proxies than this, one behind the other, are not followed.
const LONGEST_WAY: usize = 16;

/// The proxies that are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proxies {
    pub(crate) trusted: Vec<Network>,
    pub(crate) header: ProxyHeader,
}

/// Where proxies write whom they speak for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ProxyHeader {
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// An address, or a block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    first: u128,
    prefix: u32,
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        let ours = self.first.checked_shr(128 - self.prefix);
        bits(address).checked_shr(128 - self.prefix) == ours
    }

    /// `10.0.0.1`, `10.0.0.0/8` or `2001:db8::/32`.
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (longest, before) = match address {
            IpAddr::V4(_) => (32, 96),
            IpAddr::V6(_) => (128, 0),
        };
        let prefix: u32 = match prefix {
            Some(prefix) => prefix.parse().ok()?,
            None => longest,
        };
        (1..=longest).contains(&prefix).then(|| Self {
            first: bits(address),
            prefix: prefix + before,
        })
    }
}

/// Every address as one of IPv6 (RFC 4291 2.5.5.2).
fn bits(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl Value for Network {
    const EXPECTED: &'static str =
        "an address or a block of addresses such as \"192.0.2.10\" or \"10.0.0.0/8\"";

    fn from_toml(value: &DeValue<'_>, _: &Place, _: &mut Problems) -> Result<Self, String> {
        let text = text(value)?;
        Self::parse(text).ok_or_else(|| format!("\"{text}\" is no address and no block of them"))
    }
}

impl Proxies {
    pub(super) fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// Who asks, by a connection from `from`.
    pub(super) fn client(&self, from: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        if !self.is_trusted(from.ip()) {
            return from;
        }
        let name = match self.header {
            ProxyHeader::XForwardedFor => X_FORWARDED_FOR,
            ProxyHeader::Forwarded => FORWARDED,
        };
        let lines = headers.get_all(name).iter().rev();
        let entries = lines.flat_map(|line| line.to_str().unwrap_or("").rsplit(','));
        let mut client = from;
        for entry in entries.take(LONGEST_WAY) {
            let Some(next) = self.address(entry.trim()) else {
                // Hidden or unreadable: the proxy that wrote it is as far as can be known.
                break;
            };
            client = SocketAddr::new(next, 0);
            if !self.is_trusted(next) {
                break;
            }
        }
        client
    }

    fn address(&self, entry: &str) -> Option<IpAddr> {
        match self.header {
            ProxyHeader::XForwardedFor => node(entry),
            ProxyHeader::Forwarded => {
                let pairs = entry.split(';').filter_map(|pair| pair.split_once('='));
                let (_, value) = pairs
                    .map(|(name, value)| (name.trim(), value.trim()))
                    .find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
                let bare = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
                node(bare.unwrap_or(value))
            }
        }
    }
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
fn node(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    let inside = text.strip_prefix('[')?.strip_suffix(']')?;
    inside.parse().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn proxies(header: ProxyHeader, trusted: &[&str]) -> Proxies {
        let trusted = trusted.iter().map(|text| Network::parse(text).unwrap());
        Proxies {
            trusted: trusted.collect(),
            header,
        }
    }

    #[track_caller]
    fn check(proxies: &Proxies, from: &str, lines: &[(&'static str, &str)], client: &str) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let from = SocketAddr::new(from.parse().unwrap(), 5);
        let found = proxies.client(from, &headers).ip();
        assert_eq!(found, client.parse::<IpAddr>().unwrap(), "{lines:?}");
    }

    #[test]
    fn g6_only_a_trusted_proxy_says_whom_it_speaks_for() {
        let ours = proxies(ProxyHeader::XForwardedFor, &["10.0.0.0/8", "2001:db8::1"]);
        let forged = [("x-forwarded-for", "203.0.113.9")];
        check(&ours, "198.51.100.1", &forged, "198.51.100.1");
        check(&ours, "10.1.2.3", &forged, "203.0.113.9");
        check(&ours, "::ffff:10.1.2.3", &forged, "203.0.113.9");
        check(&ours, "2001:db8::1", &forged, "203.0.113.9");
        check(&ours, "2001:db8::2", &forged, "2001:db8::2");
        check(&ours, "10.1.2.3", &[], "10.1.2.3");
        check(&Proxies::default(), "127.0.0.1", &forged, "127.0.0.1");
    }

    #[test]
    fn g6_what_the_client_wrote_itself_does_not_count() {
        let ours = proxies(ProxyHeader::XForwardedFor, &["10.0.0.0/8"]);
        for lines in [
            vec![("x-forwarded-for", "192.0.2.66, 203.0.113.9")],
            vec![("x-forwarded-for", "192.0.2.66, 203.0.113.9, 10.0.0.7")],
            vec![
                ("x-forwarded-for", "192.0.2.66"),
                ("x-forwarded-for", "203.0.113.9:80"),
            ],
            vec![
                ("x-forwarded-for", "203.0.113.9"),
                ("forwarded", "for=192.0.2.66"),
            ],
            vec![("x-forwarded-for", "garbage, 203.0.113.9")],
        ] {
            check(&ours, "10.1.2.3", &lines, "203.0.113.9");
        }
        for unreadable in ["", "unknown", "203.0.113.9, unknown", "203.0.113.9,\t,"] {
            check(
                &ours,
                "10.1.2.3",
                &[("x-forwarded-for", unreadable)],
                "10.1.2.3",
            );
        }
        let far = vec!["10.0.0.1"; 40].join(",");
        check(&ours, "10.1.2.3", &[("x-forwarded-for", &far)], "10.0.0.1");
    }

    #[test]
    fn the_standard_header_is_read_where_it_is_named() {
        let ours = proxies(ProxyHeader::Forwarded, &["10.0.0.0/8"]);
        for (text, client) in [
            ("for=203.0.113.9", "203.0.113.9"),
            (
                "For=\"[2001:db8:cafe::17]:4711\";proto=https",
                "2001:db8:cafe::17",
            ),
            ("proto=http; for=\"[2001:db8::9]\"", "2001:db8::9"),
            (
                "for=192.0.2.66, for=203.0.113.9;by=10.1.1.1, for=10.0.0.7",
                "203.0.113.9",
            ),
            ("for=203.0.113.9, for=_hidden", "10.1.2.3"),
            ("by=203.0.113.9", "10.1.2.3"),
        ] {
            check(&ours, "10.1.2.3", &[("forwarded", text)], client);
        }
        let other = [("x-forwarded-for", "203.0.113.9")];
        check(&ours, "10.1.2.3", &other, "10.1.2.3");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/0",
            "10.0.0.0/33",
            "2001:db8::/129",
            "host",
            "10.0.0.0/x",
        ] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
