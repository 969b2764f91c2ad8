//! How the exchange of a company is set up.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use exchange::{Announcements, Causes, Config, RecordPolicy, Sounds};
use media::tones::Region;
use model::Encryption;
use sip::admission::{self, Rate};
use sip::endpoint::{self, Capacity, InviteAuth, Listener};
use sip::flow::{ListenerId, Transport};
use sip::message::Host;
use switchboard::ports_for_alarms;

/// How calls are set up on this node.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where gateways come in, by SIP over TLS.
    pub(crate) listen: SocketAddr,
    /// Where their sound goes; never the loopback, which is for browsers.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) ports: RangeInclusive<u16>,
    pub(crate) threads: u16,
    /// How the core is called.
    pub(crate) host: String,
}

/// Of one flow, in messages and calls a second.
const MESSAGES: u32 = 500;
const INVITES: u32 = 100;

impl Settings {
    /// Every address that media may use.
    pub(super) fn media_addresses(&self) -> Vec<SocketAddr> {
        let loopback = [IpAddr::from([127, 0, 0, 1])];
        let mut all: Vec<_> = self.addresses.iter().copied().chain(loopback).collect();
        all.sort_unstable();
        all.dedup();
        all.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect()
    }

    /// `start` keeps ids of different exchanges of this process apart.
    pub(super) fn config(&self, bound: (net::flows::ListenerId, SocketAddr), start: u32) -> Config {
        let (id, local) = bound;
        let host = Host::parse(&self.host).unwrap_or_else(|| local.ip().into());
        let mut listener = Listener::new(ListenerId(id.0), Transport::Tls, local);
        listener.advertised = Some((host.clone(), local.port()));
        // Whoever has a flow here has shown a certificate.
        listener.invite_auth = InviteAuth::None;
        Config {
            realm: self.host.clone(),
            domain: host,
            trusted: Vec::new(),
            addresses: self.addresses.clone(),
            ports_for_alarms: ports_for_alarms(&self.ports),
            encryption: Encryption::Required,
            record: RecordPolicy::Never,
            sounds: Sounds {
                region: Region::Europe,
                announcements: Announcements::default(),
            },
            media_threads: self.threads,
            lines: Vec::new(),
            neighbours: Vec::new(),
            causes: Causes::default(),
            sip: endpoint::Settings {
                listeners: vec![listener],
                product: Some(concat!("antiphon-cloud/", env!("CARGO_PKG_VERSION")).to_owned()),
                admission: admission::Settings {
                    messages: burst_of_five_seconds(MESSAGES),
                    invites: burst_of_five_seconds(INVITES),
                    calls: burst_of_five_seconds(INVITES),
                    ..admission::Settings::default()
                },
                capacity: Capacity {
                    transactions: 16_384,
                    transactions_soft: 14_336,
                    sessions: 4_096,
                    sessions_soft: 3_584,
                    ..Capacity::default()
                },
                ..endpoint::Settings::default()
            },
            calls: calls::Config {
                start_count: start,
                ..calls::Config::default()
            },
        }
    }
}

fn burst_of_five_seconds(per_second: u32) -> Rate {
    Rate::per_second(per_second, per_second.saturating_mul(5))
}
