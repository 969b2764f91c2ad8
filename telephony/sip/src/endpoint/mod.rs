//! The SIP endpoint: bytes of all flows in, messages and events out.
//!
//! It composes framing, parsing, admission, registrar, transactions, sessions and subscriptions;
//! it decides nothing about who may call whom and reads no clock. The public methods of
//! [`Endpoint`] are its inputs; after each of them the owner drains [`Endpoint::poll_output`] until
//! it says `Timeout`. Invariant: after a drain no deadline lies in the past and nothing waits to
//! be said.
//!
//! What a shell does with it: each datagram and each piece of a stream goes to `receive`, each
//! connection that comes or goes to `flow_opened` and `flow_closed`, each failed connect to
//! `unreachable`. `Transmit` to a flow goes out there; to a destination over a connection there
//! is, or a new one. `Store` is written down and confirmed with `stored`.

mod calls;
pub(crate) mod core;
mod counters;
mod judge;
mod output;
mod receive;
mod requests;
mod settings;
mod stun;

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;

pub use counters::{ByClass, ByMethod, Counters, Refusals};
pub use output::{
    Event, IncomingMessage, IncomingSubscribe, MessageId, Output, RequestFailure, RequestId,
    RequestOutcome,
};
pub use settings::{Capacity, InviteAuth, LargeRequests, Listener, SessionTimerSettings, Settings};

use self::core::Core;
use crate::admission::{Admission, EmergencyMarks};
use crate::flow::{ConnectionId, Destination, Flow, Hop};
use crate::framer::Framer;
use crate::message::{Headers, Method, NameAddr, Uri};
use crate::registrar::{self, Account, Registrar, Restored, StoreToken, StoredBinding};
use crate::session::{Outcome, Sessions, end_if_answer};
use crate::subscription::Notifier;
use crate::tokens::Tokens;
use crate::transaction::{Due, Failed, TransactionId, User};

/// See the module.
#[derive(Debug)]
pub struct Endpoint {
    core: Core,
    admission: Admission,
    sessions: Sessions,
    notifier: Notifier,
    registrar: Option<Registrar>,
    /// REGISTERs whose answer waits for the store.
    held: HashMap<StoreToken, Held>,
    connections: HashMap<ConnectionId, Connection>,
    messages: HashMap<MessageId, TransactionId>,
    load: Load,
    last_request: u64,
    last_message: u64,
}

#[derive(Debug)]
struct Connection {
    framer: Framer,
    trust: Trust,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// As the listener and the networks of the settings say.
    Usual,
    Given,
}

/// What the answer to a REGISTER is made of.
#[derive(Debug)]
enum Held {
    Transaction(TransactionId),
    /// Without a transaction, when those are scarce.
    Stateless {
        headers: Box<Headers>,
        hop: Hop,
    },
}

/// A request outside a dialog: MESSAGE, OPTIONS and the like.
#[derive(Clone, Debug)]
pub struct OutgoingRequest {
    /// Not INVITE, ACK, CANCEL or REGISTER.
    pub method: Method,
    pub target: Uri,
    pub hop: Hop,
    pub from: NameAddr,
    pub to: Option<NameAddr>,
    pub route: Vec<NameAddr>,
    /// Content-Type stands here when there is a body.
    pub headers: Headers,
    pub body: Bytes,
}

/// How busy the owner is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Load {
    #[default]
    Normal,
    /// New calls that are no emergency are refused with 503 and Retry-After.
    Overloaded,
}

impl Endpoint {
    /// All tags, branches, Call-IDs and nonces come from `seed`: who knows it can foretell them,
    /// so the shell takes it from the operating system.
    pub fn new(settings: Settings, seed: [u8; 32], now: Instant) -> Self {
        let mut tokens = Tokens::new(seed);
        let registrar = settings.registrar.clone().map(|mut settings| {
            settings.nonces.secret = tokens.fork();
            Registrar::new(settings, 0, now)
        });
        Self {
            admission: Admission::new(settings.admission.clone()),
            core: Core::new(settings, tokens, now),
            sessions: Sessions::default(),
            notifier: Notifier::default(),
            registrar,
            held: HashMap::new(),
            connections: HashMap::new(),
            messages: HashMap::new(),
            load: Load::Normal,
            last_request: 0,
            last_message: 0,
        }
    }

    /// One datagram, or a piece of a stream as it was read.
    pub fn receive(&mut self, flow: &Flow, bytes: impl AsRef<[u8]>, now: Instant) {
        let bytes = bytes.as_ref();
        self.advance(now);
        if flow.transport.is_reliable() {
            self.on_stream(flow, bytes);
        } else {
            self.on_datagram(flow, bytes);
        }
    }

    /// A connection came up, by whomever it was opened.
    pub fn flow_opened(&mut self, flow: &Flow, now: Instant) {
        self.advance(now);
        self.connect(flow);
    }

    /// A connection is gone: what waits on it fails now.
    pub fn flow_closed(&mut self, flow: &Flow, now: Instant) {
        self.advance(now);
        let connection = self.connections.remove(&flow.connection);
        if let Some(registrar) = &mut self.registrar {
            registrar.flow_closed(flow);
        }
        // A peer that is known by its certificate comes back and says so (`moved`); where it was is no
        // place to look for it.
        if connection.is_none_or(|connection| connection.trust == Trust::Usual) {
            self.sessions.connection_closed(flow);
        }
        for failed in self.core.table.connection_closed(flow) {
            self.core.counters.transport_failures += 1;
            self.fail(failed, Outcome::Transport);
        }
    }

    /// A connection to this destination could not be opened.
    pub fn unreachable(&mut self, destination: &Destination, now: Instant) {
        self.advance(now);
        for failed in self
            .core
            .table
            .unreachable(destination, self.core.now, &mut self.core.out)
        {
            self.core.counters.transport_failures += 1;
            self.fail(failed, Outcome::Transport);
        }
    }

    /// Does what is due; nothing when nothing is.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    pub fn poll_output(&mut self) -> Output {
        loop {
            if let Some(output) = self.core.out.pop_front() {
                return output;
            }
            let step = self.registrar.as_mut().map(Registrar::poll_output);
            let registrar = match step {
                Some(registrar::Output::Timeout(at)) => at,
                Some(step) => {
                    self.on_registrar(step);
                    continue;
                }
                None => None,
            };
            let deadlines = [
                self.core.table.deadline(),
                self.sessions.deadline(),
                self.notifier.deadline(),
                registrar,
            ];
            return Output::Timeout(deadlines.into_iter().flatten().min());
        }
    }

    /// Whatever arrives over this connection counts as coming from a trusted peer (a client
    /// certificate the owner has checked): no digest, no limits per source.
    pub fn trust(&mut self, connection: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.trust = Trust::Given;
        }
    }

    /// The peer of a trusted connection, which may be gone, has this one now: its calls go on over it.
    pub fn moved(&mut self, from: ConnectionId, to: &Flow) {
        self.sessions.moved(from, to);
    }

    pub fn set_emergency(&mut self, marks: EmergencyMarks) {
        self.admission.set_emergency(marks);
    }

    pub fn set_load(&mut self, load: Load) {
        self.load = load;
    }

    pub fn counters(&self) -> &Counters {
        &self.core.counters
    }

    /// Sessions alive, those that only finish their work on the wire among them.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    pub fn transaction_count(&self) -> usize {
        self.core.table.len()
    }

    /// Sources whose rates are remembered.
    pub fn source_count(&self) -> usize {
        self.admission.remembered()
    }

    pub fn subscription_count(&self) -> usize {
        self.notifier.len()
    }

    fn advance(&mut self, now: Instant) {
        let core = &mut self.core;
        core.now = core.now.max(now);
        while let Some(due) = self
            .core
            .table
            .handle_timeout(self.core.now, &mut self.core.out)
        {
            if let Due::TimedOut(failed) = due {
                self.core.counters.timeouts += 1;
                self.fail(failed, Outcome::Timeout);
            }
        }
        while self.sessions.handle_timeout(&mut self.core) {}
        while self.notifier.handle_timeout(&mut self.core) {}
        if let Some(registrar) = &mut self.registrar {
            registrar.handle_timeout(self.core.now);
        }
    }

    /// Tells the user of a transaction what became of it.
    fn fail(&mut self, failed: Failed, outcome: Outcome) {
        self.on_outcome(failed.id, failed.user, outcome);
    }

    fn on_outcome(&mut self, tx: TransactionId, user: User, outcome: Outcome) {
        match user {
            User::Session(id) => self.sessions.on_outcome(id, tx, outcome, &mut self.core),
            User::Abandoned => end_if_answer(tx, &outcome, &mut self.core),
            User::Subscription(id) => self.notifier.on_outcome(id, tx, &outcome, &mut self.core),
            User::Request(id) if outcome.code().is_final() => {
                self.core.request_answered(id, outcome);
            }
            User::Message(id) => {
                self.messages.remove(&id);
            }
            User::Request(_) | User::Nobody => {}
        }
    }
}

/// The registrar within.
impl Endpoint {
    /// For reading: contacts of a station, counters.
    pub fn registrar(&self) -> Option<&Registrar> {
        self.registrar.as_ref()
    }

    /// These are all accounts from now on.
    pub fn set_accounts(&mut self, accounts: impl IntoIterator<Item = Account>, now: Instant) {
        self.advance(now);
        if let Some(registrar) = &mut self.registrar {
            registrar.set_accounts(accounts);
        }
    }

    /// Where a station is reached, best first.
    pub fn contacts(&self, aor: &str, now: Instant) -> Vec<registrar::Contact<'_>> {
        self.registrar
            .as_ref()
            .map(|registrar| registrar.contacts(aor, now))
            .unwrap_or_default()
    }

    /// Takes back what the store kept; see [`Registrar::restore`].
    pub fn restore(
        &mut self,
        bindings: impl IntoIterator<Item = (impl AsRef<str>, StoredBinding)>,
        now: Instant,
    ) -> Restored {
        self.advance(now);
        self.registrar
            .as_mut()
            .map(|registrar| registrar.restore(bindings, now))
            .unwrap_or_default()
    }

    /// The store has written the order down.
    pub fn stored(&mut self, token: StoreToken, now: Instant) {
        self.advance(now);
        if let Some(registrar) = &mut self.registrar {
            registrar.stored(token);
        }
    }

    /// The store could not write.
    pub fn store_failed(&mut self, token: StoreToken, now: Instant) {
        self.advance(now);
        if let Some(registrar) = &mut self.registrar {
            registrar.store_failed(token, self.core.now);
        }
    }

    fn on_registrar(&mut self, output: registrar::Output) {
        match output {
            registrar::Output::Store(store) => self.core.out.push_back(Output::Store(store)),
            registrar::Output::Event(event) => {
                self.core
                    .out
                    .push_back(Output::Event(Event::Registrar(event)));
            }
            registrar::Output::Answer { token, answer } => match self.held.remove(&token) {
                Some(Held::Transaction(tx)) => {
                    if let Some(mut response) = self.core.response(tx, answer.status) {
                        for (name, value) in &answer.headers {
                            response.headers.push(name.clone(), value);
                        }
                        self.core.respond(tx, &response);
                    }
                }
                Some(Held::Stateless { headers, hop }) => {
                    let mut response = crate::message::Response::echoing(&headers, answer.status);
                    for (name, value) in answer.headers {
                        response.headers.push(name, value);
                    }
                    self.core.reply_tagged(response, hop);
                }
                None => {}
            },
            registrar::Output::Timeout(_) => {}
        }
    }
}
