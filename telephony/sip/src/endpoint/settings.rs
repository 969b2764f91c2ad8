//! What an endpoint is told once, at its birth.
//!
//! Values are taken as they are; checking a configuration file is the shell's part.

use std::net::SocketAddr;
use std::time::Duration;

use crate::admission;
use crate::flow::{ListenerId, Transport};
use crate::message::{Host, Limits};
use crate::registrar;
use crate::transaction::Timers;

#[derive(Clone, Debug)]
pub struct Settings {
    pub listeners: Vec<Listener>,
    /// Server in responses, User-Agent in requests. `None`: nothing is said.
    pub product: Option<String>,
    pub timers: Timers,
    pub parser: Limits,
    pub admission: admission::Settings,
    pub session_timer: SessionTimerSettings,
    pub capacity: Capacity,
    pub large_requests: LargeRequests,
    /// `None`: nobody can register here, and no account can be asked for. The secret of its nonces
    /// is made from the seed of the endpoint.
    pub registrar: Option<registrar::Settings>,
    /// The longest subscription.
    pub subscription_max: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            listeners: Vec::new(),
            product: None,
            timers: Timers::default(),
            parser: Limits::default(),
            admission: admission::Settings::default(),
            session_timer: SessionTimerSettings::default(),
            capacity: Capacity::default(),
            large_requests: LargeRequests::default(),
            registrar: None,
            subscription_max: Duration::from_secs(3600),
        }
    }
}

/// A socket of the shell that peers send to.
#[derive(Clone, Debug)]
pub struct Listener {
    pub id: ListenerId,
    pub transport: Transport,
    /// The bound address. When it is a wildcard, `advertised` is needed for destinations;
    /// flows know their local address.
    pub local: SocketAddr,
    /// What Via and Contact say instead of `local`.
    pub advertised: Option<(Host, u16)>,
    pub invite_auth: InviteAuth,
}

impl Listener {
    pub fn new(id: ListenerId, transport: Transport, local: SocketAddr) -> Listener {
        Listener {
            id,
            transport,
            local,
            advertised: None,
            invite_auth: InviteAuth::Accounts,
        }
    }
}

/// Who must show digest credentials for INVITE, MESSAGE and SUBSCRIBE outside a dialog.
/// Trusted peers and flows never must.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InviteAuth {
    /// Nobody.
    None,
    /// Whoever writes a From that names an account of the registrar.
    #[default]
    Accounts,
    /// Everybody: a From that names no account is refused with 403.
    Everybody,
}

/// RFC 4028.
#[derive(Clone, Copy, Debug)]
pub struct SessionTimerSettings {
    /// What we ask for. `None`: we ask for none, and follow a peer that does.
    pub interval: Option<Duration>,
    /// The least we accept; 90 s is the least the standard allows.
    pub min: Duration,
}

impl SessionTimerSettings {
    /// RFC 4028 4.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(1800);
}

impl Default for SessionTimerSettings {
    fn default() -> SessionTimerSettings {
        SessionTimerSettings {
            interval: Some(Self::DEFAULT_INTERVAL),
            min: Duration::from_secs(90),
        }
    }
}

/// Bounds of what peers can make us keep.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Hard limit; requests beyond it get 503 without state.
    pub transactions: usize,
    /// From here on only emergency calls get a transaction of their own.
    pub transactions_soft: usize,
    pub sessions: usize,
    /// From here on only emergency calls are let in.
    pub sessions_soft: usize,
    pub subscriptions: usize,
    pub connections: usize,
    /// What a refused caller reads in Retry-After.
    pub retry_after: Duration,
}

impl Default for Capacity {
    fn default() -> Capacity {
        Capacity {
            transactions: 262_144,
            transactions_soft: 229_376,
            sessions: 16_384,
            sessions_soft: 14_336,
            subscriptions: 4_096,
            connections: 16_384,
            retry_after: Duration::from_secs(5),
        }
    }
}

/// Requests near the path MTU over UDP (RFC 3261 18.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LargeRequests {
    /// IP fragments carry them.
    StayOnUdp,
    /// Above this many bytes a request to a UDP destination goes over TCP to the same address,
    /// and back to UDP when the shell reports that unreachable.
    SwitchToTcp { above: usize },
}

impl Default for LargeRequests {
    fn default() -> LargeRequests {
        LargeRequests::SwitchToTcp { above: 1300 }
    }
}
