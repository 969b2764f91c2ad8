//! A gateway's port and a server's port on one line, in virtual time. The line may lose, double,
//! delay, flip and swap frames; all chance comes from one seed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use legacy_protocols::command::{
    Authority, Command, OutputAction, OutputCommand, OutputId, Purpose, Verdict,
};
use legacy_protocols::event::Event;
use legacy_protocols::number::{Node, Number, Party};
use legacy_protocols::open_link::{self, Role};
use legacy_protocols::port::{
    AskId, Config, Input, LinkState, Opening, Output, Port, Protocol, Reference,
};

pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const GATEWAY: usize = 0;
pub(crate) const SERVER: usize = 1;

/// In so many of a thousand frames each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Line {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) flipped: u64,
    pub(crate) delayed: u64,
}

pub(crate) struct World {
    pub(crate) ports: [Port; 2],
    pub(crate) now: Instant,
    pub(crate) line: Line,
    seed: u64,
    /// By arrival and the order of sending.
    underway: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
    /// What each port said that is neither bytes nor time.
    pub(crate) said: [Vec<Output>; 2],
    /// The server answers commands at once and tells its picture.
    pub(crate) obliging: bool,
    /// None: it never answers when it is asked for one.
    pub(crate) picture: Option<Vec<Event>>,
    deadlines: [Option<Instant>; 2],
}

pub(crate) fn party(node: u16, number: &str) -> Party {
    Party {
        node: Node(node),
        number: Number::new(number).expect("a number"),
    }
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let now = Instant::now();
        let session = |role, own, other| {
            let config = open_link::Config::serial(role, Node(own), Node(other), "test");
            Protocol::OpenLink(Box::new(open_link::Session::new(config, now)))
        };
        let gateway = Port::new(Config::default(), session(Role::Gateway, 2, 1), seed, now);
        let theirs = Config {
            opening: Opening::Theirs,
            ..Config::default()
        };
        let server = Port::new(theirs, session(Role::Server, 1, 2), seed + 1, now);
        Self {
            ports: [gateway, server],
            now,
            line: Line::default(),
            seed,
            underway: BTreeMap::new(),
            sent: 0,
            said: [Vec::new(), Vec::new()],
            obliging: true,
            picture: Some(Vec::new()),
            deadlines: [None; 2],
        }
    }

    /// With a line that is up on both ends.
    pub(crate) fn up(seed: u64) -> Self {
        let mut world = Self::new(seed);
        world.plug();
        world.pass(SECOND);
        for port in &world.ports {
            assert!(matches!(port.link(), LinkState::Up(_)), "{:?}", port.link());
        }
        world.said = [Vec::new(), Vec::new()];
        world
    }

    pub(crate) fn plug(&mut self) {
        self.give(SERVER, Input::Opened);
        self.give(GATEWAY, Input::Opened);
    }

    pub(crate) fn cut(&mut self) {
        self.underway.clear();
        self.give(GATEWAY, Input::Closed);
        self.give(SERVER, Input::Closed);
    }

    pub(crate) fn give(&mut self, end: usize, input: Input<'_>) {
        self.ports[end].handle(input, self.now);
        self.drain(end);
    }

    pub(crate) fn ask(&mut self, end: usize, reference: u64, command: Command) {
        self.ask_as(end, reference, command, Purpose::Live);
    }

    pub(crate) fn ask_as(
        &mut self,
        end: usize,
        reference: u64,
        command: Command,
        purpose: Purpose,
    ) {
        let reference = Reference(reference);
        self.give(
            end,
            Input::Command {
                reference,
                command,
                purpose,
            },
        );
    }

    pub(crate) fn door(&self, id: u64) -> OutputCommand {
        OutputCommand {
            id: OutputId(id),
            station: party(1, "2101"),
            output: 1 + (id % 200) as u16,
            action: OutputAction::Pulse(SECOND * 3),
            authority: Authority::new(b"token").expect("short"),
            valid_until: self.now + SECOND * 10,
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let arrival = self.underway.keys().next().map(|(at, _)| *at);
            let next = [arrival, self.deadlines[0], self.deadlines[1]];
            let Some(at) = next.into_iter().flatten().min().filter(|at| *at <= until) else {
                break;
            };
            self.now = self.now.max(at);
            if let Some(entry) = self.underway.first_entry()
                && entry.key().0 <= self.now
            {
                let (end, bytes) = entry.remove();
                self.give(end, Input::Received(&bytes));
                continue;
            }
            for end in [GATEWAY, SERVER] {
                if self.deadlines[end].is_some_and(|at| at <= self.now) {
                    self.ports[end].handle_timeout(self.now);
                    self.drain(end);
                }
            }
        }
        self.now = until;
    }

    pub(crate) fn verdicts(&self, end: usize) -> Vec<(u64, Verdict)> {
        let done = self.said[end].iter().filter_map(|output| match output {
            Output::Done { reference, answer } => Some((reference.0, answer.verdict)),
            _ => None,
        });
        done.collect()
    }

    /// Commands that reached this end's owner.
    pub(crate) fn asked(&self, end: usize) -> Vec<Command> {
        let asked = self.said[end].iter().filter_map(|output| match output {
            Output::Asked { command, .. } => Some(command.clone()),
            _ => None,
        });
        asked
            .filter(|command| *command != Command::Snapshot)
            .collect()
    }

    pub(crate) fn events(&self, end: usize) -> Vec<Event> {
        let events = self.said[end].iter().filter_map(|output| match output {
            Output::Happened { event, .. } => Some(event.clone()),
            _ => None,
        });
        events.collect()
    }

    fn drain(&mut self, end: usize) {
        loop {
            match self.ports[end].poll_output() {
                Output::Send(bytes) => self.transmit(1 - end, bytes),
                Output::Timeout(deadline) => {
                    assert!(deadline.is_none_or(|at| at > self.now), "due after a drain");
                    self.deadlines[end] = deadline;
                    return;
                }
                Output::Asked {
                    ask: Some(ask),
                    command,
                    from,
                } => {
                    self.said[end].push(Output::Asked {
                        ask: Some(ask),
                        command: command.clone(),
                        from,
                    });
                    if command == Command::Snapshot {
                        self.tell_picture(end, ask);
                    } else if self.obliging {
                        self.ports[end].handle(
                            Input::Answer {
                                ask,
                                answer: Verdict::Done.into(),
                            },
                            self.now,
                        );
                    }
                }
                output => self.said[end].push(output),
            }
        }
    }

    fn tell_picture(&mut self, end: usize, ask: AskId) {
        if end == SERVER {
            let Some(picture) = self.picture.clone() else {
                return;
            };
            for event in picture {
                self.ports[end].handle(Input::Item { ask, event }, self.now);
            }
        }
        let answer = Verdict::Done.into();
        self.ports[end].handle(Input::Answer { ask, answer }, self.now);
    }

    fn transmit(&mut self, to: usize, bytes: Vec<u8>) {
        let mut copies = 1;
        if self.chance(self.line.lost) {
            copies = 0;
        } else if self.chance(self.line.doubled) {
            copies = 2;
        }
        for _ in 0..copies {
            let mut bytes = bytes.clone();
            if self.chance(self.line.flipped) {
                let bit = self.draw() as usize % (bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            let mut delay = MILLISECOND * 5;
            if self.chance(self.line.delayed) {
                delay += MILLISECOND * (self.draw() % 40) as u32;
            }
            self.sent += 1;
            self.underway
                .insert((self.now + delay, self.sent), (to, bytes));
        }
    }

    fn chance(&mut self, of_thousand: u64) -> bool {
        of_thousand > 0 && self.draw() % 1000 < of_thousand
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.seed = self
            .seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        self.seed >> 33
    }
}
