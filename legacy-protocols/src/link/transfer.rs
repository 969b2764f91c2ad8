//! A link that is up: sequence numbers, the window, acknowledgements, polls (Q.921 5.6 and 5.8).
//!
//! Go-back-N: only the next payload in sequence is taken, and after a gap the peer sends all again
//! from there. Each deadline is either T200 (an answer is awaited) or T203 (nothing is).

use std::time::Instant;

use super::config::{Addressing, Config};
use super::frame::{Frame, Kind, MODULUS, Supervision};
use super::machine::{Core, Event, Verdict};

#[derive(Debug)]
pub(super) struct Transfer {
    /// V(A): the oldest number of ours that is not acknowledged.
    acknowledged: u8,
    /// How many payloads are on their way: V(S) - V(A).
    under_way: usize,
    /// The number after the highest that was ever sent; what is below it is a repetition.
    never_sent: u8,
    /// V(R): the next number of the peer's.
    expected: u8,
    peer_busy: bool,
    busy: bool,
    /// A REJ was sent, and the payload it asks for has not come.
    rejecting: bool,
    /// The peer has sent something that was not acknowledged yet.
    owes_acknowledgement: bool,
    /// Q.921 state 8: so many polls went out since.
    recovery: Option<u8>,
    timer: Timer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    None,
    /// T200
    Answer(Instant),
    /// T203
    Watch(Instant),
}

/// What an N(R) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acknowledgement {
    All,
    Some,
    Nothing,
    /// Older than one that came before.
    Stale,
    /// Of what was never sent.
    False,
}

impl Transfer {
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        let mut new = Self {
            acknowledged: 0,
            under_way: 0,
            never_sent: 0,
            expected: 0,
            peer_busy: false,
            busy: false,
            rejecting: false,
            owes_acknowledgement: false,
            recovery: None,
            timer: Timer::None,
        };
        new.watch(config, now);
        new
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.timer {
            Timer::None => None,
            Timer::Answer(at) | Timer::Watch(at) => Some(at),
        }
    }

    /// A poll of ours is out.
    pub(super) fn polls(&self) -> bool {
        self.recovery.is_some()
    }

    pub(super) fn receive(
        &mut self,
        core: &mut Core,
        kind: Kind,
        frame: &Frame<'_>,
        now: Instant,
    ) -> Verdict {
        let verdict = match *frame {
            Frame::Information {
                number,
                expected,
                poll,
                payload,
            } => {
                if payload.len() > core.config.longest_payload {
                    core.counters.too_long += 1;
                    return Verdict::Recover;
                }
                self.take(core, number, poll, payload);
                self.take_acknowledgement(core, expected, now)
            }
            Frame::Supervisory {
                function,
                expected,
                poll_final,
            } => self.supervise(core, kind, function, expected, poll_final, now),
            // Those never come here: they change the link, not what it carries.
            Frame::Unnumbered { .. } => Verdict::Continue,
        };
        if verdict == Verdict::Continue {
            self.flush(core, now);
        }
        verdict
    }

    /// Sends what the window allows, and an acknowledgement if none of it carried one.
    pub(super) fn flush(&mut self, core: &mut Core, now: Instant) {
        if self.recovery.is_none() && !self.peer_busy {
            while self.under_way < core.config.window() && self.under_way < core.queue.len() {
                self.under_way += 1;
                self.send_payload(core, self.under_way - 1, false);
                self.await_answer(core, now);
            }
        }
        if self.peer_busy && !core.queue.is_empty() {
            // Q.921 5.6.5: a busy peer is asked again and again.
            self.await_answer(core, now);
        }
        if self.owes_acknowledgement {
            self.supervisory(core, Kind::Response, self.readiness(), false);
        }
    }

    pub(super) fn pause_receiving(&mut self, core: &mut Core) {
        if !self.busy {
            self.busy = true;
            self.supervisory(core, Kind::Response, Supervision::ReceiveNotReady, false);
        }
    }

    pub(super) fn resume_receiving(&mut self, core: &mut Core) {
        if self.busy {
            self.busy = false;
            self.supervisory(core, Kind::Response, Supervision::ReceiveReady, false);
        }
    }

    pub(super) fn handle_timeout(&mut self, core: &mut Core, now: Instant) -> Verdict {
        match self.timer {
            Timer::Answer(at) if at <= now => {
                core.counters.answers_missed += 1;
                let polls = self.recovery.unwrap_or(0);
                if polls >= core.config.retries {
                    return Verdict::Recover;
                }
                self.recovery = Some(polls + 1);
                self.poll(core, now);
            }
            Timer::Watch(at) if at <= now => {
                self.recovery = Some(0);
                self.poll(core, now);
            }
            Timer::None | Timer::Answer(_) | Timer::Watch(_) => {}
        }
        Verdict::Continue
    }

    /// Asks the peer for an answer with the final bit.
    fn poll(&mut self, core: &mut Core, now: Instant) {
        match core.config.addressing {
            Addressing::CommandBit => {
                self.supervisory(core, Kind::Command, self.readiness(), true);
            }
            Addressing::ControlOnly if core.queue.is_empty() => {
                // All was acknowledged meanwhile.
                self.recovery = None;
                self.watch(&core.config, now);
                return;
            }
            Addressing::ControlOnly => {
                self.under_way = self.under_way.max(1);
                self.send_payload(core, 0, true);
            }
        }
        self.timer = Timer::Answer(now + core.config.answer_within);
    }

    fn take(&mut self, core: &mut Core, number: u8, poll: bool, payload: &[u8]) {
        if self.busy {
            core.counters.dropped_busy += 1;
            if poll {
                self.supervisory(core, Kind::Response, Supervision::ReceiveNotReady, true);
            }
        } else if number == self.expected {
            self.expected = (self.expected + 1) % MODULUS;
            self.rejecting = false;
            self.owes_acknowledgement = true;
            core.counters.payloads_received += 1;
            core.event(Event::Received(payload.to_vec()));
            if poll {
                self.supervisory(core, Kind::Response, Supervision::ReceiveReady, true);
            }
        } else {
            core.counters.out_of_sequence += 1;
            if !self.rejecting {
                // Q.921 5.8.1: one REJ per gap.
                self.rejecting = true;
                core.counters.rejects_sent += 1;
                self.supervisory(core, Kind::Response, Supervision::Reject, poll);
            } else if poll {
                self.supervisory(core, Kind::Response, Supervision::ReceiveReady, true);
            }
        }
    }

    /// The N(R) of an information frame.
    fn take_acknowledgement(&mut self, core: &mut Core, expected: u8, now: Instant) -> Verdict {
        match self.acknowledge(core, expected) {
            Acknowledgement::All if self.recovery.is_none() && !self.peer_busy => {
                self.watch(&core.config, now);
            }
            Acknowledgement::Some if self.recovery.is_none() && !self.peer_busy => {
                self.timer = Timer::Answer(now + core.config.answer_within);
            }
            Acknowledgement::False => return Verdict::Recover,
            Acknowledgement::All
            | Acknowledgement::Some
            | Acknowledgement::Nothing
            | Acknowledgement::Stale => {}
        }
        Verdict::Continue
    }

    fn supervise(
        &mut self,
        core: &mut Core,
        kind: Kind,
        function: Supervision,
        expected: u8,
        poll_final: bool,
        now: Instant,
    ) -> Verdict {
        if kind == Kind::Command && poll_final {
            self.supervisory(core, Kind::Response, self.readiness(), true);
        }
        if function == Supervision::Reject {
            core.counters.rejects_received += 1;
        }
        let answer = kind == Kind::Response && poll_final;
        let acknowledgement = self.acknowledge(core, expected);
        match acknowledgement {
            Acknowledgement::False => return Verdict::Recover,
            // To a poll the peer says where it stands now: behind us, we disagree.
            Acknowledgement::Stale if answer && self.recovery.is_some() => {
                return Verdict::Recover;
            }
            Acknowledgement::Stale => return Verdict::Continue,
            Acknowledgement::All | Acknowledgement::Some | Acknowledgement::Nothing => {}
        }
        self.peer_busy = function == Supervision::ReceiveNotReady;
        if self.recovery.is_some() {
            if answer {
                self.recovery = None;
                self.go_back(core, now);
            }
            return Verdict::Continue;
        }
        if answer {
            core.counters.unexpected += 1;
        }
        match (function, acknowledgement) {
            (Supervision::Reject, _) => self.go_back(core, now),
            (Supervision::ReceiveNotReady, _) => {
                self.timer = Timer::Answer(now + core.config.answer_within);
            }
            (Supervision::ReceiveReady, Acknowledgement::Some) => {
                self.timer = Timer::Answer(now + core.config.answer_within);
            }
            (Supervision::ReceiveReady, Acknowledgement::Nothing) if self.under_way > 0 => {}
            (Supervision::ReceiveReady, _) => self.watch(&core.config, now),
        }
        Verdict::Continue
    }

    /// All that is not acknowledged goes out again; `flush` sends it.
    fn go_back(&mut self, core: &Core, now: Instant) {
        self.under_way = 0;
        if self.peer_busy {
            self.timer = Timer::Answer(now + core.config.answer_within);
        } else {
            self.watch(&core.config, now);
        }
    }

    fn acknowledge(&mut self, core: &mut Core, expected: u8) -> Acknowledgement {
        let ahead = usize::from(distance(self.acknowledged, expected));
        let behind = usize::from(distance(expected, self.acknowledged));
        let sent = usize::from(distance(self.acknowledged, self.never_sent));
        if ahead == 0 {
            return if self.under_way == 0 {
                Acknowledgement::All
            } else {
                Acknowledgement::Nothing
            };
        }
        // After going back, what was sent before may still arrive and be acknowledged.
        if ahead <= sent.min(core.queue.len()) {
            core.queue.drain(..ahead);
            self.acknowledged = expected;
            self.under_way = self.under_way.saturating_sub(ahead);
            return if self.under_way == 0 {
                Acknowledgement::All
            } else {
                Acknowledgement::Some
            };
        }
        // Q.921 5.8.5 takes an old N(R) for an error, since its line keeps frames in order. Over
        // UDP an old acknowledgement only came late.
        if behind <= core.config.window() {
            core.counters.stale += 1;
            return Acknowledgement::Stale;
        }
        core.counters.false_acknowledgements += 1;
        Acknowledgement::False
    }

    fn send_payload(&mut self, core: &mut Core, position: usize, poll: bool) {
        let payload = core.queue[position].clone();
        // Positions are below the window, and that is below the modulus.
        let number = (self.acknowledged + position as u8) % MODULUS;
        if number == self.never_sent {
            self.never_sent = (number + 1) % MODULUS;
            core.counters.payloads_sent += 1;
        } else {
            core.counters.repeated += 1;
        }
        self.owes_acknowledgement = false;
        let frame = Frame::Information {
            number,
            expected: self.expected,
            poll,
            payload: &payload,
        };
        core.transmit(Kind::Command, &frame);
    }

    fn supervisory(
        &mut self,
        core: &mut Core,
        kind: Kind,
        function: Supervision,
        poll_final: bool,
    ) {
        self.owes_acknowledgement = false;
        let frame = Frame::Supervisory {
            function,
            expected: self.expected,
            poll_final,
        };
        core.transmit(kind, &frame);
    }

    fn readiness(&self) -> Supervision {
        if self.busy {
            Supervision::ReceiveNotReady
        } else {
            Supervision::ReceiveReady
        }
    }

    fn await_answer(&mut self, core: &Core, now: Instant) {
        if !matches!(self.timer, Timer::Answer(_)) {
            self.timer = Timer::Answer(now + core.config.answer_within);
        }
    }

    fn watch(&mut self, config: &Config, now: Instant) {
        let watched = config.addressing == Addressing::CommandBit;
        self.timer = match config.watch_idle_after.filter(|_| watched) {
            Some(after) => Timer::Watch(now + after),
            None => Timer::None,
        };
    }
}

/// How far `to` lies ahead of `from`.
fn distance(from: u8, to: u8) -> u8 {
    to.wrapping_sub(from) % MODULUS
}
