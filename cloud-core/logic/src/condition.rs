//! How a device is, in the few words that lists show and filter by.
//!
//! Deliberately not here: when a device counts as offline (`presence`), what its settings are
//! (`twin`). Invariant: each word reads back to the value it was made of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::catalogue::{self, Firmware, Mode};

/// Whether a device is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Claimed, and has never come.
    NeverSeen,
    Offline,
    Online,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a device is `never_seen`, `offline` or `online`")]
pub struct UnknownPresence;

impl Presence {
    pub const ALL: [Self; 3] = [Self::NeverSeen, Self::Offline, Self::Online];

    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NeverSeen => "never_seen",
            Self::Offline => "offline",
            Self::Online => "online",
        }
    }
}

impl FromStr for Presence {
    type Err = UnknownPresence;

    fn from_str(text: &str) -> Result<Self, UnknownPresence> {
        Self::ALL
            .into_iter()
            .find(|presence| presence.word() == text)
            .ok_or(UnknownPresence)
    }
}

/// Something about a device that somebody should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Concern {
    /// The device reports faults.
    Fault,
    /// It could not apply a setting.
    SettingsFailed,
    /// It is set otherwise than it was told, by whoever stands before it.
    SettingsDiffer,
    /// Its firmware is older than its mode needs.
    FirmwareOld,
}

impl Concern {
    pub const ALL: [Self; 4] = [
        Self::Fault,
        Self::SettingsFailed,
        Self::SettingsDiffer,
        Self::FirmwareOld,
    ];

    const fn bit(self) -> i64 {
        match self {
            Self::Fault => 1,
            Self::SettingsFailed => 2,
            Self::SettingsDiffer => 4,
            Self::FirmwareOld => 8,
        }
    }
}

/// A set of concerns, as a column keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Attention(i64);

impl Attention {
    /// Bits that mean nothing to this version are dropped.
    #[must_use]
    pub fn from_bits(bits: i64) -> Self {
        let known = Concern::ALL.iter().fold(0, |all, one| all | one.bit());
        Self(bits & known)
    }

    #[must_use]
    pub const fn bits(self) -> i64 {
        self.0
    }

    #[must_use]
    pub const fn with(self, concern: Concern, holds: Holds) -> Self {
        match holds {
            Holds::Yes => Self(self.0 | concern.bit()),
            Holds::No => Self(self.0 & !concern.bit()),
        }
    }

    #[must_use]
    pub const fn has(self, concern: Concern) -> bool {
        self.0 & concern.bit() != 0
    }

    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Concern> {
        Concern::ALL.into_iter().filter(move |one| self.has(*one))
    }
}

impl fmt::Debug for Attention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Whether a concern holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    Yes,
    No,
}

impl From<bool> for Holds {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// Whether a firmware is older than the mode needs. What is not known is not old.
#[must_use]
pub fn is_old(model: &str, mode: Option<Mode>, firmware: Option<&str>) -> bool {
    let needed = || {
        let family = catalogue::compiled().model(model)?.family;
        catalogue::minimum_firmware(family, mode?)
    };
    let has = firmware.and_then(|text| text.parse::<Firmware>().ok());
    match (has, needed()) {
        (Some(has), Some(needed)) => has < needed,
        (Some(_) | None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presence_reads_back() {
        for presence in Presence::ALL {
            assert_eq!(presence.word().parse(), Ok(presence));
        }
        assert!("away".parse::<Presence>().is_err());
    }

    #[test]
    fn concerns_come_and_go_one_by_one() {
        let both = Attention::default()
            .with(Concern::Fault, Holds::Yes)
            .with(Concern::FirmwareOld, Holds::Yes);
        assert_eq!(
            both.iter().collect::<Vec<_>>(),
            [Concern::Fault, Concern::FirmwareOld]
        );
        let one = both.with(Concern::Fault, Holds::No);
        assert_eq!(one, Attention::from_bits(one.bits() | 1 << 40));
        assert!(one.with(Concern::FirmwareOld, Holds::No).is_empty());
    }

    #[test]
    fn d5_firmware_is_old_by_model_and_mode() {
        let old = |mode, firmware| is_old("ID5 TD CM-B", mode, firmware);
        assert!(old(Some(Mode::Cloud), Some("03.02.01.64")));
        assert!(!old(Some(Mode::Cloud), Some("03.02.01.65")));
        assert!(old(Some(Mode::OnPremMesh), Some("03.02.01.65")));
        assert!(!old(None, Some("00.00.00.01")));
        assert!(!old(Some(Mode::Cloud), None));
        assert!(!old(Some(Mode::Cloud), Some("nonsense")));
        assert!(!is_old("unheard of", Some(Mode::Cloud), Some("0.0.0.1")));
    }
}
