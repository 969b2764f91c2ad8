//! Stories of a site and a gateway on one line of the open link profile, in virtual time.

use std::time::Duration;

use legacy_protocols::acdp;
use legacy_protocols::command::{
    Answer, Authority, CallRef, CallSetup, Cause, Command, OutputAction, OutputCommand, OutputId,
    Purpose, Verdict,
};
use legacy_protocols::event::{CallConnected, Door as Told, Event, TalkMode};
use legacy_protocols::isdn;
use legacy_protocols::isdn::link::Side;
use legacy_protocols::isdn::session::Dialect;
use legacy_protocols::number::Number;
use legacy_protocols::open_link::{self, Role};
use legacy_protocols::port::{self, AskId, Input, Opening, Port, Protocol, Reference};
use legacy_protocols::priority::{Priority, Scale};
use legacy_protocols::sound::{SoundCodec, SoundCodecs, SoundEnd, SoundKeys};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const SITE: u16 = 1;
const GATEWAY: u16 = 2;

fn party(node: u16, number: &str) -> Party {
    Party {
        node: Node(node),
        number: Number::new(number).unwrap(),
    }
}

fn gate() -> Party {
    party(SITE, "2101")
}

fn desk() -> Party {
    party(SITE, "2001")
}

fn reception() -> Party {
    party(GATEWAY, "102")
}

fn button(to: Party, wish: Wish) -> Button {
    Button {
        label: "Bell".to_owned(),
        to,
        priority: Priority::NORMAL,
        wish,
        text: None,
    }
}

fn station(id: &str, party: Party, kind: StationKind) -> StationPlan {
    let door = |name: &str, contact| DoorPlan {
        name: name.to_owned(),
        contact,
    };
    StationPlan {
        id: id.to_owned(),
        name: id.to_owned(),
        party,
        kind,
        buttons: vec![
            button(reception(), Wish::Call),
            button(desk(), Wish::Request),
            button(desk(), Wish::Call),
        ],
        doors: vec![door("Gate", Contact::Fitted), door("Wicket", Contact::None)],
        inputs: vec!["Bolt".to_owned()],
        answers: Answers::ByHand,
    }
}

struct World {
    now: Instant,
    site: Site,
    gateway: Port,
    /// Octets underway, each way.
    to_site: Vec<Vec<u8>>,
    to_gateway: Vec<Vec<u8>>,
    deadlines: [Option<Instant>; 2],
    events: Vec<Event>,
    asked: Vec<(Option<AskId>, Command)>,
    done: Vec<(u64, Answer)>,
    circuits: Vec<Circuit>,
    streams: Vec<(usize, Option<Stream>)>,
    /// Joins and partings of B channels.
    bearings: Vec<LineCommand>,
}

impl World {
    fn up() -> Self {
        let now = Instant::now();
        let session = |role, own, other| {
            let config = open_link::Config::tcp(role, Node(own), Node(other), "test");
            Protocol::OpenLink(Box::new(open_link::Session::new(config, now)))
        };
        Self::over(
            session(Role::Server, SITE, GATEWAY),
            session(Role::Gateway, GATEWAY, SITE),
            now,
        )
    }

    /// The other end can say little, and this one as much as it can.
    fn over_acdp() -> Self {
        let device = |node: u16| acdp::Device {
            node: node as u8,
            device: 0x41,
        };
        let config = |own, other| acdp::Config {
            own: device(own),
            server: device(other),
            checksum: acdp::Checksum::Required,
            hops: 1,
        };
        let server = acdp::Server::new(config(SITE, GATEWAY));
        let client = acdp::Session::new(config(GATEWAY, SITE));
        Self::over(
            Protocol::AcdpServer(Box::new(server)),
            Protocol::Acdp(Box::new(client)),
            Instant::now(),
        )
    }

    /// The site is the exchange.
    fn over_isdn() -> Self {
        let session = |side, own, other| {
            let config = isdn::port::Config {
                line: isdn::session::Config::primary_rate(side, Dialect::Dss1),
                own: Node(own),
                other: Node(other),
                whole_number: None,
                seed: u64::from(own),
            };
            Protocol::Isdn(Box::new(isdn::port::Session::new(config)))
        };
        Self::over(
            session(Side::Network, SITE, GATEWAY),
            session(Side::User, GATEWAY, SITE),
            Instant::now(),
        )
    }

    fn over(server: Protocol, gateway: Protocol, now: Instant) -> Self {
        let is_isdn = matches!(server, Protocol::Isdn(_));
        let theirs = port::Config {
            opening: Opening::Theirs,
            ..port::Config::default()
        };
        let plan = Plan {
            name: "Works".to_owned(),
            nodes: vec![(Node(SITE), "Hall 1".to_owned())],
            stations: vec![
                station("gate", gate(), StationKind::Door),
                station("desk", desk(), StationKind::Desk),
                station("yard", party(SITE, "2102"), StationKind::Door),
            ],
            groups: vec![GroupPlan {
                number: 1,
                name: "All".to_owned(),
                members: vec![gate(), desk(), party(SITE, "2102")],
            }],
            lines: vec![LinePlan {
                name: "cloud".to_owned(),
                gateway: Node(GATEWAY),
                protocol: server,
                port: theirs,
                seed: 2,
                channels: is_isdn.then(channels),
            }],
            answer_within: SECOND * 30,
            longest_call: SECOND * 600,
            sound_ends: vec!["127.0.0.1:40000".parse().unwrap()],
        };
        let mut world = Self {
            now,
            site: Site::new(plan, now),
            gateway: Port::new(port::Config::default(), gateway, 1, now),
            to_site: Vec::new(),
            to_gateway: Vec::new(),
            deadlines: [None; 2],
            events: Vec::new(),
            asked: Vec::new(),
            done: Vec::new(),
            circuits: Vec::new(),
            streams: Vec::new(),
            bearings: Vec::new(),
        };
        world.plug();
        world
    }

    fn plug(&mut self) {
        self.site.line(0, LineEvent::Opened, self.now);
        self.gateway.handle(Input::Opened, self.now);
        self.pass(SECOND);
        assert!(self.site.lines()[0].is_up());
    }

    fn cut(&mut self) {
        self.gateway.handle(Input::Closed, self.now);
        self.site.line(0, LineEvent::Closed, self.now);
        self.drain();
    }

    fn act(&mut self, station: Party, what: What) {
        let act = Act { station, what };
        self.site.act(&act, self.now).unwrap();
        self.pass(SECOND / 10);
    }

    fn ask(&mut self, reference: u64, command: Command) {
        let input = Input::Command {
            reference: Reference(reference),
            command,
            purpose: Purpose::Live,
        };
        self.gateway.handle(input, self.now);
        self.pass(SECOND / 10);
    }

    /// The gateway answers what it was asked last.
    fn answer(&mut self, answer: impl Into<Answer>) -> Command {
        let (ask, command) = self.asked.pop().expect("it was asked something");
        let answer = answer.into();
        let ask = ask.expect("an answer is wanted");
        self.gateway.handle(Input::Answer { ask, answer }, self.now);
        self.pass(SECOND / 10);
        command
    }

    fn tell(&mut self, event: Event) {
        self.gateway.handle(Input::Tell(event), self.now);
        self.pass(SECOND / 10);
    }

    fn state(&self, station: Party) -> StationState {
        self.site.station(station).unwrap().state()
    }

    fn verdict(&self, reference: u64) -> Verdict {
        let found = self.done.iter().find(|(known, _)| *known == reference);
        found.expect("it was answered").1.verdict
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        self.drain();
        while let Some(at) = self.deadlines.into_iter().flatten().min()
            && at <= until
        {
            self.now = self.now.max(at);
            self.site.handle_timeout(self.now);
            self.gateway.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn drain(&mut self) {
        loop {
            self.drain_site();
            self.drain_gateway();
            let (to_site, to_gateway) = (
                std::mem::take(&mut self.to_site),
                std::mem::take(&mut self.to_gateway),
            );
            if to_site.is_empty() && to_gateway.is_empty() {
                return;
            }
            for bytes in to_site {
                self.site.line(0, LineEvent::Received(&bytes), self.now);
            }
            for bytes in to_gateway {
                self.gateway.handle(Input::Received(&bytes), self.now);
            }
        }
    }

    fn drain_site(&mut self) {
        loop {
            match self.site.poll_output() {
                Output::Line {
                    command: LineCommand::Send(bytes),
                    ..
                } => self.to_gateway.push(bytes),
                Output::Line { command, .. } => self.bearings.push(command),
                Output::LineState { .. } | Output::Note(_) => {}
                Output::Circuit(circuit) => self.circuits.push(circuit),
                Output::Stream { end, to } => self.streams.push((end, to)),
                Output::Timeout(at) => {
                    self.deadlines[0] = at;
                    return;
                }
            }
        }
    }

    fn drain_gateway(&mut self) {
        loop {
            match self.gateway.poll_output() {
                port::Output::Send(bytes) => self.to_site.push(bytes),
                port::Output::Happened { event, .. } => self.events.push(event),
                port::Output::Asked {
                    ask: Some(ask),
                    command: Command::Snapshot,
                    ..
                } => {
                    let answer = Verdict::Done.into();
                    self.gateway.handle(Input::Answer { ask, answer }, self.now);
                }
                port::Output::Asked { ask, command, .. } => self.asked.push((ask, command)),
                port::Output::Done { reference, answer } => self.done.push((reference.0, answer)),
                port::Output::Open | port::Output::Close { .. } | port::Output::Link(_) => {}
                port::Output::Timeout(at) => {
                    self.deadlines[1] = at;
                    return;
                }
            }
        }
    }

    fn call_gate(&mut self, priority: u8) -> CallRef {
        let call = CallRef(7);
        let setup = CallSetup {
            call,
            from: reception(),
            to: gate(),
            priority: Priority::new(priority, Scale::OneIsHighest).unwrap(),
            mode: TalkMode::OpenDuplex,
            text: None,
            sound: Some(phone_sound()),
        };
        self.ask(1, Command::CallSetup(setup));
        call
    }

    fn open_gate(&mut self, reference: u64, output: u16) {
        let command = OutputCommand {
            id: OutputId(reference),
            station: gate(),
            output,
            action: OutputAction::Pulse(SECOND * 3),
            authority: Authority::new(b"token").unwrap(),
            valid_until: self.now + SECOND * 10,
        };
        self.ask(reference, Command::DoorOpen(command));
    }
}

/// Where the sound of B channels is.
fn channels() -> std::net::SocketAddr {
    "127.0.0.1:42000".parse().unwrap()
}

fn phone_sound() -> SoundEnd {
    SoundEnd {
        address: "127.0.0.1:41000".parse().unwrap(),
        codecs: SoundCodecs::new([SoundCodec::Pcma]).unwrap(),
        keys: SoundKeys::Events,
    }
}

#[test]
fn a_button_calls_over_the_line_and_both_hear_each_other() {
    let mut world = World::up();
    world.act(gate(), What::Press(1));
    assert_eq!(world.state(gate()), StationState::InCall);
    let Command::CallSetup(setup) = world.answer(Verdict::Accepted) else {
        panic!("a call was wanted");
    };
    assert_eq!((setup.from, setup.to), (gate(), reception()));
    assert_eq!(setup.sound.unwrap().codecs, SoundCodecs::ALL);
    world.tell(Event::CallConnected(CallConnected {
        call: setup.call,
        from: None,
        to: None,
        mode: None,
        sound: Some(phone_sound()),
    }));
    let heard: Vec<_> = world.circuits.last().unwrap().members.clone();
    assert_eq!(heard.len(), 2);
    assert!(heard.iter().all(|member| member.part == Part::BOTH));
    let stream = Stream {
        to: phone_sound().address,
        codec: SoundCodec::Pcma,
    };
    assert_eq!(world.streams.last(), Some(&(0, Some(stream))));
    world.act(gate(), What::Cancel);
    assert!(matches!(
        world.asked.last(),
        Some((_, Command::CallRelease { .. }))
    ));
    assert_eq!(world.state(gate()), StationState::Idle);
    assert_eq!(world.streams.last(), Some(&(0, None)));
}

#[test]
fn a_call_from_the_line_rings_is_answered_and_tells_where_its_sound_goes() {
    let mut world = World::up();
    let call = world.call_gate(70);
    assert_eq!(world.verdict(1), Verdict::Accepted);
    assert_eq!(world.state(gate()), StationState::Ringing);
    assert!(
        world.circuits.is_empty(),
        "nobody listens to a station that rings"
    );
    world.act(gate(), What::Answer);
    let connected = world.events.iter().find_map(|event| match event {
        Event::CallConnected(told) if told.call == call => told.sound,
        _ => None,
    });
    let codecs = SoundCodecs::new([SoundCodec::Pcma]).unwrap();
    assert_eq!(connected.unwrap().codecs, codecs, "what both speak");
    world.ask(
        2,
        Command::CallRelease {
            call,
            cause: Cause::NORMAL,
        },
    );
    assert_eq!(world.state(gate()), StationState::Idle);
}

#[test]
fn an_alarm_is_heard_at_once_whatever_its_station_does() {
    let mut world = World::up();
    world.act(gate(), What::Press(3));
    assert_eq!(world.state(desk()), StationState::Ringing);
    world.call_gate(5);
    assert_eq!(world.verdict(1), Verdict::Accepted);
    assert_eq!(world.state(gate()), StationState::InCall);
    assert_eq!(world.state(desk()), StationState::Idle);
}

#[test]
fn a_busy_station_and_one_with_privacy_refuse_with_their_reason() {
    let mut world = World::up();
    world.act(gate(), What::Press(3));
    world.call_gate(70);
    assert_eq!(world.verdict(1), Verdict::Busy);
    let mut world = World::up();
    world.act(gate(), What::Privacy(legacy_protocols::command::Switch::On));
    world.call_gate(70);
    assert_eq!(world.verdict(1), Verdict::NotAllowed);
}

#[test]
fn b9_a_request_is_taken_once_by_the_desk_or_over_the_line() {
    let mut world = World::up();
    world.act(gate(), What::Press(2));
    assert_eq!(world.state(gate()), StationState::Requesting);
    let request = world.events.iter().find_map(|event| match event {
        Event::RequestNew(request) => Some(request.request),
        _ => None,
    });
    let request = request.unwrap();
    world.act(desk(), What::Take(None));
    assert_eq!(world.state(gate()), StationState::InCall);
    assert_eq!(world.state(desk()), StationState::InCall);
    let by = reception();
    world.ask(5, Command::RequestClaim { request, by });
    let answer = &world.done.last().unwrap().1;
    assert_eq!(answer.verdict, Verdict::AlreadyTaken);
    assert_eq!(answer.by, Some(desk()));
}

#[test]
fn b9_whoever_claims_over_the_line_is_answered_by_the_station_at_once() {
    let mut world = World::up();
    world.act(gate(), What::Press(2));
    let request = world.site.queue(desk())[0].number;
    let by = reception();
    world.ask(5, Command::RequestClaim { request, by });
    assert_eq!(world.verdict(5), Verdict::Done);
    assert!(world.site.queue(desk()).is_empty());
    world.call_gate(70);
    assert_eq!(world.state(gate()), StationState::InCall);
}

#[test]
fn b9_a_desk_claims_what_the_gateway_queued_and_calls_only_when_it_won() {
    use legacy_protocols::command::RequestRef;
    use legacy_protocols::event::CallRequest;
    for (verdict, calls) in [(Verdict::Done, true), (Verdict::AlreadyTaken, false)] {
        let mut world = World::up();
        let request = CallRequest {
            request: RequestRef(3),
            from: reception(),
            to: Some(desk()),
            priority: Priority::NORMAL,
            text: None,
        };
        world.ask(5, Command::RequestFile(request));
        assert_eq!(world.verdict(5), Verdict::Done);
        world.act(desk(), What::Take(None));
        let claim = world.answer(verdict);
        assert!(matches!(claim, Command::RequestClaim { by, .. } if by == desk()));
        let called = matches!(world.asked.last(), Some((_, Command::CallSetup(_))));
        assert_eq!(called, calls);
    }
}

#[test]
fn b9_a_door_is_told_open_by_its_contact_only() {
    let told = |world: &World, output| -> Vec<Told> {
        let events = world.events.iter().filter_map(|event| match event {
            Event::DoorState {
                output: of, state, ..
            } if *of == output => Some(*state),
            _ => None,
        });
        events.collect()
    };
    let mut world = World::up();
    world.events.clear();
    world.open_gate(1, 1);
    assert_eq!(world.verdict(1), Verdict::Done);
    world.pass(SECOND * 8);
    assert_eq!(told(&world, 1), [Told::Sent, Told::Opened, Told::Closed]);
    world.open_gate(2, 2);
    world.pass(SECOND * 8);
    assert_eq!(told(&world, 2), [Told::Sent], "no contact is fitted");
    world.act(gate(), What::Hinge(1, Hinge::Stuck));
    world.events.clear();
    world.open_gate(3, 1);
    world.pass(SECOND * 8);
    assert_eq!(told(&world, 1), [Told::Sent], "it is stuck");
}

#[test]
fn a_line_that_is_lost_ends_its_calls_and_a_new_picture_tells_what_is() {
    let mut world = World::up();
    world.act(gate(), What::Press(1));
    world.answer(Verdict::Accepted);
    world.cut();
    assert_eq!(world.state(gate()), StationState::Idle);
    world.act(gate(), What::Press(2));
    world.events.clear();
    world.plug();
    let state = Event::StationState {
        station: gate(),
        state: StationState::Requesting,
    };
    assert!(world.events.contains(&state), "{:?}", world.events);
    assert!(
        world
            .events
            .iter()
            .any(|event| matches!(event, Event::RequestNew(_)))
    );
}

#[test]
fn a_group_call_has_one_talker_and_ends_with_it() {
    use legacy_protocols::command::Switch;
    let mut world = World::up();
    world.act(desk(), What::Group(1, Switch::On));
    assert!(matches!(world.state(gate()), StationState::Listening(_)));
    let members = &world.circuits.last().unwrap().members;
    assert_eq!(members.iter().filter(|m| m.part.talks).count(), 1);
    world.act(desk(), What::Group(1, Switch::Off));
    assert_eq!(world.state(gate()), StationState::Idle);
    assert!(world.circuits.last().unwrap().members.is_empty());
}

#[test]
fn a_broken_station_is_out_of_service_and_what_it_did_ends() {
    use legacy_protocols::event::Faults;
    let mut world = World::up();
    world.call_gate(70);
    world.act(gate(), What::Answer);
    world.act(gate(), What::Break(Faults::LINE_OPEN));
    assert_eq!(world.state(gate()), StationState::OutOfService);
    assert!(
        world
            .events
            .iter()
            .any(|e| matches!(e, Event::CallReleased { .. }))
    );
    let press = Act {
        station: gate(),
        what: What::Press(1),
    };
    let trouble = world.site.act(&press, world.now).unwrap_err();
    assert_eq!(trouble, Trouble::Broken("gate".to_owned()));
}

#[test]
fn b9_over_acdp_a_desk_is_called_shows_its_queue_and_is_hung_up() {
    let mut world = World::over_acdp();
    world.events.clear();
    world.call_gate(70);
    assert_eq!(world.verdict(1), Verdict::Accepted);
    assert_eq!(world.state(gate()), StationState::Ringing);
    world.act(gate(), What::Answer);
    let connected = |event: &Event| {
        matches!(event, Event::CallConnected(told)
            if told.from == Some(reception()) && told.to == Some(gate()))
    };
    assert!(world.events.iter().any(connected), "{:?}", world.events);
    let call = CallRef(7);
    let cause = Cause::NORMAL;
    world.ask(2, Command::CallRelease { call, cause });
    assert_eq!(world.state(gate()), StationState::Idle);
    world.act(gate(), What::Press(2));
    let queued = |event: &Event| matches!(event, Event::RequestNew(told) if told.from == gate() && told.to == Some(desk()));
    assert!(world.events.iter().any(queued), "{:?}", world.events);
    world.act(desk(), What::Take(None));
    let closed = |event: &Event| matches!(event, Event::RequestClosed { .. });
    assert!(world.events.iter().any(closed));
}

#[test]
fn b9_over_isdn_calls_have_a_b_channel_while_they_last() {
    let mut world = World::over_isdn();
    world.act(gate(), What::Press(1));
    let Command::CallSetup(setup) = world.answer(Verdict::Accepted) else {
        panic!("a call was wanted");
    };
    assert_eq!(setup.from.number, gate().number);
    world.tell(Event::CallConnected(CallConnected {
        call: setup.call,
        from: None,
        to: None,
        mode: None,
        sound: None,
    }));
    world.pass(SECOND);
    let stream = Stream {
        to: channels(),
        codec: SoundCodec::Pcma,
    };
    assert_eq!(world.streams.last(), Some(&(0, Some(stream))));
    let Some(LineCommand::Join { channel, ours }) = world.bearings.last().cloned() else {
        panic!("no channel was joined: {:?}", world.bearings);
    };
    assert_eq!(ours, "127.0.0.1:40000".parse().unwrap());
    world.act(gate(), What::Cancel);
    world.pass(SECOND);
    assert_eq!(world.bearings.last(), Some(&LineCommand::Leave { channel }));
    assert_eq!(world.state(gate()), StationState::Idle);
    let released = |event: &Event| matches!(event, Event::CallReleased { .. });
    assert!(world.events.iter().any(released));
}

#[test]
fn b9_over_isdn_a_station_is_called_and_answers() {
    let mut world = World::over_isdn();
    let call = world.call_gate(70);
    world.pass(SECOND);
    assert_eq!(world.verdict(1), Verdict::Accepted);
    assert_eq!(world.state(gate()), StationState::Ringing);
    world.act(gate(), What::Answer);
    world.pass(SECOND);
    let connected =
        |event: &Event| matches!(event, Event::CallConnected(told) if told.call == call);
    assert!(world.events.iter().any(connected), "{:?}", world.events);
    let joined = |command: &LineCommand| matches!(command, LineCommand::Join { .. });
    assert!(world.bearings.iter().any(joined));
    let cause = Cause::NORMAL;
    world.ask(2, Command::CallRelease { call, cause });
    world.pass(SECOND);
    assert_eq!(world.state(gate()), StationState::Idle);
}
