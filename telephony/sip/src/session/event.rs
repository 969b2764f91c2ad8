//! What a session tells its owner.
//!
//! Invariant: a session id is announced once ([`Event::Incoming`](crate::endpoint::Event) or the
//! return of `invite`), and ends with exactly one `Rejected` or `Ended`, also when the owner itself
//! ended it. After that event the id means nothing any more.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::command::{ForkId, ReferId, Sdp, SessionId};
use crate::flow::Flow;
use crate::message::{NameAddr, Reason, Replaces, Request, Response, StatusCode, Uri};

/// An arriving call.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub session: SessionId,
    pub flow: Flow,
    pub from: NameAddr,
    pub to: NameAddr,
    pub request_uri: Uri,
    pub contact: Option<Uri>,
    /// The account whose digest the INVITE carried, if one was asked for and given.
    pub account: Option<Arc<str>>,
    pub urgency: Urgency,
    /// `None`: the caller wants the offer in our answer.
    pub offer: Option<Bytes>,
    /// The session this call asks to replace (RFC 3891); it is found, alive and ours.
    pub replaces: Option<SessionId>,
    /// The whole request, for Alert-Info, Call-Info, History-Info and the like.
    pub request: Request,
}

/// Whether a call passes the soft limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Urgency {
    #[default]
    Normal,
    /// By the marks the owner set: see [`EmergencyMarks`](crate::admission::EmergencyMarks).
    Emergency,
}

/// What happens in a session.
#[derive(Clone, Debug)]
pub enum SessionEvent {
    /// A provisional response other than 100.
    Progress {
        code: StatusCode,
        fork: ForkId,
        sdp: Option<Sdp>,
        response: Box<Response>,
    },
    /// The outgoing call was answered; other forks are ended by this core.
    /// After an [`Sdp::Offer`] the owner answers and only then the ACK goes out.
    Accepted {
        fork: ForkId,
        /// `None`: the exchange was finished before (reliable provisional, PRACK or UPDATE).
        sdp: Option<Sdp>,
        response: Box<Response>,
    },
    /// The ACK to our 200 of an arriving call is here; with the answer if we had offered.
    Confirmed { answer: Option<Bytes> },
    /// The outgoing call came to nothing. Terminal.
    Rejected(Rejection),
    /// The peer offers (hold, codec change): answer or refuse.
    Reoffer { sdp: Bytes },
    /// The peer sent a re-INVITE without an offer: `answer` with an offer of ours;
    /// its answer comes as `ReofferAnswered`.
    OfferWanted,
    /// The answer to our offer, wherever it travelled.
    ReofferAnswered { sdp: Bytes },
    /// Our offer was refused (or could not be delivered): the earlier state stays valid.
    ReofferRefused { code: StatusCode },
    /// A digit by INFO (`application/dtmf-relay`, `application/dtmf`).
    Digit { digit: char, duration: Duration },
    /// Any other INFO; answered 200 already.
    Info { content_type: String, body: Bytes },
    /// The peer asks us to call somebody (RFC 3515): answer with `answer_refer`.
    Refer {
        refer: ReferId,
        to: Uri,
        replaces: Option<Replaces>,
        referred_by: Option<NameAddr>,
    },
    /// Progress of our REFER: the first event tells whether it was accepted (202) or refused.
    ReferProgress {
        refer: ReferId,
        code: StatusCode,
        state: ReferState,
    },
    /// The session is over. Terminal.
    Ended {
        cause: EndCause,
        reason: Option<Reason>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferState {
    Running,
    /// No further event for this REFER.
    Finished,
}

/// Why an outgoing call came to nothing.
#[derive(Clone, Debug)]
pub struct Rejection {
    pub code: StatusCode,
    /// Where the code comes from.
    pub by: RejectedBy,
    pub reason: Option<Reason>,
    pub retry_after: Option<Duration>,
    /// The Contact URIs of a 3xx.
    pub contacts: Vec<Uri>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectedBy {
    /// A final response of the peer.
    Peer,
    /// No response in time (Timer B, RFC 3261 17.1.1.2): stands as 408.
    Timeout,
    /// The destination could not be reached or its flow closed: stands as 503.
    Transport,
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// The owner said so, by `end` or `reject`.
    Local,
    /// The peer sent BYE.
    Bye,
    /// The caller sent CANCEL before we answered.
    Cancelled,
    /// Nobody answered within the ring limit of an outgoing call.
    NoAnswer,
    /// The ACK to our 2xx never came (RFC 3261 13.3.1.4), or the PRACK (RFC 3262 3).
    NoAck,
    /// The session interval ran out without a refresh (RFC 4028 10).
    SessionTimer,
    /// A request within the dialog found no answer, or the peer does not know the dialog
    /// (408 or 481, RFC 3261 12.2.1.2).
    TransactionTimeout,
    /// The connection the dialog lived on closed.
    FlowLost,
    /// An answer was due and the description could not be agreed on.
    Protocol,
}
