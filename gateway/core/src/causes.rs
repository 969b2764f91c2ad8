//! One table between the causes of the call engine and the codes of SIP.
//!
//! Whoever hears a refusal shall learn the true reason: every cause has its status, and a Reason
//! header field (RFC 3326) that names it in Q.850 where a telephone network may listen.

use model::EndCause;
use sip::message::{Host, Reason, StatusCode};
use sip::sdp::SecurityError;
use sip::session;

/// What a caller is told when a leg is refused.
pub(crate) fn refusal(cause: EndCause) -> (StatusCode, Reason) {
    let code = match cause {
        EndCause::Busy | EndCause::PreEmpted => StatusCode::BUSY_HERE,
        EndCause::NoAnswer | EndCause::RequestExpired | EndCause::Unreachable => {
            StatusCode::TEMPORARILY_UNAVAILABLE
        }
        EndCause::OutOfService | EndCause::NothingWaiting | EndCause::RequestDismissed => {
            StatusCode::TEMPORARILY_UNAVAILABLE
        }
        EndCause::Declined | EndCause::Privacy | EndCause::EndedByOperator => StatusCode::DECLINE,
        EndCause::UnknownNumber => StatusCode::NOT_FOUND,
        EndCause::NotAllowed => StatusCode::FORBIDDEN,
        EndCause::ForwardingLoop => StatusCode::LOOP_DETECTED,
        EndCause::Overload | EndCause::Stopping | EndCause::ConnectionLost => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        EndCause::MediaMismatch | EndCause::EncryptionMismatch => StatusCode::NOT_ACCEPTABLE_HERE,
        EndCause::HungUp
        | EndCause::CallerGaveUp
        | EndCause::AnsweredElsewhere
        | EndCause::Transferred
        | EndCause::TimeLimit => StatusCode::REQUEST_TERMINATED,
        EndCause::ProtocolError => StatusCode::BAD_GATEWAY,
        EndCause::InternalError => StatusCode::SERVER_INTERNAL_ERROR,
    };
    (code, q850(cause))
}

/// What the other end is told when a leg that it has is ended.
pub(crate) fn ending(cause: EndCause) -> Reason {
    match cause {
        // RFC 3326 2: the losers of a fork must not show a missed call.
        EndCause::AnsweredElsewhere => Reason::sip(200, "Call completed elsewhere"),
        EndCause::HungUp
        | EndCause::CallerGaveUp
        | EndCause::NoAnswer
        | EndCause::Busy
        | EndCause::Declined
        | EndCause::Privacy
        | EndCause::Unreachable
        | EndCause::OutOfService
        | EndCause::UnknownNumber
        | EndCause::NotAllowed
        | EndCause::ForwardingLoop
        | EndCause::PreEmpted
        | EndCause::TimeLimit
        | EndCause::Transferred
        | EndCause::Overload
        | EndCause::Stopping
        | EndCause::RequestExpired
        | EndCause::RequestDismissed
        | EndCause::NothingWaiting
        | EndCause::EndedByOperator
        | EndCause::MediaMismatch
        | EndCause::EncryptionMismatch
        | EndCause::ConnectionLost
        | EndCause::ProtocolError
        | EndCause::InternalError => q850(cause),
    }
}

fn q850(cause: EndCause) -> Reason {
    let (code, text) = q850_words(cause);
    Reason::q850(code.into(), text)
}

/// What a telephone network is told.
pub(crate) fn q850_number(cause: EndCause) -> u8 {
    q850_words(cause).0
}

/// Q.850 table 1.
fn q850_words(cause: EndCause) -> (u8, &'static str) {
    match cause {
        EndCause::HungUp | EndCause::CallerGaveUp | EndCause::Transferred => {
            (16, "Normal call clearing")
        }
        EndCause::AnsweredElsewhere => (26, "Non-selected user clearing"),
        EndCause::NoAnswer | EndCause::RequestExpired => (19, "No answer from user"),
        EndCause::Busy => (17, "User busy"),
        EndCause::PreEmpted => (8, "Preemption"),
        EndCause::Declined
        | EndCause::Privacy
        | EndCause::RequestDismissed
        | EndCause::NotAllowed => (21, "Call rejected"),
        EndCause::Unreachable | EndCause::NothingWaiting => (20, "Subscriber absent"),
        EndCause::OutOfService => (27, "Destination out of order"),
        EndCause::UnknownNumber => (1, "Unallocated number"),
        EndCause::ForwardingLoop => (25, "Exchange routing error"),
        EndCause::TimeLimit => (102, "Recovery on timer expiry"),
        EndCause::Overload => (42, "Switching equipment congestion"),
        EndCause::Stopping => (41, "Temporary failure"),
        EndCause::EndedByOperator => (31, "Ended by an operator"),
        EndCause::MediaMismatch => (88, "Incompatible destination"),
        EndCause::EncryptionMismatch => (88, "Encryption not agreed"),
        EndCause::ConnectionLost => (38, "Network out of order"),
        EndCause::ProtocolError => (111, "Protocol error"),
        EndCause::InternalError => (41, "Temporary failure"),
    }
}

/// What a telephone network means by a cause (Q.850 2.2.7).
pub(crate) fn of_number(cause: u8) -> EndCause {
    match cause {
        1..=3 | 22 | 28 => EndCause::UnknownNumber,
        8 => EndCause::PreEmpted,
        16 | 31 => EndCause::HungUp,
        17 => EndCause::Busy,
        18 | 20 => EndCause::Unreachable,
        19 => EndCause::NoAnswer,
        21 => EndCause::Declined,
        25 => EndCause::ForwardingLoop,
        26 => EndCause::AnsweredElsewhere,
        27 => EndCause::OutOfService,
        34 | 42 | 44 | 46 | 47 => EndCause::Overload,
        38 | 41 => EndCause::ConnectionLost,
        29 | 50 | 52..=57 | 62 | 63 => EndCause::NotAllowed,
        58 | 65..=70 | 79 | 88 => EndCause::MediaMismatch,
        102 => EndCause::Unreachable,
        _ => EndCause::ProtocolError,
    }
}

/// Why no encryption was agreed on, in words for the log of the one who is refused.
pub(crate) fn warning(why: SecurityError, domain: &Host) -> String {
    // RFC 3261 20.43: another transport of media would do; else there is no number for it.
    let code = match why {
        SecurityError::Plain(_) | SecurityError::Secure(_) => 302,
        SecurityError::NoSuite(_) | SecurityError::NotOffered(_) => 399,
    };
    format!("{code} {domain} \"{why}\"")
}

/// Why a station did not take a call.
pub(crate) fn of_rejection(rejection: &session::Rejection) -> EndCause {
    if let Some(cause) = rejection.reason.as_ref().and_then(of_q850) {
        return cause;
    }
    match rejection.code.code() {
        486 | 600 => EndCause::Busy,
        603 | 403 | 433 => EndCause::Declined,
        404 | 410 | 484 | 604 => EndCause::UnknownNumber,
        408 | 480 => match rejection.by {
            session::RejectedBy::Peer => EndCause::NoAnswer,
            session::RejectedBy::Timeout | session::RejectedBy::Transport => EndCause::Unreachable,
        },
        415 | 488 | 606 => EndCause::MediaMismatch,
        482 | 483 => EndCause::ForwardingLoop,
        401 | 407 => EndCause::NotAllowed,
        487 => EndCause::CallerGaveUp,
        500..=599 => EndCause::Unreachable,
        _ => EndCause::ProtocolError,
    }
}

fn of_q850(reason: &Reason) -> Option<EndCause> {
    if !reason.protocol.eq_ignore_ascii_case("Q.850") {
        return None;
    }
    match reason.cause? {
        1 => Some(EndCause::UnknownNumber),
        17 => Some(EndCause::Busy),
        18 | 20 => Some(EndCause::Unreachable),
        19 => Some(EndCause::NoAnswer),
        21 => Some(EndCause::Declined),
        27 => Some(EndCause::OutOfService),
        _ => None,
    }
}

/// Why a session is over, as the call engine sees it; `answered` tells a hang-up from giving up.
pub(crate) fn of_session_end(cause: session::EndCause, answered: Answered) -> EndCause {
    match cause {
        session::EndCause::Bye | session::EndCause::Local => match answered {
            Answered::Yes => EndCause::HungUp,
            Answered::No => EndCause::CallerGaveUp,
        },
        session::EndCause::Cancelled => EndCause::CallerGaveUp,
        session::EndCause::NoAnswer => EndCause::NoAnswer,
        session::EndCause::NoAck
        | session::EndCause::SessionTimer
        | session::EndCause::TransactionTimeout
        | session::EndCause::FlowLost => EndCause::ConnectionLost,
        session::EndCause::Protocol => EndCause::ProtocolError,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_refused_with_a_final_code_and_a_reason() {
        for cause in EndCause::ALL {
            let (code, reason) = refusal(cause);
            assert!((400..700).contains(&code.code()), "{cause}: {code}");
            assert!(
                reason.cause.is_some_and(|code| (1..128).contains(&code)),
                "{cause}"
            );
        }
    }

    #[test]
    fn the_losers_of_a_fork_hear_that_it_was_answered_elsewhere() {
        let reason = ending(EndCause::AnsweredElsewhere).to_string();
        assert_eq!(reason, "SIP;cause=200;text=\"Call completed elsewhere\"");
    }

    #[test]
    fn what_a_station_says_comes_back_as_it_was_meant() {
        let rejection = |code: u16, reason: Option<Reason>| session::Rejection {
            code: StatusCode::new(code).unwrap(),
            by: session::RejectedBy::Peer,
            reason,
            retry_after: None,
            contacts: Vec::new(),
        };
        for (code, reason, cause) in [
            (486, None, EndCause::Busy),
            (603, None, EndCause::Declined),
            (480, None, EndCause::NoAnswer),
            (480, Some(Reason::q850(27, "")), EndCause::OutOfService),
            (503, None, EndCause::Unreachable),
            (488, None, EndCause::MediaMismatch),
            (499, None, EndCause::ProtocolError),
        ] {
            assert_eq!(of_rejection(&rejection(code, reason)), cause, "{code}");
        }
    }
}
