//! The wall clock, which a test can move.
//!
//! Everything that expires asks here, so that a test may let 180 days pass at once. Invariant: all
//! clones of a clock show the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
#[cfg(test)]
use std::time::Duration;
use std::time::SystemTime;

use model::Timestamp;

/// A clone is the same clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    /// Milliseconds ahead of the machine's clock.
    ahead: Arc<AtomicI64>,
}

impl Clock {
    pub(crate) fn now(&self) -> Timestamp {
        let since_1970 = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let machine = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_unix_ms(machine.saturating_add(self.ahead.load(Ordering::Relaxed)))
    }

    /// Lets time pass.
    #[cfg(test)]
    pub(crate) fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.ahead.fetch_add(by, Ordering::Relaxed);
    }
}
