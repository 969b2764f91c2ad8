//! The gateway of a world: its machine, and in the place of its shell a disk, media threads and a
//! network that stand in virtual time.
//!
//! All that the machine says is carried out at once and in order; what it must be told comes back
//! when it is due. Invariant: after each input the machine is drained, and no deadline of it lies
//! in the past.

mod media;
mod store;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::media::SoundKey;
use ::media::tones::Region;
use calls::Event;
use exchange::{
    Announcements, Answer, Causes, Config, Exchange, Input, KeyForm, LineCommand, LineId,
    MediaCommand, MediaEvent, OperatorCommand, Output, RecordingCommand, Sounds, Standing,
    StandingOrder, StoreWrite, UrlReply, UrlRequest,
};
use legacy_protocols::event::Event as Fact;
use legacy_protocols::port::LinkState;
use model::{CallRecord, Digit, DoorRecord, Encryption, LegId, Timestamp};
use sip::digest::server::Realm;
use sip::endpoint::{Listener, Settings};
use sip::flow::{Hop, Transport};
use sip::registrar;

use crate::clock::{NOON, start};
use crate::network::{Arrival, TCP, UDP};
use crate::phone::ToSend;
use crate::random::Random;
use crate::site::{REALM, Site};
use media::Media;
pub(crate) use media::is_voice;
pub use store::{Disk, Storage, Written};

/// How long a port rests before it is used again.
const PORT_RESTS: Duration = Duration::from_millis(200);
const PORT_PAIRS: u16 = 200;

/// See the module.
#[derive(Debug)]
pub struct Gateway {
    pub address: SocketAddr,
    pub config: Config,
    site: Site,
    state: Option<Exchange>,
    deadline: Option<Instant>,
    random: Random,
    pub storage: Storage,
    pub media: Media,
    resting: VecDeque<(Instant, Vec<exchange::FreePort>)>,
    /// What the device at a door says to a request; `None`: nothing.
    pub door_device: Option<UrlReply>,
    pub outbox: VecDeque<ToSend>,
    // What the shell has seen, over all starts.
    pub records: Vec<CallRecord>,
    pub door_records: Vec<DoorRecord>,
    /// As they were written, of all starts.
    standing: Vec<Standing>,
    pub events: Vec<Event>,
    pub url_requests: Vec<UrlRequest>,
    /// What was wanted of recordings.
    pub recordings: Vec<RecordingCommand>,
    answers: Vec<(u64, Answer)>,
    /// What the shell is to do for lines.
    pub line_commands: VecDeque<(LineId, LineCommand)>,
    /// What the lines told, with the state of each that changed.
    pub line_facts: Vec<(LineId, Fact)>,
    pub line_states: Vec<(LineId, LinkState)>,
    /// Legs that the media threads have closed and not yet spoken of.
    closed: VecDeque<LegId>,
    asked: u64,
    commands: u128,
    outputs: u64,
    /// Whether it is also woken when nothing is due, which must change nothing.
    pub poked: Poked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poked {
    Never,
    Always,
}

impl Gateway {
    pub fn new(address: SocketAddr, site: Site, mut random: Random) -> Self {
        let listener = |id, transport| Listener::new(id, transport, address);
        let realm = Realm::new(REALM).expect("a word without quotes");
        let sip = Settings {
            listeners: vec![listener(UDP, Transport::Udp), listener(TCP, Transport::Tcp)],
            registrar: Some(registrar::Settings::new(realm)),
            ..Settings::default()
        };
        let config = Config {
            realm: REALM.into(),
            domain: address.ip().into(),
            trusted: Vec::new(),
            addresses: vec![address.ip()],
            ports_for_alarms: 0,
            encryption: Encryption::Preferred,
            record: exchange::RecordPolicy::Alarms,
            sounds: Sounds {
                region: Region::Europe,
                announcements: Announcements::default(),
            },
            media_threads: 3,
            lines: Vec::new(),
            neighbours: Vec::new(),

            causes: Causes::default(),
            sip,
            calls: calls::Config::default(),
        };
        Self {
            address,
            config,
            site,
            state: None,
            deadline: None,
            storage: Storage::new(random.fork()),
            random,
            media: Media::new(address.ip(), PORT_PAIRS),
            resting: VecDeque::new(),
            door_device: Some(UrlReply::Accepted),
            outbox: VecDeque::new(),
            records: Vec::new(),
            door_records: Vec::new(),
            standing: Vec::new(),
            events: Vec::new(),
            url_requests: Vec::new(),
            recordings: Vec::new(),
            answers: Vec::new(),
            line_commands: VecDeque::new(),
            line_facts: Vec::new(),
            line_states: Vec::new(),
            closed: VecDeque::new(),
            asked: 0,
            commands: 0,
            outputs: 0,
            poked: Poked::Always,
        }
    }

    /// A start of the process: settings, accounts, what the store kept, ports, the time.
    pub fn start(&mut self, now: Instant) {
        assert!(self.state.is_none(), "it runs already");
        self.config.calls.start_count += 1;
        let seed = self.random.seed();
        let directory = self.site.build();
        let state = Exchange::new(self.config.clone(), Arc::clone(&directory), seed, now);
        self.state = Some(state);
        self.drain(now);
        self.tell(Input::ClockSet(wall(now)), now);
        self.tell(
            Input::DirectoryChanged(directory, self.site.accounts()),
            now,
        );
        let stored = self.storage.bindings();
        self.running().restore(stored, now);
        let standing = self.standing.clone();
        self.running().restore_standing(standing, now);
        self.drain(now);
        let ports = self.media.grant();
        self.tell(Input::PortsFree(ports), now);
    }

    /// The process dies at this moment, whatever it was doing.
    pub fn crash(&mut self) {
        self.state = None;
        self.deadline = None;
        self.outbox.clear();
        self.resting.clear();
        self.line_commands.clear();
        self.media.forget();
        self.closed.clear();
        self.storage.crash();
    }

    /// One of each kind for a station: what was said last.
    fn keep(&mut self, standing: Standing) {
        let kind = std::mem::discriminant(&standing.order);
        self.standing.retain(|kept| {
            kept.station != standing.station || std::mem::discriminant(&kept.order) != kind
        });
        match standing.order {
            StandingOrder::Diversion(None) | StandingOrder::Programme(None) => {}
            StandingOrder::Diversion(Some(_)) | StandingOrder::Programme(Some(_)) => {
                self.standing.push(standing);
            }
        }
    }

    pub fn is_up(&self) -> bool {
        self.state.is_some()
    }

    /// The machine, for looking at.
    pub fn state(&self) -> &Exchange {
        self.state.as_ref().expect("the gateway of this story runs")
    }

    fn running(&mut self) -> &mut Exchange {
        self.state.as_mut().expect("the gateway of this story runs")
    }

    pub fn reload(&mut self, site: Site, now: Instant) {
        self.site = site;
        if self.is_up() {
            let changed = Input::DirectoryChanged(self.site.build(), self.site.accounts());
            self.tell(changed, now);
        }
    }

    pub fn next(&self) -> Option<Instant> {
        self.state.as_ref()?;
        let resting = self.resting.front().map(|(at, _)| *at);
        [self.deadline, self.storage.next(), resting]
            .into_iter()
            .flatten()
            .min()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if !self.is_up() {
            return;
        }
        self.running().handle_timeout(now);
        self.drain(now);
        self.tell_closed(now);
        while let Some(written) = self.storage.finish(now) {
            match written {
                Written::Stored(token) => self.tell(Input::Stored(token), now),
                Written::Failed(token) => self.tell(Input::StoreFailed(token), now),
            }
        }
        while let Some((_, ports)) = self.resting.pop_front_if(|(at, _)| *at <= now) {
            self.tell(Input::PortsFree(ports), now);
        }
    }

    pub fn arrived(&mut self, arrival: Arrival, now: Instant) {
        let input = match arrival {
            Arrival::Received { flow, bytes } => Input::Received { flow, bytes },
            Arrival::Opened(flow) => Input::FlowOpened(flow),
            Arrival::Closed(flow) => Input::FlowClosed(flow),
            Arrival::Unreachable(destination) => Input::Unreachable(destination),
        };
        if self.is_up() {
            self.tell(input, now);
        }
    }

    /// Tells the machine something and carries out what it wants.
    pub fn tell(&mut self, input: Input, now: Instant) {
        self.running().handle(input, now);
        self.drain(now);
        self.tell_closed(now);
    }

    /// The media threads say what they have closed, unless they have become silent.
    fn tell_closed(&mut self, now: Instant) {
        while let Some(leg) = self.closed.pop_front() {
            let audio = self.media.last_figures(leg);
            let closed = Input::Media(MediaEvent::Closed { leg, audio });
            self.running().handle(closed, now);
            self.drain(now);
        }
    }

    pub fn operator(&mut self, command: OperatorCommand, now: Instant) -> Answer {
        self.asked += 1;
        let asker = self.asked;
        self.tell(Input::Operator { asker, command }, now);
        let at = self.answers.iter().position(|(of, _)| *of == asker);
        self.answers
            .remove(at.expect("an operator is answered in the same drain"))
            .1
    }

    /// Orders something of a station behind a line, and leaves; the answer comes with `answer_to`.
    pub fn order(&mut self, command: OperatorCommand, now: Instant) -> u64 {
        self.asked += 1;
        let asker = self.asked;
        self.tell(Input::Operator { asker, command }, now);
        asker
    }

    /// What this asker was answered, if it was.
    pub fn answer_to(&mut self, asker: u64) -> Option<Answer> {
        let at = self.answers.iter().position(|(of, _)| *of == asker)?;
        Some(self.answers.remove(at).1)
    }

    /// Ids of operators' commands, never twice.
    pub fn fresh_command(&mut self) -> model::CommandId {
        self.commands += 1;
        model::CommandId::new((1 << 100) + self.commands)
    }

    /// A key that comes in at a port of ours. Tones are heard only where somebody listens for them.
    pub fn key_heard(&mut self, port: SocketAddr, digit: Digit, form: KeyForm, now: Instant) {
        if let Some((leg, _)) = self.media.leg_at(port)
            && (form != KeyForm::Tones || self.media.listens_for_keys(leg))
        {
            self.tell(Input::Media(MediaEvent::Digit { leg, digit, form }), now);
        }
    }

    pub fn sound_over(&mut self, leg: LegId, sound: SoundKey, now: Instant) {
        self.tell(Input::Media(MediaEvent::SoundOver { leg, sound }), now);
    }

    /// The media threads have heard nothing for long in the conversation of this leg.
    pub fn silence_noticed(&mut self, leg: LegId, now: Instant) {
        self.tell(Input::Media(MediaEvent::Silent { leg }), now);
    }

    fn drain(&mut self, now: Instant) {
        loop {
            match self.running().poll_output() {
                Output::Timeout(deadline) => {
                    self.deadline = deadline;
                    break;
                }
                output => self.carry(output, now),
            }
        }
        assert!(
            self.deadline.is_none_or(|at| at > now),
            "a deadline lies in the past"
        );
        if self.poked == Poked::Always {
            let expected = self.deadline;
            let state = self.running();
            state.handle_timeout(now);
            match state.poll_output() {
                Output::Timeout(deadline) => assert_eq!(deadline, expected, "woken too early"),
                output => panic!("woken too early it says {output:?}"),
            }
        }
    }

    fn carry(&mut self, output: Output, now: Instant) {
        self.outputs += 1;
        match output {
            Output::Transmit { to, bytes } => self.outbox.push_back(ToSend::Message(to, bytes)),
            Output::CloseFlow(connection) => self.outbox.push_back(ToSend::Close(connection)),
            Output::Media(command) => {
                if let MediaCommand::Close { leg } = command
                    && self.media.speaks
                {
                    self.closed.push_back(leg);
                }
                let free = self.media.command(command);
                if !free.is_empty() {
                    self.resting.push_back((now + PORT_RESTS, free));
                }
            }
            Output::Store(StoreWrite::Bindings(store)) => self.storage.write(store, now),
            Output::Store(StoreWrite::CallRecord(record)) => self.records.push(*record),
            Output::Store(StoreWrite::DoorRecord(record)) => self.door_records.push(*record),
            Output::Store(StoreWrite::Standing(standing)) => self.keep(standing),
            Output::Recording(command) => self.recordings.push(command),
            Output::OpenUrl(request) => self.url_requests.push(request),
            Output::Answer { asker, answer } => self.answers.push((asker, answer)),
            Output::Event(event) => self.events.push(event),
            Output::Line { line, command } => self.line_commands.push_back((line, command)),
            Output::LineState { line, state } => self.line_states.push((line, state)),
            Output::LineHappened { line, event, .. } => self.line_facts.push((line, event)),
            Output::LineAsked { .. }
            | Output::LineCommanded { .. }
            | Output::LineDone { .. }
            | Output::LineTold { .. } => {}
            Output::Registrar(_) | Output::LegNamed { .. } => {}
            // It has no browsers.
            Output::Web { .. } => {}
            Output::Timeout(_) => {}
        }
    }

    /// The device at the door answers the requests that it got.
    pub fn answer_url(&mut self, command: model::CommandId, now: Instant) {
        if let Some(reply) = self.door_device {
            self.tell(Input::UrlAnswered { command, reply }, now);
        }
    }
}

/// What the wall clock says.
pub fn wall(now: Instant) -> Timestamp {
    NOON.saturating_add(now.saturating_duration_since(start()))
}

impl ToSend {
    pub fn hop(&self) -> Option<&Hop> {
        match self {
            Self::Message(hop, _) => Some(hop),
            Self::Close(_) => None,
        }
    }
}
