//! Reading `Authorization` and `WWW-Authenticate` values without copying them.
//!
//! Everything borrows from the header, because the hash covers the bytes as sent.
//! Invariant: a parameter that takes part in the hash stands there exactly once.

use std::borrow::Cow;

use super::Algorithm;

/// Why a header value is no digest credentials or challenge: the sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the header is not UTF-8")]
    Encoding,
    #[error("the scheme is not Digest")]
    Scheme,
    #[error("the header is longer than {MAX_LEN} bytes")]
    TooLong,
    #[error("a parameter is not name=value")]
    Parameter,
    #[error("{0} is given twice")]
    Repeated(&'static str),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} has a value that cannot be")]
    Value(&'static str),
}

/// Longer values are refused unread.
const MAX_LEN: usize = 2048;

/// The credentials of an `Authorization` or `Proxy-Authorization` header.
#[derive(Clone)]
pub struct Credentials<'a> {
    username: &'a str,
    pub realm: &'a str,
    pub nonce: &'a str,
    /// As written; the hash covers it so.
    pub uri: &'a str,
    pub response: &'a str,
    /// The name as written; `None` means MD5 (RFC 7616 3.4).
    pub algorithm: Option<&'a str>,
    pub qop: Option<&'a str>,
    pub cnonce: Option<&'a str>,
    /// As written; the hash covers it so.
    pub nc: Option<&'a str>,
}

impl<'a> Credentials<'a> {
    pub fn parse(value: &'a [u8]) -> Result<Self, Malformed> {
        let mut found = Found::default();
        for param in digest_params(value)? {
            let (name, value) = param?;
            found.take(name, value)?;
        }
        let credentials = Self {
            username: found.username.ok_or(Malformed::Missing("username"))?,
            realm: found.realm.ok_or(Malformed::Missing("realm"))?,
            nonce: found.nonce.ok_or(Malformed::Missing("nonce"))?,
            uri: found.uri.ok_or(Malformed::Missing("uri"))?,
            response: found.response.ok_or(Malformed::Missing("response"))?,
            algorithm: found.algorithm,
            qop: found.qop,
            cnonce: found.cnonce,
            nc: found.nc,
        };
        // RFC 7616 3.4: with qop both must be there, without it neither.
        if credentials.qop.is_some() {
            credentials.cnonce.ok_or(Malformed::Missing("cnonce"))?;
            credentials.nc.ok_or(Malformed::Missing("nc"))?;
        }
        if credentials.nc.is_some() && credentials.nonce_count().is_none() {
            return Err(Malformed::Value("nc"));
        }
        Ok(credentials)
    }

    /// The user name without the escapes of its quoted string.
    pub fn username(&self) -> Cow<'a, str> {
        unescape(self.username)
    }

    /// `None` for a name this core does not know.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
            .map_or(Some(Algorithm::Md5), Algorithm::from_name)
    }

    /// Eight hexadecimal digits (RFC 7616 3.4); `None` when absent.
    pub fn nonce_count(&self) -> Option<u32> {
        let text = self
            .nc
            .filter(|nc| nc.len() == 8 && nc.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u32::from_str_radix(text, 16).ok()
    }
}

impl std::fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            realm,
            algorithm,
            qop,
            ..
        } = self;
        write!(
            f,
            "Credentials {{ realm: {realm:?}, algorithm: {algorithm:?}, qop: {qop:?}, .. }}"
        )
    }
}

#[derive(Default)]
struct Found<'a> {
    username: Option<&'a str>,
    realm: Option<&'a str>,
    nonce: Option<&'a str>,
    uri: Option<&'a str>,
    response: Option<&'a str>,
    algorithm: Option<&'a str>,
    qop: Option<&'a str>,
    cnonce: Option<&'a str>,
    nc: Option<&'a str>,
}

impl<'a> Found<'a> {
    fn take(&mut self, name: &str, value: &'a str) -> Result<(), Malformed> {
        let fields: [(&'static str, &mut Option<&'a str>); 9] = [
            ("username", &mut self.username),
            ("realm", &mut self.realm),
            ("nonce", &mut self.nonce),
            ("uri", &mut self.uri),
            ("response", &mut self.response),
            ("algorithm", &mut self.algorithm),
            ("qop", &mut self.qop),
            ("cnonce", &mut self.cnonce),
            ("nc", &mut self.nc),
        ];
        for (known, field) in fields {
            if name.eq_ignore_ascii_case(known) {
                return match field.replace(value) {
                    Some(_) => Err(Malformed::Repeated(known)),
                    None => Ok(()),
                };
            }
        }
        Ok(())
    }
}

/// A challenge of a `WWW-Authenticate` or `Proxy-Authenticate` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// As written between the quotes.
    pub realm: Box<str>,
    pub nonce: Box<str>,
    pub opaque: Option<Box<str>>,
    /// `None` for an algorithm this core does not know.
    pub algorithm: Option<Algorithm>,
    /// Whether the header named an algorithm at all; old servers compare the answer with it.
    pub names_algorithm: bool,
    pub offered: Offered,
    /// The credentials were right, only the nonce was too old (RFC 7616 3.3).
    pub stale: bool,
}

/// What `qop` of a challenge offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// No `qop`: the form of RFC 2069.
    Legacy,
    Auth,
    /// `auth-int` alone.
    AuthInt,
    /// Something else alone: the challenge cannot be answered.
    Unknown,
}

impl Challenge {
    pub fn parse(value: &[u8]) -> Result<Self, Malformed> {
        let (mut realm, mut nonce, mut opaque, mut algorithm) = (None, None, None, None);
        let (mut qop, mut stale) = (None, false);
        for param in digest_params(value)? {
            let (name, value) = param?;
            match name {
                _ if name.eq_ignore_ascii_case("realm") => realm = Some(value),
                _ if name.eq_ignore_ascii_case("nonce") => nonce = Some(value),
                _ if name.eq_ignore_ascii_case("opaque") => opaque = Some(value),
                _ if name.eq_ignore_ascii_case("algorithm") => algorithm = Some(value),
                _ if name.eq_ignore_ascii_case("qop") => qop = Some(value),
                _ if name.eq_ignore_ascii_case("stale") => {
                    stale = value.eq_ignore_ascii_case("true");
                }
                _ => {} // domain, charset, userhash: nothing to do with them
            }
        }
        Ok(Self {
            realm: realm.ok_or(Malformed::Missing("realm"))?.into(),
            nonce: nonce.ok_or(Malformed::Missing("nonce"))?.into(),
            opaque: opaque.map(Into::into),
            algorithm: algorithm.map_or(Some(Algorithm::Md5), Algorithm::from_name),
            names_algorithm: algorithm.is_some(),
            offered: Offered::of(qop),
            stale,
        })
    }
}

impl Offered {
    fn of(qop: Option<&str>) -> Self {
        let Some(qop) = qop else {
            return Self::Legacy;
        };
        let has = |wanted: &str| {
            qop.split(',')
                .any(|q| q.trim().eq_ignore_ascii_case(wanted))
        };
        if has("auth") {
            Self::Auth
        } else if has("auth-int") {
            Self::AuthInt
        } else {
            Self::Unknown
        }
    }
}

type Param<'a> = Result<(&'a str, &'a str), Malformed>;

/// The parameters behind `Digest`, values without their quotes.
fn digest_params(value: &[u8]) -> Result<impl Iterator<Item = Param<'_>>, Malformed> {
    if value.len() > MAX_LEN {
        return Err(Malformed::TooLong);
    }
    let text = str::from_utf8(value)
        .map_err(|_| Malformed::Encoding)?
        .trim();
    let (scheme, rest) = text.split_once([' ', '\t']).ok_or(Malformed::Scheme)?;
    if !scheme.eq_ignore_ascii_case("Digest") {
        return Err(Malformed::Scheme);
    }
    let mut rest = rest;
    Ok(std::iter::from_fn(move || next_param(&mut rest)))
}

fn next_param<'a>(rest: &mut &'a str) -> Option<Param<'a>> {
    let text = rest.trim_start_matches([' ', '\t', ',']);
    if text.is_empty() {
        return None;
    }
    *rest = ""; // whatever goes wrong below ends the walk
    let Some((name, value)) = text.split_once('=') else {
        return Some(Err(Malformed::Parameter));
    };
    let (name, value) = (name.trim_end(), value.trim_start());
    let (value, behind) = match value.strip_prefix('"') {
        Some(inside) => {
            let Some(close) = closing_quote(inside) else {
                return Some(Err(Malformed::Parameter));
            };
            (&inside[..close], &inside[close + 1..])
        }
        None => value.split_at(value.find(',').unwrap_or(value.len())),
    };
    let behind = behind.trim_start();
    if name.is_empty()
        || name.contains([' ', '\t', '"', ','])
        || !(behind.is_empty() || behind.starts_with(','))
    {
        return Some(Err(Malformed::Parameter));
    }
    *rest = behind;
    Some(Ok((name, value.trim_end())))
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|b| {
        let closes = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        closes
    })
}

fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(head in "(Digest )?", value in "\\PC{0,80}", bytes: Vec<u8>) {
            let text = [head.as_bytes(), value.as_bytes(), &bytes].concat();
            if let Ok(credentials) = Credentials::parse(&text) {
                credentials.username();
                credentials.nonce_count();
            }
            let _ = Challenge::parse(&text);
        }

        #[test]
        fn parameters_are_found_in_any_order_and_spacing(
            order in Just(vec![0usize, 1, 2, 3, 4]).prop_shuffle(),
            space in "[ \t]{0,3}",
        ) {
            let params = [
                r#"username="a\"b""#,
                r#"realm="r,=x""#,
                "nonce=\"\"",
                "uri=\"sip:h\"",
                "response=00",
            ];
            let listed: Vec<_> = order.iter().map(|at| params[*at]).collect();
            let text = format!("Digest {}", listed.join(&format!("{space},{space}")));
            let read = Credentials::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(read.username(), "a\"b");
            prop_assert_eq!((read.realm, read.nonce, read.uri, read.response), ("r,=x", "", "sip:h", "00"));
        }
    }

    #[test]
    fn credentials_are_read_as_devices_write_them() {
        let value =
            br#"Digest username="1\"01",realm="site" , nonce = "abc",uri="sip:10.0.0.1;x=%41",
 response="00", algorithm=SHA-256,opaque="", qop=auth, cnonce="c,n", nc=0000000A"#
                .map(|b| if b == b'\n' { b' ' } else { b });
        let read = Credentials::parse(&value).unwrap();
        assert_eq!(read.username(), "1\"01");
        assert_eq!(read.uri, "sip:10.0.0.1;x=%41");
        assert_eq!(read.cnonce, Some("c,n"));
        assert_eq!(read.nonce_count(), Some(10));
        assert_eq!(read.algorithm(), Some(Algorithm::Sha256));
    }

    #[test]
    fn broken_credentials_are_refused_with_the_reason() {
        let check = |text: &str, why: Malformed| {
            assert_eq!(
                Credentials::parse(text.as_bytes()).unwrap_err(),
                why,
                "{text}"
            );
        };
        let whole = r#"username="a", realm="r", nonce="n", uri="u", response="0""#;
        check("Basic Zm9v", Malformed::Scheme);
        check("Digest", Malformed::Scheme);
        check(
            &format!("Digest {whole}, nonce=\"m\""),
            Malformed::Repeated("nonce"),
        );
        check(
            &format!("Digest {whole}, qop=auth, nc=00000001"),
            Malformed::Missing("cnonce"),
        );
        check(
            &format!("Digest {whole}, qop=auth, cnonce=\"c\""),
            Malformed::Missing("nc"),
        );
        check(
            &format!("Digest {whole}, qop=auth, cnonce=\"c\", nc=1"),
            Malformed::Value("nc"),
        );
        check(&format!("Digest {whole}, x"), Malformed::Parameter);
        check(&format!("Digest {whole} x=\"1"), Malformed::Parameter);
        check(r#"Digest username="a", realm="r"#, Malformed::Parameter);
        check(r#"Digest username="a""#, Malformed::Missing("realm"));
        check(
            &format!("Digest {whole}, x=\"{}\"", "y".repeat(MAX_LEN)),
            Malformed::TooLong,
        );
        assert_eq!(
            Credentials::parse(b"Digest \xff").unwrap_err(),
            Malformed::Encoding
        );
    }

    #[test]
    fn a_challenge_tells_algorithm_protection_and_staleness() {
        let read = |text: &str| Challenge::parse(text.as_bytes()).unwrap();
        let modern = read(
            r#"Digest realm="r", nonce="n", qop="auth-int,auth", algorithm=sha-256, stale=TRUE"#,
        );
        assert_eq!(modern.algorithm, Some(Algorithm::Sha256));
        assert_eq!(modern.offered, Offered::Auth);
        assert!(modern.stale);
        let old = read(r#"Digest realm="r", nonce="n", opaque="o""#);
        assert_eq!(
            (old.algorithm, old.names_algorithm),
            (Some(Algorithm::Md5), false)
        );
        assert_eq!(
            (old.offered, old.opaque.as_deref()),
            (Offered::Legacy, Some("o"))
        );
        assert_eq!(
            read(r#"Digest realm="r", nonce="n", algorithm=MD5-sess"#).algorithm,
            None
        );
        assert_eq!(
            read(r#"Digest realm="r", nonce="n", qop="auth-int""#).offered,
            Offered::AuthInt
        );
    }
}
