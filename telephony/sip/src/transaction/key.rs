//! What tells transactions apart (RFC 3261 17.1.3, 17.2.3, 8.2.2.2).
//!
//! A key is made of bytes of the message, never of a hash, so two transactions meet in one key
//! only when the standard says that they are one.

use crate::message::{CSeq, Method, Request, Via};

/// What identifies a request, read once.
#[derive(Debug)]
pub(crate) struct Envelope {
    /// As received: `received` and `rport` are not written yet.
    pub(crate) via: Via,
    pub(crate) from_tag: Option<Box<str>>,
    pub(crate) to_tag: Option<Box<str>>,
    pub(crate) call_id: Box<str>,
    pub(crate) cseq: CSeq,
}

impl Envelope {
    /// `None` when the parser let something pass that it should not have.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let headers = &request.headers;
        Some(Self {
            via: headers.via_top().ok()?,
            from_tag: headers.from().ok()?.tag().map(Into::into),
            to_tag: headers.to().ok()?.tag().map(Into::into),
            call_id: headers.call_id().ok()?.into(),
            cseq: headers.cseq().ok()?,
        })
    }
}

/// The key of a server transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ServerKey(Box<[u8]>);

impl ServerKey {
    /// The transaction a request belongs to; an ACK belongs to its INVITE.
    pub(crate) fn of(request: &Request, envelope: &Envelope) -> Self {
        let method = match &request.method {
            Method::Ack => &Method::Invite,
            other => other,
        };
        Self::with_method(request, envelope, method)
    }

    /// The INVITE a CANCEL wants to stop (RFC 3261 9.2).
    pub(crate) fn of_cancelled(request: &Request, envelope: &Envelope) -> Self {
        Self::with_method(request, envelope, &Method::Invite)
    }

    fn with_method(request: &Request, envelope: &Envelope, method: &Method) -> Self {
        let mut key = Vec::with_capacity(96);
        push(&mut key, method.as_str());
        match envelope.via.rfc3261_branch() {
            Some(branch) => {
                push(&mut key, branch);
                push_sent_by(&mut key, &envelope.via);
            }
            // RFC 3261 17.2.3 for elements of RFC 2543. The To tag of an ACK is ours and the
            // INVITE had none, so it is left out for these two.
            None => {
                push(&mut key, "");
                push(&mut key, request.uri.as_str());
                push(&mut key, &envelope.call_id);
                push(&mut key, envelope.from_tag.as_deref().unwrap_or_default());
                if *method != Method::Invite {
                    push(&mut key, envelope.to_tag.as_deref().unwrap_or_default());
                }
                key.extend_from_slice(&envelope.cseq.number.to_be_bytes());
                push_sent_by(&mut key, &envelope.via);
                push(&mut key, envelope.via.branch().unwrap_or_default());
            }
        }
        Self(key.into())
    }
}

/// What the copies of one request have in common when it came on several ways (8.2.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MergeKey(Box<[u8]>);

impl MergeKey {
    /// Requests within a dialog have none.
    pub(crate) fn of(envelope: &Envelope) -> Option<Self> {
        if envelope.to_tag.is_some() {
            return None;
        }
        let mut key = Vec::with_capacity(80);
        push(&mut key, &envelope.call_id);
        push(&mut key, envelope.from_tag.as_deref().unwrap_or_default());
        push(&mut key, envelope.cseq.method.as_str());
        key.extend_from_slice(&envelope.cseq.number.to_be_bytes());
        Some(Self(key.into()))
    }
}

/// NUL cannot stand in a header, so no two lists of parts give the same bytes.
fn push(key: &mut Vec<u8>, part: &str) {
    key.extend_from_slice(part.as_bytes());
    key.push(0);
}

fn push_sent_by(key: &mut Vec<u8>, via: &Via) {
    let start = key.len();
    push(key, &via.host.to_string());
    key[start..].make_ascii_lowercase();
    key.extend_from_slice(&via.port.unwrap_or_default().to_be_bytes());
}
