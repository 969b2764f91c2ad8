//! A call of ours before its final response: forks, provisional responses, challenges, CANCEL.
//!
//! Each fork is a dialog of its own with its own exchange (RFC 3261 13.2.2.1). Invariant: while
//! this state lasts exactly one INVITE transaction of ours is pending.

use std::time::Instant;

use bytes::Bytes;

use super::command::{
    CommandError, ForkId, Invite, ReliableProvisional, Sdp, SessionId, SessionTimerWish,
};
use super::confirmed::{Confirmed, Role};
use super::event::{EndCause, RejectedBy, Rejection, SessionEvent};
use super::exchange::{Exchange, Ours, Theirs};
use super::refresh::{Terms, Wish};
use super::step::Step;
use super::usage::{Auth, Outcome, Purpose, SDP, Usage, sdp_of};
use crate::dialog::{Dialog, Originated, start_request};
use crate::endpoint::core::{ALLOW, ContactName, Core, Draft, SUPPORTED};
use crate::flow::Hop;
use crate::message::{
    CSeq, Contacts, HeaderName, Headers, Method, RAck, Reason, Response, StatusCode,
};
use crate::tokens::Token;
use crate::transaction::{TransactionId, User};

#[derive(Debug)]
pub(super) struct Calling {
    plan: Box<Invite>,
    originated: Originated,
    pub(super) invite: TransactionId,
    /// CSeq of the pending INVITE.
    number: u32,
    wish: Option<Wish>,
    auth: Option<Box<Auth>>,
    /// New INVITEs after a challenge or a 422.
    attempts: u8,
    pub(super) forks: Vec<Fork>,
    next_fork: u32,
    /// The owner's limit, or Timer C.
    give_up: Instant,
}

#[derive(Debug)]
pub(super) struct Fork {
    id: ForkId,
    pub(super) usage: Usage,
    /// The last reliable response taken (RFC 3262 4).
    last_rseq: Option<u32>,
}

/// Dialogs a downstream proxy can open before an answer; the answer itself is never refused.
const MAX_FORKS: usize = 40;
/// One for a challenge, one for a stale nonce, one for a longer session interval.
const MAX_ATTEMPTS: u8 = 3;

impl Calling {
    /// RFC 3261 8.1.1.4: the same for all its dialogs.
    pub(super) fn call_id(&self) -> &str {
        &self.originated.call_id
    }

    pub(super) fn start(
        session: SessionId,
        local_tag: Token,
        invite: Invite,
        core: &mut Core,
    ) -> Result<Self, CommandError> {
        let hop = core.aim(invite.hop.clone())?;
        let mut plan = Box::new(invite);
        plan.hop = hop;
        let originated = Originated {
            target: plan.target.clone(),
            call_id: core.tokens.token().as_str().into(),
            local_tag,
            from: plan
                .from
                .clone()
                .with_tag(local_tag.as_str())
                .to_bytes()
                .into(),
        };
        let wish = match plan.session_timer {
            SessionTimerWish::Off => None,
            SessionTimerWish::Supported => Wish::of(&core.settings.session_timer),
        };
        let auth = plan
            .credentials
            .take()
            .map(|identity| Box::new(Auth::new(identity)));
        let limit = plan.ring_limit.unwrap_or(core.settings.timers.c);
        let mut calling = Self {
            plan,
            originated,
            // Replaced at once.
            invite: TransactionId::NONE,
            number: 0,
            wish,
            auth,
            attempts: 0,
            forks: Vec::new(),
            next_fork: 0,
            give_up: core.now + limit,
        };
        calling.send_invite(session, core);
        Ok(calling)
    }

    fn send_invite(&mut self, session: SessionId, core: &mut Core) {
        self.number += 1;
        let plan = &self.plan;
        let (via, token) = core.via(&plan.hop);
        let mut request = start_request(
            Method::Invite,
            &plan.target,
            &plan.route,
            &via,
            plan.max_forwards,
        );
        let headers = &mut request.headers;
        headers.push(HeaderName::From, &self.originated.from);
        match &plan.to {
            Some(to) => headers.push(HeaderName::To, to.to_bytes()),
            None => headers.push(HeaderName::To, format!("<{}>", plan.target)),
        }
        headers.push(HeaderName::CallId, &*self.originated.call_id);
        headers.push(HeaderName::CSeq, format!("{} INVITE", self.number));
        headers.push(
            HeaderName::Contact,
            core.contact(
                &ContactName::calling(&plan.from.uri, &plan.target),
                &plan.hop,
            ),
        );
        headers.push(HeaderName::Allow, ALLOW);
        headers.push(HeaderName::Supported, supported(plan));
        if plan.reliable == ReliableProvisional::Required {
            headers.push(HeaderName::Require, "100rel");
        }
        if let Some(wish) = &self.wish {
            wish.write(headers);
        }
        append_owners(headers, &plan.headers);
        if let Some(offer) = &plan.offer {
            headers.push(HeaderName::ContentType, SDP);
            request.body = offer.clone();
        }
        if let Some(auth) = &mut self.auth {
            auth.sign(&mut request, core);
        }
        self.invite = core.send(
            Draft { request, token },
            self.plan.hop.clone(),
            User::Session(session),
        );
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        Some(self.give_up)
    }

    pub(super) fn on_timeout(&mut self, core: &mut Core) -> Step {
        if self.give_up > core.now {
            return Step::Stay;
        }
        self.abandon(None, core);
        Step::ended(EndCause::NoAnswer, None, None)
    }

    /// CANCEL, now or as soon as it is allowed; an answer that crosses it is ended.
    pub(super) fn abandon(&mut self, reason: Option<&Reason>, core: &mut Core) {
        for fork in &mut self.forks {
            fork.usage.forget_open(core);
        }
        core.table.reassign(self.invite, User::Abandoned);
        let lines = reason
            .map(|reason| format!("Reason: {reason}\r\n"))
            .unwrap_or_default();
        core.cancel(self.invite, &Bytes::from(lines));
    }

    pub(super) fn fork_with(&mut self, remote_tag: Option<&str>) -> Option<&mut Fork> {
        self.forks
            .iter_mut()
            .find(|fork| fork.usage.dialog.is_peer_tag(remote_tag))
    }

    /// A response to the INVITE.
    pub(super) fn on_response(
        &mut self,
        session: SessionId,
        outcome: Outcome,
        core: &mut Core,
    ) -> Step {
        let response = match outcome {
            Outcome::Response(response) => response,
            Outcome::Timeout => {
                return Self::rejected(StatusCode::REQUEST_TIMEOUT, RejectedBy::Timeout);
            }
            Outcome::Transport => {
                return Self::rejected(StatusCode::SERVICE_UNAVAILABLE, RejectedBy::Transport);
            }
        };
        if response.status == StatusCode::TRYING {
            Step::Stay
        } else if response.status.is_provisional() {
            self.on_provisional(session, response, core);
            Step::Stay
        } else if response.status.is_success() {
            self.on_answer(session, response, core)
        } else {
            self.on_refusal(session, &response, core)
        }
    }

    fn on_provisional(&mut self, session: SessionId, response: Box<Response>, core: &mut Core) {
        if self.plan.ring_limit.is_none() {
            self.give_up = core.now + core.settings.timers.c; // RFC 3261 16.7 (2)
        }
        let number = self.number;
        let Some(fork) = self.fork(&response.headers, core) else {
            return;
        };
        fork.usage.peer.learn(&response.headers);
        let id = fork.id;
        let sdp = sdp_of(&response.headers, &response.body).cloned();
        let reliable = response
            .headers
            .require()
            .any(|option| option.eq_ignore_ascii_case("100rel"));
        let sdp = match response.headers.rseq() {
            Ok(Some(rseq)) if reliable => {
                match fork.on_reliable(session, rseq, number, sdp, core) {
                    Some(sdp) => sdp,
                    None => return,
                }
            }
            // A preview of the answer; the 2xx decides.
            _ => sdp
                .filter(|_| fork.usage.exchange == Exchange::Offered(Ours::Invite))
                .map(Sdp::Answer),
        };
        let code = response.status;
        core.event(
            session,
            SessionEvent::Progress {
                code,
                fork: id,
                sdp,
                response,
            },
        );
    }

    /// The dialog a response belongs to, made when its tag is new.
    fn fork(&mut self, response: &Headers, core: &mut Core) -> Option<&mut Fork> {
        let to = response.to().ok()?;
        if let Some(place) = self
            .forks
            .iter()
            .position(|fork| fork.usage.dialog.is_peer_tag(to.tag()))
        {
            return self.forks.get_mut(place);
        }
        if self.forks.len() >= MAX_FORKS {
            core.counters.refused.conflicts += 1;
            return None;
        }
        let fork = self.new_fork(response, &self.plan.hop.clone())?;
        self.forks.push(fork);
        self.forks.last_mut()
    }

    fn new_fork(&mut self, response: &Headers, sent: &Hop) -> Option<Fork> {
        let dialog = Dialog::of_response(&self.originated, response, self.number, sent)?;
        let exchange = match &self.plan.offer {
            Some(_) => Exchange::Offered(Ours::Invite),
            None => Exchange::Fresh,
        };
        let mut usage = Usage::new(
            dialog,
            ContactName::calling(&self.plan.from.uri, &self.plan.target),
            exchange,
        );
        usage.local_sdp = self.plan.offer.clone();
        usage.auth = self.auth.clone();
        let id = ForkId(self.next_fork);
        self.next_fork += 1;
        Some(Fork {
            id,
            usage,
            last_rseq: None,
        })
    }

    fn on_answer(&mut self, session: SessionId, response: Box<Response>, core: &mut Core) -> Step {
        let headers = &response.headers;
        let to_tag = headers.to().ok().and_then(|to| to.tag().map(str::to_owned));
        let known = self
            .forks
            .iter()
            .position(|fork| fork.usage.dialog.is_peer_tag(to_tag.as_deref()));
        let fork = match known {
            Some(place) => Some(self.forks.swap_remove(place)),
            None => self.new_fork(headers, &self.plan.hop.clone()),
        };
        for loser in &mut self.forks {
            loser.usage.forget_open(core);
        }
        let Some(Fork {
            id: fork,
            mut usage,
            ..
        }) = fork
        else {
            // A 2xx whose dialog cannot be read: nothing can be said to it.
            core.table.abandon(self.invite, core.now);
            return Self::rejected(StatusCode::BAD_GATEWAY, RejectedBy::Peer);
        };
        usage
            .dialog
            .confirm(headers, &self.originated.target, &self.plan.hop);
        usage.peer.learn(headers);
        let sdp = sdp_of(headers, &response.body);
        let sdp = match usage.exchange {
            Exchange::Offered(Ours::Invite) => {
                let answer = sdp.cloned();
                usage.agree(None, answer.as_deref());
                answer.map(Sdp::Answer)
            }
            // The second is a peer that did not wait for our PRACK: its 2xx must offer again.
            Exchange::Fresh | Exchange::Asked(Theirs::Provisional { .. }) => {
                let offer = sdp.cloned();
                usage.exchange = Exchange::Settled;
                if let Some(offer) = &offer {
                    usage.exchange = Exchange::Asked(Theirs::Success);
                    usage.remote_sdp = Some((**offer).into());
                }
                offer.map(Sdp::Offer)
            }
            Exchange::Offered(_) | Exchange::Asked(_) | Exchange::Wanted(_) | Exchange::Settled => {
                None
            }
        };
        let terms = Terms::of_response(headers);
        let mut confirmed = Confirmed::new(usage, Role::Caller);
        confirmed.set_terms(terms, crate::message::Refresher::Uac, core.now);
        confirmed.take_answer(self.invite, self.number, core);
        core.event(
            session,
            SessionEvent::Accepted {
                fork,
                sdp,
                response,
            },
        );
        Step::Confirm(Box::new(confirmed))
    }

    fn on_refusal(&mut self, session: SessionId, response: &Response, core: &mut Core) -> Step {
        if self.attempts < MAX_ATTEMPTS && self.can_try_again(response) {
            self.attempts += 1;
            for fork in &mut self.forks {
                fork.usage.forget_open(core);
            }
            self.forks.clear();
            self.send_invite(session, core);
            return Step::Stay;
        }
        for fork in &mut self.forks {
            fork.usage.forget_open(core);
        }
        Step::End(SessionEvent::Rejected(rejection(response)), None)
    }

    fn can_try_again(&mut self, response: &Response) -> bool {
        if response.status == StatusCode::SESSION_INTERVAL_TOO_SMALL {
            // RFC 4028 7.3
            let min = response.headers.min_se().ok().flatten();
            let (Some(wish), Some(min)) = (&mut self.wish, min) else {
                return false;
            };
            let raised = wish.raised(min);
            let changed = raised != *wish;
            *wish = raised;
            return changed;
        }
        self.auth
            .as_mut()
            .is_some_and(|auth| auth.take_challenge(response))
    }

    fn rejected(code: StatusCode, by: RejectedBy) -> Step {
        let rejection = Rejection {
            code,
            by,
            reason: None,
            retry_after: None,
            contacts: Vec::new(),
        };
        Step::End(SessionEvent::Rejected(rejection), None)
    }
}

impl Fork {
    /// RFC 3262 4. `None`: a repetition, or out of order; nothing new for the owner.
    fn on_reliable(
        &mut self,
        session: SessionId,
        rseq: u32,
        number: u32,
        sdp: Option<Bytes>,
        core: &mut Core,
    ) -> Option<Option<Sdp>> {
        if self
            .last_rseq
            .is_some_and(|last| rseq != last.wrapping_add(1))
        {
            return None;
        }
        self.last_rseq = Some(rseq);
        let sdp = match (sdp, self.usage.exchange) {
            (Some(answer), Exchange::Offered(Ours::Invite)) => {
                self.usage.agree(None, Some(&answer));
                Some(Sdp::Answer(answer))
            }
            (Some(offer), Exchange::Fresh) => {
                self.usage.exchange = Exchange::Asked(Theirs::Provisional { rseq });
                self.usage.remote_sdp = Some((*offer).into());
                return Some(Some(Sdp::Offer(offer)));
            }
            (Some(_) | None, _) => None,
        };
        self.prack(session, rseq, number, None, core);
        Some(sdp)
    }

    pub(super) fn prack(
        &mut self,
        session: SessionId,
        rseq: u32,
        number: u32,
        answer: Option<Bytes>,
        core: &mut Core,
    ) {
        let rack = RAck {
            rseq,
            cseq: CSeq {
                number,
                method: Method::Invite,
            },
        };
        // With too many requests open the peer repeats its response and we try again then.
        let sent = self
            .usage
            .send(session, Method::Prack, Purpose::Prack, core, |request| {
                request.headers.push(HeaderName::RAck, rack.to_string());
                if let Some(sdp) = answer {
                    request.headers.push(HeaderName::ContentType, SDP);
                    request.body = sdp;
                }
            });
        if sent.is_err() {
            self.last_rseq = None;
        }
    }
}

impl Calling {
    /// The owner answers an offer made in an early dialog.
    pub(super) fn answer(
        &mut self,
        session: SessionId,
        sdp: Bytes,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        let number = self.number;
        let asked = |fork: &&mut Fork| matches!(fork.usage.exchange, Exchange::Asked(_));
        let fork = self
            .forks
            .iter_mut()
            .find(asked)
            .ok_or(CommandError::WrongState)?;
        match fork.usage.exchange {
            Exchange::Asked(Theirs::Provisional { rseq }) => {
                fork.usage.agree(Some(sdp.clone()), None);
                fork.prack(session, rseq, number, Some(sdp), core);
                Ok(())
            }
            _ => fork.usage.answer_update(sdp, core),
        }
    }
}

/// The extensions this call may use.
fn supported(plan: &Invite) -> &'static str {
    let timer = plan.session_timer == SessionTimerWish::Supported;
    match plan.reliable {
        ReliableProvisional::Off if timer => "replaces, timer, norefersub",
        ReliableProvisional::Off => "replaces, norefersub",
        ReliableProvisional::Supported | ReliableProvisional::Required if timer => SUPPORTED,
        ReliableProvisional::Supported | ReliableProvisional::Required => {
            "100rel, replaces, norefersub"
        }
    }
}

/// What a final refusal tells the owner.
pub(super) fn rejection(response: &Response) -> Rejection {
    let headers = &response.headers;
    let retry_after = headers.retry_after().ok().flatten();
    let contacts = match headers.contacts() {
        Ok(Contacts::Each(contacts)) if response.status.is_redirection() => contacts,
        Ok(Contacts::Each(_) | Contacts::All) | Err(_) => Vec::new(),
    };
    Rejection {
        code: response.status,
        by: RejectedBy::Peer,
        reason: reason_of(headers),
        retry_after: retry_after.map(|seconds| std::time::Duration::from_secs(seconds.into())),
        contacts: contacts.into_iter().map(|contact| contact.uri).collect(),
    }
}

/// The first Reason of a message (RFC 3326).
pub(super) fn reason_of(headers: &Headers) -> Option<Reason> {
    headers
        .reasons()
        .ok()
        .and_then(|reasons| reasons.into_iter().next())
}

/// What the owner adds, except what only this core may write.
pub(crate) fn append_owners(headers: &mut Headers, owners: &Headers) {
    for (name, value) in owners.iter() {
        let ours = matches!(
            name,
            HeaderName::Via
                | HeaderName::From
                | HeaderName::To
                | HeaderName::CallId
                | HeaderName::CSeq
                | HeaderName::MaxForwards
                | HeaderName::Route
                | HeaderName::RecordRoute
                | HeaderName::ContentLength
        );
        if !ours {
            headers.push(name.clone(), value);
        }
    }
}
