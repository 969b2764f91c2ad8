//! Finds the parts of a URI in its text and judges them. Allocates nothing.

use super::{Scheme, UriError};
use crate::message::grammar;
use crate::message::host::HostRef;
use crate::message::params;

/// Where the parts of a URI lie in its text.
pub(super) struct Layout<'a> {
    pub(super) scheme: Scheme,
    pub(super) user: Span,
    pub(super) host: Option<HostRef<'a>>,
    pub(super) port: Option<u16>,
    pub(super) params: Span,
    pub(super) headers: Span,
}

impl<'a> Layout<'a> {
    /// Judges the whole text; gives it back as the UTF-8 it is.
    pub(super) fn read(text: &'a [u8]) -> Result<(&'a str, Self), UriError> {
        if text.len() > MAX_LEN || text.iter().any(|b| FORBIDDEN[usize::from(*b)]) {
            return Err(UriError::Character);
        }
        let text = str::from_utf8(text).map_err(|_| UriError::Character)?;
        let colon = text
            .bytes()
            .position(|b| b == b':')
            .ok_or(UriError::NoScheme)?;
        let name = &text[..colon];
        let scheme_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.bytes().all(scheme_byte) {
            return Err(UriError::NoScheme);
        }
        let layout = match scheme(name) {
            scheme @ (Scheme::Sip | Scheme::Sips) => Self::read_sip(text, scheme, colon + 1)?,
            Scheme::Tel => Self::read_tel(text, colon + 1)?,
            Scheme::Other => Self {
                user: Span::new(colon + 1, text.len()),
                ..Self::empty(Scheme::Other)
            },
        };
        Ok((text, layout))
    }

    /// RFC 3261 25.1 `SIP-URI`; `at` is behind the scheme's colon.
    fn read_sip(text: &'a str, scheme: Scheme, at: usize) -> Result<Self, UriError> {
        let mut layout = Self::empty(scheme);
        // `;` and `?` may stand in a user part, `@` may not stand anywhere else unescaped. Some
        // gateways write `sip:@host` for a caller without a number.
        let host_at = match text[at..].bytes().position(|b| b == b'@') {
            Some(found) => {
                layout.user = Span::new(at, at + found);
                at + found + 1
            }
            None => at,
        };
        let rest = &text[host_at..];
        let host_len = match rest.strip_prefix('[') {
            Some(inside) => inside.find(']').ok_or(UriError::Host)? + 2,
            None => until(rest, b":;?"),
        };
        layout.host = Some(HostRef::parse(&rest[..host_len]).ok_or(UriError::Host)?);
        let mut end = host_at + host_len;
        if let Some(port) = text[end..].strip_prefix(':') {
            let len = until(port, b";?");
            layout.port = Some(parse_port(&port.as_bytes()[..len]).ok_or(UriError::Port)?);
            end += 1 + len;
        }
        let headers_at = end + until(&text[end..], b"?");
        if headers_at > end && !text[end..].starts_with(';') {
            return Err(UriError::Host);
        }
        check_params(&text[end..headers_at])?;
        layout.params = Span::new(end, headers_at);
        layout.headers = Span::new((headers_at + 1).min(text.len()), text.len());
        Ok(layout)
    }

    /// RFC 3966: the number, then parameters. The number is not judged here.
    fn read_tel(text: &'a str, at: usize) -> Result<Self, UriError> {
        let params_at = at + until(&text[at..], b";");
        if params_at == at {
            return Err(UriError::Number);
        }
        check_params(&text[params_at..])?;
        Ok(Self {
            user: Span::new(at, params_at),
            params: Span::new(params_at, text.len()),
            ..Self::empty(Scheme::Tel)
        })
    }

    fn empty(scheme: Scheme) -> Self {
        let none = Span::default();
        Self {
            scheme,
            user: none,
            host: None,
            port: None,
            params: none,
            headers: none,
        }
    }
}

/// What would end a request line, a header or a pair of angle brackets.
const FORBIDDEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = b <= 0x20 || matches!(b as u8, b'<' | b'>' | b'"' | 0x7f);
        b += 1;
    }
    table
};

/// A range of a URI's text.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

/// So that offsets fit a [`Span`].
const MAX_LEN: usize = u32::MAX as usize;

impl Span {
    /// Offsets fit: [`Layout::read`] refuses longer texts first.
    fn new(start: usize, end: usize) -> Self {
        Self {
            start: start as u32,
            end: end as u32,
        }
    }

    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }

    pub(super) fn of(self, text: &str) -> &str {
        &text[self.start as usize..self.end as usize]
    }
}

/// A port as it stands behind a host; zero cannot be reached and is refused.
pub(crate) fn parse_port(text: &[u8]) -> Option<u16> {
    grammar::parse_u32(text)
        .and_then(|n| u16::try_from(n).ok())
        .filter(|n| *n != 0)
}

fn scheme(name: &str) -> Scheme {
    let known = [
        ("sip", Scheme::Sip),
        ("sips", Scheme::Sips),
        ("tel", Scheme::Tel),
    ];
    let found = known
        .into_iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map_or(Scheme::Other, |(_, scheme)| scheme)
}

/// A trailing `;` is let pass, a parameter without name is not.
fn check_params(text: &str) -> Result<(), UriError> {
    match text.strip_prefix(';') {
        None | Some("") => Ok(()),
        Some(listed) => {
            let mut named = params::pieces(listed.strip_suffix(';').unwrap_or(listed));
            if named.all(|(name, _)| !name.is_empty()) {
                Ok(())
            } else {
                Err(UriError::Params)
            }
        }
    }
}

/// The length of `text` up to the first of `ends`.
fn until(text: &str, ends: &[u8]) -> usize {
    text.bytes()
        .position(|b| ends.contains(&b))
        .unwrap_or(text.len())
}
