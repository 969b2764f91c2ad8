//! The port contract: what one line to an older intercom server looks like from the gateway.
//!
//! A port is a machine around the session of one protocol. It owns what must be the same for all of
//! them: the states of a line, reopening, which commands are open and how each ends, what the
//! protocol covers, and the rules for outputs (`safety`). It owns no socket and no clock, keeps no
//! call state and decides no permission.
//!
//! - Every `Input::Command` is answered by exactly one `Output::Done` with its reference.
//! - Every `Output::Asked` with an id is to be answered by exactly one `Input::Answer`.
//! - Nothing is kept for later: a command while the line is not up is answered `NotConnected`, and
//!   when the line is lost all open ones are answered `LineLost`. So no output is ever replayed.
//! - When the line is lost the owner takes all stations behind it as unknown; a fresh picture comes
//!   before `Up`.
//! - Outputs are driven only while the line is fully up, and what the other end commands about
//!   outputs reaches the owner only when it was admitted.
//! - The seam for further protocols is the crate's `Session`; the closed enum `Protocol` dispatches.

mod protocol;
mod reconnect;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

pub use protocol::Protocol;

use crate::command::{Answer, CallRef, Command, Purpose, Verdict};
use crate::counters::{LineCounters, PortCounters};
use crate::coverage::Coverage;
use crate::event::{Event, Provenance};
use crate::safety::{Limits, OutputGuard, Refusal};
use crate::session::{Said, Session};
use crate::text::Text;
use reconnect::Reconnect;

/// Given by the owner, echoed with the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference(pub u64);

/// Given by the port, echoed by the owner with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AskId(pub u64);

#[derive(Clone, Debug)]
pub struct Config {
    pub opening: Opening,
    /// A command without an answer for so long is answered `NoAnswer`.
    pub answer_within: Duration,
    /// Open commands at most; more are answered `Busy`.
    pub most_open: usize,
    pub outputs: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            opening: Opening::Ours,
            answer_within: Duration::from_secs(5),
            most_open: 256,
            outputs: Limits::default(),
        }
    }
}

/// Who opens the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The port asks its owner to connect, or to open the serial device.
    Ours,
    /// The other end connects.
    Theirs,
}

#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// There is a transport now.
    Opened,
    /// It is gone, or could not be opened.
    Closed,
    /// Some octets of a stream; on lines whose transport keeps frames (a D channel), one frame.
    Received(&'a [u8]),
    Command {
        reference: Reference,
        command: Command,
        purpose: Purpose,
    },
    /// Something happened on the gateway's side that the other end may want to know.
    Tell(Event),
    /// One item of the picture that the other end asked for with `Command::Snapshot`; `Answer` ends it.
    Item {
        ask: AskId,
        event: Event,
    },
    Answer {
        ask: AskId,
        answer: Answer,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Open the transport; `Opened` or `Closed` tells what came of it.
    Open,
    /// For the line; a whole frame where the transport keeps frames.
    Send(Vec<u8>),
    /// Close the transport; it is of no use any more.
    Close {
        why: &'static str,
    },
    Link(LinkState),
    /// A picture of the other end comes, at the start and whenever events were lost: items with
    /// `Origin::Snapshot` lie between its beginning and its end.
    Picture(PictureStage),
    Happened {
        event: Event,
        from: Provenance,
    },
    /// The other end asks something. `ask` is None where its protocol has no way to be answered.
    Asked {
        ask: Option<AskId>,
        command: Command,
        from: Provenance,
    },
    Done {
        reference: Reference,
        answer: Answer,
    },
    /// Nothing more to do until then.
    Timeout(Option<Instant>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkState {
    Down,
    Connecting,
    /// The other end answers and tells what is.
    Syncing,
    Up(Picture),
    /// It was up and is silent; outputs are not driven.
    Suspect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PictureStage {
    /// What was told of an earlier one that did not end does not count.
    Begins,
    /// After a whole one, what it has not named is not there any more.
    Ends(Picture),
}

/// How much of the other end is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Picture {
    Whole,
    /// The other end did not tell all in time. Raise an alarm.
    Partial,
    /// This protocol cannot tell what is; each station is unknown until it is heard of.
    None,
}

#[derive(Debug)]
pub struct Port {
    config: Config,
    protocol: Protocol,
    transport: Transport,
    link: LinkState,
    reconnect: Reconnect,
    /// Commands without an answer; None where the protocol minds the time itself.
    open: BTreeMap<Reference, Option<Instant>>,
    deadlines: BTreeSet<(Instant, Reference)>,
    driven: OutputGuard,
    driven_by_them: OutputGuard,
    counters: PortCounters,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Closed,
    Opening,
    Open,
}

impl Port {
    pub fn new(config: Config, protocol: Protocol, seed: u64, now: Instant) -> Self {
        let first = (config.opening == Opening::Ours).then_some(now);
        let mut port = Self {
            protocol,
            transport: Transport::Closed,
            link: LinkState::Down,
            reconnect: Reconnect::new(seed, first),
            open: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            driven: OutputGuard::new(config.outputs),
            driven_by_them: OutputGuard::new(config.outputs),
            counters: PortCounters::default(),
            outputs: VecDeque::new(),
            config,
        };
        port.handle_timeout(now);
        port
    }

    pub fn handle(&mut self, input: Input<'_>, now: Instant) {
        match input {
            Input::Opened => self.opened(now),
            Input::Closed => self.closed(now),
            Input::Received(bytes) => self.received(bytes, now),
            Input::Command {
                reference,
                command,
                purpose,
            } => self.command(reference, &command, purpose, now),
            Input::Tell(event) => {
                if self.is_up() && self.protocol.coverage().can_tell(event.kind()) {
                    self.protocol.tell(&event, now);
                } else {
                    self.counters.not_carried += 1;
                }
            }
            Input::Item { ask, event } => self.protocol.item(ask, &event, now),
            Input::Answer { ask, answer } => self.protocol.answer(ask, &answer, now),
        }
        self.settle(now);
        // An input may come at the very moment of a deadline.
        self.handle_timeout(now);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.reconnect.due(now) {
            self.transport = Transport::Opening;
            self.enter(LinkState::Connecting);
            self.outputs.push_back(Output::Open);
        }
        if self.protocol.deadline().is_some_and(|at| at <= now) {
            self.protocol.handle_timeout(now);
        }
        while let Some((at, reference)) = self.deadlines.first().copied()
            && at <= now
        {
            self.counters.unanswered += 1;
            self.conclude(reference, Verdict::NoAnswer.into());
        }
        self.settle(now);
    }

    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let deadlines = [
            self.reconnect.at(),
            self.protocol.deadline(),
            self.deadlines.first().map(|(at, _)| *at),
        ];
        Output::Timeout(deadlines.into_iter().flatten().min())
    }

    pub const fn link(&self) -> LinkState {
        self.link
    }

    pub fn coverage(&self) -> Coverage {
        self.protocol.coverage()
    }

    pub const fn counters(&self) -> &PortCounters {
        &self.counters
    }

    pub fn line_counters(&self) -> &LineCounters {
        self.protocol.counters()
    }

    /// The channel that carries the sound of a call, on lines that have channels.
    pub fn channel(&self, call: CallRef) -> Option<u8> {
        self.protocol.channel(call)
    }

    const fn is_up(&self) -> bool {
        matches!(self.link, LinkState::Up(_) | LinkState::Suspect)
    }

    fn opened(&mut self, now: Instant) {
        if self.transport == Transport::Open {
            self.protocol.closed();
            self.enter(LinkState::Down);
        }
        self.counters.openings += 1;
        self.transport = Transport::Open;
        self.reconnect.opened();
        self.enter(LinkState::Connecting);
        self.protocol.opened(now);
    }

    fn closed(&mut self, now: Instant) {
        if self.transport == Transport::Closed {
            return;
        }
        self.counters.losses += u64::from(self.transport == Transport::Open);
        self.transport = Transport::Closed;
        self.protocol.closed();
        if self.config.opening == Opening::Ours {
            self.reconnect.failed(now);
        }
        self.enter(LinkState::Down);
    }

    fn received(&mut self, bytes: &[u8], now: Instant) {
        let octets = bytes.len() as u64;
        if self.transport != Transport::Open {
            self.counters.stray_octets += octets;
            return;
        }
        self.counters.octets_in += octets;
        self.protocol.received(bytes, now);
    }

    fn command(&mut self, reference: Reference, command: &Command, purpose: Purpose, now: Instant) {
        self.counters.commands += 1;
        if let Err(answer) = self.may_send(reference, command, purpose, now) {
            self.outputs.push_back(Output::Done { reference, answer });
            return;
        }
        // A picture takes its time; the session minds it.
        let waits = *command != Command::Snapshot;
        let deadline = waits.then(|| now + self.config.answer_within);
        self.open.insert(reference, deadline);
        self.deadlines.extend(deadline.map(|at| (at, reference)));
        self.protocol.command(reference, command, purpose, now);
    }

    fn may_send(
        &mut self,
        reference: Reference,
        command: &Command,
        purpose: Purpose,
        now: Instant,
    ) -> Result<(), Answer> {
        if !self.is_up() {
            self.counters.not_carried += 1;
            return Err(Verdict::NotConnected.into());
        }
        if !self.protocol.coverage().can_command(command.kind()) {
            self.counters.not_carried += 1;
            return Err(Verdict::Unsupported.into());
        }
        if self.open.len() >= self.config.most_open || self.open.contains_key(&reference) {
            return Err(Verdict::Busy.into());
        }
        if let Some(output) = command.output() {
            let admitted = match self.link {
                LinkState::Up(_) => self.driven.admit(output, purpose, now),
                LinkState::Suspect
                | LinkState::Down
                | LinkState::Connecting
                | LinkState::Syncing => Err(Refusal::LineNotUp),
            };
            admitted.map_err(|refusal| {
                self.counters.outputs_refused += 1;
                refused(refusal)
            })?;
        }
        Ok(())
    }

    /// Lets the session speak until it has nothing more to say.
    fn settle(&mut self, now: Instant) {
        while let Some(said) = self.protocol.poll() {
            match said {
                Said::Send(bytes) => {
                    self.counters.octets_out += bytes.len() as u64;
                    self.outputs.push_back(Output::Send(bytes));
                }
                Said::Link(state) => self.enter(state),
                Said::Picture(stage) => self.outputs.push_back(Output::Picture(stage)),
                Said::Happened(event, from) => {
                    self.counters.events += 1;
                    self.counters.opaque += u64::from(matches!(event, Event::Opaque { .. }));
                    self.outputs.push_back(Output::Happened { event, from });
                }
                Said::Asked(ask, command, from) => self.asked(ask, command, from, now),
                Said::Done(reference, answer) => self.conclude(reference, answer),
                Said::Broken(why) => {
                    self.outputs.push_back(Output::Close { why });
                    self.closed(now);
                }
            }
        }
    }

    fn asked(&mut self, ask: Option<AskId>, command: Command, from: Provenance, now: Instant) {
        self.counters.asked += 1;
        if let Some(output) = command.output()
            && let Err(refusal) = self.driven_by_them.admit(output, from.purpose, now)
        {
            self.counters.outputs_refused_to_them += 1;
            if let Some(ask) = ask {
                self.protocol.answer(ask, &refused(refusal), now);
            }
            return;
        }
        self.outputs.push_back(Output::Asked { ask, command, from });
    }

    fn conclude(&mut self, reference: Reference, answer: Answer) {
        let Some(deadline) = self.open.remove(&reference) else {
            self.counters.late_answers += 1;
            return;
        };
        if let Some(at) = deadline {
            self.deadlines.remove(&(at, reference));
        }
        self.outputs.push_back(Output::Done { reference, answer });
    }

    fn enter(&mut self, state: LinkState) {
        if self.link == state {
            return;
        }
        let was_up = self.is_up();
        self.link = state;
        self.outputs.push_back(Output::Link(state));
        if matches!(state, LinkState::Up(_)) {
            self.reconnect.up();
        }
        if was_up && !self.is_up() {
            self.counters.lost_with_line += self.open.len() as u64;
            self.deadlines.clear();
            for (reference, _) in std::mem::take(&mut self.open) {
                let answer = Verdict::LineLost.into();
                self.outputs.push_back(Output::Done { reference, answer });
            }
        }
    }
}

fn refused(refusal: Refusal) -> Answer {
    Answer {
        text: Some(Text::clip(&refusal.to_string())),
        ..refusal.verdict().into()
    }
}
