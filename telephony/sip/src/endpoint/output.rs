//! What an endpoint hands to its owner.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::flow::{ConnectionId, Flow, Hop};
use crate::message::{NameAddr, Request, Response, StatusCode, Uri};
use crate::registrar::{self, Store};
use crate::session::{Incoming, SessionEvent, SessionId};
use crate::subscription::SubscriptionId;

/// One step of the drain after each input.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send one message. A shell that fails reports it: `flow_closed` or `unreachable`.
    Transmit {
        to: Hop,
        bytes: Bytes,
    },
    /// Close a connection whose peer broke the framing or the limits.
    CloseFlow {
        connection: ConnectionId,
    },
    /// Write this down, then call `stored` or `store_failed` with its token.
    Store(Store),
    Event(Event),
    /// Nothing more to say; call `handle_timeout` then, or when `None` not before other input.
    Timeout(Option<Instant>),
}

/// What the owner learns.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "lives for one step only")]
pub enum Event {
    /// Answer with `progress`, `accept` or `reject`.
    Incoming(Box<Incoming>),
    Session {
        session: SessionId,
        event: SessionEvent,
    },
    /// A MESSAGE: answer with `answer_message`.
    Message(Box<IncomingMessage>),
    /// The end of a request made with `Endpoint::request`.
    RequestAnswered {
        request: RequestId,
        outcome: RequestOutcome,
    },
    /// A SUBSCRIBE to the dialog event package: accept or refuse.
    Subscribe(Box<IncomingSubscribe>),
    /// The subscription is over, accepted or not; its id means nothing any more.
    SubscriptionEnded { subscription: SubscriptionId },
    /// Stations that come and go, and sources that were barred.
    Registrar(registrar::Event),
}

/// A request of ours outside a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// A MESSAGE of a peer that waits for its response code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub u64);

/// An arriving MESSAGE (RFC 3428).
#[derive(Clone, Debug)]
pub struct IncomingMessage {
    pub message: MessageId,
    /// The session it was sent in, if it was.
    pub session: Option<SessionId>,
    pub flow: Flow,
    pub from: NameAddr,
    pub request_uri: Uri,
    pub account: Option<Arc<str>>,
    /// Content type and body stand in it.
    pub request: Request,
}

/// An arriving SUBSCRIBE for a new subscription.
#[derive(Clone, Debug)]
pub struct IncomingSubscribe {
    pub subscription: SubscriptionId,
    pub flow: Flow,
    pub from: NameAddr,
    /// Whose dialogs are watched.
    pub resource: Uri,
    pub account: Option<Arc<str>>,
    pub request: Request,
}

#[derive(Clone, Debug)]
pub enum RequestOutcome {
    Answered(Box<Response>),
    /// No final response in time, or no way to the peer.
    Failed(RequestFailure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFailure {
    Timeout,
    Unreachable,
}

impl RequestOutcome {
    /// The code, with the failures as RFC 3261 8.1.3.1 reads them.
    pub fn code(&self) -> StatusCode {
        match self {
            RequestOutcome::Answered(response) => response.status,
            RequestOutcome::Failed(RequestFailure::Timeout) => StatusCode::REQUEST_TIMEOUT,
            RequestOutcome::Failed(RequestFailure::Unreachable) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}
