//! What is counted about pages that take calls.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Messages of pages that were not understood.
    pub(crate) messages_refused: AtomicU64,
    /// Pages that were cut off because they said too much, or read too little.
    pub(crate) pages_cut_off: AtomicU64,
    /// Pages that came back to their calls.
    pub(crate) pages_back: AtomicU64,
    /// Calls that ended because their page did not come back.
    pub(crate) calls_abandoned: AtomicU64,
    /// Test calls that people made.
    pub(crate) test_calls: AtomicU64,
}

impl Figures {
    pub(super) fn add(&self, which: impl FnOnce(&Self) -> &AtomicU64) {
        which(self).fetch_add(1, Ordering::Relaxed);
    }
}
