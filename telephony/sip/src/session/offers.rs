//! Offers of the peer that come outside an INVITE: in UPDATE (RFC 3311) and PRACK (RFC 3262 5).
//!
//! Early and confirmed dialogs treat them alike. Invariant: an offer that crosses another is
//! refused, so each answer belongs to one offer.

use bytes::Bytes;

use super::Inbound;
use super::command::{CommandError, SessionId};
use super::event::SessionEvent;
use super::exchange::{Exchange, Theirs};
use super::usage::{SDP, Usage, sdp_of};
use crate::endpoint::core::{ALLOW, Core, SUPPORTED};
use crate::message::{HeaderName, Response, StatusCode};
use crate::transaction::TransactionId;

impl Usage {
    /// A 2xx to an INVITE or UPDATE of the peer.
    pub(super) fn success(
        &mut self,
        tx: TransactionId,
        sdp: Option<Bytes>,
        core: &Core,
    ) -> Option<Response> {
        let hop = core.table.hop(tx)?;
        let contact = core.contact(&self.contact_name, hop);
        let mut response = core
            .response(tx, StatusCode::OK)?
            .with_header(HeaderName::Contact, contact);
        response.headers.push(HeaderName::Allow, ALLOW);
        response.headers.push(HeaderName::Supported, SUPPORTED);
        if let Some(terms) = self.terms.take() {
            terms.write(&mut response.headers);
        }
        Some(match sdp {
            Some(sdp) => response.with_body(SDP, sdp),
            None => response,
        })
    }

    /// The owner's answer to an offer in an UPDATE or PRACK.
    pub(super) fn answer_update(
        &mut self,
        sdp: Bytes,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        let tx = match self.exchange {
            Exchange::Asked(Theirs::Update(tx)) => tx,
            Exchange::Asked(Theirs::Prack(tx)) => tx,
            Exchange::Asked(Theirs::Invite(_) | Theirs::Success | Theirs::Provisional { .. })
            | Exchange::Fresh
            | Exchange::Offered(_)
            | Exchange::Wanted(_)
            | Exchange::Settled => return Err(CommandError::WrongState),
        };
        let asked = self.asked_sdp.take();
        self.agree(Some(sdp.clone()), asked.as_deref());
        if let Some(response) = self.success(tx, Some(sdp), core) {
            core.respond(tx, &response);
        }
        Ok(())
    }

    pub(super) fn refuse_update(
        &mut self,
        code: StatusCode,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        let (Exchange::Asked(Theirs::Update(tx)) | Exchange::Asked(Theirs::Prack(tx))) =
            self.exchange
        else {
            return Err(CommandError::WrongState);
        };
        self.asked_sdp = None;
        self.exchange.fall_back();
        core.answer(tx, code);
        Ok(())
    }

    /// An UPDATE of the peer (RFC 3311 5.2), early or confirmed.
    pub(super) fn on_update(&mut self, session: SessionId, inbound: &Inbound<'_>, core: &mut Core) {
        self.dialog.refresh(inbound.request, inbound.flow);
        self.peer.learn(&inbound.request.headers);
        let offer = sdp_of(&inbound.request.headers, &inbound.request.body);
        let Some(offer) = offer else {
            if let Some(response) = self.success(inbound.tx, None, core) {
                core.respond(inbound.tx, &response);
            }
            return;
        };
        match self.exchange {
            Exchange::Offered(_) | Exchange::Fresh => {
                core.counters.refused.conflicts += 1;
                core.answer(inbound.tx, StatusCode::REQUEST_PENDING);
            }
            Exchange::Asked(_) | Exchange::Wanted(_) => {
                super::confirmed::refuse_for_now(inbound.tx, core);
            }
            Exchange::Settled if self.changes_nothing(offer) => {
                let answer = self.local_sdp.clone();
                if let Some(response) = self.success(inbound.tx, answer, core) {
                    core.respond(inbound.tx, &response);
                }
            }
            Exchange::Settled => {
                self.exchange = Exchange::Asked(Theirs::Update(inbound.tx));
                self.asked_sdp = Some((**offer).into());
                core.event(session, SessionEvent::Reoffer { sdp: offer.clone() });
            }
        }
    }
}
