//! Which commands and events a protocol can carry, as data.
//!
//! The port refuses what its protocol does not cover before it reaches the line; the status page
//! lists it. What the other end supports beyond that, its answers tell.

use crate::command::Command;
use crate::event::Event;

macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident, $of:ident: $($kind:ident $text:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($kind),+ }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The name in manifests, on status pages and in metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $text),+ }
            }

            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.name() == name)
            }
        }

        impl $of {
            pub const fn kind(&self) -> $name {
                match self { $(Self::$kind { .. } => $name::$kind),+ }
            }
        }
    };
}

kinds!(
    /// The kinds of `Command`.
    CommandKind, Command:
    CallSetup "call_setup",
    CallRelease "call_release",
    Hold "hold",
    Retrieve "retrieve",
    Transfer "transfer",
    SetTalkMode "set_talk_mode",
    TalkKey "talk_key",
    Keys "keys",
    GroupStart "group_start",
    GroupStop "group_stop",
    ConferenceJoin "conference_join",
    ConferenceLeave "conference_leave",
    ConferenceTalk "conference_talk",
    RequestFile "request_file",
    RequestWithdraw "request_withdraw",
    RequestClaim "request_claim",
    OutputSet "output_set",
    DoorOpen "door_open",
    ShowText "show_text",
    Programme "programme",
    Announce "announce",
    Divert "divert",
    SetPrivacy "set_privacy",
    LineTest "line_test",
    Snapshot "snapshot",
);

kinds!(
    /// The kinds of `Event`.
    EventKind, Event:
    StationState "station_state",
    StationFaults "station_faults",
    LineTested "line_tested",
    RequestNew "request_new",
    RequestUpdated "request_updated",
    RequestCancelled "request_cancelled",
    RequestClosed "request_closed",
    CallProgress "call_progress",
    CallConnected "call_connected",
    CallReleased "call_released",
    OutputState "output_state",
    InputState "input_state",
    DoorState "door_state",
    Opaque "opaque",
);

/// Three sets: what the gateway may command, what the other end may command, which events come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    commands: u64,
    commanded: u64,
    events: u64,
    told: u64,
}

impl Coverage {
    pub const NONE: Self = Self {
        commands: 0,
        commanded: 0,
        events: 0,
        told: 0,
    };

    pub const ALL: Self = Self {
        commands: u64::MAX,
        commanded: u64::MAX,
        events: u64::MAX,
        told: u64::MAX,
    };

    /// The gateway may ask this of the other end.
    #[must_use]
    pub const fn command(mut self, kind: CommandKind) -> Self {
        self.commands |= 1 << kind as u64;
        self
    }

    /// The other end may ask this of the gateway.
    #[must_use]
    pub const fn commanded(mut self, kind: CommandKind) -> Self {
        self.commanded |= 1 << kind as u64;
        self
    }

    /// The other end may tell this.
    #[must_use]
    pub const fn event(mut self, kind: EventKind) -> Self {
        self.events |= 1 << kind as u64;
        self
    }

    /// The gateway may tell this.
    #[must_use]
    pub const fn tells(mut self, kind: EventKind) -> Self {
        self.told |= 1 << kind as u64;
        self
    }

    pub const fn can_command(self, kind: CommandKind) -> bool {
        self.commands & (1 << kind as u64) != 0
    }

    pub const fn can_be_commanded(self, kind: CommandKind) -> bool {
        self.commanded & (1 << kind as u64) != 0
    }

    pub const fn can_hear(self, kind: EventKind) -> bool {
        self.events & (1 << kind as u64) != 0
    }

    pub const fn can_tell(self, kind: EventKind) -> bool {
        self.told & (1 << kind as u64) != 0
    }

    /// What the gateway can ask of the other end, and what it cannot.
    pub fn commands(self) -> (Vec<CommandKind>, Vec<CommandKind>) {
        let kinds = CommandKind::ALL.iter().copied();
        kinds.partition(|kind| self.can_command(*kind))
    }

    /// What comes from the other end, and what never will.
    pub fn events(self) -> (Vec<EventKind>, Vec<EventKind>) {
        let kinds = EventKind::ALL.iter().copied();
        kinds.partition(|kind| self.can_hear(*kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own_and_are_found_by_them() {
        for kind in CommandKind::ALL {
            assert_eq!(CommandKind::named(kind.name()), Some(*kind));
        }
        for kind in EventKind::ALL {
            assert_eq!(EventKind::named(kind.name()), Some(*kind));
        }
        assert_eq!(CommandKind::named("open_sesame"), None);
    }

    #[test]
    fn a_coverage_lists_what_is_missing_too() {
        let coverage = Coverage::NONE
            .command(CommandKind::DoorOpen)
            .event(EventKind::Opaque);
        let (can, cannot) = coverage.commands();
        assert_eq!(can, [CommandKind::DoorOpen]);
        assert_eq!(cannot.len(), CommandKind::ALL.len() - 1);
        let (hears, never) = coverage.events();
        assert_eq!(hears, [EventKind::Opaque]);
        assert_eq!(never.len(), EventKind::ALL.len() - 1);
        assert!(!coverage.can_be_commanded(CommandKind::DoorOpen));
        assert!(!coverage.can_tell(EventKind::Opaque));
    }
}
