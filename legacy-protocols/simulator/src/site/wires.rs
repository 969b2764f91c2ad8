//! Who hears whom, and which end of the network's sound carries which call.
//!
//! Only says; the sound itself is the owner's. Invariant: an end carries one call at a time.

use std::net::SocketAddr;

use legacy_protocols::number::Party;
use legacy_protocols::sound::{SoundCodec, SoundCodecs, SoundEnd, SoundKeys};

/// Those who are wired together: each hears all others that talk. Nobody in it: it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit {
    pub id: u64,
    pub members: Vec<Member>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    pub voice: Voice,
    pub part: Part,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Voice {
    /// Microphone and loudspeaker.
    Station(Party),
    /// An end on the network.
    End(usize),
    Programme(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub talks: bool,
    pub hears: bool,
}

impl Part {
    pub const BOTH: Self = Self {
        talks: true,
        hears: true,
    };
    pub const TALKS: Self = Self {
        talks: true,
        hears: false,
    };
    pub const HEARS: Self = Self {
        talks: false,
        hears: true,
    };
}

/// Where sound is sent, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    pub to: SocketAddr,
    pub codec: SoundCodec,
}

#[derive(Debug)]
pub(super) struct Wires {
    ends: Vec<SocketAddr>,
    used: Vec<bool>,
}

impl Wires {
    pub(super) fn new(ends: Vec<SocketAddr>) -> Self {
        let used = vec![false; ends.len()];
        Self { ends, used }
    }

    /// An end that carries nothing. None: all do.
    pub(super) fn take(&mut self) -> Option<usize> {
        let free = self.used.iter().position(|used| !used)?;
        self.used[free] = true;
        Some(free)
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.used.iter().filter(|used| **used).count()
    }

    pub(super) fn give_back(&mut self, end: usize) {
        if let Some(used) = self.used.get_mut(end) {
            *used = false;
        }
    }

    pub(super) fn address(&self, end: usize) -> Option<SocketAddr> {
        self.ends.get(end).copied()
    }

    /// What the other end of a line is told of it.
    pub(super) fn sound(&self, end: usize, codecs: SoundCodecs) -> Option<SoundEnd> {
        Some(SoundEnd {
            address: *self.ends.get(end)?,
            codecs,
            keys: SoundKeys::OnTheLine,
        })
    }
}
