//! What a registrar is told: its limits, its domains, its accounts.
//!
//! Values are taken as they are; checking a configuration file is the shell's part.

use std::time::Duration;

use super::guard::GuardSettings;
use crate::digest::Ha1Set;
use crate::digest::server::Realm;
use crate::flow::Transport;
use crate::message::{Host, Uri};

#[derive(Clone, Debug)]
pub struct Settings {
    pub realm: Realm,
    /// Whose users live here. Requests for others are answered 404.
    pub domains: Domains,
    pub expiry: Expiry,
    pub nonces: NonceSettings,
    pub guard: GuardSettings,
    /// Answers that wait for the store at one time; what comes on top is answered 503.
    pub pending_max: usize,
    /// `Flow-Timer` for outbound registrations (RFC 5626 4.4). `None`: nothing is said.
    pub flow_timer: Option<Duration>,
}

impl Settings {
    pub fn new(realm: Realm) -> Self {
        Self {
            realm,
            domains: Domains::Any,
            expiry: Expiry::default(),
            nonces: NonceSettings::default(),
            guard: GuardSettings::default(),
            pending_max: 32_768,
            flow_timer: None,
        }
    }
}

/// The hosts whose users are ours. All of them name the same users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Domains {
    /// Stations name the registrar by whatever address or name they were given.
    #[default]
    Any,
    These(Vec<Host>),
}

impl Domains {
    pub(super) fn include(&self, uri: &Uri) -> bool {
        match (self, uri.host()) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::These(hosts), Some(host)) => hosts.iter().any(|ours| ours.equivalent(host)),
        }
    }
}

/// How long a binding may live, in seconds (RFC 3261 10.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Less is answered 423.
    pub min: u32,
    /// More is cut to this.
    pub max: u32,
    /// For stations that ask for nothing.
    pub default: u32,
}

impl Default for Expiry {
    fn default() -> Self {
        Self {
            min: 60,
            max: 7200,
            default: 3600,
        }
    }
}

#[derive(Clone)]
pub struct NonceSettings {
    /// From a random source of the system. With the seed it makes the key of the nonces.
    pub secret: [u8; 32],
    pub lifetime: Duration,
    /// Used nonces whose counts are remembered; when full, the oldest become stale.
    pub replay_capacity: usize,
}

impl Default for NonceSettings {
    fn default() -> Self {
        Self {
            secret: [0; 32],
            lifetime: Duration::from_secs(300),
            replay_capacity: 65_536,
        }
    }
}

impl std::fmt::Debug for NonceSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            lifetime,
            replay_capacity,
            ..
        } = self;
        write!(
            f,
            "NonceSettings {{ lifetime: {lifetime:?}, replay_capacity: {replay_capacity}, .. }}"
        )
    }
}

/// A station's account. Its user is the address-of-record and the digest user name.
#[derive(Clone, Debug)]
pub struct Account {
    pub user: Box<str>,
    /// Made with the realm of the registrar. Empty: nobody can register it.
    pub ha1: Ha1Set,
    /// When full, a new contact replaces the one that was refreshed longest ago.
    pub max_contacts: u8,
    pub transports: Transports,
}

impl Account {
    pub fn new(user: &str, ha1: Ha1Set) -> Self {
        Self {
            user: user.into(),
            ha1,
            max_contacts: 4,
            transports: Transports::ALL,
        }
    }
}

/// A set of transports.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Transports(u8);

impl Transports {
    pub const ALL: Self = Self(0b111);
    pub const NONE: Self = Self(0);

    #[must_use]
    pub const fn with(self, transport: Transport) -> Self {
        Self(self.0 | Self::bit(transport))
    }

    pub const fn contains(self, transport: Transport) -> bool {
        self.0 & Self::bit(transport) != 0
    }

    const fn bit(transport: Transport) -> u8 {
        match transport {
            Transport::Udp => 1,
            Transport::Tcp => 2,
            Transport::Tls => 4,
        }
    }
}

impl std::fmt::Debug for Transports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = [Transport::Udp, Transport::Tcp, Transport::Tls];
        f.debug_set()
            .entries(all.into_iter().filter(|t| self.contains(*t)))
            .finish()
    }
}
