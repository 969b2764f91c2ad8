//! A site in virtual time: an engine, its directory, a clock, and a log in words.

pub(crate) mod checker;
pub(crate) mod directory;
pub(crate) mod words;

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use calls::{
    Arrival, Command, CommandError, Config, Done, DoorReply, Engine, Input, OpenDoor, Origin,
    Output, Progress, Takeover, Video,
};
use model::{
    Address, Authority, CallNumber, CommandId, Digit, Directory, DoorDenial, DoorId, EndCause,
    LegId, Pii, Priority, RequestId, StationId, Timestamp,
};

use checker::Checker;
use words::words;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// One start for all, so that equal stories have equal moments.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A site on a Monday at noon in Vienna.
pub(crate) struct Site {
    pub(crate) engine: Engine,
    pub(crate) now: Instant,
    pub(crate) config: Config,
    checker: Checker,
    /// What was done since the last `expect`, in words; events apart.
    log: Vec<String>,
    events: Vec<String>,
    pub(crate) outputs: Vec<Output>,
    commands: u128,
}

pub(crate) const NOON: Timestamp = Timestamp::from_unix_ms(1_767_610_800_000); // 2026-01-05 12:00

impl Site {
    pub(crate) fn new(directory: Directory) -> Self {
        Self::with(Config::default(), directory)
    }

    pub(crate) fn with(config: Config, directory: Directory) -> Self {
        let now = *START;
        let engine = Engine::new(config.clone(), Arc::new(directory), 7, now);
        let checker = Checker::new(config.clone());
        let (log, events, outputs) = (Vec::new(), Vec::new(), Vec::new());
        let mut site = Self {
            engine,
            now,
            config,
            checker,
            log,
            events,
            outputs,
            commands: 1 << 64,
        };
        site.input(Input::ClockSet(NOON));
        site
    }

    pub(crate) fn input(&mut self, input: Input) {
        let Output::Timeout(next) = self.engine.poll_output() else {
            panic!("not drained");
        };
        self.checker
            .input(&input, next.is_some_and(|at| at <= self.now));
        self.engine.handle(input, self.now);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            let output = self.engine.poll_output();
            if let Output::Timeout(next) = output {
                assert!(
                    next.is_none_or(|at| at > self.now),
                    "a deadline in the past"
                );
                break;
            }
            self.checker.output(&output, self.now);
            match words(&output) {
                (line, Output::Event(_)) => self.events.push(line),
                (line, _) => self.log.push(line),
            }
            self.outputs.push(output);
        }
        self.checker.drained(&self.engine, self.now);
    }

    /// Time passes, from deadline to deadline.
    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let Output::Timeout(next) = self.engine.poll_output() else {
                panic!("not drained")
            };
            self.now = next.unwrap_or(until).min(until);
            self.engine.handle_timeout(self.now);
            self.drain();
            if self.now == until {
                return;
            }
        }
    }

    /// What was done since the last time, events not counted; leaves the log empty.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &[&str]) {
        let log: Vec<String> = std::mem::take(&mut self.log);
        assert_eq!(log, expected, "\nevents: {:#?}", self.events);
    }

    /// All that was done since the last time, in words.
    pub(crate) fn take_log(&mut self) -> Vec<String> {
        let mut log = std::mem::take(&mut self.log);
        log.append(&mut self.events);
        self.outputs.clear();
        log
    }

    /// Forgets what was done so far; for the part of a story that another one tells.
    pub(crate) fn skip(&mut self) {
        self.log.clear();
        self.events.clear();
        self.outputs.clear();
    }

    #[track_caller]
    pub(crate) fn expect_events(&mut self, expected: &[&str]) {
        let mut events = std::mem::take(&mut self.events);
        events.retain(|e| !e.starts_with("call ") && !e.starts_with("station "));
        assert_eq!(events, expected);
    }

    #[track_caller]
    pub(crate) fn expect_station(&self, number: &str, state: &str) {
        assert_eq!(
            self.engine.station_state(station(number)).to_string(),
            state,
            "of {number}"
        );
    }

    #[track_caller]
    pub(crate) fn expect_quiet(&self) {
        let gauges = self.engine.gauges();
        assert_eq!((gauges.calls, gauges.legs, gauges.rooms), (0, 0, 0));
    }

    // What happens at the site.

    pub(crate) fn arrives(&mut self, from: &str, to: &str) -> LegId {
        self.arrives_with(Origin::Station(station(from)), number(to), None)
    }

    pub(crate) fn alarm(&mut self, from: &str, to: &str) -> LegId {
        let alarm = Some(Priority::DEFAULT_ALARM);
        self.arrives_with(Origin::Station(station(from)), number(to), alarm)
    }

    pub(crate) fn stranger(&mut self, to: &str) -> LegId {
        let address = Some(Address::Sip(
            model::SipUri::parse("sip:x@192.0.2.9").unwrap(),
        ));
        let name = Pii::new("Stranger".to_owned());
        self.arrives_with(Origin::Outside { address, name }, number(to), None)
    }

    pub(crate) fn arrives_with(
        &mut self,
        from: Origin,
        dialled: Address,
        priority: Option<Priority>,
    ) -> LegId {
        let leg = self.engine.next_leg();
        let video = Video::None;
        self.input(Input::LegArrived(Arrival {
            leg,
            from,
            dialled,
            priority,
            video,
        }));
        leg
    }

    /// Another device of the station takes the place of a leg; None if it may not.
    pub(crate) fn takes_over(&mut self, number: &str, replaced: LegId) -> Option<LegId> {
        let station = station(number);
        self.engine
            .may_take_over(station, replaced)
            .then(|| self.takes_over_unasked(station, replaced))
    }

    pub(crate) fn takes_over_unasked(&mut self, station: StationId, replaced: LegId) -> LegId {
        let leg = self.engine.next_leg();
        let video = Video::None;
        self.input(Input::LegTakesOver(Takeover {
            leg,
            station,
            replaced,
            video,
        }));
        leg
    }

    pub(crate) fn rings(&mut self, leg: u64) {
        self.input(Input::LegProgress {
            leg: LegId::new(leg),
            progress: Progress::Ringing,
        });
    }

    pub(crate) fn early(&mut self, leg: u64) {
        self.input(Input::LegProgress {
            leg: LegId::new(leg),
            progress: Progress::EarlyMedia,
        });
    }

    pub(crate) fn answers(&mut self, leg: u64) {
        self.input(Input::LegAnswered {
            leg: LegId::new(leg),
        });
    }

    pub(crate) fn refuses(&mut self, leg: u64, cause: EndCause) {
        self.input(Input::LegRefused {
            leg: LegId::new(leg),
            cause,
        });
    }

    pub(crate) fn hangs_up(&mut self, leg: u64) {
        self.input(Input::LegEnded {
            leg: LegId::new(leg),
            cause: EndCause::HungUp,
        });
    }

    pub(crate) fn dials(&mut self, leg: u64, digits: &str) {
        for digit in digits.chars() {
            let digit = Digit::from_char(digit).unwrap();
            self.input(Input::Digit {
                leg: LegId::new(leg),
                digit,
            });
        }
    }

    pub(crate) fn transfers(&mut self, leg: u64, to: &str) {
        self.input(Input::Transfer {
            leg: LegId::new(leg),
            to: number(to),
        });
    }

    pub(crate) fn seen(&mut self, numbers: &[&str]) {
        for number in numbers {
            self.input(Input::StationSeen {
                station: station(number),
            });
        }
    }

    pub(crate) fn command(&mut self, command: Command) -> Result<Done, CommandError> {
        let result = self.engine.command(command, self.now);
        self.drain();
        result
    }

    /// A fresh command with the full validity.
    pub(crate) fn opens(&mut self, door: &str, authority: Authority) -> Result<(), DoorDenial> {
        let (id, valid_until) = (self.fresh_command(), self.now + self.config.door_validity);
        self.opens_with(OpenDoor {
            id,
            door: DoorId::from_key(door),
            authority,
            valid_until,
        })
    }

    pub(crate) fn fresh_command(&mut self) -> CommandId {
        self.commands += 1;
        CommandId::new(self.commands)
    }

    pub(crate) fn opens_with(&mut self, command: OpenDoor) -> Result<(), DoorDenial> {
        let result = self.engine.open_door(command, self.now);
        self.drain();
        result
    }

    pub(crate) fn door_says(&mut self, reply: DoorReply) {
        let pulse = |o: &Output| match o {
            Output::PulseDoor(pulse) => Some(pulse.command),
            _ => None,
        };
        let command = self
            .outputs
            .iter()
            .rev()
            .find_map(pulse)
            .expect("a pulse was sent");
        self.input(Input::DoorReply { command, reply });
    }

    pub(crate) fn last_request(&self) -> RequestId {
        let queued = |o: &Output| match o {
            Output::Event(calls::Event::Request {
                request,
                change: calls::RequestChange::Queued { .. },
            }) => Some(*request),
            _ => None,
        };
        self.outputs
            .iter()
            .rev()
            .find_map(queued)
            .expect("a request was filed")
    }
}

/// Call numbers at these sites double as keys of the stations.
pub(crate) fn station(number: &str) -> StationId {
    StationId::from_key(number)
}

pub(crate) fn number(number: &str) -> Address {
    Address::Local(digits(number))
}

pub(crate) fn digits(number: &str) -> CallNumber {
    CallNumber::parse(number).unwrap()
}
