//! The owner's commands for calls, requests and subscriptions.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::core::Draft;
use super::{Endpoint, MessageId, OutgoingRequest, RequestId};
use crate::dialog::start_request;
use crate::message::{HeaderName, Method, Reason, Replaces, StatusCode};
use crate::session::{
    CommandError, Invite, Progress, Refer, ReferAnswer, ReferId, Reject, SessionId, append_owners,
};
use crate::subscription::{DialogInfo, SubscriptionId};
use crate::transaction::User;

/// Calls.
impl Endpoint {
    /// Starts a call.
    pub fn invite(&mut self, invite: Invite, now: Instant) -> Result<SessionId, CommandError> {
        self.advance(now);
        if self.sessions.len() >= self.core.settings.capacity.sessions || self.core.table.is_full()
        {
            return Err(CommandError::Full);
        }
        self.sessions.invite(invite, &mut self.core)
    }

    /// Sends 101-199 to a caller.
    pub fn progress(
        &mut self,
        session: SessionId,
        progress: Progress,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.sessions.progress(session, progress, &mut self.core)
    }

    /// Answers an arriving call with 200. `sdp` is the answer, or the offer where the INVITE had
    /// none; `None` where a provisional response has carried the answer.
    pub fn accept(
        &mut self,
        session: SessionId,
        sdp: Option<Bytes>,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.sessions.accept(session, sdp, &mut self.core)
    }

    /// Refuses an arriving call; `Ended` follows in the same drain.
    pub fn reject(
        &mut self,
        session: SessionId,
        reject: Reject,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.sessions.reject(session, &reject, &mut self.core)
    }

    /// Ends a session in whatever state it is: CANCEL, a refusal, or BYE. `Ended` follows in the
    /// same drain; what is left to do on the wire needs no owner.
    pub fn end(
        &mut self,
        session: SessionId,
        reason: Option<Reason>,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.sessions.end(session, reason, &mut self.core)
    }

    /// Offers a new description within a confirmed session (re-INVITE), or in an early dialog
    /// whose first exchange is finished (UPDATE). Glare is resolved here.
    pub fn reoffer(
        &mut self,
        session: SessionId,
        sdp: Bytes,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.sessions.reoffer(session, sdp, &mut self.core)
    }

    /// Gives the answer to the offer the peer has made, wherever it travelled; or the offer after
    /// `OfferWanted`. The offer of the INVITE itself is answered by `progress` and `accept`.
    pub fn answer(
        &mut self,
        session: SessionId,
        sdp: Bytes,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.sessions.answer(session, sdp, &mut self.core)
    }

    /// Refuses a `Reoffer` or `OfferWanted` (488 and the like); the session goes on as it was.
    pub fn refuse(
        &mut self,
        session: SessionId,
        code: StatusCode,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.sessions.refuse(session, code, &mut self.core)
    }

    /// Asks the peer to call somebody else; `ReferProgress` tells how that goes.
    pub fn refer(
        &mut self,
        session: SessionId,
        refer: Refer,
        now: Instant,
    ) -> Result<ReferId, CommandError> {
        self.advance(now);
        self.sessions.refer(session, refer, &mut self.core)
    }

    /// Accepts or refuses the peer's REFER.
    pub fn answer_refer(
        &mut self,
        session: SessionId,
        refer: ReferId,
        answer: ReferAnswer,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.sessions
            .answer_refer(session, refer, answer, &mut self.core)
    }

    /// Tells how the call asked for by an accepted REFER fares; a final code finishes it.
    pub fn notify_refer(
        &mut self,
        session: SessionId,
        refer: ReferId,
        code: StatusCode,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.sessions
            .notify_refer(session, refer, code, &mut self.core)
    }

    /// Sends INFO.
    pub fn info(
        &mut self,
        session: SessionId,
        content_type: &str,
        body: Bytes,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.sessions
            .info(session, content_type, body, &mut self.core)
    }

    /// Sends one DTMF digit as `application/dtmf-relay`.
    pub fn digit(
        &mut self,
        session: SessionId,
        digit: char,
        duration: Duration,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.sessions
            .digit(session, digit, duration, &mut self.core)
    }

    /// Sends a MESSAGE within a session; `RequestAnswered` follows.
    pub fn message(
        &mut self,
        session: SessionId,
        content_type: &str,
        body: Bytes,
        now: Instant,
    ) -> Result<RequestId, CommandError> {
        self.advance(now);
        let request = self.next_request();
        self.sessions
            .message(session, request, content_type, body, &mut self.core)?;
        Ok(request)
    }

    /// How a Replaces header names this session to its peer, for the Refer-To of an attended
    /// transfer.
    pub fn replaces(&self, session: SessionId) -> Option<Replaces> {
        self.sessions.replaces(session)
    }

    /// The Call-ID by which this session is known on the wire, while it lives.
    pub fn call_id(&self, session: SessionId) -> Option<&str> {
        self.sessions.call_id(session)
    }
}

/// Requests outside calls, and subscriptions.
impl Endpoint {
    /// Sends a request; `RequestAnswered` follows.
    pub fn request(
        &mut self,
        asked: OutgoingRequest,
        now: Instant,
    ) -> Result<RequestId, CommandError> {
        self.advance(now);
        if matches!(
            asked.method,
            Method::Invite | Method::Ack | Method::Cancel | Method::Register
        ) {
            return Err(CommandError::WrongState);
        }
        if self.core.table.is_full() {
            return Err(CommandError::Full);
        }
        let hop = self.core.aim(asked.hop)?;
        let (via, token) = self.core.via(&hop);
        let tag = self.core.tokens.token();
        let call_id = self.core.tokens.token();
        let mut request = start_request(asked.method, &asked.target, &asked.route, &via, 70);
        let headers = &mut request.headers;
        headers.push(
            HeaderName::From,
            asked.from.with_tag(tag.as_str()).to_bytes(),
        );
        match asked.to {
            Some(to) => headers.push(HeaderName::To, to.to_bytes()),
            None => headers.push(HeaderName::To, format!("<{}>", asked.target)),
        }
        headers.push(HeaderName::CallId, call_id.as_str());
        headers.push(HeaderName::CSeq, format!("1 {}", request.method));
        append_owners(headers, &asked.headers);
        request.body = asked.body;
        let id = self.next_request();
        self.core
            .send(Draft { request, token }, hop, User::Request(id));
        Ok(id)
    }

    fn next_request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }

    /// Answers an arriving MESSAGE.
    pub fn answer_message(
        &mut self,
        message: MessageId,
        code: StatusCode,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.advance(now);
        if !code.is_final() {
            return Err(CommandError::BadCode);
        }
        let tx = self
            .messages
            .remove(&message)
            .ok_or(CommandError::WrongState)?;
        self.core.answer(tx, code);
        Ok(())
    }

    /// Accepts a subscription; the first NOTIFY carries `state`.
    pub fn accept_subscription(
        &mut self,
        subscription: SubscriptionId,
        state: &DialogInfo,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.notifier.accept(subscription, state, &mut self.core)
    }

    pub fn refuse_subscription(
        &mut self,
        subscription: SubscriptionId,
        code: StatusCode,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.notifier.refuse(subscription, code, &mut self.core)
    }

    /// Publishes the state of the watched resource; sent at most once a second (RFC 4235 3.10),
    /// the latest state wins.
    pub fn notify(
        &mut self,
        subscription: SubscriptionId,
        state: &DialogInfo,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.notifier.notify(subscription, state, &mut self.core)
    }

    /// Ends an accepted subscription: its resource is gone.
    pub fn end_subscription(
        &mut self,
        subscription: SubscriptionId,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.notifier.end(subscription, &mut self.core)
    }
}
