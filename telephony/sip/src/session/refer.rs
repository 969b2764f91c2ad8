//! REFER within a session and the NOTIFYs it brings (RFC 3515, RFC 4488), in both directions.
//!
//! It carries progress; the calls themselves are the owner's. The subscription a REFER makes lives
//! no longer than the session. Invariant: each REFER of ours ends in one `ReferProgress` that is
//! `Finished`, unless the session ends first.

use super::Inbound;
use super::command::{CommandError, Refer, ReferAnswer, ReferId, SessionId};
use super::confirmed::Confirmed;
use super::event::{ReferState, SessionEvent};
use super::usage::{Outcome, Purpose};
use crate::endpoint::core::Core;
use crate::message::{HeaderName, Headers, Method, Replaces, StatusCode};
use crate::transaction::TransactionId;

#[derive(Debug, Default)]
pub(super) struct Refers {
    next: u32,
    received: Vec<Received>,
    sent: Vec<Sent>,
}

#[derive(Debug)]
struct Received {
    id: ReferId,
    /// RFC 3515 2.4.6: what `Event: refer;id=` says, where it must be said.
    event_id: Option<u32>,
    state: ReceivedState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReceivedState {
    /// The owner has not decided.
    Asked {
        tx: TransactionId,
        wants: Wants,
    },
    Accepted(Wants),
}

/// RFC 4488: `Refer-Sub: false` asks for silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    Notifies,
    Silence,
}

#[derive(Debug)]
struct Sent {
    id: ReferId,
    /// CSeq of the REFER.
    number: u32,
}

/// REFERs of one direction that can be open at once.
const MAX_REFERS: usize = 8;

const SIPFRAG: &str = "message/sipfrag;version=2.0";

impl Refers {
    fn take_id(&mut self) -> ReferId {
        self.next += 1;
        ReferId(self.next)
    }
}

/// The peer refers us.
impl Confirmed {
    pub(super) fn on_refer(&mut self, session: SessionId, inbound: &Inbound<'_>, core: &mut Core) {
        let headers = &inbound.request.headers;
        let Ok(Some(refer_to)) = headers.refer_to() else {
            return core.answer(inbound.tx, StatusCode::BAD_REQUEST);
        };
        let replaces = match refer_to.uri.header("Replaces") {
            None => None,
            Some(value) => match Replaces::parse(value.as_bytes()) {
                Some(replaces) => Some(replaces),
                None => return core.answer(inbound.tx, StatusCode::BAD_REQUEST),
            },
        };
        if self.refers.received.len() >= MAX_REFERS {
            return super::confirmed::refuse_for_now(inbound.tx, core);
        }
        let wants = match headers.get(HeaderName::ReferSub) {
            Some(value) if value.eq_ignore_ascii_case(b"false") => Wants::Silence,
            Some(_) | None => Wants::Notifies,
        };
        let refer = self.refers.take_id();
        // The id is optional for the first REFER of a dialog, and some devices trip over it.
        let event_id = (refer != ReferId(1)).then_some(inbound.number);
        let state = ReceivedState::Asked {
            tx: inbound.tx,
            wants,
        };
        self.refers.received.push(Received {
            id: refer,
            event_id,
            state,
        });
        let referred_by = headers.referred_by().ok().flatten();
        let to = refer_to.uri.without_headers();
        core.event(
            session,
            SessionEvent::Refer {
                refer,
                to,
                replaces,
                referred_by,
            },
        );
    }

    pub(super) fn answer_refer(
        &mut self,
        session: SessionId,
        refer: ReferId,
        answer: ReferAnswer,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        let found = self
            .refers
            .received
            .iter()
            .position(|received| received.id == refer);
        let place = found.ok_or(CommandError::WrongState)?;
        let ReceivedState::Asked { tx, wants } = self.refers.received[place].state else {
            return Err(CommandError::WrongState);
        };
        match answer {
            ReferAnswer::Refuse(code) if !code.is_failure() => return Err(CommandError::BadCode),
            ReferAnswer::Refuse(code) => {
                self.refers.received.remove(place);
                core.answer(tx, code);
            }
            ReferAnswer::Accept => {
                self.refers.received[place].state = ReceivedState::Accepted(wants);
                match wants {
                    Wants::Silence => {
                        core.answer_with(tx, StatusCode::ACCEPTED, HeaderName::ReferSub, "false");
                    }
                    Wants::Notifies => {
                        let contact = core
                            .table
                            .hop(tx)
                            .map(|hop| core.contact(&self.usage.contact_name, hop));
                        let contact = contact.unwrap_or_default();
                        core.answer_with(tx, StatusCode::ACCEPTED, HeaderName::Contact, &contact);
                        // RFC 3515 2.4.4: a NOTIFY follows at once.
                        self.notify_refer(session, refer, StatusCode::TRYING, core)?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn notify_refer(
        &mut self,
        session: SessionId,
        refer: ReferId,
        code: StatusCode,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        let found = self
            .refers
            .received
            .iter()
            .position(|received| received.id == refer);
        let place = found.ok_or(CommandError::WrongState)?;
        let ReceivedState::Accepted(wants) = self.refers.received[place].state else {
            return Err(CommandError::WrongState);
        };
        let event_id = self.refers.received[place].event_id;
        if code.is_final() {
            self.refers.received.remove(place);
        }
        if wants == Wants::Silence {
            return Ok(());
        }
        let event = event_id.map_or("refer".to_owned(), |id| format!("refer;id={id}"));
        let state = if code.is_final() {
            "terminated;reason=noresource"
        } else {
            "active;expires=60"
        };
        let fragment = format!("SIP/2.0 {code} {}\r\n", code.reason());
        self.usage.send(
            session,
            Method::Notify,
            Purpose::Notify(refer),
            core,
            |request| {
                request.headers.push(HeaderName::Event, event);
                request.headers.push(HeaderName::SubscriptionState, state);
                request.headers.push(HeaderName::ContentType, SIPFRAG);
                request.body = fragment.into();
            },
        )?;
        Ok(())
    }

    /// RFC 3515 2.4.4: a peer that does not know the subscription hears no more of it.
    pub(super) fn on_notify_outcome(&mut self, refer: ReferId, outcome: &Outcome) {
        if outcome.code().is_failure() {
            self.refers.received.retain(|received| received.id != refer);
        }
    }
}

/// We refer the peer.
impl Confirmed {
    pub(super) fn refer(
        &mut self,
        session: SessionId,
        refer: Refer,
        core: &mut Core,
    ) -> Result<ReferId, CommandError> {
        if self.refers.sent.len() >= MAX_REFERS {
            return Err(CommandError::Full);
        }
        let id = self.refers.take_id();
        self.usage.send(
            session,
            Method::Refer,
            Purpose::Refer(id),
            core,
            |request| {
                request
                    .headers
                    .push(HeaderName::ReferTo, refer.to.to_bytes());
                if let Some(by) = &refer.referred_by {
                    request.headers.push(HeaderName::ReferredBy, by.to_bytes());
                }
            },
        )?;
        self.refers.sent.push(Sent {
            id,
            number: self.usage.dialog.local_seq(),
        });
        Ok(id)
    }

    pub(super) fn on_refer_outcome(
        &mut self,
        session: SessionId,
        refer: ReferId,
        outcome: &Outcome,
        core: &mut Core,
    ) {
        let code = outcome.code();
        let silent = outcome.response().is_some_and(|response| {
            response
                .headers
                .get(HeaderName::ReferSub)
                .is_some_and(|value| value.eq_ignore_ascii_case(b"false"))
        });
        let state = if code.is_failure() || silent {
            ReferState::Finished
        } else {
            ReferState::Running
        };
        self.tell_refer(session, refer, code, state, core);
    }

    /// A NOTIFY about one of our REFERs.
    pub(super) fn on_notify(&mut self, session: SessionId, inbound: &Inbound<'_>, core: &mut Core) {
        let headers = &inbound.request.headers;
        let Some(refer) = self.find_sent(headers) else {
            core.counters.refused.unknown_dialog += 1;
            return core.answer(inbound.tx, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
        };
        core.answer(inbound.tx, StatusCode::OK);
        let terminated = headers
            .subscription_state()
            .ok()
            .flatten()
            .is_some_and(|state| state.is("terminated"));
        let state = if terminated {
            ReferState::Finished
        } else {
            ReferState::Running
        };
        match fragment_code(&inbound.request.body) {
            Some(code) => self.tell_refer(session, refer, code, state, core),
            None if terminated => {
                self.tell_refer(session, refer, StatusCode::NO_NOTIFICATION, state, core);
            }
            None => {}
        }
    }

    fn find_sent(&self, headers: &Headers) -> Option<ReferId> {
        let event = headers
            .event()
            .ok()
            .flatten()
            .filter(|event| event.is("refer"))?;
        let sent = match event.params.value("id") {
            Some(id) => self
                .refers
                .sent
                .iter()
                .find(|sent| id.parse() == Ok(sent.number)),
            None => self.refers.sent.first(),
        };
        sent.map(|sent| sent.id)
    }

    fn tell_refer(
        &mut self,
        session: SessionId,
        refer: ReferId,
        code: StatusCode,
        state: ReferState,
        core: &mut Core,
    ) {
        let Some(place) = self.refers.sent.iter().position(|sent| sent.id == refer) else {
            return;
        };
        if state == ReferState::Finished {
            self.refers.sent.remove(place);
        }
        core.event(session, SessionEvent::ReferProgress { refer, code, state });
    }
}

/// The status line of a `message/sipfrag` body.
fn fragment_code(body: &[u8]) -> Option<StatusCode> {
    let code = body.strip_prefix(b"SIP/2.0 ".as_slice())?.get(..3)?;
    StatusCode::new(str::from_utf8(code).ok()?.parse().ok()?)
}
