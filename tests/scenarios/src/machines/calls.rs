//! The call engine, with a house full of people around it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use calls::{
    Arrival, ClaimVerdict, Claimant, Command, Config, DoorReply, Engine, FileRequest, Home, Input,
    Key, OpenDoor, Origin, Output, Privacy, Progress, Video,
};
use model::{
    Authority, AutoAnswer, BusyPolicy, CommandId, DeskId, Digit, Directory, EndCause, ForwardWhen,
    LegId, Pii, Priority, RequestId, TalkStyle,
};

use crate::clock::NOON;
use crate::contract::{Machine, Step};
use crate::random::Random;
use crate::site::{Site, door, number, station};

const STATIONS: [&str; 6] = ["101", "102", "103", "104", "105", "106"];
const NUMBERS: [&str; 12] = [
    "101", "102", "103", "104", "105", "106", "500", "510", "520", "530", "500", "999",
];

/// See the module.
#[derive(Debug)]
pub struct Calls {
    engine: Engine,
    directories: [Arc<Directory>; 2],
    legs: Vec<LegId>,
    requests: Vec<RequestId>,
    pulse: Option<CommandId>,
    commands: u128,
}

#[derive(Debug)]
pub enum CallsInput {
    Input(Input),
    Command(Command),
    Open(OpenDoor),
}

fn site() -> Site {
    Site::of(&STATIONS)
        .emergency_point("106", "500")
        .door("101", "front", Some("12"))
        .change("102", |station| {
            station.busy = BusyPolicy::Wait { up_to: 2 }
        })
        .change("103", |station| station.auto_answer = AutoAnswer::Always)
        .change("104", |station| station.talk = TalkStyle::Simplex)
        .forward("103", ForwardWhen::Busy, "104")
        .forward(
            "104",
            ForwardWhen::NoAnswer {
                after: Duration::from_secs(10),
            },
            "500",
        )
        .forward("105", ForwardWhen::Unreachable, "510")
        .group("500", &["101", "102", "103", "104"])
        .desk("510", &["102", "105"])
        .conference("520")
        .group_call("530", &["103", "104", "105"])
        .escalation(&["101", "500"], Duration::from_secs(20))
}

impl Calls {
    fn leg(&self, random: &mut Random) -> LegId {
        let recent = self.legs.len().saturating_sub(12);
        match self.legs.get(recent..) {
            Some(legs) if !legs.is_empty() && !random.one_in(30) => random.pick(legs),
            Some(_) | None => LegId::new(random.draw() % 1_000),
        }
    }

    fn request(&self, random: &mut Random) -> RequestId {
        match self.requests.is_empty() {
            true => RequestId::new(random.draw() % 100),
            false => random.pick(&self.requests),
        }
    }

    fn arrival(&mut self, random: &mut Random) -> Input {
        let leg = self.engine.next_leg();
        self.legs.push(leg);
        let from = match random.one_in(12) {
            true => Origin::Outside {
                address: None,
                name: Pii::default(),
            },
            false => Origin::Station(station(random.pick(&STATIONS))),
        };
        let urgent = random.one_in(8);
        Input::LegArrived(Arrival {
            leg,
            from,
            dialled: number(random.pick(&NUMBERS)),
            priority: urgent.then_some(Priority::DEFAULT_ALARM),
            video: random.pick(&[Video::None, Video::Offered]),
        })
    }

    fn command(&self, random: &mut Random) -> Command {
        let (from, to) = (
            number(random.pick(&STATIONS)),
            number(random.pick(&NUMBERS)),
        );
        let request = self.request(random);
        let by = Claimant::Station(station(random.pick(&["102", "105", "101"])));
        match random.below(5) {
            0 => Command::Dial {
                from,
                to,
                priority: None,
            },
            1 => Command::FileRequest(FileRequest {
                from,
                name: Pii::default(),
                desk: DeskId::from_key("510"),
                priority: None,
                home: Home::Here,
            }),
            2 => Command::Claim { request, by },
            3 => Command::Dismiss { request, by },
            _ => Command::EndLeg {
                leg: self.leg(random),
            },
        }
    }

    fn open(&mut self, random: &mut Random, now: Instant) -> OpenDoor {
        self.commands += 1;
        OpenDoor {
            id: CommandId::new((1 << 64) + self.commands - u128::from(random.one_in(4))),
            door: door("front"),
            authority: match random.one_in(2) {
                true => Authority::Operator,
                false => Authority::Leg(self.leg(random)),
            },
            valid_until: now + Duration::from_secs(10),
        }
    }

    fn input(&mut self, random: &mut Random) -> Input {
        let (leg, any) = (self.leg(random), station(random.pick(&STATIONS)));
        match random.below(100) {
            0..=17 => self.arrival(random),
            18..=25 => Input::LegProgress {
                leg,
                progress: Progress::Ringing,
            },
            26..=28 => Input::LegProgress {
                leg,
                progress: Progress::EarlyMedia,
            },
            29..=46 => Input::LegAnswered { leg },
            47..=52 => Input::LegRefused {
                leg,
                cause: random.pick(&EndCause::ALL),
            },
            53..=61 => Input::LegEnded {
                leg,
                cause: EndCause::HungUp,
            },
            62..=64 => Input::LegHeld { leg },
            65..=67 => Input::LegResumed { leg },
            68..=74 => {
                let digit = random.pick(&['1', '2', '9']);
                Input::Digit {
                    leg,
                    digit: Digit::from_char(digit).expect("a digit"),
                }
            }
            75..=77 => Input::TalkKey {
                leg,
                key: random.pick(&[Key::Pressed, Key::Released]),
            },
            78..=80 => Input::Transfer {
                leg,
                to: number(random.pick(&NUMBERS)),
            },
            81..=82 => Input::TransferAttended {
                leg,
                with: self.leg(random),
            },
            83..=90 => Input::StationSeen { station: any },
            91..=92 => Input::StationLost { station: any },
            93 => Input::SetPrivacy {
                station: any,
                privacy: random.pick(&[Privacy::On, Privacy::Off]),
            },
            94..=95 => match self.pulse {
                Some(command) => Input::DoorReply {
                    command,
                    reply: random.pick(&[DoorReply::Sent, DoorReply::Opened, DoorReply::Failed]),
                },
                None => Input::ClockSet(NOON),
            },
            96 => Input::DirectoryChanged(random.pick(&self.directories)),
            97 => Input::ClockSet(NOON.saturating_add(random.up_to(Duration::from_secs(86_400)))),
            98 => Input::ClaimVerdict {
                request: self.request(random),
                verdict: ClaimVerdict::Granted,
            },
            _ if random.one_in(20) => Input::Drain,
            _ => Input::StationSeen { station: any },
        }
    }
}

impl Machine for Calls {
    type Input = CallsInput;

    fn new(seed: u64, now: Instant) -> Self {
        let first = site().build();
        let second = site()
            .change("101", |station| station.doors.clear())
            .build();
        let mut engine = Engine::new(Config::default(), Arc::clone(&first), seed, now);
        engine.handle(Input::ClockSet(NOON), now);
        Self {
            engine,
            directories: [first, second],
            legs: Vec::new(),
            requests: Vec::new(),
            pulse: None,
            commands: 0,
        }
    }

    fn choose(&mut self, random: &mut Random, now: Instant) -> CallsInput {
        match random.below(20) {
            0 => CallsInput::Command(self.command(random)),
            1 => CallsInput::Open(self.open(random, now)),
            _ => CallsInput::Input(self.input(random)),
        }
    }

    fn handle(&mut self, input: CallsInput, now: Instant) {
        match input {
            CallsInput::Input(input) => self.engine.handle(input, now),
            // Whether it was carried out, the outputs tell.
            CallsInput::Command(command) => drop(self.engine.command(command, now)),
            CallsInput::Open(open) => drop(self.engine.open_door(open, now)),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.engine.handle_timeout(now);
    }

    fn poll(&mut self) -> Step {
        match self.engine.poll_output() {
            Output::Timeout(at) => Step::Timeout(at),
            output => {
                match &output {
                    Output::StartLeg(start) => self.legs.push(start.leg),
                    Output::PulseDoor(pulse) => self.pulse = Some(pulse.command),
                    Output::Event(calls::Event::Request { request, .. }) => {
                        self.requests.push(*request);
                    }
                    _ => {}
                }
                Step::Said(format!("{output:?}"))
            }
        }
    }
}
