//! What the four machines share: repetition with back-off, and the words they answer with.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::timer::Timers;
use crate::flow::Transport;

/// Whether the user of a transaction hears of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    PassUp,
    Absorbed,
}

/// What a due timer of a client machine asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClientTimer {
    Idle,
    Repeat(Bytes),
    /// Timer B or F.
    TimedOut,
}

/// What a due timer of a server machine asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ServerTimer {
    Idle,
    Repeat(Bytes),
    /// RFC 3261 17.2.1: no response of the user within 200 ms.
    SendTrying,
    /// Timer H: no ACK; or the user never answered.
    TimedOut,
}

/// A message that is sent again and again on UDP: Timers A, E and G.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Repeat {
    at: Instant,
    interval: Duration,
}

impl Repeat {
    /// `None` on transports that repeat by themselves.
    pub(super) fn start(transport: Transport, t1: Duration, now: Instant) -> Option<Self> {
        (!transport.is_reliable()).then(|| Self::always(t1, now))
    }

    /// Repetition end to end, whatever the transport: 2xx and reliable 1xx.
    pub(crate) fn always(t1: Duration, now: Instant) -> Self {
        Self {
            at: now + t1,
            interval: t1,
        }
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.at <= now
    }

    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    /// Timers E and G, and the 2xx of RFC 3261 13.3.1.4: doubled up to T2.
    pub(crate) fn back_off(&mut self, timers: &Timers, now: Instant) {
        self.interval = timers.backed_off(self.interval);
        self.at = now + self.interval;
    }

    /// Timer A and the reliable 1xx of RFC 3262 3: doubled without bound.
    pub(crate) fn double(&mut self, now: Instant) {
        self.interval *= 2;
        self.at = now + self.interval;
    }

    /// RFC 3261 17.1.2.2: in Proceeding Timer E is reset to T2 when it fires.
    pub(super) fn slow_down(&mut self, t2: Duration) {
        self.interval = t2;
    }

    pub(super) fn earlier(repeat: Option<&Self>, other: Instant) -> Instant {
        repeat.map_or(other, |repeat| repeat.at.min(other))
    }
}
