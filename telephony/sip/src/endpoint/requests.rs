//! Requests of peers: matched to transactions, judged, admitted, authenticated, and handed to
//! whom they concern.
//!
//! Refusals and challenges leave without a transaction, so a flood of them costs no memory; the
//! ACK to such a refusal finds nothing and is counted.

use std::sync::Arc;

use super::core::{ALLOW, SUPPORTED, response_hop};
use super::judge::{Refusal, judge};
use super::output::{Event, IncomingMessage, MessageId, Output};
use super::{Endpoint, Held, InviteAuth, Load};
use crate::admission::Verdict;
use crate::flow::{Flow, Hop};
use crate::message::{HeaderName, Method, Request, Response, StatusCode};
use crate::registrar::{Authentication, Decision, Role};
use crate::session::{Arrival, Inbound, SessionId, Urgency};
use crate::subscription::{Notifier, Wish};
use crate::tokens::Token;
use crate::transaction::{Arriving, Envelope, Found, MergeKey, ServerKey, TransactionId, User};

/// A request that gets an answer from us.
struct Pending<'a> {
    flow: &'a Flow,
    request: Request,
    envelope: Envelope,
    key: ServerKey,
    merge: Option<MergeKey>,
    /// Where responses go.
    hop: Hop,
}

/// How the sender of a request stands to us.
enum Sender {
    /// Known by its digest.
    Account(Arc<str>),
    /// Trusted, or not asked.
    Anybody,
    /// It was answered, or is to hear nothing.
    Dealt,
}

impl Sender {
    /// `None`: the request is dealt with.
    fn admitted(self) -> Option<Option<Arc<str>>> {
        match self {
            Self::Account(account) => Some(Some(account)),
            Self::Anybody => Some(None),
            Self::Dealt => None,
        }
    }
}

impl Endpoint {
    pub(super) fn on_request(&mut self, flow: &Flow, mut request: Request) {
        let core = &mut self.core;
        core.counters.requests_received.count(&request.method);
        let Some(envelope) = Envelope::of(&request) else {
            core.counters.refused.malformed += 1;
            return;
        };
        let key = ServerKey::of(&request, &envelope);
        match core
            .table
            .on_request(&key, &request, core.now, &mut core.out)
        {
            Some(Found::Repeated) => {
                core.counters.repeated_requests += 1;
                return;
            }
            Some(Found::Ack) => return self.on_ack(&request, &envelope),
            None if request.method == Method::Ack => return self.on_ack(&request, &envelope),
            None => {}
        }
        let mut via = envelope.via.clone();
        via.note_source(flow.remote);
        request.headers.set_via_top(&via);
        let hop = response_hop(flow, &via);
        if request.method == Method::Cancel {
            return self.on_cancel(&request, &envelope, hop);
        }
        let merge = MergeKey::of(&envelope);
        if let Err(refusal) = judge(&request, &envelope, merge.as_ref(), &mut self.core) {
            return self.refuse_request(&request, hop, refusal);
        }
        let pending = Pending {
            flow,
            request,
            envelope,
            key,
            merge,
            hop,
        };
        if self.core.table.is_full() {
            return self.refuse_overload(&pending);
        }
        if pending.envelope.to_tag.is_some() {
            self.on_within(pending);
        } else {
            self.on_outside(pending);
        }
    }

    fn on_ack(&mut self, request: &Request, envelope: &Envelope) {
        let (call_id, from_tag) = (&envelope.call_id, envelope.from_tag.as_deref());
        let session = envelope
            .to_tag
            .as_deref()
            .and_then(|to_tag| self.sessions.find(call_id, to_tag, from_tag));
        match session {
            Some(id) => self
                .sessions
                .on_ack(id, envelope.cseq.number, request, &mut self.core),
            None => self.core.counters.stray_acks += 1,
        }
    }

    /// RFC 3261 9.2. The CANCEL is answered by what it finds.
    fn on_cancel(&mut self, request: &Request, envelope: &Envelope, hop: Hop) {
        let invite = self
            .core
            .table
            .find(&ServerKey::of_cancelled(request, envelope));
        let Some((tx, user)) = invite else {
            self.core.counters.refused.unknown_dialog += 1;
            return self.refuse_request(
                request,
                hop,
                Refusal::new(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
            );
        };
        let tag = self
            .core
            .table
            .to_tag(tx)
            .unwrap_or_else(|| self.core.tokens.token());
        self.core.reply(
            Response::answering(request, StatusCode::OK).with_to_tag(tag.as_str()),
            hop,
        );
        if let User::Session(id) = user {
            self.sessions.on_cancel(id, tx, request, &mut self.core);
        }
    }

    /// Requests within a dialog.
    fn on_within(&mut self, pending: Pending<'_>) {
        let (call_id, from_tag) = (
            &pending.envelope.call_id,
            pending.envelope.from_tag.as_deref(),
        );
        let to_tag = pending.envelope.to_tag.as_deref().unwrap_or_default();
        let number = pending.envelope.cseq.number;
        if let Some(id) = self.sessions.find(call_id, to_tag, from_tag) {
            if pending.request.method == Method::Message && self.sessions.is_owned(id) {
                return self.on_message_request(pending, Some(id), None);
            }
            let flow = pending.flow;
            let (tx, request) = self.take(pending, User::Session(id));
            let inbound = Inbound {
                request: &request,
                tx,
                flow,
                number,
            };
            return self.sessions.on_request(id, &inbound, &mut self.core);
        }
        if let Some(id) = self.notifier.find(call_id, to_tag, from_tag) {
            let flow = pending.flow;
            let (tx, request) = self.take(pending, User::Subscription(id));
            let inbound = Inbound {
                request: &request,
                tx,
                flow,
                number,
            };
            return self.notifier.on_refresh(id, &inbound, &mut self.core);
        }
        if pending.request.method == Method::Register {
            // A To tag means nothing there.
            return self.on_register(pending);
        }
        self.core.counters.refused.unknown_dialog += 1;
        self.turn_down(
            &pending,
            Refusal::new(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
        );
    }

    /// Requests outside any dialog.
    fn on_outside(&mut self, pending: Pending<'_>) {
        match &pending.request.method {
            Method::Invite => self.on_invite(pending),
            Method::Register => self.on_register(pending),
            Method::Options => self.on_options(&pending),
            Method::Message | Method::Subscribe if !self.has_room(Urgency::Normal) => {
                self.refuse_overload(&pending);
            }
            Method::Message => {
                if let Some(account) = self.sender(&pending).admitted() {
                    self.on_message_request(pending, None, account);
                }
            }
            Method::Subscribe => self.on_subscribe(pending),
            Method::Refer => self.turn_down(&pending, Refusal::new(StatusCode::FORBIDDEN)),
            Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Prack
            | Method::Update
            | Method::Info
            | Method::Notify
            | Method::Publish
            | Method::Other(_) => {
                self.core.counters.refused.unknown_dialog += 1;
                self.turn_down(
                    &pending,
                    Refusal::new(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
                );
            }
        }
    }

    fn on_invite(&mut self, pending: Pending<'_>) {
        let request = &pending.request;
        let urgency = self
            .admission
            .settings()
            .emergency
            .urgency(&request.uri, &request.headers);
        if !self.has_room(urgency) {
            return self.refuse_overload(&pending);
        }
        let source = pending.flow.remote.ip();
        if !self.is_trusted(pending.flow)
            && self.admission.invite(source, urgency, self.core.now) != Verdict::Pass
        {
            self.core.counters.refused.call_rate += 1;
            return self.refuse_busy(&pending);
        }
        let Some(account) = self.sender(&pending).admitted() else {
            return;
        };
        let replaces = match pending.request.headers.replaces() {
            Ok(None) => None,
            Ok(Some(replaces)) => match self.sessions.replaced(&replaces) {
                Ok(session) => Some(session),
                Err(status) => return self.turn_down(&pending, Refusal::new(status)),
            },
            Err(_) => return self.turn_down(&pending, Refusal::new(StatusCode::BAD_REQUEST)),
        };
        let id = self.sessions.next_id();
        let flow = pending.flow;
        let tag = self.core.tokens.token();
        let (tx, request) = self.take_with_tag(pending, User::Session(id), tag);
        let arrival = Arrival {
            request,
            tx,
            tag,
            flow,
            account,
            urgency,
            replaces,
        };
        self.sessions.arrive(id, arrival, &mut self.core);
    }

    /// Whether a new call fits. Emergency calls have what lies above the soft limits to themselves.
    fn has_room(&self, urgency: Urgency) -> bool {
        let capacity = &self.core.settings.capacity;
        let (sessions, transactions) = match urgency {
            Urgency::Emergency => (capacity.sessions, capacity.transactions),
            Urgency::Normal if self.load == Load::Overloaded => return false,
            Urgency::Normal => (capacity.sessions_soft, capacity.transactions_soft),
        };
        self.sessions.len() < sessions && self.core.table.len() < transactions
    }

    fn on_register(&mut self, pending: Pending<'_>) {
        let Some(registrar) = &mut self.registrar else {
            self.core.counters.refused.unsupported += 1;
            let refusal = Refusal::with(StatusCode::METHOD_NOT_ALLOWED, HeaderName::Allow, ALLOW);
            return self.turn_down(&pending, refusal);
        };
        match registrar.register(&pending.request, pending.flow, self.core.now) {
            Decision::Silence => {}
            Decision::Answer(answer) => {
                self.core
                    .reply_tagged(answer.to_response(&pending.request), pending.hop);
            }
            Decision::Held(token) => {
                let held = if self.core.table.len() < self.core.settings.capacity.transactions_soft
                {
                    Held::Transaction(self.take(pending, User::Nobody).0)
                } else {
                    Held::Stateless {
                        headers: Box::new(pending.request.headers),
                        hop: pending.hop,
                    }
                };
                self.held.insert(token, held);
            }
        }
    }

    /// RFC 3261 11.2.
    fn on_options(&mut self, pending: &Pending<'_>) {
        let response = Response::answering(&pending.request, StatusCode::OK)
            .with_header(HeaderName::Allow, ALLOW)
            .with_header(
                HeaderName::Accept,
                "application/sdp, application/dtmf-relay, application/dtmf",
            )
            .with_header(HeaderName::AcceptEncoding, "identity")
            .with_header(HeaderName::AllowEvents, "dialog, refer")
            .with_header(HeaderName::Supported, SUPPORTED);
        self.core.reply_tagged(response, pending.hop.clone());
    }

    fn on_message_request(
        &mut self,
        pending: Pending<'_>,
        session: Option<SessionId>,
        account: Option<Arc<str>>,
    ) {
        let Ok(from) = pending.request.headers.from() else {
            return;
        };
        self.last_message += 1;
        let message = MessageId(self.last_message);
        let (flow, number) = (*pending.flow, pending.envelope.cseq.number);
        let (tx, request) = self.take(pending, User::Message(message));
        let inbound = Inbound {
            request: &request,
            tx,
            flow: &flow,
            number,
        };
        if session.is_some_and(|id| !self.sessions.take_number(id, &inbound, &mut self.core)) {
            return;
        }
        self.messages.insert(message, tx);
        let request_uri = request.uri.clone();
        let incoming = IncomingMessage {
            message,
            session,
            flow,
            from,
            request_uri,
            account,
            request,
        };
        self.core
            .out
            .push_back(Output::Event(Event::Message(Box::new(incoming))));
    }

    fn on_subscribe(&mut self, pending: Pending<'_>) {
        if let Err((status, name, value)) = Notifier::judge(&pending.request) {
            self.core.counters.refused.unsupported += 1;
            return self.turn_down(&pending, Refusal::with(status, name, value));
        }
        if self.notifier.len() >= self.core.settings.capacity.subscriptions {
            return self.refuse_overload(&pending);
        }
        let Some(account) = self.sender(&pending).admitted() else {
            return;
        };
        let id = self.notifier.next_id();
        let flow = pending.flow;
        let tag = self.core.tokens.token();
        let (tx, request) = self.take_with_tag(pending, User::Subscription(id), tag);
        self.notifier.arrive(
            id,
            Wish {
                request,
                tx,
                tag,
                flow,
                account,
            },
            &mut self.core,
        );
    }

    /// Asks for credentials where the listener wants them (RFC 3261 22.2).
    fn sender(&mut self, pending: &Pending<'_>) -> Sender {
        let listener = pending.flow.listener;
        let listeners = &self.core.settings.listeners;
        let policy = listeners
            .iter()
            .find(|l| l.id == listener)
            .map_or(InviteAuth::default(), |l| l.invite_auth);
        if policy == InviteAuth::None || self.is_trusted(pending.flow) {
            return Sender::Anybody;
        }
        let from = pending.request.headers.from().ok();
        let Some(registrar) = &mut self.registrar else {
            return match policy {
                InviteAuth::Everybody => self.forbid(pending),
                InviteAuth::Accounts | InviteAuth::None => Sender::Anybody,
            };
        };
        let user = from
            .as_ref()
            .and_then(|from| registrar.address_of_record(&from.uri));
        let user = user.filter(|user| registrar.has_account(user));
        let Some(user) = user else {
            return match policy {
                InviteAuth::Everybody => self.forbid(pending),
                InviteAuth::Accounts | InviteAuth::None => Sender::Anybody,
            };
        };
        match registrar.authenticate(
            &pending.request,
            &user,
            Role::Server,
            pending.flow,
            self.core.now,
        ) {
            Authentication::Granted(account) => Sender::Account(account),
            Authentication::Answer(answer) => {
                self.core.counters.refused.unauthorized += 1;
                self.core
                    .reply_tagged(answer.to_response(&pending.request), pending.hop.clone());
                Sender::Dealt
            }
            Authentication::Silence => Sender::Dealt,
        }
    }

    fn forbid(&mut self, pending: &Pending<'_>) -> Sender {
        self.core.counters.refused.unauthorized += 1;
        self.turn_down(pending, Refusal::new(StatusCode::FORBIDDEN));
        Sender::Dealt
    }

    /// Gives a request its transaction.
    fn take(&mut self, pending: Pending<'_>, user: User) -> (TransactionId, Request) {
        let tag = self.core.tokens.token();
        self.take_with_tag(pending, user, tag)
    }

    fn take_with_tag(
        &mut self,
        pending: Pending<'_>,
        user: User,
        to_tag: Token,
    ) -> (TransactionId, Request) {
        let Pending {
            request,
            key,
            merge,
            hop,
            ..
        } = pending;
        let arriving = Arriving {
            key,
            merge,
            request: &request,
            to_tag,
            hop,
            user,
        };
        let tx = self.core.table.accept(arriving, self.core.now);
        (tx, request)
    }

    fn turn_down(&mut self, pending: &Pending<'_>, refusal: Refusal) {
        self.refuse_request(&pending.request, pending.hop.clone(), refusal);
    }

    fn refuse_request(&mut self, request: &Request, hop: Hop, refusal: Refusal) {
        let mut response = Response::answering(request, refusal.status);
        if let Some((name, value)) = refusal.header {
            response.headers.push(name, value);
        }
        self.core.reply_tagged(response, hop);
    }

    fn refuse_overload(&mut self, pending: &Pending<'_>) {
        self.core.counters.refused.overload += 1;
        self.refuse_busy(pending);
    }

    /// RFC 3261 21.5.4.
    fn refuse_busy(&mut self, pending: &Pending<'_>) {
        let seconds = self
            .core
            .settings
            .capacity
            .retry_after
            .as_secs()
            .max(1)
            .to_string();
        self.turn_down(
            pending,
            Refusal::with(
                StatusCode::SERVICE_UNAVAILABLE,
                HeaderName::RetryAfter,
                seconds,
            ),
        );
    }
}
