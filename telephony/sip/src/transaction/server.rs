//! The server machine for every method but INVITE and ACK (RFC 3261 17.2.2).
//!
//! It answers repeated requests with the last response. Invariant: exactly one final response
//! leaves; a user that never answers is given up on, as the peer has given up by then
//! (RFC 4320 4.2 forbids a late 408).

use std::time::Instant;

use bytes::Bytes;

use super::machine::ServerTimer;
use super::timer::Timers;
use crate::flow::Transport;
use crate::message::StatusCode;

#[derive(Debug)]
pub(super) struct Server {
    transport: Transport,
    state: State,
}

#[derive(Debug)]
enum State {
    Trying {
        give_up: Instant,
    },
    Proceeding {
        response: Bytes,
        give_up: Instant,
    },
    /// Until Timer J.
    Completed {
        response: Bytes,
        until: Instant,
    },
    Terminated,
}

impl Server {
    pub(super) fn new(transport: Transport, timers: &Timers, now: Instant) -> Self {
        Self {
            transport,
            state: State::Trying {
                give_up: now + timers.give_up,
            },
        }
    }

    /// The response to send again for a repeated request, if there is one.
    pub(super) fn on_repeated_request(&self) -> Option<Bytes> {
        match &self.state {
            State::Proceeding { response, .. } | State::Completed { response, .. } => {
                Some(response.clone())
            }
            State::Trying { .. } | State::Terminated => None,
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
            State::Trying { give_up } | State::Proceeding { give_up, .. }
                if code.is_provisional() =>
            {
                self.state = State::Proceeding {
                    response: response.clone(),
                    give_up: *give_up,
                };
                true
            }
            State::Trying { .. } | State::Proceeding { .. } => {
                let linger = timers.j(self.transport);
                self.state = if linger.is_zero() {
                    State::Terminated
                } else {
                    State::Completed {
                        response: response.clone(),
                        until: now + linger,
                    }
                };
                true
            }
            State::Completed { .. } | State::Terminated => false,
        }
    }

    pub(super) fn on_timeout(&mut self, now: Instant) -> ServerTimer {
        match &self.state {
            State::Trying { give_up } | State::Proceeding { give_up, .. } if *give_up <= now => {
                self.state = State::Terminated;
                ServerTimer::TimedOut
            }
            State::Completed { until, .. } if *until <= now => {
                self.state = State::Terminated;
                ServerTimer::Idle
            }
            State::Trying { .. }
            | State::Proceeding { .. }
            | State::Completed { .. }
            | State::Terminated => ServerTimer::Idle,
        }
    }

    pub(super) fn abort(&mut self) {
        self.state = State::Terminated;
    }

    /// Whether the user still owes a final response.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.state, State::Trying { .. } | State::Proceeding { .. })
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Trying { give_up } | State::Proceeding { give_up, .. } => Some(*give_up),
            State::Completed { until, .. } => Some(*until),
            State::Terminated => None,
        }
    }

    pub(super) fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn code(code: u16) -> StatusCode {
        StatusCode::new(code).expect("a code")
    }

    #[test]
    fn a_repeated_request_gets_the_last_response_until_timer_j() {
        let (timers, start) = (Timers::default(), Instant::now());
        let mut server = Server::new(Transport::Udp, &timers, start);
        assert_eq!(server.on_repeated_request(), None);
        for (status, text) in [(183, "trying"), (200, "done")] {
            let response = Bytes::from_static(text.as_bytes());
            assert!(server.respond(code(status), &response, &timers, start));
            assert_eq!(server.on_repeated_request(), Some(response));
        }
        let second = Bytes::from_static(b"again");
        assert!(
            !server.respond(code(500), &second, &timers, start),
            "one final response"
        );
        server.on_timeout(start + Duration::from_secs(31));
        assert!(!server.is_terminated());
        assert_eq!(
            server.on_timeout(start + Duration::from_secs(32)),
            ServerTimer::Idle
        );
        assert!(server.is_terminated());
    }

    #[test]
    fn over_a_connection_nothing_lingers() {
        let (timers, start) = (Timers::default(), Instant::now());
        let mut server = Server::new(Transport::Tcp, &timers, start);
        assert!(server.respond(code(200), &Bytes::from_static(b"ok"), &timers, start));
        assert!(server.is_terminated());
    }

    #[test]
    fn a_user_that_never_answers_is_given_up_on() {
        let (timers, start) = (Timers::default(), Instant::now());
        let mut server = Server::new(Transport::Udp, &timers, start);
        assert_eq!(
            server.on_timeout(start + Duration::from_secs(32)),
            ServerTimer::TimedOut
        );
        assert!(!server.respond(code(200), &Bytes::from_static(b"ok"), &timers, start));
    }
}
