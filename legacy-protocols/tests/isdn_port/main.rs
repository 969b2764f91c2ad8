//! Two ports on one D channel, the network's and the user's, in neutral words.

use std::time::{Duration, Instant};

use legacy_protocols::command::{
    Answer, CallRef, CallSetup, Cause, Command, Keys, Purpose, Verdict,
};
use legacy_protocols::event::{CallConnected, CallProgress, Event, Progress, TalkMode};
use legacy_protocols::isdn::link::{Side, Topology};
use legacy_protocols::isdn::port as isdn;
use legacy_protocols::isdn::session::{self, Dialect};
use legacy_protocols::number::{Node, Number, Party};
use legacy_protocols::port::{Config, Input, LinkState, Output, Port, Protocol, Reference};
use legacy_protocols::priority::Priority;

const NETWORK: usize = 0;
const USER: usize = 1;

struct Wire {
    ports: [Port; 2],
    now: Instant,
    deadlines: [Option<Instant>; 2],
    said: [Vec<Output>; 2],
}

fn party(node: u16, number: &str) -> Party {
    Party {
        node: Node(node),
        number: Number::new(number).expect("a number"),
    }
}

fn configs() -> [fn(Side) -> session::Config; 4] {
    [
        |side| session::Config::primary_rate(side, Dialect::Dss1),
        |side| session::Config::primary_rate(side, Dialect::Qsig),
        |side| session::Config::basic_rate(side, Topology::PointToPoint),
        |side| session::Config::basic_rate(side, Topology::PointToMultipoint),
    ]
}

impl Wire {
    fn new(config: fn(Side) -> session::Config) -> Self {
        let now = Instant::now();
        let port = |side, own, other| {
            let session = isdn::Session::new(isdn::Config {
                line: config(side),
                own: Node(own),
                other: Node(other),
                whole_number: None,
                seed: u64::from(own),
            });
            let protocol = Protocol::Isdn(Box::new(session));
            Port::new(Config::default(), protocol, 1, now)
        };
        let mut wire = Self {
            ports: [port(Side::Network, 1, 2), port(Side::User, 2, 1)],
            now,
            deadlines: [None; 2],
            said: [Vec::new(), Vec::new()],
        };
        for end in [NETWORK, USER] {
            wire.give(end, Input::Opened);
        }
        wire.pass(Duration::from_secs(3));
        for port in &wire.ports {
            assert!(matches!(port.link(), LinkState::Up(_)), "{:?}", port.link());
        }
        wire.said = [Vec::new(), Vec::new()];
        wire
    }

    fn give(&mut self, end: usize, input: Input<'_>) {
        self.ports[end].handle(input, self.now);
        self.settle();
    }

    fn settle(&mut self) {
        let mut moved = true;
        while std::mem::take(&mut moved) {
            for end in [NETWORK, USER] {
                loop {
                    match self.ports[end].poll_output() {
                        Output::Send(frame) => {
                            self.ports[1 - end].handle(Input::Received(&frame), self.now);
                            moved = true;
                        }
                        Output::Timeout(deadline) => {
                            self.deadlines[end] = deadline;
                            break;
                        }
                        output => self.said[end].push(output),
                    }
                }
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.deadlines.iter().flatten().min().copied()
            && at <= until
        {
            self.now = at;
            for port in &mut self.ports {
                port.handle_timeout(at);
            }
            self.settle();
        }
        self.now = until;
    }

    fn ask(&mut self, end: usize, reference: u64, command: Command) {
        let reference = Reference(reference);
        let purpose = Purpose::Live;
        self.give(
            end,
            Input::Command {
                reference,
                command,
                purpose,
            },
        );
    }

    /// Ends' calls are 4711 at the network's and 107 at the user's.
    fn call(&mut self, from: usize) -> CallRef {
        let parties = [party(1, "4711"), party(2, "107")];
        let call = CallRef(55);
        self.ask(
            from,
            1,
            Command::CallSetup(CallSetup {
                call,
                from: parties[from],
                to: parties[1 - from],
                priority: Priority::NORMAL,
                mode: TalkMode::OpenDuplex,
                text: None,
                sound: None,
            }),
        );
        call
    }

    /// The call that this end was asked to take, taken or refused.
    fn answer(&mut self, end: usize, answer: Answer) -> CallSetup {
        let asked = self.said[end].iter().rev().find_map(|output| match output {
            Output::Asked {
                ask: Some(ask),
                command: Command::CallSetup(setup),
                ..
            } => Some((*ask, setup.clone())),
            _ => None,
        });
        let (ask, setup) = asked.expect("a call arrived");
        self.give(end, Input::Answer { ask, answer });
        setup
    }

    fn events(&self, end: usize) -> Vec<&Event> {
        let events = self.said[end].iter().filter_map(|output| match output {
            Output::Happened { event, .. } => Some(event),
            _ => None,
        });
        events.collect()
    }

    fn verdicts(&self, end: usize) -> Vec<Verdict> {
        let done = self.said[end].iter().filter_map(|output| match output {
            Output::Done { answer, .. } => Some(answer.verdict),
            _ => None,
        });
        done.collect()
    }
}

#[test]
fn a_call_is_made_rings_is_answered_and_ends_both_ways_on_every_kind_of_line() {
    for config in configs() {
        for from in [USER, NETWORK] {
            let (to, mut wire) = (1 - from, Wire::new(config));
            let call = wire.call(from);
            let setup = wire.answer(to, Verdict::Accepted.into());
            assert_eq!(
                setup.from.number,
                [party(1, "4711"), party(2, "107")][from].number
            );
            assert_eq!(setup.to, [party(1, "4711"), party(2, "107")][to]);
            assert_ne!(setup.call.0 & CallRef::OF_PORT, 0);
            let ringing = CallProgress {
                call: setup.call,
                progress: Progress::Ringing,
                from: None,
                to: None,
                priority: None,
                sound: None,
            };
            wire.give(to, Input::Tell(Event::CallProgress(ringing)));
            let connected = CallConnected {
                call: setup.call,
                from: None,
                to: None,
                mode: None,
                sound: None,
            };
            wire.give(to, Input::Tell(Event::CallConnected(connected)));
            wire.pass(Duration::from_secs(1));
            assert_eq!(wire.verdicts(from), [Verdict::Accepted]);
            let events = wire.events(from);
            assert!(
                events.iter().any(|event| matches!(event, Event::CallProgress(p) if p.progress == Progress::Ringing)),
                "{events:?}"
            );
            assert!(
                matches!(events.last(), Some(Event::CallConnected(c)) if c.call == call),
                "{events:?}"
            );
            let channel = wire.ports[from].channel(call);
            assert!(channel.is_some());
            assert_eq!(wire.ports[to].channel(setup.call), channel);
            let cause = Cause::NORMAL;
            wire.ask(from, 2, Command::CallRelease { call, cause });
            wire.pass(Duration::from_secs(1));
            let released = Event::CallReleased {
                call: setup.call,
                cause,
            };
            assert_eq!(wire.events(to).last(), Some(&&released));
            assert_eq!(wire.ports[from].channel(call), None);
        }
    }
}

#[test]
fn tones_before_the_answer_are_announced_both_ways_on_every_kind_of_line() {
    for config in configs() {
        for from in [USER, NETWORK] {
            let (to, mut wire) = (1 - from, Wire::new(config));
            let call = wire.call(from);
            let setup = wire.answer(to, Verdict::Accepted.into());
            let audible = CallProgress {
                call: setup.call,
                progress: Progress::Audible,
                from: None,
                to: None,
                priority: None,
                sound: None,
            };
            wire.give(to, Input::Tell(Event::CallProgress(audible)));
            wire.pass(Duration::from_secs(1));
            let events = wire.events(from);
            let heard = |event: &&&Event| {
                matches!(event, Event::CallProgress(told)
                    if told.call == call && told.progress == Progress::Audible)
            };
            // Q.931 5.2.9: on a bus nobody has the channel before one terminal has the call.
            let bus = config(Side::User).link.topology == Topology::PointToMultipoint;
            let once = usize::from(!(bus && from == NETWORK));
            assert_eq!(events.iter().filter(heard).count(), once, "{events:?}");
            assert!(wire.ports[from].channel(call).is_some());
        }
    }
}

#[test]
fn a_refused_call_tells_why() {
    for config in configs() {
        let mut wire = Wire::new(config);
        wire.call(USER);
        let busy = Answer {
            cause: Some(Cause::BUSY),
            ..Verdict::Busy.into()
        };
        wire.answer(NETWORK, busy);
        wire.pass(Duration::from_secs(1));
        assert_eq!(wire.verdicts(USER), [Verdict::Busy]);
        let released = Event::CallReleased {
            call: CallRef(55),
            cause: Cause::BUSY,
        };
        assert_eq!(wire.events(USER).last(), Some(&&released));
    }
}

#[test]
fn keys_reach_the_other_end_where_the_dialect_has_them() {
    let mut wire = Wire::new(configs()[0]);
    wire.call(USER);
    let setup = wire.answer(NETWORK, Verdict::Accepted.into());
    let connected = CallConnected {
        call: setup.call,
        from: None,
        to: None,
        mode: None,
        sound: None,
    };
    wire.give(NETWORK, Input::Tell(Event::CallConnected(connected)));
    let keys = Keys::new("1#").expect("keys");
    let station = party(1, "4711");
    wire.ask(
        USER,
        2,
        Command::Keys {
            station,
            keys: keys.clone(),
        },
    );
    let asked = wire.said[NETWORK].last();
    let caller = setup.from;
    assert!(
        matches!(asked, Some(Output::Asked { ask: None, command: Command::Keys { station, keys: heard }, .. })
            if *station == caller && *heard == keys),
        "{asked:?}"
    );
}

#[test]
fn b9_an_isdn_line_drives_no_output() {
    let mut wire = Wire::new(configs()[0]);
    let station = party(1, "4711");
    wire.ask(USER, 1, Command::LineTest { station });
    assert_eq!(wire.verdicts(USER), [Verdict::Unsupported]);
    assert!(
        !wire.ports[USER]
            .coverage()
            .can_command(legacy_protocols::coverage::CommandKind::DoorOpen)
    );
}

#[test]
fn when_the_transport_is_lost_calls_are_forgotten_and_commands_answered() {
    let mut wire = Wire::new(configs()[0]);
    wire.call(USER);
    wire.give(USER, Input::Closed);
    assert_eq!(wire.ports[USER].link(), LinkState::Down);
    assert_eq!(wire.ports[USER].channel(CallRef(55)), None);
    wire.give(USER, Input::Opened);
    wire.pass(Duration::from_secs(20));
    assert!(matches!(wire.ports[USER].link(), LinkState::Up(_)));
}
