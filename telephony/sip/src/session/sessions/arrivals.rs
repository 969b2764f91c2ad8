//! What arrives for sessions: new calls, requests and ACKs within dialogs, outcomes of our own
//! requests; each goes to the state it finds.

use super::{Arrival, Inbound, Sessions, State, pass_on};
use crate::dialog::{Dialog, Order};
use crate::endpoint::core::{ContactName, Core};
use crate::endpoint::{Event, Output};
use crate::message::{HeaderName, Method, Request, StatusCode};
use crate::session::arriving::Ringing;
use crate::session::command::SessionId;
use crate::session::confirmed::{Confirmed, refuse_for_now};
use crate::session::digits;
use crate::session::event::{EndCause, Incoming, SessionEvent};
use crate::session::exchange::{Exchange, Theirs};
use crate::session::refresh::{Terms, TooSmall};
use crate::session::step::Step;
use crate::session::stray::end_if_answer;
use crate::session::usage::{Outcome, Purpose, Usage, sdp_of};
use crate::transaction::TransactionId;

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
        let name = ContactName::called(&request);
        let mut usage = Usage::new(dialog, name, exchange);
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
            let over = matches!(state, State::Leaving(_)) && inbound.request.method != Method::Bye;
            let Some(usage) = state.usage_with(from_tag).filter(|_| !over) else {
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
        State::Ringing(_) => refuse_for_now(inbound.tx, core),
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
