//! Commands of the core: each is done once at most, and answered until the core has the answer.
//!
//! A command that must not be done twice is written down before it is done; after a crash between the
//! two nobody knows what became of it, and that is the answer. Deliberately not here: what a command
//! does. Invariant: a command of the kind `once` leaves [`Commands::receive`] or
//! [`Commands::stored`] for the gateway one time in the life of the disk.

use std::collections::BTreeMap;
use std::time::Instant;

use contract::document::{self, Moment, Text};
use contract::down::{Command, Operation, Repeat};
use contract::limits;
use contract::up::{Outcome, OutcomeState};

use crate::Figures;
use crate::session::Ticket;

/// As both ends name it.
pub type CommandId = Text<40>;

/// Done or being done at the same time, at most.
const MOST_OPEN: usize = 64;
/// Remembered at most; a core that sends more in a week has its oldest forgotten.
const MOST_KNOWN: usize = 4096;

/// What the disk knows of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    pub id: CommandId,
    /// The answer, as it is sent; none: it was begun.
    pub answer: Option<Vec<u8>>,
    pub told: Told,
}

#[derive(Debug, Default)]
pub(crate) struct Commands {
    known: BTreeMap<CommandId, Known>,
}

#[derive(Debug)]
struct Known {
    since: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It is done as soon as the disk has it.
    Noting {
        ticket: Ticket,
        command: Command,
    },
    Doing,
    /// The answer is told as soon as the disk has it: after a crash there must be no other.
    Keeping {
        ticket: Ticket,
        answer: Vec<u8>,
    },
    Answered {
        answer: Vec<u8>,
        told: Told,
    },
}

/// Whether the core has the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    NotYet,
    OnItsWay,
    Yes,
}

/// What follows of a command that came.
#[derive(Debug)]
pub(crate) enum Follows {
    /// Nothing but an answer, or not even that.
    Nothing,
    /// To be noted under this ticket; `stored` says when to do it.
    Note(CommandId),
    Do(Command),
}

impl Remembered {
    pub(crate) const fn untold(id: CommandId, answer: Vec<u8>) -> Self {
        Self {
            id,
            answer: Some(answer),
            told: Told::NotYet,
        }
    }
}

impl Commands {
    /// Of those that were begun and not answered nobody knows the end.
    pub(crate) fn new(remembered: Vec<Remembered>, now: Instant) -> (Self, Vec<CommandId>) {
        let mut commands = Self::default();
        let mut unknown = Vec::new();
        for Remembered { id, answer, told } in remembered {
            let state = match answer {
                Some(answer) => State::Answered { answer, told },
                None => {
                    unknown.push(id.clone());
                    answered(failed(&id, "unknown-outcome"))
                }
            };
            commands.enter(id, state, now);
        }
        (commands, unknown)
    }

    pub(crate) fn receive(
        &mut self,
        command: Command,
        core_time: Option<Moment>,
        operations: &[Operation],
        ticket: Ticket,
        now: Instant,
        figures: &mut Figures,
    ) -> Follows {
        let id = command.cmd.clone();
        if let Some(known) = self.known.get_mut(&id) {
            figures.commands_repeated += 1;
            if let State::Answered { told, .. } = &mut known.state {
                *told = Told::NotYet;
            }
            return Follows::Nothing;
        }
        figures.commands += 1;
        if let Some(answer) = self.refusal(&command, core_time, operations) {
            figures.commands_refused += 1;
            self.enter(id, answered(answer), now);
            return Follows::Nothing;
        }
        match command.idem {
            Repeat::Once => {
                self.enter(id.clone(), State::Noting { ticket, command }, now);
                Follows::Note(id)
            }
            Repeat::Repeatable => {
                self.enter(id, State::Doing, now);
                Follows::Do(command)
            }
        }
    }

    /// The disk has all up to this ticket: what may be done now, and what is to be kept instead.
    pub(crate) fn stored(
        &mut self,
        upto: Ticket,
        core_time: Option<Moment>,
        mut next_ticket: impl FnMut() -> Ticket,
        figures: &mut Figures,
    ) -> (Vec<Command>, Vec<(Ticket, Remembered)>) {
        let (mut ready, mut late) = (Vec::new(), Vec::new());
        for (id, known) in &mut self.known {
            match &mut known.state {
                State::Noting { ticket, command } if *ticket <= upto => {
                    // The disk may have taken its time.
                    if core_time.is_some_and(|now| command.expires > now) {
                        ready.push(command.clone());
                        known.state = State::Doing;
                    } else {
                        figures.commands_refused += 1;
                        let (ticket, answer) = (next_ticket(), expired(id));
                        late.push((ticket, Remembered::untold(id.clone(), answer.clone())));
                        known.state = State::Keeping { ticket, answer };
                    }
                }
                State::Keeping { ticket, answer } if *ticket <= upto => {
                    known.state = answered(std::mem::take(answer));
                }
                State::Noting { .. }
                | State::Doing
                | State::Keeping { .. }
                | State::Answered { .. } => {}
            }
        }
        (ready, late)
    }

    /// The answer to a command, if there is one.
    pub(crate) fn answer(&self, id: &CommandId) -> Option<Vec<u8>> {
        match &self.known.get(id)?.state {
            State::Answered { answer, .. } => Some(answer.clone()),
            State::Noting { .. } | State::Doing | State::Keeping { .. } => None,
        }
    }

    /// The gateway says what became of it; the answer to be kept.
    pub(crate) fn ended(&mut self, outcome: &Outcome, ticket: Ticket) -> Option<Remembered> {
        let known = self.known.get_mut(&outcome.cmd)?;
        if outcome.state == OutcomeState::Running || !matches!(known.state, State::Doing) {
            return None;
        }
        let answer =
            document::write(outcome).unwrap_or_else(|_| failed(&outcome.cmd, "answer-unsendable"));
        known.state = State::Keeping {
            ticket,
            answer: answer.clone(),
        };
        Some(Remembered::untold(outcome.cmd.clone(), answer))
    }

    /// An answer that the core does not have and that is not on its way.
    pub(crate) fn next(&mut self) -> Option<(CommandId, Vec<u8>)> {
        self.known
            .iter_mut()
            .find_map(|(id, known)| match &mut known.state {
                State::Answered { answer, told } if *told == Told::NotYet => {
                    *told = Told::OnItsWay;
                    Some((id.clone(), answer.clone()))
                }
                State::Answered { .. }
                | State::Noting { .. }
                | State::Doing
                | State::Keeping { .. } => None,
            })
    }

    /// Whether that is news.
    pub(crate) fn acknowledged(&mut self, id: &CommandId) -> bool {
        match self.known.get_mut(id).map(|known| &mut known.state) {
            Some(State::Answered { told, .. }) if *told == Told::OnItsWay => {
                *told = Told::Yes;
                true
            }
            Some(
                State::Answered { .. }
                | State::Noting { .. }
                | State::Doing
                | State::Keeping { .. },
            )
            | None => false,
        }
    }

    pub(crate) fn lost(&mut self) {
        for known in self.known.values_mut() {
            if let State::Answered { told, .. } = &mut known.state
                && *told == Told::OnItsWay
            {
                *told = Told::NotYet;
            }
        }
    }

    /// Forgets what is old, or too much.
    pub(crate) fn forget(&mut self, now: Instant) -> Vec<CommandId> {
        let mut told: Vec<(Instant, CommandId)> = self
            .known
            .iter()
            .filter(|(_, known)| {
                matches!(&known.state, State::Answered { told, .. } if *told == Told::Yes)
            })
            .map(|(id, known)| (known.since, id.clone()))
            .collect();
        told.sort();
        let too_many = self.known.len().saturating_sub(MOST_KNOWN);
        let old = told
            .iter()
            .take_while(|(since, _)| now.saturating_duration_since(*since) > limits::COMMAND_MEMORY)
            .count();
        let forgotten: Vec<CommandId> = told
            .into_iter()
            .take(old.max(too_many))
            .map(|(_, id)| id)
            .collect();
        for id in &forgotten {
            self.known.remove(id);
        }
        forgotten
    }

    /// Why it is not done, as an answer.
    fn refusal(
        &self,
        command: &Command,
        core_time: Option<Moment>,
        operations: &[Operation],
    ) -> Option<Vec<u8>> {
        let id = &command.cmd;
        let known = Operation::named(command.op.as_str());
        if !known.is_some_and(|operation| operations.contains(&operation)) {
            return Some(rejected(id, "unsupported"));
        }
        match (core_time, command.idem) {
            (Some(now), _) if command.expires <= now => return Some(expired(id)),
            (None, Repeat::Once) => return Some(rejected(id, "no-clock")),
            (Some(_), _) | (None, Repeat::Repeatable) => {}
        }
        let open = self
            .known
            .values()
            .filter(|known| !matches!(known.state, State::Answered { .. }));
        (open.count() >= MOST_OPEN).then(|| rejected(id, "busy"))
    }

    fn enter(&mut self, id: CommandId, state: State, since: Instant) {
        self.known.insert(id, Known { since, state });
    }
}

fn answered(answer: Vec<u8>) -> State {
    let told = Told::NotYet;
    State::Answered { answer, told }
}

fn expired(id: &CommandId) -> Vec<u8> {
    written(id, OutcomeState::Expired, None)
}

fn rejected(id: &CommandId, code: &'static str) -> Vec<u8> {
    written(id, OutcomeState::Rejected, Some(code))
}

fn failed(id: &CommandId, code: &'static str) -> Vec<u8> {
    written(id, OutcomeState::Failed, Some(code))
}

fn written(id: &CommandId, state: OutcomeState, code: Option<&'static str>) -> Vec<u8> {
    let outcome = Outcome {
        cmd: id.clone(),
        attempt: 1,
        state,
        code: code.map(|code| Text::new(code).expect("our codes are short words")),
        detail: None,
    };
    document::write(&outcome).expect("a short answer fits a document")
}
