//! Why bytes are no acceptable message, and what may be answered.

use super::access::HeaderError;
use super::{Headers, Method, Response, StatusCode, UriError};

/// A refused message: where, why, and what of it was readable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {fault}")]
pub struct ParseError {
    pub fault: Fault,
    /// Offset into the bytes given to the parser.
    pub offset: usize,
    salvage: Option<Box<Salvage>>,
}

/// What could be read of a refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvage {
    pub method: Method,
    pub headers: Headers,
}

/// What is wrong. All of it is the sender's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("nothing but line ends: a keep-alive")]
    Empty,
    #[error("not SIP: the first line is neither a request line nor a status line")]
    NotSip,
    #[error("the message is longer than {limit} bytes")]
    MessageTooLong { limit: usize },
    #[error("start line and headers are longer than {limit} bytes")]
    HeadTooLong { limit: usize },
    #[error("more than {limit} header lines")]
    TooManyHeaders { limit: usize },
    #[error("the Request-URI is longer than {limit} bytes")]
    UriTooLong { limit: usize },
    #[error("the body is longer than {limit} bytes")]
    BodyTooLong { limit: usize },
    #[error("the request line is not METHOD, one space, URI, one space, SIP/2.0")]
    RequestLine,
    #[error("Request-URI: {0}")]
    Uri(UriError),
    #[error("the Request-URI carries headers behind `?`")]
    UriHeaders,
    #[error("a SIP version other than 2.0")]
    Version,
    #[error("the status line is not SIP/2.0, a code from 100 to 699, a phrase")]
    StatusLine,
    #[error("a line without colon or with an impossible header name")]
    HeaderLine,
    #[error("a CR or LF that is not part of a CRLF")]
    LineBreak,
    #[error("no empty line ends the headers")]
    NoEmptyLine,
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("Content-Length is not a number")]
    ContentLength,
    #[error("Content-Length is given twice with different values")]
    ContentLengthConflict,
    #[error("no Content-Length, which a stream needs")]
    NoContentLength,
    #[error("Content-Length says {said} bytes, only {there} are there")]
    CutShort { said: u64, there: usize },
    #[error("CSeq names another method than the request line")]
    CSeqMethod,
}

impl Fault {
    /// The code that tells the sender of a request; `None`: discard in silence.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Empty | Self::NotSip | Self::StatusLine => None,
            Self::MessageTooLong { .. }
            | Self::HeadTooLong { .. }
            | Self::TooManyHeaders { .. } => Some(StatusCode::MESSAGE_TOO_LARGE),
            Self::UriTooLong { .. } => Some(StatusCode::REQUEST_URI_TOO_LONG),
            Self::BodyTooLong { .. } => Some(StatusCode::REQUEST_ENTITY_TOO_LARGE),
            Self::Version => Some(StatusCode::VERSION_NOT_SUPPORTED),
            Self::RequestLine
            | Self::Uri(_)
            | Self::UriHeaders
            | Self::HeaderLine
            | Self::LineBreak
            | Self::NoEmptyLine
            | Self::Header(_)
            | Self::ContentLength
            | Self::ContentLengthConflict
            | Self::NoContentLength
            | Self::CutShort { .. }
            | Self::CSeqMethod => Some(StatusCode::BAD_REQUEST),
        }
    }
}

impl ParseError {
    pub(crate) fn new(fault: Fault, offset: usize) -> Self {
        Self {
            fault,
            offset,
            salvage: None,
        }
    }

    pub(crate) fn with_salvage(mut self, method: Method, headers: Headers) -> Self {
        self.salvage = Some(Box::new(Salvage { method, headers }));
        self
    }

    /// The same, in a text with `before` more bytes in front.
    pub(crate) fn moved(mut self, before: usize) -> Self {
        self.offset += before;
        self
    }

    /// What was readable, when it was a request.
    pub fn salvage(&self) -> Option<&Salvage> {
        self.salvage.as_deref()
    }

    /// The response that may be sent to where the bytes came from, without To tag. `None` for
    /// responses, for ACK (RFC 3261 17.1.1.3: never answered), and when there is no Via or CSeq
    /// the sender could match it by.
    pub fn reply(&self) -> Option<Response> {
        let salvage = self.salvage()?;
        let has = |name| salvage.headers.has(name);
        if salvage.method == Method::Ack
            || !has(super::HeaderName::Via)
            || !has(super::HeaderName::CSeq)
        {
            return None;
        }
        Some(Response::echoing(&salvage.headers, self.fault.status()?))
    }
}
