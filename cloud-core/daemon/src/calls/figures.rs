//! What the thread of calls counts.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Figures {
    flows: AtomicU64,
    companies: AtomicU64,
    calls: AtomicU64,
    media_lost: AtomicU64,
    /// Turned away before anybody was known there.
    pub(super) flows_refused: AtomicU64,
    /// Ended because their certificate opens nothing, or no longer.
    pub(super) flows_barred: AtomicU64,
    /// Messages that could not be sent, or led somewhere else than to a gateway's flow.
    pub(super) unsent: AtomicU64,
    pub(super) records: AtomicU64,
    pub(super) records_lost: AtomicU64,
    pub(super) questions_lost: AtomicU64,
    pub(super) page_commands_lost: AtomicU64,
}

impl Figures {
    pub(super) fn add(&self, which: impl Fn(&Self) -> &AtomicU64) {
        which(self).fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn flow_came(&self) {
        self.flows.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn flow_left(&self) {
        self.flows.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn set_companies(&self, companies: usize) {
        self.companies.store(companies as u64, Ordering::Relaxed);
    }

    pub(super) fn set_calls(&self, calls: u64) {
        self.calls.store(calls, Ordering::Relaxed);
    }

    pub(super) fn set_media_lost(&self, lost: u64) {
        self.media_lost.store(lost, Ordering::Relaxed);
    }

    /// By the names of the list of metrics.
    pub(crate) fn of(&self, name: &str) -> u64 {
        let counter = match name {
            "flows" => &self.flows,
            "companies" => &self.companies,
            "calls" => &self.calls,
            "media_lost" => &self.media_lost,
            "flows_refused" => &self.flows_refused,
            "flows_barred" => &self.flows_barred,
            "unsent" => &self.unsent,
            "records" => &self.records,
            "records_lost" => &self.records_lost,
            "questions_lost" => &self.questions_lost,
            "page_commands_lost" => &self.page_commands_lost,
            _ => return 0,
        };
        counter.load(Ordering::Relaxed)
    }
}
