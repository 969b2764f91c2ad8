//! Typed views of [`Headers`], parsed when asked for.
//!
//! A missing mandatory header and a malformed one are both a [`HeaderError`]; an absent optional
//! one is `Ok(None)`. Nothing is cached.

use std::borrow::Cow;

use super::grammar;
use super::header_name::HeaderName;
use super::headers::Headers;
use super::name_addr::{NameAddr, NameAddrError};
use super::values::{self, CSeq, Parametrised, RAck, Reason, Replaces, SessionExpires};
use super::via::{Via, ViaError};

/// A header that is missing or cannot be understood: the sender's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{header}: {why}")]
pub struct HeaderError {
    pub header: HeaderName,
    pub why: HeaderFault,
}

/// What is wrong with a header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    #[error("missing")]
    Missing,
    #[error("given more than once")]
    Repeated,
    #[error("malformed")]
    Malformed,
    #[error("out of range")]
    Range,
    #[error(transparent)]
    Via(#[from] ViaError),
    #[error(transparent)]
    NameAddr(#[from] NameAddrError),
}

/// The Contact of a REGISTER, or of anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contacts {
    /// `Contact: *`, which only an unregistration may say (RFC 3261 10.2.2).
    All,
    Each(Vec<NameAddr>),
}

impl Headers {
    /// The first Via: the hop this message came from.
    pub fn via_top(&self) -> Result<Via, HeaderError> {
        let first = self
            .first_element(HeaderName::Via)
            .ok_or(HeaderFault::Missing.of(HeaderName::Via))?;
        Via::parse(first).map_err(|why| HeaderFault::Via(why).of(HeaderName::Via))
    }

    /// All Vias, top first.
    pub fn vias(&self) -> Result<Vec<Via>, HeaderError> {
        let each = self
            .elements(HeaderName::Via)
            .map(Via::parse)
            .collect::<Result<_, _>>();
        each.map_err(|why| HeaderFault::Via(why).of(HeaderName::Via))
    }

    /// Replaces the top Via; those below stay as received.
    pub fn set_via_top(&mut self, via: &Via) {
        self.replace_first_element(HeaderName::Via, via.to_string().as_bytes());
    }

    pub fn from(&self) -> Result<NameAddr, HeaderError> {
        self.name_addr(HeaderName::From)?
            .ok_or(HeaderFault::Missing.of(HeaderName::From))
    }

    pub fn to(&self) -> Result<NameAddr, HeaderError> {
        self.name_addr(HeaderName::To)?
            .ok_or(HeaderFault::Missing.of(HeaderName::To))
    }

    pub fn call_id(&self) -> Result<&str, HeaderError> {
        let value = self
            .get(HeaderName::CallId)
            .ok_or(HeaderFault::Missing.of(HeaderName::CallId))?;
        let text = str::from_utf8(value)
            .ok()
            .filter(|v| values::is_call_id(v.as_bytes()));
        text.ok_or(HeaderFault::Malformed.of(HeaderName::CallId))
    }

    pub fn cseq(&self) -> Result<CSeq, HeaderError> {
        self.one(HeaderName::CSeq, CSeq::parse)?
            .ok_or(HeaderFault::Missing.of(HeaderName::CSeq))
    }

    /// 0 to 255 (RFC 3261 20.22).
    pub fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
        self.one(HeaderName::MaxForwards, |v| {
            grammar::parse_u32(v).and_then(|n| u8::try_from(n).ok())
        })
    }

    pub fn contacts(&self) -> Result<Contacts, HeaderError> {
        if self.get(HeaderName::Contact) == Some(b"*") && self.count(HeaderName::Contact) == 1 {
            return Ok(Contacts::All);
        }
        self.name_addrs(HeaderName::Contact).map(Contacts::Each)
    }

    /// The first Contact, where one alone makes sense (dialogs).
    pub fn contact(&self) -> Result<Option<NameAddr>, HeaderError> {
        let Some(first) = self.first_element(HeaderName::Contact) else {
            return Ok(None);
        };
        NameAddr::parse(first)
            .map(Some)
            .map_err(|why| HeaderFault::NameAddr(why).of(HeaderName::Contact))
    }

    pub fn routes(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.name_addrs(HeaderName::Route)
    }

    /// In the order of the message; a UAC reverses it (RFC 3261 12.1.2).
    pub fn record_routes(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.name_addrs(HeaderName::RecordRoute)
    }

    pub fn path(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.name_addrs(HeaderName::Path)
    }

    pub fn asserted_identities(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.name_addrs(HeaderName::PAssertedIdentity)
    }

    pub fn refer_to(&self) -> Result<Option<NameAddr>, HeaderError> {
        self.name_addr(HeaderName::ReferTo)
    }

    pub fn referred_by(&self) -> Result<Option<NameAddr>, HeaderError> {
        self.name_addr(HeaderName::ReferredBy)
    }

    pub fn content_length(&self) -> Result<Option<u64>, HeaderError> {
        self.one(HeaderName::ContentLength, grammar::parse_u64)
    }

    pub fn content_type(&self) -> Result<Option<Parametrised>, HeaderError> {
        self.one(HeaderName::ContentType, Parametrised::parse)
    }

    pub fn content_disposition(&self) -> Result<Option<Parametrised>, HeaderError> {
        self.one(HeaderName::ContentDisposition, Parametrised::parse)
    }

    pub fn expires(&self) -> Result<Option<u32>, HeaderError> {
        self.one(HeaderName::Expires, values::delta_seconds)
    }

    pub fn min_expires(&self) -> Result<Option<u32>, HeaderError> {
        self.one(HeaderName::MinExpires, values::delta_seconds)
    }

    /// RFC 4028 5; parameters mean nothing here.
    pub fn min_se(&self) -> Result<Option<u32>, HeaderError> {
        self.one(HeaderName::MinSe, |v| {
            values::delta_seconds(v.split(|b| *b == b';').next()?)
        })
    }

    pub fn session_expires(&self) -> Result<Option<SessionExpires>, HeaderError> {
        self.one(HeaderName::SessionExpires, SessionExpires::parse)
    }

    /// Seconds; comment and parameters are passed over (RFC 3261 20.33).
    pub fn retry_after(&self) -> Result<Option<u32>, HeaderError> {
        self.one(HeaderName::RetryAfter, |v| {
            let end = v
                .iter()
                .position(|b| !b.is_ascii_digit())
                .unwrap_or(v.len());
            values::delta_seconds(&v[..end])
        })
    }

    /// 1 to 2^32-1 (RFC 3262 7.1).
    pub fn rseq(&self) -> Result<Option<u32>, HeaderError> {
        self.one(HeaderName::RSeq, |v| {
            grammar::parse_u32(v).filter(|n| *n != 0)
        })
    }

    pub fn rack(&self) -> Result<Option<RAck>, HeaderError> {
        self.one(HeaderName::RAck, RAck::parse)
    }

    pub fn replaces(&self) -> Result<Option<Replaces>, HeaderError> {
        self.one(HeaderName::Replaces, Replaces::parse)
    }

    pub fn reasons(&self) -> Result<Vec<Reason>, HeaderError> {
        let each = self
            .elements(HeaderName::Reason)
            .map(Reason::parse)
            .collect::<Option<_>>();
        each.ok_or(HeaderFault::Malformed.of(HeaderName::Reason))
    }

    pub fn event(&self) -> Result<Option<Parametrised>, HeaderError> {
        self.one(HeaderName::Event, Parametrised::parse)
    }

    pub fn subscription_state(&self) -> Result<Option<Parametrised>, HeaderError> {
        self.one(HeaderName::SubscriptionState, Parametrised::parse)
    }

    /// The elements of a list of tokens (Require, Supported, Allow, Unsupported, ...), as written.
    pub fn tokens(
        &self,
        name: impl std::borrow::Borrow<HeaderName>,
    ) -> impl Iterator<Item = Cow<'_, str>> {
        self.elements(name).map(String::from_utf8_lossy)
    }

    pub fn require(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.tokens(HeaderName::Require)
    }

    /// Whether an option tag stands in Supported or Require.
    pub fn supports(&self, option: &str) -> bool {
        let tokens = self.tokens(HeaderName::Supported).chain(self.require());
        tokens
            .into_iter()
            .any(|token| token.eq_ignore_ascii_case(option))
    }

    /// That the headers every message must have can be read, without building their views.
    pub(crate) fn check_mandatory(&self) -> Result<(), HeaderError> {
        let via = self
            .first_element(HeaderName::Via)
            .ok_or(HeaderFault::Missing.of(HeaderName::Via))?;
        Via::check(via).map_err(|why| HeaderFault::Via(why).of(HeaderName::Via))?;
        for name in [HeaderName::From, HeaderName::To] {
            let value = self
                .get(&name)
                .ok_or(HeaderFault::Missing.of(name.clone()))?;
            NameAddr::check(value).map_err(|why| HeaderFault::NameAddr(why).of(name))?;
        }
        self.call_id()?;
        self.cseq().map(drop)
    }

    /// A header that is no list: a comma outside quotes and brackets is an error.
    fn name_addr(&self, name: HeaderName) -> Result<Option<NameAddr>, HeaderError> {
        let Some(value) = self.get(&name) else {
            return Ok(None);
        };
        NameAddr::parse(value)
            .map(Some)
            .map_err(|why| HeaderFault::NameAddr(why).of(name))
    }

    pub fn name_addrs(&self, name: HeaderName) -> Result<Vec<NameAddr>, HeaderError> {
        let each = self
            .elements(&name)
            .map(NameAddr::parse)
            .collect::<Result<_, _>>();
        each.map_err(|why| HeaderFault::NameAddr(why).of(name))
    }

    fn one<T>(
        &self,
        name: HeaderName,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, HeaderError> {
        match self.get(&name) {
            Some(value) => parse(value)
                .map(Some)
                .ok_or(HeaderFault::Malformed.of(name)),
            None => Ok(None),
        }
    }
}

impl HeaderFault {
    pub(crate) fn of(self, header: HeaderName) -> HeaderError {
        HeaderError { header, why: self }
    }
}
