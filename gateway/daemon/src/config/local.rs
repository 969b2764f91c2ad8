//! Which addresses are in the local segment: of devices that are told over HTTP to open doors.
//!
//! Their passwords travel readable, so nothing is sent elsewhere. The kernel and the hop limit see to
//! that when something is sent (`urls`); here what could never be sent is said beforehand.

use std::fmt;
use std::net::IpAddr;

use sip::admission::Network;
use toml::de::DeValue;

use super::problems::{Place, Problems};
use super::section::{Located, Value};
use super::values::text;

/// A block of addresses, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalNetwork(Network);

impl Value for LocalNetwork {
    const EXPECTED: &'static str = "a block of addresses such as \"203.0.113.0/24\"";

    fn from_toml(value: &DeValue<'_>, _: &Place, _: &mut Problems) -> Result<Self, String> {
        let text = text(value)?;
        let (address, prefix) = text
            .split_once('/')
            .ok_or_else(|| format!("\"{text}\" has no length of its prefix"))?;
        let address: IpAddr = address
            .parse()
            .map_err(|_| format!("\"{address}\" is no IP address"))?;
        let longest = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        match prefix.parse() {
            Ok(prefix) if (1..=longest).contains(&prefix) => Ok(Self(Network { address, prefix })),
            Ok(_) | Err(_) => Err(format!("\"/{prefix}\" is no length from 1 to {longest}")),
        }
    }
}

impl fmt::Display for LocalNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0.address, self.0.prefix)
    }
}

/// Reports an address that no request may go to.
pub(super) fn judge(
    address: IpAddr,
    networks: &[Located<LocalNetwork>],
    place: &Place,
    problems: &mut Problems,
) {
    if !is_local(address, networks) {
        problems.report(
            place,
            format!("{address} is not in the local segment; its password would travel readable"),
            "give a private or link-local address, or add its network to local_networks",
        );
    }
}

fn is_local(address: IpAddr, networks: &[Located<LocalNetwork>]) -> bool {
    let usual = match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
    };
    let mut networks = networks.iter();
    usual || networks.any(|network| network.0.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_link_local_addresses_are_local_and_others_are_not() {
        for (address, local) in [
            ("10.1.2.3", true),
            ("172.31.0.1", true),
            ("172.32.0.1", false),
            ("192.168.1.30", true),
            ("169.254.9.9", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("fe80::1", true),
            ("fd12:3456::1", true),
            ("::ffff:192.168.1.30", true),
            ("::ffff:198.51.100.1", false),
            ("198.51.100.1", false),
            ("2001:db8::1", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(is_local(address.parse().unwrap(), &[]), local, "{address}");
        }
    }
}
