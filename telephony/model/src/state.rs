//! What a station is doing, and what is wrong with it.

use std::fmt;

use crate::{ConferenceId, GroupCallId};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StationState {
    /// Nothing is known: not yet seen, or the link to it is lost. Never shown as idle.
    #[default]
    Unknown,
    Idle,
    Ringing,
    /// It waits at a desk for somebody to take its request.
    Requesting,
    InCall,
    InConference(ConferenceId),
    /// It hears a group call.
    Listening(GroupCallId),
    Privacy,
    OutOfService,
}

/// A set of faults of a station.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Faults(u16);

impl Faults {
    pub const NONE: Self = Self(0);
    pub const LINE_OPEN: Self = Self(1);
    pub const LINE_SHORT: Self = Self(1 << 1);
    pub const NO_REPLY: Self = Self(1 << 2);
    pub const MICROPHONE: Self = Self(1 << 3);
    pub const SPEAKER: Self = Self(1 << 4);
    pub const TAMPER: Self = Self(1 << 5);
    pub const POWER: Self = Self(1 << 6);
    pub const DEGRADED: Self = Self(1 << 7);
    pub const TEST_OVERDUE: Self = Self(1 << 8);

    const NAMES: [(Self, &str); 9] = [
        (Self::LINE_OPEN, "line_open"),
        (Self::LINE_SHORT, "line_short"),
        (Self::NO_REPLY, "no_reply"),
        (Self::MICROPHONE, "microphone"),
        (Self::SPEAKER, "speaker"),
        (Self::TAMPER, "tamper"),
        (Self::POWER, "power"),
        (Self::DEGRADED, "degraded"),
        (Self::TEST_OVERDUE, "test_overdue"),
    ];

    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Faults with which a call cannot work at all.
    pub const fn put_out_of_service(self) -> bool {
        let fatal = Self::LINE_OPEN.0 | Self::LINE_SHORT.0 | Self::NO_REPLY.0 | Self::POWER.0;
        self.0 & fatal != 0
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .filter(move |(fault, _)| self.contains(*fault))
            .map(|(_, n)| n)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl StationState {
    /// The name in the live view, the API and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Idle => "idle",
            Self::Ringing => "ringing",
            Self::Requesting => "requesting",
            Self::InCall => "in_call",
            Self::InConference(_) => "in_conference",
            Self::Listening(_) => "listening",
            Self::Privacy => "privacy",
            Self::OutOfService => "out_of_service",
        }
    }
}

impl fmt::Display for StationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_a_set_with_names() {
        let faults = Faults::TAMPER.with(Faults::MICROPHONE);
        assert_eq!(faults.names().collect::<Vec<_>>(), ["microphone", "tamper"]);
        assert!(!faults.put_out_of_service());
        assert!(faults.with(Faults::LINE_OPEN).put_out_of_service());
        assert_eq!(Faults::NONE.names().count(), 0);
    }
}
