//! All sessions of an endpoint: finding them, moving them from state to state, timing them.

mod arrivals;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::arriving::Ringing;
use super::command::{CommandError, SessionId};
use super::confirmed::Confirmed;
use super::event::Urgency;
use super::leaving::Leaving;
use super::outgoing::Calling;
use super::step::Step;
use super::usage::Usage;
use crate::deadlines::Deadlines;
use crate::dialog::Dialog;
use crate::endpoint::core::Core;
use crate::flow::{ConnectionId, Flow};
use crate::message::{Replaces, Request, StatusCode};
use crate::tokens::Token;
use crate::transaction::TransactionId;

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    live: HashMap<SessionId, Session>,
    by_tag: HashMap<Token, SessionId>,
    deadlines: Deadlines<SessionId>,
    /// Which sessions live on a connection.
    bound: BTreeSet<(ConnectionId, SessionId)>,
    last: u64,
}

#[derive(Debug)]
struct Session {
    tag: Token,
    connection: Option<ConnectionId>,
    state: State,
}

#[derive(Debug)]
pub(super) enum State {
    Calling(Box<Calling>),
    Ringing(Box<Ringing>),
    Confirmed(Box<Confirmed>),
    Leaving(Box<Leaving>),
    Over,
}

/// A new call of a peer.
pub(crate) struct Arrival<'a> {
    pub(crate) request: Request,
    pub(crate) tx: TransactionId,
    pub(crate) tag: Token,
    pub(crate) flow: &'a Flow,
    pub(crate) account: Option<Arc<str>>,
    pub(crate) urgency: Urgency,
    pub(crate) replaces: Option<SessionId>,
}

/// A request of a peer within a dialog.
pub(crate) struct Inbound<'a> {
    pub(crate) request: &'a Request,
    pub(crate) tx: TransactionId,
    pub(crate) flow: &'a Flow,
    /// Its CSeq.
    pub(crate) number: u32,
}

impl Sessions {
    pub(crate) fn len(&self) -> usize {
        self.live.len()
    }

    /// The id the next session will have.
    pub(crate) fn next_id(&mut self) -> SessionId {
        self.last += 1;
        SessionId(self.last)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// The session a request within a dialog belongs to. Our own tag names it; the other parts of
    /// the identity must agree.
    pub(crate) fn find(
        &self,
        call_id: &str,
        to_tag: &str,
        from_tag: Option<&str>,
    ) -> Option<SessionId> {
        let id = *self.by_tag.get(&Token::parse(to_tag)?)?;
        let fits = |usage: &Usage| {
            usage.dialog.id().call_id == call_id && usage.dialog.is_peer_tag(from_tag)
        };
        let found = match &self.live.get(&id)?.state {
            State::Calling(calling) => calling.forks.iter().any(|fork| fits(&fork.usage)),
            State::Ringing(ringing) => fits(&ringing.usage),
            State::Confirmed(confirmed) => fits(&confirmed.usage),
            State::Leaving(leaving) => fits(leaving.usage()),
            State::Over => false,
        };
        found.then_some(id)
    }

    /// Whether the owner has not heard of its end.
    pub(crate) fn is_owned(&self, id: SessionId) -> bool {
        let state = self.live.get(&id).map(|session| &session.state);
        state.is_some_and(|state| !matches!(state, State::Leaving(_) | State::Over))
    }

    /// The session a Replaces header names, or the code that refuses it (RFC 3891 3).
    pub(crate) fn replaced(&self, replaces: &Replaces) -> Result<SessionId, StatusCode> {
        let missing = StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
        let id = self
            .find(
                &replaces.call_id,
                &replaces.to_tag,
                Some(&replaces.from_tag),
            )
            .ok_or(missing)?;
        match self.live.get(&id).map(|session| &session.state) {
            Some(State::Calling(_)) => Ok(id),
            Some(State::Confirmed(_)) if replaces.early_only => Err(StatusCode::BUSY_HERE),
            Some(State::Confirmed(_)) => Ok(id),
            Some(State::Leaving(_)) => Err(StatusCode::DECLINE),
            Some(State::Ringing(_) | State::Over) | None => Err(missing),
        }
    }

    pub(crate) fn replaces(&self, id: SessionId) -> Option<Replaces> {
        let dialog = match &self.live.get(&id)?.state {
            State::Calling(calling) => &calling.forks.last()?.usage.dialog,
            State::Ringing(ringing) => &ringing.usage.dialog,
            State::Confirmed(confirmed) => &confirmed.usage.dialog,
            State::Leaving(_) | State::Over => return None,
        };
        let dialog = dialog.id();
        Some(Replaces {
            call_id: dialog.call_id.to_owned(),
            to_tag: dialog.remote_tag.to_owned(),
            from_tag: dialog.local_tag.as_str().to_owned(),
            early_only: false,
        })
    }

    pub(crate) fn call_id(&self, id: SessionId) -> Option<&str> {
        match &self.live.get(&id)?.state {
            State::Calling(calling) => Some(calling.call_id()),
            State::Ringing(ringing) => Some(ringing.usage.dialog.id().call_id),
            State::Confirmed(confirmed) => Some(confirmed.usage.dialog.id().call_id),
            State::Leaving(_) | State::Over => None,
        }
    }

    pub(super) fn insert(&mut self, id: SessionId, tag: Token, state: State, core: &mut Core) {
        core.counters.sessions_started += 1;
        self.by_tag.insert(tag, id);
        self.live.insert(
            id,
            Session {
                tag,
                connection: None,
                state,
            },
        );
        self.settle(id);
    }

    /// Lets a session handle something, and moves it where that leads.
    fn drive(
        &mut self,
        id: SessionId,
        core: &mut Core,
        handle: impl FnOnce(&mut State, &mut Core) -> Step,
    ) {
        let Some(session) = self.live.get_mut(&id) else {
            return;
        };
        let step = handle(&mut session.state, core);
        match step {
            Step::Stay => {}
            Step::Confirm(confirmed) => session.state = State::Confirmed(confirmed),
            Step::End(event, rest) => {
                core.counters.sessions_ended += 1;
                core.event(id, event);
                session.state = rest.map_or(State::Over, State::Leaving);
            }
            Step::Gone => session.state = State::Over,
        }
        self.settle(id);
    }

    /// The same for commands, which can be refused.
    pub(super) fn command(
        &mut self,
        id: SessionId,
        core: &mut Core,
        handle: impl FnOnce(&mut State, &mut Core) -> Result<Step, CommandError>,
    ) -> Result<(), CommandError> {
        if !self.is_owned(id) {
            return Err(CommandError::UnknownSession);
        }
        let mut result = Ok(());
        self.drive(id, core, |state, core| {
            handle(state, core).unwrap_or_else(|error| {
                result = Err(error);
                Step::Stay
            })
        });
        result
    }

    /// Brings deadline and connection of a session up to date, or forgets it.
    fn settle(&mut self, id: SessionId) {
        let Some(session) = self.live.get_mut(&id) else {
            return;
        };
        let (deadline, connection) = match &session.state {
            State::Calling(calling) => (calling.deadline(), None),
            State::Ringing(ringing) => {
                (ringing.deadline(), ringing.usage.dialog.hop().connection())
            }
            State::Confirmed(confirmed) => (
                confirmed.deadline(),
                confirmed.usage.dialog.hop().connection(),
            ),
            State::Leaving(leaving) => (leaving.deadline(), None),
            State::Over => (None, None),
        };
        if session.connection != connection {
            if let Some(old) = std::mem::replace(&mut session.connection, connection) {
                self.bound.remove(&(old, id));
            }
            if let Some(new) = connection {
                self.bound.insert((new, id));
            }
        }
        self.deadlines.set(id, deadline);
        if matches!(session.state, State::Over) {
            let tag = session.tag;
            self.live.remove(&id);
            self.by_tag.remove(&tag);
        }
    }

    pub(crate) fn handle_timeout(&mut self, core: &mut Core) -> bool {
        let Some(id) = self.deadlines.pop_due(core.now) else {
            return false;
        };
        self.drive(id, core, |state, core| match state {
            State::Calling(calling) => calling.on_timeout(core),
            State::Ringing(ringing) => ringing.on_timeout(core),
            State::Confirmed(confirmed) => confirmed.on_timeout(id, core),
            State::Leaving(_) => pass_on(state, |leaving| leaving.on_timeout(id, core)),
            State::Over => Step::Stay,
        });
        true
    }

    /// A connection is gone. What was waiting on it has failed before; dialogs look for another
    /// way when they need one.
    pub(crate) fn connection_closed(&mut self, flow: &Flow) {
        self.each_dialog_of(flow.connection, |dialog| dialog.lost(flow));
    }

    /// The peer of a connection has another one now.
    pub(crate) fn moved(&mut self, from: ConnectionId, to: &Flow) {
        self.each_dialog_of(from, |dialog| dialog.moved(from, to));
    }

    fn each_dialog_of(&mut self, connection: ConnectionId, mut change: impl FnMut(&mut Dialog)) {
        let (first, last) = (SessionId(0), SessionId(u64::MAX));
        let range = (connection, first)..=(connection, last);
        let ids: Vec<_> = self.bound.range(range).map(|(_, id)| *id).collect();
        for id in ids {
            match self.live.get_mut(&id).map(|session| &mut session.state) {
                Some(State::Ringing(ringing)) => change(&mut ringing.usage.dialog),
                Some(State::Confirmed(confirmed)) => change(&mut confirmed.usage.dialog),
                Some(State::Calling(_) | State::Leaving(_) | State::Over) | None => {}
            }
            self.settle(id);
        }
    }
}

/// Runs a step of a session its owner has left, which takes and gives it whole.
fn pass_on(state: &mut State, step: impl FnOnce(Leaving) -> Option<Leaving>) -> Step {
    match std::mem::replace(state, State::Over) {
        State::Leaving(leaving) => match step(*leaving) {
            Some(leaving) => *state = State::Leaving(Box::new(leaving)),
            None => return Step::Gone,
        },
        other => *state = other,
    }
    Step::Stay
}

impl State {
    /// The dialog with the peer of that tag.
    fn usage_with(&mut self, remote_tag: Option<&str>) -> Option<&mut Usage> {
        match self {
            Self::Calling(calling) => Some(&mut calling.fork_with(remote_tag)?.usage),
            Self::Ringing(ringing) => Some(&mut ringing.usage),
            Self::Confirmed(confirmed) => Some(&mut confirmed.usage),
            Self::Leaving(leaving) => Some(leaving.usage_mut()),
            Self::Over => None,
        }
    }
}
