//! What a link is told about its line; the defaults are Q.921's system parameters (5.9).

use std::time::Duration;

/// Whether the carrier marks commands and responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// An address field with a C/R bit, as LAPD has: any frame may poll.
    CommandBit,
    /// Nothing but a control field. Supervisory frames are then responses, and only an information
    /// frame polls: two ends that poll each other by RR could not tell the answers apart and would
    /// answer answers for ever.
    ControlOnly,
}

/// The parameters of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    pub addressing: Addressing,
    /// k: how many information frames may be unacknowledged.
    pub window: u8,
    /// T200: how long an answer may take.
    pub answer_within: Duration,
    /// N200: how often something is sent again.
    pub retries: u8,
    /// T203: how long an idle link goes unwatched. Needs [`Addressing::CommandBit`].
    pub watch_idle_after: Option<Duration>,
    /// N201: the longest payload, ours and the peer's.
    pub longest_payload: usize,
    /// How many payloads wait at most, those on their way included.
    pub queue: usize,
}

impl Config {
    /// A LAPD link of a primary rate line. Q.921 5.9: k = 7.
    pub fn primary_rate() -> Self {
        Self {
            addressing: Addressing::CommandBit,
            window: 7,
            answer_within: Duration::from_secs(1),
            retries: 3,
            watch_idle_after: Some(Duration::from_secs(10)),
            longest_payload: 260,
            queue: 256,
        }
    }

    /// A LAPD link of a basic rate line. Q.921 5.9: k = 1.
    pub fn basic_rate() -> Self {
        Self {
            window: 1,
            ..Self::primary_rate()
        }
    }

    /// The window, kept where sequence numbers modulo 128 are still unambiguous.
    pub(super) fn window(&self) -> usize {
        usize::from(self.window.clamp(1, 127))
    }
}
