//! The closed list of what there is to tell.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody cannot call for help, or will not be able to.
    Critical,
}

impl Severity {
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What a notice tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A device is away.
    DeviceOffline,
    /// A device comes and goes.
    DeviceUnsteady,
    /// Most devices of a site are away, or its gateways.
    SiteOutage,
    /// Most devices of a site come and go.
    SiteUnsteady,
    /// A device has not renewed its certificate in time.
    CertificateEnding,
    /// A device did not do what it was told, or nobody knows.
    CommandFailed,
    /// A letter could not be delivered.
    LetterUndelivered,
    /// The mail server has not taken letters for a while.
    MailWaiting,
    /// A subscription ends, or has ended and counts a while longer.
    SubscriptionEnding,
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::DeviceOffline,
        Self::DeviceUnsteady,
        Self::SiteOutage,
        Self::SiteUnsteady,
        Self::CertificateEnding,
        Self::CommandFailed,
        Self::LetterUndelivered,
        Self::MailWaiting,
        Self::SubscriptionEnding,
    ];

    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::DeviceOffline => "device_offline",
            Self::DeviceUnsteady => "device_unsteady",
            Self::SiteOutage => "site_outage",
            Self::SiteUnsteady => "site_unsteady",
            Self::CertificateEnding => "certificate_ending",
            Self::CommandFailed => "command_failed",
            Self::LetterUndelivered => "letter_undelivered",
            Self::MailWaiting => "mail_waiting",
            Self::SubscriptionEnding => "subscription_ending",
        }
    }

    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::SiteOutage | Self::SiteUnsteady => Severity::Critical,
            Self::DeviceOffline
            | Self::DeviceUnsteady
            | Self::CertificateEnding
            | Self::MailWaiting
            | Self::SubscriptionEnding => Severity::Warning,
            Self::CommandFailed | Self::LetterUndelivered => Severity::Info,
        }
    }

    /// Whether there is a letter about it: not where letters are the trouble, and not where the one
    /// who ordered it is looking anyway.
    #[must_use]
    pub const fn is_mailed(self) -> bool {
        match self {
            Self::DeviceOffline
            | Self::DeviceUnsteady
            | Self::SiteOutage
            | Self::SiteUnsteady
            | Self::CertificateEnding
            | Self::SubscriptionEnding => true,
            Self::CommandFailed | Self::LetterUndelivered | Self::MailWaiting => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no notice of this kind; the description of the interface lists them")]
pub struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.word() == word)
            .ok_or(UnknownKind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own_that_reads_back() {
        for kind in Kind::ALL {
            assert_eq!(kind.word().parse(), Ok(kind));
            assert_eq!(
                serde_json::to_value(kind).unwrap(),
                serde_json::json!(kind.word())
            );
        }
        assert_eq!("offline".parse::<Kind>(), Err(UnknownKind));
    }
}
