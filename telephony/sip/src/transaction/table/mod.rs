//! The table of live transactions: finding, keeping and forgetting them.
//!
//! Sending and matching stand in `ours` and `theirs`, timers and lost connections in `time`.
//! Invariant: each entry is in exactly the indexes that its keys name, and leaves all of them at
//! once.

mod ours;
mod theirs;
mod time;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use super::client_invite::ClientInvite;
use super::key::{MergeKey, ServerKey};
use super::server::Server;
use super::server_invite::ServerInvite;
use super::timer::Timers;
use crate::deadlines::Deadlines;
use crate::endpoint::{MessageId, Output, RequestId};
use crate::flow::{ConnectionId, Destination, Hop, Transport};
use crate::message::{Headers, Method, Request};
use crate::session::SessionId;
use crate::subscription::SubscriptionId;
use crate::tokens::Token;
use crate::transaction::client::Client;

/// One transaction; a stale id finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TransactionId {
    slot: u32,
    generation: u32,
}

impl TransactionId {
    /// Names no transaction.
    pub(crate) const NONE: Self = Self {
        slot: u32::MAX,
        generation: u32::MAX,
    };
}

/// Who hears of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    Session(SessionId),
    Request(RequestId),
    Subscription(SubscriptionId),
    Message(MessageId),
    /// An INVITE whose session is over: its 2xx are acknowledged and ended at once.
    Abandoned,
    /// Nobody waits: BYE and the like.
    Nobody,
}

/// What a response of a peer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// It belongs to nothing we have sent.
    Stray,
    Absorbed,
    For(TransactionId, User),
}

/// A request that matched a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Repeated by the network or by a client that heard nothing; served.
    Repeated,
    /// An ACK to a 2xx that reuses the branch of its INVITE.
    Ack,
}

/// A transaction that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) id: TransactionId,
    pub(crate) user: User,
}

/// What a deadline brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Timer B, F or H.
    TimedOut(Failed),
    /// A client's request or a server's pending answer lost its way for good.
    Nothing,
}

pub(crate) struct Table {
    timers: Timers,
    capacity: usize,
    slots: Vec<Slot>,
    free: Vec<u32>,
    clients: HashMap<(Token, Side), TransactionId>,
    servers: HashMap<ServerKey, TransactionId>,
    merges: HashMap<MergeKey, TransactionId>,
    deadlines: Deadlines<TransactionId>,
    /// The transactions that die with a connection, or with the hope to get one.
    bound: BTreeSet<(Way, TransactionId)>,
}

/// What the shell can report as gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Connection(ConnectionId),
    To(Transport, SocketAddr),
}

impl Way {
    /// Datagrams have none: on UDP the timers tell.
    fn of(hop: &Hop) -> Option<Self> {
        match hop {
            Hop::Flow(flow) => flow
                .transport
                .is_reliable()
                .then_some(Self::Connection(flow.connection)),
            Hop::Destination(to) => to
                .transport
                .is_reliable()
                .then_some(Self::To(to.transport, to.addr)),
        }
    }
}

/// A CANCEL shares the branch of its INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Side {
    Request,
    Cancel,
}

impl Side {
    fn of(method: &Method) -> Self {
        if *method == Method::Cancel {
            Self::Cancel
        } else {
            Self::Request
        }
    }
}

struct Slot {
    generation: u32,
    entry: Option<Entry>,
}

struct Entry {
    machine: Machine,
    hop: Hop,
    /// Where a request goes after all when TCP, taken for its size alone, does not work.
    fallback: Option<Box<Destination>>,
    user: User,
}

/// A request of ours, ready to go.
pub(crate) struct Outgoing {
    /// The branch in its top Via.
    pub(crate) token: Token,
    pub(crate) method: Method,
    pub(crate) bytes: Bytes,
    pub(crate) hop: Hop,
    pub(crate) fallback: Option<Box<Destination>>,
    pub(crate) user: User,
}

/// A request of a peer that gets a transaction.
pub(crate) struct Arriving<'a> {
    pub(crate) key: ServerKey,
    pub(crate) merge: Option<MergeKey>,
    /// With its source written into the top Via.
    pub(crate) request: &'a Request,
    /// For responses, where the request has no To tag.
    pub(crate) to_tag: Token,
    /// Where responses go.
    pub(crate) hop: Hop,
    pub(crate) user: User,
}

enum Machine {
    ClientInvite {
        token: Token,
        machine: ClientInvite,
    },
    Client {
        token: Token,
        method: Method,
        machine: Client,
    },
    ServerInvite {
        key: ServerKey,
        merge: Option<MergeKey>,
        owed: Option<Box<Owed>>,
        machine: ServerInvite,
    },
    Server {
        key: ServerKey,
        merge: Option<MergeKey>,
        owed: Option<Box<Owed>>,
        machine: Server,
    },
}

/// What the responses to a request are made of; kept until the final one.
struct Owed {
    headers: Headers,
    to_tag: Token,
}

pub(crate) type Outbox = VecDeque<Output>;

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("live", &self.len())
            .finish_non_exhaustive()
    }
}

impl Table {
    pub(crate) fn new(timers: Timers, capacity: usize) -> Self {
        Self {
            timers,
            capacity: capacity.min(u32::MAX as usize),
            slots: Vec::new(),
            free: Vec::new(),
            clients: HashMap::new(),
            servers: HashMap::new(),
            merges: HashMap::new(),
            deadlines: Deadlines::default(),
            bound: BTreeSet::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    pub(crate) fn hop(&self, id: TransactionId) -> Option<&Hop> {
        Some(&self.entry(id)?.hop)
    }

    fn entry(&self, id: TransactionId) -> Option<&Entry> {
        let slot = self.slots.get(id.slot as usize)?;
        slot.entry
            .as_ref()
            .filter(|_| slot.generation == id.generation)
    }

    fn entry_mut(&mut self, id: TransactionId) -> Option<&mut Entry> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        slot.entry
            .as_mut()
            .filter(|_| slot.generation == id.generation)
    }

    /// The caller has checked `is_full` where that is answered otherwise; beyond the capacity only
    /// what ends something (BYE, CANCEL) is let in.
    fn insert(&mut self, entry: Entry) -> TransactionId {
        let way = Way::of(&entry.hop);
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(Slot {
                    generation: 0,
                    entry: None,
                });
                (self.slots.len() - 1) as u32
            }
        };
        let place = &mut self.slots[slot as usize];
        place.entry = Some(entry);
        let id = TransactionId {
            slot,
            generation: place.generation,
        };
        if let Some(way) = way {
            self.bound.insert((way, id));
        }
        id
    }

    /// After each change of a machine: its deadline, or its end.
    fn settle(&mut self, id: TransactionId) {
        let Some(entry) = self.entry(id) else { return };
        if !entry.machine.is_terminated() {
            let deadline = entry.machine.deadline();
            self.deadlines.set(id, deadline);
            return;
        }
        self.deadlines.set(id, None);
        let place = &mut self.slots[id.slot as usize];
        place.generation = place.generation.wrapping_add(1);
        let Some(entry) = place.entry.take() else {
            return;
        };
        self.free.push(id.slot);
        if let Some(way) = Way::of(&entry.hop) {
            self.bound.remove(&(way, id));
        }
        match entry.machine {
            Machine::ClientInvite { token, .. } => {
                self.clients.remove(&(token, Side::Request));
            }
            Machine::Client { token, method, .. } => {
                self.clients.remove(&(token, Side::of(&method)));
            }
            Machine::ServerInvite { key, merge, .. } | Machine::Server { key, merge, .. } => {
                self.servers.remove(&key);
                if let Some(merge) = merge {
                    self.merges.remove(&merge);
                }
            }
        }
    }
}

impl Machine {
    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::ClientInvite { machine, .. } => machine.deadline(),
            Self::Client { machine, .. } => machine.deadline(),
            Self::ServerInvite { machine, .. } => machine.deadline(),
            Self::Server { machine, .. } => machine.deadline(),
        }
    }

    fn is_terminated(&self) -> bool {
        match self {
            Self::ClientInvite { machine, .. } => machine.is_terminated(),
            Self::Client { machine, .. } => machine.is_terminated(),
            Self::ServerInvite { machine, .. } => machine.is_terminated(),
            Self::Server { machine, .. } => machine.is_terminated(),
        }
    }

    fn is_pending(&self) -> bool {
        match self {
            Self::ClientInvite { machine, .. } => machine.is_pending(),
            Self::Client { machine, .. } => machine.is_pending(),
            Self::ServerInvite { machine, .. } => machine.is_pending(),
            Self::Server { machine, .. } => machine.is_pending(),
        }
    }

    fn abort(&mut self) {
        match self {
            Self::ClientInvite { machine, .. } => machine.abort(),
            Self::Client { machine, .. } => machine.abort(),
            Self::ServerInvite { machine, .. } => machine.abort(),
            Self::Server { machine, .. } => machine.abort(),
        }
    }
}
