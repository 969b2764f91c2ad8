//! The ports that are bound and free, by address.
//!
//! The media threads bind ahead of need, so a port in a description is always open already.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::command::FreePort;

#[derive(Debug, Default)]
pub(super) struct Ports {
    free: BTreeMap<IpAddr, Vec<FreePort>>,
}

impl Ports {
    pub(super) fn add(&mut self, ports: Vec<FreePort>) {
        for port in ports {
            self.free.entry(port.rtp.ip()).or_default().push(port);
        }
    }

    /// A port at this address, or, where media have addresses of their own, at one of its family.
    pub(super) fn take(&mut self, address: IpAddr) -> Option<FreePort> {
        if let Some(port) = self.free.get_mut(&address).and_then(Vec::pop) {
            return Some(port);
        }
        let family = |other: &IpAddr| other.is_ipv4() == address.is_ipv4();
        let mut others = self.free.iter_mut().filter(|(other, _)| family(other));
        others.find_map(|(_, ports)| ports.pop())
    }
}
