//! The client machine for every method but INVITE and ACK (RFC 3261 17.1.2).
//!
//! It repeats the request on UDP, reports each response once and absorbs repetitions. It builds
//! no message and knows no timer queue. Invariant: after a final response, a time-out or an
//! abort nothing is reported any more.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::machine::{ClientTimer, Repeat, Report};
use super::timer::Timers;
use crate::flow::Transport;
use crate::message::StatusCode;

#[derive(Debug)]
pub(super) struct Client {
    transport: Transport,
    state: State,
}

#[derive(Debug)]
enum State {
    /// No response yet.
    Trying(Pending),
    /// A provisional response came; the request is still repeated, at T2 (17.1.2.2).
    Proceeding(Pending),
    /// Absorbs repeated final responses until Timer K.
    Completed {
        until: Instant,
    },
    Terminated,
}

#[derive(Debug)]
struct Pending {
    request: Bytes,
    /// Timer E; absent on reliable transports.
    repeat: Option<Repeat>,
    /// Timer F.
    give_up: Instant,
}

impl Client {
    pub(super) fn new(request: Bytes, transport: Transport, timers: &Timers, now: Instant) -> Self {
        Self {
            transport,
            state: State::Trying(Pending {
                request,
                repeat: Repeat::start(transport, timers.t1, now),
                give_up: now + timers.give_up,
            }),
        }
    }

    /// A response with this code arrived; whether the user of the transaction hears of it.
    pub(super) fn on_response(
        &mut self,
        code: StatusCode,
        timers: &Timers,
        now: Instant,
    ) -> Report {
        match std::mem::replace(&mut self.state, State::Terminated) {
            State::Trying(mut pending) | State::Proceeding(mut pending)
                if code.is_provisional() =>
            {
                if let Some(repeat) = &mut pending.repeat {
                    repeat.slow_down(timers.t2);
                }
                self.state = State::Proceeding(pending);
                Report::PassUp
            }
            State::Trying(_) | State::Proceeding(_) => {
                self.complete(timers.k(self.transport), now);
                Report::PassUp
            }
            State::Completed { until } => {
                self.state = State::Completed { until };
                Report::Absorbed
            }
            State::Terminated => Report::Absorbed,
        }
    }

    pub(super) fn on_timeout(&mut self, timers: &Timers, now: Instant) -> ClientTimer {
        match &mut self.state {
            State::Trying(pending) | State::Proceeding(pending) => {
                if pending.give_up <= now {
                    self.state = State::Terminated;
                    return ClientTimer::TimedOut;
                }
                match &mut pending.repeat {
                    Some(repeat) if repeat.is_due(now) => {
                        repeat.back_off(timers, now);
                        ClientTimer::Repeat(pending.request.clone())
                    }
                    Some(_) | None => ClientTimer::Idle,
                }
            }
            State::Completed { until } if *until <= now => {
                self.state = State::Terminated;
                ClientTimer::Idle
            }
            State::Completed { .. } | State::Terminated => ClientTimer::Idle,
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
        let State::Trying(pending) = &mut self.state else {
            return None;
        };
        self.transport = transport;
        pending.request = change(&pending.request);
        pending.repeat = Repeat::start(transport, timers.t1, now);
        pending.give_up = now + timers.give_up;
        Some(pending.request.clone())
    }

    /// The transport failed (17.1.4).
    pub(super) fn abort(&mut self) {
        self.state = State::Terminated;
    }

    /// Whether a response can still be reported.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.state, State::Trying(_) | State::Proceeding(_))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Trying(pending) | State::Proceeding(pending) => {
                Some(Repeat::earlier(pending.repeat.as_ref(), pending.give_up))
            }
            State::Completed { until } => Some(*until),
            State::Terminated => None,
        }
    }

    pub(super) fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    fn complete(&mut self, linger: Duration, now: Instant) {
        self.state = if linger.is_zero() {
            State::Terminated
        } else {
            State::Completed {
                until: now + linger,
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inputs in ms and codes; `None` is a look at the timers.
    #[track_caller]
    fn check(transport: Transport, inputs: &[(u64, Option<u16>)], wanted: &[&str]) {
        let (timers, start) = (Timers::default(), Instant::now());
        let mut client = Client::new(Bytes::from_static(b"r"), transport, &timers, start);
        let mut said = Vec::new();
        for (at, input) in inputs {
            let now = start + Duration::from_millis(*at);
            let what = match input {
                Some(code) => {
                    let code = StatusCode::new(*code).expect("a code");
                    format!("{:?}", client.on_response(code, &timers, now))
                }
                None => match client.on_timeout(&timers, now) {
                    ClientTimer::Idle => continue,
                    ClientTimer::Repeat(_) => "Repeat".to_owned(),
                    ClientTimer::TimedOut => "TimedOut".to_owned(),
                },
            };
            said.push(format!("{at} {what}"));
        }
        assert_eq!(said, wanted);
        assert_eq!(client.is_terminated(), client.deadline().is_none());
    }

    /// Every half second.
    fn looks(from: u64, to: u64) -> impl Iterator<Item = (u64, Option<u16>)> {
        (from / 500..=to / 500).map(|n| (n * 500, None))
    }

    #[test]
    fn a_request_is_repeated_with_back_off_up_to_t2_and_given_up_at_64_t1() {
        let inputs: Vec<_> = looks(0, 33_000).collect();
        let repeats = [
            500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
        ];
        let mut wanted: Vec<_> = repeats.iter().map(|at| format!("{at} Repeat")).collect();
        wanted.push("32000 TimedOut".to_owned());
        let wanted: Vec<_> = wanted.iter().map(String::as_str).collect();
        check(Transport::Udp, &inputs, &wanted);
        check(Transport::Tcp, &inputs, &["32000 TimedOut"]);
    }

    #[test]
    fn after_a_provisional_response_the_request_is_repeated_every_t2() {
        let mut inputs = vec![(0, None), (100, Some(100))];
        inputs.extend(looks(500, 10_000));
        check(
            Transport::Udp,
            &inputs,
            &["100 PassUp", "500 Repeat", "4500 Repeat", "8500 Repeat"],
        );
    }

    #[test]
    fn the_first_final_response_counts_and_its_repetitions_are_absorbed() {
        let inputs = [
            (10, Some(200)),
            (20, Some(200)),
            (30, Some(500)),
            (5_010, None),
        ];
        check(
            Transport::Udp,
            &inputs,
            &["10 PassUp", "20 Absorbed", "30 Absorbed"],
        );
        check(
            Transport::Tls,
            &inputs,
            &["10 PassUp", "20 Absorbed", "30 Absorbed"],
        );
    }
}
