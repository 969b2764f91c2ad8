//! The lexical ground of RFC 3261 25.1: tokens, white space, quoted strings, list splitting.
//!
//! Works on bytes and allocates nothing. It knows no header. Invariant: line folds were turned
//! into spaces before any of this runs, so LWS is only SP and HT here.

/// `token` of RFC 3261 25.1.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| is_token_byte(*b))
}

pub(crate) const fn is_token_byte(b: u8) -> bool {
    TOKEN[b as usize]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = (b as u8).is_ascii_alphanumeric();
        b += 1;
    }
    let marks = b"-.!%*_+`'~";
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

const fn is_lws(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}

pub(crate) fn trim(text: &[u8]) -> &[u8] {
    trim_end(trim_start(text))
}

pub(crate) fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_lws(*first)
    {
        text = rest;
    }
    text
}

pub(crate) fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., last] = text
        && is_lws(*last)
    {
        text = rest;
    }
    text
}

pub(crate) fn trim_str(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// The length of the quoted string that `text` opens with, quotes included; `None` when it never
/// closes.
pub(crate) fn quoted_len(text: &[u8]) -> Option<usize> {
    debug_assert_eq!(text.first(), Some(&b'"'));
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        match text[at] {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// Finds `wanted` outside quoted strings and, when `angles` says so, outside `<...>`.
pub(crate) fn find_outside(text: &[u8], wanted: u8, angles: Angles) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let found = match angles {
            Angles::Opaque => memchr::memchr3(wanted, b'"', b'<', rest),
            Angles::Plain => memchr::memchr2(wanted, b'"', rest),
        }?;
        at += found;
        at += match rest[found] {
            b if b == wanted => return Some(at),
            b'"' => quoted_len(&text[at..])?,
            _ => memchr::memchr(b'>', &text[at..])? + 1,
        };
    }
}

/// Whether `<...>` hides separators.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Angles {
    Opaque,
    Plain,
}

/// Splits a header value at its commas (RFC 3261 7.3.1), outside quotes and angle brackets.
/// Empty elements are skipped: `a,,b` is two elements.
pub(crate) fn split_list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        loop {
            let text = rest?;
            let element = match find_outside(text, b',', Angles::Opaque) {
                Some(comma) => {
                    rest = Some(&text[comma + 1..]);
                    trim(&text[..comma])
                }
                None => {
                    rest = None;
                    trim(text)
                }
            };
            if !element.is_empty() {
                return Some(element);
            }
        }
    })
}

/// Decimal digits only, no sign, no overflow.
pub(crate) fn parse_u32(text: &[u8]) -> Option<u32> {
    parse_u64(text).and_then(|n| u32::try_from(n).ok())
}

pub(crate) fn parse_u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |n, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

/// Takes quotes and backslash escapes away from a quoted string; other text passes unchanged.
pub(crate) fn unquote(text: &str) -> std::borrow::Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) else {
        return text.into();
    };
    if !inner.contains('\\') {
        return inner.into();
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out.into()
}

/// Writes `text` as a quoted string. Line breaks and other controls become spaces, so that no
/// value can end its header line.
pub(crate) fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            _ if c.is_control() => out.push(' '),
            _ => out.push(c),
        }
    }
    out.push('"');
}
