//! Typed views of the smaller headers: CSeq, RAck, Session-Expires, Replaces, Reason and others.
//!
//! Each `parse` reads the whole value of one header (or one list element) and gives `None` when it
//! is malformed; who asks knows which header that was.

use std::fmt;

use super::grammar::{self, Angles};
use super::method::Method;
use super::params::Params;

/// `CSeq: 1 INVITE`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CSeq {
    pub number: u32,
    pub method: Method,
}

impl CSeq {
    /// Below 2^31 (RFC 3261 8.1.1.5); larger ones are refused (RFC 4475 3.1.2.4).
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (number, rest) = word(value);
        let number = grammar::parse_u32(number).filter(|n| *n < 1 << 31)?;
        Some(Self {
            number,
            method: Method::parse(grammar::trim(rest))?,
        })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// `RAck: 776656 1 INVITE` (RFC 3262 7.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RAck {
    pub rseq: u32,
    pub cseq: CSeq,
}

impl RAck {
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (rseq, rest) = word(value);
        Some(Self {
            rseq: grammar::parse_u32(rseq)?,
            cseq: CSeq::parse(rest)?,
        })
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rseq, self.cseq)
    }
}

/// `Session-Expires: 1800;refresher=uac` (RFC 4028 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionExpires {
    pub seconds: u32,
    pub refresher: Option<Refresher>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refresher {
    Uac,
    Uas,
}

impl SessionExpires {
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (seconds, params) = with_params(value)?;
        let refresher = match params.value("refresher") {
            Some(who) if who.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(who) if who.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            Some(_) => return None,
            None => None,
        };
        Some(Self {
            seconds: grammar::parse_u32(seconds)?,
            refresher,
        })
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seconds)?;
        match self.refresher {
            Some(Refresher::Uac) => f.write_str(";refresher=uac"),
            Some(Refresher::Uas) => f.write_str(";refresher=uas"),
            None => Ok(()),
        }
    }
}

/// `Replaces: call-id;to-tag=..;from-tag=..` (RFC 3891 6.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replaces {
    pub call_id: String,
    pub to_tag: String,
    pub from_tag: String,
    pub early_only: bool,
}

impl Replaces {
    /// Both tags are mandatory.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (call_id, params) = with_params(value)?;
        Some(Self {
            call_id: str::from_utf8(call_id)
                .ok()
                .filter(|id| is_call_id(id.as_bytes()))?
                .to_owned(),
            to_tag: params.value("to-tag")?.to_owned(),
            from_tag: params.value("from-tag")?.to_owned(),
            early_only: params.has("early-only"),
        })
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{};to-tag={};from-tag={}",
            self.call_id, self.to_tag, self.from_tag
        )?;
        if self.early_only {
            f.write_str(";early-only")
        } else {
            Ok(())
        }
    }
}

/// `Reason: SIP;cause=200;text="Call completed elsewhere"` (RFC 3326).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reason {
    pub protocol: String,
    pub cause: Option<u16>,
    pub text: Option<String>,
}

impl Reason {
    pub fn sip(cause: u16, text: &str) -> Self {
        Self {
            protocol: "SIP".into(),
            cause: Some(cause),
            text: Some(text.into()),
        }
    }

    pub fn q850(cause: u16, text: &str) -> Self {
        Self {
            protocol: "Q.850".into(),
            cause: Some(cause),
            text: Some(text.into()),
        }
    }

    pub fn parse(element: &[u8]) -> Option<Self> {
        let (protocol, params) = with_params(element)?;
        if !grammar::is_token(protocol) {
            return None;
        }
        let cause = params
            .value("cause")
            .map(|c| grammar::parse_u32(c.as_bytes()).and_then(|n| u16::try_from(n).ok()));
        Some(Self {
            protocol: str::from_utf8(protocol).ok()?.to_owned(),
            cause: match cause {
                Some(cause) => Some(cause?),
                None => None,
            },
            text: params.unquoted("text").map(Into::into),
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.protocol)?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        if let Some(text) = &self.text {
            let mut quoted = String::new();
            grammar::quote(text, &mut quoted);
            write!(f, ";text={quoted}")?;
        }
        Ok(())
    }
}

/// A value with parameters whose head is a token or the like: Event, Subscription-State,
/// Content-Disposition, Content-Type, Alert-Info without brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Parametrised {
    pub value: String,
    pub params: Params,
}

impl Parametrised {
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (value, params) = with_params(value)?;
        let value = str::from_utf8(value)
            .ok()
            .filter(|v| !v.is_empty())?
            .to_owned();
        Some(Self { value, params })
    }

    /// Whether the head is `value`, without regard to case.
    pub fn is(&self, value: &str) -> bool {
        self.value.eq_ignore_ascii_case(value)
    }
}

impl fmt::Display for Parametrised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.value, self.params)
    }
}

/// `callid = word [ "@" word ]`, widened to any visible text: it is only ever compared.
pub(crate) fn is_call_id(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|b| b.is_ascii_graphic())
}

/// Seconds, as of Expires and Min-SE. More than 2^32-1 means that (RFC 3261 20.19 bounds it there;
/// RFC 4475 3.1.2.4 asks for tolerance).
pub(crate) fn delta_seconds(value: &[u8]) -> Option<u32> {
    let value = grammar::trim(value);
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(grammar::parse_u32(value).unwrap_or(u32::MAX))
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = grammar::trim(text);
    let end = text
        .iter()
        .position(|b| matches!(b, b' ' | b'\t'))
        .unwrap_or(text.len());
    text.split_at(end)
}

fn with_params(text: &[u8]) -> Option<(&[u8], Params)> {
    let end = grammar::find_outside(text, b';', Angles::Plain).unwrap_or(text.len());
    Some((grammar::trim(&text[..end]), Params::parse(&text[end..])?))
}
