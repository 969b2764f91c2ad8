//! A disk in virtual time: writes are confirmed later, fail, or are lost with the machine.
//!
//! Invariant: what was confirmed is there after a crash; what was not, may be or not.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sip::registrar::{Store, StoreToken, StoredBinding};

use crate::clock::MILLISECOND;
use crate::random::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// Confirms after so long.
    Works(Duration),
    Fails,
    /// Says nothing, neither this nor that.
    Hangs,
}

#[derive(Debug)]
pub struct Storage {
    pub disk: Disk,
    random: Random,
    bindings: BTreeMap<Arc<str>, Vec<StoredBinding>>,
    pending: VecDeque<(Instant, Store)>,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    Stored(StoreToken),
    Failed(StoreToken),
}

impl Storage {
    pub fn new(random: Random) -> Self {
        Self {
            disk: Disk::Works(5 * MILLISECOND),
            random,
            bindings: BTreeMap::new(),
            pending: VecDeque::new(),
        }
    }

    pub fn write(&mut self, store: Store, now: Instant) {
        let time = match self.disk {
            Disk::Works(time) => time,
            Disk::Fails | Disk::Hangs => MILLISECOND,
        };
        // In order: a quick disk does not overtake what it was slow with before.
        let behind = self.pending.back().map_or(now, |(at, _)| *at);
        self.pending.push_back((behind.max(now + time), store));
    }

    pub fn next(&self) -> Option<Instant> {
        match self.disk {
            Disk::Works(_) | Disk::Fails => self.pending.front().map(|(at, _)| *at),
            Disk::Hangs => None,
        }
    }

    /// What is confirmed, or failed, by now.
    pub fn finish(&mut self, now: Instant) -> Option<Written> {
        if self.next().is_none_or(|at| at > now) {
            return None;
        }
        let (_, store) = self.pending.pop_front()?;
        let token = store.token;
        match self.disk {
            Disk::Works(_) => {
                self.put(store);
                Some(Written::Stored(token))
            }
            Disk::Fails | Disk::Hangs => Some(Written::Failed(token)),
        }
    }

    /// The machine is gone; of what was not confirmed a beginning may have reached the disk.
    pub fn crash(&mut self) {
        let kept = self.random.below(self.pending.len() + 1);
        for (_, store) in std::mem::take(&mut self.pending).into_iter().take(kept) {
            self.put(store);
        }
    }

    fn put(&mut self, store: Store) {
        match store.bindings.is_empty() {
            true => self.bindings.remove(&store.aor),
            false => self.bindings.insert(store.aor, store.bindings),
        };
    }

    pub fn bindings(&self) -> Vec<(Arc<str>, StoredBinding)> {
        let all = self.bindings.iter().flat_map(|(aor, bindings)| {
            bindings
                .iter()
                .map(|binding| (Arc::clone(aor), binding.clone()))
        });
        all.collect()
    }

    pub fn knows(&self, aor: &str) -> bool {
        self.bindings.contains_key(aor)
    }
}
