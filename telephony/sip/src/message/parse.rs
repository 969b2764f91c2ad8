//! From bytes to a message: one pass over the lines, then judgement of the mandatory headers.
//!
//! Lengths are compared, never added unchecked; every cost is bounded by [`Limits`]. The first
//! fault is reported, but the remaining lines are still read, so that an answer can be built.

use std::ops::Range;

use bytes::Bytes;

use super::access::{HeaderError, HeaderFault};
use super::error::{Fault, ParseError};
use super::grammar;
use super::header_name::HeaderName;
use super::headers::Headers;
use super::method::Method;
use super::status::StatusCode;
use super::uri::Uri;
use super::{Message, Request, Response};

/// What one message may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Whole message, in bytes.
    pub message: usize,
    /// Start line and headers, in bytes.
    pub head: usize,
    /// Header lines.
    pub headers: usize,
    /// Request-URI, in bytes.
    pub uri: usize,
    pub body: usize,
}

impl Default for Limits {
    /// Room for what real devices send, and for all of RFC 4475.
    fn default() -> Self {
        Self {
            message: 65_535,
            head: 16_384,
            headers: 128,
            uri: 2_048,
            body: 49_152,
        }
    }
}

/// Parses one datagram: one message, whose body without Content-Length runs to the end, and behind
/// whose Content-Length anything is discarded (RFC 3261 18.3).
pub fn parse_datagram(datagram: &[u8], limits: &Limits) -> Result<Message, ParseError> {
    let blank = datagram
        .iter()
        .take_while(|b| matches!(b, b'\r' | b'\n'))
        .count();
    let message = &datagram[blank..];
    if message.is_empty() {
        return Err(ParseError::new(Fault::Empty, 0));
    }
    let open = OpenMessage::read(message, limits).map_err(|error| error.moved(blank))?;
    let body = open.body_of_datagram();
    open.close(body, limits).map_err(|error| error.moved(blank))
}

/// A message whose head is read and whose body is not decided yet.
#[derive(Debug)]
pub(crate) struct OpenMessage {
    start: StartLine,
    head: Head,
}

impl OpenMessage {
    /// Reads the head `message` begins with. `Err` when it is no SIP at all.
    pub(crate) fn read(message: &[u8], limits: &Limits) -> Result<Self, ParseError> {
        let line_end = memchr::memchr2(b'\r', b'\n', message).unwrap_or(message.len());
        let start = StartLine::read(&message[..line_end], limits)
            .map_err(|fault| ParseError::new(fault, 0))?;
        Ok(Self {
            start,
            head: Head::read(message, line_end, limits),
        })
    }

    /// The length of the body on a stream, where it must be said (RFC 3261 18.3, 20.14); `Err`
    /// when nobody can know where the next message begins.
    pub(crate) fn body_on_stream(&self) -> Result<u64, Fault> {
        match &self.head.fault {
            Some((fault, _)) if self.head.unframed => Err(fault.clone()),
            Some(_) | None => self.head.content_length()?.ok_or(Fault::NoContentLength),
        }
    }

    /// The body in a datagram: what Content-Length says, or all that is there.
    fn body_of_datagram(&self) -> Result<Bytes, Fault> {
        let Head { body_at, end, .. } = self.head;
        let there = end - body_at;
        let length = match self.head.content_length()? {
            None => there,
            Some(said) => match usize::try_from(said) {
                Ok(length) if length <= there => length,
                _ => return Err(Fault::CutShort { said, there }),
            },
        };
        Ok(self.head.headers.received(body_at..body_at + length))
    }

    /// Judges all there is. The body's fault is the last to be told.
    pub(crate) fn close(
        self,
        body: Result<Bytes, Fault>,
        limits: &Limits,
    ) -> Result<Message, ParseError> {
        let Self { start, head } = self;
        let judge = |method| -> Result<Bytes, ParseError> {
            head.judge(method)
                .map_err(|(fault, offset)| ParseError::new(fault, offset))?;
            match body {
                Ok(body) if body.len() <= limits.body => Ok(body),
                Ok(_) => Err(ParseError::new(
                    Fault::BodyTooLong { limit: limits.body },
                    head.body_at,
                )),
                Err(fault) => Err(ParseError::new(
                    fault,
                    head.place(&HeaderName::ContentLength),
                )),
            }
        };
        match start {
            StartLine::Request { method, uri } => match judge(Some(&method)) {
                Ok(body) => Ok(Request {
                    method,
                    uri,
                    headers: head.headers,
                    body,
                }
                .into()),
                Err(error) => Err(error.with_salvage(method, head.headers)),
            },
            StartLine::Response { status, reason } => {
                let body = judge(None)?;
                let reason = head.headers.received(reason);
                Ok(Response {
                    status,
                    reason,
                    headers: head.headers,
                    body,
                }
                .into())
            }
            StartLine::Refused { method, fault } => {
                Err(ParseError::new(fault, 0).with_salvage(method, head.headers))
            }
        }
    }

    /// Gives the message up for `fault`.
    pub(crate) fn refuse(self, fault: Fault) -> ParseError {
        let error = ParseError::new(fault, self.head.body_at);
        match self.start {
            StartLine::Request { method, .. } | StartLine::Refused { method, .. } => {
                error.with_salvage(method, self.head.headers)
            }
            StartLine::Response { .. } => error,
        }
    }
}

/// A fault and its offset in the message.
type Refusal = (Fault, usize);

#[derive(Debug)]
enum StartLine {
    Request {
        method: Method,
        uri: Uri,
    },
    Response {
        status: StatusCode,
        reason: Range<usize>,
    },
    /// A request, but one that cannot be served.
    Refused {
        method: Method,
        fault: Fault,
    },
}

impl StartLine {
    /// `Err` when nothing may be answered.
    fn read(line: &[u8], limits: &Limits) -> Result<Self, Fault> {
        if is_protocol(line) {
            return Self::read_status(line);
        }
        let (method, rest) = split_at_space(line).ok_or(Fault::NotSip)?;
        let method = Method::parse(method).ok_or(Fault::NotSip)?;
        let version = grammar::trim_end(rest).rsplit(|b| *b == b' ').next();
        if !version.is_some_and(is_protocol) {
            return Err(Fault::NotSip);
        }
        Ok(match Self::read_uri(rest, limits) {
            Ok(uri) => Self::Request { method, uri },
            Err(fault) => Self::Refused { method, fault },
        })
    }

    /// RFC 3261 7.1: single spaces, no white space elsewhere.
    fn read_uri(rest: &[u8], limits: &Limits) -> Result<Uri, Fault> {
        let space = rest
            .iter()
            .rposition(|b| *b == b' ')
            .ok_or(Fault::RequestLine)?;
        let (uri, version) = (&rest[..space], &rest[space + 1..]);
        if !is_protocol(version) {
            return Err(Fault::RequestLine);
        }
        if &version[4..] != b"2.0" {
            return Err(Fault::Version);
        }
        if uri.is_empty() || uri.contains(&b' ') {
            return Err(Fault::RequestLine);
        }
        if uri.len() > limits.uri {
            return Err(Fault::UriTooLong { limit: limits.uri });
        }
        let uri = Uri::parse(uri).map_err(Fault::Uri)?;
        // RFC 3261 19.1.1: none may stand in a Request-URI; RFC 4475 3.1.2.11.
        if uri.headers().next().is_some() {
            Err(Fault::UriHeaders)
        } else {
            Ok(uri)
        }
    }

    /// RFC 3261 7.2; a missing phrase with its space is let pass.
    fn read_status(line: &[u8]) -> Result<Self, Fault> {
        let code = line
            .strip_prefix(b"SIP/2.0 ".as_slice())
            .or_else(|| line.strip_prefix(b"sip/2.0 ".as_slice()));
        let code = code.ok_or(Fault::StatusLine)?;
        let (code, reason) = split_at_space(code).unwrap_or((code, b""));
        let number = Some(code)
            .filter(|c| c.len() == 3)
            .and_then(grammar::parse_u32)
            .ok_or(Fault::StatusLine)?;
        let status = u16::try_from(number)
            .ok()
            .and_then(StatusCode::new)
            .ok_or(Fault::StatusLine)?;
        Ok(Self::Response {
            status,
            reason: line.len() - reason.len()..line.len(),
        })
    }
}

fn is_protocol(text: &[u8]) -> bool {
    text.get(..4)
        .is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/"))
}

fn split_at_space(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = text.iter().position(|b| *b == b' ')?;
    Some((&text[..space], &text[space + 1..]))
}

/// The header lines, and where the body begins.
#[derive(Debug)]
struct Head {
    headers: Headers,
    fault: Option<Refusal>,
    /// A fault is among them that leaves the end of the head or Content-Length in doubt.
    unframed: bool,
    body_at: usize,
    end: usize,
}

impl Head {
    /// Copies the message once and reads its lines; `start_end` is the end of the start line.
    /// Of a message that is too long only the beginning is read: enough for an answer.
    fn read(message: &[u8], start_end: usize, limits: &Limits) -> Self {
        let mut text = message[..message.len().min(limits.message)].to_vec();
        let (body_at, end) = (text.len(), text.len());
        let mut head = Self {
            headers: Headers::over(20),
            fault: None,
            unframed: false,
            body_at,
            end,
        };
        if message.len() > limits.message {
            head.refuse(
                Fault::MessageTooLong {
                    limit: limits.message,
                },
                0,
            );
        }
        let mut at = start_end.min(text.len());
        if let Err(fault) = line_break(&text, at) {
            head.refuse(fault, at);
        }
        while let Some(start) = next_line(&text, at) {
            if text[start..].starts_with(b"\r\n") {
                head.body_at = start + 2;
                break;
            }
            if start > limits.head {
                head.refuse(Fault::HeadTooLong { limit: limits.head }, start);
                break;
            }
            at = unfold(&mut text, start);
            if at == text.len() {
                break; // a line that was cut off says nothing reliable
            }
            if let Err(fault) = line_break(&text, at) {
                head.refuse(fault, at);
            }
            head.line(&text, start, at, limits);
        }
        if head.body_at == text.len() && !text.ends_with(b"\r\n\r\n") {
            head.refuse(Fault::NoEmptyLine, text.len());
        } else if head.body_at > limits.head {
            head.refuse(Fault::HeadTooLong { limit: limits.head }, limits.head);
        }
        head.headers.set_received(text.into());
        head
    }

    /// One unfolded header line.
    fn line(&mut self, text: &[u8], start: usize, end: usize, limits: &Limits) {
        if self.headers.len() >= limits.headers {
            return self.refuse(
                Fault::TooManyHeaders {
                    limit: limits.headers,
                },
                start,
            );
        }
        let line = &text[start..end];
        // RFC 3261 7.3.1 and 25.1 `HCOLON`: white space may stand before the colon.
        let Some((colon, name)) = line.iter().position(|b| *b == b':').and_then(|colon| {
            let name = HeaderName::parse(grammar::trim_end(&line[..colon]))?;
            Some((colon, name))
        }) else {
            return self.refuse(Fault::HeaderLine, start);
        };
        let value_end = start + grammar::trim_end(line).len();
        let value_start = value_end - grammar::trim(&line[colon + 1..]).len();
        self.headers.push_received(name, value_start, value_end);
    }

    /// Keeps the first fault.
    fn refuse(&mut self, fault: Fault, offset: usize) {
        self.unframed |= matches!(
            fault,
            Fault::HeadTooLong { .. }
                | Fault::TooManyHeaders { .. }
                | Fault::LineBreak
                | Fault::NoEmptyLine
        );
        self.fault.get_or_insert((fault, offset));
    }

    /// What makes the headers unfit whatever they are for.
    fn judge(&self, method: Option<&Method>) -> Result<(), Refusal> {
        if let Some(refusal) = &self.fault {
            return Err(refusal.clone());
        }
        let headers = &self.headers;
        let mut seen = 0u16;
        for (name, _) in headers.iter() {
            let bit = single(name).map_or(0, |single| 1 << single);
            if seen & bit != 0 {
                let again = headers.offsets(name).nth(1).unwrap_or_default();
                return Err((HeaderFault::Repeated.of(name.clone()).into(), again));
            }
            seen |= bit;
        }
        headers
            .check_mandatory()
            .map_err(|error| self.locate(error))?;
        let Some(method) = method else {
            return Ok(());
        };
        headers.max_forwards().map_err(|error| self.locate(error))?;
        // RFC 3261 8.1.1.5
        match headers.cseq() {
            Ok(cseq) if cseq.method == *method => Ok(()),
            Ok(_) | Err(_) => Err((Fault::CSeqMethod, self.place(&HeaderName::CSeq))),
        }
    }

    fn locate(&self, error: HeaderError) -> Refusal {
        let place = self.place(&error.header);
        (error.into(), place)
    }

    /// The first value of that name; the end of the headers when there is none.
    fn place(&self, name: &HeaderName) -> usize {
        self.headers.offsets(name).next().unwrap_or(self.body_at)
    }

    /// Said twice with the same value it is still unambiguous.
    fn content_length(&self) -> Result<Option<u64>, Fault> {
        let mut said = None;
        for value in self.headers.all(HeaderName::ContentLength) {
            let length = grammar::parse_u64(value).ok_or(Fault::ContentLength)?;
            if said.is_some_and(|said| said != length) {
                return Err(Fault::ContentLengthConflict);
            }
            said = Some(length);
        }
        Ok(said)
    }
}

/// Numbers the headers whose repetition would let two readers see two messages (RFC 4475 3.3.8).
fn single(name: &HeaderName) -> Option<u8> {
    Some(match name {
        HeaderName::From => 0,
        HeaderName::To => 1,
        HeaderName::CallId => 2,
        HeaderName::CSeq => 3,
        HeaderName::MaxForwards => 4,
        HeaderName::ContentType => 5,
        HeaderName::ReferTo => 6,
        HeaderName::Replaces => 7,
        HeaderName::RAck => 8,
        HeaderName::Event => 9,
        _ => return None,
    })
}

/// The start of the line behind the line end at `at`; `None` at the end of the text.
fn next_line(text: &[u8], at: usize) -> Option<usize> {
    let start = match text.get(at..)? {
        [b'\r', b'\n', ..] => at + 2,
        [_, ..] => at + 1,
        [] => return None,
    };
    (start < text.len()).then_some(start)
}

/// Whether a line ends at `at` as it must.
fn line_break(text: &[u8], at: usize) -> Result<(), Fault> {
    match text.get(at..).unwrap_or_default() {
        [] => Err(Fault::NoEmptyLine),
        [b'\r', b'\n', ..] => Ok(()),
        [..] => Err(Fault::LineBreak),
    }
}

/// Finds the end of the header line that starts at `start`; on the way folds become spaces
/// (RFC 3261 7.3.1). Stops at any other CR or LF. A NUL is let pass: quoted pairs may hold one
/// (RFC 4475 3.1.1.2).
fn unfold(text: &mut [u8], start: usize) -> usize {
    let mut at = start;
    loop {
        at += memchr::memchr2(b'\r', b'\n', &text[at..]).unwrap_or(text.len() - at);
        match &mut text[at..] {
            [cr @ b'\r', lf @ b'\n', b' ' | b'\t', ..] => (*cr, *lf) = (b' ', b' '),
            _ => return at,
        }
    }
}
