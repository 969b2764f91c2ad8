//! One id type per entity, so that a leg is never taken for a call.
//!
//! Ids of configured things (station, door, group...) stay the same over a reload and a restart:
//! they come from a number or from a key that the configuration gives (`from_key`). Ids of running
//! things (call, leg, request, record) are counted by the call engine.

use std::fmt;

macro_rules! running_id {
    ($($(#[$doc:meta])* $name:ident, $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            pub const fn new(value: u64) -> Self {
                Self(value)
            }

            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "-{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

macro_rules! configured_id {
    ($($(#[$doc:meta])* $name:ident, $prefix:literal;)*) => {
        running_id! { $($(#[$doc])* $name, $prefix;)* }
        $(impl $name {
            /// The id of the thing that the configuration calls `key`: always the same for the same
            /// key. Two keys that should ever share an id are reported by `Directory::build`.
            pub const fn from_key(key: &str) -> Self {
                Self(hash_of_key(key.as_bytes()))
            }
        })*
    };
}

configured_id! {
    /// An intercom device: door station, desk station, emergency point, phone.
    StationId, "station";
    /// A door, gate or barrier that a station's output (or a URL) opens.
    DoorId, "door";
    /// A ring group: up to 32 that ring at once.
    RingGroupId, "group";
    /// A control desk with its queue of call requests.
    DeskId, "desk";
    /// A conference room: many talk to many.
    ConferenceId, "conference";
    /// A group call: one talks to many.
    GroupCallId, "group-call";
    /// Another server of the network, with stations of its own.
    NodeId, "node";
}

running_id! {
    /// A call: what belongs together from the first leg's arrival to the last leg's end.
    CallId, "call";
    /// One device's part of a call. Opaque to the call engine.
    LegId, "leg";
    /// A call request: a queued wish to be called.
    RequestId, "request";
    /// A line in the call report.
    RecordId, "record";
}

macro_rules! wide_id {
    ($($(#[$doc:meta])* $name:ident, $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            pub const fn new(value: u128) -> Self {
                Self(value)
            }

            pub const fn get(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "-{:032x}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

wide_id! {
    /// A user of the cloud (its UUID).
    CloudUserId, "user";
    /// One command to open a door, unique for all time. A command is executed at most once per id.
    CommandId, "command";
}

/// FNV-1a with 64 bits: stable over versions of the compiler, unlike the standard hasher.
const fn hash_of_key(key: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut i = 0;
    while i < key.len() {
        hash = (hash ^ key[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_the_same_id_for_ever() {
        // The published FNV-1a vector; a change here would orphan stored call records.
        assert_eq!(StationId::from_key("foobar").get(), 0x85944171f73967e8);
        assert_ne!(StationId::from_key("gate"), StationId::from_key("gate "));
    }

    #[test]
    fn an_id_says_what_it_is_of() {
        assert_eq!(LegId::new(7).to_string(), "leg-7");
        assert_eq!(
            format!("{:?}", CommandId::new(255)),
            "command-000000000000000000000000000000ff"
        );
    }
}
