//! Requests of ours and the responses to them.

use std::time::Instant;

use bytes::Bytes;

use super::{Answered, Entry, Machine, Outbox, Outgoing, Side, Table, TransactionId, User};
use crate::endpoint::Output;
use crate::flow::Hop;
use crate::message::{HeaderName, Method, Response, Via};
use crate::tokens::Token;
use crate::transaction::client::Client;
use crate::transaction::client_invite::{ClientInvite, OnCancel, OnResponse};
use crate::transaction::derived;
use crate::transaction::machine::Report;

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
