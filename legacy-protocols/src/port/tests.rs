//! What every line has in common, shown on a line of ACDP.

use std::time::{Duration, Instant};

use super::*;
use crate::acdp;
use crate::command::{
    Authority, CallRef, CallSetup, Cause, Key, OutputAction, OutputCommand, OutputId,
};
use crate::event::{StationState, TalkMode};
use crate::number::{Node, Number, Party};
use crate::priority::{Priority, Scale};

const SECOND: Duration = Duration::from_secs(1);
const BUSY: &[u8] = b"014101FF2118410015003632018002=54\r\n";

struct Bench {
    port: Port,
    now: Instant,
    deadline: Option<Instant>,
}

impl Bench {
    fn new() -> Self {
        let device = |node, device| acdp::Device { node, device };
        let session = acdp::Session::new(acdp::Config {
            own: device(1, 1),
            server: device(1, 0x41),
            checksum: acdp::Checksum::Required,
            hops: 1,
        });
        let now = Instant::now();
        let protocol = Protocol::Acdp(Box::new(session));
        let port = Port::new(Config::default(), protocol, 7, now);
        Self {
            port,
            now,
            deadline: None,
        }
    }

    fn up() -> Self {
        let mut bench = Self::new();
        bench.drain();
        bench.give(Input::Opened);
        assert_eq!(bench.port.link(), LinkState::Up(Picture::None));
        bench
    }

    fn give(&mut self, input: Input<'_>) -> Vec<Output> {
        self.port.handle(input, self.now);
        self.drain()
    }

    fn ask(&mut self, reference: u64, command: Command) -> Vec<Output> {
        self.give(Input::Command {
            reference: Reference(reference),
            command,
            purpose: Purpose::Live,
        })
    }

    fn pass(&mut self, time: Duration) -> Vec<Output> {
        self.now += time;
        self.port.handle_timeout(self.now);
        self.drain()
    }

    fn drain(&mut self) -> Vec<Output> {
        let mut said = Vec::new();
        loop {
            match self.port.poll_output() {
                Output::Timeout(deadline) => {
                    assert!(deadline.is_none_or(|at| at > self.now), "due after a drain");
                    self.deadline = deadline;
                    return said;
                }
                output => said.push(output),
            }
        }
    }
}

fn party(number: &str) -> Party {
    Party {
        node: Node(1),
        number: Number::new(number).unwrap(),
    }
}

fn setup(call: u64) -> Command {
    Command::CallSetup(CallSetup {
        call: CallRef(call),
        from: party("8002"),
        to: party("8009"),
        priority: Priority::new(5, Scale::OneIsHighest).unwrap(),
        mode: TalkMode::OpenDuplex,
        text: None,
        sound: None,
    })
}

fn verdicts(outputs: &[Output]) -> Vec<(u64, Verdict)> {
    let done = outputs.iter().filter_map(|output| match output {
        Output::Done { reference, answer } => Some((reference.0, answer.verdict)),
        _ => None,
    });
    done.collect()
}

#[test]
fn a_line_is_opened_at_once_and_again_after_each_failure() {
    let mut bench = Bench::new();
    let first = bench.drain();
    assert_eq!(first, [Output::Link(LinkState::Connecting), Output::Open]);
    for _ in 0..8 {
        let failed = bench.give(Input::Closed);
        assert_eq!(failed, [Output::Link(LinkState::Down)]);
        let wait = bench.deadline.unwrap() - bench.now;
        assert!(wait <= SECOND * 60);
        assert_eq!(bench.pass(wait).last(), Some(&Output::Open));
    }
}

#[test]
fn an_event_comes_with_the_line_it_came_from() {
    let mut bench = Bench::up();
    let (half, rest) = BUSY.split_at(10);
    assert_eq!(bench.give(Input::Received(half)), []);
    let said = bench.give(Input::Received(rest));
    let [Output::Happened { event, from }] = &said[..] else {
        panic!("{said:?}");
    };
    let state = StationState::InCall;
    let station = party("8002");
    assert_eq!(*event, Event::StationState { station, state });
    assert_eq!(&from.raw[..], BUSY.trim_ascii_end());
    assert_eq!(from.at, bench.now);
}

#[test]
fn an_unknown_telegram_is_kept_and_counted() {
    let mut bench = Bench::up();
    let said = bench.give(Input::Received(b"014101FF2118410015703632018002=24\r"));
    let [Output::Happened { event, from }] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!(*event, Event::Opaque { kind: Some(0x7036) });
    assert_eq!(&from.raw[..], b"014101FF2118410015703632018002=24");
    assert_eq!(bench.port.counters().opaque, 1);
    assert_eq!(bench.port.line_counters().unknown, 1);
}

#[test]
fn each_command_has_exactly_one_answer() {
    let mut bench = Bench::up();
    let said = bench.ask(1, setup(9));
    assert!(matches!(&said[..], [Output::Send(line)] if line.starts_with(b"01010141014100010008")));
    // The result of a call set-up carries our reference.
    let begun = b"014101010141000100 0B 0007=0D\r";
    let mut octets = begun.to_vec();
    octets.retain(|octet| *octet != b' ');
    let said = bench.give(Input::Received(&octets));
    assert_eq!(verdicts(&said), [(1, Verdict::Accepted)], "{said:?}");
    // It broadcasts the connection by its two stations only, and we know which call that is.
    let connected = b"014101FF211B410018004107D706070B1A2D01043201800232018009=7F\r";
    let said = bench.give(Input::Received(connected));
    assert!(matches!(
        &said[..],
        [Output::Happened { event: Event::CallConnected(call), .. }] if call.call == CallRef(9)
    ));
    let cause = Cause::NORMAL;
    let release = Command::CallRelease {
        call: CallRef(9),
        cause,
    };
    assert_eq!(verdicts(&bench.ask(2, release)), [(2, Verdict::Sent)]);
    let key = Command::TalkKey {
        station: party("8002"),
        key: Key::Pressed,
    };
    assert_eq!(verdicts(&bench.ask(3, key)), [(3, Verdict::Sent)]);
}

#[test]
fn a_command_that_nobody_answers_is_told_so_in_time() {
    let mut bench = Bench::up();
    bench.ask(1, setup(9));
    assert_eq!(bench.deadline, Some(bench.now + SECOND * 5));
    assert_eq!(verdicts(&bench.pass(SECOND * 5)), [(1, Verdict::NoAnswer)]);
    assert_eq!(bench.port.counters().unanswered, 1);
}

#[test]
fn when_the_line_is_lost_open_commands_are_answered_and_nothing_is_kept() {
    let mut bench = Bench::up();
    bench.ask(1, setup(9));
    let lost = bench.give(Input::Closed);
    assert_eq!(lost[0], Output::Link(LinkState::Down));
    assert_eq!(verdicts(&lost), [(1, Verdict::LineLost)]);
    assert_eq!(
        verdicts(&bench.ask(2, setup(10))),
        [(2, Verdict::NotConnected)]
    );
    let again = bench.give(Input::Opened);
    assert!(
        !again.iter().any(|output| matches!(output, Output::Send(_))),
        "{again:?}"
    );
}

#[test]
fn what_the_protocol_cannot_say_is_refused_before_the_line() {
    let mut bench = Bench::up();
    let door = Command::DoorOpen(OutputCommand {
        id: OutputId(1),
        station: party("8002"),
        output: 1,
        action: OutputAction::Pulse(SECOND),
        authority: Authority::new(b"token").unwrap(),
        valid_until: bench.now + SECOND,
    });
    assert_eq!(verdicts(&bench.ask(1, door)), [(1, Verdict::Unsupported)]);
    let clear = Event::StationState {
        station: party("1"),
        state: StationState::Idle,
    };
    assert_eq!(bench.give(Input::Tell(clear)), []);
    assert_eq!(bench.port.counters().not_carried, 2);
}

#[test]
fn a_line_that_speaks_something_else_is_given_up_and_opened_again() {
    let mut bench = Bench::up();
    let noise = vec![0x55; 20_000];
    let said = bench.give(Input::Received(&noise));
    assert!(matches!(said[0], Output::Close { .. }));
    assert_eq!(said[1], Output::Link(LinkState::Down));
    assert_eq!(bench.give(Input::Received(BUSY)), []);
    assert_eq!(bench.port.counters().stray_octets, BUSY.len() as u64);
    assert_eq!(bench.pass(SECOND).last(), Some(&Output::Open));
}

#[test]
fn an_early_timeout_changes_nothing() {
    let mut bench = Bench::up();
    bench.ask(1, setup(9));
    let deadline = bench.deadline;
    assert_eq!(bench.pass(SECOND), []);
    assert_eq!(bench.deadline, deadline);
}
