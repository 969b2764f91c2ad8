//! Lines to older intercom servers: what they say becomes what the call engine hears, and back.
//!
//! Each line is a port of `legacy-protocols`; this folder owns the ports, drains them, and
//! translates their words into those of `calls`, subject by subject. It decides nothing: who may
//! call whom, who takes a request and which door opens the engine says. It knows no transport.
//!
//! Invariants: every command of the other end that wants an answer is answered once; nothing that a
//! line could not take is kept for later; when a line is lost, all stations behind it are unknown.

mod calls;
mod config;
mod diversions;
mod doors;
mod legs;
mod line;
mod numbering;
mod orders;
mod parties;
mod picture;
mod playback;
mod requests;
mod rooms;
mod sound;
mod stations;
mod surveillance;
mod talk;
mod texts;
mod trunks;
mod view;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use ::calls::{Input, Privacy, Withdrawal};
use legacy_protocols::command::{Answer, Command, OutputId, Purpose, RequestRef, Switch, Verdict};
use legacy_protocols::event::{Event, Provenance};
use legacy_protocols::number::Party;
use legacy_protocols::port::{self, AskId, LinkState, Reference};
use model::{LegId, NodeId, RequestId, StationId};

pub use config::{
    ChannelTarget, Driver, LineConfig, LineId, LineSound, LinkKind, Room, Trunk, Trusted,
};
use doors::Doors;
use legs::LineLegs;
use line::Line;
pub use numbering::{Numbering, PrefixError, PrefixMap, Server};
pub(crate) use orders::Ordered;
pub use orders::{Diversion, OrderError, StationOrder};
use requests::Requests;
use surveillance::Surveillance;
use texts::Texts;
pub use view::{LineTotals, LineView};

use crate::io::{LineCommand, LineEvent, Output};
use crate::operator;
use crate::state::Exchange;

/// The draws of the surveillance are not those of a line.
const SURVEILLANCE: u64 = 0x7465_7374;

#[derive(Debug)]
pub(crate) struct Lines {
    lines: Vec<Line>,
    /// Those that may have something to say.
    touched: BTreeSet<LineId>,
    /// What our open commands are for.
    errands: BTreeMap<Reference, Errand>,
    next_reference: u64,
    legs: LineLegs,
    doors: Doors,
    requests: Requests,
    texts: Texts,
    surveillance: Surveillance,
}

/// What a command of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errand {
    Nothing,
    Call(LegId),
    Door(OutputId),
    Claim {
        request: RequestId,
        by: Party,
    },
    File {
        request: RequestId,
        line: LineId,
    },
    /// A station is tested because it is its turn.
    Test {
        line: LineId,
        station: StationId,
    },
    /// Somebody at this machine waits for the answer.
    Order {
        asker: u64,
    },
}

impl Lines {
    /// `start_count` as in the engine's settings.
    pub(crate) fn new(configs: &[LineConfig], start_count: u32, seed: u64, now: Instant) -> Self {
        let line = |(config, nth): (&LineConfig, u64)| {
            Line::new(config.clone(), seed.wrapping_add(nth), now)
        };
        let lines: Vec<Line> = configs.iter().zip(0..).map(line).collect();
        let touched = (0..).map(LineId).zip(&lines).map(|(id, _)| id).collect();
        Self {
            lines,
            touched,
            errands: BTreeMap::new(),
            next_reference: 1,
            legs: LineLegs::default(),
            doors: Doors::new(start_count),
            requests: Requests::default(),
            texts: Texts::default(),
            surveillance: Surveillance::new(seed ^ SURVEILLANCE),
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for (id, line) in (0..).map(LineId).zip(&mut self.lines) {
            if line.deadline().is_some_and(|due| due <= now) {
                line.handle_timeout(now);
                self.touched.insert(id);
            }
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let ports = self.lines.iter().filter_map(Line::deadline);
        ports.chain(self.surveillance.deadline()).min()
    }

    /// What the lines have to say, until they have no more.
    pub(crate) fn poll(&mut self) -> Option<(LineId, port::Output)> {
        while let Some(id) = self.touched.first().copied() {
            match self.get_mut(id).map(Line::poll) {
                Some(port::Output::Timeout(_)) | None => {
                    self.touched.remove(&id);
                }
                Some(output) => return Some((id, output)),
            }
        }
        None
    }

    /// The line to a node: of several one that is up.
    pub(crate) fn towards(&self, node: NodeId) -> Option<LineId> {
        let mut there = self.all().filter(|(_, line)| line.server(node).is_some());
        let first = there.next()?;
        let mut all = std::iter::once(first).chain(there);
        let up = all.find(|(_, line)| line.is_up());
        Some(up.map_or(first.0, |(id, _)| id))
    }

    /// Whether this leg goes over a line.
    pub(crate) fn has_leg(&self, leg: LegId) -> bool {
        self.legs.get(leg).is_some()
    }

    fn all(&self) -> impl Iterator<Item = (LineId, &Line)> {
        (0..).map(LineId).zip(&self.lines)
    }

    fn get(&self, id: LineId) -> Option<&Line> {
        self.lines.get(usize::from(id.0))
    }

    fn get_mut(&mut self, id: LineId) -> Option<&mut Line> {
        self.lines.get_mut(usize::from(id.0))
    }

    fn tell(&mut self, id: LineId, input: port::Input<'_>, now: Instant) {
        if let Some(line) = self.get_mut(id) {
            line.handle(input, now);
            self.touched.insert(id);
        }
    }
}

impl Exchange {
    pub(crate) fn line_event(&mut self, id: LineId, event: LineEvent, now: Instant) {
        match event {
            LineEvent::Opened => self.lines.tell(id, port::Input::Opened, now),
            LineEvent::Closed => self.lines.tell(id, port::Input::Closed, now),
            LineEvent::Received(bytes) => {
                self.lines.tell(id, port::Input::Received(&bytes), now);
            }
            LineEvent::Channels(channels) => {
                if let Some(line) = self.lines.get_mut(id) {
                    line.channels = channels.into_iter().collect();
                }
            }
        }
    }

    /// One output of a port; `Timeout` is the drain's business.
    pub(crate) fn line_says(&mut self, line: LineId, output: port::Output, now: Instant) {
        match output {
            port::Output::Open => self.line_wants(line, LineCommand::Open),
            port::Output::Send(bytes) => self.line_wants(line, LineCommand::Send(bytes)),
            port::Output::Close { why } => self.line_wants(line, LineCommand::Close { why }),
            port::Output::Link(state) => self.line_is(line, state, now),
            port::Output::Picture(stage) => self.picture_stage(line, stage, now),
            port::Output::Happened { event, from } => self.line_tells(line, event, from, now),
            port::Output::Asked { ask, command, from } => {
                self.line_asks(line, ask, command, from, now);
            }
            port::Output::Done { reference, answer } => {
                self.line_done(line, reference, answer, now);
            }
            port::Output::Timeout(_) => {}
        }
    }

    fn line_wants(&mut self, line: LineId, command: LineCommand) {
        self.out(Output::Line { line, command });
    }

    fn line_is(&mut self, id: LineId, state: LinkState, now: Instant) {
        self.out(Output::LineState { line: id, state });
        let Some(line) = self.lines.get_mut(id) else {
            return;
        };
        let was_up = line.is_up();
        line.link = state;
        let is_up = line.is_up();
        if was_up && !is_up {
            self.calls_of_line_lost(id, now);
        }
        if was_up != is_up {
            self.stations_of_line(id, state, now);
        }
        self.surveil_line(id, state, now);
        if !was_up && is_up {
            self.file_all_at_lines(id, now);
        }
    }

    fn line_tells(&mut self, line: LineId, event: Event, from: Provenance, now: Instant) {
        match &event {
            Event::StationState { station, state } => {
                self.station_does(line, *station, *state, now);
            }
            Event::StationFaults { station, faults } => {
                self.station_has_faults(line, *station, words::faults(*faults), now);
            }
            Event::LineTested { station, result } => {
                self.station_tested(line, *station, *result, now);
            }
            Event::RequestNew(told) | Event::RequestUpdated(told) => {
                self.request_told(line, told, now);
            }
            Event::RequestCancelled { request } => {
                self.request_over(line, *request, Withdrawal::ByRequester, now);
            }
            Event::RequestClosed { request, .. } => {
                self.request_over(line, *request, Withdrawal::TakenElsewhere, now);
            }
            Event::CallProgress(told) => self.call_progresses(line, told, now),
            Event::CallConnected(told) => self.call_connected(line, told, now),
            Event::CallReleased { call, cause } => {
                self.call_released(line, *call, *cause, now);
            }
            Event::InputState {
                station,
                input,
                state: Switch::On,
            } => self.contact_closed(line, (*station, *input), &from, now),
            Event::DoorState {
                station,
                output,
                state,
                command,
            } => self.door_state(line, (*station, *output), *state, *command, &from, now),
            // Shown in the timeline; nothing here depends on them.
            Event::OutputState { .. }
            | Event::InputState { .. }
            // The port has counted it.
            | Event::Opaque { .. } => {}
        }
        self.out(Output::LineHappened { line, event, from });
    }

    fn line_done(&mut self, line: LineId, reference: Reference, answer: Answer, now: Instant) {
        match self.lines.errands.remove(&reference) {
            Some(Errand::Call(leg)) => self.call_set_up(line, leg, &answer, now),
            Some(Errand::Door(id)) => self.door_done(id, answer.verdict, now),
            Some(Errand::Claim { request, by }) => {
                self.claim_answered((request, by), &answer, now);
            }
            Some(Errand::File { request, line }) => {
                self.request_filed(request, line, answer.verdict);
            }
            Some(Errand::Test { line, station }) => {
                self.test_answered((line, station), answer.verdict, now);
            }
            Some(Errand::Order { asker }) => {
                let answer = operator::Answer::OfLine(answer.clone());
                self.out(Output::Answer { asker, answer });
            }
            Some(Errand::Nothing) | None => {}
        }
        self.out(Output::LineDone {
            line,
            reference,
            answer,
        });
    }

    fn line_asks(
        &mut self,
        line: LineId,
        ask: Option<AskId>,
        command: Command,
        from: Provenance,
        now: Instant,
    ) {
        self.out(Output::LineAsked {
            line,
            command: command.clone(),
            from,
        });
        let answer = match command {
            Command::CallSetup(setup) => return self.call_asked(line, ask, &setup, now),
            Command::Snapshot => return self.picture_asked(line, ask, now),
            Command::CallRelease { call, cause } => {
                let known = self.call_released(line, call, cause, now);
                done_if(known)
            }
            Command::Hold { call } => self.hold_from_line(line, call, now).into(),
            Command::Retrieve { call } => self.retrieve_from_line(line, call, now).into(),
            Command::Transfer { call, to } => self.transfer_from_line(line, call, to, now),
            Command::TalkKey { station, key } => {
                self.talk_key_from_line(line, station, key, now).into()
            }
            Command::Keys { station, keys } => {
                self.keys_from_line(line, station, &keys, now).into()
            }
            Command::GroupStart {
                group,
                talker,
                priority,
            } => self.room_joined(line, (group, talker), Some(priority), now),
            Command::GroupStop { group, talker } => {
                self.room_left(line, (group, talker), now).into()
            }
            Command::ConferenceJoin {
                conference,
                station,
                ..
            } => self.room_joined(line, (conference, station), None, now),
            Command::ConferenceLeave {
                conference,
                station,
            } => self.room_left(line, (conference, station), now).into(),
            Command::ConferenceTalk {
                conference,
                station,
                key,
            } => self.room_key(line, (conference, station), key, now).into(),
            Command::RequestFile(told) => self.request_asked(line, &told, now).into(),
            Command::RequestWithdraw { request } => self.withdrawn_by_line(line, request, now),
            Command::RequestClaim { request, by } => self.claim_asked(line, request, by, now),
            Command::DoorOpen(asked) => self.door_asked(line, &asked, now),
            Command::SetPrivacy { station, privacy } => {
                self.privacy_from_line(line, station, privacy, now)
            }
            Command::ShowText { station, text } => {
                match self.text_asked(line, ask, (station, &text), now) {
                    Some(answer) => answer,
                    None => return,
                }
            }
            Command::LineTest { station } => self.test_asked(line, station, now),
            Command::SetTalkMode { call, mode } => self.talk_mode_asked(line, call, mode, now),
            Command::OutputSet(asked) => self.output_asked(line, &asked, now),
            Command::Divert { station, divert } => self.divert_asked(line, station, divert, now),
            Command::Programme { station, programme } => {
                self.programme_asked(line, station, programme, now)
            }
            Command::Announce {
                station,
                message,
                priority,
            } => self.announce_asked(line, station, message, priority, now),
        };
        self.answer_line(line, ask, answer, now);
    }

    fn withdrawn_by_line(&mut self, line: LineId, request: RequestRef, now: Instant) -> Answer {
        self.request_over(line, request, Withdrawal::ByRequester, now);
        Verdict::Done.into()
    }

    fn privacy_from_line(
        &mut self,
        line: LineId,
        station: Party,
        privacy: Switch,
        now: Instant,
    ) -> Answer {
        let station = self.our_station(line, station).map(|station| station.id);
        let privacy = match privacy {
            Switch::On => Privacy::On,
            Switch::Off => Privacy::Off,
        };
        if let Some(station) = station {
            self.calls
                .handle(Input::SetPrivacy { station, privacy }, now);
        }
        done_if(station.is_some())
    }

    fn answer_line(&mut self, line: LineId, ask: Option<AskId>, answer: Answer, now: Instant) {
        if let Some(ask) = ask {
            self.lines
                .tell(line, port::Input::Answer { ask, answer }, now);
        }
    }

    fn command_line(&mut self, line: LineId, command: Command, errand: Errand, now: Instant) {
        let reference = Reference(self.lines.next_reference);
        self.lines.next_reference += 1;
        self.lines.errands.insert(reference, errand);
        self.out(Output::LineCommanded {
            line,
            reference,
            command: command.clone(),
        });
        let input = port::Input::Command {
            reference,
            command,
            purpose: Purpose::Live,
        };
        self.lines.tell(line, input, now);
    }

    /// Told to the other end, where its protocol has a word for it.
    fn tell_line(&mut self, id: LineId, event: Event, now: Instant) {
        let can = self.lines.get(id).is_some_and(|line| line.can_tell(&event));
        if can {
            let told = event.clone();
            self.out(Output::LineTold { line: id, event });
            self.lines.tell(id, port::Input::Tell(told), now);
        }
    }

    /// What happened here, for those at the other ends.
    pub(crate) fn lines_hear(&mut self, event: &::calls::Event, now: Instant) {
        match event {
            ::calls::Event::StationChanged {
                station,
                state,
                faults,
            } => self.tell_station(*station, *state, *faults, now),
            ::calls::Event::Request { request, change } => {
                self.request_changed(*request, change, now);
            }
            ::calls::Event::Door { command, stage, .. } => {
                self.door_concluded(*command, *stage, now);
            }
            ::calls::Event::CallStarted { .. }
            | ::calls::Event::CallChanged { .. }
            | ::calls::Event::CallEnded { .. }
            | ::calls::Event::Forwarded { .. }
            | ::calls::Event::Skipped { .. }
            | ::calls::Event::PreEmpted { .. }
            | ::calls::Event::AlarmEscalated { .. }
            | ::calls::Event::DoorCodesLocked { .. }
            | ::calls::Event::Drained => {}
        }
    }
}

fn done_if(known: bool) -> Answer {
    match known {
        true => Verdict::Done,
        false => Verdict::NoSuchNumber,
    }
    .into()
}
