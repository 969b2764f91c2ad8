//! What speaks against a request whoever sent it (RFC 3261 8.2.1 to 8.2.3).

use super::core::{ALLOW, Core, EXTENSIONS};
use crate::message::{HeaderName, Method, Request, Scheme, StatusCode, Via};
use crate::transaction::{Envelope, MergeKey};

/// A refusal: the code, and the header that tells the sender what would do.
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) header: Option<(HeaderName, String)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode) -> Self {
        Self {
            status,
            header: None,
        }
    }

    pub(super) fn with(status: StatusCode, name: HeaderName, value: impl Into<String>) -> Self {
        Self {
            status,
            header: Some((name, value.into())),
        }
    }
}

pub(super) fn judge(
    request: &Request,
    envelope: &Envelope,
    merge: Option<&MergeKey>,
    core: &mut Core,
) -> Result<(), Refusal> {
    let refused = &mut core.counters.refused;
    if matches!(request.method, Method::Other(_) | Method::Publish) {
        refused.unsupported += 1;
        return Err(Refusal::with(
            StatusCode::METHOD_NOT_ALLOWED,
            HeaderName::Allow,
            ALLOW,
        ));
    }
    if request.uri.scheme() == Scheme::Other {
        refused.unsupported += 1;
        return Err(Refusal::new(StatusCode::UNSUPPORTED_URI_SCHEME));
    }
    if envelope.to_tag.is_none() {
        judge_way(request, merge, core)?;
    }
    judge_extensions(request, core)?;
    judge_body(request, core)
}

/// Loops and merges, which only requests outside dialogs can suffer.
fn judge_way(request: &Request, merge: Option<&MergeKey>, core: &mut Core) -> Result<(), Refusal> {
    // A gateway sends most of these on, so a spent one must end here (RFC 3261 16.3).
    let goes_on = !matches!(request.method, Method::Options | Method::Register);
    if goes_on && request.headers.max_forwards() == Ok(Some(0)) {
        core.counters.refused.loops += 1;
        return Err(Refusal::new(StatusCode::TOO_MANY_HOPS));
    }
    // RFC 3261 8.2.2.2
    let merged = merge.is_some_and(|merge| core.table.is_merged(merge));
    let mut passed = request.headers.elements(HeaderName::Via).skip(1);
    let looped = passed.any(|via| Via::parse(via).is_ok_and(|via| core.table.is_ours(&via)));
    if merged || looped {
        core.counters.refused.loops += 1;
        return Err(Refusal::new(StatusCode::LOOP_DETECTED));
    }
    Ok(())
}

/// RFC 3261 8.2.2.3. The registrar judges for itself.
fn judge_extensions(request: &Request, core: &mut Core) -> Result<(), Refusal> {
    if request.method == Method::Register {
        return Ok(());
    }
    let unknown = |tag: &str| !EXTENSIONS.iter().any(|ours| tag.eq_ignore_ascii_case(ours));
    let tags: Vec<_> = request
        .headers
        .require()
        .filter(|tag| unknown(tag))
        .collect();
    if tags.is_empty() {
        return Ok(());
    }
    core.counters.refused.unsupported += 1;
    Err(Refusal::with(
        StatusCode::BAD_EXTENSION,
        HeaderName::Unsupported,
        tags.join(", "),
    ))
}

/// RFC 3261 8.2.3: bodies that carry offers and answers must be ones we can read.
fn judge_body(request: &Request, core: &mut Core) -> Result<(), Refusal> {
    let headers = &request.headers;
    if !matches!(
        request.method,
        Method::Invite | Method::Update | Method::Prack
    ) || request.body.is_empty()
    {
        return Ok(());
    }
    let encoded = headers
        .get(HeaderName::ContentEncoding)
        .is_some_and(|value| !value.eq_ignore_ascii_case(b"identity"));
    let known = headers
        .content_type()
        .ok()
        .flatten()
        .is_none_or(|kind| kind.is("application/sdp"));
    let optional = headers
        .content_disposition()
        .ok()
        .flatten()
        .is_some_and(|disposition| disposition.params.value("handling") == Some("optional"));
    if optional || (known && !encoded) {
        return Ok(());
    }
    core.counters.refused.unsupported += 1;
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Err(if encoded {
        Refusal::with(status, HeaderName::AcceptEncoding, "identity")
    } else {
        Refusal::with(status, HeaderName::Accept, "application/sdp")
    })
}
