//! The numbers both ends of the link rely on.
//!
//! Invariant: a document that keeps to them fits one packet, and each counter in it
//! survives a reader whose numbers are doubles (2^53) or signed 64-bit.

use std::time::Duration;

/// The version in each topic.
pub const VERSION: u8 = 1;
/// Octets of a document, as JSON in UTF-8.
pub const DOCUMENT: usize = 32 * 1024;
/// Octets of all that a device reports of itself: a patch that would make it more is not taken.
pub const REPORTED: usize = 64 * 1024;
/// Octets of an MQTT packet after CONNECT was accepted; each end announces it.
pub const PACKET: usize = 64 * 1024;
/// Octets of a CONNECT packet: nothing is known of the sender yet.
pub const CONNECT: usize = 4 * 1024;
/// Messages one end sends before the oldest is acknowledged (MQTT's receive maximum).
pub const IN_FLIGHT: u16 = 20;
/// The largest value of `boot`, `conn`, `seq` and `rev`.
pub const COUNTER: u64 = (1 << 53) - 1;

/// How often a device sends `hb`.
pub const HEARTBEAT: Duration = Duration::from_secs(60);
/// How long after the loss of a connection its will is published.
pub const WILL_DELAY: Duration = Duration::from_secs(30);
/// The keep-alive a device should ask for.
pub const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// The longest keep-alive the core grants; 0 ("never") is not granted either.
pub const KEEP_ALIVE_LONGEST: Duration = Duration::from_secs(300);
/// A command's longest life.
pub const COMMAND_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest life of a command that opens a door.
pub const DOOR_LIFE: Duration = Duration::from_secs(10);
/// How long a device remembers the commands it carried out.
pub const COMMAND_MEMORY: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Days that data of calls may be kept.
pub const CALL_DATA_DAYS: u16 = 180;
/// Errors listed in one report of applied settings.
pub const APPLY_ERRORS: usize = 32;
