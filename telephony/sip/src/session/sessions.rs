//! All sessions of an endpoint: finding them, moving them from state to state, timing them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::arriving::Ringing;
use super::command::{CommandError, SessionId};
use super::confirmed::Confirmed;
use super::event::{Incoming, SessionEvent, Urgency};
use super::exchange::{Exchange, Theirs};
use super::leaving::Leaving;
use super::outgoing::Calling;
use super::refresh::{Terms, TooSmall};
use super::step::Step;
use super::stray::end_stray;
use super::usage::{Outcome, Purpose, Usage, sdp_of};
use super::{digits, event::EndCause};
use crate::deadlines::Deadlines;
use crate::dialog::{Dialog, Order};
use crate::endpoint::core::Core;
use crate::endpoint::{Event, Output};
use crate::flow::{ConnectionId, Flow};
use crate::message::{HeaderName, Method, Replaces, Request, StatusCode};
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
        let owned = |state: &State| !matches!(state, State::Leaving(_) | State::Over);
        if !self
            .live
            .get(&id)
            .is_some_and(|session| owned(&session.state))
        {
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
        let (first, last) = (SessionId(0), SessionId(u64::MAX));
        let range = (flow.connection, first)..=(flow.connection, last);
        let ids: Vec<_> = self.bound.range(range).map(|(_, id)| *id).collect();
        for id in ids {
            match self.live.get_mut(&id).map(|session| &mut session.state) {
                Some(State::Ringing(ringing)) => ringing.usage.dialog.lost(flow),
                Some(State::Confirmed(confirmed)) => confirmed.usage.dialog.lost(flow),
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

/// What arrives.
impl Sessions {
    /// An INVITE outside any dialog, admitted and authenticated.
    pub(crate) fn arrive(&mut self, id: SessionId, arrival: Arrival<'_>, core: &mut Core) {
        let Arrival {
            request,
            tx,
            tag,
            flow,
            account,
            urgency,
            replaces,
        } = arrival;
        let headers = &request.headers;
        let (Some(dialog), Ok(from), Ok(to)) = (
            Dialog::of_request(&request, tag, flow),
            headers.from(),
            headers.to(),
        ) else {
            // RFC 3261 8.1.1.8: an INVITE has a Contact.
            core.counters.refused.malformed += 1;
            return core.answer(tx, StatusCode::BAD_REQUEST);
        };
        let terms = match Terms::for_request(headers, &core.settings.session_timer) {
            Ok(terms) => terms,
            Err(TooSmall { min }) => {
                let status = StatusCode::SESSION_INTERVAL_TOO_SMALL;
                return core.answer_with(tx, status, HeaderName::MinSe, &min.to_string());
            }
        };
        let offer = sdp_of(headers, &request.body).cloned();
        let exchange = offer
            .as_ref()
            .map_or(Exchange::Fresh, |_| Exchange::Asked(Theirs::Invite(tx)));
        let contact = Some(dialog.remote_target().clone());
        let user = request.uri.user().unwrap_or_default().into();
        let mut usage = Usage::new(dialog, user, exchange);
        usage.peer.learn(headers);
        usage.asked_sdp = offer.as_deref().map(Into::into);
        let ringing = Ringing::new(usage, &request, tx, terms, core);
        self.insert(id, tag, State::Ringing(Box::new(ringing)), core);
        let request_uri = request.uri.clone();
        let incoming = Incoming {
            session: id,
            flow: *flow,
            from,
            to,
            request_uri,
            contact,
            account,
            urgency,
            offer,
            replaces,
            request,
        };
        core.out
            .push_back(Output::Event(Event::Incoming(Box::new(incoming))));
    }

    /// A request within a dialog; its transaction belongs to the session.
    pub(crate) fn on_request(&mut self, id: SessionId, inbound: &Inbound<'_>, core: &mut Core) {
        let from_tag = inbound.request.headers.from().ok();
        let from_tag = from_tag.as_ref().and_then(|from| from.tag());
        self.drive(id, core, |state, core| {
            let Some(usage) = state.usage_with(from_tag) else {
                core.answer(inbound.tx, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
                return Step::Stay;
            };
            // RFC 3261 12.2.2
            if usage.dialog.note_number(inbound.number) == Order::Late {
                core.counters.refused.conflicts += 1;
                core.answer(inbound.tx, StatusCode::SERVER_INTERNAL_ERROR);
                return Step::Stay;
            }
            usage.dialog.follow(inbound.flow);
            match &inbound.request.method {
                Method::Bye => on_bye(state, inbound, core),
                Method::Invite => on_invite(state, id, inbound, core),
                Method::Prack => on_prack(state, id, inbound, core),
                Method::Update => on_update(state, id, inbound, from_tag, core),
                Method::Info => on_info(state, id, inbound, core),
                Method::Refer | Method::Notify => on_refer_or_notify(state, id, inbound, core),
                Method::Options => {
                    core.answer(inbound.tx, StatusCode::OK);
                    Step::Stay
                }
                // RFC 3515 makes such a subscription with REFER only; ours needs no refresh.
                Method::Subscribe => {
                    let (name, value) = (HeaderName::AllowEvents, "dialog");
                    core.answer_with(inbound.tx, StatusCode::BAD_EVENT, name, value);
                    Step::Stay
                }
                Method::Ack
                | Method::Cancel
                | Method::Register
                | Method::Message
                | Method::Publish
                | Method::Other(_) => {
                    core.answer(inbound.tx, StatusCode::METHOD_NOT_ALLOWED);
                    Step::Stay
                }
            }
        });
    }

    /// Notes the number of a MESSAGE in a dialog; `false` when it comes late and was refused.
    pub(crate) fn take_number(
        &mut self,
        id: SessionId,
        inbound: &Inbound<'_>,
        core: &mut Core,
    ) -> bool {
        let from_tag = inbound.request.headers.from().ok();
        let from_tag = from_tag.as_ref().and_then(|from| from.tag());
        let session = self.live.get_mut(&id);
        let usage = session.and_then(|session| session.state.usage_with(from_tag));
        let order = usage.map(|usage| usage.dialog.note_number(inbound.number));
        if order == Some(Order::InOrder) {
            return true;
        }
        core.counters.refused.conflicts += 1;
        core.answer(inbound.tx, StatusCode::SERVER_INTERNAL_ERROR);
        false
    }

    pub(crate) fn on_ack(&mut self, id: SessionId, number: u32, ack: &Request, core: &mut Core) {
        self.drive(id, core, |state, core| match state {
            State::Confirmed(confirmed) => confirmed.on_ack(id, number, ack, core),
            State::Leaving(_) => pass_on(state, |leaving| leaving.on_ack(id, number, core)),
            State::Calling(_) | State::Ringing(_) | State::Over => Step::Stay,
        });
    }

    /// A CANCEL for an INVITE of the session, answered already.
    pub(crate) fn on_cancel(
        &mut self,
        id: SessionId,
        invite: TransactionId,
        cancel: &Request,
        core: &mut Core,
    ) {
        self.drive(id, core, |state, core| match state {
            State::Ringing(ringing) if ringing.invite == invite => ringing.on_cancel(cancel, core),
            State::Confirmed(confirmed) => {
                confirmed.on_cancel(invite, core);
                Step::Stay
            }
            State::Ringing(_) | State::Calling(_) | State::Leaving(_) | State::Over => Step::Stay,
        });
    }

    /// What became of a transaction of a session.
    pub(crate) fn on_outcome(
        &mut self,
        id: SessionId,
        tx: TransactionId,
        outcome: Outcome,
        core: &mut Core,
    ) {
        if !self.live.contains_key(&id) {
            return end_if_answer(tx, &outcome, core);
        }
        self.drive(id, core, |state, core| match state {
            State::Calling(calling) if calling.invite == tx => {
                calling.on_response(id, outcome, core)
            }
            State::Calling(calling) => {
                let fork = calling
                    .forks
                    .iter_mut()
                    .find(|fork| fork.usage.has_open(tx));
                if let Some(fork) = fork {
                    fork.usage.on_early_outcome(id, tx, outcome, core);
                }
                Step::Stay
            }
            // The transaction failed under us: the caller is out of reach.
            State::Ringing(ringing) if ringing.invite == tx => ringing.on_lost(core),
            State::Ringing(ringing) => {
                ringing.usage.on_early_outcome(id, tx, outcome, core);
                Step::Stay
            }
            State::Confirmed(confirmed) => on_confirmed_outcome(confirmed, id, tx, outcome, core),
            State::Leaving(leaving) if leaving.usage().has_open(tx) => {
                leaving.on_outcome(id, tx, &outcome, core)
            }
            State::Leaving(_) | State::Over => {
                end_if_answer(tx, &outcome, core);
                Step::Stay
            }
        });
    }
}

/// An answer nobody waits for any more.
pub(crate) fn end_if_answer(tx: TransactionId, outcome: &Outcome, core: &mut Core) {
    if let Some(response) = outcome
        .response()
        .filter(|response| response.status.is_success())
        && response
            .headers
            .cseq()
            .is_ok_and(|cseq| cseq.method == Method::Invite)
    {
        end_stray(tx, response, core);
    }
}

fn on_bye(state: &mut State, inbound: &Inbound<'_>, core: &mut Core) -> Step {
    match state {
        State::Confirmed(confirmed) => confirmed.on_bye(inbound, core),
        State::Ringing(ringing) => ringing.on_bye(inbound, core),
        State::Leaving(_) => {
            core.answer(inbound.tx, StatusCode::OK);
            Step::Gone
        }
        // RFC 3261 15: the callee must not, in an early dialog.
        State::Calling(_) | State::Over => {
            core.answer(inbound.tx, StatusCode::FORBIDDEN);
            Step::Stay
        }
    }
}

fn on_invite(state: &mut State, id: SessionId, inbound: &Inbound<'_>, core: &mut Core) -> Step {
    match state {
        State::Confirmed(confirmed) => confirmed.on_reinvite(id, inbound, core),
        // RFC 3261 14.2
        State::Ringing(_) => super::confirmed::refuse_for_now(inbound.tx, core),
        State::Calling(_) => core.answer(inbound.tx, StatusCode::REQUEST_PENDING),
        State::Leaving(_) | State::Over => {
            core.answer(inbound.tx, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
        }
    }
    Step::Stay
}

fn on_prack(state: &mut State, id: SessionId, inbound: &Inbound<'_>, core: &mut Core) -> Step {
    match state {
        State::Ringing(ringing) => return ringing.on_prack(id, inbound, core),
        // It crossed our 2xx (RFC 3262 3).
        State::Confirmed(_) => core.answer(inbound.tx, StatusCode::OK),
        State::Calling(_) | State::Leaving(_) | State::Over => {
            core.answer(inbound.tx, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
        }
    }
    Step::Stay
}

fn on_update(
    state: &mut State,
    id: SessionId,
    inbound: &Inbound<'_>,
    from_tag: Option<&str>,
    core: &mut Core,
) -> Step {
    if let State::Confirmed(confirmed) = state
        && !confirmed.take_terms(inbound, core)
    {
        return Step::Stay;
    }
    match state.usage_with(from_tag) {
        Some(usage) => usage.on_update(id, inbound, core),
        None => core.answer(inbound.tx, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
    }
    Step::Stay
}

fn on_info(state: &State, id: SessionId, inbound: &Inbound<'_>, core: &mut Core) -> Step {
    let request = inbound.request;
    if let Some(package) = request.headers.get(HeaderName::InfoPackage)
        && !package.eq_ignore_ascii_case(b"nil")
    {
        // RFC 6086 4.2.2: we offer no packages.
        core.answer_with(
            inbound.tx,
            StatusCode::BAD_INFO_PACKAGE,
            HeaderName::RecvInfo,
            "nil",
        );
        return Step::Stay;
    }
    core.answer(inbound.tx, StatusCode::OK);
    let kind = request
        .headers
        .content_type()
        .ok()
        .flatten()
        .map(|kind| kind.value)
        .unwrap_or_default();
    if matches!(state, State::Leaving(_) | State::Over) || request.body.is_empty() {
        return Step::Stay;
    }
    let event = match digits::parse(&kind, &request.body) {
        Some((digit, duration)) => SessionEvent::Digit { digit, duration },
        None => SessionEvent::Info {
            content_type: kind,
            body: request.body.clone(),
        },
    };
    core.event(id, event);
    Step::Stay
}

fn on_refer_or_notify(
    state: &mut State,
    id: SessionId,
    inbound: &Inbound<'_>,
    core: &mut Core,
) -> Step {
    match (state, &inbound.request.method) {
        (State::Confirmed(confirmed), Method::Refer) => confirmed.on_refer(id, inbound, core),
        (State::Confirmed(confirmed), _) => confirmed.on_notify(id, inbound, core),
        (State::Calling(_) | State::Ringing(_) | State::Leaving(_) | State::Over, _) => {
            core.answer(inbound.tx, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
        }
    }
    Step::Stay
}

fn on_confirmed_outcome(
    confirmed: &mut Confirmed,
    id: SessionId,
    tx: TransactionId,
    outcome: Outcome,
    core: &mut Core,
) -> Step {
    if confirmed.is_reinvite(tx) {
        return confirmed.on_reinvite_outcome(id, &outcome, core);
    }
    if !confirmed.usage.has_open(tx) {
        let to = outcome
            .response()
            .and_then(|response| response.headers.to().ok());
        // The same 2xx again while the owner still thinks about its offer is no other fork.
        if !to.is_some_and(|to| confirmed.usage.dialog.is_peer_tag(to.tag())) {
            end_if_answer(tx, &outcome, core);
        }
        confirmed.usage.on_peers_transaction_lost(tx);
        return Step::Stay;
    }
    if outcome.code().is_provisional() {
        return Step::Stay;
    }
    let gone = outcome.code() == StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
    match confirmed.usage.close(id, tx, &outcome, core) {
        Some(Purpose::Update(offer)) => {
            return confirmed.on_update_outcome(id, offer, &outcome, core);
        }
        Some(Purpose::Refer(refer)) => confirmed.on_refer_outcome(id, refer, &outcome, core),
        Some(Purpose::Notify(refer)) => {
            // RFC 5057 5.1: only the subscription is gone.
            confirmed.on_notify_outcome(refer, &outcome);
            return Step::Stay;
        }
        Some(Purpose::Message(request)) => core.request_answered(request, outcome),
        Some(Purpose::Info | Purpose::Prack | Purpose::Bye) | None => {}
    }
    // RFC 3261 12.2.1.2, RFC 5057 5.1
    if gone {
        confirmed.end(id, EndCause::TransactionTimeout, None, core)
    } else {
        Step::Stay
    }
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
