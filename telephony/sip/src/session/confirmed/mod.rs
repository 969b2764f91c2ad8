//! A session whose INVITE was answered with 2xx, in either direction.
//!
//! It repeats our 2xx until the ACK, exchanges offers, resolves glare, keeps the session timer and
//! serves what the peer sends. Invariant: at most one re-INVITE of ours and one of the peer is
//! open, and never two offers at once.

mod ours;
mod theirs;
mod unacked;

use std::time::Instant;

use bytes::Bytes;

pub(super) use self::unacked::Unacked;
use super::Inbound;
use super::command::SessionId;
use super::event::{EndCause, SessionEvent};
use super::exchange::{Exchange, Ours, Theirs};
use super::leaving::Leaving;
use super::outgoing::reason_of;
use super::refer::Refers;
use super::refresh::{Terms, Timer};
use super::step::Step;
use super::usage::{Purpose, Usage, sdp_of};
use crate::endpoint::core::{ContactName, Core};
use crate::message::{HeaderName, Reason, Refresher, Request, StatusCode};
use crate::transaction::TransactionId;

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

#[derive(Debug)]
struct Reinvite {
    id: TransactionId,
    number: u32,
    change: Change,
    /// When a peer that only says 1xx is cancelled (Timer C); absent once that was done.
    give_up: Option<Instant>,
}

/// What a re-INVITE or UPDATE of ours is for.
#[derive(Clone, Debug)]
enum Change {
    Offer(Bytes),
    Refresh,
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
        let reinvite = self.reinvite.as_ref().and_then(|reinvite| reinvite.give_up);
        [unacked, later, timer, reinvite]
            .into_iter()
            .flatten()
            .min()
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
        if let Some(reinvite) = &mut self.reinvite
            && reinvite.give_up.is_some_and(|at| at <= core.now)
        {
            reinvite.give_up = None;
            core.cancel(reinvite.id, &Bytes::new());
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
            Usage::new(id, ContactName::default(), Exchange::Settled),
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

/// What ends an exchange, and what ends the session.
impl Confirmed {
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
