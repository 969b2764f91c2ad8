//! How much of what was forgotten.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forgotten(BTreeMap<&'static str, u64>);

impl Forgotten {
    pub(super) fn one(kind: &'static str, count: u64) -> Self {
        let mut one = Self::default();
        one.count(kind, count);
        one
    }

    pub(super) fn count(&mut self, kind: &'static str, count: u64) {
        if count > 0 {
            *self.0.entry(kind).or_default() += count;
        }
    }

    pub(super) fn add(&mut self, more: &Self) {
        for (kind, count) in &more.0 {
            self.count(kind, *count);
        }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn of(&self, kind: &str) -> u64 {
        self.0.get(kind).copied().unwrap_or(0)
    }
}

impl fmt::Display for Forgotten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (kind, count)) in self.0.iter().enumerate() {
            let between = if place == 0 { "" } else { " " };
            write!(f, "{between}{kind}={count}")?;
        }
        Ok(())
    }
}

/// Since the start of this process. A clone is the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct ForgottenSoFar(Arc<Mutex<Forgotten>>);

impl ForgottenSoFar {
    pub(super) fn add(&self, more: &Forgotten) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(more);
    }

    /// Of all kinds.
    pub(crate) fn total(&self) -> u64 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.0.values().sum()
    }
}
