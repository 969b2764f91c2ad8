//! The gateway's end of the link, with a core that answers or not, a disk that writes in its own
//! time, and a gateway that has much to tell.

use std::collections::VecDeque;
use std::time::Instant;

use contract::document::{self, Counter, Moment, Text};
use contract::down::{Ack, Command, Desired, Operation, Repeat, Stream};
use contract::topic::Down;
use contract::up;
use serde_json::{Value, json};
use session::outbox::{Class, Place, Room, Row};
use session::{Config, Happened, Input, Memory, Output, Session, Tag, Ticket, Why, Write};

use crate::clock::start;
use crate::contract::{Machine, Step};
use crate::random::Random;

/// See the module.
#[derive(Debug)]
pub struct LinkSession {
    session: Session,
    connected: bool,
    sent: VecDeque<Tag>,
    written: Option<Ticket>,
    rows: Vec<Row>,
    reading: Option<Option<Place>>,
    doing: Vec<Command>,
}

impl LinkSession {
    fn core_says(&self, random: &mut Random, now: Instant) -> Input {
        let time = moment(now, 0);
        let (channel, document) = match random.below(8) {
            0 => {
                let idem = random.pick(&[Repeat::Once, Repeat::Repeatable]);
                let op = match idem {
                    Repeat::Once => "door.open",
                    Repeat::Repeatable => "identify",
                };
                let command = Command {
                    cmd: word(format!("c{}", random.below(40))),
                    op: word(op),
                    args: Value::Null,
                    issued: time,
                    expires: moment(now, random.pick(&[1, 10_000])),
                    idem,
                    by: word("us-1"),
                };
                (Down::Command, document::write(&command))
            }
            1 => {
                let desired = Desired {
                    rev: counter(random.below(20) as i64 + 1),
                    base: None,
                    patch: None,
                    full: random.one_in(2).then(|| json!({"volume": random.below(9)})),
                    hash: None,
                };
                (Down::Desired, document::write(&desired))
            }
            2 => (random.pick(&Down::ALL), Ok(b"{".to_vec())),
            _ => {
                let ack = Ack {
                    stream: random.pick(&[Stream::Event, Stream::Reported]),
                    boot: counter(1),
                    upto: counter(random.below(30) as i64),
                    now: time,
                };
                (Down::Ack, document::write(&ack))
            }
        };
        Input::Received {
            channel,
            document: document.expect("what a core says fits a document"),
        }
    }

    fn gateway_says(&mut self, random: &mut Random, now: Instant) -> Input {
        match random.below(5) {
            0 => {
                let stations = random.below(5);
                let report = json!({"stations": {stations.to_string(): random.below(3)}});
                Input::Report(report)
            }
            1 => match self.doing.pop() {
                Some(command) => Input::Ended(up::Outcome {
                    cmd: command.cmd,
                    attempt: 1,
                    state: random.pick(&[up::OutcomeState::Running, up::OutcomeState::Done]),
                    code: None,
                    detail: None,
                }),
                None => Input::LocalTime(moment(now, 0)),
            },
            _ => Input::Happened(Happened {
                class: random.pick(&Class::ALL),
                kind: word("door.opened"),
                id: word("01J"),
                at: moment(now, 0),
                data: random.pick(&[json!({}), json!([]), json!({"x": "y".repeat(40_000)})]),
                ttl_days: random.pick(&[None, Some(1), Some(180)]),
            }),
        }
    }

    fn write(&mut self, write: &Write) {
        match write {
            Write::Record(row) => self.rows.push(row.clone()),
            Write::Forget(places) => self.rows.retain(|row| !places.contains(&row.place)),
            Write::Begin(_)
            | Write::Answer(_)
            | Write::Told(_)
            | Write::ForgetCommands(_)
            | Write::Desired { .. } => {}
        }
    }
}

impl Machine for LinkSession {
    type Input = Input;

    fn new(seed: u64, now: Instant) -> Self {
        let config = Config {
            boot: counter(1),
            firmware: word("1.0.0.0"),
            revision: None,
            mode: up::Mode::Bridge,
            operations: vec![Operation::OpenDoor, Operation::Identify],
            room: Room {
                octets: 1 << 20,
                records: 200,
            },
        };
        Self {
            session: Session::new(config, Memory::default(), seed, now),
            connected: false,
            sent: VecDeque::new(),
            written: None,
            rows: Vec::new(),
            reading: None,
            doing: Vec::new(),
        }
    }

    fn choose(&mut self, random: &mut Random, now: Instant) -> Input {
        if let Some(after) = self.reading.take() {
            let rows = self.rows.iter().filter(|row| Some(row.place) > after);
            // Now and then the disk has lost something.
            let rows = rows.filter(|_| !random.one_in(50));
            return Input::Read(rows.take(64).cloned().collect());
        }
        match random.below(10) {
            0 if !self.connected => {
                self.connected = true;
                Input::Connected
            }
            0 if random.one_in(4) => {
                self.connected = false;
                self.sent.clear();
                Input::Lost(random.pick(&[Why::Broken, Why::Refused]))
            }
            1 => Input::Fetched(random.one_in(2).then(|| (counter(9), json!({})))),
            2 | 3 if self.written.is_some() => {
                Input::Stored(self.written.expect("it has just been looked at"))
            }
            4 | 5 if self.connected => self.core_says(random, now),
            6 | 7 => match self.sent.pop_front() {
                Some(tag) => Input::Acknowledged(tag),
                None => self.gateway_says(random, now),
            },
            _ => self.gateway_says(random, now),
        }
    }

    fn handle(&mut self, input: Input, now: Instant) {
        self.session.handle(input, now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
    }

    fn poll(&mut self) -> Step {
        let output = self.session.poll_output();
        match &output {
            Output::Timeout(at) => return Step::Timeout(*at),
            Output::Publish { tag, .. } => self.sent.extend(tag.clone()),
            Output::Store { ticket, write } => {
                self.written = Some(*ticket);
                self.write(write);
            }
            Output::Read(reading) => self.reading = Some(reading.after),
            Output::Do(command) => self.doing.push(command.clone()),
            Output::Disconnect => self.connected = false,
            Output::Connect { .. }
            | Output::Fetch
            | Output::Apply { .. }
            | Output::Poked(_)
            | Output::Phase(_)
            | Output::Heartbeat => {}
        }
        Step::Said(format!("{output:?}"))
    }
}

fn moment(now: Instant, later_ms: i64) -> Moment {
    let since =
        i64::try_from(now.saturating_duration_since(start()).as_millis()).expect("a short life");
    Moment(counter(1_800_000_000_000 + since + later_ms))
}

fn counter(value: i64) -> Counter {
    Counter::new(value).expect("a counter")
}

fn word<const MOST: usize>(text: impl Into<String>) -> Text<MOST> {
    Text::new(text).expect("a short word")
}
