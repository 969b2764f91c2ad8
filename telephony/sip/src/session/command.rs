//! What the owner asks of a session, and why an ask can be turned down.
//!
//! Plain data: the behaviour is in the sibling modules.

use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::digest::client::Identity;
use crate::flow::Hop;
use crate::message::{Headers, NameAddr, Reason, StatusCode, Uri};

/// One INVITE session, in either direction. Never used twice within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// One branch of a forked outgoing INVITE, numbered from 0 in the order the branches spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ForkId(pub u32);

/// One REFER within a session, received or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReferId(pub u32);

/// A session description and its part in the offer/answer exchange (RFC 3264).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sdp {
    /// The peer offers; give it [`Endpoint::answer`](crate::endpoint::Endpoint::answer).
    Offer(Bytes),
    Answer(Bytes),
}

/// An outgoing call.
#[derive(Clone, Debug)]
pub struct Invite {
    /// The Request-URI.
    pub target: Uri,
    /// Where the first request goes; responses and the dialog find their own way.
    pub hop: Hop,
    /// From, without a tag.
    pub from: NameAddr,
    /// To, without a tag. `None`: the target.
    pub to: Option<NameAddr>,
    /// A preloaded route set: the Path of a registration, or an outbound proxy.
    pub route: Vec<NameAddr>,
    /// Without an offer the peer makes one in its 200 or its first reliable response.
    pub offer: Option<Bytes>,
    pub reliable: ReliableProvisional,
    pub session_timer: SessionTimerWish,
    /// Sent as they stand: Alert-Info, Call-Info, Priority, P-Asserted-Identity, Replaces...
    pub headers: Headers,
    /// For answering a 401 or 407 once (RFC 3261 22).
    pub credentials: Option<Identity>,
    /// A gateway passes on what the arriving call had, less one.
    pub max_forwards: u8,
    /// After this time without a final response the call is cancelled and ends with
    /// [`EndCause::NoAnswer`](super::EndCause::NoAnswer). `None`: only Timer C holds, which starts
    /// anew with each provisional response.
    pub ring_limit: Option<Duration>,
}

impl Invite {
    /// A call with an offer and nothing special.
    pub fn new(target: Uri, hop: Hop, from: NameAddr, offer: Bytes) -> Invite {
        Invite {
            target,
            hop,
            from,
            to: None,
            route: Vec::new(),
            offer: Some(offer),
            reliable: ReliableProvisional::Supported,
            session_timer: SessionTimerWish::Supported,
            headers: Headers::default(),
            credentials: None,
            max_forwards: 70,
            ring_limit: None,
        }
    }
}

/// Reliable provisional responses (RFC 3262) on an outgoing call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReliableProvisional {
    /// Not announced.
    Off,
    #[default]
    Supported,
    Required,
}

/// Session timer (RFC 4028) on an outgoing call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionTimerWish {
    /// Not announced; the peer can still ask for one and then refreshes itself.
    Off,
    /// Announced with the interval of the settings.
    #[default]
    Supported,
}

/// A provisional response to an arriving call.
#[derive(Clone, Debug)]
pub struct Progress {
    /// 101 to 199; 100 goes out by itself.
    pub code: StatusCode,
    /// An answer to the offer in the INVITE, or an offer where the INVITE carried none.
    /// An offer needs a reliable response.
    pub sdp: Option<Bytes>,
    pub delivery: Delivery,
    pub headers: Headers,
}

impl Progress {
    pub fn ringing() -> Progress {
        Progress {
            code: StatusCode::RINGING,
            sdp: None,
            delivery: Delivery::Unreliable,
            headers: Headers::default(),
        }
    }
}

/// How a provisional response is sent (RFC 3262).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Reliable only where the caller requires it.
    #[default]
    Unreliable,
    /// Reliable where the caller supports it.
    Reliable,
}

/// A refusal of an arriving call.
#[derive(Clone, Debug)]
pub struct Reject {
    /// 300 to 699.
    pub code: StatusCode,
    /// The Reason header field (RFC 3326).
    pub reason: Option<Reason>,
    pub retry_after: Option<Duration>,
    /// Contact of a 3xx, Warning, Error-Info...
    pub headers: Headers,
}

impl Reject {
    pub fn new(code: StatusCode) -> Reject {
        Reject {
            code,
            reason: None,
            retry_after: None,
            headers: Headers::default(),
        }
    }
}

/// A REFER of ours.
#[derive(Clone, Debug)]
pub struct Refer {
    /// The whole Refer-To value; Replaces stands in its URI headers.
    pub to: NameAddr,
    pub referred_by: Option<NameAddr>,
}

/// What the owner says to a REFER of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferAnswer {
    /// 202; NOTIFYs follow with [`Endpoint::notify_refer`](crate::endpoint::Endpoint::notify_refer).
    Accept,
    Refuse(StatusCode),
}

/// Why a command was not carried out. Nothing was sent and nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    #[error("the session is over or never was: drop its id")]
    UnknownSession,
    #[error("the session is not in a state for this command: follow its events")]
    WrongState,
    #[error("an offer is open on this session: wait for its answer")]
    OfferPending,
    #[error("no listener has the transport and address family of the destination: configure one")]
    NoListener,
    #[error("the limit of sessions or transactions is reached: try again later")]
    Full,
    #[error("the status code does not fit this command: see its documentation")]
    BadCode,
}
