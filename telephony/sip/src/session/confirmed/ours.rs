//! Offers and refreshes of ours: re-INVITE and UPDATE, and what becomes of them.

use std::time::Duration;

use bytes::Bytes;

use super::{Change, Confirmed, Reinvite, Role};
use crate::endpoint::core::{ALLOW, Core, Draft, SUPPORTED};
use crate::message::{HeaderName, Method, Refresher, Response, StatusCode};
use crate::session::command::{CommandError, SessionId};
use crate::session::event::{EndCause, SessionEvent};
use crate::session::exchange::{Exchange, Ours};
use crate::session::refresh::Terms;
use crate::session::step::Step;
use crate::session::usage::{Outcome, SDP, sdp_of};
use crate::transaction::{TransactionId, User};

impl Confirmed {
    pub(in crate::session) fn reoffer(
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

    pub(super) fn try_change(&mut self, session: SessionId, change: Change, core: &mut Core) {
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
            core.contact(&self.usage.contact_name, &hop),
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
        let give_up = core.now + core.settings.timers.c;
        self.reinvite = Some(Reinvite {
            id,
            number,
            change,
            give_up: Some(give_up),
        });
        self.usage.exchange = Exchange::Offered(Ours::Invite);
        Ok(())
    }

    pub(in crate::session) fn is_reinvite(&self, id: TransactionId) -> bool {
        self.reinvite
            .as_ref()
            .is_some_and(|reinvite| reinvite.id == id)
    }

    /// A response to our re-INVITE.
    pub(in crate::session) fn on_reinvite_outcome(
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

    pub(in crate::session) fn on_update_outcome(
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
                // An offer that waits already refreshes as well.
                let change = match self.later.take() {
                    Some((_, waiting @ Change::Offer(_))) => waiting,
                    Some((_, Change::Refresh)) | None => change,
                };
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
