//! What the owner asks of sessions, state by state.

use std::time::Duration;

use bytes::Bytes;

use super::command::{
    CommandError, Invite, Progress, Refer, ReferAnswer, ReferId, Reject, SessionId,
};
use super::confirmed::Confirmed;
use super::digits;
use super::event::EndCause;
use super::outgoing::Calling;
use super::sessions::{Sessions, State};
use super::step::Step;
use super::usage::{Purpose, Usage};
use crate::endpoint::RequestId;
use crate::endpoint::core::Core;
use crate::message::{HeaderName, Method, Reason, StatusCode};

impl Sessions {
    pub(crate) fn invite(
        &mut self,
        invite: Invite,
        core: &mut Core,
    ) -> Result<SessionId, CommandError> {
        let id = self.next_id();
        let tag = core.tokens.token();
        let calling = Calling::start(id, tag, invite, core)?;
        self.insert(id, tag, State::Calling(Box::new(calling)), core);
        Ok(id)
    }

    pub(crate) fn progress(
        &mut self,
        id: SessionId,
        progress: Progress,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        self.command(id, core, |state, core| match state {
            State::Ringing(ringing) => ringing.progress(progress, core).map(|()| Step::Stay),
            State::Calling(_) | State::Confirmed(_) | State::Leaving(_) | State::Over => {
                Err(CommandError::WrongState)
            }
        })
    }

    pub(crate) fn accept(
        &mut self,
        id: SessionId,
        sdp: Option<Bytes>,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        self.command(id, core, |state, core| match state {
            State::Ringing(ringing) => ringing.accept(sdp, core),
            State::Calling(_) | State::Confirmed(_) | State::Leaving(_) | State::Over => {
                Err(CommandError::WrongState)
            }
        })
    }

    pub(crate) fn reject(
        &mut self,
        id: SessionId,
        reject: &Reject,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        self.command(id, core, |state, core| match state {
            State::Ringing(ringing) => ringing.reject(reject, core),
            State::Calling(_) | State::Confirmed(_) | State::Leaving(_) | State::Over => {
                Err(CommandError::WrongState)
            }
        })
    }

    pub(crate) fn end(
        &mut self,
        id: SessionId,
        reason: Option<Reason>,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        self.command(id, core, |state, core| match state {
            State::Calling(calling) => {
                calling.abandon(reason.as_ref(), core);
                Ok(Step::ended(EndCause::Local, None, None))
            }
            State::Ringing(ringing) => {
                let code = StatusCode::TEMPORARILY_UNAVAILABLE;
                ringing.reject(
                    &Reject {
                        reason,
                        ..Reject::new(code)
                    },
                    core,
                )
            }
            State::Confirmed(confirmed) => Ok(confirmed.end(id, EndCause::Local, reason, core)),
            State::Leaving(_) | State::Over => Err(CommandError::UnknownSession),
        })
    }

    pub(crate) fn reoffer(
        &mut self,
        id: SessionId,
        sdp: Bytes,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        self.command(id, core, |state, core| {
            let usage = match state {
                State::Confirmed(confirmed) => {
                    return confirmed.reoffer(id, sdp, core).map(|()| Step::Stay);
                }
                State::Calling(calling) => {
                    let ready = |usage: &&mut Usage| usage.exchange.is_settled();
                    calling
                        .forks
                        .iter_mut()
                        .rev()
                        .map(|fork| &mut fork.usage)
                        .find(ready)
                }
                State::Ringing(ringing) => Some(&mut ringing.usage),
                State::Leaving(_) | State::Over => None,
            };
            // RFC 3311 5.1: before the answer only UPDATE can offer, after a first exchange.
            let usage = usage.filter(|usage| usage.exchange.is_settled() && usage.peer.updates);
            let usage = usage.ok_or(CommandError::WrongState)?;
            usage
                .update(id, Some(sdp), core, |_| {})
                .map(|()| Step::Stay)
        })
    }

    pub(crate) fn answer(
        &mut self,
        id: SessionId,
        sdp: Bytes,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        self.command(id, core, |state, core| match state {
            State::Confirmed(confirmed) => confirmed.answer(sdp, core).map(|()| Step::Stay),
            State::Calling(calling) => calling.answer(id, sdp, core).map(|()| Step::Stay),
            State::Ringing(ringing) => {
                ringing.usage.answer_update(sdp, core)?;
                Ok(ringing.go_on(core))
            }
            State::Leaving(_) | State::Over => Err(CommandError::UnknownSession),
        })
    }

    pub(crate) fn refuse(
        &mut self,
        id: SessionId,
        code: StatusCode,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        if !code.is_failure() {
            return Err(CommandError::BadCode);
        }
        self.command(id, core, |state, core| match state {
            State::Confirmed(confirmed) => confirmed.refuse(code, core).map(|()| Step::Stay),
            State::Ringing(ringing) => {
                ringing.usage.refuse_update(code, core)?;
                Ok(ringing.go_on(core))
            }
            State::Calling(calling) => {
                let refused = calling
                    .forks
                    .iter_mut()
                    .find_map(|fork| fork.usage.refuse_update(code, core).ok());
                refused.map(|()| Step::Stay).ok_or(CommandError::WrongState)
            }
            State::Leaving(_) | State::Over => Err(CommandError::UnknownSession),
        })
    }

    pub(crate) fn refer(
        &mut self,
        id: SessionId,
        refer: Refer,
        core: &mut Core,
    ) -> Result<ReferId, CommandError> {
        self.confirmed(id, core, |confirmed, core| confirmed.refer(id, refer, core))
    }

    pub(crate) fn answer_refer(
        &mut self,
        id: SessionId,
        refer: ReferId,
        answer: ReferAnswer,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        self.confirmed(id, core, |confirmed, core| {
            confirmed.answer_refer(id, refer, answer, core)
        })
    }

    pub(crate) fn notify_refer(
        &mut self,
        id: SessionId,
        refer: ReferId,
        code: StatusCode,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        self.confirmed(id, core, |confirmed, core| {
            confirmed.notify_refer(id, refer, code, core)
        })
    }

    pub(crate) fn info(
        &mut self,
        id: SessionId,
        content_type: &str,
        body: Bytes,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        self.in_dialog(id, Method::Info, Purpose::Info, content_type, body, core)
    }

    pub(crate) fn digit(
        &mut self,
        id: SessionId,
        digit: char,
        duration: Duration,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        let body = digits::relay(digit, duration).into();
        self.in_dialog(
            id,
            Method::Info,
            Purpose::Info,
            digits::DTMF_RELAY,
            body,
            core,
        )
    }

    pub(crate) fn message(
        &mut self,
        id: SessionId,
        request: RequestId,
        content_type: &str,
        body: Bytes,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        self.in_dialog(
            id,
            Method::Message,
            Purpose::Message(request),
            content_type,
            body,
            core,
        )
    }

    fn in_dialog(
        &mut self,
        id: SessionId,
        method: Method,
        purpose: Purpose,
        content_type: &str,
        body: Bytes,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        self.confirmed(id, core, |confirmed, core| {
            confirmed.usage.send(id, method, purpose, core, |request| {
                request.headers.push(HeaderName::ContentType, content_type);
                request.body = body;
            })
        })?;
        Ok(())
    }

    fn confirmed<T>(
        &mut self,
        id: SessionId,
        core: &mut Core,
        handle: impl FnOnce(&mut Confirmed, &mut Core) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        let mut value = Err(CommandError::WrongState);
        self.command(id, core, |state, core| {
            if let State::Confirmed(confirmed) = state {
                value = handle(confirmed, core);
            }
            Ok(Step::Stay)
        })?;
        value
    }
}
