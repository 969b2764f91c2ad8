//! The machine of the link: what goes up, what comes down, what is stored, which phase it is.
//!
//! On each connection it greets the core, waits until the core has said what it has, and only then
//! sends what is kept. Writes to the disk are numbered and answered in their order.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use chance::Chance;
use contract::document::{self, Counter, Moment, Text};
use contract::down::{self, Operation, Stream};
use contract::topic::{Down, Up};
use contract::{limits, merge, up};
use serde_json::{Map, Value};

use crate::clock::CoreClock;
use crate::commands::{CommandId, Commands, Follows, Remembered};
use crate::figures::Figures;
use crate::outbox::{Class, Entry, Outbox, Place, Reading, Room, Row};
use crate::phase::{Phase, Phases};
use crate::reconnect::Reconnect;
use crate::reported::Reports;

/// The core answers a greeting within this.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked what is too old.
const TIDIES_EACH: Duration = Duration::from_secs(3600);
/// Answers to commands that are sent and not acknowledged, at most.
const ANSWERS_IN_FLIGHT: usize = 2;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Clone, Debug)]
pub struct Config {
    /// Of this start of the program.
    pub boot: Counter,
    pub firmware: Text<32>,
    pub revision: Option<Text<2>>,
    pub mode: up::Mode,
    /// What commands may ask for.
    pub operations: Vec<Operation>,
    pub room: Room,
}

/// What the disk knows at the start.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub records: Vec<Entry>,
    pub commands: Vec<Remembered>,
    /// The settings that were accepted last.
    pub desired: Option<(Counter, Value)>,
}

/// Of a write: the disk does them in their order and says how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ticket(u64);

impl Ticket {
    /// Counts the writes of this run, from 1.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// What a packet was, given back when the core has acknowledged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tag {
    Hello,
    Event(Place),
    Reported(Place),
    Result(CommandId),
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It broke, or could not be made. Not to be told of one that was to be disconnected.
    Broken,
    /// The core does not want us: certificate, name.
    Refused,
}

#[derive(Clone, Debug)]
pub enum Input {
    /// Connected, and subscribed to what the core says.
    Connected,
    Lost(Why),
    Received {
        channel: Down,
        document: Vec<u8>,
    },
    Acknowledged(Tag),
    /// All writes up to here are on the disk.
    Stored(Ticket),
    /// What was to be read; what the disk has of it.
    Read(Vec<Row>),
    /// The whole settings, over HTTPS; nothing if that failed.
    Fetched(Option<(Counter, Value)>),
    /// The clock of this machine, when it is known to be right.
    LocalTime(Moment),
    Happened(Happened),
    /// All that the gateway is and how it is set; a map of maps, without lists that change one by one.
    Report(Value),
    /// What became of the settings of `Output::Apply`.
    Applied(up::Applied),
    /// What became of a command of `Output::Do`.
    Ended(up::Outcome),
    /// Asked for by `Output::Heartbeat`.
    Heartbeat(up::Heartbeat),
}

/// Something that the core is to know of, once.
#[derive(Clone, Debug)]
pub struct Happened {
    pub class: Class,
    pub kind: Text<64>,
    pub id: Text<40>,
    pub at: Moment,
    pub data: Value,
    pub ttl_days: Option<u16>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Make a connection; its will is this one.
    Connect {
        will: up::Will,
    },
    /// The core does not answer on it.
    Disconnect,
    Publish {
        channel: Up,
        document: Vec<u8>,
        /// None: nobody waits for its acknowledgement.
        tag: Option<Tag>,
    },
    Store {
        ticket: Ticket,
        write: Write,
    },
    Read(Reading),
    /// Fetch the whole settings over HTTPS.
    Fetch,
    Apply {
        rev: Counter,
        settings: Value,
    },
    Do(down::Command),
    /// A hint of the core.
    Poked(down::Errand),
    Phase(Phase),
    /// Say how it goes.
    Heartbeat,
    Timeout(Option<Instant>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    Record(Row),
    Forget(Vec<Place>),
    /// A command is about to be done.
    Begin(CommandId),
    Answer(Remembered),
    Told(CommandId),
    ForgetCommands(Vec<CommandId>),
    Desired {
        rev: Counter,
        settings: Value,
    },
}

#[derive(Debug)]
pub struct Session {
    config: Config,
    transport: Transport,
    phases: Phases,
    told_phase: Phase,
    reconnect: Reconnect,
    clock: CoreClock,
    local: CoreClock,
    outbox: Outbox,
    reports: Reports,
    commands: Commands,
    answers_in_flight: usize,
    desired: Desired,
    conn: i64,
    seq: i64,
    ticket: Ticket,
    heartbeat_at: Option<Instant>,
    tidy_at: Instant,
    figures: Figures,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Down,
    Connecting,
    /// Greeted; the streams that the core has not spoken of yet.
    Greeted {
        until: Instant,
        waits: Waits,
    },
    Settled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waits {
    event: bool,
    reported: bool,
}

#[derive(Debug)]
struct Desired {
    rev: Counter,
    settings: Value,
    fetching: bool,
    /// To be applied once the disk has it.
    noting: BTreeMap<Ticket, Counter>,
}

impl Session {
    pub fn new(config: Config, memory: Memory, seed: u64, now: Instant) -> Self {
        let (commands, unknown) = Commands::new(memory.commands, now);
        let (rev, settings) = memory
            .desired
            .unwrap_or_else(|| (Counter::default(), Value::Object(Map::new())));
        // A house whose current came back does not greet the core in one moment.
        let first = now + Chance::new(!seed).wait(Duration::from_secs(1));
        let mut session = Self {
            transport: Transport::Down,
            phases: Phases::new(),
            told_phase: Phase::Island,
            reconnect: Reconnect::new(seed, first),
            clock: CoreClock::default(),
            local: CoreClock::default(),
            outbox: Outbox::new(config.room, memory.records),
            reports: Reports::new(),
            commands,
            answers_in_flight: 0,
            desired: Desired {
                rev,
                settings,
                fetching: false,
                noting: BTreeMap::new(),
            },
            conn: 0,
            seq: 0,
            ticket: Ticket::default(),
            heartbeat_at: None,
            tidy_at: now + TIDIES_EACH,
            figures: Figures::default(),
            outputs: VecDeque::new(),
            config,
        };
        for id in unknown {
            session.keep_answer(&id);
        }
        if session.desired.rev > Counter::default() {
            session.outputs.push_back(Output::Apply {
                rev: session.desired.rev,
                settings: session.desired.settings.clone(),
            });
        }
        session.settle(now);
        session
    }

    pub fn handle(&mut self, input: Input, now: Instant) {
        match input {
            Input::Connected => self.connected(now),
            Input::Lost(why) => self.lost(why, now),
            Input::Received { channel, document } => self.received(channel, &document, now),
            Input::Acknowledged(tag) => self.acknowledged(&tag),
            Input::Stored(ticket) => self.stored(ticket, now),
            Input::Read(rows) => self.outbox.read(rows, &mut self.figures),
            Input::Fetched(fetched) => self.fetched(fetched),
            Input::LocalTime(time) => self.local.heard(time, now),
            Input::Happened(happened) => self.happened(happened),
            Input::Report(report) => self.reports.set(report),
            Input::Applied(applied) => self.reports.applied(applied),
            Input::Ended(outcome) => self.ended(&outcome),
            Input::Heartbeat(heartbeat) => self.beat(&heartbeat),
        }
        // An input may come at the very moment of a deadline.
        self.handle_timeout(now);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.phases.handle_timeout(now);
        if self.reconnect.due(now) {
            self.conn += 1;
            self.transport = Transport::Connecting;
            self.outputs
                .push_back(Output::Connect { will: self.will() });
        }
        if let Transport::Greeted { until, .. } = self.transport
            && until <= now
        {
            self.figures.unanswered_hellos += 1;
            self.outputs.push_back(Output::Disconnect);
            self.lost(Why::Broken, now);
        }
        if self.heartbeat_at.is_some_and(|at| at <= now) {
            self.heartbeat_at = Some(now + limits::HEARTBEAT);
            self.outputs.push_back(Output::Heartbeat);
        }
        if self.tidy_at <= now {
            self.tidy_at = now + TIDIES_EACH;
            self.tidy(now);
        }
        self.settle(now);
    }

    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let greeted = match self.transport {
            Transport::Greeted { until, .. } => Some(until),
            Transport::Down | Transport::Connecting | Transport::Settled => None,
        };
        let deadlines = [
            self.phases.deadline(),
            self.reconnect.at(),
            greeted,
            self.heartbeat_at,
            Some(self.tidy_at),
        ];
        Output::Timeout(deadlines.into_iter().flatten().min())
    }

    pub const fn phase(&self) -> Phase {
        self.phases.phase()
    }

    /// Whether the core has answered the greeting of this connection.
    pub fn is_settled(&self) -> bool {
        self.transport == Transport::Settled
    }

    pub const fn figures(&self) -> &Figures {
        &self.figures
    }

    /// The core's time, while it is known.
    pub fn core_time(&self, now: Instant) -> Option<Moment> {
        self.clock.at(now)
    }

    /// Records that wait, and their octets.
    pub fn waiting(&self) -> (usize, usize) {
        (self.outbox.len(), self.outbox.octets())
    }

    // ---- the connection ----------------------------------------------------------

    fn connected(&mut self, now: Instant) {
        let will = self.will();
        let oldest = self.outbox.oldest().map(|place| place.seq);
        let waiting = i64::try_from(self.outbox.len()).unwrap_or(i64::MAX);
        let hello = up::Hello {
            boot: will.boot,
            conn: will.conn,
            fw: self.config.firmware.clone(),
            rev: self.config.revision.clone(),
            mode: self.config.mode,
            have: up::Have {
                desired: self.desired.rev,
            },
            outbox: up::Outbox {
                from: oldest.unwrap_or_default(),
                n: Counter::new(waiting).unwrap_or_default(),
            },
        };
        self.transport = Transport::Greeted {
            until: now + SETTLES_WITHIN,
            waits: Waits {
                event: true,
                reported: true,
            },
        };
        let hello = document::write(&hello).expect("a greeting fits a document");
        self.send(Up::Hello, hello, Tag::Hello);
    }

    fn lost(&mut self, why: Why, now: Instant) {
        if self.transport == Transport::Down {
            return;
        }
        self.transport = Transport::Down;
        self.heartbeat_at = None;
        self.outbox.lost();
        self.reports.lost();
        self.commands.lost();
        self.answers_in_flight = 0;
        self.phases.lost(now);
        match why {
            Why::Broken => {
                self.figures.lost += 1;
                self.reconnect.failed(now);
            }
            Why::Refused => {
                self.figures.refused += 1;
                self.reconnect.refused(now);
            }
        }
    }

    fn will(&self) -> up::Will {
        up::Will {
            boot: self.config.boot,
            conn: Counter::new(self.conn).expect("fewer than 2^53 connections"),
        }
    }

    // ---- what the core says ------------------------------------------------------

    fn received(&mut self, channel: Down, octets: &[u8], now: Instant) {
        let read = match channel {
            Down::Desired => document::read(octets).map(|desired| self.desired(desired)),
            Down::Command => document::read(octets).map(|command| self.command(command, now)),
            Down::Ack => document::read(octets).map(|ack| self.core_stored(ack, now)),
            Down::Poke => document::read(octets)
                .map(|poke: down::Poke| self.outputs.push_back(Output::Poked(poke.what))),
        };
        self.figures.malformed += u64::from(read.is_err());
    }

    fn core_stored(&mut self, ack: down::Ack, now: Instant) {
        self.clock.heard(ack.now, now);
        let upto = Place {
            boot: ack.boot,
            seq: ack.upto,
        };
        if ack.stream == Stream::Event {
            let told = self.outbox.acknowledged_up_to(upto, &mut self.figures);
            self.forget(told);
        }
        let Transport::Greeted { until, mut waits } = self.transport else {
            return;
        };
        match ack.stream {
            Stream::Event => waits.event = false,
            Stream::Reported => {
                waits.reported = false;
                self.reports.core_stored(upto);
            }
        }
        if waits.event || waits.reported {
            self.transport = Transport::Greeted { until, waits };
            return;
        }
        self.transport = Transport::Settled;
        self.figures.settled += 1;
        self.reconnect.settled();
        self.phases.settled(now);
        self.heartbeat_at = Some(now + limits::HEARTBEAT);
    }

    fn command(&mut self, command: down::Command, now: Instant) {
        let core_time = self.clock.at(now);
        let ticket = self.next_ticket();
        let follows = self.commands.receive(
            command,
            core_time,
            &self.config.operations,
            ticket,
            now,
            &mut self.figures,
        );
        match follows {
            Follows::Nothing => {}
            Follows::Note(id) => self.write(ticket, Write::Begin(id)),
            Follows::Do(command) => self.outputs.push_back(Output::Do(command)),
        }
    }

    fn desired(&mut self, desired: down::Desired) {
        if desired.rev <= self.desired.rev {
            return;
        }
        let settings = match (desired.base, desired.patch, desired.full) {
            (_, _, Some(full)) => full,
            (Some(base), Some(patch), None) if base == self.desired.rev => {
                let mut settings = self.desired.settings.clone();
                merge::apply(&mut settings, &patch);
                settings
            }
            (Some(_) | None, Some(_) | None, None) => return self.fetch(),
        };
        self.accept(desired.rev, settings);
    }

    fn fetch(&mut self) {
        if !self.desired.fetching {
            self.desired.fetching = true;
            self.figures.fetches += 1;
            self.outputs.push_back(Output::Fetch);
        }
    }

    fn fetched(&mut self, fetched: Option<(Counter, Value)>) {
        self.desired.fetching = false;
        if let Some((rev, settings)) = fetched
            && rev > self.desired.rev
        {
            self.accept(rev, settings);
        }
    }

    fn accept(&mut self, rev: Counter, settings: Value) {
        self.desired.rev = rev;
        self.desired.settings = settings.clone();
        let ticket = self.next_ticket();
        self.desired.noting.insert(ticket, rev);
        self.write(ticket, Write::Desired { rev, settings });
    }

    // ---- the disk ----------------------------------------------------------------

    fn stored(&mut self, upto: Ticket, now: Instant) {
        let later = self.desired.noting.split_off(&Ticket(upto.0 + 1));
        let noted = std::mem::replace(&mut self.desired.noting, later);
        if noted.values().next_back() == Some(&self.desired.rev) {
            self.outputs.push_back(Output::Apply {
                rev: self.desired.rev,
                settings: self.desired.settings.clone(),
            });
        }
        let core_time = self.clock.at(now);
        let next = || {
            self.ticket.0 += 1;
            self.ticket
        };
        let (ready, late) = self
            .commands
            .stored(upto, core_time, next, &mut self.figures);
        self.outputs.extend(ready.into_iter().map(Output::Do));
        for (ticket, answer) in late {
            self.write(ticket, Write::Answer(answer));
        }
    }

    fn next_ticket(&mut self) -> Ticket {
        self.ticket.0 += 1;
        self.ticket
    }

    fn write(&mut self, ticket: Ticket, write: Write) {
        self.outputs.push_back(Output::Store { ticket, write });
    }

    fn forget(&mut self, places: Vec<Place>) {
        if !places.is_empty() {
            let ticket = self.next_ticket();
            self.write(ticket, Write::Forget(places));
        }
    }

    fn tidy(&mut self, now: Instant) {
        if let Some(time) = self.clock.at(now).or_else(|| self.local.at(now)) {
            let old = self.outbox.expire(time, &mut self.figures);
            self.forget(old);
        }
        let old = self.commands.forget(now);
        if !old.is_empty() {
            let ticket = self.next_ticket();
            self.write(ticket, Write::ForgetCommands(old));
        }
    }

    // ---- what the gateway says ---------------------------------------------------

    fn happened(&mut self, happened: Happened) {
        self.seq += 1;
        let place = Place {
            boot: self.config.boot,
            seq: Counter::new(self.seq).expect("one boot makes fewer than 2^53 records"),
        };
        let class = happened.class;
        let days = happened.ttl_days.map(i64::from);
        let expires = days.and_then(|days| {
            let at = happened.at.0.get().checked_add(days * DAY_MS)?;
            Counter::new(at).ok().map(Moment)
        });
        let row = Row {
            place,
            class,
            expires,
            document: self.event(place, happened),
        };
        let ticket = self.next_ticket();
        self.write(ticket, Write::Record(row.clone()));
        let dropped = self.outbox.append(row, &mut self.figures);
        self.forget(dropped);
    }

    /// The document; without its data where that does not fit.
    fn event(&mut self, place: Place, happened: Happened) -> Vec<u8> {
        let mut event = up::Event {
            seq: place.seq,
            boot: place.boot,
            ts: happened.at,
            kind: happened.kind,
            id: happened.id,
            data: happened.data,
            ttl_days: happened
                .ttl_days
                .map(|days| days.clamp(1, limits::CALL_DATA_DAYS)),
        };
        document::write(&event).unwrap_or_else(|_| {
            self.figures.shortened += 1;
            let octets = event.data.to_string().len();
            event.data = Value::Object(Map::from_iter([("omitted".to_owned(), octets.into())]));
            document::write(&event).expect("an event without its data fits a document")
        })
    }

    fn ended(&mut self, outcome: &up::Outcome) {
        let ticket = self.next_ticket();
        if let Some(answer) = self.commands.ended(outcome, ticket) {
            self.write(ticket, Write::Answer(answer));
        }
    }

    fn keep_answer(&mut self, id: &CommandId) {
        if let Some(answer) = self.commands.answer(id) {
            let ticket = self.next_ticket();
            let answer = Remembered::untold(id.clone(), answer);
            self.write(ticket, Write::Answer(answer));
        }
    }

    fn beat(&mut self, heartbeat: &up::Heartbeat) {
        if self.transport == Transport::Settled
            && let Ok(document) = document::write(heartbeat)
        {
            self.outputs.push_back(Output::Publish {
                channel: Up::Heartbeat,
                document,
                tag: None,
            });
        }
    }

    // ---- what goes up ------------------------------------------------------------

    fn acknowledged(&mut self, tag: &Tag) {
        match tag {
            Tag::Hello => {}
            Tag::Event(place) => {
                if self.outbox.acknowledged(*place, &mut self.figures) {
                    self.forget(vec![*place]);
                }
            }
            Tag::Reported(place) => self.reports.acknowledged(*place),
            Tag::Result(id) => {
                self.answers_in_flight = self.answers_in_flight.saturating_sub(1);
                if self.commands.acknowledged(id) {
                    let ticket = self.next_ticket();
                    self.write(ticket, Write::Told(id.clone()));
                }
            }
        }
    }

    /// Says all that may be said now.
    fn settle(&mut self, now: Instant) {
        if self.transport == Transport::Settled {
            while self.answers_in_flight < ANSWERS_IN_FLIGHT
                && let Some((id, document)) = self.commands.next()
            {
                self.answers_in_flight += 1;
                self.send(Up::Result, document, Tag::Result(id));
            }
            while let Some((place, document)) = self.outbox.next(&mut self.figures) {
                self.send(Up::Event, document, Tag::Event(place));
            }
            let ts = self.clock.at(now).unwrap_or_default();
            let report = self.reports.next(self.config.boot, ts, &mut self.figures);
            if let Some((place, report)) = report {
                match document::write(&report) {
                    Ok(document) => self.send(Up::Reported, document, Tag::Reported(place)),
                    // Errors of settings beyond all limits; the rest of the report goes on.
                    Err(_) => {
                        self.figures.unreportable += 1;
                        self.reports.acknowledged(place);
                    }
                }
            }
        }
        let reading = self.outbox.reading();
        self.outputs.extend(reading.map(Output::Read));
        if self.told_phase != self.phases.phase() {
            self.told_phase = self.phases.phase();
            self.outputs.push_back(Output::Phase(self.told_phase));
        }
    }

    fn send(&mut self, channel: Up, document: Vec<u8>, tag: Tag) {
        self.outputs.push_back(Output::Publish {
            channel,
            document,
            tag: Some(tag),
        });
    }
}
