//! Lines to older intercom servers: what they say becomes what the call engine hears, and back.
//!
//! Each line is a port of `legacy-protocols`; this folder owns the ports, drains them, and
//! translates their words into those of `calls`, subject by subject. It decides nothing: who may
//! call whom, who takes a request and which door opens the engine says. It knows no transport.
//!
//! Invariants: every command of the other end that wants an answer is answered once; nothing that a
//! line could not take is kept for later; when a line is lost, all stations behind it are unknown.

mod config;
mod line;
mod numbering;
mod stations;
mod view;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use legacy_protocols::command::{Answer, Command, Purpose, Verdict};
use legacy_protocols::event::{Event, Provenance};
use legacy_protocols::port::{self, AskId, LinkState, Reference};

pub use config::{
    ChannelTarget, Driver, LineConfig, LineId, LineSound, LinkKind, Room, Trunk, Trusted,
};
use line::Line;
pub use numbering::{Numbering, PrefixError, PrefixMap, Server};
pub use view::{LineTotals, LineView};

use crate::io::{LineCommand, LineEvent, Output};
use crate::state::GatewayState;

#[derive(Debug)]
pub(crate) struct Lines {
    lines: Vec<Line>,
    /// Those that may have something to say.
    touched: BTreeSet<LineId>,
    /// What our open commands are for.
    errands: BTreeMap<Reference, Errand>,
    next_reference: u64,
}

/// What a command of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errand {
    Nothing,
}

impl Lines {
    pub(crate) fn new(configs: &[LineConfig], seed: u64, now: Instant) -> Self {
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
        self.lines.iter().filter_map(Line::deadline).min()
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

impl GatewayState {
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
            port::Output::Happened { event, from } => self.line_tells(line, event, from, now),
            port::Output::Asked { ask, command, from } => {
                self.line_asks(line, ask, command, from, now);
            }
            port::Output::Done { reference, answer } => self.line_done(line, reference, answer),
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
        if was_up != line.is_up() {
            self.stations_of_line(id, state, now);
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
            Event::RequestNew(_)
            | Event::RequestUpdated(_)
            | Event::RequestCancelled { .. }
            | Event::RequestClosed { .. }
            | Event::CallProgress(_)
            | Event::CallConnected(_)
            | Event::CallReleased { .. }
            | Event::OutputState { .. }
            | Event::InputState { .. }
            | Event::DoorState { .. }
            // The port has counted it.
            | Event::Opaque { .. } => {}
        }
        self.out(Output::LineHappened { line, event, from });
    }

    fn line_done(&mut self, line: LineId, reference: Reference, answer: Answer) {
        let errand = self.lines.errands.remove(&reference);
        match errand {
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
            command,
            from,
        });
        if let Some(line) = self.lines.get_mut(line) {
            line.totals.unsupported += 1;
        }
        self.answer_line(line, ask, Verdict::Unsupported.into(), now);
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
    pub(crate) fn lines_hear(&mut self, event: &calls::Event, now: Instant) {
        if let calls::Event::StationChanged {
            station,
            state,
            faults,
        } = event
        {
            self.tell_station(*station, *state, *faults, now);
        }
    }
}
