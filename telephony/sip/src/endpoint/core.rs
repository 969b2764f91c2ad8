//! What sessions, subscriptions and the endpoint share: transactions, tokens, settings, the outbox.
//!
//! It writes the parts of messages that depend on where they go (Via, Contact) and who we are.
//! Invariant: every request leaves with a branch of its own and is known to the table.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use bytes::Bytes;

use super::counters::Counters;
use super::output::{Event, Output, RequestId};
use super::settings::{LargeRequests, Settings};
use crate::flow::{Destination, Flow, Hop, Transport};
use crate::message::{HeaderName, Headers, Host, Method, Request, Response, StatusCode, Uri, Via};
use crate::session::{CommandError, Outcome, SessionEvent, SessionId};
use crate::tokens::{Token, Tokens};
use crate::transaction::{Outbox, Outgoing, Table, TransactionId, User};

/// The methods we serve, for Allow.
pub(crate) const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, PRACK, UPDATE, INFO, REFER, SUBSCRIBE, NOTIFY, MESSAGE";

/// The extensions we know (RFC 3262, 3891, 4028, 3327, 5626, 4488).
pub(crate) const SUPPORTED: &str = "100rel, replaces, timer, norefersub";

/// What a Require may name.
pub(crate) const EXTENSIONS: [&str; 6] = [
    "100rel",
    "replaces",
    "timer",
    "norefersub",
    "path",
    "outbound",
];

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) table: Table,
    pub(crate) tokens: Tokens,
    pub(crate) out: Outbox,
    pub(crate) counters: Counters,
    /// The time of the input being handled.
    pub(crate) now: Instant,
}

/// What our Contact in a dialog says besides our address.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContactName {
    user: Box<str>,
    /// RFC 3261 8.1.1.8, 12.1.1: a `sips` Request-URI wants a `sips` Contact.
    secure: bool,
}

impl ContactName {
    /// Of a peer's request: the name it called us by.
    pub(crate) fn called(request: &Request) -> Self {
        Self::new(&request.uri, &request.uri)
    }

    /// Of a request of ours.
    pub(crate) fn calling(from: &Uri, target: &Uri) -> Self {
        Self::new(from, target)
    }

    fn new(named: &Uri, target: &Uri) -> Self {
        Self {
            user: named.user().unwrap_or_default().into(),
            secure: target.is_sips(),
        }
    }
}

/// A request of ours with its branch.
pub(crate) struct Draft {
    pub(crate) request: Request,
    pub(crate) token: Token,
}

impl Core {
    pub(crate) fn new(settings: Settings, tokens: Tokens, now: Instant) -> Self {
        let table = Table::new(settings.timers, settings.capacity.transactions);
        Self {
            settings,
            table,
            tokens,
            out: Outbox::new(),
            counters: Counters::default(),
            now,
        }
    }

    pub(crate) fn event(&mut self, session: SessionId, event: SessionEvent) {
        self.out
            .push_back(Output::Event(Event::Session { session, event }));
    }

    pub(crate) fn request_answered(&mut self, request: RequestId, outcome: Outcome) {
        let outcome = outcome.for_owner();
        self.out
            .push_back(Output::Event(Event::RequestAnswered { request, outcome }));
    }

    /// Fills in the listener of a destination, so that Via, Contact and socket agree.
    pub(crate) fn aim(&self, hop: Hop) -> Result<Hop, CommandError> {
        let Hop::Destination(destination) = hop else {
            return Ok(hop);
        };
        if destination.listener.is_some() {
            return Ok(Hop::Destination(destination));
        }
        let fits = self.settings.listeners.iter().find(|listener| {
            listener.transport == destination.transport
                && listener.local.is_ipv4() == destination.addr.is_ipv4()
        });
        let listener = Some(fits.ok_or(CommandError::NoListener)?.id);
        Ok(Hop::Destination(Destination {
            listener,
            ..destination
        }))
    }

    /// Our own address as the peer behind `hop` should see it.
    pub(crate) fn local(&self, hop: &Hop) -> (Host, u16) {
        let (id, seen) = match hop {
            Hop::Flow(flow) => (Some(flow.listener), Some(flow.local)),
            Hop::Destination(destination) => (destination.listener, None),
        };
        let listener = id.and_then(|id| {
            self.settings
                .listeners
                .iter()
                .find(|listener| listener.id == id)
        });
        if let Some((host, port)) = listener.and_then(|listener| listener.advertised.clone()) {
            return (host, port);
        }
        let bound = listener.map(|listener| listener.local);
        let ip = seen.map(|seen| seen.ip()).filter(|ip| !ip.is_unspecified());
        let ip = ip
            .or(bound.map(|bound| bound.ip()))
            .unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let port = bound.or(seen).map_or(0, |addr| addr.port());
        (ip.into(), port)
    }

    /// The value of a new top Via (RFC 3261 18.1.1, RFC 3581).
    pub(crate) fn via(&mut self, hop: &Hop) -> (String, Token) {
        let token = self.tokens.token();
        let (host, port) = self.local(hop);
        let mut via = String::with_capacity(96);
        let transport = hop.transport();
        write!(
            via,
            "SIP/2.0/{} {host}:{port};branch={}{token}",
            transport.via_name(),
            Via::MAGIC_COOKIE
        )
        .expect("writing to a string does not fail");
        if !transport.is_reliable() {
            via.push_str(";rport");
        }
        (via, token)
    }

    /// A Contact through which the peer behind `hop` reaches us.
    pub(crate) fn contact(&self, name: &ContactName, hop: &Hop) -> String {
        let (host, port) = self.local(hop);
        let mut contact = String::with_capacity(64);
        contact.push_str(if name.secure { "<sips:" } else { "<sip:" });
        if !name.user.is_empty() {
            contact.push_str(&name.user);
            contact.push('@');
        }
        write!(contact, "{host}:{port}").expect("writing to a string does not fail");
        // RFC 3261 26.2.2: what `sips` means needs no transport.
        if hop.transport() != Transport::Udp && !name.secure {
            contact.push_str(";transport=");
            contact.push_str(hop.transport().uri_name());
        }
        contact.push('>');
        contact
    }

    /// Sends a request that starts with its Via.
    pub(crate) fn send(&mut self, draft: Draft, hop: Hop, user: User) -> TransactionId {
        let Draft { mut request, token } = draft;
        if let Some(product) = &self.settings.product {
            request.headers.push(HeaderName::UserAgent, product);
        }
        self.counters.requests_sent.count(&request.method);
        let bytes = Bytes::from(request.to_bytes());
        let (bytes, hop, fallback) = self.fit(bytes, hop);
        let outgoing = Outgoing {
            token,
            method: request.method,
            bytes,
            hop,
            fallback,
            user,
        };
        self.table.send(outgoing, self.now, &mut self.out)
    }

    /// RFC 3261 18.1.1: a request too large for a datagram goes over TCP where that is allowed.
    fn fit(&self, bytes: Bytes, hop: Hop) -> (Bytes, Hop, Option<Box<Destination>>) {
        match (self.settings.large_requests, hop) {
            (LargeRequests::SwitchToTcp { above }, Hop::Destination(udp))
                if udp.transport == Transport::Udp && bytes.len() > above =>
            {
                let tcp = Destination {
                    transport: Transport::Tcp,
                    ..udp.clone()
                };
                let bytes = crate::transaction::over(&bytes, Transport::Udp, Transport::Tcp);
                (bytes, Hop::Destination(tcp), Some(Box::new(udp)))
            }
            (LargeRequests::SwitchToTcp { .. } | LargeRequests::StayOnUdp, hop) => {
                (bytes, hop, None)
            }
        }
    }

    /// Sends the ACK to a 2xx (13.2.2.4), and again whenever that 2xx is repeated.
    pub(crate) fn acknowledge(
        &mut self,
        invite: TransactionId,
        to_tag: &str,
        ack: &Request,
        hop: Hop,
    ) {
        self.counters.requests_sent.count(&Method::Ack);
        self.table
            .acknowledge(invite, to_tag, hop, ack.to_bytes().into(), &mut self.out);
    }

    /// A response to build on, while the transaction still owes one.
    pub(crate) fn response(&self, id: TransactionId, status: StatusCode) -> Option<Response> {
        let mut response = self.table.response(id, status)?;
        self.sign(&mut response.headers);
        Some(response)
    }

    pub(crate) fn respond(&mut self, id: TransactionId, response: &Response) -> Option<Bytes> {
        self.counters.responses_sent.count(response.status);
        self.table.respond(id, response, self.now, &mut self.out)
    }

    /// Answers with a bare code.
    pub(crate) fn answer(&mut self, id: TransactionId, status: StatusCode) {
        if let Some(response) = self.response(id, status) {
            self.respond(id, &response);
        }
    }

    /// Answers with a code and one more header.
    pub(crate) fn answer_with(
        &mut self,
        id: TransactionId,
        status: StatusCode,
        name: HeaderName,
        value: &str,
    ) {
        if let Some(response) = self.response(id, status) {
            self.respond(id, &response.with_header(name, value));
        }
    }

    /// Sends a response without a transaction.
    pub(crate) fn reply(&mut self, mut response: Response, hop: Hop) {
        self.sign(&mut response.headers);
        self.counters.responses_sent.count(response.status);
        self.out.push_back(Output::Transmit {
            to: hop,
            bytes: response.to_bytes().into(),
        });
    }

    /// The same, with a To tag of its own.
    pub(crate) fn reply_tagged(&mut self, response: Response, hop: Hop) {
        let tag = self.tokens.token();
        self.reply(response.with_to_tag(tag.as_str()), hop);
    }

    pub(crate) fn cancel(&mut self, invite: TransactionId, lines: &Bytes) {
        self.counters.requests_sent.count(&Method::Cancel);
        self.table.cancel(invite, lines, self.now, &mut self.out);
    }

    fn sign(&self, headers: &mut Headers) {
        if let Some(product) = &self.settings.product {
            headers.push(HeaderName::Server, product);
        }
    }
}

/// Where responses to a request go (RFC 3261 18.2.2, RFC 3581 4): back over a connection, or to
/// where the datagram came from, at the port the client asks for.
pub(crate) fn response_hop(flow: &Flow, via: &Via) -> Hop {
    if flow.transport.is_reliable() || via.has_rport() {
        return Hop::Flow(*flow);
    }
    let mut remote: SocketAddr = flow.remote;
    remote.set_port(via.port.unwrap_or(flow.transport.default_port()));
    Hop::Flow(Flow { remote, ..*flow })
}
