//! One dialog in use: its requests under way, its offer/answer state, what the peer can do.
//!
//! Early and confirmed sessions share it. It decides nothing about the life of the session.
//! Invariant: a request of ours is in `open` from its sending to its final response.

use bytes::Bytes;

use super::command::{CommandError, ReferId, SessionId};
use super::event::SessionEvent;
use super::exchange::{Exchange, Ours, Theirs};
use super::refresh::Terms;
use crate::dialog::Dialog;
use crate::digest::client::{Answerer, Asked, Identity};
use crate::endpoint::core::{ALLOW, ContactName, Core, Draft, SUPPORTED};
use crate::endpoint::{RequestId, RequestOutcome};
use crate::message::{HeaderName, Headers, Method, Request, Response, StatusCode};
use crate::transaction::{TransactionId, User};

#[derive(Debug)]
pub(super) struct Usage {
    pub(super) dialog: Dialog,
    pub(super) exchange: Exchange,
    /// What our Contact says.
    pub(super) contact_name: ContactName,
    pub(super) peer: Peer,
    /// The descriptions in force, for refreshes and for offers that change nothing.
    pub(super) local_sdp: Option<Bytes>,
    pub(super) remote_sdp: Option<Box<[u8]>>,
    /// The peer's offer while our owner owes the answer.
    pub(super) asked_sdp: Option<Box<[u8]>>,
    /// Session timer terms for the 2xx that is owed.
    pub(super) terms: Option<Terms>,
    pub(super) auth: Option<Box<Auth>>,
    open: Vec<Open>,
}

/// What the peer has shown to understand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peer {
    /// Allow names UPDATE.
    pub(super) updates: bool,
}

impl Peer {
    pub(super) fn learn(&mut self, headers: &Headers) {
        if headers.has(HeaderName::Allow) {
            let update = Method::Update;
            self.updates = headers
                .tokens(HeaderName::Allow)
                .any(|method| method == update.as_str());
        }
    }
}

/// Our account at the peer, and its last challenge.
#[derive(Clone, Debug)]
pub(super) struct Auth {
    identity: Identity,
    answerer: Option<(Answerer, HeaderName)>,
}

/// What a request of ours is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Prack,
    /// With the offer, or `None` for a refresh.
    Update(Option<Bytes>),
    Info,
    Message(RequestId),
    Refer(ReferId),
    Notify(ReferId),
    Bye,
}

#[derive(Debug)]
struct Open {
    id: TransactionId,
    purpose: Purpose,
    /// The request, where a challenge could be answered.
    retry: Option<Box<Request>>,
}

/// What a peer can make an owner send at once, and an owner a peer.
const MAX_OPEN: usize = 32;

/// What became of a request in a dialog.
#[derive(Debug)]
pub(crate) enum Outcome {
    Response(Box<Response>),
    Timeout,
    Transport,
}

impl Outcome {
    /// RFC 3261 8.1.3.1.
    pub(crate) fn code(&self) -> StatusCode {
        match self {
            Self::Response(response) => response.status,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::Transport => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(crate) fn response(&self) -> Option<&Response> {
        match self {
            Self::Response(response) => Some(response),
            Self::Timeout | Self::Transport => None,
        }
    }

    pub(crate) fn for_owner(self) -> RequestOutcome {
        use crate::endpoint::RequestFailure::{Timeout, Unreachable};
        match self {
            Self::Response(response) => RequestOutcome::Answered(response),
            Self::Timeout => RequestOutcome::Failed(Timeout),
            Self::Transport => RequestOutcome::Failed(Unreachable),
        }
    }
}

impl Usage {
    pub(super) fn new(dialog: Dialog, contact_name: ContactName, exchange: Exchange) -> Self {
        Self {
            dialog,
            exchange,
            contact_name,
            peer: Peer::default(),
            local_sdp: None,
            remote_sdp: None,
            asked_sdp: None,
            terms: None,
            auth: None,
            open: Vec::new(),
        }
    }

    /// Sends a request in the dialog; `fill` adds what is its own.
    pub(super) fn send(
        &mut self,
        session: SessionId,
        method: Method,
        purpose: Purpose,
        core: &mut Core,
        fill: impl FnOnce(&mut Request),
    ) -> Result<TransactionId, CommandError> {
        if self.open.len() >= MAX_OPEN {
            return Err(CommandError::Full);
        }
        let hop = core.aim(self.dialog.hop().clone())?;
        let (via, token) = core.via(&hop);
        let mut request = self.dialog.request(method, &via, None);
        // RFC 3261 12.2.1.1: these refresh our target, and REFER and NOTIFY must have it too.
        if !matches!(
            request.method,
            Method::Bye | Method::Prack | Method::Info | Method::Message
        ) {
            request
                .headers
                .push(HeaderName::Contact, core.contact(&self.contact_name, &hop));
        }
        if matches!(request.method, Method::Update) {
            request.headers.push(HeaderName::Allow, ALLOW);
            request.headers.push(HeaderName::Supported, SUPPORTED);
        }
        fill(&mut request);
        let retry = self.auth.is_some().then(|| Box::new(request.clone()));
        if let Some(auth) = &mut self.auth {
            auth.sign(&mut request, core);
        }
        let id = core.send(Draft { request, token }, hop, User::Session(session));
        self.open.push(Open { id, purpose, retry });
        Ok(id)
    }

    /// Whether the transaction is one of this dialog's, without INVITE.
    pub(super) fn has_open(&self, id: TransactionId) -> bool {
        self.open.iter().any(|open| open.id == id)
    }

    pub(super) fn is_open(&self, wanted: impl Fn(&Purpose) -> bool) -> bool {
        self.open.iter().any(|open| wanted(&open.purpose))
    }

    /// The final outcome of a request of ours; `None` when the answer to a challenge took its
    /// place.
    pub(super) fn close(
        &mut self,
        session: SessionId,
        id: TransactionId,
        outcome: &Outcome,
        core: &mut Core,
    ) -> Option<Purpose> {
        let place = self.open.iter().position(|open| open.id == id)?;
        let open = self.open.swap_remove(place);
        match self.answer_challenge(session, &open, outcome, core) {
            Some(id) => {
                self.open.push(Open {
                    id,
                    retry: None,
                    ..open
                });
                None
            }
            None => Some(open.purpose),
        }
    }

    fn answer_challenge(
        &mut self,
        session: SessionId,
        open: &Open,
        outcome: &Outcome,
        core: &mut Core,
    ) -> Option<TransactionId> {
        let (auth, request, response) = (
            self.auth.as_mut()?,
            open.retry.as_ref()?,
            outcome.response()?,
        );
        if !auth.take_challenge(response) {
            return None;
        }
        let hop = core.aim(self.dialog.hop().clone()).ok()?;
        let (via, token) = core.via(&hop);
        let mut request = Request::clone(request);
        let renumbered = self.dialog.request(request.method.clone(), &via, None);
        request.headers.replace(HeaderName::Via, via);
        request
            .headers
            .replace(HeaderName::CSeq, renumbered.headers.get(HeaderName::CSeq)?);
        auth.sign(&mut request, core);
        Some(core.send(Draft { request, token }, hop, User::Session(session)))
    }

    /// What became of a request of ours, or of one the peer waits for, before the call is answered.
    pub(super) fn on_early_outcome(
        &mut self,
        session: SessionId,
        id: TransactionId,
        outcome: Outcome,
        core: &mut Core,
    ) {
        self.on_peers_transaction_lost(id);
        if outcome.code().is_provisional() {
            return;
        }
        match self.close(session, id, &outcome, core) {
            Some(Purpose::Update(Some(offer))) => {
                let response = outcome
                    .response()
                    .filter(|response| response.status.is_success());
                match response.and_then(|response| sdp_of(&response.headers, &response.body)) {
                    Some(answer) => {
                        self.agree(Some(offer), Some(answer));
                        core.event(
                            session,
                            SessionEvent::ReofferAnswered {
                                sdp: answer.clone(),
                            },
                        );
                    }
                    None => {
                        self.exchange.fall_back();
                        core.event(
                            session,
                            SessionEvent::ReofferRefused {
                                code: outcome.code(),
                            },
                        );
                    }
                }
            }
            Some(Purpose::Message(request)) => core.request_answered(request, outcome),
            Some(
                Purpose::Update(None)
                | Purpose::Prack
                | Purpose::Info
                | Purpose::Refer(_)
                | Purpose::Notify(_)
                | Purpose::Bye,
            )
            | None => {}
        }
    }

    /// The peer cannot be answered any more.
    pub(super) fn on_peers_transaction_lost(&mut self, id: TransactionId) {
        match self.exchange {
            Exchange::Asked(Theirs::Invite(tx) | Theirs::Update(tx) | Theirs::Prack(tx))
            | Exchange::Wanted(tx)
                if tx == id =>
            {
                self.asked_sdp = None;
                self.exchange.fall_back();
            }
            Exchange::Asked(_)
            | Exchange::Wanted(_)
            | Exchange::Fresh
            | Exchange::Offered(_)
            | Exchange::Settled => {}
        }
    }

    /// Nobody waits for what is under way any more.
    pub(super) fn forget_open(&mut self, core: &mut Core) {
        for open in self.open.drain(..) {
            core.table.reassign(open.id, User::Nobody);
        }
    }

    /// Sends the ACK to a 2xx (13.2.2.4).
    pub(super) fn acknowledge(
        &mut self,
        invite: TransactionId,
        number: u32,
        sdp: Option<&Bytes>,
        core: &mut Core,
    ) {
        let Ok(hop) = core.aim(self.dialog.hop().clone()) else {
            return;
        };
        let (via, _) = core.via(&hop);
        let mut ack = self.dialog.request(Method::Ack, &via, Some(number));
        if let Some(sdp) = sdp {
            ack = ack.with_body(SDP, sdp.clone());
        }
        if let Some(auth) = &mut self.auth {
            auth.sign(&mut ack, core); // RFC 3261 22.1
        }
        let to_tag = self.dialog.id().remote_tag.to_owned();
        core.acknowledge(invite, &to_tag, &ack, hop);
    }

    /// An UPDATE with an offer, or to refresh.
    pub(super) fn update(
        &mut self,
        session: SessionId,
        offer: Option<Bytes>,
        core: &mut Core,
        fill: impl FnOnce(&mut Request),
    ) -> Result<(), CommandError> {
        let purpose = Purpose::Update(offer.clone());
        let offered = offer.is_some();
        self.send(session, Method::Update, purpose, core, |request| {
            fill(request);
            if let Some(sdp) = offer {
                request.headers.push(HeaderName::ContentType, SDP);
                request.body = sdp;
            }
        })?;
        if offered {
            self.exchange = Exchange::Offered(Ours::Update);
        }
        Ok(())
    }

    /// Whether an offer is the description in force, so that nothing needs to be asked.
    pub(super) fn changes_nothing(&self, offer: &[u8]) -> bool {
        self.local_sdp.is_some() && self.remote_sdp.as_deref() == Some(offer)
    }

    pub(super) fn agree(&mut self, local: Option<Bytes>, remote: Option<&[u8]>) {
        self.exchange = Exchange::Settled;
        if local.is_some() {
            self.local_sdp = local;
        }
        if let Some(remote) = remote {
            self.remote_sdp = Some(remote.into());
        }
    }
}

impl Auth {
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            identity,
            answerer: None,
        }
    }

    /// Whether the response challenges us and an answer makes sense.
    pub(super) fn take_challenge(&mut self, response: &Response) -> bool {
        let (ask, answer) = match response.status {
            StatusCode::UNAUTHORIZED => (HeaderName::WwwAuthenticate, HeaderName::Authorization),
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => (
                HeaderName::ProxyAuthenticate,
                HeaderName::ProxyAuthorization,
            ),
            _ => return false,
        };
        let Some(next) = Answerer::choose(response.headers.all(ask)) else {
            return false;
        };
        if self
            .answerer
            .as_ref()
            .is_some_and(|(last, _)| !last.worth_answering(&next))
        {
            return false;
        }
        self.answerer = Some((next, answer));
        true
    }

    /// Adds credentials for the last challenge, if there was one.
    pub(super) fn sign(&mut self, request: &mut Request, core: &mut Core) {
        let Some((answerer, header)) = &mut self.answerer else {
            return;
        };
        let cnonce = core.tokens.token();
        let asked = Asked {
            method: request.method.as_str(),
            uri: request.uri.as_str(),
            body: &request.body,
        };
        if let Some(value) = answerer.authorization(&self.identity, asked, cnonce.as_str()) {
            request.headers.replace(header.clone(), value);
        }
    }
}

pub(super) const SDP: &str = "application/sdp";

/// The session description in a message, if it carries one and nothing else.
pub(super) fn sdp_of<'a>(headers: &Headers, body: &'a Bytes) -> Option<&'a Bytes> {
    let typed = headers
        .content_type()
        .ok()
        .flatten()
        .is_none_or(|kind| kind.is(SDP));
    (typed && !body.is_empty()).then_some(body)
}
