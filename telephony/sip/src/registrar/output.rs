//! What a registrar hands to its owner.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answer::Answer;

/// One step of the drain after each input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Write this down, then call `stored` or `store_failed` with the token.
    Store(Store),
    /// The answer that `Decision::Held` promised.
    Answer {
        token: StoreToken,
        answer: Answer,
    },
    Event(Event),
    /// Nothing more to say; call `handle_timeout` then, or when `None` not before other input.
    Timeout(Option<Instant>),
}

/// Ties a store order to its confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreToken(pub u64);

/// These are now all bindings of that address-of-record; whatever was stored for it goes.
/// Orders must be carried out in the order they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    pub token: StoreToken,
    pub aor: Arc<str>,
    pub bindings: Vec<StoredBinding>,
}

/// One binding in the form that outlives the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBinding {
    /// The owner turns it into calendar time and back.
    pub expires: Instant,
    /// Opaque; begins with a version. `restore` refuses what it cannot read.
    pub data: Box<[u8]>,
}

/// What the owner learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The station has a binding and had none.
    StationUp { aor: Arc<str>, by: UpCause },
    /// The station's last binding is gone.
    StationDown { aor: Arc<str>, cause: DownCause },
    /// A source guessed too often; it is refused for a while.
    SourceBarred {
        source: IpAddr,
        failures: u32,
        duration: Duration,
    },
    /// An account was guessed at from several sources; for a while only the addresses its
    /// bindings live at may try.
    AccountBarred {
        aor: Arc<str>,
        failures: u32,
        duration: Duration,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpCause {
    Registered,
    /// From the store, at start.
    Restored,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownCause {
    /// The station said so.
    Unregistered,
    Expired,
    /// The connection of an outbound binding closed (RFC 5626 5.3).
    FlowClosed,
    AccountRemoved,
}

/// What a restart brought back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    pub bindings: usize,
    pub expired: usize,
    /// The account is gone.
    pub orphaned: usize,
    /// Another version, or damaged.
    pub unreadable: usize,
    /// They lived on a connection of the former process only (RFC 5626 5.3).
    pub flows_lost: usize,
}

/// How often what happened. Every refusal stands in exactly one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bindings added or refreshed.
    pub registered: u64,
    pub unregistered: u64,
    pub queries: u64,
    pub challenges: u64,
    /// Challenges to credentials with a nonce that may not be used (any more).
    pub stale: u64,
    pub wrong_credentials: u64,
    pub malformed: u64,
    pub unknown_domain: u64,
    pub unknown_extension: u64,
    pub transport_refused: u64,
    pub too_brief: u64,
    pub out_of_order: u64,
    pub too_many_contacts: u64,
    pub outbound_refused: u64,
    /// Refused because source or account is barred.
    pub barred: u64,
    /// Refused because its source sends too much.
    pub flooded: u64,
    /// Refused because too many answers wait for the store.
    pub store_busy: u64,
    pub store_failed: u64,
    /// Bindings that made room for newer ones.
    pub replaced: u64,
    pub expired: u64,
    pub flows_lost: u64,
    pub sources_barred: u64,
    pub accounts_barred: u64,
}
