//! A site and a gateway on one line, in virtual time.

use std::time::Duration;

use legacy_protocols::acdp;
use legacy_protocols::command::{
    Answer, Authority, CallRef, CallSetup, Command, OutputAction, OutputCommand, OutputId, Purpose,
    Verdict,
};
use legacy_protocols::event::{Event, TalkMode};
use legacy_protocols::isdn;
use legacy_protocols::isdn::link::Side;
use legacy_protocols::isdn::session::Dialect;
use legacy_protocols::number::Number;
use legacy_protocols::open_link::{self, Role};
use legacy_protocols::port::{self, AskId, Input, Opening, Port, Protocol, Reference};
use legacy_protocols::priority::{Priority, Scale};
use legacy_protocols::sound::{SoundCodec, SoundCodecs, SoundEnd, SoundKeys};
use legacy_protocols::table::{self, presets::mcip_ascii};
use legacy_protocols::text_servers::McIpServer;

use crate::site::*;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const SITE: u16 = 1;
pub(super) const GATEWAY: u16 = 2;

pub(super) fn party(node: u16, number: &str) -> Party {
    Party {
        node: Node(node),
        number: Number::new(number).unwrap(),
    }
}

pub(super) fn gate() -> Party {
    party(SITE, "2101")
}

pub(super) fn desk() -> Party {
    party(SITE, "2001")
}

pub(super) fn reception() -> Party {
    party(GATEWAY, "102")
}

pub(super) fn button(to: Party, wish: Wish) -> Button {
    Button {
        label: "Bell".to_owned(),
        to,
        priority: Priority::NORMAL,
        wish,
        text: None,
    }
}

pub(super) fn station(id: &str, party: Party, kind: StationKind) -> StationPlan {
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
            button(reception(), Wish::Request),
            Button {
                priority: Priority::new(1, Scale::OneIsHighest).unwrap(),
                ..button(reception(), Wish::Call)
            },
        ],
        doors: vec![door("Gate", Contact::Fitted), door("Wicket", Contact::None)],
        inputs: vec!["Bolt".to_owned()],
        answers: Answers::ByHand,
    }
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) site: Site,
    pub(super) gateway: Port,
    /// Octets underway, each way.
    pub(super) to_site: Vec<Vec<u8>>,
    pub(super) to_gateway: Vec<Vec<u8>>,
    pub(super) deadlines: [Option<Instant>; 2],
    pub(super) events: Vec<Event>,
    pub(super) asked: Vec<(Option<AskId>, Command)>,
    pub(super) done: Vec<(u64, Answer)>,
    pub(super) circuits: Vec<Circuit>,
    pub(super) streams: Vec<(usize, Option<Stream>)>,
    /// Joins and partings of B channels.
    pub(super) bearings: Vec<LineCommand>,
}

impl World {
    pub(super) fn up() -> Self {
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
    pub(super) fn over_acdp() -> Self {
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
    pub(super) fn over_isdn() -> Self {
        let primary = |side| isdn::session::Config::primary_rate(side, Dialect::Dss1);
        Self::over_isdn_like(Side::Network, primary)
    }

    /// The site is on this side of a line of this kind.
    pub(super) fn over_isdn_like(site: Side, line: impl Fn(Side) -> isdn::session::Config) -> Self {
        let session = |side, own, other| {
            let config = isdn::port::Config {
                line: line(side),
                own: Node(own),
                other: Node(other),
                whole_number: None,
                seed: u64::from(own),
            };
            Protocol::Isdn(Box::new(isdn::port::Session::new(config)))
        };
        Self::over(
            session(site, SITE, GATEWAY),
            session(site.other(), GATEWAY, SITE),
            Instant::now(),
        )
    }

    /// Requests and calls by their numbers, and nothing else.
    pub(super) fn over_mcip() -> Self {
        let server = McIpServer::new(Node(SITE), Node(GATEWAY));
        let mut manifest = mcip_ascii();
        manifest.limits.node = Node(SITE);
        let client = table::Session::new(manifest).unwrap();
        Self::over(
            Protocol::McIpServer(Box::new(server)),
            Protocol::Table(Box::new(client)),
            Instant::now(),
        )
    }

    pub(super) fn over(server: Protocol, gateway: Protocol, now: Instant) -> Self {
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
            keeps: Keeps::Alarms,
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

    pub(super) fn plug(&mut self) {
        self.site.line(0, LineEvent::Opened, self.now);
        self.gateway.handle(Input::Opened, self.now);
        self.pass(SECOND);
        assert!(self.site.lines()[0].is_up());
    }

    pub(super) fn cut(&mut self) {
        self.gateway.handle(Input::Closed, self.now);
        self.site.line(0, LineEvent::Closed, self.now);
        self.drain();
    }

    pub(super) fn act(&mut self, station: Party, what: What) {
        let act = Act { station, what };
        self.site.act(&act, self.now).unwrap();
        self.pass(SECOND / 10);
    }

    pub(super) fn ask(&mut self, reference: u64, command: Command) {
        let input = Input::Command {
            reference: Reference(reference),
            command,
            purpose: Purpose::Live,
        };
        self.gateway.handle(input, self.now);
        self.pass(SECOND / 10);
    }

    /// The gateway answers what it was asked last.
    pub(super) fn answer(&mut self, answer: impl Into<Answer>) -> Command {
        let (ask, command) = self.asked.pop().expect("it was asked something");
        let answer = answer.into();
        let ask = ask.expect("an answer is wanted");
        self.gateway.handle(Input::Answer { ask, answer }, self.now);
        self.pass(SECOND / 10);
        command
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.gateway.handle(Input::Tell(event), self.now);
        self.pass(SECOND / 10);
    }

    pub(super) fn state(&self, station: Party) -> StationState {
        self.site.station(station).unwrap().state()
    }

    pub(super) fn verdict(&self, reference: u64) -> Verdict {
        let found = self.done.iter().find(|(known, _)| *known == reference);
        found.expect("it was answered").1.verdict
    }

    pub(super) fn pass(&mut self, time: Duration) {
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

    pub(super) fn drain(&mut self) {
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

    pub(super) fn drain_site(&mut self) {
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

    pub(super) fn drain_gateway(&mut self) {
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
                port::Output::Open
                | port::Output::Close { .. }
                | port::Output::Link(_)
                | port::Output::Picture(_) => {}
                port::Output::Timeout(at) => {
                    self.deadlines[1] = at;
                    return;
                }
            }
        }
    }

    pub(super) fn call_gate(&mut self, priority: u8) -> CallRef {
        let setup = CallSetup {
            priority: Priority::new(priority, Scale::OneIsHighest).unwrap(),
            ..to_gate(7)
        };
        let call = setup.call;
        self.ask(1, Command::CallSetup(setup));
        call
    }

    pub(super) fn open_gate(&mut self, reference: u64, output: u16) {
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

pub(super) fn to_gate(call: u64) -> CallSetup {
    CallSetup {
        call: CallRef(call),
        from: reception(),
        to: gate(),
        priority: Priority::NORMAL,
        mode: TalkMode::OpenDuplex,
        text: None,
        sound: Some(phone_sound()),
    }
}

/// Where the sound of B channels is.
pub(super) fn channels() -> std::net::SocketAddr {
    "127.0.0.1:42000".parse().unwrap()
}

pub(super) fn phone_sound() -> SoundEnd {
    SoundEnd {
        address: "127.0.0.1:41000".parse().unwrap(),
        codecs: SoundCodecs::new([SoundCodec::Pcma]).unwrap(),
        keys: SoundKeys::Events,
    }
}
