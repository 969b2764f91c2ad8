//! An ISDN line of any kind and side, with a peer that calls, answers and now and then talks
//! nonsense over a D channel that loses frames.

use std::collections::VecDeque;
use std::time::Instant;

use legacy_protocols::isdn::codec::{CauseValue, Number};
use legacy_protocols::isdn::link::{Side, Topology};
use legacy_protocols::isdn::session::{
    CallEvent, CallId, Config, Dialect, Event, Line, Output, Restart, Setup,
};

use crate::contract::{Machine, Step};
use crate::random::Random;

/// See the module.
#[derive(Debug)]
pub struct IsdnLine {
    line: Line,
    calls: Vec<CallId>,
    to_peer: VecDeque<Vec<u8>>,
    peer: Line,
    peers_calls: Vec<CallId>,
    from_peer: VecDeque<Vec<u8>>,
}

#[derive(Debug)]
pub enum IsdnInput {
    Frame(Vec<u8>),
    Call(Box<Setup>),
    MoreDigits(CallId),
    Dial(CallId),
    Proceed(CallId),
    Alert(CallId),
    Answer(CallId),
    Check(CallId),
    HangUp(CallId),
    Restart(Restart),
    LineLost,
    Nothing,
}

fn config(seed: u64, side: Side) -> Config {
    match seed % 4 {
        0 => Config::primary_rate(side, Dialect::Dss1),
        1 => Config::primary_rate(side, Dialect::Qsig),
        2 => Config::basic_rate(side, Topology::PointToMultipoint),
        _ => Config::basic_rate(side, Topology::PointToPoint),
    }
}

fn setup(random: &mut Random) -> Setup {
    Setup {
        complete: !random.one_in(3),
        ..Setup::speech(Number::unknown("107"), Number::unknown("4711"))
    }
}

impl IsdnLine {
    /// The peer hears what was said, and does something.
    fn move_peer(&mut self, random: &mut Random, now: Instant) {
        self.peer.handle_timeout(now);
        while let Some(frame) = self.to_peer.pop_front() {
            if !random.one_in(10) {
                self.peer.receive(&frame, now);
            }
        }
        if let Some(call) = self.peers_calls.first().copied() {
            // What is not possible now is refused and changes nothing.
            let _ = match random.below(12) {
                0 => self.peer.proceed(call, now),
                1 => self.peer.alert(call, None, now),
                2 => self.peer.answer_call(call, now),
                3 => self.peer.more_digits(call, now),
                4 => self.peer.hang_up(call, CauseValue::USER_BUSY, now),
                _ => Ok(()),
            };
        }
        if random.one_in(8) {
            let _ = self.peer.call(setup(random), now);
        }
        loop {
            match self.peer.poll_output() {
                Output::Transmit(frame) if !random.one_in(10) => self.from_peer.push_back(frame),
                Output::Event(event) => note(&mut self.peers_calls, &event),
                Output::Transmit(_) => {}
                Output::Timeout(_) => return,
            }
        }
    }

    /// An octet of a true frame changed, or none of it true.
    fn nonsense(random: &mut Random, mut frame: Vec<u8>) -> Vec<u8> {
        if frame.is_empty() || random.one_in(3) {
            frame = vec![random.draw() as u8; random.below(12)];
        } else {
            let at = random.below(frame.len());
            frame[at] = random.draw() as u8;
        }
        frame
    }
}

/// Who has which calls.
fn note(calls: &mut Vec<CallId>, event: &Event) {
    if let Event::Call { call, what, .. } = event {
        calls.retain(|one| one != call);
        if !matches!(what, CallEvent::Ended(_)) {
            calls.push(*call);
        }
    }
}

impl Machine for IsdnLine {
    type Input = IsdnInput;

    fn new(seed: u64, now: Instant) -> Self {
        let (side, other) = if (seed / 4).is_multiple_of(2) {
            (Side::User, Side::Network)
        } else {
            (Side::Network, Side::User)
        };
        Self {
            line: Line::new(config(seed, side), seed, now),
            calls: Vec::new(),
            to_peer: VecDeque::new(),
            peer: Line::new(config(seed, other), !seed, now),
            peers_calls: Vec::new(),
            from_peer: VecDeque::new(),
        }
    }

    fn choose(&mut self, random: &mut Random, now: Instant) -> IsdnInput {
        self.move_peer(random, now);
        let call = self.calls.last().copied().unwrap_or(CallId(77));
        match random.below(40) {
            0..=3 => IsdnInput::Call(Box::new(setup(random))),
            4 => IsdnInput::MoreDigits(call),
            5 => IsdnInput::Dial(call),
            6 => IsdnInput::Proceed(call),
            7 => IsdnInput::Alert(call),
            8..=10 => IsdnInput::Answer(call),
            11 => IsdnInput::Check(call),
            12..=13 => IsdnInput::HangUp(call),
            14 if random.one_in(3) => IsdnInput::Restart(Restart::One(1)),
            15 if random.one_in(5) => IsdnInput::LineLost,
            16 => {
                let frame = self.from_peer.pop_front().unwrap_or_default();
                IsdnInput::Frame(Self::nonsense(random, frame))
            }
            _ => match self.from_peer.pop_front() {
                Some(frame) => IsdnInput::Frame(frame),
                None => IsdnInput::Nothing,
            },
        }
    }

    fn handle(&mut self, input: IsdnInput, now: Instant) {
        let line = &mut self.line;
        // Commands that make no sense are refused and change nothing.
        let _ = match input {
            IsdnInput::Frame(frame) => {
                line.receive(&frame, now);
                true
            }
            IsdnInput::Call(setup) => match line.call(*setup, now) {
                Ok(call) => {
                    self.calls.push(call);
                    true
                }
                Err(_) => false,
            },
            IsdnInput::MoreDigits(call) => line.more_digits(call, now).is_ok(),
            IsdnInput::Dial(call) => line.dial(call, "5", false, now).is_ok(),
            IsdnInput::Proceed(call) => line.proceed(call, now).is_ok(),
            IsdnInput::Alert(call) => line.alert(call, None, now).is_ok(),
            IsdnInput::Answer(call) => line.answer_call(call, now).is_ok(),
            IsdnInput::Check(call) => line.check(call, now).is_ok(),
            IsdnInput::HangUp(call) => {
                let cause = CauseValue::NORMAL_CLEARING;
                line.hang_up(call, cause, now).is_ok()
            }
            IsdnInput::Restart(what) => line.restart(what, now).is_ok(),
            IsdnInput::LineLost => {
                line.line_lost(now);
                true
            }
            IsdnInput::Nothing => true,
        };
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.line.handle_timeout(now);
    }

    fn poll(&mut self) -> Step {
        match self.line.poll_output() {
            Output::Timeout(at) => Step::Timeout(at),
            Output::Transmit(frame) => {
                let words = format!("frame {frame:02x?}");
                self.to_peer.push_back(frame);
                Step::Said(words)
            }
            Output::Event(event) => {
                note(&mut self.calls, &event);
                Step::Said(format!("{event:?}"))
            }
        }
    }
}
