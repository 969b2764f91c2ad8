//! The INVITE client machine (RFC 3261 17.1.1) with the Accepted state of RFC 6026 7.2.
//!
//! It repeats the INVITE on UDP until any response, acknowledges refusals hop by hop, keeps a
//! CANCEL back until a provisional response allows it (9.1), and lets the first 2xx of each fork
//! through while it stands in Accepted; a repeated 2xx gets the ACK again that the session gave
//! for it. Invariant: at most one refusal and no 2xx after a refusal is reported.

use std::time::Instant;

use bytes::Bytes;

use super::machine::{ClientTimer, Repeat};
use super::timer::Timers;
use crate::flow::{Hop, Transport};
use crate::message::StatusCode;

#[derive(Debug)]
pub(super) struct ClientInvite {
    transport: Transport,
    interest: Interest,
    state: State,
}

/// Whether anybody waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interest {
    Wanted,
    Abandoned,
}

#[derive(Debug)]
enum State {
    Calling {
        request: Bytes,
        /// Timer A; absent on reliable transports.
        repeat: Option<Repeat>,
        /// Timer B.
        give_up: Instant,
        /// Header lines of a CANCEL that waits for a provisional response.
        held_cancel: Option<Bytes>,
    },
    /// Somebody answered provisionally; how long to wait is the user's decision.
    Proceeding {
        request: Bytes,
        /// After a CANCEL: RFC 3261 9.1, 64*T1.
        give_up: Option<Instant>,
    },
    /// Answers each repeated refusal with the ACK until Timer D.
    Completed {
        ack: Bytes,
        until: Instant,
    },
    /// Passes 2xx up until Timer M.
    Accepted {
        acks: Vec<ForkAck>,
        until: Instant,
    },
    Terminated,
}

/// The ACK to the 2xx of one fork.
#[derive(Debug)]
struct ForkAck {
    to_tag: Box<str>,
    hop: Hop,
    ack: Bytes,
}

/// More forks than any ring group answer a call at once only by intent.
const MAX_FORKS: usize = 40;

/// What a response leads to.
#[derive(Debug)]
pub(super) enum OnResponse {
    PassUp,
    Absorbed,
    /// Pass up, and send the CANCEL that waited: made from this INVITE, with these lines.
    PassUpAndCancel {
        invite: Bytes,
        lines: Bytes,
    },
    /// A refusal of this INVITE: build its ACK, hand it to [`ClientInvite::refused`], pass up.
    Refused {
        invite: Bytes,
    },
    /// Send this ACK again: to where the INVITE went, or to where the dialog lives.
    AckAgain {
        ack: Bytes,
        hop: Option<Hop>,
    },
}

/// What the wish to cancel leads to.
#[derive(Debug)]
pub(super) enum OnCancel {
    /// RFC 3261 9.1: no CANCEL before a provisional response.
    Held,
    Send {
        invite: Bytes,
    },
    /// A final response was faster.
    TooLate,
}

impl ClientInvite {
    pub(super) fn new(request: Bytes, transport: Transport, timers: &Timers, now: Instant) -> Self {
        Self {
            transport,
            interest: Interest::Wanted,
            state: State::Calling {
                request,
                repeat: Repeat::start(transport, timers.t1, now),
                give_up: now + timers.give_up,
                held_cancel: None,
            },
        }
    }

    pub(super) fn on_response(
        &mut self,
        code: StatusCode,
        to_tag: &str,
        timers: &Timers,
        now: Instant,
    ) -> OnResponse {
        match &mut self.state {
            State::Calling {
                request,
                held_cancel,
                ..
            } if code.is_provisional() => {
                let (request, held) = (request.clone(), held_cancel.take());
                let unwanted = held.is_some() || self.interest == Interest::Abandoned;
                let give_up = unwanted.then(|| now + timers.give_up);
                self.state = State::Proceeding {
                    request: request.clone(),
                    give_up,
                };
                match held {
                    Some(lines) => OnResponse::PassUpAndCancel {
                        invite: request,
                        lines,
                    },
                    None => OnResponse::PassUp,
                }
            }
            State::Proceeding { .. } if code.is_provisional() => OnResponse::PassUp,
            State::Calling { .. } | State::Proceeding { .. } if code.is_success() => {
                // RFC 6026 7.2: on every transport, as forks arrive late on all of them.
                self.state = State::Accepted {
                    acks: Vec::new(),
                    until: now + timers.linger,
                };
                OnResponse::PassUp
            }
            State::Calling { request, .. } | State::Proceeding { request, .. } => {
                OnResponse::Refused {
                    invite: request.clone(),
                }
            }
            State::Accepted { acks, .. } if code.is_success() => {
                match acks.iter().find(|fork| *fork.to_tag == *to_tag) {
                    Some(fork) => OnResponse::AckAgain {
                        ack: fork.ack.clone(),
                        hop: Some(fork.hop.clone()),
                    },
                    None if acks.len() < MAX_FORKS => OnResponse::PassUp,
                    None => OnResponse::Absorbed,
                }
            }
            State::Completed { ack, .. } if code.is_failure() => OnResponse::AckAgain {
                ack: ack.clone(),
                hop: None,
            },
            State::Accepted { .. } | State::Completed { .. } | State::Terminated => {
                OnResponse::Absorbed
            }
        }
    }

    /// Enters Completed with the ACK that was sent for the refusal.
    pub(super) fn refused(&mut self, ack: Bytes, timers: &Timers, now: Instant) {
        let linger = timers.d(self.transport);
        self.state = if linger.is_zero() {
            State::Terminated
        } else {
            State::Completed {
                ack,
                until: now + linger,
            }
        };
    }

    /// Remembers the ACK to the 2xx of a fork; a repeated 2xx gets it again.
    pub(super) fn acknowledged(&mut self, to_tag: &str, hop: &Hop, ack: &Bytes) {
        if let State::Accepted { acks, .. } = &mut self.state {
            acks.retain(|fork| *fork.to_tag != *to_tag);
            acks.push(ForkAck {
                to_tag: to_tag.into(),
                hop: hop.clone(),
                ack: ack.clone(),
            });
        }
    }

    /// The user does not want the call any more. `lines` go into the CANCEL.
    pub(super) fn cancel(&mut self, lines: &Bytes, timers: &Timers, now: Instant) -> OnCancel {
        match &mut self.state {
            State::Calling { held_cancel, .. } => {
                held_cancel.get_or_insert_with(|| lines.clone());
                OnCancel::Held
            }
            State::Proceeding { request, give_up } if give_up.is_none() => {
                *give_up = Some(now + timers.give_up);
                OnCancel::Send {
                    invite: request.clone(),
                }
            }
            State::Proceeding { .. }
            | State::Completed { .. }
            | State::Accepted { .. }
            | State::Terminated => OnCancel::TooLate,
        }
    }

    /// Nobody waits for the answer any more: a callee that only rang is given up too.
    pub(super) fn abandon(&mut self, timers: &Timers, now: Instant) {
        self.interest = Interest::Abandoned;
        if let State::Proceeding { give_up, .. } = &mut self.state {
            give_up.get_or_insert(now + timers.give_up);
        }
    }

    pub(super) fn on_timeout(&mut self, now: Instant) -> ClientTimer {
        match &mut self.state {
            State::Calling { give_up, .. }
            | State::Proceeding {
                give_up: Some(give_up),
                ..
            } if *give_up <= now => {
                self.state = State::Terminated;
                ClientTimer::TimedOut
            }
            State::Calling {
                request,
                repeat: Some(repeat),
                ..
            } if repeat.is_due(now) => {
                repeat.double(now);
                ClientTimer::Repeat(request.clone())
            }
            State::Completed { until, .. } | State::Accepted { until, .. } if *until <= now => {
                self.state = State::Terminated;
                ClientTimer::Idle
            }
            State::Calling { .. }
            | State::Proceeding { .. }
            | State::Completed { .. }
            | State::Accepted { .. }
            | State::Terminated => ClientTimer::Idle,
        }
    }

    /// The request once more, changed, over another transport.
    pub(super) fn restart(
        &mut self,
        transport: Transport,
        change: impl FnOnce(&Bytes) -> Bytes,
        timers: &Timers,
        now: Instant,
    ) -> Option<Bytes> {
        let State::Calling {
            request,
            repeat,
            give_up,
            ..
        } = &mut self.state
        else {
            return None;
        };
        self.transport = transport;
        *request = change(request);
        *repeat = Repeat::start(transport, timers.t1, now);
        *give_up = now + timers.give_up;
        Some(request.clone())
    }

    /// The transport failed.
    pub(super) fn abort(&mut self) {
        self.state = State::Terminated;
    }

    /// Whether a first final response can still come.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling { .. } | State::Proceeding { .. })
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Calling {
                repeat, give_up, ..
            } => Some(Repeat::earlier(repeat.as_ref(), *give_up)),
            State::Proceeding { give_up, .. } => *give_up,
            State::Completed { until, .. } | State::Accepted { until, .. } => Some(*until),
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
    use crate::flow::{Flow, ListenerId};

    fn code(code: u16) -> StatusCode {
        StatusCode::new(code).expect("a code")
    }

    fn client(transport: Transport, start: Instant) -> ClientInvite {
        ClientInvite::new(
            Bytes::from_static(b"INVITE"),
            transport,
            &Timers::default(),
            start,
        )
    }

    fn ms(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn an_invite_is_repeated_until_any_response() {
        let (timers, start) = (Timers::default(), Instant::now());
        let mut client = client(Transport::Udp, start);
        let mut repeats = Vec::new();
        for at in (0..5_000).step_by(500) {
            if let ClientTimer::Repeat(_) = client.on_timeout(ms(start, at)) {
                repeats.push(at);
            }
        }
        assert_eq!(repeats, [500, 1_500, 3_500]);
        assert!(matches!(
            client.on_response(code(100), "", &timers, ms(start, 5_000)),
            OnResponse::PassUp
        ));
        assert_eq!(
            client.deadline(),
            None,
            "how long to ring is the user's decision"
        );
    }

    #[test]
    fn silence_is_a_timeout_at_64_t1() {
        let start = Instant::now();
        let mut client = client(Transport::Tls, start);
        assert_eq!(client.on_timeout(ms(start, 31_999)), ClientTimer::Idle);
        assert_eq!(client.on_timeout(ms(start, 32_000)), ClientTimer::TimedOut);
        assert!(client.is_terminated());
    }

    #[test]
    fn a_repeated_refusal_gets_its_ack_again_and_no_answer_counts_after_it() {
        let (timers, start) = (Timers::default(), Instant::now());
        let mut client = client(Transport::Udp, start);
        assert!(matches!(
            client.on_response(code(486), "t", &timers, start),
            OnResponse::Refused { .. }
        ));
        client.refused(Bytes::from_static(b"ACK"), &timers, start);
        match client.on_response(code(486), "t", &timers, start) {
            OnResponse::AckAgain { ack, hop: None } => assert_eq!(&ack[..], b"ACK"),
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            client.on_response(code(200), "u", &timers, start),
            OnResponse::Absorbed
        ));
        client.on_timeout(ms(start, 32_000));
        assert!(client.is_terminated());
    }

    #[test]
    fn each_fork_is_passed_up_until_its_ack_is_known() {
        let (timers, start) = (Timers::default(), Instant::now());
        let hop = Hop::Flow(Flow::udp(
            ListenerId(0),
            ([10, 0, 0, 1], 5060).into(),
            ([10, 0, 0, 2], 5060).into(),
        ));
        let mut client = client(Transport::Udp, start);
        for tag in ["one", "one", "two"] {
            assert!(matches!(
                client.on_response(code(200), tag, &timers, start),
                OnResponse::PassUp
            ));
        }
        client.acknowledged("one", &hop, &Bytes::from_static(b"ACK"));
        assert!(matches!(
            client.on_response(code(200), "one", &timers, start),
            OnResponse::AckAgain { .. }
        ));
        assert!(matches!(
            client.on_response(code(200), "two", &timers, start),
            OnResponse::PassUp
        ));
        assert!(matches!(
            client.on_response(code(486), "two", &timers, start),
            OnResponse::Absorbed
        ));
        client.on_timeout(ms(start, 32_000));
        assert!(client.is_terminated());
    }

    #[test]
    fn a_cancel_waits_for_a_provisional_response_and_then_for_an_end() {
        let (timers, start) = (Timers::default(), Instant::now());
        let lines = Bytes::from_static(b"Reason: SIP\r\n");
        let mut held = client(Transport::Udp, start);
        assert!(matches!(
            held.cancel(&lines, &timers, start),
            OnCancel::Held
        ));
        match held.on_response(code(180), "t", &timers, ms(start, 100)) {
            OnResponse::PassUpAndCancel { lines: kept, .. } => assert_eq!(kept, lines),
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            held.on_response(code(180), "t", &timers, ms(start, 200)),
            OnResponse::PassUp
        ));
        assert_eq!(held.on_timeout(ms(start, 32_100)), ClientTimer::TimedOut);

        let mut rung = client(Transport::Udp, start);
        rung.on_response(code(180), "t", &timers, start);
        assert!(matches!(
            rung.cancel(&lines, &timers, start),
            OnCancel::Send { .. }
        ));
        assert!(matches!(
            rung.cancel(&lines, &timers, start),
            OnCancel::TooLate
        ));
        rung.on_response(code(200), "t", &timers, start);
        assert!(matches!(
            rung.cancel(&lines, &timers, start),
            OnCancel::TooLate
        ));
    }

    #[test]
    fn an_abandoned_invite_does_not_ring_for_ever() {
        let (timers, start) = (Timers::default(), Instant::now());
        for rung_before in [true, false] {
            let mut client = client(Transport::Udp, start);
            if rung_before {
                client.on_response(code(180), "t", &timers, start);
            }
            client.abandon(&timers, start);
            client.on_response(code(180), "t", &timers, start);
            assert_eq!(client.deadline(), Some(ms(start, 32_000)));
        }
    }
}
