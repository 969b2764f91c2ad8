//! Requests of peers and our responses to them.

use std::time::Instant;

use bytes::Bytes;

use super::{Arriving, Entry, Found, Machine, Outbox, Owed, Side, Table, TransactionId, User};
use crate::endpoint::Output;
use crate::flow::Hop;
use crate::message::{Method, Request, Response, StatusCode, Via};
use crate::tokens::Token;
use crate::transaction::key::{MergeKey, ServerKey};
use crate::transaction::machine::Report;
use crate::transaction::server::Server;
use crate::transaction::server_invite::ServerInvite;

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
