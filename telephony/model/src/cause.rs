//! Why a leg ended or was refused. Each edge maps these to its own codes (SIP status and Reason,
//! Q.850, legacy telegrams); nothing in here knows them.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndCause {
    /// One side hung up after talking.
    HungUp,
    /// The caller gave up before an answer.
    CallerGaveUp,
    /// Another member of the ring group (or another taker of the request) was first.
    AnsweredElsewhere,
    NoAnswer,
    Busy,
    /// The called person refused.
    Declined,
    /// The station is set to privacy and the call is not urgent enough to be heard.
    Privacy,
    /// Not registered, no route, no reply at all.
    Unreachable,
    /// The station is known to be out of order.
    OutOfService,
    UnknownNumber,
    NotAllowed,
    /// Forwardings lead in a circle, or too far.
    ForwardingLoop,
    /// A more urgent call needed the station or the place.
    PreEmpted,
    /// The conversation reached its limit (C8).
    TimeLimit,
    /// Handed over to somebody else; the conversation goes on without this leg.
    Transferred,
    /// More calls than this machine takes; try again later.
    Overload,
    /// This machine is about to stop and takes no new calls.
    Stopping,
    /// A request that nobody took in time.
    RequestExpired,
    /// A desk closed the request without a conversation.
    RequestDismissed,
    /// "Take next" at a desk where nobody waits.
    NothingWaiting,
    /// An operator ended it.
    EndedByOperator,
    /// No common codec or media type.
    MediaMismatch,
    /// One side asks for encryption that the other does not do, or refuses.
    EncryptionMismatch,
    /// The signalling connection or the media stream broke.
    ConnectionLost,
    /// The other side broke the protocol.
    ProtocolError,
    /// Our fault.
    InternalError,
}

impl EndCause {
    pub const ALL: [Self; 26] = [
        Self::HungUp,
        Self::CallerGaveUp,
        Self::AnsweredElsewhere,
        Self::NoAnswer,
        Self::Busy,
        Self::Declined,
        Self::Privacy,
        Self::Unreachable,
        Self::OutOfService,
        Self::UnknownNumber,
        Self::NotAllowed,
        Self::ForwardingLoop,
        Self::PreEmpted,
        Self::TimeLimit,
        Self::Transferred,
        Self::Overload,
        Self::Stopping,
        Self::RequestExpired,
        Self::RequestDismissed,
        Self::NothingWaiting,
        Self::EndedByOperator,
        Self::MediaMismatch,
        Self::EncryptionMismatch,
        Self::ConnectionLost,
        Self::ProtocolError,
        Self::InternalError,
    ];

    /// The name in records, metrics and the API. Never changed once released.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HungUp => "hung_up",
            Self::CallerGaveUp => "caller_gave_up",
            Self::AnsweredElsewhere => "answered_elsewhere",
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
            Self::Declined => "declined",
            Self::Privacy => "privacy",
            Self::Unreachable => "unreachable",
            Self::OutOfService => "out_of_service",
            Self::UnknownNumber => "unknown_number",
            Self::NotAllowed => "not_allowed",
            Self::ForwardingLoop => "forwarding_loop",
            Self::PreEmpted => "pre_empted",
            Self::TimeLimit => "time_limit",
            Self::Transferred => "transferred",
            Self::Overload => "overload",
            Self::Stopping => "stopping",
            Self::RequestExpired => "request_expired",
            Self::RequestDismissed => "request_dismissed",
            Self::NothingWaiting => "nothing_waiting",
            Self::EndedByOperator => "ended_by_operator",
            Self::MediaMismatch => "media_mismatch",
            Self::EncryptionMismatch => "encryption_mismatch",
            Self::ConnectionLost => "connection_lost",
            Self::ProtocolError => "protocol_error",
            Self::InternalError => "internal_error",
        }
    }

    /// The cause with this name, for whoever reads stored records back.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == name)
    }
}

impl fmt::Display for EndCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_name_of_its_own() {
        for cause in EndCause::ALL {
            assert_eq!(EndCause::from_name(cause.name()), Some(cause));
        }
        assert_eq!(EndCause::from_name("nonsense"), None);
    }
}
