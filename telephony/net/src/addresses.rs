//! Addresses of this host: how they are written, which there are, and which one a peer sees.
//!
//! A link-local IPv6 address means something only together with its link (RFC 4007), so it never
//! travels here without a zone or scope id.

use std::fmt;
use std::io;
use std::net::{AddrParseError, IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::num::ParseIntError;
use std::str::FromStr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use thiserror::Error;

/// An address and port as people write it: `192.0.2.1:5060`, `[2001:db8::1]:5060`,
/// `[fe80::1%eth0]:5060`. The zone is kept as a name, for interfaces come and go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListenAddress {
    ip: IpAddr,
    zone: Option<String>,
    port: u16,
}

#[derive(Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    #[error("the port is missing: write ADDRESS:PORT, and IPv6 addresses as [ADDRESS]:PORT")]
    NoPort,
    #[error("the port is not a number from 0 to 65535")]
    Port(#[source] ParseIntError),
    #[error("IPv6 addresses stand in brackets: [ADDRESS]:PORT")]
    Brackets,
    #[error("{0:?} is not an IP address; names are not looked up here")]
    Ip(String, #[source] AddrParseError),
    #[error("a link-local address needs its interface: write [{0}%eth0]:PORT")]
    NoZone(Ipv6Addr),
    #[error("only a link-local address can have an interface: write {0} without %")]
    Zone(IpAddr),
    #[error("this host has no interface called {0:?}")]
    NoInterface(String),
}

impl FromStr for ListenAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (host, port) = text.rsplit_once(':').ok_or(AddressError::NoPort)?;
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        if bare.is_none() && host.contains(':') {
            return Err(AddressError::Brackets);
        }
        let (ip, zone) = match bare.unwrap_or(host).split_once('%') {
            Some((ip, zone)) => (ip, Some(zone.to_owned())),
            None => (bare.unwrap_or(host), None),
        };
        let ip: IpAddr = ip
            .parse()
            .map_err(|error| AddressError::Ip(ip.to_owned(), error))?;
        if bare.is_some() != ip.is_ipv6() {
            return Err(AddressError::Brackets);
        }
        match (ip, &zone) {
            (IpAddr::V6(ip), None) if ip.is_unicast_link_local() => {
                return Err(AddressError::NoZone(ip));
            }
            (IpAddr::V6(ip), Some(_)) if ip.is_unicast_link_local() => {}
            (_, Some(_)) => return Err(AddressError::Zone(ip)),
            (_, None) => {}
        }
        let port = port.parse().map_err(AddressError::Port)?;
        Ok(Self { ip, zone, port })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ip, zone, port } = self;
        match (ip, zone) {
            (IpAddr::V4(ip), _) => write!(f, "{ip}:{port}"),
            (IpAddr::V6(ip), None) => write!(f, "[{ip}]:{port}"),
            (IpAddr::V6(ip), Some(zone)) => write!(f, "[{ip}%{zone}]:{port}"),
        }
    }
}

impl ListenAddress {
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address with the present scope id of its zone, which may be an interface's name or
    /// number.
    pub fn resolve(&self) -> Result<SocketAddr, AddressError> {
        let IpAddr::V6(ip) = self.ip else {
            return Ok(SocketAddr::new(self.ip, self.port));
        };
        let scope = match &self.zone {
            None => 0,
            Some(zone) => match zone.parse() {
                Ok(index) => index,
                Err(_) => if_nametoindex(zone.as_str())
                    .map_err(|_| AddressError::NoInterface(zone.clone()))?,
            },
        };
        Ok(SocketAddrV6::new(ip, self.port, 0, scope).into())
    }
}

/// An address of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    pub interface: String,
    /// Port 0; link-local addresses carry their scope id.
    pub address: SocketAddr,
    pub is_up: bool,
    pub is_loopback: bool,
}

/// All IPv4 and IPv6 addresses of this host at this moment.
pub fn interfaces() -> io::Result<Vec<InterfaceAddress>> {
    let mut found = Vec::new();
    for entry in getifaddrs()? {
        let Some(storage) = entry.address else {
            continue;
        };
        let address = if let Some(ipv4) = storage.as_sockaddr_in() {
            SocketAddr::new(ipv4.ip().into(), 0)
        } else if let Some(ipv6) = storage.as_sockaddr_in6() {
            SocketAddrV6::new(ipv6.ip(), 0, 0, ipv6.scope_id()).into()
        } else {
            continue;
        };
        found.push(InterfaceAddress {
            interface: entry.interface_name,
            address,
            is_up: entry.flags.contains(InterfaceFlags::IFF_UP),
            is_loopback: entry.flags.contains(InterfaceFlags::IFF_LOOPBACK),
        });
    }
    Ok(found)
}

/// The address of this host that `peer` sees, by the routing table of this moment; port 0. Sends
/// nothing.
pub fn towards(peer: SocketAddr) -> io::Result<SocketAddr> {
    let any: IpAddr = if peer.is_ipv4() {
        std::net::Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let probe = UdpSocket::bind(SocketAddr::new(any, 0))?;
    // Port 0 is no destination; any other asks for the same route.
    let mut peer = peer;
    peer.set_port(peer.port().max(1));
    probe.connect(peer)?;
    let mut local = probe.local_addr()?;
    local.set_port(0);
    Ok(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for text in [
            "192.0.2.1:5060",
            "0.0.0.0:0",
            "[2001:db8::1]:5061",
            "[::]:5060",
            "[fe80::1%eth0]:5060",
            "[fe80::1%3]:5060",
        ] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn a_wrong_address_is_refused_with_a_remedy() {
        let refusal = |text: &str| text.parse::<ListenAddress>().unwrap_err().to_string();
        assert!(refusal("192.0.2.1").contains("port is missing"));
        assert!(refusal("192.0.2.1:sip").contains("not a number"));
        assert!(refusal("192.0.2.1:70000").contains("not a number"));
        assert!(refusal("fe80::1:5060").contains("brackets"));
        assert!(refusal("[192.0.2.1]:5060").contains("brackets"));
        assert!(refusal("gateway.example:5060").contains("not an IP address"));
        assert!(refusal("[fe80::1]:5060").contains("[fe80::1%eth0]:PORT"));
        assert!(refusal("[2001:db8::1%eth0]:5060").contains("without %"));
        assert!(refusal("192.0.2.1%eth0:5060").contains("without %"));
        assert!(refusal("").contains("port is missing"));
    }

    #[test]
    fn a_zone_is_resolved_by_name_and_by_number() {
        let scope_of = |text: &str| match text.parse::<ListenAddress>().unwrap().resolve() {
            Ok(SocketAddr::V6(address)) => Ok(address.scope_id()),
            Ok(SocketAddr::V4(_)) => unreachable!("written as IPv6"),
            Err(error) => Err(error),
        };
        assert_eq!(scope_of("[fe80::1%7]:5060"), Ok(7));
        assert_eq!(
            scope_of("[fe80::1%lo]:5060"),
            Ok(if_nametoindex("lo").unwrap())
        );
        let missing = AddressError::NoInterface("no-such-link".into());
        assert_eq!(scope_of("[fe80::1%no-such-link]:5060"), Err(missing));
    }

    #[test]
    fn a_peer_on_loopback_sees_loopback() {
        let local = towards("127.0.0.1:5060".parse().unwrap()).unwrap();
        assert_eq!(local, "127.0.0.1:0".parse().unwrap());
        let is_local = |at: &InterfaceAddress| at.address == local && at.is_loopback && at.is_up;
        assert!(interfaces().unwrap().iter().any(is_local));
    }
}
