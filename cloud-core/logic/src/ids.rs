//! Typed names of everything the core keeps: a prefix that tells the kind, and a ULID.
//!
//! `de-01J9ZK...` is a device and cannot be passed where a site is wanted. Makes no randomness: the
//! 128 bits come from the shell. Invariant: the text of an id parses back to the same id, and no
//! other text does.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A text that is no id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("this is not the id of a {kind}: it looks like {prefix}-01J9ZK3V7Q8W2M4N6P0R5T1X8Y")]
pub struct NotAnId {
    kind: &'static str,
    prefix: &'static str,
}

/// Digits of Crockford's base 32, as ULIDs are written.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// 26 digits carry 130 bits; the first must not need more than three of them.
const LENGTH: usize = 26;

fn write_bits(bits: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let digit = |place: usize| {
        let shifted = bits >> (5 * (LENGTH - 1 - place));
        char::from(DIGITS[(shifted & 31) as usize])
    };
    (0..LENGTH).try_for_each(|place| fmt::Write::write_char(f, digit(place)))
}

fn read_bits(text: &str) -> Option<u128> {
    let digits = text.as_bytes();
    if digits.len() != LENGTH || digits[0] > b'7' {
        return None;
    }
    digits.iter().try_fold(0u128, |bits, digit| {
        let value = DIGITS.iter().position(|known| known == digit)?;
        Some(bits << 5 | value as u128)
    })
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal, $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(u128);

        impl $name {
            /// What every id of this kind begins with, before the hyphen.
            pub const PREFIX: &'static str = $prefix;

            /// From the bits of a ULID.
            #[must_use]
            pub fn from_bits(bits: u128) -> Self {
                Self(bits)
            }

            /// The bits of the ULID.
            #[must_use]
            pub fn bits(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "-"))?;
                write_bits(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                text.strip_prefix(concat!($prefix, "-"))
                    .and_then(read_bits)
                    .map(Self)
                    .ok_or(NotAnId { kind: $kind, prefix: $prefix })
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAnId;

            fn try_from(text: String) -> Result<Self, NotAnId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    )*};
}

ids! {
    /// A customer: owns projects, users see it through grants.
    CompanyId = "co", "company";
    /// A part of a company's work, with sites below it.
    ProjectId = "pr", "project";
    /// One installation: one time zone, one directory.
    SiteId = "si", "site";
    /// Where sites of a project are sorted into.
    FolderId = "fo", "folder";
    /// A person.
    UserId = "us", "user";
    /// A role that somebody has somewhere.
    GrantId = "gr", "grant";
    /// A station or a gateway.
    DeviceId = "de", "device";
    /// A label of one user.
    LabelId = "la", "label";
    /// An offered hand-over of a project or company.
    HandOverId = "ho", "hand-over";
    /// A certificate authority of the core.
    AuthorityId = "au", "authority";
    /// A piece of hardware, or a software gateway, with a claim code.
    UnitId = "un", "unit";
    /// Something a device shall do.
    CommandId = "cm", "command";
    /// One change of settings for many devices.
    EditId = "ed", "edit";
    /// A process of the core, from its start to its end.
    NodeId = "no", "node";
    /// One call of a route that acts in the world.
    RequestId = "rq", "request";
    /// Somebody signed in somewhere.
    SessionId = "se", "session";
    /// A passkey of a user.
    PasskeyId = "pk", "passkey";
    /// A passkey's registration or proof that is under way.
    CeremonyId = "ce", "ceremony";
    /// An invitation to join.
    InvitationId = "iv", "invitation";
    /// A program of a company that uses the interface.
    IntegrationId = "in", "integration";
    /// A key that signs tokens.
    TokenKeyId = "tk", "token key";
    /// A letter that goes out by mail.
    LetterId = "le", "letter";
    /// Something people are told of.
    NoticeId = "nt", "notice";
    /// An amount of something a company has ordered.
    SubscriptionId = "sb", "subscription";
    /// A trouble of the service, as operators tell it.
    IncidentId = "ic", "incident";
    /// Octets that are kept beside the store.
    BlobId = "bl", "blob";
    /// A file that a device sends, piece by piece.
    UploadId = "up", "upload";
    /// Everything that is known of a person, put together for her.
    ExportId = "ex", "export";
    /// Several that ring at once.
    RingGroupId = "rg", "ring group";
    /// A call number of a user.
    CallNumberId = "cn", "call number";
    /// A call: what belongs together from the first leg's arrival to the last one's end.
    CallId = "ca", "call";
    /// One device's part of a call.
    CallLegId = "cl", "leg of a call";
    /// A record of a leg.
    CallRecordId = "cr", "record of a call";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let site = SiteId::from_bits(1).to_string();
        assert_eq!(site, "si-00000000000000000000000001");
        assert!(site.parse::<CompanyId>().is_err());
        let told = site.parse::<DeviceId>().unwrap_err().to_string();
        assert!(told.contains("device") && told.contains("de-"), "{told}");
    }

    #[test]
    fn only_the_text_that_an_id_prints_is_read() {
        for text in [
            "si-",
            "si-0000000000000000000000000i",
            "si-80000000000000000000000000",
            "si-0000000000000000000000000l",
            "SI-00000000000000000000000001",
            "si-000000000000000000000000001",
            "si-0000000000000000000000000\u{e9}",
        ] {
            assert!(text.parse::<SiteId>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_id_comes_back_from_its_text(bits: u128) {
            let id = UserId::from_bits(bits);
            prop_assert_eq!(id.to_string().parse::<UserId>(), Ok(id));
        }

        #[test]
        fn whatever_is_read_prints_the_same(text in "us-[0-9A-Za-z]{20,28}") {
            if let Ok(id) = text.parse::<UserId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
