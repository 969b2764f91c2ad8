//! How a device lives with the core.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Calls through the core, configured in the portal only.
    Cloud,
    /// Calls on premises; the core looks after firmware and status.
    Managed,
    /// Calls on premises or from device to device, configured from the portal too.
    OnPremMesh,
    /// A gateway between older servers and the core.
    Bridge,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a mode is `cloud`, `managed`, `on_prem_mesh` or `bridge`")]
pub struct UnknownMode;

impl Mode {
    pub const ALL: [Self; 4] = [Self::Cloud, Self::Managed, Self::OnPremMesh, Self::Bridge];

    /// As in documents and rows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Managed => "managed",
            Self::OnPremMesh => "on_prem_mesh",
            Self::Bridge => "bridge",
        }
    }
}

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or(UnknownMode)
    }
}

/// As people say it.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cloud => "cloud",
            Self::Managed => "managed",
            Self::OnPremMesh => "on-prem/mesh",
            Self::Bridge => "bridge",
        })
    }
}
