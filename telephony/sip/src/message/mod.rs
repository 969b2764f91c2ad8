//! SIP messages: parsing, typed views, building and writing (RFC 3261 7, 19, 20, 25).
//!
//! Tolerant in what devices send (compact forms, folding, odd white space and case), exact in what
//! is dangerous (lengths, repeated mandatory headers, CSeq, line breaks). It keeps no state and
//! knows no transaction. Invariant: what [`parse_datagram`] accepts has a readable top Via, From,
//! To, Call-ID and CSeq, and can be written again.

mod access;
mod error;
pub(crate) mod grammar;
mod header_name;
mod headers;
mod host;
mod method;
mod name_addr;
mod params;
mod parse;
mod status;
mod uri;
mod values;
mod via;
mod write;

pub use access::{Contacts, HeaderError, HeaderFault};
pub use error::{Fault, ParseError, Salvage};
pub use header_name::{HeaderName, OtherName};
pub use headers::Headers;
pub use host::Host;
pub use method::{ExtensionMethod, Method};
pub use name_addr::{NameAddr, NameAddrError};
pub use params::Params;
pub(crate) use parse::OpenMessage;
pub use parse::{Limits, parse_datagram};
pub use status::StatusCode;
pub use uri::{Scheme, Uri, UriError};
pub use values::{CSeq, Parametrised, RAck, Reason, Refresher, Replaces, SessionExpires};
pub use via::{Via, ViaError, ViaTransport};

use bytes::Bytes;

/// A request or a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Request(Request),
    Response(Response),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    pub uri: Uri,
    pub headers: Headers,
    /// `Content-Length` is written from this; a header set by hand is ignored.
    pub body: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: StatusCode,
    /// As received or set; may be empty. Not always UTF-8.
    pub reason: Bytes,
    pub headers: Headers,
    /// `Content-Length` is written from this; a header set by hand is ignored.
    pub body: Bytes,
}

impl Message {
    pub fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }

    pub fn headers_mut(&mut self) -> &mut Headers {
        match self {
            Self::Request(request) => &mut request.headers,
            Self::Response(response) => &mut response.headers,
        }
    }

    pub fn body(&self) -> &Bytes {
        match self {
            Self::Request(request) => &request.body,
            Self::Response(response) => &response.body,
        }
    }
}

impl Request {
    /// A request without headers.
    pub fn new(method: Method, uri: Uri) -> Self {
        Self {
            method,
            uri,
            headers: Headers::new(),
            body: Bytes::new(),
        }
    }

    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(name, value);
        self
    }

    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.headers.replace(HeaderName::ContentType, content_type);
        self.body = body.into();
        self
    }
}

impl Response {
    /// A response without headers, with the usual reason phrase.
    pub fn new(status: StatusCode) -> Self {
        let reason = Bytes::from_static(status.reason().as_bytes());
        Self {
            status,
            reason,
            headers: Headers::new(),
            body: Bytes::new(),
        }
    }

    /// The response to a request: Via, From, To, Call-ID and CSeq as received (RFC 3261 8.2.6.2),
    /// Timestamp in a 100 (8.2.6.1), Record-Route where a dialog may come of it (12.1.1).
    pub fn answering(request: &Request, status: StatusCode) -> Self {
        Self::echoing(&request.headers, status)
    }

    /// As [`Response::answering`], from the headers alone: all that is left of a broken request.
    pub fn echoing(request: &Headers, status: StatusCode) -> Self {
        let mut headers = request.sharing();
        for name in [
            HeaderName::Via,
            HeaderName::From,
            HeaderName::To,
            HeaderName::CallId,
            HeaderName::CSeq,
        ] {
            headers.echo(request, &name);
        }
        if status == StatusCode::TRYING {
            headers.echo(request, &HeaderName::Timestamp);
        } else if status.code() < 300 {
            headers.echo(request, &HeaderName::RecordRoute);
        }
        Self {
            headers,
            ..Self::new(status)
        }
    }

    /// Sets the To tag unless the request brought one (RFC 3261 8.2.6.2).
    #[must_use]
    pub fn with_to_tag(mut self, tag: &str) -> Self {
        if let Ok(to) = self.headers.to()
            && to.tag().is_none()
            && let Some(value) = self.headers.get(HeaderName::To)
        {
            // Behind an addr-spec too a parameter belongs to the header (RFC 3261 20.10). A
            // trailing `;` was let pass, an empty parameter would not be.
            let whole = grammar::trim_end(value.strip_suffix(b";").unwrap_or(value));
            let value = [whole, b";tag=", tag.as_bytes()].concat();
            self.headers.replace(HeaderName::To, value);
        }
        self
    }

    #[must_use]
    pub fn with_reason(mut self, reason: &str) -> Self {
        self.reason = Bytes::copy_from_slice(reason.as_bytes());
        self
    }

    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(name, value);
        self
    }

    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.headers.replace(HeaderName::ContentType, content_type);
        self.body = body.into();
        self
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Self {
        Self::Response(response)
    }
}
