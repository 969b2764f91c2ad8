//! The closed list of what can be allowed, and sets of it.

use std::fmt;
use std::str::FromStr;

use super::Sensitive;

/// Declares the permissions once: variant and word.
macro_rules! permissions {
    ($($(#[$meta:meta])* $variant:ident = $word:literal,)*) => {
        /// One thing that can be allowed. The words stand in the interface, in tokens and in the
        /// description of each route.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize, serde::Deserialize)]
        pub enum Permission {
            $($(#[$meta])* #[serde(rename = $word)] $variant,)*
        }

        impl Permission {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

permissions! {
    /// Name, logo, dashboard, settings, service messages of a company.
    CompanyView = "company.view",
    /// Name, logo, metadata keys, folders, policies of a company; new projects in it.
    CompanyConfigure = "company.configure",
    /// Giving the company into other hands, or closing it.
    CompanyHandOver = "company.hand_over",
    ProjectView = "project.view",
    ProjectConfigure = "project.configure",
    /// Giving a project to another company.
    ProjectHandOver = "project.hand_over",
    SiteView = "site.view",
    SiteConfigure = "site.configure",
    /// Devices with their state, twin, events and faults.
    DeviceView = "device.view",
    DeviceConfigure = "device.configure",
    /// Binding a device to a site with its code, and releasing it.
    DeviceClaim = "device.claim",
    /// Reboot, identify, test call: what acts on a device now.
    DeviceCommand = "device.command",
    /// Log files and packet captures of a device.
    DeviceDiagnose = "device.diagnose",
    /// Passwords, SIP credentials and keys that a device is given.
    DeviceSecrets = "device.secrets",
    FirmwareConfigure = "firmware.configure",
    /// Stations, contacts, ring groups, buttons, forwarding.
    DirectoryView = "directory.view",
    DirectoryConfigure = "directory.configure",
    /// Call reports: times, stations, outcome.
    CallReportView = "call_report.view",
    /// Who called and who answered, by name and number.
    CallPartyView = "call_party.view",
    /// Pictures, recordings and transcripts of calls.
    CallContentView = "call_content.view",
    /// Taking calls and call requests.
    CallAnswer = "call.answer",
    DoorOpen = "door.open",
    WebClientUse = "web_client.use",
    MobileClientUse = "mobile_client.use",
    /// Figures of calls and assistants, without people.
    InsightView = "insight.view",
    UserView = "user.view",
    /// Inviting people, resetting their passwords, blocking them.
    UserConfigure = "user.configure",
    GrantView = "grant.view",
    GrantConfigure = "grant.configure",
    /// Integrations and their credentials.
    IntegrationConfigure = "integration.configure",
    AuditView = "audit.view",
    NoticeView = "notice.view",
    /// Who is told what, by mail.
    NoticeConfigure = "notice.configure",
    SubscriptionView = "subscription.view",
    SubscriptionConfigure = "subscription.configure",
    /// Export and erasure of a person's data.
    PrivacyConfigure = "privacy.configure",
}

impl Permission {
    /// The kind of sensitive data that this permission opens, if any; a grant can withhold it.
    #[must_use]
    pub const fn opens(self) -> Option<Sensitive> {
        match self {
            Self::CallPartyView | Self::UserView | Self::AuditView => Some(Sensitive::People),
            Self::CallContentView => Some(Sensitive::CallContent),
            Self::DeviceSecrets | Self::DeviceDiagnose => Some(Sensitive::Secrets),
            Self::CompanyView
            | Self::CompanyConfigure
            | Self::CompanyHandOver
            | Self::ProjectView
            | Self::ProjectConfigure
            | Self::ProjectHandOver
            | Self::SiteView
            | Self::SiteConfigure
            | Self::DeviceView
            | Self::DeviceConfigure
            | Self::DeviceClaim
            | Self::DeviceCommand
            | Self::FirmwareConfigure
            | Self::DirectoryView
            | Self::DirectoryConfigure
            | Self::CallReportView
            | Self::CallAnswer
            | Self::DoorOpen
            | Self::WebClientUse
            | Self::MobileClientUse
            | Self::InsightView
            | Self::UserConfigure
            | Self::GrantView
            | Self::GrantConfigure
            | Self::IntegrationConfigure
            | Self::NoticeView
            | Self::NoticeConfigure
            | Self::SubscriptionView
            | Self::SubscriptionConfigure
            | Self::PrivacyConfigure => None,
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no permission of this name; the description of the interface lists them")]
pub struct UnknownPermission;

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(word: &str) -> Result<Self, UnknownPermission> {
        Self::ALL
            .iter()
            .copied()
            .find(|permission| permission.word() == word)
            .ok_or(UnknownPermission)
    }
}

/// A set of permissions, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PermissionSet(u64);

// Each permission has its bit.
const _: () = assert!(Permission::ALL.len() <= 64);

impl PermissionSet {
    pub const EVERYTHING: Self = Self::of(Permission::ALL);

    #[must_use]
    pub const fn of(permissions: &[Permission]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < permissions.len() {
            bits |= 1 << permissions[index] as u64;
            index += 1;
        }
        Self(bits)
    }

    #[must_use]
    pub const fn and(self, more: &[Permission]) -> Self {
        Self(self.0 | Self::of(more).0)
    }

    #[must_use]
    pub const fn without(self, fewer: &[Permission]) -> Self {
        Self(self.0 & !Self::of(fewer).0)
    }

    #[must_use]
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u64) != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL
            .iter()
            .copied()
            .filter(move |&permission| self.contains(permission))
    }
}

impl fmt::Debug for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
