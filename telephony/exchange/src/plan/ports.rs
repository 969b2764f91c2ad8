//! The ports that are bound and free, by address.
//!
//! The media threads bind ahead of need, so a port in a description is always open already. The
//! last ones of each address are kept for alarms: one rings a whole group at once, and must find
//! its ports while other calls take them as fast as they are bound.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::command::FreePort;

/// Who takes ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taker {
    Usual,
    Alarm,
}

/// Those of an exchange; or, where several share the media threads, of all of them, in the hands of
/// the one whose turn it is.
#[derive(Debug)]
pub struct FreePorts {
    free: BTreeMap<IpAddr, Vec<FreePort>>,
    /// So many at each address are for alarms alone.
    for_alarms: usize,
}

impl FreePorts {
    /// At each address so many are for alarms alone.
    pub fn new(for_alarms: usize) -> Self {
        Self {
            free: BTreeMap::new(),
            for_alarms,
        }
    }

    pub fn add(&mut self, ports: Vec<FreePort>) {
        for port in ports {
            self.free.entry(port.rtp.ip()).or_default().push(port);
        }
    }

    /// A port at this address, or, where media have addresses of their own, at one of its family.
    pub(super) fn take(&mut self, address: IpAddr, taker: Taker) -> Option<FreePort> {
        let kept = match taker {
            Taker::Usual => self.for_alarms,
            Taker::Alarm => 0,
        };
        let pop = |ports: &mut Vec<FreePort>| match ports.len() > kept {
            true => ports.pop(),
            false => None,
        };
        if let Some(port) = self.free.get_mut(&address).and_then(pop) {
            return Some(port);
        }
        // What is bound at the loopback alone does not reach who is elsewhere.
        let elsewhere = self.free.keys().any(|other| !other.is_loopback());
        let reaches = |other: &IpAddr| address.is_loopback() || !other.is_loopback() || !elsewhere;
        let family = |other: &IpAddr| other.is_ipv4() == address.is_ipv4() && reaches(other);
        let mut others = self.free.iter_mut().filter(|(other, _)| family(other));
        others.find_map(|(_, ports)| pop(ports))
    }
}
