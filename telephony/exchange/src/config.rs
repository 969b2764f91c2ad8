//! What the gateway's machine is told once, at its birth. Checked by whoever read it.

use std::net::IpAddr;

use model::Encryption;
use sip::admission::Network;
use sip::message::Host;

use crate::causes::Causes;
use crate::lines::LineConfig;
use crate::neighbours::Neighbour;
use crate::recording::RecordPolicy;
use crate::sounds::Sounds;

#[derive(Clone, Debug)]
pub struct Config {
    /// Accounts are of this realm; with `set_directory` comes who they are.
    pub realm: String,
    /// What stands behind the @ when we show a number.
    pub domain: Host,
    /// Peers whose From is believed without a password.
    pub trusted: Vec<Network>,
    /// Our addresses for calls to devices that have not come to us, the first of a family wins.
    pub addresses: Vec<IpAddr>,
    /// Of the media ports that wait bound at each address, so many are for alarms alone.
    pub ports_for_alarms: usize,
    /// For whoever the directory says nothing else of.
    pub encryption: Encryption,
    /// Which calls are recorded without being asked for.
    pub record: RecordPolicy,
    pub sounds: Sounds,
    /// Calls are spread over so many media threads.
    pub media_threads: u16,
    /// To older intercom servers, in the order of their ids.
    pub lines: Vec<LineConfig>,
    /// What is dialled for others of our kind.
    pub neighbours: Vec<Neighbour>,
    /// What each side is told of why a call ended.
    pub causes: Causes,
    pub sip: sip::endpoint::Settings,
    pub calls: calls::Config,
}

impl Config {
    /// Our address towards another one: of the same family, else whatever there is.
    pub(crate) fn local_for(&self, remote: IpAddr) -> IpAddr {
        let same = |address: &&IpAddr| address.is_ipv4() == remote.is_ipv4();
        let listeners = self
            .sip
            .listeners
            .iter()
            .map(|listener| listener.local.ip());
        let all: Vec<IpAddr> = self.addresses.iter().copied().chain(listeners).collect();
        let found = all.iter().find(same).or(all.first());
        found.copied().unwrap_or(IpAddr::from([127, 0, 0, 1]))
    }
}
