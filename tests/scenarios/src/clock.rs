//! Virtual time: one beginning for all worlds, so that equal stories have equal moments.
//!
//! Nothing here runs by itself: whoever owns a world says which moment it is.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use model::Timestamp;

pub const MILLISECOND: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3_600);

/// A Monday at noon in Vienna: 2026-01-05 12:00.
pub const NOON: Timestamp = Timestamp::from_unix_ms(1_767_610_800_000);

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The moment at which every world begins.
pub fn start() -> Instant {
    *START
}

/// How long a world has lasted, in milliseconds, for logs.
pub fn since_start(now: Instant) -> String {
    let passed = now.saturating_duration_since(start());
    format!("{}.{:03}", passed.as_secs(), passed.subsec_millis())
}
