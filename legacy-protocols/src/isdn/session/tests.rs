//! One network end and its users on a D channel that may lose frames.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::isdn::codec::{
    Binding, CallReference, CauseValue, Element, Message, MessageType, Number, Origin, id,
};
use crate::isdn::link::{Side, Topology};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// End 0 is the network.
struct Wire {
    ends: Vec<Line>,
    now: Instant,
    events: Vec<Vec<Event>>,
    /// Frames to lose: which of those that come.
    loses: Box<dyn FnMut(usize) -> bool>,
    frames: usize,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    PrimaryDss1,
    PrimaryQsig,
    BasicBus,
    BasicLine,
}

const MODES: [Mode; 4] = [
    Mode::PrimaryDss1,
    Mode::PrimaryQsig,
    Mode::BasicBus,
    Mode::BasicLine,
];

fn config(mode: Mode, side: Side) -> Config {
    match mode {
        Mode::PrimaryDss1 => Config::primary_rate(side, Dialect::Dss1),
        Mode::PrimaryQsig => Config::primary_rate(side, Dialect::Qsig),
        Mode::BasicBus => Config::basic_rate(side, Topology::PointToMultipoint),
        Mode::BasicLine => Config::basic_rate(side, Topology::PointToPoint),
    }
}

impl Wire {
    fn new(mode: Mode, users: usize) -> Self {
        Self::of(config(mode, Side::Network), config(mode, Side::User), users)
    }

    fn of(network: Config, user: Config, users: usize) -> Self {
        let now = Instant::now();
        let mut ends = vec![Line::new(network, 0, now)];
        ends.extend((1..=users as u64).map(|seed| Line::new(user, seed, now)));
        let mut new = Self {
            events: vec![Vec::new(); ends.len()],
            ends,
            now,
            loses: Box::new(|_| false),
            frames: 0,
        };
        new.settle();
        new.run(SECOND);
        assert!(new.ends.iter().all(Line::is_up));
        new.forget();
        new
    }

    fn settle(&mut self) {
        let mut said = 0;
        loop {
            let mut silent = true;
            for end in 0..self.ends.len() {
                loop {
                    match self.ends[end].poll_output() {
                        Output::Transmit(frame) => {
                            silent = false;
                            said += 1;
                            assert!(said < 2_000, "they never stop talking");
                            self.frames += 1;
                            if (self.loses)(self.frames) {
                                continue;
                            }
                            let hears = if end == 0 { 1..self.ends.len() } else { 0..1 };
                            for other in hears {
                                self.ends[other].receive(&frame, self.now);
                            }
                        }
                        Output::Event(event) => self.events[end].push(event),
                        Output::Timeout(_) => break,
                    }
                }
            }
            if silent {
                return;
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let deadlines = self
                .ends
                .iter_mut()
                .filter_map(|end| match end.poll_output() {
                    Output::Timeout(at) => at,
                    other => panic!("not drained: {other:?}"),
                });
            let Some(next) = deadlines.min().filter(|at| *at <= until) else {
                self.now = until;
                return;
            };
            assert!(next >= self.now, "a deadline in the past");
            self.now = next;
            for end in &mut self.ends {
                end.handle_timeout(next);
            }
            self.settle();
        }
    }

    fn forget(&mut self) {
        self.events.iter_mut().for_each(Vec::clear);
    }

    /// What an end heard of its calls since it was last asked.
    fn heard(&mut self, end: usize) -> Vec<(CallId, CallEvent)> {
        let events = std::mem::take(&mut self.events[end]);
        let calls = events.into_iter().filter_map(|event| match event {
            Event::Call { call, what, .. } => Some((call, what)),
            _ => None,
        });
        calls.collect()
    }

    fn call(&mut self, end: usize) -> CallId {
        let setup = Setup::speech(Number::unknown("107"), Number::unknown("4711"));
        let call = self.ends[end].call(setup, self.now).unwrap();
        self.settle();
        call
    }

    /// The call that just arrived.
    fn incoming(&mut self, end: usize) -> (CallId, IncomingCall) {
        match self.heard(end).as_slice() {
            [(call, CallEvent::Incoming(incoming))] => (*call, incoming.clone()),
            other => panic!("{other:?}"),
        }
    }

    fn act(
        &mut self,
        end: usize,
        act: impl FnOnce(&mut Line, Instant) -> Result<(), CommandError>,
    ) {
        act(&mut self.ends[end], self.now).unwrap();
        self.settle();
    }

    fn hears(&mut self, end: usize, call: CallId, what: CallEvent) {
        assert_eq!(self.heard(end), [(call, what)]);
    }

    /// Two ends in conversation: (caller's id, callee's id).
    fn talk(&mut self, from: usize, to: usize) -> (CallId, CallId) {
        let ours = self.call(from);
        let (theirs, _) = self.incoming(to);
        self.act(to, |line, now| line.answer_call(theirs, now));
        self.forget();
        (ours, theirs)
    }

    fn all_calls_gone(&mut self) {
        self.run(60 * SECOND);
        assert!(self.ends.iter().all(|end| end.calls() == 0));
    }
}

#[test]
fn a_call_rings_is_answered_and_hung_up_in_each_mode_and_direction() {
    for mode in MODES {
        for (from, to) in [(0, 1), (1, 0)] {
            let mut wire = Wire::new(mode, 1);
            let ours = wire.call(from);
            let (theirs, incoming) = wire.incoming(to);
            assert_eq!(incoming.called, Some(Number::unknown("4711")));
            assert_eq!(incoming.calling, Some(Number::unknown("107")));
            assert_eq!(incoming.complete, !matches!(mode, Mode::PrimaryQsig));
            let in_band = false;
            wire.act(to, |line, now| line.proceed(theirs, now));
            wire.hears(from, ours, CallEvent::Proceeding { in_band });
            wire.act(to, |line, now| line.alert(theirs, None, now));
            wire.hears(from, ours, CallEvent::Alerting { in_band });
            wire.act(to, |line, now| line.answer_call(theirs, now));
            wire.hears(from, ours, CallEvent::Answered);
            wire.hears(to, theirs, CallEvent::Connected);
            assert_eq!(wire.ends[from].channel(ours), wire.ends[to].channel(theirs));
            wire.run(300 * SECOND);
            let cause = CauseValue::NORMAL_CLEARING;
            wire.act(from, |line, now| line.hang_up(ours, cause, now));
            wire.hears(from, ours, CallEvent::Ended(cause));
            wire.hears(to, theirs, CallEvent::Ended(cause));
            assert_eq!((wire.ends[0].calls(), wire.ends[1].calls()), (0, 0));
        }
    }
}

#[test]
fn a_refusal_tells_its_cause() {
    for mode in MODES {
        let mut wire = Wire::new(mode, 1);
        let ours = wire.call(0);
        let (theirs, _) = wire.incoming(1);
        let cause = CauseValue::USER_BUSY;
        wire.act(1, |line, now| line.hang_up(theirs, cause, now));
        wire.hears(1, theirs, CallEvent::Ended(cause));
        wire.hears(0, ours, CallEvent::Ended(cause));
        wire.all_calls_gone();
    }
}

#[test]
fn digits_are_dialled_one_by_one_until_the_number_is_complete() {
    for mode in [Mode::PrimaryDss1, Mode::BasicLine, Mode::PrimaryQsig] {
        let mut wire = Wire::new(mode, 1);
        let setup = Setup {
            called: None,
            complete: false,
            ..Setup::speech(Number::unknown("107"), Number::unknown(""))
        };
        let ours = wire.ends[1].call(setup, wire.now).unwrap();
        wire.settle();
        let (theirs, incoming) = wire.incoming(0);
        assert_eq!((incoming.called, incoming.complete), (None, false));
        wire.act(0, |line, now| line.more_digits(theirs, now));
        wire.hears(1, ours, CallEvent::MoreDigitsWanted);
        for digit in ["4", "7"] {
            wire.act(1, |line, now| line.dial(ours, digit, false, now));
            let digits = CallEvent::Digits {
                digits: digit.into(),
                keypad: String::new(),
                complete: false,
            };
            wire.hears(0, theirs, digits);
        }
        // T302: no more comes.
        wire.run(16 * SECOND);
        wire.hears(0, theirs, CallEvent::DialingEnded);
        wire.act(0, |line, now| line.proceed(theirs, now));
        wire.hears(1, ours, CallEvent::Proceeding { in_band: false });
    }
}

#[test]
fn the_network_has_the_channel_that_both_take_at_once() {
    let mut network = config(Mode::PrimaryDss1, Side::Network);
    network.hunt = Hunt::FromFirst;
    let mut wire = Wire::of(network, config(Mode::PrimaryDss1, Side::User), 1);
    let setup = || Setup::speech(Number::unknown("1"), Number::unknown("2"));
    let now = wire.now;
    let of_network = wire.ends[0].call(setup(), now).unwrap();
    let of_user = wire.ends[1].call(setup(), now).unwrap();
    wire.settle();
    let refused = CallEvent::Ended(CauseValue::CHANNEL_NOT_AVAILABLE);
    assert_eq!(wire.heard(0), []);
    let heard = wire.heard(1);
    let (taken, _) = heard.iter().find(|(id, _)| *id != of_user).unwrap();
    assert!(heard.contains(&(of_user, refused)));
    wire.act(1, |line, now| line.answer_call(*taken, now));
    wire.hears(0, of_network, CallEvent::Answered);
    assert_eq!(wire.ends[1].channel(*taken), Some(1));
    assert_eq!(wire.ends[0].counters().channel_collisions, 1);
}

#[test]
fn a_preferred_channel_in_use_becomes_another_one() {
    let both = |side| Config {
        hunt: Hunt::FromFirst,
        binding: Binding::Preferred,
        ..config(Mode::PrimaryDss1, side)
    };
    let mut wire = Wire::of(both(Side::Network), both(Side::User), 1);
    let setup = || Setup::speech(Number::unknown("1"), Number::unknown("2"));
    let now = wire.now;
    wire.ends[0].call(setup(), now).unwrap();
    let of_user = wire.ends[1].call(setup(), now).unwrap();
    wire.settle();
    let (theirs, _) = wire.incoming(0);
    wire.act(0, |line, now| line.proceed(theirs, now));
    assert_eq!(wire.ends[0].channel(theirs), Some(2));
    assert_eq!(wire.ends[1].channel(of_user), Some(2));
}

#[test]
fn on_a_bus_the_first_answer_has_the_call_and_the_others_stop_ringing() {
    let mut wire = Wire::new(Mode::BasicBus, 3);
    let ours = wire.call(0);
    let ringing: Vec<CallId> = (1..=3).map(|end| wire.incoming(end).0).collect();
    for end in 1..=3 {
        wire.act(end, |line, now| line.alert(ringing[end - 1], None, now));
    }
    wire.hears(0, ours, CallEvent::Alerting { in_band: false });
    wire.act(2, |line, now| line.answer_call(ringing[1], now));
    wire.hears(0, ours, CallEvent::Answered);
    wire.hears(2, ringing[1], CallEvent::Connected);
    let stop = CallEvent::Ended(CauseValue::NON_SELECTED_USER_CLEARING);
    wire.hears(1, ringing[0], stop.clone());
    wire.hears(3, ringing[2], stop);
    // A message that crossed is answered, and changes nothing.
    wire.run(30 * SECOND);
    assert_eq!(wire.ends[0].calls(), 1);
    assert_eq!(wire.ends[1].calls(), 0);
}

#[test]
fn a_bus_on_which_all_refuse_is_busy_if_one_is() {
    let mut wire = Wire::new(Mode::BasicBus, 2);
    let ours = wire.call(0);
    for (end, cause) in [(1, CauseValue::CALL_REJECTED), (2, CauseValue::USER_BUSY)] {
        let (theirs, _) = wire.incoming(end);
        wire.act(end, |line, now| line.hang_up(theirs, cause, now));
    }
    wire.hears(0, ours, CallEvent::Ended(CauseValue::USER_BUSY));
}

#[test]
fn a_setup_nobody_answers_is_said_twice_and_given_up() {
    for mode in MODES {
        let mut wire = Wire::new(mode, 1);
        let ours = wire.call(0);
        let (_, _) = wire.incoming(1);
        wire.run(9 * SECOND);
        wire.hears(0, ours, CallEvent::Ended(CauseValue::NO_USER_RESPONDING));
    }
}

#[test]
fn restart_ends_calls_and_frees_their_channels_at_both_ends() {
    for mode in [Mode::PrimaryDss1, Mode::PrimaryQsig, Mode::BasicLine] {
        for what in [Restart::One(1), Restart::All] {
            let mut wire = Wire::new(mode, 1);
            let (ours, theirs) = wire.talk(1, 0);
            let now = wire.now;
            wire.ends[0].restart(what, now).unwrap();
            wire.settle();
            let done = |event: &Event| matches!(event, Event::RestartDone(_));
            let heard = |event: &Event| matches!(event, Event::Restarted(_));
            assert!(wire.events[0].iter().any(done), "{mode:?}");
            assert!(wire.events[1].iter().any(heard));
            let ended = CallEvent::Ended(CauseValue::TEMPORARY_FAILURE);
            wire.hears(0, theirs, ended.clone());
            wire.hears(1, ours, ended);
            wire.talk(1, 0);
        }
    }
}

#[test]
fn a_restart_that_is_not_acknowledged_takes_the_channels_out_of_service() {
    let mut wire = Wire::new(Mode::BasicLine, 1);
    wire.loses = Box::new(|_| true);
    let now = wire.now;
    wire.ends[0].restart(Restart::All, now).unwrap();
    wire.settle();
    wire.run(241 * SECOND);
    let failed = wire.events[0].contains(&Event::RestartFailed(vec![1, 2]));
    assert!(failed, "{:?}", wire.events[0]);
}

#[test]
fn a_call_bears_a_short_loss_of_its_link_and_not_a_long_one() {
    let mut wire = Wire::new(Mode::PrimaryDss1, 1);
    let (ours, theirs) = wire.talk(1, 0);
    let now = wire.now;
    wire.ends[0].line_lost(now);
    wire.settle();
    wire.run(5 * SECOND);
    assert!(wire.ends[0].is_up());
    assert_eq!((wire.heard(0), wire.heard(1)), (vec![], vec![]));
    // The line is cut: T200 and T203 find out, T309 ends the call.
    wire.loses = Box::new(|_| true);
    wire.run(60 * SECOND);
    let ended = CallEvent::Ended(CauseValue::DESTINATION_OUT_OF_ORDER);
    wire.hears(0, theirs, ended.clone());
    wire.hears(1, ours, ended);
    wire.loses = Box::new(|_| false);
    wire.run(10 * SECOND);
    wire.talk(0, 1);
}

#[test]
fn an_end_that_forgot_a_call_is_found_out_by_asking() {
    let mut wire = Wire::new(Mode::PrimaryDss1, 1);
    let (ours, _) = wire.talk(1, 0);
    wire.act(1, |line, now| line.check(ours, now));
    assert_eq!(wire.heard(1), []);
    // The network starts again.
    wire.ends[0] = Line::new(config(Mode::PrimaryDss1, Side::Network), 9, wire.now);
    wire.settle();
    wire.run(10 * SECOND);
    let heard = wire.heard(1);
    assert!(
        matches!(heard.as_slice(), [(call, CallEvent::Ended(_))] if *call == ours),
        "{heard:?}"
    );
}

// ---- one end against messages made by hand ------------------------------------------

/// The user end of a primary rate line whose peer is the test.
struct Alone {
    line: Line,
    now: Instant,
}

impl Alone {
    /// What it answers to a message: (type, cause).
    fn answers(message: Message) -> Vec<(MessageType, Option<CauseValue>)> {
        let mut wire = Wire::new(Mode::PrimaryDss1, 1);
        let mut alone = Self {
            line: wire.ends.remove(1),
            now: wire.now,
        };
        // An information frame of the network's, the first one.
        let frame = [&[0x02, 0x01, 0x00, 0x00][..], message.raw()].concat();
        alone.line.receive(&frame, alone.now);
        let mut said = Vec::new();
        loop {
            match alone.line.poll_output() {
                Output::Transmit(frame) if frame.len() > 4 => {
                    let message = Message::decode(&frame[4..]).unwrap();
                    let cause = message
                        .element(id::CAUSE)
                        .map(|_| messages::cause_of(&message));
                    said.push((message.kind, cause));
                }
                Output::Transmit(_) | Output::Event(_) => {}
                Output::Timeout(_) => return said,
            }
        }
    }
}

fn message(origin: Origin, value: u16, kind: MessageType, elements: Vec<Element>) -> Message {
    let length = 2;
    let reference = CallReference {
        length,
        value,
        origin,
    };
    Message::new(reference, kind, elements)
}

#[test]
fn what_belongs_to_no_call_is_answered_as_the_standard_says() {
    use MessageType::*;
    let check = |kind, answer: &[(MessageType, Option<CauseValue>)]| {
        let message = message(Origin::Sender, 7, kind, Vec::new());
        assert_eq!(Alone::answers(message), answer, "{kind:?}");
    };
    let unknown = Some(CauseValue::INVALID_CALL_REFERENCE);
    check(Connect, &[(ReleaseComplete, unknown)]);
    check(Release, &[(ReleaseComplete, unknown)]);
    check(Information, &[(ReleaseComplete, unknown)]);
    check(ReleaseComplete, &[]);
    check(Status, &[]);
}

#[test]
fn a_setup_without_what_it_needs_is_refused_with_the_reason() {
    let check = |elements, cause| {
        let setup = message(Origin::Sender, 7, MessageType::Setup, elements);
        let refused = (MessageType::ReleaseComplete, Some(cause));
        assert_eq!(Alone::answers(setup), [refused]);
    };
    let bearer = || crate::isdn::codec::BearerCapability::SPEECH_A_LAW.encode();
    check(vec![], CauseValue::MANDATORY_ELEMENT_MISSING);
    check(
        vec![Element::new(id::BEARER_CAPABILITY, vec![])],
        CauseValue::INVALID_CONTENTS,
    );
    check(
        vec![bearer(), Element::new(0x0B, vec![1])],
        CauseValue::MANDATORY_ELEMENT_MISSING,
    );
    // Channel 16 is the D channel.
    check(
        vec![
            bearer(),
            Element::new(id::CHANNEL_IDENTIFICATION, vec![0xA9, 0x83, 0x90]),
        ],
        CauseValue::CHANNEL_DOES_NOT_EXIST,
    );
    // Two channels of 64 kbit/s.
    check(
        vec![Element::new(id::BEARER_CAPABILITY, vec![0x88, 0x91])],
        CauseValue::BEARER_NOT_IMPLEMENTED,
    );
}

// ---- a random world --------------------------------------------------------------

#[derive(Clone, Debug)]
enum Step {
    Call(usize),
    Answer(usize),
    Alert(usize),
    Proceed(usize),
    MoreDigits(usize),
    HangUp(usize),
    Restart(usize),
    Lost(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let end = 0usize..3;
    prop_oneof![
        4 => end.clone().prop_map(Step::Call),
        3 => end.clone().prop_map(Step::Answer),
        2 => end.clone().prop_map(Step::Alert),
        1 => end.clone().prop_map(Step::Proceed),
        1 => end.clone().prop_map(Step::MoreDigits),
        3 => end.clone().prop_map(Step::HangUp),
        1 => end.clone().prop_map(Step::Restart),
        1 => end.prop_map(Step::Lost),
        3 => (0u64..9_000).prop_map(Step::Wait),
    ]
}

/// Follows the calls of one end.
#[derive(Default)]
struct Ledger {
    alive: Vec<CallId>,
    ended: Vec<CallId>,
}

impl Ledger {
    fn note(&mut self, heard: Vec<(CallId, CallEvent)>) {
        for (call, what) in heard {
            match what {
                CallEvent::Incoming(_) => self.alive.push(call),
                CallEvent::Ended(_) => {
                    assert!(!self.ended.contains(&call), "ended twice");
                    assert!(self.alive.contains(&call), "never began");
                    self.alive.retain(|one| *one != call);
                    self.ended.push(call);
                }
                _ => assert!(!self.ended.contains(&call), "{what:?} after its end"),
            }
        }
    }
}

proptest! {
    #[test]
    fn each_call_ends_once_and_no_channel_is_held_twice(
        mode in 0usize..4,
        lost in prop_oneof![Just(usize::MAX), 5usize..20],
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mode = MODES[mode];
        let users = if matches!(mode, Mode::BasicBus) { 2 } else { 1 };
        let mut wire = Wire::new(mode, users);
        wire.loses = Box::new(move |number| number % lost == 0);
        let mut ledgers: Vec<Ledger> = wire.ends.iter().map(|_| Ledger::default()).collect();
        for step in steps {
            let now = wire.now;
            let one = |ledgers: &[Ledger], end: usize| {
                let end = end % ledgers.len();
                (end, ledgers[end].alive.first().copied().unwrap_or(CallId(9999)))
            };
            match step {
                Step::Call(end) => {
                    let end = end % ledgers.len();
                    let setup = Setup::speech(Number::unknown("1"), Number::unknown("2"));
                    if let Ok(call) = wire.ends[end].call(setup, now) {
                        ledgers[end].alive.push(call);
                    }
                }
                Step::Answer(end) => {
                    let (end, call) = one(&ledgers, end);
                    let _ = wire.ends[end].answer_call(call, now);
                }
                Step::Alert(end) => {
                    let (end, call) = one(&ledgers, end);
                    let _ = wire.ends[end].alert(call, None, now);
                }
                Step::Proceed(end) => {
                    let (end, call) = one(&ledgers, end);
                    let _ = wire.ends[end].proceed(call, now);
                }
                Step::MoreDigits(end) => {
                    let (end, call) = one(&ledgers, end);
                    let _ = wire.ends[end].more_digits(call, now);
                }
                Step::HangUp(end) => {
                    let (end, call) = one(&ledgers, end);
                    let _ = wire.ends[end].hang_up(call, CauseValue::NORMAL_CLEARING, now);
                }
                Step::Restart(end) => {
                    let _ = wire.ends[end % users].restart(Restart::One(1), now);
                }
                Step::Lost(end) => wire.ends[end % (users + 1)].line_lost(now),
                Step::Wait(time) => wire.run(Duration::from_millis(time)),
            }
            wire.settle();
            for (end, ledger) in ledgers.iter_mut().enumerate() {
                ledger.note(wire.heard(end));
                let mut held: Vec<u8> = ledger.alive.iter().filter_map(|call| wire.ends[end].channel(*call)).collect();
                let count = held.len();
                held.sort_unstable();
                held.dedup();
                prop_assert_eq!(held.len(), count);
            }
        }
        // Whoever has a call ends it; then nothing is left at either end.
        wire.loses = Box::new(|_| false);
        for (end, ledger) in ledgers.iter().enumerate() {
            for call in &ledger.alive {
                let _ = wire.ends[end].hang_up(*call, CauseValue::NORMAL_CLEARING, wire.now);
            }
        }
        wire.settle();
        for _ in 0..60 {
            wire.run(10 * SECOND);
            for (end, ledger) in ledgers.iter_mut().enumerate() {
                ledger.note(wire.heard(end));
                for call in ledger.alive.clone() {
                    let _ = wire.ends[end].hang_up(call, CauseValue::NORMAL_CLEARING, wire.now);
                }
            }
            wire.settle();
        }
        for (end, ledger) in ledgers.iter().enumerate() {
            prop_assert_eq!(&ledger.alive, &[]);
            prop_assert_eq!(wire.ends[end].calls(), 0);
        }
    }
}
