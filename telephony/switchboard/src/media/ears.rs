//! The legs of a media thread that others listen to as well: the recorder, and whoever waits for
//! keys dialled as tones.
//!
//! Invariant: a frame goes to the recorder under the leg it is from, or nowhere.

use std::collections::BTreeMap;

use media::{LegKey, Overheard, Tap};
use model::LegId;

use crate::frames::{Frame, FrameSender};

/// See the module.
#[derive(Debug)]
pub(super) struct Ears {
    wanted: BTreeMap<LegId, Tap>,
    /// The relay's names of legs whose sound is wanted.
    legs: BTreeMap<LegKey, LegId>,
    to: FrameSender,
}

/// What a leg is listened to for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// The recorder takes its frames.
    Sound,
    /// Keys are heard in them.
    Keys,
}

/// Whether something is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Yes,
    No,
}

impl Ears {
    pub(super) fn new(to: FrameSender) -> Self {
        Self {
            wanted: BTreeMap::new(),
            legs: BTreeMap::new(),
            to,
        }
    }

    /// What is wanted of the leg from now on.
    pub(super) fn set(&mut self, leg: LegId, to: Use, wanted: Wanted) {
        let tap = self.wanted.entry(leg).or_default();
        let set = match to {
            Use::Sound => &mut tap.sound,
            Use::Keys => &mut tap.keys,
        };
        *set = wanted == Wanted::Yes;
        let tap = *tap;
        if tap == Tap::default() {
            self.wanted.remove(&leg);
        }
    }

    pub(super) fn wanted(&self, leg: LegId) -> Tap {
        self.wanted.get(&leg).copied().unwrap_or_default()
    }

    /// The relay has been told.
    pub(super) fn tapped(&mut self, key: LegKey, leg: LegId, tap: Tap) {
        match tap.sound {
            true => self.legs.insert(key, leg),
            false => self.legs.remove(&key),
        };
    }

    /// The leg goes to another thread, and what is wanted of it with it.
    pub(super) fn let_go(&mut self, leg: LegId) -> Tap {
        let tap = self.wanted(leg);
        self.closed(leg);
        tap
    }

    /// The leg has come from another thread.
    pub(super) fn take_in(&mut self, leg: LegId, tap: Tap) {
        if tap != Tap::default() {
            self.wanted.insert(leg, tap);
        }
    }

    pub(super) fn closed(&mut self, leg: LegId) {
        self.wanted.remove(&leg);
        self.legs.retain(|_, of| *of != leg);
    }

    pub(super) fn overheard(&self, overheard: &Overheard<'_>) {
        if let Some(leg) = self.legs.get(&overheard.leg) {
            self.to.send(Frame {
                leg: *leg,
                samples: overheard.samples.into(),
                rate: overheard.rate,
                at: overheard.at,
            });
        }
    }
}
