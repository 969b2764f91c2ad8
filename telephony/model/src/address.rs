//! `Address`: whom one can call. Numbers of our own, stations behind other servers, SIP, the cloud.

use std::fmt;

use crate::{CallNumber, CloudUserId, DeskId, NodeId, RingGroupId};

/// Whom to call. What stands behind a local number (station, group, desk, conference) the
/// directory knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    Local(CallNumber),
    /// A station behind another networked server.
    Remote {
        node: NodeId,
        number: CallNumber,
    },
    Sip(SipUri),
    CloudUser(CloudUserId),
    Group(RingGroupId),
    Desk(DeskId),
}

/// A sip, sips or tel URI as text. Checked only for what could break a line of a protocol or a log;
/// its parts are the business of the SIP crate. Debug hides the user part: it may be a person's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SipUri(Box<str>);

/// The user name of a SIP account: what a device registers as.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountUser(Box<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("it is empty; give it a value")]
    Empty,
    #[error("it has {len} bytes, at most {max} are allowed; shorten it")]
    TooLong { len: usize, max: usize },
    #[error("the character {0:?} is not allowed here; remove it or write it percent-encoded")]
    Character(char),
    #[error(
        "it does not begin with sip:, sips: or tel: and something behind; write for example sip:101@192.0.2.7"
    )]
    NotASipUri,
    #[error(
        "it does not begin with http:// or https:// and a host; write for example http://192.0.2.7/open"
    )]
    NotAnHttpUrl,
}

impl Address {
    /// True for what one device answers: not for a group or a desk. A local number may still be a
    /// group's.
    pub const fn is_collective(&self) -> bool {
        match self {
            Self::Group(_) | Self::Desk(_) => true,
            Self::Local(_) | Self::Remote { .. } | Self::Sip(_) | Self::CloudUser(_) => false,
        }
    }
}

impl From<CallNumber> for Address {
    fn from(number: CallNumber) -> Self {
        Self::Local(number)
    }
}

impl SipUri {
    const MAX_BYTES: usize = 255;

    pub fn parse(text: &str) -> Result<Self, TextError> {
        check_text(text, Self::MAX_BYTES, |c| {
            c.is_ascii_graphic() && !"<>\"".contains(c)
        })?;
        let known = ["sip:", "sips:", "tel:"];
        let rest = known.iter().find_map(|scheme| {
            let head = text.get(..scheme.len())?;
            head.eq_ignore_ascii_case(scheme)
                .then(|| &text[scheme.len()..])
        });
        match rest {
            Some(rest) if !rest.is_empty() => Ok(Self(text.into())),
            Some(_) | None => Err(TextError::NotASipUri),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once(':').unwrap_or((&self.0, ""));
        match rest.rsplit_once('@') {
            Some((_, host)) => write!(f, "{scheme}:[redacted]@{host}"),
            None => write!(f, "{scheme}:[redacted]"),
        }
    }
}

impl AccountUser {
    const MAX_BYTES: usize = 64;

    pub fn parse(text: &str) -> Result<Self, TextError> {
        // RFC 3261 25.1: unreserved and user-unreserved, without those that need care in a shell or log.
        check_text(text, Self::MAX_BYTES, |c| {
            c.is_ascii_alphanumeric() || "-_.!~*'()&=+$,".contains(c)
        })?;
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccountUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) fn check_text(
    text: &str,
    max: usize,
    allowed: impl Fn(char) -> bool,
) -> Result<(), TextError> {
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    if text.len() > max {
        return Err(TextError::TooLong {
            len: text.len(),
            max,
        });
    }
    match text.chars().find(|c| !allowed(*c)) {
        Some(bad) => Err(TextError::Character(bad)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sip_uri_is_taken_as_text_but_not_any_text() {
        for good in [
            "sip:101@192.0.2.7",
            "SIPS:a@b",
            "tel:+43123",
            "sip:[fe80::1%25eth0]:5060",
        ] {
            assert_eq!(SipUri::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(SipUri::parse("101"), Err(TextError::NotASipUri));
        assert_eq!(SipUri::parse("sip:"), Err(TextError::NotASipUri));
        assert_eq!(
            SipUri::parse("sip:a\r\nVia: x"),
            Err(TextError::Character('\r'))
        );
        assert_eq!(SipUri::parse("sip:a>b@c"), Err(TextError::Character('>')));
        assert!(matches!(
            SipUri::parse(&"sip:a".repeat(60)),
            Err(TextError::TooLong { .. })
        ));
    }

    #[test]
    fn debug_of_an_address_hides_the_person() {
        let uri = Address::Sip(SipUri::parse("sip:maria.gruber@example.org").unwrap());
        assert_eq!(format!("{uri:?}"), "Sip(sip:[redacted]@example.org)");
        let tel = SipUri::parse("tel:+431234567").unwrap();
        assert_eq!(format!("{tel:?}"), "tel:[redacted]");
    }

    #[test]
    fn an_account_user_has_no_at_sign() {
        assert!(AccountUser::parse("gate-1").is_ok());
        assert_eq!(
            AccountUser::parse("gate@site"),
            Err(TextError::Character('@'))
        );
    }
}
