//! The INVITE server machine (RFC 3261 17.2.1) with the Accepted state of RFC 6026 7.1.
//!
//! It says 100 when the user is slow, repeats refusals until their ACK, and absorbs repeated
//! INVITEs after a 2xx, whose repetition is the session's (RFC 3261 13.3.1.4).
//! Invariant: one final response, except that in Accepted the same 2xx may leave again.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::machine::{Repeat, Report, ServerTimer};
use super::timer::Timers;
use crate::flow::Transport;
use crate::message::StatusCode;

/// RFC 3261 17.2.1: the user has this long before a 100 goes out for it.
const TRYING_AFTER: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct ServerInvite {
    transport: Transport,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing was sent yet.
    Fresh {
        trying_at: Instant,
    },
    /// The last provisional response, for repeated INVITEs.
    Proceeding {
        response: Bytes,
    },
    /// A refusal waits for its ACK.
    Completed {
        response: Bytes,
        /// Timer G; absent on reliable transports.
        repeat: Option<Repeat>,
        /// Timer H.
        give_up: Instant,
    },
    /// Absorbs repeated ACKs until Timer I.
    Confirmed {
        until: Instant,
    },
    /// A 2xx was sent; absorbs repeated INVITEs until Timer L.
    Accepted {
        until: Instant,
    },
    Terminated,
}

impl ServerInvite {
    pub(super) fn new(transport: Transport, now: Instant) -> Self {
        Self {
            transport,
            state: State::Fresh {
                trying_at: now + TRYING_AFTER,
            },
        }
    }

    /// The response to send again for a repeated INVITE, if there is one.
    pub(super) fn on_repeated_request(&self) -> Option<Bytes> {
        match &self.state {
            State::Proceeding { response } | State::Completed { response, .. } => {
                Some(response.clone())
            }
            State::Fresh { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => None,
        }
    }

    /// An ACK with the branch of the INVITE. Only in Accepted does it concern the user
    /// (RFC 6026 7.1: some clients reuse the branch for the ACK to a 2xx).
    pub(super) fn on_ack(&mut self, timers: &Timers, now: Instant) -> Report {
        match &self.state {
            State::Completed { .. } => {
                let linger = timers.i(self.transport);
                self.state = if linger.is_zero() {
                    State::Terminated
                } else {
                    State::Confirmed {
                        until: now + linger,
                    }
                };
                Report::Absorbed
            }
            State::Accepted { .. } => Report::PassUp,
            State::Fresh { .. }
            | State::Proceeding { .. }
            | State::Confirmed { .. }
            | State::Terminated => Report::Absorbed,
        }
    }

    /// The user answers; whether the response is to be sent.
    pub(super) fn respond(
        &mut self,
        code: StatusCode,
        response: &Bytes,
        timers: &Timers,
        now: Instant,
    ) -> bool {
        match &self.state {
            State::Fresh { .. } | State::Proceeding { .. } => {}
            State::Accepted { .. } => return code.is_success(),
            State::Completed { .. } | State::Confirmed { .. } | State::Terminated => return false,
        }
        self.state = if code.is_provisional() {
            State::Proceeding {
                response: response.clone(),
            }
        } else if code.is_success() {
            State::Accepted {
                until: now + timers.linger,
            }
        } else {
            State::Completed {
                response: response.clone(),
                repeat: Repeat::start(self.transport, timers.t1, now),
                give_up: now + timers.give_up,
            }
        };
        true
    }

    pub(super) fn on_timeout(&mut self, timers: &Timers, now: Instant) -> ServerTimer {
        match &mut self.state {
            State::Fresh { trying_at } if *trying_at <= now => ServerTimer::SendTrying,
            State::Completed {
                response,
                repeat,
                give_up,
            } => {
                if *give_up <= now {
                    self.state = State::Terminated;
                    return ServerTimer::TimedOut;
                }
                match repeat {
                    Some(repeat) if repeat.is_due(now) => {
                        repeat.back_off(timers, now);
                        ServerTimer::Repeat(response.clone())
                    }
                    Some(_) | None => ServerTimer::Idle,
                }
            }
            State::Confirmed { until } | State::Accepted { until } if *until <= now => {
                self.state = State::Terminated;
                ServerTimer::Idle
            }
            State::Fresh { .. }
            | State::Proceeding { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => ServerTimer::Idle,
        }
    }

    pub(super) fn abort(&mut self) {
        self.state = State::Terminated;
    }

    /// Whether the user still owes a final response.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.state, State::Fresh { .. } | State::Proceeding { .. })
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Fresh { trying_at } => Some(*trying_at),
            State::Completed {
                repeat, give_up, ..
            } => Some(Repeat::earlier(repeat.as_ref(), *give_up)),
            State::Confirmed { until } | State::Accepted { until } => Some(*until),
            State::Proceeding { .. } | State::Terminated => None,
        }
    }

    pub(super) fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(code: u16) -> StatusCode {
        StatusCode::new(code).expect("a code")
    }

    fn ms(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    fn answered(transport: Transport, status: u16, start: Instant) -> ServerInvite {
        let mut server = ServerInvite::new(transport, start);
        let response = Bytes::from_static(b"r");
        assert!(server.respond(code(status), &response, &Timers::default(), start));
        server
    }

    #[test]
    fn a_slow_user_is_covered_by_a_100_and_a_fast_one_is_not() {
        let (timers, start) = (Timers::default(), Instant::now());
        let mut server = ServerInvite::new(Transport::Udp, start);
        assert_eq!(
            server.on_timeout(&timers, ms(start, 199)),
            ServerTimer::Idle
        );
        assert_eq!(
            server.on_timeout(&timers, ms(start, 200)),
            ServerTimer::SendTrying
        );
        let mut server = answered(Transport::Udp, 180, start);
        assert_eq!(
            server.on_timeout(&timers, ms(start, 200)),
            ServerTimer::Idle
        );
        assert_eq!(server.deadline(), None);
    }

    #[test]
    fn a_refusal_is_repeated_until_its_ack_and_given_up_at_64_t1() {
        let (timers, start) = (Timers::default(), Instant::now());
        let mut server = answered(Transport::Udp, 486, start);
        let mut repeats = Vec::new();
        let mut end = None;
        for at in (0..40_000).step_by(500) {
            match server.on_timeout(&timers, ms(start, at)) {
                ServerTimer::Repeat(_) => repeats.push(at),
                ServerTimer::TimedOut => end = Some(at),
                ServerTimer::Idle | ServerTimer::SendTrying => {}
            }
        }
        assert_eq!(&repeats[..5], [500, 1_500, 3_500, 7_500, 11_500]);
        assert_eq!(end, Some(32_000));
    }

    #[test]
    fn the_ack_to_a_refusal_is_absorbed_with_its_repetitions() {
        let (timers, start) = (Timers::default(), Instant::now());
        let mut server = answered(Transport::Udp, 486, start);
        assert_eq!(server.on_ack(&timers, start), Report::Absorbed);
        assert_eq!(server.on_ack(&timers, ms(start, 10)), Report::Absorbed);
        assert_eq!(server.on_repeated_request(), None);
        server.on_timeout(&timers, ms(start, 5_000));
        assert!(server.is_terminated());
        let mut server = answered(Transport::Tcp, 486, start);
        server.on_ack(&timers, start);
        assert!(server.is_terminated());
    }

    #[test]
    fn after_a_2xx_invites_are_absorbed_and_only_the_2xx_leaves_again() {
        let (timers, start) = (Timers::default(), Instant::now());
        let mut server = answered(Transport::Udp, 200, start);
        assert_eq!(server.on_repeated_request(), None);
        assert_eq!(server.on_ack(&timers, start), Report::PassUp);
        let response = Bytes::from_static(b"r");
        assert!(server.respond(code(200), &response, &timers, start));
        assert!(!server.respond(code(486), &response, &timers, start));
        server.on_timeout(&timers, ms(start, 32_000));
        assert!(server.is_terminated());
    }
}
