//! The SIP endpoint: bytes of all flows in, messages and events out.
//!
//! It composes framing, parsing, admission, transactions, sessions and subscriptions; it decides
//! nothing about who may call whom and reads no clock. The public methods of [`Endpoint`] are its
//! inputs; after each of them the owner drains [`Endpoint::poll_output`] until it says `Timeout`.
//! Invariant: after a drain no deadline lies in the past and nothing waits to be said.

mod output;
mod settings;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

pub use output::{
    Event, IncomingMessage, IncomingSubscribe, MessageId, Output, RequestFailure, RequestId,
    RequestOutcome,
};
pub use settings::{Capacity, InviteAuth, LargeRequests, Listener, SessionTimerSettings, Settings};

use crate::admission::EmergencyMarks;
use crate::flow::{ConnectionId, Destination, Flow, Hop};
use crate::message::{Headers, Method, NameAddr, Reason, Replaces, StatusCode, Uri};
use crate::session::{
    CommandError, Invite, Progress, Refer, ReferAnswer, ReferId, Reject, SessionId,
};
use crate::subscription::{DialogInfo, SubscriptionId};

/// See the module.
#[derive(Debug)]
pub struct Endpoint {
    settings: Settings,
    outputs: VecDeque<Output>,
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
    pub fn new(settings: Settings, _seed: [u8; 32], _now: Instant) -> Self {
        Self {
            settings,
            outputs: VecDeque::new(),
        }
    }

    /// One datagram, or a piece of a stream as it was read.
    pub fn receive(&mut self, _flow: &Flow, _bytes: Bytes, _now: Instant) {}

    /// A connection came up, by whomever it was opened.
    pub fn flow_opened(&mut self, _flow: &Flow, _now: Instant) {}

    /// A connection is gone: what waits on it fails now.
    pub fn flow_closed(&mut self, _flow: &Flow, _now: Instant) {}

    /// A message to this destination could not be sent.
    pub fn unreachable(&mut self, _destination: &Destination, _now: Instant) {}

    pub fn handle_timeout(&mut self, _now: Instant) {}

    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or(Output::Timeout(None))
    }

    /// Whatever arrives over this connection counts as coming from a trusted peer (a client
    /// certificate the owner has checked): no digest, no limits per source.
    pub fn trust(&mut self, _connection: ConnectionId) {}

    pub fn set_emergency(&mut self, marks: EmergencyMarks) {
        self.settings.admission.emergency = marks;
    }

    pub fn set_load(&mut self, _load: Load) {}
}

/// Calls.
impl Endpoint {
    /// Starts a call.
    pub fn invite(&mut self, _invite: Invite, _now: Instant) -> Result<SessionId, CommandError> {
        Err(CommandError::NoListener)
    }

    /// Sends 101-199 to a caller.
    pub fn progress(
        &mut self,
        _session: SessionId,
        _progress: Progress,
        _now: Instant,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// Answers an arriving call with 200. `sdp` is the answer, or the offer where the INVITE had
    /// none; `None` where a reliable provisional response finished the exchange.
    pub fn accept(
        &mut self,
        _session: SessionId,
        _sdp: Option<Bytes>,
        _now: Instant,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// Refuses an arriving call.
    pub fn reject(
        &mut self,
        _session: SessionId,
        _reject: Reject,
        _now: Instant,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// Ends a session in whatever state it is: CANCEL, 487, BYE or ACK and BYE. `Ended` follows in
    /// the same drain; what is left to do on the wire needs no owner.
    pub fn end(
        &mut self,
        _session: SessionId,
        _reason: Option<Reason>,
        _now: Instant,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// Offers a new description within a confirmed session (re-INVITE), or in an early dialog
    /// whose first exchange is finished (UPDATE). Glare is resolved here.
    pub fn reoffer(
        &mut self,
        _session: SessionId,
        _sdp: Bytes,
        _now: Instant,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// Gives the answer to the offer the peer has made, wherever it travelled; or the offer after
    /// `OfferWanted`.
    pub fn answer(
        &mut self,
        _session: SessionId,
        _sdp: Bytes,
        _now: Instant,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// Refuses a `Reoffer` or `OfferWanted` (488 and the like); the session goes on as it was.
    pub fn refuse(
        &mut self,
        _session: SessionId,
        _code: StatusCode,
        _now: Instant,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// Asks the peer to call somebody else.
    pub fn refer(
        &mut self,
        _session: SessionId,
        _refer: Refer,
        _now: Instant,
    ) -> Result<ReferId, CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// Accepts or refuses the peer's REFER.
    pub fn answer_refer(
        &mut self,
        _session: SessionId,
        _refer: ReferId,
        _answer: ReferAnswer,
        _now: Instant,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// Tells how the call asked for by an accepted REFER fares; a final code finishes it.
    pub fn notify_refer(
        &mut self,
        _session: SessionId,
        _refer: ReferId,
        _code: StatusCode,
        _now: Instant,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// Sends INFO.
    pub fn info(
        &mut self,
        _session: SessionId,
        _content_type: &str,
        _body: Bytes,
        _now: Instant,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// Sends one DTMF digit as `application/dtmf-relay`.
    pub fn digit(
        &mut self,
        _session: SessionId,
        _digit: char,
        _duration: Duration,
        _now: Instant,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// How a Replaces header names this session, for the Refer-To of an attended transfer. Seen
    /// from the peer of the session.
    pub fn replaces(&self, _session: SessionId) -> Option<Replaces> {
        None
    }
}

/// Requests outside calls, and subscriptions.
impl Endpoint {
    /// Sends a request; `RequestAnswered` follows.
    pub fn request(
        &mut self,
        _request: OutgoingRequest,
        _now: Instant,
    ) -> Result<RequestId, CommandError> {
        Err(CommandError::NoListener)
    }

    /// Answers an arriving MESSAGE.
    pub fn answer_message(
        &mut self,
        _message: MessageId,
        _code: StatusCode,
        _now: Instant,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// Accepts a subscription; the first NOTIFY carries `state`.
    pub fn accept_subscription(
        &mut self,
        _subscription: SubscriptionId,
        _state: &DialogInfo,
        _now: Instant,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownSession)
    }

    pub fn refuse_subscription(
        &mut self,
        _subscription: SubscriptionId,
        _code: StatusCode,
        _now: Instant,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownSession)
    }

    /// Publishes the state of the watched resource; sent at most once a second (RFC 4235 3.10),
    /// the latest state wins.
    pub fn notify(
        &mut self,
        _subscription: SubscriptionId,
        _state: &DialogInfo,
        _now: Instant,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownSession)
    }
}
