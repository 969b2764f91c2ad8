//! The call report: one record for each leg that ever started (C7).

use std::time::Duration;

use crate::{
    Address, CallId, EndCause, LegAudio, LegId, Pii, Priority, RecordId, StationId, Timestamp,
};

/// What one device's part of a call came to. The records with the same `call` make up its report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    pub id: RecordId,
    pub call: CallId,
    pub leg: LegId,
    pub role: LegRole,
    /// Whose leg this was.
    pub party: Party,
    /// Whom the caller called.
    pub dialled: Option<Address>,
    /// Whose forwarding or group brought the call here: what was called before the last step.
    pub by_way_of: Option<Address>,
    pub priority: Priority,
    pub started: Timestamp,
    pub answered: Option<Timestamp>,
    pub ended: Timestamp,
    /// From start to answer or end; measured on the monotonic clock.
    pub rang_for: Duration,
    /// From answer to end; measured on the monotonic clock.
    pub talked_for: Duration,
    /// The leg it was last connected with.
    pub talked_with: Option<LegId>,
    pub status: DialStatus,
    pub cause: EndCause,
    /// How its sound travelled; `None`: it had none, or nobody could say any more.
    pub audio: Option<LegAudio>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegRole {
    /// It arrived: somebody called.
    Caller,
    /// It was started: somebody was called.
    Callee,
}

/// Somebody at the end of a leg.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// The station, where it is one of ours.
    pub station: Option<StationId>,
    pub address: Option<Address>,
    pub name: Pii<String>,
}

/// What a leg came to, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DialStatus {
    Answered,
    NoAnswer,
    Busy,
    Declined,
    /// The caller gave up first.
    Cancelled,
    AnsweredElsewhere,
    Unreachable,
    /// Not let in: unknown number, no right, overload.
    Refused,
    Failed,
}

impl DialStatus {
    pub const ALL: [Self; 9] = [
        Self::Answered,
        Self::NoAnswer,
        Self::Busy,
        Self::Declined,
        Self::Cancelled,
        Self::AnsweredElsewhere,
        Self::Unreachable,
        Self::Refused,
        Self::Failed,
    ];

    /// The status of a leg that ended with `cause` before anybody answered it.
    pub const fn of_unanswered(cause: EndCause) -> Self {
        match cause {
            EndCause::NoAnswer | EndCause::RequestExpired | EndCause::RequestDismissed => {
                Self::NoAnswer
            }
            EndCause::Busy | EndCause::PreEmpted => Self::Busy,
            EndCause::Declined | EndCause::Privacy => Self::Declined,
            EndCause::CallerGaveUp
            | EndCause::HungUp
            | EndCause::Transferred
            | EndCause::EndedByOperator => Self::Cancelled,
            EndCause::AnsweredElsewhere => Self::AnsweredElsewhere,
            EndCause::Unreachable | EndCause::OutOfService => Self::Unreachable,
            EndCause::UnknownNumber
            | EndCause::NotAllowed
            | EndCause::ForwardingLoop
            | EndCause::Overload
            | EndCause::Stopping
            | EndCause::NothingWaiting => Self::Refused,
            EndCause::TimeLimit
            | EndCause::MediaMismatch
            | EndCause::EncryptionMismatch
            | EndCause::ConnectionLost
            | EndCause::ProtocolError
            | EndCause::InternalError => Self::Failed,
        }
    }

    /// The name in records and the API. Never changed once released.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
            Self::Declined => "declined",
            Self::Cancelled => "cancelled",
            Self::AnsweredElsewhere => "answered_elsewhere",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}
