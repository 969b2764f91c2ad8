//! Roles: fixed sets of permissions under names that people know.

use std::fmt;
use std::str::FromStr;

use super::permission::{Permission, PermissionSet};
use super::scope::ScopeKind;
use Permission as P;

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, and the only one who can give the company away.
    Owner,
    /// Everything but giving the company away.
    Admin,
    /// Sites, devices and directories, not people.
    Configurator,
    /// Looks, changes nothing.
    Viewer,
    /// Maintenance by somebody else, always with an end and a reason.
    Support,
    /// An operator who takes calls and opens doors in the browser.
    WebClient,
    /// A resident or caretaker who does so on a telephone.
    MobileClient,
    /// Figures, without people.
    Insights,
    /// Subscriptions and bills.
    Billing,
}

const VIEWER: PermissionSet = PermissionSet::of(&[
    P::CompanyView,
    P::ProjectView,
    P::SiteView,
    P::DeviceView,
    P::DirectoryView,
    P::CallReportView,
    P::CallPartyView,
    P::InsightView,
    P::UserView,
    P::GrantView,
    P::NoticeView,
    P::SubscriptionView,
]);

const CONFIGURATOR: PermissionSet = VIEWER.and(&[
    P::ProjectConfigure,
    P::SiteConfigure,
    P::DeviceConfigure,
    P::DeviceClaim,
    P::DeviceCommand,
    P::DeviceDiagnose,
    P::DeviceSecrets,
    P::FirmwareConfigure,
    P::DirectoryConfigure,
    P::NoticeConfigure,
]);

const SUPPORT: PermissionSet = PermissionSet::of(&[
    P::CompanyView,
    P::ProjectView,
    P::SiteView,
    P::DeviceView,
    P::DeviceConfigure,
    P::DeviceCommand,
    P::DeviceDiagnose,
    P::FirmwareConfigure,
    P::DirectoryView,
    P::CallReportView,
    P::NoticeView,
    P::SubscriptionView,
]);

const CALLS_AND_DOORS: PermissionSet =
    PermissionSet::of(&[P::SiteView, P::DirectoryView, P::CallAnswer, P::DoorOpen]);

impl Role {
    pub const ALL: &'static [Self] = &[
        Self::Owner,
        Self::Admin,
        Self::Configurator,
        Self::Viewer,
        Self::Support,
        Self::WebClient,
        Self::MobileClient,
        Self::Insights,
        Self::Billing,
    ];

    #[must_use]
    pub const fn permissions(self) -> PermissionSet {
        match self {
            Self::Owner => PermissionSet::EVERYTHING,
            Self::Admin => PermissionSet::EVERYTHING.without(&[P::CompanyHandOver]),
            Self::Configurator => CONFIGURATOR,
            Self::Viewer => VIEWER,
            Self::Support => SUPPORT,
            Self::WebClient => CALLS_AND_DOORS.and(&[
                P::WebClientUse,
                P::CallReportView,
                P::CallPartyView,
                P::CallContentView,
            ]),
            Self::MobileClient => CALLS_AND_DOORS.and(&[P::MobileClientUse]),
            Self::Insights => PermissionSet::of(&[
                P::CompanyView,
                P::ProjectView,
                P::SiteView,
                P::InsightView,
                P::CallReportView,
            ]),
            Self::Billing => PermissionSet::of(&[
                P::CompanyView,
                P::SubscriptionView,
                P::SubscriptionConfigure,
            ]),
        }
    }

    /// Whether the role makes sense there: a company is owned and billed as a whole.
    #[must_use]
    pub const fn fits(self, scope: ScopeKind) -> bool {
        match self {
            Self::Owner | Self::Billing => matches!(scope, ScopeKind::Company),
            Self::Admin
            | Self::Configurator
            | Self::Viewer
            | Self::Support
            | Self::WebClient
            | Self::MobileClient
            | Self::Insights => true,
        }
    }

    /// Whether a grant of it must have an end.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::Support)
    }

    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Configurator => "configurator",
            Self::Viewer => "viewer",
            Self::Support => "support",
            Self::WebClient => "web_client",
            Self::MobileClient => "mobile_client",
            Self::Insights => "insights",
            Self::Billing => "billing",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no role of this name; the description of the interface lists them")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(word: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .iter()
            .copied()
            .find(|role| role.word() == word)
            .ok_or(UnknownRole)
    }
}
