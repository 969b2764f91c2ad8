//! URIs: `sip`, `sips`, `tel`, and any other kept opaque.
//!
//! A [`Uri`] keeps its text as received, so escapes survive a round trip unchanged, and knows where
//! its parts lie. It never resolves anything. Invariant: the text holds no white space, no control
//! character and none of `<`, `>`, `"`, so it can stand in a request line or between angle brackets.

use std::borrow::Cow;
use std::fmt;

use super::grammar;
use super::host::{Host, HostRef};
use super::params::{self, Params};

/// A parsed URI. Equality is textual; see [`Uri::equivalent`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Uri {
    text: Box<str>,
    scheme: Scheme,
    /// For `tel` the number, for other schemes all behind the colon.
    user: Span,
    host: Option<Host>,
    port: Option<u16>,
    params: Span,
    headers: Span,
}

/// What a URI's scheme says about its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Sip,
    Sips,
    Tel,
    /// Any other; see [`Uri::scheme_str`].
    Other,
}

/// Why a text is no URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    #[error("no scheme before a colon")]
    NoScheme,
    #[error("a character that must be escaped in a URI")]
    Character,
    #[error("the host is missing or malformed")]
    Host,
    #[error("the port is not a number from 1 to 65535")]
    Port,
    #[error("parameters are malformed")]
    Params,
    #[error("a telephone URI without a number")]
    Number,
}

/// So that offsets fit a [`Span`].
const MAX_LEN: usize = u32::MAX as usize;

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Span {
    start: u32,
    end: u32,
}

impl Uri {
    /// Reads a URI without surrounding white space or brackets.
    pub fn parse(text: &[u8]) -> Result<Self, UriError> {
        let (text, layout) = Layout::read(text)?;
        Ok(Self {
            text: text.into(),
            scheme: layout.scheme,
            user: layout.user,
            host: layout.host.map(Into::into),
            port: layout.port,
            params: layout.params,
            headers: layout.headers,
        })
    }

    /// Judges without building.
    pub(crate) fn check(text: &[u8]) -> Result<(), UriError> {
        Layout::read(text).map(drop)
    }

    /// `sip:user@host:port`. The user is given unescaped.
    pub fn sip(user: Option<&str>, host: &Host, port: Option<u16>) -> Self {
        Self::build("sip", user, host, port)
    }

    /// `sips:user@host:port`. The user is given unescaped.
    pub fn sips(user: Option<&str>, host: &Host, port: Option<u16>) -> Self {
        Self::build("sips", user, host, port)
    }

    fn build(scheme: &str, user: Option<&str>, host: &Host, port: Option<u16>) -> Self {
        let mut text = format!("{scheme}:");
        if let Some(user) = user.filter(|u| !u.is_empty()) {
            escape(user, USER_PLAIN, &mut text);
            text.push('@');
        }
        let rest = Parts {
            host: Some(host),
            port,
            params: "",
            headers: "",
        };
        rest.write(&mut text);
        Self::parse(text.as_bytes()).expect("an escaped user and a parsed host make a URI")
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub fn scheme_str(&self) -> &str {
        self.text.split(':').next().unwrap_or_default()
    }

    pub fn is_sips(&self) -> bool {
        self.scheme == Scheme::Sips
    }

    /// The user part as written, without password; the number of a `tel` URI. `None` when empty.
    pub fn user(&self) -> Option<&str> {
        let user = self.slice(self.user);
        let user = match self.scheme {
            Scheme::Sip | Scheme::Sips => user.split(':').next().unwrap_or_default(),
            Scheme::Tel | Scheme::Other => user,
        };
        (!user.is_empty()).then_some(user)
    }

    /// The user part with escapes resolved; bytes that are not UTF-8 show as replacement characters.
    pub fn user_unescaped(&self) -> Option<Cow<'_, str>> {
        self.user().map(unescape)
    }

    /// `None` for schemes without a host.
    pub fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The value of a parameter as written; `None` when absent or a flag.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.param_iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))?
            .1
    }

    pub fn has_param(&self, name: &str) -> bool {
        self.param_iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    /// `lr` (RFC 3261 19.1.1): the next hop is a loose router.
    pub fn is_loose_router(&self) -> bool {
        self.has_param("lr")
    }

    pub fn params(&self) -> Params {
        Params::parse(self.slice(self.params).as_bytes()).unwrap_or_default()
    }

    /// Header fields carried behind `?`: names and values unescaped.
    pub fn headers(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.slice(self.headers)
            .split('&')
            .filter(|h| !h.is_empty())
            .map(|h| {
                let (name, value) = h.split_once('=').unwrap_or((h, ""));
                (unescape(name), unescape(value))
            })
    }

    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.headers()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Sets a parameter, at the place of one of the same name or at the end; `None` makes it a flag.
    /// Name and value are given unescaped. Schemes without parameters stay as they are.
    #[must_use]
    pub fn with_param(&self, name: &str, value: Option<&str>) -> Self {
        if name.is_empty() {
            return self.clone();
        }
        let mut set = String::from(";");
        escape(name, PARAM_PLAIN, &mut set);
        if let Some(value) = value {
            set.push('=');
            escape(value, PARAM_PLAIN, &mut set);
        }
        let mut set = Some(set);
        let mut params = String::new();
        for (n, v) in self.param_iter() {
            if n.eq_ignore_ascii_case(name) {
                params.extend(set.take());
            } else {
                push_param(&mut params, n, v);
            }
        }
        params.extend(set);
        self.rebuilt(self.host.as_ref(), &params, self.slice(self.headers))
    }

    #[must_use]
    pub fn without_param(&self, name: &str) -> Self {
        let mut params = String::new();
        for (n, v) in self
            .param_iter()
            .filter(|(n, _)| !n.eq_ignore_ascii_case(name))
        {
            push_param(&mut params, n, v);
        }
        self.rebuilt(self.host.as_ref(), &params, self.slice(self.headers))
    }

    /// Without `?headers`, as a Request-URI or a remote target must be (RFC 3261 19.1.1).
    #[must_use]
    pub fn without_headers(&self) -> Self {
        self.rebuilt(self.host.as_ref(), self.slice(self.params), "")
    }

    /// Adds a header behind `?`; name and value are given unescaped. Only SIP URIs can hold any.
    #[must_use]
    pub fn with_header(&self, name: &str, value: &str) -> Self {
        if self.host.is_none() {
            return self.clone();
        }
        let mut headers = self.slice(self.headers).to_owned();
        if !headers.is_empty() {
            headers.push('&');
        }
        escape(name, HEADER_PLAIN, &mut headers);
        headers.push('=');
        escape(value, HEADER_PLAIN, &mut headers);
        self.rebuilt(self.host.as_ref(), self.slice(self.params), &headers)
    }

    /// The same URI as another machine may see it: an IPv6 zone means nothing there.
    #[must_use]
    pub fn without_zone(&self) -> Self {
        match &self.host {
            Some(host) if host.zone().is_some() => {
                let host = host.clone().without_zone();
                self.rebuilt(
                    Some(&host),
                    self.slice(self.params),
                    self.slice(self.headers),
                )
            }
            Some(_) | None => self.clone(),
        }
    }

    /// Same user and password, other host and port.
    #[must_use]
    pub fn with_host(&self, host: &Host, port: Option<u16>) -> Self {
        let mut uri = self.clone();
        uri.port = port;
        uri.rebuilt(
            Some(host),
            self.slice(self.params),
            self.slice(self.headers),
        )
    }

    fn rebuilt(&self, host: Option<&Host>, params: &str, headers: &str) -> Self {
        let mut text = String::with_capacity(self.text.len() + params.len() + headers.len());
        text.push_str(self.scheme_str());
        text.push(':');
        match self.scheme {
            Scheme::Other => return self.clone(),
            Scheme::Tel => text.push_str(self.slice(self.user)),
            Scheme::Sip | Scheme::Sips if self.user.start < self.user.end => {
                text.push_str(self.slice(self.user));
                text.push('@');
            }
            Scheme::Sip | Scheme::Sips => {}
        }
        let host = host.filter(|_| self.host.is_some());
        Parts {
            host,
            port: self.port,
            params,
            headers,
        }
        .write(&mut text);
        Self::parse(text.as_bytes()).expect("parts of a URI and escaped text make a URI")
    }

    /// Equality of RFC 3261 19.1.4 (and of RFC 3966 4 for `tel`).
    pub fn equivalent(&self, other: &Self) -> bool {
        if self.scheme != other.scheme {
            return false;
        }
        match self.scheme {
            Scheme::Sip | Scheme::Sips => {
                same_escaped(self.slice(self.user), other.slice(other.user))
                    && self.port == other.port
                    && self
                        .host
                        .as_ref()
                        .zip(other.host.as_ref())
                        .is_some_and(|(a, b)| a.equivalent(b))
                    && self.params_agree(other)
                    && other.params_agree(self)
                    && self.headers_within(other)
                    && other.headers_within(self)
            }
            Scheme::Tel => {
                let digits = |uri: &Self| -> String {
                    let number = uri.slice(uri.user).chars();
                    number
                        .filter(|c| !matches!(c, '-' | '.' | '(' | ')'))
                        .map(|c| c.to_ascii_lowercase())
                        .collect()
                };
                let within = |a: &Self, b: &Self| {
                    a.param_iter().all(|(name, value)| {
                        b.has_param(name)
                            && same_caseless(
                                value.unwrap_or_default(),
                                b.param(name).unwrap_or_default(),
                            )
                    })
                };
                digits(self) == digits(other) && within(self, other) && within(other, self)
            }
            Scheme::Other => {
                self.scheme_str().eq_ignore_ascii_case(other.scheme_str())
                    && self.slice(self.user) == other.slice(other.user)
            }
        }
    }

    /// Each parameter of ours is equal in `other`, or absent there and of a kind that may be.
    fn params_agree(&self, other: &Self) -> bool {
        const NEVER_ALONE: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];
        self.param_iter().all(|(name, value)| {
            if other.has_param(name) {
                let ours = self.param(name).or(value);
                same_caseless(
                    ours.unwrap_or_default(),
                    other.param(name).unwrap_or_default(),
                )
            } else {
                !NEVER_ALONE.iter().any(|n| n.eq_ignore_ascii_case(name))
            }
        })
    }

    fn headers_within(&self, other: &Self) -> bool {
        self.headers().all(|(name, value)| {
            other
                .headers()
                .any(|(n, v)| n.eq_ignore_ascii_case(&name) && v == value)
        })
    }

    fn param_iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let text = self
            .slice(self.params)
            .strip_prefix(';')
            .unwrap_or_default();
        params::pieces(text).filter(|(name, _)| !name.is_empty())
    }

    fn slice(&self, span: Span) -> &str {
        &self.text[span.start as usize..span.end as usize]
    }
}

/// Where the parts of a URI lie in its text.
struct Layout<'a> {
    scheme: Scheme,
    user: Span,
    host: Option<HostRef<'a>>,
    port: Option<u16>,
    params: Span,
    headers: Span,
}

impl<'a> Layout<'a> {
    fn read(text: &'a [u8]) -> Result<(&'a str, Self), UriError> {
        let forbidden = |b: &u8| *b <= b' ' || matches!(b, b'<' | b'>' | b'"' | 0x7f);
        if text.len() > MAX_LEN || text.iter().any(forbidden) {
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
        let layout = match Scheme::of(name) {
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
        // `;` and `?` may stand in a user part, `@` may not stand anywhere else unescaped.
        let host_at = match text[at..].bytes().position(|b| b == b'@') {
            Some(0) => return Err(UriError::Host),
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

/// The length of `text` up to the first of `ends`.
fn until(text: &str, ends: &[u8]) -> usize {
    text.bytes()
        .position(|b| ends.contains(&b))
        .unwrap_or(text.len())
}

impl Scheme {
    fn of(name: &str) -> Self {
        if name.eq_ignore_ascii_case("sip") {
            Self::Sip
        } else if name.eq_ignore_ascii_case("sips") {
            Self::Sips
        } else if name.eq_ignore_ascii_case("tel") {
            Self::Tel
        } else {
            Self::Other
        }
    }
}

impl Span {
    /// Offsets fit: [`Layout::read`] refuses longer texts first.
    fn new(start: usize, end: usize) -> Self {
        Self {
            start: start as u32,
            end: end as u32,
        }
    }
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

/// What stands behind the user part.
struct Parts<'a> {
    host: Option<&'a Host>,
    port: Option<u16>,
    params: &'a str,
    headers: &'a str,
}

impl Parts<'_> {
    fn write(&self, out: &mut String) {
        if let Some(host) = self.host {
            out.push_str(&host.to_string());
        }
        // Zero cannot be reached and would not be read again.
        if let Some(port) = self.port.filter(|port| *port != 0) {
            out.push(':');
            out.push_str(&port.to_string());
        }
        out.push_str(self.params);
        if !self.headers.is_empty() {
            out.push('?');
            out.push_str(self.headers);
        }
    }
}

/// A port as it stands behind a host; zero cannot be reached and is refused.
pub(crate) fn parse_port(text: &[u8]) -> Option<u16> {
    grammar::parse_u32(text)
        .and_then(|n| u16::try_from(n).ok())
        .filter(|n| *n != 0)
}

/// Resolves `%HH`. A `%` that starts no escape stands for itself.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let bytes: Vec<u8> = Units(text.as_bytes()).map(|(b, _)| b).collect();
    String::from_utf8_lossy(&bytes).into_owned().into()
}

/// Bytes of a text with escapes resolved, and whether each was escaped.
struct Units<'a>(&'a [u8]);

impl Iterator for Units<'_> {
    type Item = (u8, bool);

    fn next(&mut self) -> Option<Self::Item> {
        let hex = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
        if let [b'%', high, low, rest @ ..] = self.0
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            self.0 = rest;
            return Some((high << 4 | low, true));
        }
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some((*first, false))
    }
}

/// RFC 3261 19.1.4: an escaped character equals the plain one, unless it is of the reserved set.
fn same_escaped(a: &str, b: &str) -> bool {
    let units = |text| Units(text).map(|(b, escaped)| (b, escaped && b";/?:@&=+$,".contains(&b)));
    units(a.as_bytes()).eq(units(b.as_bytes()))
}

fn same_caseless(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || unescape(a).eq_ignore_ascii_case(&unescape(b))
}

fn push_param(out: &mut String, name: &str, value: Option<&str>) {
    out.push(';');
    out.push_str(name);
    if let Some(value) = value {
        out.push('=');
        out.push_str(value);
    }
}

// What may stand unescaped beside letters and digits (RFC 3261 25.1).
const USER_PLAIN: &[u8] = b"-_.!~*'()&=+$,;?/";
const PARAM_PLAIN: &[u8] = b"-_.!~*'()[]/:&+$";
const HEADER_PLAIN: &[u8] = b"-_.!~*'()[]/?:+$";

fn escape(text: &str, plain: &[u8], out: &mut String) {
    use fmt::Write;
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || plain.contains(&b) {
            out.push(b.into());
        } else {
            write!(out, "%{b:02X}").expect("writing to a string does not fail");
        }
    }
}

impl std::str::FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}
