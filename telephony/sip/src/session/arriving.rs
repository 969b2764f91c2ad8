//! A call of a peer before our final response: provisional responses, reliable ones among them
//! (RFC 3262), CANCEL, and the answer.
//!
//! Invariant: one final response leaves, and no 2xx while a reliable response that carries a
//! description waits for its PRACK.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Inbound;
use super::command::{CommandError, Delivery, Progress, Reject, SessionId};
use super::confirmed::{Confirmed, Role, Unacked};
use super::event::{EndCause, SessionEvent};
use super::exchange::{Exchange, Ours, Theirs};
use super::outgoing::{append_owners, reason_of};
use super::refresh::Terms;
use super::step::Step;
use super::usage::{SDP, Usage, sdp_of};
use crate::endpoint::Output;
use crate::endpoint::core::{ALLOW, ContactName, Core};
use crate::flow::Hop;
use crate::message::{HeaderName, Method, Reason, Refresher, Request, StatusCode};
use crate::transaction::{Repeat, TransactionId};

#[derive(Debug)]
pub(super) struct Ringing {
    pub(super) invite: TransactionId,
    /// CSeq of the INVITE.
    number: u32,
    pub(super) usage: Usage,
    caller: Rel,
    terms: Option<Terms>,
    /// An answer that went out in an unreliable response; the 2xx repeats it.
    preview: Option<Bytes>,
    next_rseq: u32,
    waiting: Option<Waiting>,
    queued: VecDeque<Progress>,
    /// The owner has answered; the 200 waits for a PRACK.
    accepted: Option<Option<Bytes>>,
    /// The last response is said again before proxies lose patience (RFC 3261 13.3.1.1).
    remind_at: Instant,
    /// Expires of the INVITE (13.3.1).
    expires_at: Option<Instant>,
}

/// What the caller says about reliable responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rel {
    Unknown,
    Supported,
    Required,
}

/// A reliable response without its PRACK.
#[derive(Debug)]
struct Waiting {
    rseq: u32,
    bytes: Bytes,
    hop: Hop,
    repeat: Repeat,
    give_up: Instant,
    describes: bool,
}

/// Responses that can wait for their turn; with more the newest takes the place of the last.
const MAX_QUEUED: usize = 4;
const REMIND_AFTER: Duration = Duration::from_secs(60);

impl Ringing {
    pub(super) fn new(
        usage: Usage,
        request: &Request,
        tx: TransactionId,
        terms: Option<Terms>,
        core: &mut Core,
    ) -> Self {
        let headers = &request.headers;
        let has_100rel = |name| {
            headers
                .tokens(name)
                .any(|option| option.eq_ignore_ascii_case("100rel"))
        };
        let caller = if has_100rel(HeaderName::Require) {
            Rel::Required
        } else if has_100rel(HeaderName::Supported) {
            Rel::Supported
        } else {
            Rel::Unknown
        };
        let expires = headers
            .expires()
            .ok()
            .flatten()
            .filter(|seconds| *seconds > 0);
        Self {
            invite: tx,
            number: headers.cseq().map_or(0, |cseq| cseq.number),
            usage,
            caller,
            terms,
            preview: None,
            // RFC 3262 3: from 1 to 2^31-1; far below, so it cannot run over.
            next_rseq: 1 + core.tokens.below(1 << 30),
            waiting: None,
            queued: VecDeque::new(),
            accepted: None,
            remind_at: core.now + REMIND_AFTER,
            expires_at: expires.map(|seconds| core.now + Duration::from_secs(seconds.into())),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let waiting = self
            .waiting
            .as_ref()
            .map(|waiting| waiting.repeat.at().min(waiting.give_up));
        [waiting, self.expires_at, Some(self.remind_at)]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn on_timeout(&mut self, core: &mut Core) -> Step {
        if self.expires_at.is_some_and(|at| at <= core.now) {
            core.answer(self.invite, StatusCode::REQUEST_TERMINATED);
            return self.over(EndCause::NoAnswer, None, core);
        }
        if let Some(waiting) = &mut self.waiting {
            if waiting.give_up <= core.now {
                // RFC 3262 3
                core.answer(self.invite, StatusCode::SERVER_TIME_OUT);
                return self.over(EndCause::NoAck, None, core);
            }
            if waiting.repeat.is_due(core.now) {
                waiting.repeat.double(core.now);
                let (to, bytes) = (waiting.hop.clone(), waiting.bytes.clone());
                core.out.push_back(Output::Transmit { to, bytes });
            }
        }
        if self.remind_at <= core.now {
            self.remind_at = core.now + REMIND_AFTER;
            if self.waiting.is_none() {
                core.table.remind(self.invite, &mut core.out);
            }
        }
        Step::Stay
    }

    pub(super) fn progress(
        &mut self,
        progress: Progress,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        if !(101..200).contains(&progress.code.code()) {
            return Err(CommandError::BadCode);
        }
        if self.accepted.is_some() {
            return Err(CommandError::WrongState);
        }
        let reliable = self.is_reliable(&progress);
        if progress.sdp.is_some() && self.usage.exchange == Exchange::Fresh && !reliable {
            // RFC 3262 5: an offer needs a reliable response.
            return Err(CommandError::WrongState);
        }
        if reliable && self.waiting.is_some() {
            if self.queued.len() == MAX_QUEUED {
                self.queued.pop_back();
            }
            self.queued.push_back(progress);
            return Ok(());
        }
        self.send_progress(progress, reliable, core);
        Ok(())
    }

    fn is_reliable(&self, progress: &Progress) -> bool {
        match (self.caller, progress.delivery) {
            (Rel::Required, _) | (Rel::Supported, Delivery::Reliable) => true,
            (Rel::Supported, Delivery::Unreliable) | (Rel::Unknown, _) => false,
        }
    }

    fn send_progress(&mut self, progress: Progress, reliable: bool, core: &mut Core) {
        let Some(hop) = core.table.hop(self.invite).cloned() else {
            return;
        };
        let Some(mut response) = core.response(self.invite, progress.code) else {
            return;
        };
        response.headers.push(
            HeaderName::Contact,
            core.contact(&self.usage.contact_name, &hop),
        );
        response.headers.push(HeaderName::Allow, ALLOW);
        append_owners(&mut response.headers, &progress.headers);
        let rseq = self.next_rseq;
        if reliable {
            response.headers.push(HeaderName::Require, "100rel");
            response.headers.push(HeaderName::RSeq, rseq.to_string());
            self.next_rseq += 1;
        }
        let sdp = self.describe(progress.sdp, reliable);
        let describes = sdp.is_some();
        if let Some(sdp) = sdp {
            response = response.with_body(SDP, sdp);
        }
        self.remind_at = core.now + REMIND_AFTER;
        let Some(bytes) = core.respond(self.invite, &response) else {
            return;
        };
        if reliable {
            let timers = core.settings.timers;
            let (repeat, give_up) = (
                Repeat::always(timers.t1, core.now),
                core.now + timers.give_up,
            );
            self.waiting = Some(Waiting {
                rseq,
                bytes,
                hop,
                repeat,
                give_up,
                describes,
            });
        }
    }

    /// What of a description belongs into a provisional response now.
    fn describe(&mut self, sdp: Option<Bytes>, reliable: bool) -> Option<Bytes> {
        let sdp = sdp?;
        match self.usage.exchange {
            Exchange::Asked(Theirs::Invite(_)) if reliable => {
                let asked = self.usage.asked_sdp.take();
                self.usage.agree(Some(sdp.clone()), asked.as_deref());
                Some(sdp)
            }
            Exchange::Asked(Theirs::Invite(_)) => {
                self.preview = Some(sdp.clone());
                Some(sdp)
            }
            Exchange::Fresh if reliable => {
                self.usage.exchange = Exchange::Offered(Ours::Provisional);
                self.usage.local_sdp = Some(sdp.clone());
                Some(sdp)
            }
            // The exchange is over: a further 18x with the same description carries none.
            Exchange::Fresh
            | Exchange::Asked(_)
            | Exchange::Offered(_)
            | Exchange::Wanted(_)
            | Exchange::Settled => None,
        }
    }

    pub(super) fn accept(
        &mut self,
        sdp: Option<Bytes>,
        core: &mut Core,
    ) -> Result<Step, CommandError> {
        if self.accepted.is_some() {
            return Err(CommandError::WrongState);
        }
        match self.usage.exchange {
            Exchange::Asked(Theirs::Invite(_)) if sdp.is_none() && self.preview.is_none() => {
                return Err(CommandError::WrongState);
            }
            Exchange::Fresh if sdp.is_none() => return Err(CommandError::WrongState),
            Exchange::Asked(Theirs::Update(_) | Theirs::Prack(_)) => {
                return Err(CommandError::OfferPending);
            }
            _ => {}
        }
        self.queued.clear();
        let open = self.usage.exchange == Exchange::Offered(Ours::Provisional);
        // RFC 3262 3
        if open
            || self
                .waiting
                .as_ref()
                .is_some_and(|waiting| waiting.describes)
        {
            self.accepted = Some(sdp);
            return Ok(Step::Stay);
        }
        Ok(self.send_success(sdp, core))
    }

    fn send_success(&mut self, sdp: Option<Bytes>, core: &mut Core) -> Step {
        let sdp = match self.usage.exchange {
            Exchange::Asked(Theirs::Invite(_)) => {
                let asked = self.usage.asked_sdp.take();
                let answer = sdp.or(self.preview.take());
                self.usage.agree(answer.clone(), asked.as_deref());
                answer
            }
            Exchange::Fresh => {
                self.usage.exchange = Exchange::Offered(Ours::Success);
                self.usage.local_sdp.clone_from(&sdp);
                sdp
            }
            Exchange::Asked(_) | Exchange::Offered(_) | Exchange::Wanted(_) | Exchange::Settled => {
                None
            }
        };
        self.usage.terms = self.terms;
        let Some(hop) = core.table.hop(self.invite).cloned() else {
            return Step::Stay;
        };
        let Some(response) = self.usage.success(self.invite, sdp, core) else {
            return Step::Stay;
        };
        let Some(bytes) = core.respond(self.invite, &response) else {
            return Step::Stay;
        };
        let usage = self.take_usage();
        let mut confirmed = Confirmed::new(usage, Role::Callee);
        confirmed.await_ack(Unacked::new(self.number, bytes, hop, core));
        confirmed.set_terms(self.terms, Refresher::Uas, core.now);
        Step::Confirm(Box::new(confirmed))
    }

    fn take_usage(&mut self) -> Usage {
        let dialog = self.usage.dialog.clone();
        std::mem::replace(
            &mut self.usage,
            Usage::new(dialog, ContactName::default(), Exchange::Settled),
        )
    }

    pub(super) fn reject(
        &mut self,
        reject: &Reject,
        core: &mut Core,
    ) -> Result<Step, CommandError> {
        if !reject.code.is_failure() {
            return Err(CommandError::BadCode);
        }
        if let Some(mut response) = core.response(self.invite, reject.code) {
            let headers = &mut response.headers;
            if let Some(reason) = &reject.reason {
                headers.push(HeaderName::Reason, reason.to_string());
            }
            if let Some(after) = reject.retry_after {
                headers.push(HeaderName::RetryAfter, after.as_secs().max(1).to_string());
            }
            append_owners(headers, &reject.headers);
            core.respond(self.invite, &response);
        }
        Ok(self.over(EndCause::Local, None, core))
    }

    /// The caller cancels: 487 (RFC 3261 9.2). The CANCEL itself was answered already.
    pub(super) fn on_cancel(&mut self, cancel: &Request, core: &mut Core) -> Step {
        core.answer(self.invite, StatusCode::REQUEST_TERMINATED);
        self.over(EndCause::Cancelled, reason_of(&cancel.headers), core)
    }

    /// BYE in an early dialog, which only the caller may send (RFC 3261 15).
    pub(super) fn on_bye(&mut self, inbound: &Inbound<'_>, core: &mut Core) -> Step {
        core.answer(inbound.tx, StatusCode::OK);
        core.answer(self.invite, StatusCode::REQUEST_TERMINATED);
        self.over(EndCause::Bye, reason_of(&inbound.request.headers), core)
    }

    /// The way of the INVITE is gone, and with it the caller's interest.
    pub(super) fn on_lost(&mut self, core: &mut Core) -> Step {
        self.over(EndCause::FlowLost, None, core)
    }

    fn over(&mut self, cause: EndCause, reason: Option<Reason>, core: &mut Core) -> Step {
        if let Exchange::Asked(Theirs::Update(tx) | Theirs::Prack(tx)) = self.usage.exchange {
            core.answer(tx, StatusCode::REQUEST_TERMINATED);
        }
        self.usage.forget_open(core);
        Step::ended(cause, reason, None)
    }

    pub(super) fn on_prack(
        &mut self,
        session: SessionId,
        inbound: &Inbound<'_>,
        core: &mut Core,
    ) -> Step {
        let rack = inbound.request.headers.rack().ok().flatten();
        let matches = rack.is_some_and(|rack| {
            let waits = self
                .waiting
                .as_ref()
                .is_some_and(|waiting| waiting.rseq == rack.rseq);
            waits && rack.cseq.number == self.number && rack.cseq.method == Method::Invite
        });
        if !matches {
            // RFC 3262 3
            core.answer(inbound.tx, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
            return Step::Stay;
        }
        self.waiting = None;
        let sdp = sdp_of(&inbound.request.headers, &inbound.request.body);
        match (sdp, self.usage.exchange) {
            (Some(answer), Exchange::Offered(Ours::Provisional)) => {
                self.usage.agree(None, Some(answer));
                core.answer(inbound.tx, StatusCode::OK);
                core.event(
                    session,
                    SessionEvent::ReofferAnswered {
                        sdp: answer.clone(),
                    },
                );
            }
            (Some(offer), Exchange::Settled) => {
                self.usage.exchange = Exchange::Asked(Theirs::Prack(inbound.tx));
                self.usage.asked_sdp = Some((**offer).into());
                core.event(session, SessionEvent::Reoffer { sdp: offer.clone() });
                return Step::Stay;
            }
            (None, Exchange::Offered(Ours::Provisional)) => {
                core.answer(inbound.tx, StatusCode::NOT_ACCEPTABLE_HERE);
                core.answer(self.invite, StatusCode::NOT_ACCEPTABLE_HERE);
                return self.over(EndCause::Protocol, None, core);
            }
            (Some(_) | None, _) => core.answer(inbound.tx, StatusCode::OK),
        }
        self.go_on(core)
    }

    /// Sends what waited for a PRACK.
    pub(super) fn go_on(&mut self, core: &mut Core) -> Step {
        if let Some(sdp) = self.accepted.take() {
            return self.send_success(sdp, core);
        }
        while self.waiting.is_none()
            && let Some(next) = self.queued.pop_front()
        {
            let reliable = self.is_reliable(&next);
            self.send_progress(next, reliable, core);
        }
        Step::Stay
    }
}
