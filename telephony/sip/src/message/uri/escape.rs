//! `%HH` escapes: resolving, writing, comparing (RFC 3261 19.1.2, 19.1.4).

use std::borrow::Cow;
use std::fmt::Write;

// What may stand unescaped beside letters and digits (RFC 3261 25.1).
pub(super) const USER_PLAIN: &[u8] = b"-_.!~*'()&=+$,;?/";
pub(super) const PARAM_PLAIN: &[u8] = b"-_.!~*'()[]/:&+$";
pub(super) const HEADER_PLAIN: &[u8] = b"-_.!~*'()[]/?:+$";

/// Appends `text`; what is neither letter, digit nor in `plain` is escaped.
pub(super) fn escape(text: &str, plain: &[u8], out: &mut String) {
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || plain.contains(&b) {
            out.push(b.into());
        } else {
            write!(out, "%{b:02X}").expect("writing to a string does not fail");
        }
    }
}

/// Resolves `%HH`. A `%` that starts no escape stands for itself.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
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
pub(super) fn same_escaped(a: &str, b: &str) -> bool {
    let units = |text| Units(text).map(|(b, escaped)| (b, escaped && b";/?:@&=+$,".contains(&b)));
    units(a.as_bytes()).eq(units(b.as_bytes()))
}

/// Equality without case, escapes resolved.
pub(super) fn same_caseless(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || unescape(a).eq_ignore_ascii_case(&unescape(b))
}
