//! `;name=value` parameters of URIs and headers, kept as written.
//!
//! The text is the storage: order, case and escapes survive, and one allocation holds them all.
//! A name given twice means its first occurrence (devices do write `;transport=tls;transport=tls`).

use std::borrow::Cow;
use std::fmt;

use super::grammar::{self, Angles};

/// Parameters, in order. Names compare without case.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Params {
    /// Empty, or `;a=1;b` with white space around `;` and `=` taken away.
    text: Box<str>,
}

impl Params {
    /// Reads what follows the first `;` included (or nothing). `None` on text that is not
    /// parameters, on an open quote, or on an empty name.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let listed = check(text)?;
        if listed.is_empty() {
            return Some(Self::default());
        }
        let mut out = String::with_capacity(listed.len() + 1);
        for (name, value) in pieces(listed) {
            push(
                &mut out,
                grammar::trim_str(name),
                value.map(grammar::trim_str),
            );
        }
        Some(Self { text: out.into() })
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// `;a=1;b`, or nothing.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        pieces(self.text.strip_prefix(';').unwrap_or_default()).filter(|(name, _)| !name.is_empty())
    }

    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    /// The value as written, quotes included; `None` when absent or without value.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?.1
    }

    /// The value without quotes and escapes.
    pub fn unquoted(&self, name: &str) -> Option<Cow<'_, str>> {
        self.value(name).map(grammar::unquote)
    }

    /// Sets or adds `name`; `None` makes it a flag. A value that is neither token nor host nor
    /// quoted string is quoted. A name that is no token is not set.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        if !grammar::is_token(name.as_bytes()) {
            return;
        }
        let mut out = String::with_capacity(self.text.len() + name.len() + 16);
        let mut done = false;
        for (n, v) in self.iter() {
            if !n.eq_ignore_ascii_case(name) {
                push(&mut out, n, v);
            } else if !done {
                done = true;
                push_checked(&mut out, name, value);
            }
        }
        if !done {
            push_checked(&mut out, name, value);
        }
        self.text = out.into();
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: Option<&str>) -> Self {
        self.set(name, value);
        self
    }

    pub fn remove(&mut self, name: &str) {
        if !self.has(name) {
            return;
        }
        let mut out = String::with_capacity(self.text.len());
        for (n, v) in self.iter().filter(|(n, _)| !n.eq_ignore_ascii_case(name)) {
            push(&mut out, n, v);
        }
        self.text = out.into();
    }
}

/// Judges parameters without keeping them; gives what stands behind the first `;`.
pub(crate) fn check(text: &[u8]) -> Option<&str> {
    let text = str::from_utf8(grammar::trim(text)).ok()?;
    if text.is_empty() {
        return Some("");
    }
    let listed = text.strip_prefix(';')?;
    if listed.is_empty() {
        return Some(listed);
    }
    // A trailing `;` is a common slip, an empty one elsewhere is not (RFC 4475 3.1.2.1).
    let listed = grammar::trim_str(listed.strip_suffix(';').unwrap_or(listed));
    let whole = pieces(listed).all(|(name, value)| {
        let name = grammar::trim_str(name);
        !name.is_empty()
            && name.bytes().all(is_plain)
            && value.is_none_or(|value| value_is_whole(grammar::trim_str(value)))
    });
    whole.then_some(listed)
}

fn push(out: &mut String, name: &str, value: Option<&str>) {
    out.push(';');
    out.push_str(name);
    if let Some(value) = value {
        out.push('=');
        out.push_str(value);
    }
}

fn push_checked(out: &mut String, name: &str, value: Option<&str>) {
    let plain = |b: u8| {
        grammar::is_token_byte(b) || matches!(b, b'[' | b']' | b':' | b'/' | b'@' | b'&' | b'$')
    };
    match value {
        Some(v) if v.bytes().all(plain) && !v.is_empty() || v_is_quoted(value) => {
            push(out, name, value);
        }
        Some(v) => {
            push(out, name, None);
            out.push('=');
            grammar::quote(v, out);
        }
        None => push(out, name, None),
    }
}

fn v_is_quoted(value: Option<&str>) -> bool {
    value.is_some_and(|v| v.starts_with('"') && grammar::quoted_len(v.as_bytes()) == Some(v.len()))
}

/// A value is one quoted string, or holds nothing that could be taken for structure. Neither holds
/// control characters, so keys made of tags and branches may be separated by NUL.
fn value_is_whole(value: &str) -> bool {
    if value.starts_with('"') {
        let controls = value.bytes().any(|b| b.is_ascii_control() && b != b'\t');
        !controls && grammar::quoted_len(value.as_bytes()) == Some(value.len())
    } else {
        value.bytes().all(is_plain)
    }
}

/// Wider than `token`: devices write addresses and URIs unquoted.
const fn is_plain(b: u8) -> bool {
    b > b' ' && b != 0x7f && !matches!(b, b'"' | b',' | b'<' | b'>')
}

pub(crate) fn pieces(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let piece = match grammar::find_outside(text.as_bytes(), b';', Angles::Plain) {
            Some(at) => {
                rest = Some(&text[at + 1..]);
                &text[..at]
            }
            None => {
                rest = None;
                text
            }
        };
        Some(match piece.bytes().position(|b| b == b'=') {
            Some(at) => (&piece[..at], Some(&piece[at + 1..])),
            None => (piece, None),
        })
    })
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}
