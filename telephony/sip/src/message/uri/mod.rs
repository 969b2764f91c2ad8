//! URIs: `sip`, `sips`, `tel`, and any other kept opaque.
//!
//! A [`Uri`] keeps its text as received, so escapes survive a round trip unchanged, and knows where
//! its parts lie. It never resolves anything. Invariant: the text holds no white space, no control
//! character and none of `<`, `>`, `"`, so it can stand in a request line or between angle brackets.

mod equivalence;
mod escape;
mod layout;

use std::borrow::Cow;
use std::fmt;

use super::host::Host;
use super::params::pieces;
use escape::{HEADER_PLAIN, PARAM_PLAIN, USER_PLAIN, escape, unescape};
use layout::{Layout, Span};

pub(crate) use layout::parse_port;

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
        self.params().find(|(n, _)| n.eq_ignore_ascii_case(name))?.1
    }

    pub fn has_param(&self, name: &str) -> bool {
        self.params().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    /// `lr` (RFC 3261 19.1.1): the next hop is a loose router.
    pub fn is_loose_router(&self) -> bool {
        self.has_param("lr")
    }

    /// Names and values as written; the value of a flag is `None`.
    pub fn params(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let text = self
            .slice(self.params)
            .strip_prefix(';')
            .unwrap_or_default();
        pieces(text).filter(|(name, _)| !name.is_empty())
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
        for (n, v) in self.params() {
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
        for (n, v) in self.params().filter(|(n, _)| !n.eq_ignore_ascii_case(name)) {
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
            // What stands before the first `@` is the user; so is nothing, where one follows.
            Scheme::Sip | Scheme::Sips
                if !self.user.is_empty() || params.contains('@') || headers.contains('@') =>
            {
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

    fn slice(&self, span: Span) -> &str {
        span.of(&self.text)
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

fn push_param(out: &mut String, name: &str, value: Option<&str>) {
    out.push(';');
    out.push_str(name);
    if let Some(value) = value {
        out.push('=');
        out.push_str(value);
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
