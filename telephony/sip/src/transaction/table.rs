//! The table of live transactions.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use super::client::Client;
use super::client_invite::{ClientInvite, OnCancel, OnResponse};
use super::derived;
use super::key::{MergeKey, ServerKey};
use super::machine::{ClientTimer, Report, ServerTimer};
use super::server::Server;
use super::server_invite::ServerInvite;
use super::timer::Timers;
use crate::deadlines::Deadlines;
use crate::endpoint::{MessageId, Output, RequestId};
use crate::flow::{ConnectionId, Destination, Flow, Hop, Transport};
use crate::message::{HeaderName, Headers, Method, Request, Response, StatusCode, Via};
use crate::session::SessionId;
use crate::subscription::SubscriptionId;
use crate::tokens::Token;

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

/// Our requests.
impl Table {
    pub(crate) fn send(
        &mut self,
        outgoing: Outgoing,
        now: Instant,
        out: &mut Outbox,
    ) -> TransactionId {
        let Outgoing {
            token,
            method,
            bytes,
            hop,
            fallback,
            user,
        } = outgoing;
        let transport = hop.transport();
        out.push_back(Output::Transmit {
            to: hop.clone(),
            bytes: bytes.clone(),
        });
        let side = Side::of(&method);
        let machine = if method == Method::Invite {
            Machine::ClientInvite {
                token,
                machine: ClientInvite::new(bytes, transport, &self.timers, now),
            }
        } else {
            Machine::Client {
                token,
                method,
                machine: Client::new(bytes, transport, &self.timers, now),
            }
        };
        let id = self.insert(Entry {
            machine,
            hop,
            fallback,
            user,
        });
        self.clients.insert((token, side), id);
        self.settle(id);
        id
    }

    /// A response arrived: to whom it belongs, with what the machine sends for it.
    pub(crate) fn on_response(
        &mut self,
        response: &Response,
        now: Instant,
        out: &mut Outbox,
    ) -> Answered {
        // RFC 3261 8.1.3.3: with a second Via it was not meant for us.
        let mut vias = response.headers.elements(HeaderName::Via);
        let via = vias.next().and_then(|via| Via::parse(via).ok());
        let (Some(via), None, Ok(cseq)) = (via, vias.next(), response.headers.cseq()) else {
            return Answered::Stray;
        };
        let token = via
            .rfc3261_branch()
            .and_then(|branch| Token::parse(&branch[Via::MAGIC_COOKIE.len()..]));
        let Some(id) =
            token.and_then(|token| self.clients.get(&(token, Side::of(&cseq.method))).copied())
        else {
            return Answered::Stray;
        };
        let timers = self.timers;
        let Some(entry) = self.entry_mut(id) else {
            return Answered::Stray;
        };
        let user = entry.user;
        let passed = match &mut entry.machine {
            Machine::Client {
                method, machine, ..
            } => {
                *method == cseq.method
                    && machine.on_response(response.status, &timers, now) == Report::PassUp
            }
            Machine::ClientInvite { .. } if cseq.method != Method::Invite => false,
            Machine::ClientInvite { .. } => self.on_invite_response(id, response, now, out),
            Machine::ServerInvite { .. } | Machine::Server { .. } => false,
        };
        self.settle(id);
        if passed {
            Answered::For(id, user)
        } else {
            Answered::Absorbed
        }
    }

    fn on_invite_response(
        &mut self,
        id: TransactionId,
        response: &Response,
        now: Instant,
        out: &mut Outbox,
    ) -> bool {
        let timers = self.timers;
        let to = response.headers.to().ok();
        let to_tag = to.as_ref().and_then(|to| to.tag()).unwrap_or_default();
        let Some(entry) = self.entry_mut(id) else {
            return false;
        };
        let hop = entry.hop.clone();
        let Machine::ClientInvite { token, machine } = &mut entry.machine else {
            return false;
        };
        let token = *token;
        match machine.on_response(response.status, to_tag, &timers, now) {
            OnResponse::PassUp => true,
            OnResponse::Absorbed => false,
            OnResponse::PassUpAndCancel { invite, lines } => {
                self.send_cancel(token, &invite, &lines, hop, now, out);
                true
            }
            OnResponse::Refused { invite } => {
                let to = response.headers.get(HeaderName::To);
                let ack = derived::derive(&invite, &Method::Ack, to, b"");
                machine.refused(ack.clone(), &timers, now);
                out.push_back(Output::Transmit {
                    to: hop,
                    bytes: ack,
                });
                true
            }
            OnResponse::AckAgain { ack, hop: dialog } => {
                out.push_back(Output::Transmit {
                    to: dialog.unwrap_or(hop),
                    bytes: ack,
                });
                false
            }
        }
    }

    /// Sends the ACK to a 2xx, and again whenever that 2xx is repeated.
    pub(crate) fn acknowledge(
        &mut self,
        id: TransactionId,
        to_tag: &str,
        hop: Hop,
        ack: Bytes,
        out: &mut Outbox,
    ) {
        if let Some(Entry {
            machine: Machine::ClientInvite { machine, .. },
            ..
        }) = self.entry_mut(id)
        {
            machine.acknowledged(to_tag, &hop, &ack);
        }
        out.push_back(Output::Transmit {
            to: hop,
            bytes: ack,
        });
    }

    /// Cancels an INVITE as soon as that is allowed. `lines` are whole header lines for the CANCEL.
    pub(crate) fn cancel(
        &mut self,
        id: TransactionId,
        lines: &Bytes,
        now: Instant,
        out: &mut Outbox,
    ) {
        let timers = self.timers;
        let Some(entry) = self.entry_mut(id) else {
            return;
        };
        let hop = entry.hop.clone();
        let Machine::ClientInvite { token, machine } = &mut entry.machine else {
            return;
        };
        let token = *token;
        if let OnCancel::Send { invite } = machine.cancel(lines, &timers, now) {
            self.send_cancel(token, &invite, lines, hop, now, out);
        }
        self.settle(id);
    }

    fn send_cancel(
        &mut self,
        token: Token,
        invite: &[u8],
        lines: &[u8],
        hop: Hop,
        now: Instant,
        out: &mut Outbox,
    ) {
        let bytes = derived::derive(invite, &Method::Cancel, None, lines);
        let cancel = Outgoing {
            token,
            method: Method::Cancel,
            bytes,
            hop,
            fallback: None,
            user: User::Nobody,
        };
        self.send(cancel, now, out);
    }

    /// The user of an INVITE is gone: its answers are ended, and its silence is not waited for.
    pub(crate) fn abandon(&mut self, id: TransactionId, now: Instant) {
        let timers = self.timers;
        self.reassign(id, User::Abandoned);
        if let Some(Entry {
            machine: Machine::ClientInvite { machine, .. },
            ..
        }) = self.entry_mut(id)
        {
            machine.abandon(&timers, now);
            self.settle(id);
        }
    }

    /// Hands a transaction to another user.
    pub(crate) fn reassign(&mut self, id: TransactionId, user: User) {
        if let Some(entry) = self.entry_mut(id) {
            entry.user = user;
        }
    }
}

/// Requests of peers.
impl Table {
    /// A request that belongs to a live transaction is served by it.
    pub(crate) fn on_request(
        &mut self,
        key: &ServerKey,
        request: &Request,
        now: Instant,
        out: &mut Outbox,
    ) -> Option<Found> {
        let id = *self.servers.get(key)?;
        let timers = self.timers;
        let entry = self.entry_mut(id)?;
        let found = match &mut entry.machine {
            Machine::ServerInvite { machine, .. } if request.method == Method::Ack => {
                match machine.on_ack(&timers, now) {
                    Report::PassUp => Found::Ack,
                    Report::Absorbed => Found::Repeated,
                }
            }
            Machine::ServerInvite { machine, .. } => {
                Self::repeat(&entry.hop, machine.on_repeated_request(), out);
                Found::Repeated
            }
            Machine::Server { machine, .. } => {
                Self::repeat(&entry.hop, machine.on_repeated_request(), out);
                Found::Repeated
            }
            Machine::ClientInvite { .. } | Machine::Client { .. } => return None,
        };
        self.settle(id);
        Some(found)
    }

    fn repeat(hop: &Hop, response: Option<Bytes>, out: &mut Outbox) {
        if let Some(bytes) = response {
            out.push_back(Output::Transmit {
                to: hop.clone(),
                bytes,
            });
        }
    }

    /// The INVITE a CANCEL names, with its user.
    pub(crate) fn find(&self, key: &ServerKey) -> Option<(TransactionId, User)> {
        let id = *self.servers.get(key)?;
        Some((id, self.entry(id)?.user))
    }

    /// Whether the same request came before on another way (RFC 3261 8.2.2.2).
    pub(crate) fn is_merged(&self, key: &MergeKey) -> bool {
        self.merges.contains_key(key)
    }

    /// Whether a branch is one of ours that is under way: a request that carries it came back.
    pub(crate) fn is_ours(&self, via: &Via) -> bool {
        let token = via
            .rfc3261_branch()
            .and_then(|branch| Token::parse(&branch[Via::MAGIC_COOKIE.len()..]));
        token.is_some_and(|token| self.clients.contains_key(&(token, Side::Request)))
    }

    /// A new server transaction.
    pub(crate) fn accept(&mut self, arriving: Arriving<'_>, now: Instant) -> TransactionId {
        let Arriving {
            key,
            merge,
            request,
            to_tag,
            hop,
            user,
        } = arriving;
        let owed = Some(Box::new(Owed {
            headers: request.headers.clone(),
            to_tag,
        }));
        let transport = hop.transport();
        let (key_here, merge_here) = (key.clone(), merge.clone());
        let machine = if request.method == Method::Invite {
            let machine = ServerInvite::new(transport, now);
            Machine::ServerInvite {
                key,
                merge,
                owed,
                machine,
            }
        } else {
            let machine = Server::new(transport, &self.timers, now);
            Machine::Server {
                key,
                merge,
                owed,
                machine,
            }
        };
        let id = self.insert(Entry {
            machine,
            hop,
            fallback: None,
            user,
        });
        self.servers.insert(key_here, id);
        if let Some(merge) = merge_here {
            self.merges.insert(merge, id);
        }
        self.settle(id);
        id
    }

    /// The To tag of the responses, while one is owed.
    pub(crate) fn to_tag(&self, id: TransactionId) -> Option<Token> {
        match &self.entry(id)?.machine {
            Machine::ServerInvite { owed, .. } | Machine::Server { owed, .. } => {
                Some(owed.as_ref()?.to_tag)
            }
            Machine::ClientInvite { .. } | Machine::Client { .. } => None,
        }
    }

    /// A response to build on, while one is owed.
    pub(crate) fn response(&self, id: TransactionId, status: StatusCode) -> Option<Response> {
        match &self.entry(id)?.machine {
            Machine::ServerInvite { owed, .. } | Machine::Server { owed, .. } => {
                owed.as_ref()?.response(status).into()
            }
            Machine::ClientInvite { .. } | Machine::Client { .. } => None,
        }
    }

    /// Says the last provisional response to an INVITE again.
    pub(crate) fn remind(&self, id: TransactionId, out: &mut Outbox) {
        if let Some(Entry {
            machine: Machine::ServerInvite { machine, .. },
            hop,
            ..
        }) = self.entry(id)
        {
            Self::repeat(hop, machine.on_repeated_request(), out);
        }
    }

    /// Sends a response. `None` when none is owed any more; else the bytes, for repetition.
    pub(crate) fn respond(
        &mut self,
        id: TransactionId,
        response: &Response,
        now: Instant,
        out: &mut Outbox,
    ) -> Option<Bytes> {
        let timers = self.timers;
        let entry = self.entry_mut(id)?;
        let bytes = Bytes::from(response.to_bytes());
        let status = response.status;
        let (sent, owed) = match &mut entry.machine {
            Machine::ServerInvite { machine, owed, .. } => {
                (machine.respond(status, &bytes, &timers, now), owed)
            }
            Machine::Server { machine, owed, .. } => {
                (machine.respond(status, &bytes, &timers, now), owed)
            }
            Machine::ClientInvite { .. } | Machine::Client { .. } => return None,
        };
        if status.is_final() {
            *owed = None;
        }
        let to = entry.hop.clone();
        self.settle(id);
        if !sent {
            return None;
        }
        out.push_back(Output::Transmit {
            to,
            bytes: bytes.clone(),
        });
        Some(bytes)
    }
}

impl Owed {
    fn response(&self, status: StatusCode) -> Response {
        let response = Response::echoing(&self.headers, status);
        // RFC 3261 8.2.6.2: a 100 may go without; it is the one response that makes no dialog.
        if status == StatusCode::TRYING {
            response
        } else {
            response.with_to_tag(self.to_tag.as_str())
        }
    }
}

/// Time, and the loss of ways.
impl Table {
    /// Serves one due transaction; `None` when none is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) -> Option<Due> {
        let id = self.deadlines.pop_due(now)?;
        let timers = self.timers;
        let Some(entry) = self.entry_mut(id) else {
            return Some(Due::Nothing);
        };
        let failed = Failed {
            id,
            user: entry.user,
        };
        let step = match &mut entry.machine {
            Machine::ClientInvite { machine, .. } => Step::of_client(machine.on_timeout(now)),
            Machine::Client { machine, .. } => Step::of_client(machine.on_timeout(&timers, now)),
            Machine::ServerInvite { machine, .. } => {
                Step::of_server(machine.on_timeout(&timers, now))
            }
            Machine::Server { machine, .. } => Step::of_server(machine.on_timeout(now)),
        };
        let hop = entry.hop.clone();
        match step {
            Step::Nothing => self.settle(id),
            Step::Send(bytes) => {
                out.push_back(Output::Transmit { to: hop, bytes });
                self.settle(id);
            }
            Step::SendTrying => {
                if let Some(response) = self.response(id, StatusCode::TRYING) {
                    self.respond(id, &response, now, out);
                }
            }
            Step::TimedOut => {
                self.settle(id);
                return Some(Due::TimedOut(failed));
            }
        }
        Some(Due::Nothing)
    }

    /// A connection is gone: what waits on it fails.
    pub(crate) fn connection_closed(&mut self, flow: &Flow) -> Vec<Failed> {
        let mut ids = self.bound_to(Way::Connection(flow.connection));
        ids.extend(self.bound_to(Way::To(flow.transport, flow.remote)));
        ids.into_iter().filter_map(|id| self.fail(id)).collect()
    }

    /// A destination could not be reached: what waits on it fails, except that a request which
    /// went over TCP for its size alone is sent over UDP after all (RFC 3261 18.1.1).
    pub(crate) fn unreachable(
        &mut self,
        destination: &Destination,
        now: Instant,
        out: &mut Outbox,
    ) -> Vec<Failed> {
        let ids = self.bound_to(Way::To(destination.transport, destination.addr));
        ids.into_iter()
            .filter_map(|id| {
                if self.fall_back(id, now, out) {
                    None
                } else {
                    self.fail(id)
                }
            })
            .collect()
    }

    fn bound_to(&self, way: Way) -> Vec<TransactionId> {
        let first = TransactionId {
            slot: 0,
            generation: 0,
        };
        let last = TransactionId {
            slot: u32::MAX,
            generation: u32::MAX,
        };
        self.bound
            .range((way, first)..=(way, last))
            .map(|(_, id)| *id)
            .collect()
    }

    fn fall_back(&mut self, id: TransactionId, now: Instant, out: &mut Outbox) -> bool {
        let timers = self.timers;
        let Some(entry) = self.entry_mut(id) else {
            return false;
        };
        let Some(fallback) = entry.fallback.take() else {
            return false;
        };
        let transport = fallback.transport;
        let old = std::mem::replace(&mut entry.hop, Hop::Destination(*fallback));
        let change = |request: &Bytes| {
            derived::over(request, old.transport().via_name(), transport.via_name())
        };
        let restarted = match &mut entry.machine {
            Machine::ClientInvite { machine, .. } => {
                machine.restart(transport, change, &timers, now)
            }
            Machine::Client { machine, .. } => machine.restart(transport, change, &timers, now),
            Machine::ServerInvite { .. } | Machine::Server { .. } => None,
        };
        let Some(bytes) = restarted else {
            entry.hop = old;
            return false;
        };
        out.push_back(Output::Transmit {
            to: entry.hop.clone(),
            bytes,
        });
        if let Some(way) = Way::of(&old) {
            self.bound.remove(&(way, id));
        }
        self.settle(id);
        true
    }

    fn fail(&mut self, id: TransactionId) -> Option<Failed> {
        let entry = self.entry_mut(id)?;
        let (pending, user) = (entry.machine.is_pending(), entry.user);
        entry.machine.abort();
        self.settle(id);
        pending.then_some(Failed { id, user })
    }
}

/// What a due machine wants.
enum Step {
    Nothing,
    Send(Bytes),
    SendTrying,
    TimedOut,
}

impl Step {
    fn of_client(timer: ClientTimer) -> Self {
        match timer {
            ClientTimer::Idle => Self::Nothing,
            ClientTimer::Repeat(bytes) => Self::Send(bytes),
            ClientTimer::TimedOut => Self::TimedOut,
        }
    }

    fn of_server(timer: ServerTimer) -> Self {
        match timer {
            ServerTimer::Idle => Self::Nothing,
            ServerTimer::Repeat(bytes) => Self::Send(bytes),
            ServerTimer::SendTrying => Self::SendTrying,
            ServerTimer::TimedOut => Self::TimedOut,
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
