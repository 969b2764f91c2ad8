//! Offers of the peer in a confirmed session, and the owner's answers.

use bytes::Bytes;

use super::Greeted;
use super::{Confirmed, Unacked, refuse_for_now};
use crate::endpoint::core::Core;
use crate::message::{HeaderName, Refresher, StatusCode};
use crate::session::Inbound;
use crate::session::command::{CommandError, SessionId};
use crate::session::event::SessionEvent;
use crate::session::exchange::{Exchange, Ours, Theirs};
use crate::session::refresh::{Terms, TooSmall};
use crate::session::usage::sdp_of;
use crate::transaction::TransactionId;

impl Confirmed {
    pub(in crate::session) fn on_reinvite(
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
    pub(in crate::session) fn take_terms(
        &mut self,
        inbound: &Inbound<'_>,
        core: &mut Core,
    ) -> bool {
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
    pub(in crate::session) fn answer(
        &mut self,
        sdp: Bytes,
        core: &mut Core,
    ) -> Result<(), CommandError> {
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

    pub(in crate::session) fn refuse(
        &mut self,
        code: StatusCode,
        core: &mut Core,
    ) -> Result<(), CommandError> {
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
    pub(in crate::session) fn on_cancel(&mut self, tx: TransactionId, core: &mut Core) {
        if matches!(self.usage.exchange, Exchange::Asked(Theirs::Invite(id)) | Exchange::Wanted(id) if id == tx)
        {
            self.close_peers_offer(StatusCode::REQUEST_TERMINATED, core);
        }
    }
}
