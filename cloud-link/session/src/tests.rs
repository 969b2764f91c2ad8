//! A session between a disk, a network and a core that are as simple as they can be.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use contract::document::{self, Counter, Moment, Text};
use contract::down::{self, Operation, Repeat, Stream};
use contract::topic::{Down, Up};
use contract::{merge, up};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::commands::{Remembered, Told};
use crate::outbox::{Class, Place, Room, Row};
use crate::session::{Happened, Tag};
use crate::{Config, Input, Memory, Output, Phase, Session, Ticket, Why, Write};

const START: i64 = 1_800_000_000_000;

fn counter(value: i64) -> Counter {
    Counter::new(value).expect("a counter")
}

/// What outlives a crash.
#[derive(Default)]
struct Disk {
    rows: BTreeMap<Place, Row>,
    commands: BTreeMap<Text<40>, Remembered>,
    desired: Option<(Counter, Value)>,
    /// All that was ever on it.
    ever: BTreeSet<Place>,
}

#[derive(Default)]
struct Core {
    records: Vec<Place>,
    reported: Value,
    reported_mark: Option<Place>,
    results: BTreeMap<String, Vec<up::OutcomeState>>,
}

type Packet = (Up, Vec<u8>, Option<Tag>);

struct World {
    session: Session,
    start: Instant,
    now: Instant,
    boot: i64,
    room: Room,
    disk: Disk,
    writes: VecDeque<(Ticket, Write)>,
    core: Core,
    /// On their way up; nothing when there is no connection.
    up: Option<VecDeque<Packet>>,
    down: VecDeque<Input>,
    wants_connection: bool,
    doing: Vec<down::Command>,
    done: Vec<String>,
    applied: Vec<(Counter, Value)>,
    phases: Vec<Phase>,
    deadline: Option<Instant>,
    orders: i64,
}

impl World {
    fn new(room: Room) -> Self {
        let now = Instant::now();
        let mut world = Self {
            session: Session::new(config(1, room), Memory::default(), 7, now),
            start: now,
            now,
            boot: 1,
            room,
            disk: Disk::default(),
            writes: VecDeque::new(),
            core: Core::default(),
            up: None,
            down: VecDeque::new(),
            wants_connection: false,
            doing: Vec::new(),
            done: Vec::new(),
            applied: Vec::new(),
            phases: Vec::new(),
            deadline: None,
            orders: 0,
        };
        world.drain();
        world
    }

    fn core_time(&self) -> Moment {
        let since = i64::try_from((self.now - self.start).as_millis()).expect("short");
        Moment(counter(START + since))
    }

    fn tell(&mut self, input: Input) {
        self.session.handle(input, self.now);
        self.drain();
    }

    fn drain(&mut self) {
        for _ in 0..10_000 {
            match self.session.poll_output() {
                Output::Connect { .. } => self.wants_connection = true,
                Output::Disconnect => self.up = None,
                Output::Publish {
                    channel,
                    document,
                    tag,
                } => {
                    let wire = self
                        .up
                        .as_mut()
                        .expect("nothing is sent without a connection");
                    wire.push_back((channel, document, tag));
                }
                Output::Store { ticket, write } => self.writes.push_back((ticket, write)),
                Output::Read(reading) => {
                    // The disk does all in its order.
                    self.write_all();
                    let rows = self.disk.rows.values();
                    let rows = rows.filter(|row| Some(row.place) > reading.after);
                    let rows = rows.take(reading.most).cloned().collect();
                    self.session.handle(Input::Read(rows), self.now);
                }
                Output::Fetch => {
                    let fetched = self.disk.desired.clone();
                    self.session.handle(Input::Fetched(fetched), self.now);
                }
                Output::Apply { rev, settings } => self.applied.push((rev, settings)),
                Output::Do(command) => self.doing.push(command),
                Output::Phase(phase) => self.phases.push(phase),
                Output::Heartbeat => {
                    let heartbeat = up::Heartbeat {
                        up: counter(1),
                        load: None,
                        calls: 0,
                        mesh: false,
                    };
                    self.session.handle(Input::Heartbeat(heartbeat), self.now);
                }
                Output::Poked(_) => {}
                Output::Timeout(at) => {
                    assert!(
                        at.is_none_or(|at| at > self.now),
                        "a deadline lies in the past"
                    );
                    self.deadline = at;
                    return;
                }
            }
        }
        panic!("the session never stops talking");
    }

    fn write_one(&mut self) -> Option<Ticket> {
        let (ticket, write) = self.writes.pop_front()?;
        let disk = &mut self.disk;
        match write {
            Write::Record(row) => {
                disk.ever.insert(row.place);
                disk.rows.insert(row.place, row);
            }
            Write::Forget(places) => {
                for place in places {
                    disk.rows.remove(&place);
                }
            }
            Write::Begin(id) => {
                let begun = Remembered {
                    id: id.clone(),
                    answer: None,
                    told: Told::NotYet,
                };
                disk.commands.insert(id, begun);
            }
            Write::Answer(answer) => {
                disk.commands.insert(answer.id.clone(), answer);
            }
            Write::Told(id) => {
                if let Some(command) = disk.commands.get_mut(&id) {
                    command.told = Told::Yes;
                }
            }
            Write::ForgetCommands(ids) => {
                for id in ids {
                    disk.commands.remove(&id);
                }
            }
            Write::Desired { rev, settings } => disk.desired = Some((rev, settings)),
        }
        Some(ticket)
    }

    fn write_all(&mut self) {
        let mut last = None;
        while let Some(ticket) = self.write_one() {
            last = Some(ticket);
        }
        if let Some(ticket) = last {
            self.session.handle(Input::Stored(ticket), self.now);
        }
    }

    /// The core takes one packet, and its answer sets out.
    fn carry_up(&mut self) {
        let Some((channel, octets, tag)) = self.up.as_mut().and_then(VecDeque::pop_front) else {
            return;
        };
        match channel {
            Up::Hello => {
                document::read::<up::Hello>(&octets).expect("a greeting");
                for stream in [Stream::Event, Stream::Reported] {
                    let ack = self.ack(stream);
                    self.down.push_back(ack);
                }
            }
            Up::Event => {
                let event: up::Event = document::read(&octets).expect("an event");
                let place = Place {
                    boot: event.boot,
                    seq: event.seq,
                };
                if Some(place) > self.core.records.last().copied() {
                    self.core.records.push(place);
                }
            }
            Up::Reported => {
                let report: up::Reported = document::read(&octets).expect("a report");
                let place = Place {
                    boot: report.boot,
                    seq: report.seq,
                };
                if Some(place) > self.core.reported_mark {
                    self.core.reported_mark = Some(place);
                    if report.full {
                        self.core.reported = json!({});
                    }
                    merge::apply(&mut self.core.reported, &report.patch);
                }
            }
            Up::Result => {
                let outcome: up::Outcome = document::read(&octets).expect("an answer");
                let of = self.core.results.entry(outcome.cmd.as_str().to_owned());
                of.or_default().push(outcome.state);
            }
            Up::Heartbeat | Up::Will => {}
        }
        self.down.extend(tag.map(Input::Acknowledged));
    }

    fn ack(&self, stream: Stream) -> Input {
        let mark = match stream {
            Stream::Event => self.core.records.last().copied(),
            Stream::Reported => self.core.reported_mark,
        };
        let ack = down::Ack {
            stream,
            boot: mark.map(|mark| mark.boot).unwrap_or_default(),
            upto: mark.map(|mark| mark.seq).unwrap_or_default(),
            now: self.core_time(),
        };
        Input::Received {
            channel: Down::Ack,
            document: document::write(&ack).expect("an ack"),
        }
    }

    fn carry_down(&mut self) {
        if let Some(input) = self.down.pop_front() {
            self.tell(input);
        }
    }

    fn connect(&mut self) {
        if self.wants_connection {
            self.wants_connection = false;
            self.up = Some(VecDeque::new());
            self.tell(Input::Connected);
        }
    }

    fn cut(&mut self) {
        if self.up.take().is_some() {
            self.down.clear();
            self.tell(Input::Lost(Why::Broken));
        }
    }

    fn crash(&mut self) {
        self.writes.clear();
        self.down.clear();
        self.up = None;
        self.wants_connection = false;
        self.doing.clear();
        self.boot += 1;
        let memory = Memory {
            records: self.disk.rows.values().map(Row::entry).collect(),
            commands: self.disk.commands.values().cloned().collect(),
            desired: self.disk.desired.clone(),
        };
        self.session = Session::new(config(self.boot, self.room), memory, 7, self.now);
        self.drain();
    }

    fn wait(&mut self, for_: Duration) {
        let until = self.now + for_;
        while let Some(at) = self.deadline
            && at <= until
        {
            self.now = at;
            self.session.handle_timeout(at);
            self.drain();
            if self.wants_connection {
                break;
            }
        }
        self.now = self.now.max(until);
        self.session.handle_timeout(self.now);
        self.drain();
    }

    fn happens(&mut self, class: Class) {
        let happened = Happened {
            class,
            kind: Text::new("door.opened").expect("a word"),
            id: Text::new("01J").expect("a word"),
            at: self.core_time(),
            data: json!({"door": 1}),
            ttl_days: Some(180),
        };
        self.tell(Input::Happened(happened));
    }

    fn order(&mut self) {
        self.orders += 1;
        let issued = self.core_time();
        let command = down::Command {
            cmd: Text::new(format!("c{}", self.orders)).expect("a word"),
            op: Text::new("door.open").expect("a word"),
            args: Value::Null,
            issued,
            expires: Moment(counter(issued.0.get() + 10_000)),
            idem: Repeat::Once,
            by: Text::new("us-1").expect("a word"),
        };
        if self.up.is_some() {
            self.down.push_back(Input::Received {
                channel: Down::Command,
                document: document::write(&command).expect("a command"),
            });
        }
    }

    fn do_one(&mut self) {
        if let Some(command) = self.doing.pop() {
            self.done.push(command.cmd.as_str().to_owned());
            self.tell(Input::Ended(up::Outcome {
                cmd: command.cmd,
                attempt: 1,
                state: up::OutcomeState::Done,
                code: None,
                detail: None,
            }));
        }
    }

    /// Until nothing is left to carry or to write.
    fn come_to_rest(&mut self) {
        for _ in 0..2000 {
            self.write_all();
            self.drain();
            self.connect();
            self.carry_up();
            self.carry_down();
            self.do_one();
            let carries = self.up.as_ref().is_some_and(|up| !up.is_empty());
            if self.up.is_none() {
                self.wait(Duration::from_secs(1));
            } else if !carries && self.down.is_empty() && self.writes.is_empty() {
                return;
            }
        }
        panic!("it never comes to rest");
    }
}

fn config(boot: i64, room: Room) -> Config {
    Config {
        boot: counter(boot),
        firmware: Text::new("1.0.0.0").expect("a word"),
        revision: None,
        mode: up::Mode::Bridge,
        operations: vec![Operation::OpenDoor],
        room,
    }
}

#[test]
fn nothing_is_sent_before_the_core_has_answered_the_greeting() {
    let mut world = World::new(Room::default());
    world.happens(Class::Safety);
    world.wait(Duration::from_secs(2));
    world.connect();
    let sent: Vec<Up> = world.up.iter().flatten().map(|(up, ..)| *up).collect();
    assert_eq!(sent, [Up::Hello]);
    world.come_to_rest();
    assert_eq!(world.core.records.len(), 1);
    assert_eq!(world.phases, [Phase::Online]);
}

#[test]
fn a_core_that_does_not_answer_the_greeting_is_left_and_tried_again() {
    let mut world = World::new(Room::default());
    world.wait(Duration::from_secs(2));
    world.connect();
    world.wait(Duration::from_secs(11));
    assert_eq!(world.session.figures().unanswered_hellos, 1);
    world.come_to_rest();
    assert_eq!(world.phases, [Phase::Online]);
}

#[test]
fn more_than_fits_into_memory_comes_from_the_disk_in_order() {
    let mut world = World::new(Room::default());
    for _ in 0..500 {
        world.happens(Class::Call);
    }
    world.come_to_rest();
    assert_eq!(world.core.records.len(), 500);
    assert!(world.disk.rows.is_empty());
}

#[test]
fn without_room_telemetry_goes_first_then_calls_and_never_what_is_of_safety() {
    let room = Room {
        octets: 1 << 20,
        records: 10,
    };
    let mut world = World::new(room);
    for class in [Class::Safety, Class::Call, Class::Telemetry] {
        for _ in 0..6 {
            world.happens(class);
        }
    }
    let figures = *world.session.figures();
    assert_eq!((figures.telemetry_dropped, figures.calls_dropped), (6, 2));
    for _ in 0..20 {
        world.happens(Class::Safety);
    }
    let figures = *world.session.figures();
    assert_eq!((figures.telemetry_dropped, figures.calls_dropped), (6, 6));
    world.come_to_rest();
    assert_eq!(world.core.records.len(), 26);
}

#[test]
fn g1_call_data_goes_after_its_time_and_what_is_of_safety_stays() {
    let mut world = World::new(Room::default());
    world.happens(Class::Call);
    world.happens(Class::Safety);
    let late = Moment(counter(START + 181 * 24 * 3600 * 1000));
    world.wait(Duration::from_secs(60));
    world.tell(Input::LocalTime(late));
    world.wait(Duration::from_secs(3700));
    world.tell(Input::LocalTime(late));
    world.wait(Duration::from_secs(3700));
    assert_eq!(world.session.figures().expired, 1);
    world.come_to_rest();
    assert_eq!(world.core.records.len(), 1);
}

#[test]
fn a_crash_between_the_note_and_the_act_is_answered_and_never_repeated() {
    let mut world = World::new(Room::default());
    world.come_to_rest();
    world.order();
    world.carry_down();
    // It is noted, and begun; then the current fails.
    world.write_all();
    world.drain();
    assert_eq!(world.doing.len(), 1);
    world.crash();
    world.come_to_rest();
    assert_eq!(world.done, Vec::<String>::new());
    assert_eq!(world.core.results["c1"], [up::OutcomeState::Failed]);
}

#[test]
fn a_command_waits_for_the_disk_but_not_beyond_its_time() {
    let mut world = World::new(Room::default());
    world.come_to_rest();
    world.order();
    world.carry_down();
    assert!(world.doing.is_empty());
    world.wait(Duration::from_secs(11));
    world.write_all();
    world.drain();
    assert!(world.doing.is_empty());
    world.come_to_rest();
    assert_eq!(world.core.results["c1"], [up::OutcomeState::Expired]);
}

#[test]
fn settings_are_applied_once_they_are_on_the_disk_and_again_after_a_start() {
    let mut world = World::new(Room::default());
    world.come_to_rest();
    let desired = |rev, base: Option<i64>, settings| down::Desired {
        rev: counter(rev),
        base: base.map(counter),
        patch: base.map(|_| settings).filter(|_: &Value| base.is_some()),
        full: None,
        hash: None,
    };
    let mut first = desired(1, None, json!({}));
    first.full = Some(json!({"name": "north", "volume": 3}));
    for change in [first, desired(2, Some(1), json!({"volume": 5}))] {
        world.tell(Input::Received {
            channel: Down::Desired,
            document: document::write(&change).expect("settings"),
        });
    }
    assert!(world.applied.is_empty());
    world.come_to_rest();
    let whole = (counter(2), json!({"name": "north", "volume": 5}));
    assert_eq!(world.applied, std::slice::from_ref(&whole));
    world.crash();
    assert_eq!(world.applied, [whole.clone(), whole]);
}

// ---- random histories --------------------------------------------------------------

#[derive(Clone, Copy, Debug)]
enum Step {
    Happens(Class),
    Report(u8),
    Order,
    DoOne,
    WriteOne,
    CarryUp,
    CarryDown,
    Connect,
    Cut,
    Crash,
    Wait(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop_oneof![Just(Class::Safety), Just(Class::Call), Just(Class::Telemetry)]
            .prop_map(Step::Happens),
        2 => any::<u8>().prop_map(Step::Report),
        2 => Just(Step::Order),
        2 => Just(Step::DoOne),
        6 => Just(Step::WriteOne),
        8 => Just(Step::CarryUp),
        8 => Just(Step::CarryDown),
        3 => Just(Step::Connect),
        1 => Just(Step::Cut),
        1 => Just(Step::Crash),
        2 => (0..40_u8).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// M4: nothing lost, nothing twice, in order; the twin is right; no command is done twice.
    #[test]
    fn m4_after_any_history_the_core_has_all_that_was_stored(
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut world = World::new(Room::default());
        let mut report = json!({});
        for step in steps {
            match step {
                Step::Happens(class) => world.happens(class),
                Step::Report(what) => {
                    report = json!({"stations": {(what % 4).to_string(): what, "9": "idle"}});
                    world.tell(Input::Report(report.clone()));
                }
                Step::Order => world.order(),
                Step::DoOne => world.do_one(),
                Step::WriteOne => {
                    if let Some(ticket) = world.write_one() {
                        world.tell(Input::Stored(ticket));
                    }
                }
                Step::CarryUp => world.carry_up(),
                Step::CarryDown => world.carry_down(),
                Step::Connect => world.connect(),
                Step::Cut => world.cut(),
                Step::Crash => {
                    world.crash();
                    // A gateway that starts says anew what it is.
                    world.tell(Input::Report(report.clone()));
                }
                Step::Wait(seconds) => world.wait(Duration::from_secs(seconds.into())),
            }
        }
        world.come_to_rest();
        let told: BTreeSet<Place> = world.core.records.iter().copied().collect();
        prop_assert_eq!(told.len(), world.core.records.len(), "a record came twice");
        prop_assert!(world.core.records.is_sorted(), "records are out of order");
        prop_assert!(told.is_superset(&world.disk.ever), "a record is lost");
        prop_assert!(world.disk.rows.is_empty(), "what is told is not forgotten");
        prop_assert_eq!(&world.core.reported, &report);
        let done: BTreeSet<&String> = world.done.iter().collect();
        prop_assert_eq!(done.len(), world.done.len(), "a command was done twice");
        for (id, answers) in &world.core.results {
            let first = answers[0];
            prop_assert!(answers.iter().all(|answer| *answer == first), "{}: {:?}", id, answers);
        }
    }
}
