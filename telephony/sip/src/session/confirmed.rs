//! A session whose INVITE was answered with 2xx, in either direction.
//!
//! It repeats our 2xx until the ACK, exchanges offers, resolves glare, keeps the session timer and
//! serves what the peer sends. Invariant: at most one re-INVITE of ours and one of the peer is
//! open, and never two offers at once.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Inbound;
use super::command::{CommandError, SessionId};
use super::event::{EndCause, SessionEvent};
use super::exchange::{Exchange, Ours, Theirs};
use super::leaving::Leaving;
use super::outgoing::reason_of;
use super::refer::Refers;
use super::refresh::{Terms, Timer, TooSmall};
use super::step::Step;
use super::usage::{Outcome, Purpose, SDP, Usage, sdp_of};
use crate::endpoint::Output;
use crate::endpoint::core::{ALLOW, Core, Draft, SUPPORTED};
use crate::flow::Hop;
use crate::message::{HeaderName, Method, Reason, Refresher, Request, Response, StatusCode};
use crate::transaction::{Repeat, TransactionId, User};

#[derive(Debug)]
pub(super) struct Confirmed {
    pub(super) usage: Usage,
    role: Role,
    /// The 2xx to our INVITE made an offer; the ACK waits for the owner's answer.
    ack_due: Option<AckDue>,
    /// Our 2xx, until its ACK.
    unacked: Option<Unacked>,
    reinvite: Option<Reinvite>,
    /// What is tried again after a glare.
    later: Option<(Instant, Change)>,
    timer: Option<Timer>,
    /// Whether the owner of an answered call has heard of the first ACK.
    greeted: Greeted,
    pub(super) refers: Refers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Greeted {
    No,
    Yes,
}

/// Who made the Call-ID (RFC 3261 14.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Caller,
    Callee,
}

#[derive(Clone, Copy, Debug)]
struct AckDue {
    invite: TransactionId,
    number: u32,
}

/// A 2xx of ours that is repeated end to end (RFC 3261 13.3.1.4).
#[derive(Debug)]
pub(super) struct Unacked {
    number: u32,
    bytes: Bytes,
    hop: Hop,
    repeat: Repeat,
    give_up: Instant,
}

#[derive(Debug)]
struct Reinvite {
    id: TransactionId,
    number: u32,
    change: Change,
}

/// What a re-INVITE or UPDATE of ours is for.
#[derive(Clone, Debug)]
enum Change {
    Offer(Bytes),
    Refresh,
}

impl Unacked {
    pub(super) fn new(number: u32, bytes: Bytes, hop: Hop, core: &Core) -> Self {
        let timers = core.settings.timers;
        Self {
            number,
            bytes,
            hop,
            repeat: Repeat::always(timers.t1, core.now),
            give_up: core.now + timers.give_up,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.repeat.at().min(self.give_up)
    }

    pub(super) fn is_acked_by(&self, number: u32) -> bool {
        self.number == number
    }

    /// `false` when the peer has had its time.
    pub(super) fn on_timeout(&mut self, core: &mut Core) -> bool {
        if self.give_up <= core.now {
            return false;
        }
        if self.repeat.is_due(core.now) {
            self.repeat.back_off(&core.settings.timers, core.now);
            core.out.push_back(Output::Transmit {
                to: self.hop.clone(),
                bytes: self.bytes.clone(),
            });
        }
        true
    }
}

impl Confirmed {
    pub(super) fn new(usage: Usage, role: Role) -> Self {
        Self {
            usage,
            role,
            ack_due: None,
            unacked: None,
            reinvite: None,
            later: None,
            timer: None,
            greeted: match role {
                Role::Caller => Greeted::Yes,
                Role::Callee => Greeted::No,
            },
            refers: Refers::default(),
        }
    }

    /// The peer's 2xx to our INVITE: ACK now, or when the owner has answered its offer.
    pub(super) fn take_answer(&mut self, invite: TransactionId, number: u32, core: &mut Core) {
        if self.usage.exchange == Exchange::Asked(Theirs::Success) {
            self.ack_due = Some(AckDue { invite, number });
        } else {
            self.usage.acknowledge(invite, number, None, core);
        }
    }

    pub(super) fn await_ack(&mut self, unacked: Unacked) {
        self.unacked = Some(unacked);
    }

    pub(super) fn set_terms(&mut self, terms: Option<Terms>, our_role: Refresher, now: Instant) {
        self.timer = terms.map(|terms| Timer::start(terms, our_role, now));
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let unacked = self.unacked.as_ref().map(Unacked::deadline);
        let later = self.later.as_ref().map(|(at, _)| *at);
        let timer = self.timer.as_ref().map(Timer::deadline);
        [unacked, later, timer].into_iter().flatten().min()
    }

    pub(super) fn on_timeout(&mut self, session: SessionId, core: &mut Core) -> Step {
        if let Some(unacked) = &mut self.unacked
            && unacked.deadline() <= core.now
            && !unacked.on_timeout(core)
        {
            self.unacked = None;
            return self.end(session, EndCause::NoAck, None, core);
        }
        if self.timer.is_some_and(|timer| timer.is_expired(core.now)) {
            let reason = Reason::sip(408, "Session timer expired");
            return self.end(session, EndCause::SessionTimer, Some(reason), core);
        }
        if let Some((at, _)) = &self.later
            && *at <= core.now
            && let Some((_, change)) = self.later.take()
        {
            self.try_change(session, change, core);
        }
        if self
            .timer
            .is_some_and(|timer| timer.is_refresh_due(core.now))
        {
            if let Some(timer) = &mut self.timer {
                timer.postpone(core.now);
            }
            if self.is_free() {
                self.try_change(session, Change::Refresh, core);
            }
        }
        Step::Stay
    }

    /// Sends BYE and tells the owner. Before the ACK to our 2xx the BYE has to wait (RFC 3261 15).
    pub(super) fn end(
        &mut self,
        session: SessionId,
        cause: EndCause,
        reason: Option<Reason>,
        core: &mut Core,
    ) -> Step {
        let rest = self.leave(session, reason, core);
        Step::ended(cause, None, rest)
    }

    fn leave(
        &mut self,
        session: SessionId,
        reason: Option<Reason>,
        core: &mut Core,
    ) -> Option<Box<Leaving>> {
        self.close_peers_offer(StatusCode::REQUEST_TERMINATED, core);
        if let Some(due) = self.ack_due.take() {
            self.usage.acknowledge(due.invite, due.number, None, core);
        }
        if let Some(reinvite) = self.reinvite.take() {
            core.table.abandon(reinvite.id, core.now);
        }
        self.usage.forget_open(core);
        let usage = self.take_usage();
        match self.unacked.take() {
            Some(unacked) => Some(Box::new(Leaving::before_ack(usage, unacked, reason))),
            None => Leaving::bye(usage, session, reason, core).map(Box::new),
        }
    }

    fn take_usage(&mut self) -> Usage {
        let id = self.usage.dialog.clone();
        std::mem::replace(
            &mut self.usage,
            Usage::new(id, Box::default(), Exchange::Settled),
        )
    }

    /// A request of the peer that waits for the owner is answered for it.
    fn close_peers_offer(&mut self, status: StatusCode, core: &mut Core) {
        match self.usage.exchange {
            Exchange::Asked(Theirs::Invite(id) | Theirs::Update(id) | Theirs::Prack(id))
            | Exchange::Wanted(id) => {
                core.answer(id, status);
                self.usage.exchange.fall_back();
            }
            Exchange::Asked(Theirs::Success | Theirs::Provisional { .. })
            | Exchange::Fresh
            | Exchange::Offered(_)
            | Exchange::Settled => {}
        }
    }

    /// Nothing is open that an offer or refresh of ours would cross.
    fn is_free(&self) -> bool {
        self.usage.exchange.is_settled()
            && self.reinvite.is_none()
            && self.unacked.is_none()
            && !self
                .usage
                .is_open(|purpose| matches!(purpose, Purpose::Update(_)))
    }
}

/// Our offers and refreshes.
impl Confirmed {
    pub(super) fn reoffer(
        &mut self,
        session: SessionId,
        sdp: Bytes,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        if matches!(self.later, Some((_, Change::Offer(_)))) || !self.usage.exchange.is_settled() {
            return Err(CommandError::OfferPending);
        }
        if self.is_free() {
            return self.send_reinvite(session, Change::Offer(sdp), core);
        }
        // A refresh of ours or the ACK of the peer is under way: right behind it.
        self.later = Some((core.now + Duration::from_millis(50), Change::Offer(sdp)));
        Ok(())
    }

    fn try_change(&mut self, session: SessionId, change: Change, core: &mut Core) {
        if !self.is_free() {
            if let Change::Offer(_) = change {
                self.later = Some((core.now + Duration::from_millis(200), change));
            }
            return;
        }
        let refused = match change {
            Change::Refresh if self.usage.peer.updates => {
                let wish = self
                    .timer
                    .map(|timer| timer.wish(&core.settings.session_timer));
                self.usage
                    .update(session, None, core, |request| {
                        if let Some(wish) = wish {
                            wish.write(&mut request.headers);
                        }
                    })
                    .is_err()
                    .then_some(Change::Refresh)
            }
            change => self
                .send_reinvite(session, change.clone(), core)
                .is_err()
                .then_some(change),
        };
        if let Some(Change::Offer(_)) = refused {
            let code = StatusCode::SERVICE_UNAVAILABLE;
            core.event(session, SessionEvent::ReofferRefused { code });
        }
    }

    fn send_reinvite(
        &mut self,
        session: SessionId,
        change: Change,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        let offer = match &change {
            Change::Offer(sdp) => sdp.clone(),
            Change::Refresh => self
                .usage
                .local_sdp
                .clone()
                .ok_or(CommandError::WrongState)?,
        };
        let hop = core.aim(self.usage.dialog.hop().clone())?;
        let (via, token) = core.via(&hop);
        let mut request = self.usage.dialog.request(Method::Invite, &via, None);
        let headers = &mut request.headers;
        headers.push(
            HeaderName::Contact,
            core.contact(&self.usage.contact_user, &hop),
        );
        headers.push(HeaderName::Allow, ALLOW);
        headers.push(HeaderName::Supported, SUPPORTED);
        if let Some(timer) = &self.timer {
            timer.wish(&core.settings.session_timer).write(headers);
        }
        let mut request = request.with_body(SDP, offer);
        if let Some(auth) = &mut self.usage.auth {
            auth.sign(&mut request, core);
        }
        let number = self.usage.dialog.local_seq();
        let id = core.send(Draft { request, token }, hop, User::Session(session));
        self.reinvite = Some(Reinvite { id, number, change });
        self.usage.exchange = Exchange::Offered(Ours::Invite);
        Ok(())
    }

    pub(super) fn is_reinvite(&self, id: TransactionId) -> bool {
        self.reinvite
            .as_ref()
            .is_some_and(|reinvite| reinvite.id == id)
    }

    /// A response to our re-INVITE.
    pub(super) fn on_reinvite_outcome(
        &mut self,
        session: SessionId,
        outcome: &Outcome,
        core: &mut Core,
    ) -> Step {
        if outcome.code().is_provisional() {
            return Step::Stay;
        }
        let Some(reinvite) = self.reinvite.take() else {
            return Step::Stay;
        };
        if let Some(response) = outcome
            .response()
            .filter(|response| response.status.is_success())
        {
            self.usage.dialog.refresh_by_response(&response.headers);
            self.usage
                .acknowledge(reinvite.id, reinvite.number, None, core);
            self.restart_timer(response, core);
            return self.offer_answered(session, reinvite.change, response, core);
        }
        self.usage.exchange.fall_back();
        if let Some(response) = outcome.response()
            && self
                .usage
                .auth
                .as_mut()
                .is_some_and(|auth| auth.take_challenge(response))
        {
            self.try_change(session, reinvite.change, core);
            return Step::Stay;
        }
        self.change_refused(session, reinvite.change, outcome.code(), core)
    }

    pub(super) fn on_update_outcome(
        &mut self,
        session: SessionId,
        offer: Option<Bytes>,
        outcome: &Outcome,
        core: &mut Core,
    ) -> Step {
        let change = offer.map_or(Change::Refresh, Change::Offer);
        if let Some(response) = outcome
            .response()
            .filter(|response| response.status.is_success())
        {
            self.usage.dialog.refresh_by_response(&response.headers);
            self.restart_timer(response, core);
            return match change {
                Change::Refresh => Step::Stay,
                change @ Change::Offer(_) => self.offer_answered(session, change, response, core),
            };
        }
        if let Change::Offer(_) = change {
            self.usage.exchange.fall_back();
        }
        self.change_refused(session, change, outcome.code(), core)
    }

    fn restart_timer(&mut self, response: &Response, core: &Core) {
        self.set_terms(
            Terms::of_response(&response.headers),
            Refresher::Uac,
            core.now,
        );
    }

    fn offer_answered(
        &mut self,
        session: SessionId,
        change: Change,
        response: &Response,
        core: &mut Core,
    ) -> Step {
        let answer = sdp_of(&response.headers, &response.body);
        match (change, answer) {
            (Change::Offer(offer), Some(answer)) => {
                self.usage.agree(Some(offer), Some(answer));
                core.event(
                    session,
                    SessionEvent::ReofferAnswered {
                        sdp: answer.clone(),
                    },
                );
            }
            (Change::Offer(_), None) => {
                self.usage.exchange.fall_back();
                let code = StatusCode::NOT_ACCEPTABLE_HERE;
                core.event(session, SessionEvent::ReofferRefused { code });
            }
            (Change::Refresh, Some(answer))
                if self.usage.remote_sdp.as_deref() != Some(&**answer) =>
            {
                // The peer took the chance to change something; media must follow.
                self.usage.agree(None, Some(answer));
                core.event(
                    session,
                    SessionEvent::ReofferAnswered {
                        sdp: answer.clone(),
                    },
                );
            }
            (Change::Refresh, Some(_) | None) => self.usage.exchange.fall_back(),
        }
        Step::Stay
    }

    fn change_refused(
        &mut self,
        session: SessionId,
        change: Change,
        code: StatusCode,
        core: &mut Core,
    ) -> Step {
        match code {
            StatusCode::REQUEST_PENDING => {
                let at = core.now + self.glare_wait(core);
                self.later = Some((at, change));
                Step::Stay
            }
            // RFC 3261 12.2.1.2, 14.1; for a refresh also RFC 4028 10.
            StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST | StatusCode::REQUEST_TIMEOUT => {
                self.end(session, EndCause::TransactionTimeout, None, core)
            }
            _ => {
                if let Change::Offer(_) = change {
                    core.event(session, SessionEvent::ReofferRefused { code });
                }
                Step::Stay
            }
        }
    }

    /// RFC 3261 14.1: the two ends wait in ranges that do not meet.
    fn glare_wait(&self, core: &mut Core) -> Duration {
        let ms = Duration::from_millis;
        match self.role {
            Role::Caller => core.tokens.duration(ms(2100), ms(4000)),
            Role::Callee => core.tokens.duration(ms(0), ms(2000)),
        }
    }
}

/// The peer's offers.
impl Confirmed {
    pub(super) fn on_reinvite(
        &mut self,
        session: SessionId,
        inbound: &Inbound<'_>,
        core: &mut Core,
    ) {
        // RFC 3261 14.2
        if self.reinvite.is_some() || matches!(self.usage.exchange, Exchange::Offered(_)) {
            core.counters.refused.conflicts += 1;
            return core.answer(inbound.tx, StatusCode::REQUEST_PENDING);
        }
        if !self.usage.exchange.is_settled() {
            return refuse_for_now(inbound.tx, core);
        }
        // The peer re-INVITEs only after our 2xx, so it has it, even if the ACK was lost.
        if self.unacked.take().is_some()
            && std::mem::replace(&mut self.greeted, Greeted::Yes) == Greeted::No
        {
            core.event(session, SessionEvent::Confirmed { answer: None });
        }
        if !self.take_terms(inbound, core) {
            return;
        }
        self.usage.dialog.refresh(inbound.request, inbound.flow);
        self.usage.peer.learn(&inbound.request.headers);
        match sdp_of(&inbound.request.headers, &inbound.request.body) {
            None => {
                self.usage.exchange = Exchange::Wanted(inbound.tx);
                core.event(session, SessionEvent::OfferWanted);
            }
            Some(offer) if self.usage.changes_nothing(offer) => {
                let answer = self.usage.local_sdp.clone();
                self.accept_invite(inbound.tx, answer, core);
            }
            Some(offer) => {
                self.usage.exchange = Exchange::Asked(Theirs::Invite(inbound.tx));
                self.usage.asked_sdp = Some((**offer).into());
                core.event(session, SessionEvent::Reoffer { sdp: offer.clone() });
            }
        }
    }

    /// Session timer terms of a re-INVITE or UPDATE; `false` when refused with 422.
    pub(super) fn take_terms(&mut self, inbound: &Inbound<'_>, core: &mut Core) -> bool {
        match Terms::for_request(&inbound.request.headers, &core.settings.session_timer) {
            Ok(terms) => {
                self.usage.terms = terms;
                self.set_terms(terms, Refresher::Uas, core.now);
                true
            }
            Err(TooSmall { min }) => {
                let status = StatusCode::SESSION_INTERVAL_TOO_SMALL;
                core.answer_with(inbound.tx, status, HeaderName::MinSe, &min.to_string());
                false
            }
        }
    }

    fn accept_invite(&mut self, tx: TransactionId, sdp: Option<Bytes>, core: &mut Core) {
        let Some(hop) = core.table.hop(tx).cloned() else {
            return;
        };
        let Some(number) = self.usage.dialog.remote_seq() else {
            return;
        };
        let Some(response) = self.usage.success(tx, sdp, core) else {
            return;
        };
        if let Some(bytes) = core.respond(tx, &response) {
            self.unacked = Some(Unacked::new(number, bytes, hop, core));
        }
    }

    /// The owner answers, or gives the offer that was wanted.
    pub(super) fn answer(&mut self, sdp: Bytes, core: &mut Core) -> Result<(), CommandError> {
        match self.usage.exchange {
            Exchange::Asked(Theirs::Invite(tx)) => {
                let asked = self.usage.asked_sdp.take();
                self.usage.agree(Some(sdp.clone()), asked.as_deref());
                self.accept_invite(tx, Some(sdp), core);
                Ok(())
            }
            Exchange::Wanted(tx) => {
                self.usage.exchange = Exchange::Offered(Ours::Success);
                self.usage.local_sdp = Some(sdp.clone());
                self.accept_invite(tx, Some(sdp), core);
                Ok(())
            }
            Exchange::Asked(Theirs::Success) => {
                let due = self.ack_due.take().ok_or(CommandError::WrongState)?;
                self.usage.agree(Some(sdp.clone()), None);
                self.usage
                    .acknowledge(due.invite, due.number, Some(&sdp), core);
                Ok(())
            }
            Exchange::Asked(Theirs::Update(_) | Theirs::Prack(_)) => {
                self.usage.answer_update(sdp, core)
            }
            Exchange::Asked(Theirs::Provisional { .. })
            | Exchange::Fresh
            | Exchange::Offered(_)
            | Exchange::Settled => Err(CommandError::WrongState),
        }
    }

    pub(super) fn refuse(&mut self, code: StatusCode, core: &mut Core) -> Result<(), CommandError> {
        match self.usage.exchange {
            Exchange::Asked(Theirs::Invite(tx) | Theirs::Update(tx) | Theirs::Prack(tx))
            | Exchange::Wanted(tx) => {
                core.answer(tx, code);
                self.usage.asked_sdp = None;
                self.usage.exchange.fall_back();
                Ok(())
            }
            Exchange::Asked(Theirs::Success | Theirs::Provisional { .. })
            | Exchange::Fresh
            | Exchange::Offered(_)
            | Exchange::Settled => Err(CommandError::WrongState),
        }
    }

    /// The peer cancels its re-INVITE; the session stays (RFC 3261 9.2, 14.2).
    pub(super) fn on_cancel(&mut self, tx: TransactionId, core: &mut Core) {
        if matches!(self.usage.exchange, Exchange::Asked(Theirs::Invite(id)) | Exchange::Wanted(id) if id == tx)
        {
            self.close_peers_offer(StatusCode::REQUEST_TERMINATED, core);
        }
    }

    /// An ACK to a 2xx of ours.
    pub(super) fn on_ack(
        &mut self,
        session: SessionId,
        number: u32,
        ack: &Request,
        core: &mut Core,
    ) -> Step {
        if !self
            .unacked
            .as_ref()
            .is_some_and(|unacked| unacked.is_acked_by(number))
        {
            return Step::Stay;
        }
        self.unacked = None;
        let first = std::mem::replace(&mut self.greeted, Greeted::Yes) == Greeted::No;
        let sdp = sdp_of(&ack.headers, &ack.body).cloned();
        if self.usage.exchange != Exchange::Offered(Ours::Success) {
            if first {
                core.event(session, SessionEvent::Confirmed { answer: None });
            }
            return Step::Stay;
        }
        match sdp {
            Some(answer) => {
                self.usage.agree(None, Some(&answer));
                core.event(
                    session,
                    if first {
                        SessionEvent::Confirmed {
                            answer: Some(answer),
                        }
                    } else {
                        SessionEvent::ReofferAnswered { sdp: answer }
                    },
                );
                Step::Stay
            }
            // RFC 3264: an offer without answer; the media cannot be known.
            None if first => self.end(
                session,
                EndCause::Protocol,
                Some(Reason::sip(488, "No answer in ACK")),
                core,
            ),
            None => {
                self.usage.exchange.fall_back();
                core.event(
                    session,
                    SessionEvent::ReofferRefused {
                        code: StatusCode::NOT_ACCEPTABLE_HERE,
                    },
                );
                Step::Stay
            }
        }
    }

    /// The peer hangs up (RFC 3261 15.1.2).
    pub(super) fn on_bye(&mut self, inbound: &Inbound<'_>, core: &mut Core) -> Step {
        core.answer(inbound.tx, StatusCode::OK);
        self.close_peers_offer(StatusCode::REQUEST_TERMINATED, core);
        if let Some(due) = self.ack_due.take() {
            self.usage.acknowledge(due.invite, due.number, None, core);
        }
        if let Some(reinvite) = self.reinvite.take() {
            core.table.abandon(reinvite.id, core.now);
        }
        self.usage.forget_open(core);
        Step::ended(EndCause::Bye, reason_of(&inbound.request.headers), None)
    }
}

/// RFC 3261 14.2, RFC 3311 5.2: an earlier offer is still open.
pub(super) fn refuse_for_now(tx: TransactionId, core: &mut Core) {
    core.counters.refused.conflicts += 1;
    let seconds = core.tokens.below(11).to_string();
    core.answer_with(
        tx,
        StatusCode::SERVER_INTERNAL_ERROR,
        HeaderName::RetryAfter,
        &seconds,
    );
}
