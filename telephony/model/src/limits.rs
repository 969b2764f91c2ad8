//! The limits of the product, in one place, each with the requirement it comes from.

/// Devices of a ring group that ring at once (C5).
pub const MAX_GROUP_MEMBERS: usize = 32;
/// Forwarding rules per station or user (C6).
pub const MAX_FORWARDING_RULES: usize = 20;
/// Door openers per door station (C4).
pub const MAX_DOORS: usize = 2;
/// Waiting calls that a station lists (C2).
pub const MAX_WAITING_CALLS: u8 = 20;
/// Positions (stations, cloud users) that share a control desk's queue.
pub const MAX_DESK_POSITIONS: usize = 64;
/// Call buttons per station; touch displays page through them.
pub const MAX_BUTTONS: usize = 128;
/// Entries of the escalation list of a site.
pub const MAX_ESCALATION: usize = 16;
/// Entries of a list of permissions (who may open, whose calls are answered by themselves).
pub const MAX_PERMISSIONS: usize = 1_000;
/// Stations of one directory.
pub const MAX_STATIONS: usize = 100_000;
/// Ring groups, desks, conferences, group calls of one directory, of each kind.
pub const MAX_GROUPS: usize = 10_000;
/// Forwardings that one call may follow before it counts as lost in a loop.
pub const MAX_HOPS: usize = 8;
/// Bytes of a name that people gave to something.
pub const MAX_NAME_BYTES: usize = 128;
