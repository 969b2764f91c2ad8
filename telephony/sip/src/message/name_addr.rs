//! `"name" <uri>;params`, the shape of From, To, Contact, Route, Refer-To and their kin.

use std::borrow::Cow;
use std::fmt;

use super::grammar;
use super::params::{self, Params};
use super::uri::{Uri, UriError};

/// A name-addr or addr-spec with header parameters (RFC 3261 20.10).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NameAddr {
    /// As written, quotes included; bytes, because devices send Latin-1 here.
    display: Box<[u8]>,
    pub uri: Uri,
    /// Those of the header, not of the URI.
    pub params: Params,
}

/// Why a text is no name-addr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameAddrError {
    #[error("a quoted string never closes")]
    OpenQuote,
    #[error("`<` without `>`")]
    OpenAngle,
    #[error("the display name needs quotes")]
    Display,
    #[error("header parameters are malformed")]
    Params,
    #[error("a URI with `,`, `;` or `?` needs angle brackets")]
    BareUri,
    #[error(transparent)]
    Uri(#[from] UriError),
}

impl NameAddr {
    pub fn new(uri: Uri) -> Self {
        Self {
            display: Box::default(),
            uri,
            params: Params::default(),
        }
    }

    /// Sets the display name, given plain; it is quoted on the wire.
    #[must_use]
    pub fn with_display(mut self, name: &str) -> Self {
        let mut quoted = String::new();
        if !name.is_empty() {
            grammar::quote(name, &mut quoted);
        }
        self.display = quoted.into_bytes().into();
        self
    }

    #[must_use]
    pub fn with_param(mut self, name: &str, value: Option<&str>) -> Self {
        self.params.set(name, value);
        self
    }

    #[must_use]
    pub fn with_tag(self, tag: &str) -> Self {
        self.with_param("tag", Some(tag))
    }

    /// Reads one element, without list commas around it.
    pub fn parse(text: &[u8]) -> Result<Self, NameAddrError> {
        let parts = Parts::read(text)?;
        Ok(Self {
            display: parts.display.into(),
            uri: Uri::parse(parts.uri)?,
            params: Params::parse(parts.params).ok_or(NameAddrError::Params)?,
        })
    }

    /// Judges without building.
    pub(crate) fn check(text: &[u8]) -> Result<(), NameAddrError> {
        let parts = Parts::read(text)?;
        Uri::check(parts.uri)?;
        params::check(parts.params)
            .map(drop)
            .ok_or(NameAddrError::Params)
    }

    /// The display name without quotes and escapes; foreign bytes show as replacement characters.
    pub fn display(&self) -> Cow<'_, str> {
        match String::from_utf8_lossy(&self.display) {
            Cow::Borrowed(text) => grammar::unquote(text),
            Cow::Owned(text) => Cow::Owned(grammar::unquote(&text).into_owned()),
        }
    }

    pub fn tag(&self) -> Option<&str> {
        self.params.value("tag")
    }

    /// Appends the wire form.
    pub fn write(&self, out: &mut Vec<u8>) {
        if !self.display.is_empty() {
            out.extend_from_slice(&self.display);
            out.push(b' ');
        }
        out.push(b'<');
        out.extend_from_slice(self.uri.as_str().as_bytes());
        out.push(b'>');
        out.extend_from_slice(self.params.as_str().as_bytes());
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        self.write(&mut out);
        out
    }
}

/// The parts of a name-addr or addr-spec, still lying in its text; URI and parameters are not
/// judged yet.
struct Parts<'a> {
    display: &'a [u8],
    uri: &'a [u8],
    params: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(text: &'a [u8]) -> Result<Self, NameAddrError> {
        let text = grammar::trim(text);
        let quoted = match text.first() {
            Some(b'"') => grammar::quoted_len(text).ok_or(NameAddrError::OpenQuote)?,
            _ => 0,
        };
        let Some(open) = text[quoted..].iter().position(|b| *b == b'<') else {
            return if quoted == 0 {
                Self::read_bare(text)
            } else {
                Err(NameAddrError::OpenAngle)
            };
        };
        let (before, inside) = (&text[..quoted + open], &text[quoted + open + 1..]);
        let display = match quoted {
            0 => plain_display(before)?,
            _ if grammar::trim(&before[quoted..]).is_empty() => &before[..quoted],
            _ => return Err(NameAddrError::Display),
        };
        let close = inside
            .iter()
            .position(|b| *b == b'>')
            .ok_or(NameAddrError::OpenAngle)?;
        Ok(Self {
            display,
            uri: &inside[..close],
            params: &inside[close + 1..],
        })
    }

    /// Without brackets all parameters belong to the header, and the URI may hold no comma and no
    /// question mark (RFC 3261 20.10, 20.20, 20.39).
    fn read_bare(text: &'a [u8]) -> Result<Self, NameAddrError> {
        let end = text.iter().position(|b| *b == b';').unwrap_or(text.len());
        let uri = grammar::trim_end(&text[..end]);
        if uri.iter().any(|b| matches!(b, b'?' | b',')) {
            return Err(NameAddrError::BareUri);
        }
        Ok(Self {
            display: b"",
            uri,
            params: &text[end..],
        })
    }
}

/// `*(token LWS)`, widened by what devices write unquoted: any text byte, but nothing that could
/// be taken for structure.
fn plain_display(text: &[u8]) -> Result<&[u8], NameAddrError> {
    let text = grammar::trim(text);
    let odd =
        |b: &u8| matches!(b, b',' | b';' | b':' | b'"' | b'<' | b'>') || *b < b' ' && *b != b'\t';
    if text.iter().any(odd) {
        Err(NameAddrError::Display)
    } else {
        Ok(text)
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

impl fmt::Debug for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
