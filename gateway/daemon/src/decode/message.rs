//! A SIP message as JSON: what the parser made of it, or where and why it refuses.

use serde::Serialize;
use sip::message::{
    Fault, HeaderName, Headers, Limits, Message, NameAddr, ParseError, Uri, parse_datagram,
};

use super::Verdict;
use super::description::DescriptionView;
use super::lines::{AcdpView, CallControl, L1oipView, LapdView, OpenLinkView, TableView};

/// What became of one thing that was recognised.
#[derive(Debug, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub(super) enum Judgement {
    Understood(Box<Understood>),
    Refused(Refused),
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Understood {
    SipRequest(RequestView),
    SipResponse(ResponseView),
    Sdp(DescriptionView),
    OpenLink(OpenLinkView),
    Acdp(AcdpView),
    Lapd(LapdView),
    Q931(CallControl),
    L1oip(L1oipView),
    Table(TableView),
}

/// Where and why something was refused.
#[derive(Debug, Serialize)]
pub(super) struct Refused {
    pub(super) kind: &'static str,
    /// First byte of what is wrong, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) offset: Option<usize>,
    pub(super) why: String,
    /// The response that its sender would get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) answer: Option<u16>,
}

#[derive(Debug, Serialize)]
pub(super) struct RequestView {
    method: String,
    uri: UriView,
    #[serde(flatten)]
    common: CommonView,
}

#[derive(Debug, Serialize)]
pub(super) struct ResponseView {
    status: u16,
    reason: String,
    #[serde(flatten)]
    common: CommonView,
}

/// What requests and responses have in common.
#[derive(Debug, Serialize)]
struct CommonView {
    call_id: Option<String>,
    cseq: Option<CSeqView>,
    from: Option<AddressView>,
    to: Option<AddressView>,
    via: Vec<String>,
    /// All header fields in their order, by their full names.
    headers: Vec<HeaderView>,
    body_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    sdp: Option<DescriptionView>,
    /// Why the description in the body cannot be used, though the message can.
    #[serde(skip_serializing_if = "Option::is_none")]
    sdp_refused: Option<String>,
}

#[derive(Debug, Serialize)]
struct CSeqView {
    number: u32,
    method: String,
}

#[derive(Debug, Serialize)]
struct HeaderView {
    name: String,
    value: String,
}

#[derive(Debug, Serialize)]
struct AddressView {
    #[serde(skip_serializing_if = "String::is_empty")]
    display: String,
    uri: UriView,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
}

#[derive(Debug, Serialize)]
struct UriView {
    text: String,
    scheme: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

impl Judgement {
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Understood(_) => Verdict::Understood,
            Self::Refused(_) => Verdict::Refused,
        }
    }
}

/// Whether the first line is that of a request or a response, however wrong.
pub(super) fn looks_like_sip(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let line = text.split(|byte| matches!(byte, b'\r' | b'\n')).next();
    let line = line.unwrap_or_default();
    line.starts_with(b"SIP/") || line.windows(5).any(|part| part == b" SIP/")
}

/// Judges a datagram as the gateway would.
pub(super) fn judge_datagram(datagram: &[u8]) -> Judgement {
    match parse_datagram(datagram, &Limits::default()) {
        Ok(message) => understood(&message),
        Err(error) => refused(&error),
    }
}

/// Whether a datagram is something else altogether, and nothing is to be said about it.
pub(super) fn is_no_sip(datagram: &[u8]) -> bool {
    let error = parse_datagram(datagram, &Limits::default()).err();
    error.is_some_and(|error| is_foreign(&error.fault) && !looks_like_sip(datagram))
}

/// Faults of a first line that need not be one of SIP.
pub(super) fn is_foreign(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::NotSip | Fault::Empty | Fault::StatusLine | Fault::Version | Fault::RequestLine
    )
}

pub(super) fn understood(message: &Message) -> Judgement {
    let common = common(message.headers(), message.body());
    Judgement::Understood(Box::new(match message {
        Message::Request(request) => Understood::SipRequest(RequestView {
            method: request.method.as_str().to_owned(),
            uri: uri(&request.uri),
            common,
        }),
        Message::Response(response) => Understood::SipResponse(ResponseView {
            status: response.status.code(),
            reason: lossy(&response.reason),
            common,
        }),
    }))
}

pub(super) fn refused(error: &ParseError) -> Judgement {
    Judgement::Refused(Refused {
        kind: "sip",
        offset: Some(error.offset),
        why: error.fault.to_string(),
        answer: error.reply().map(|reply| reply.status.code()),
    })
}

fn common(headers: &Headers, body: &[u8]) -> CommonView {
    let content_type = headers.content_type().ok().flatten();
    let is_sdp = content_type.is_some_and(|content| content.is("application/sdp"));
    let (sdp, sdp_refused) = match is_sdp.then(|| DescriptionView::read(body)) {
        None => (None, None),
        Some(Ok(sdp)) => (Some(sdp), None),
        Some(Err(error)) => (None, Some(error.to_string())),
    };
    CommonView {
        call_id: headers.call_id().ok().map(str::to_owned),
        cseq: headers.cseq().ok().map(|cseq| CSeqView {
            number: cseq.number,
            method: cseq.method.as_str().to_owned(),
        }),
        from: headers.from().ok().map(|from| address(&from)),
        to: headers.to().ok().map(|to| address(&to)),
        via: headers
            .vias()
            .map(|vias| vias.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        headers: headers
            .iter()
            .map(|(name, value)| header(name, value))
            .collect(),
        body_bytes: body.len(),
        sdp,
        sdp_refused,
    }
}

fn header(name: &HeaderName, value: &[u8]) -> HeaderView {
    let secret = matches!(
        name,
        HeaderName::Authorization | HeaderName::ProxyAuthorization
    );
    HeaderView {
        name: name.as_str().to_owned(),
        value: match secret {
            true => "[redacted]".to_owned(),
            false => lossy(value),
        },
    }
}

fn address(address: &NameAddr) -> AddressView {
    AddressView {
        display: address.display().into_owned(),
        uri: uri(&address.uri),
        tag: address.tag().map(str::to_owned),
    }
}

fn uri(uri: &Uri) -> UriView {
    UriView {
        text: uri.as_str().to_owned(),
        scheme: uri.scheme_str().to_owned(),
        user: uri.user().map(str::to_owned),
        host: uri.host().map(ToString::to_string),
        port: uri.port(),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
