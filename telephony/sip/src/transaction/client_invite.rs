//! The INVITE client machine (RFC 3261 17.1.1) with the Accepted state of RFC 6026 7.2.
//!
//! It repeats the INVITE on UDP until any response, acknowledges refusals hop by hop, and lets
//! every 2xx through while it stands in Accepted: forks and repetitions are the session's to
//! acknowledge. It does not cancel: CANCEL is a transaction of its own.
//! Invariant: at most one refusal and no 2xx after a refusal is reported.

use std::time::Instant;

use bytes::Bytes;

use super::machine::{ClientTimer, Repeat, Report};
use super::timer::Timers;
use crate::flow::Transport;
use crate::message::StatusCode;

#[derive(Debug)]
pub(super) struct ClientInvite {
    transport: Transport,
    state: State,
}

#[derive(Debug)]
enum State {
    Calling {
        request: Bytes,
        /// Timer A; absent on reliable transports.
        repeat: Option<Repeat>,
        /// Timer B.
        give_up: Instant,
    },
    /// Somebody answered provisionally; how long to wait is the user's decision.
    Proceeding,
    /// Answers each repeated refusal with the ACK until Timer D.
    Completed { ack: Bytes, until: Instant },
    /// Passes each 2xx up until Timer M.
    Accepted { until: Instant },
    Terminated,
}

/// What a response leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OnResponse {
    Report(Report),
    /// A refusal: build its ACK and hand it to [`ClientInvite::refused`], then report it.
    Refused,
    /// A repeated refusal: send the ACK again.
    AckAgain(Bytes),
}

impl ClientInvite {
    pub(super) fn new(request: Bytes, transport: Transport, timers: &Timers, now: Instant) -> Self {
        Self {
            transport,
            state: State::Calling {
                request,
                repeat: Repeat::start(transport, timers.t1, now),
                give_up: now + timers.give_up,
            },
        }
    }

    pub(super) fn on_response(&mut self, code: StatusCode, timers: &Timers, now: Instant) -> OnResponse {
        match &self.state {
            State::Calling { .. } | State::Proceeding => {
                if code.is_provisional() {
                    self.state = State::Proceeding;
                    OnResponse::Report(Report::PassUp)
                } else if code.is_success() {
                    // RFC 6026 7.2: on every transport, as forks arrive late on all of them.
                    self.state = State::Accepted { until: now + timers.linger };
                    OnResponse::Report(Report::PassUp)
                } else {
                    OnResponse::Refused
                }
            }
            State::Accepted { .. } if code.is_success() => OnResponse::Report(Report::PassUp),
            State::Completed { ack, .. } if code.is_failure() => OnResponse::AckAgain(ack.clone()),
            State::Accepted { .. } | State::Completed { .. } | State::Terminated => {
                OnResponse::Report(Report::Absorbed)
            }
        }
    }

    /// Enters Completed with the ACK that was sent for the refusal.
    pub(super) fn refused(&mut self, ack: Bytes, timers: &Timers, now: Instant) {
        let linger = timers.d(self.transport);
        self.state = if linger.is_zero() {
            State::Terminated
        } else {
            State::Completed { ack, until: now + linger }
        };
    }

    pub(super) fn on_timeout(&mut self, now: Instant) -> ClientTimer {
        match &mut self.state {
            State::Calling { request, repeat, give_up } => {
                if *give_up <= now {
                    self.state = State::Terminated;
                    return ClientTimer::TimedOut;
                }
                match repeat {
                    Some(repeat) if repeat.is_due(now) => {
                        repeat.double(now);
                        ClientTimer::Repeat(request.clone())
                    }
                    Some(_) | None => ClientTimer::Idle,
                }
            }
            State::Completed { until, .. } | State::Accepted { until } if *until <= now => {
                self.state = State::Terminated;
                ClientTimer::Idle
            }
            State::Proceeding | State::Completed { .. } | State::Accepted { .. } | State::Terminated => {
                ClientTimer::Idle
            }
        }
    }

    /// The transport failed, or the user lost interest (a cancelled INVITE that stays silent).
    pub(super) fn abort(&mut self) {
        self.state = State::Terminated;
    }

    /// Whether a first final response can still come.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling { .. } | State::Proceeding)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Calling { repeat, give_up, .. } => Some(Repeat::earlier(repeat.as_ref(), *give_up)),
            State::Completed { until, .. } | State::Accepted { until } => Some(*until),
            State::Proceeding | State::Terminated => None,
        }
    }

    pub(super) fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }
}
