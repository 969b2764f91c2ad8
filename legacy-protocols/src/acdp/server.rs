//! The server's end of a line that speaks ACDP: what `Session` is told, this tells.
//!
//! For simulators and adapters, never for a gateway. It broadcasts what happens as a server does,
//! takes the commands that `Session` gives, and answers set-ups by their reference. The layouts are
//! those of `mapping`; what that has concluded rather than read, this writes. The clock in its
//! broadcasts was never set: it counts from the first day of 2000.
//!
//! Invariant: each set-up of the other end is answered once, by the reference it came with.

mod words;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::mapping::id;
use super::message::{Device, Message};
use super::session::Config;
use super::telegrams::{Heard, Telegrams};
use crate::command::{Answer, CallRef, Cause, Command, Purpose, RequestRef, Verdict};
use crate::counters::LineCounters;
use crate::coverage::{CommandKind, Coverage, EventKind};
use crate::event::{Event, Progress, Provenance, StationState};
use crate::number::{Node, Number, Party};
use crate::pairs::Calls;
use crate::port::{AskId, LinkState, Picture, Reference};
use crate::session::Said;
use words::{Asked, Body, Stamp};

const COVERAGE: Coverage = Coverage::NONE
    .command(CommandKind::Keys)
    .command(CommandKind::TalkKey)
    .commanded(CommandKind::CallSetup)
    .commanded(CommandKind::CallRelease)
    .commanded(CommandKind::Keys)
    .commanded(CommandKind::TalkKey)
    .commanded(CommandKind::ShowText)
    .event(EventKind::Opaque)
    .tells(EventKind::StationState)
    .tells(EventKind::CallProgress)
    .tells(EventKind::CallConnected)
    .tells(EventKind::CallReleased)
    .tells(EventKind::RequestNew)
    .tells(EventKind::RequestCancelled)
    .tells(EventKind::RequestClosed)
    .tells(EventKind::InputState)
    .tells(EventKind::OutputState);

/// All devices of a node.
const EVERYBODY: u8 = 0xFF;
/// Requests whose tag is known at most.
const MOST_TAGS: usize = 256;
/// Set-ups without an answer at most.
const MOST_ASKED: usize = 256;

#[derive(Debug)]
pub struct Server {
    config: Config,
    telegrams: Telegrams,
    opened: Option<Instant>,
    next_broadcast: u16,
    next_ask: u64,
    calls: Calls,
    /// Set-ups of the other end: the reference of each as long as its call is not over.
    setups: BTreeMap<CallRef, u16>,
    asked: BTreeMap<AskId, CallRef>,
    tags: VecDeque<(RequestRef, Party, u16)>,
    next_tag: u16,
    said: VecDeque<Said>,
}

impl Server {
    pub fn new(config: Config) -> Self {
        Self {
            telegrams: Telegrams::new(config),
            config,
            opened: None,
            next_broadcast: 1,
            next_ask: 1,
            calls: Calls::default(),
            setups: BTreeMap::new(),
            asked: BTreeMap::new(),
            tags: VecDeque::new(),
            next_tag: 1,
            said: VecDeque::new(),
        }
    }

    // ---- what comes ----------------------------------------------------------------

    fn heard(&mut self, Heard { message, from }: Heard) {
        let Some(message) = message else {
            let event = Event::Opaque { kind: None };
            self.said.push_back(Said::Happened(event, from));
            return;
        };
        // Numbers without a node are at home here.
        let home = Node(u16::from(self.config.own.node));
        match words::asked(&message, home) {
            Some(asked) => self.act(asked, &message, from),
            None => {
                self.telegrams.counters.unknown += 1;
                let kind = Some(message.id);
                self.said
                    .push_back(Said::Happened(Event::Opaque { kind }, from));
            }
        }
    }

    fn act(&mut self, asked: Asked, message: &Message, from: Provenance) {
        match asked {
            Asked::SetUp(mut setup) => {
                if self.asked.len() >= MOST_ASKED {
                    self.telegrams.counters.overflows += 1;
                    self.asked.pop_first();
                }
                setup.call = self.calls.call_of(setup.from, setup.to);
                let call = setup.call;
                self.setups.insert(call, message.reference);
                let ask = AskId(self.next_ask);
                self.next_ask += 1;
                self.asked.insert(ask, call);
                let command = Command::CallSetup(setup);
                self.said.push_back(Said::Asked(Some(ask), command, from));
            }
            Asked::Disconnect(station) => {
                let call = self.calls.of_party(station);
                if let Some(call) = call {
                    let cause = Cause::NORMAL;
                    let command = Command::CallRelease { call, cause };
                    self.said.push_back(Said::Asked(None, command, from));
                }
            }
            Asked::Other(command) => self.said.push_back(Said::Asked(None, command, from)),
        }
    }

    // ---- what goes -----------------------------------------------------------------

    fn stamp(&self, now: Instant) -> Stamp {
        let running = self.opened.map(|at| now.saturating_duration_since(at));
        Stamp(running.unwrap_or_default().as_secs())
    }

    /// To all who listen, numbered; the number stands in the options too, as in the published lines.
    fn broadcast(&mut self, body: Option<Body>) {
        // A node that this protocol has no number for is told to nobody.
        let Some(Body { id, parameters }) = body else {
            return;
        };
        let reference = self.next_broadcast;
        self.next_broadcast = reference.wrapping_add(1);
        let everybody = Device {
            node: self.config.server.node,
            device: EVERYBODY,
        };
        let options = vec![reference as u8];
        let telegram = self
            .telegrams
            .message(everybody, options, reference, id, parameters);
        self.said.push_back(telegram);
    }

    fn reply(&mut self, reference: u16, id: u16) {
        let telegram = self.telegrams.reply(reference, id, Vec::new());
        self.said.push_back(telegram);
    }

    fn state(&mut self, station: Party, state: StationState) {
        let id = match state {
            StationState::Idle | StationState::Requesting | StationState::Privacy => {
                id::STATION_FREE_BC
            }
            StationState::Unknown
            | StationState::Ringing
            | StationState::InCall
            | StationState::InConference(_)
            | StationState::Listening(_)
            | StationState::OutOfService => id::STATION_BUSY_BC,
        };
        self.broadcast(words::station(id, station));
    }

    fn released(&mut self, call: CallRef, now: Instant) {
        let parties = self.calls.parties(call);
        self.calls.forget(call);
        if let Some(reference) = self.setups.remove(&call) {
            self.reply(reference, id::DISCONNECTED);
        }
        if let Some((from, to)) = parties {
            let stamp = self.stamp(now);
            self.broadcast(words::connection(id::DISCON_STATUS_BC, stamp, from, to));
        }
    }

    fn unqueued(&mut self, request: RequestRef, now: Instant) {
        let known = self.tags.iter().position(|(known, ..)| *known == request);
        if let Some((_, desk, tag)) = known.and_then(|at| self.tags.remove(at)) {
            let stamp = self.stamp(now);
            self.broadcast(words::unqueued(stamp, desk, tag));
        }
    }

    /// The parties of a call: as they are told, or as the set-up named them.
    fn parties(
        &mut self,
        call: CallRef,
        from: Option<Party>,
        to: Option<Party>,
    ) -> Option<(Party, Party)> {
        if let (Some(from), Some(to)) = (from, to) {
            self.calls.remember(call, from, to);
        }
        self.calls.parties(call)
    }
}

impl crate::session::Session for Server {
    fn coverage(&self) -> Coverage {
        COVERAGE
    }

    fn counters(&self) -> &LineCounters {
        &self.telegrams.counters
    }

    fn opened(&mut self, now: Instant) {
        self.opened = Some(now);
        self.telegrams.clear();
        self.said
            .push_back(Said::Link(LinkState::Up(Picture::None)));
    }

    fn closed(&mut self) {
        self.said.clear();
        self.calls.clear();
        self.setups.clear();
        self.asked.clear();
    }

    fn received(&mut self, bytes: &[u8], now: Instant) {
        for heard in self.telegrams.hear(bytes, now) {
            self.heard(heard);
        }
    }

    fn command(&mut self, reference: Reference, command: &Command, _: Purpose, _now: Instant) {
        let verdict = match super::mapping::express(command, None) {
            Some((id, parameters)) => {
                let (_, telegram) = self.telegrams.say(id, parameters);
                self.said.push_back(telegram);
                Verdict::Sent
            }
            None => Verdict::Unsupported,
        };
        self.said.push_back(Said::Done(reference, verdict.into()));
    }

    fn tell(&mut self, event: &Event, now: Instant) {
        let stamp = self.stamp(now);
        match event {
            Event::StationState { station, state } => self.state(*station, *state),
            Event::CallProgress(told) if told.progress == Progress::Ringing => {
                if let Some((from, to)) = self.parties(told.call, told.from, told.to) {
                    self.broadcast(words::call_status(stamp, from, to, told.priority));
                }
            }
            Event::CallConnected(told) => {
                if let Some((from, to)) = self.parties(told.call, told.from, told.to) {
                    self.broadcast(words::connection(id::CONN_STATUS_BC, stamp, from, to));
                }
            }
            Event::CallReleased { call, .. } => self.released(*call, now),
            Event::RequestNew(request) => {
                let Some(desk) = request.to else {
                    return;
                };
                if self.tags.len() >= MOST_TAGS {
                    self.tags.pop_front();
                }
                let tag = self.next_tag;
                self.next_tag = tag.checked_add(1).unwrap_or(1);
                self.tags.push_back((request.request, desk, tag));
                self.broadcast(words::queued(stamp, desk, tag, request));
            }
            Event::RequestCancelled { request } | Event::RequestClosed { request, .. } => {
                self.unqueued(*request, now);
            }
            // Inputs and outputs are the server's, not a station's.
            Event::InputState {
                station,
                input,
                state,
            } if station.number == Number::SERVER => {
                self.broadcast(Some(words::contact(id::INPUT_CHANGED, *input, *state)));
            }
            Event::OutputState {
                station,
                output,
                state,
            } if station.number == Number::SERVER => {
                self.broadcast(Some(words::contact(id::OUTPUT_CHANGED, *output, *state)));
            }
            Event::CallProgress(_)
            | Event::InputState { .. }
            | Event::OutputState { .. }
            | Event::StationFaults { .. }
            | Event::LineTested { .. }
            | Event::RequestUpdated(_)
            | Event::DoorState { .. }
            | Event::Opaque { .. } => {}
        }
    }

    fn item(&mut self, _ask: AskId, _event: &Event, _now: Instant) {}

    fn answer(&mut self, ask: AskId, answer: &Answer, _now: Instant) {
        let Some(call) = self.asked.remove(&ask) else {
            return;
        };
        let Some(reference) = self.setups.get(&call).copied() else {
            return;
        };
        let id = match (answer.verdict, answer.cause) {
            (Verdict::Done | Verdict::Accepted | Verdict::Sent, _) => id::CONN_REFERENCE,
            (Verdict::Busy, Some(Cause(34))) => id::RESOURCE_BUSY,
            (Verdict::Busy, _) => id::STATION_BUSY,
            (Verdict::NodeUnreachable | Verdict::NoSuchNumber, _) => id::STATION_DOWN,
            _ => id::NO_ACCESS,
        };
        if id != id::CONN_REFERENCE {
            self.setups.remove(&call);
            self.calls.forget(call);
        }
        self.reply(reference, id);
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn poll(&mut self) -> Option<Said> {
        self.said.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::acdp::Checksum;
    use crate::acdp::codec::tests::PUBLISHED;
    use crate::acdp::session::Session;
    use crate::event::{CallConnected, CallRequest};
    use crate::priority::{Priority, Scale};
    use crate::session::Session as _;
    use crate::text::Text;

    fn config(own: u8, other: u8) -> Config {
        let device = |device| Device { node: 1, device };
        Config {
            own: device(own),
            server: device(other),
            checksum: Checksum::Required,
            hops: 1,
        }
    }

    fn party(number: &str) -> Party {
        Party {
            node: Node(1),
            number: Number::new(number).unwrap(),
        }
    }

    fn sent(server: &mut Server) -> Vec<String> {
        let said = std::iter::from_fn(|| server.poll());
        let lines = said.filter_map(|said| match said {
            Said::Send(line) => Some(String::from_utf8(line).unwrap().trim().to_owned()),
            _ => None,
        });
        lines.collect()
    }

    #[test]
    fn the_published_lines_are_written_but_for_their_clocks() {
        let now = Instant::now();
        let mut server = Server::new(config(0x41, 0x42));
        server.next_broadcast = 0x15;
        let station = party("8002");
        let state = |state| Event::StationState { station, state };
        server.opened(now);
        server.tell(&state(StationState::InCall), now);
        let first = sent(&mut server).remove(0);
        // The published one counts its options apart from its references.
        let published = PUBLISHED[0].replace("2118", "2115");
        assert_eq!(first.split('=').next(), published.split('=').next());
    }

    /// What a client understands of what the server says.
    fn heard(server: &mut Server, client: &mut Session, now: Instant) -> Vec<Event> {
        for line in sent(server) {
            client.received(format!("{line}\r\n").as_bytes(), now);
        }
        let said = std::iter::from_fn(|| client.poll());
        let events = said.filter_map(|said| match said {
            Said::Happened(event, _) => Some(event),
            _ => None,
        });
        events.collect()
    }

    fn ends(now: Instant) -> (Server, Session) {
        let mut server = Server::new(config(0x41, 0x42));
        let mut client = Session::new(config(0x42, 0x41));
        server.opened(now);
        client.opened(now);
        sent(&mut server);
        while client.poll().is_some() {}
        (server, client)
    }

    #[test]
    fn b9_states_calls_and_requests_arrive_as_they_were_told() {
        let now = Instant::now();
        let (mut server, mut client) = ends(now);
        let (a, b) = (party("8002"), party("8009"));
        let call = CallRef(9);
        let state = Event::StationState {
            station: a,
            state: StationState::Idle,
        };
        server.tell(&state, now);
        server.tell(
            &Event::CallConnected(CallConnected {
                call,
                from: Some(a),
                to: Some(b),
                mode: None,
                sound: None,
            }),
            now,
        );
        let cause = Cause::NORMAL;
        server.tell(&Event::CallReleased { call, cause }, now);
        server.tell(
            &Event::RequestNew(CallRequest {
                request: RequestRef(5),
                from: b,
                to: Some(a),
                priority: Priority::new(150, Scale::AlarmFrom120).unwrap(),
                text: Some(Text::clip("Gate")),
            }),
            now,
        );
        let request = RequestRef(5);
        server.tell(&Event::RequestCancelled { request }, now);
        let events = heard(&mut server, &mut client, now);
        assert_eq!(events[0], state);
        let Event::CallConnected(told) = &events[1] else {
            panic!("{events:?}");
        };
        assert_eq!((told.from, told.to), (Some(a), Some(b)));
        let call = told.call;
        assert_eq!(events[2], Event::CallReleased { call, cause });
        let Event::RequestNew(told) = &events[3] else {
            panic!("{events:?}");
        };
        assert_eq!((told.from, told.to), (b, Some(a)));
        assert_eq!(told.text, Some(Text::clip("Gate")));
        let closed = Event::RequestClosed {
            request: told.request,
            cause,
            by: None,
        };
        assert_eq!(events[4], closed);
    }

    #[test]
    fn a_set_up_is_answered_by_its_reference_and_ended_by_it() {
        let now = Instant::now();
        let (mut server, mut client) = ends(now);
        let setup = crate::command::CallSetup {
            call: CallRef(1),
            from: party("107"),
            to: party("102"),
            priority: Priority::NORMAL,
            mode: crate::event::TalkMode::OpenDuplex,
            text: None,
            sound: None,
        };
        let command = Command::CallSetup(setup.clone());
        client.command(Reference(7), &command, Purpose::Live, now);
        while let Some(said) = client.poll() {
            if let Said::Send(line) = said {
                server.received(&line, now);
            }
        }
        let Some(Said::Asked(Some(ask), Command::CallSetup(asked), _)) = server.poll() else {
            panic!("nothing was asked");
        };
        assert_eq!((asked.from, asked.to), (setup.from, setup.to));
        assert_eq!(asked.mode, setup.mode);
        server.answer(ask, &Verdict::Accepted.into(), now);
        let cause = Cause::NORMAL;
        let call = asked.call;
        let done = |client: &mut Session| {
            let mut said = std::iter::from_fn(|| client.poll());
            said.find_map(|said| match said {
                Said::Done(reference, answer) => Some((reference, answer.verdict)),
                _ => None,
            })
        };
        for line in sent(&mut server) {
            client.received(format!("{line}\r\n").as_bytes(), now);
        }
        assert_eq!(done(&mut client), Some((Reference(7), Verdict::Accepted)));
        server.tell(&Event::CallReleased { call, cause }, now);
        let events = heard(&mut server, &mut client, now);
        let call = CallRef(1);
        assert_eq!(events[0], Event::CallReleased { call, cause });
    }

    proptest! {
        #[test]
        fn any_message_is_survived(
            id in prop_oneof![Just(id::CALL_SETUP), Just(id::DISPLAY_TEXT), any::<u16>()],
            parameters in proptest::collection::vec(any::<u8>(), 0..40)
        ) {
            let now = Instant::now();
            let (mut server, _) = ends(now);
            let telegram = server.telegrams.reply(1, id, parameters);
            server.said.push_back(telegram);
            for line in sent(&mut server) {
                server.received(format!("{line}\r\n").as_bytes(), now);
            }
            prop_assert_eq!(server.counters().frames, 1);
        }
    }
}
