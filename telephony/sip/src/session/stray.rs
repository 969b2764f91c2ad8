//! A 2xx to an INVITE that nobody wants any more: a fork that answered second, or an answer that
//! crossed our CANCEL. It is acknowledged and ended at once (RFC 3261 13.2.2.4, 9.1).
//!
//! All that is needed stands in the response, so no session has to be kept for it.

use super::SessionId;
use super::exchange::Exchange;
use super::usage::{Outcome, Purpose, Usage};
use crate::dialog::{Dialog, Originated};
use crate::endpoint::core::{ContactName, Core};
use crate::message::{HeaderName, Method, Reason, Response};
use crate::tokens::Token;
use crate::transaction::TransactionId;

/// An answer nobody waits for any more.
pub(crate) fn end_if_answer(tx: TransactionId, outcome: &Outcome, core: &mut Core) {
    if let Some(response) = outcome
        .response()
        .filter(|response| response.status.is_success())
        && response
            .headers
            .cseq()
            .is_ok_and(|cseq| cseq.method == Method::Invite)
    {
        end_stray(tx, response, core);
    }
}

fn end_stray(invite: TransactionId, response: &Response, core: &mut Core) {
    let Some(sent) = core.table.hop(invite).cloned() else {
        return;
    };
    let Some((originated, number)) = originated(response) else {
        return;
    };
    let Some(mut dialog) = Dialog::of_response(&originated, &response.headers, number, &sent)
    else {
        return;
    };
    dialog.confirm(&response.headers, &originated.target, &sent);
    let mut usage = Usage::new(dialog, ContactName::default(), Exchange::Settled);
    usage.acknowledge(invite, number, None, core);
    let reason = Reason::sip(200, "Call completed elsewhere").to_string();
    // No session has the id 0, and nobody waits for this BYE.
    let sent = usage.send(SessionId(0), Method::Bye, Purpose::Bye, core, |request| {
        request.headers.push(HeaderName::Reason, reason);
    });
    if sent.is_ok() {
        usage.forget_open(core);
    }
}

/// What our INVITE said, as its response repeats it.
fn originated(response: &Response) -> Option<(Originated, u32)> {
    let headers = &response.headers;
    let from = headers.from().ok()?;
    let contact = headers.contact().ok()??;
    let originated = Originated {
        target: contact.uri,
        call_id: headers.call_id().ok()?.into(),
        local_tag: Token::parse(from.tag()?)?,
        from: headers.get(HeaderName::From)?.into(),
    };
    Some((originated, headers.cseq().ok()?.number))
}
