//! One table between the causes of the call engine, the codes of SIP and those of telephone networks.
//!
//! Whoever hears a refusal shall learn the true reason: every cause has its status, and a Reason
//! header field (RFC 3326) that names it in Q.850 where a telephone network may listen. What one
//! network said in its own numbers is quoted to the other as RFC 3398 has it. Vendors disagree, so
//! all of it can be set; the defaults are below.

use std::collections::BTreeMap;

use legacy_protocols::isdn::causes::{CauseTable, TableError};
use legacy_protocols::isdn::codec::{Cause, CauseValue, Location};
use model::EndCause;
use sip::message::{Host, Reason, StatusCode};
use sip::sdp::SecurityError;
use sip::session;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Causes {
    /// Between what SIP says and what telephone networks say, where the one is quoted to the other.
    pub table: CauseTable,
    /// In place of the defaults.
    own: BTreeMap<EndCause, (StatusCode, u8)>,
}

/// What the other end of a leg said in its own numbers when it ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quote {
    /// As the call engine was told.
    cause: EndCause,
    q850: u8,
    by: Quoted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quoted {
    Line,
    Sip,
}

impl Quote {
    pub(crate) const fn of_line(cause: EndCause, q850: u8) -> Self {
        let by = Quoted::Line;
        Self { cause, q850, by }
    }

    /// The number that stands for what it quotes, where it is about this cause.
    fn number(self, cause: EndCause) -> Option<u8> {
        (self.cause == cause).then_some(self.q850)
    }
}

impl Causes {
    /// What both sides are told of a cause of our own.
    pub fn set(&mut self, cause: EndCause, status: u16, q850: u8) -> Result<(), TableError> {
        // The table knows which numbers make sense.
        CauseTable::default().set_status(q850, status)?;
        let status = StatusCode::new(status).ok_or(TableError::Status(status))?;
        self.own.insert(cause, (status, q850));
        Ok(())
    }

    /// What a caller is told when a leg is refused.
    pub(crate) fn refusal(&self, cause: EndCause, quote: Option<Quote>) -> (StatusCode, Reason) {
        let quoted = quote.filter(|quote| quote.by == Quoted::Line);
        if let Some(number) = quoted.and_then(|quote| quote.number(cause))
            && let Some(value) = CauseValue::new(number)
        {
            let status = self.table.status(&Cause::new(Location::User, value));
            let status = StatusCode::new(status).unwrap_or(StatusCode::TEMPORARILY_UNAVAILABLE);
            return (status, self.q850(cause, quote));
        }
        let own = self.own.get(&cause).map(|(status, _)| *status);
        (own.unwrap_or(status(cause)), self.q850(cause, None))
    }

    /// What the other end is told when a leg that it has is ended.
    pub(crate) fn ending(&self, cause: EndCause, quote: Option<Quote>) -> Reason {
        match cause {
            // RFC 3326 2: the losers of a fork must not show a missed call.
            EndCause::AnsweredElsewhere => Reason::sip(200, "Call completed elsewhere"),
            _ => self.q850(cause, quote),
        }
    }

    /// What a telephone network is told.
    pub(crate) fn number(&self, cause: EndCause, quote: Option<Quote>) -> u8 {
        let quoted = quote.and_then(|quote| quote.number(cause));
        let own = self.own.get(&cause).map(|(_, number)| *number);
        quoted.or(own).unwrap_or(q850_words(cause).0)
    }

    fn q850(&self, cause: EndCause, quote: Option<Quote>) -> Reason {
        let number = self.number(cause, quote);
        match q850_words(cause) {
            (usual, text) if usual == number => Reason::q850(number.into(), text),
            _ => {
                let known = EndCause::ALL.into_iter().map(q850_words);
                let mut known = known.filter(|(other, _)| *other == number);
                let text = known.next().map(|(_, text)| text);
                Reason {
                    text: text.map(str::to_owned),
                    ..Reason::q850(number.into(), "")
                }
            }
        }
    }

    /// What a station that did not take a call said of it, for a telephone network.
    pub(crate) fn quote(&self, rejection: &session::Rejection, cause: EndCause) -> Quote {
        let told = rejection.reason.as_ref().filter(|reason| is_q850(reason));
        let told = told.and_then(|reason| reason.cause);
        let told = told.and_then(|number| u8::try_from(number).ok());
        let told = told.filter(|number| (1..128).contains(number));
        let by_status = || self.table.cause(rejection.code.code()).number();
        Quote {
            cause,
            q850: told.unwrap_or_else(by_status),
            by: Quoted::Sip,
        }
    }
}

fn status(cause: EndCause) -> StatusCode {
    match cause {
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
    }
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

fn is_q850(reason: &Reason) -> bool {
    reason.protocol.eq_ignore_ascii_case("Q.850")
}

fn of_q850(reason: &Reason) -> Option<EndCause> {
    if !is_q850(reason) {
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
            let (code, reason) = Causes::default().refusal(cause, None);
            assert!((400..700).contains(&code.code()), "{cause}: {code}");
            assert!(
                reason.cause.is_some_and(|code| (1..128).contains(&code)),
                "{cause}"
            );
        }
    }

    #[test]
    fn the_losers_of_a_fork_hear_that_it_was_answered_elsewhere() {
        let reason = Causes::default().ending(EndCause::AnsweredElsewhere, None);
        let reason = reason.to_string();
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

    #[test]
    fn what_a_telephone_network_said_is_quoted_with_its_own_status_and_number() {
        let causes = Causes::default();
        let told = |number: u8| {
            let cause = of_number(number);
            let (status, reason) = causes.refusal(cause, Some(Quote::of_line(cause, number)));
            (status.code(), reason.cause)
        };
        for (number, status) in [
            (1, 404),
            (17, 486),
            (18, 408),
            (21, 603),
            (28, 484),
            (34, 503),
        ] {
            assert_eq!(told(number), (status, Some(number.into())));
        }
        // A quote is about one cause; another one has its own words.
        let quote = Some(Quote::of_line(EndCause::Overload, 34));
        let (status, reason) = causes.refusal(EndCause::Busy, quote);
        assert_eq!((status.code(), reason.cause), (486, Some(17)));
    }

    #[test]
    fn what_sip_said_is_quoted_to_a_telephone_network() {
        let causes = Causes::default();
        for (code, reason, number) in [
            (404, None, 1),
            (480, None, 20),
            (486, None, 17),
            (480, Some(Reason::q850(27, "")), 27),
        ] {
            let rejection = session::Rejection {
                code: StatusCode::new(code).unwrap(),
                by: session::RejectedBy::Peer,
                reason,
                retry_after: None,
                contacts: Vec::new(),
            };
            let cause = of_rejection(&rejection);
            let quote = Some(causes.quote(&rejection, cause));
            assert_eq!(causes.number(cause, quote), number, "{code}");
        }
    }

    #[test]
    fn both_tables_can_be_set_and_nonsense_is_refused() {
        let mut causes = Causes::default();
        causes.set(EndCause::Declined, 486, 17).unwrap();
        let (status, reason) = causes.refusal(EndCause::Declined, None);
        assert_eq!((status.code(), reason.cause), (486, Some(17)));
        assert_eq!(causes.number(EndCause::Declined, None), 17);
        assert!(causes.set(EndCause::Busy, 200, 17).is_err());
        assert!(causes.set(EndCause::Busy, 486, 200).is_err());
        causes.table.set_status(17, 600).unwrap();
        let quote = Some(Quote::of_line(EndCause::Busy, 17));
        assert_eq!(causes.refusal(EndCause::Busy, quote).0.code(), 600);
    }
}
