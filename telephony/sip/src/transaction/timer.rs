//! The timer values of RFC 3261 17, RFC 3262 and RFC 6026 in one place.
//!
//! Invariant: every timer of the four machines is derived here, none is a number elsewhere.

use std::time::Duration;

use crate::flow::Transport;

/// T1, T2 and T4 of RFC 3261 17.1.1.1, and what follows from them. Timers that are given by
/// multiples in the standard can be set apart, for tests and for very slow networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip estimate: first retransmission interval (A, E, G).
    pub t1: Duration,
    /// Longest retransmission interval of non-INVITE requests and INVITE responses.
    pub t2: Duration,
    /// How long a message can stay in the network (I, K).
    pub t4: Duration,
    /// Timers B, F and H, also the patience for an ACK to a 2xx: 64*T1.
    pub give_up: Duration,
    /// Timers D, J, L and M: how long a finished transaction absorbs repetitions on UDP.
    /// D is at least 32 s on UDP by RFC 3261 17.1.1.2.
    pub linger: Duration,
    /// Timer C, for requests whose answerer only says 1xx (RFC 3261 16.6): the INVITE client
    /// is cancelled by then. At least three minutes.
    pub c: Duration,
}

impl Default for Timers {
    fn default() -> Timers {
        Timers::from_t1(Duration::from_millis(500))
    }
}

impl Timers {
    /// The standard's relations for another T1.
    pub fn from_t1(t1: Duration) -> Timers {
        Timers {
            t1,
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            give_up: t1 * 64,
            linger: t1 * 64,
            c: Duration::from_secs(181),
        }
    }

    /// Timer D: the INVITE client absorbs repeated final responses.
    pub(crate) fn d(&self, transport: Transport) -> Duration {
        self.lingering(transport, self.linger)
    }

    /// Timer I: the INVITE server absorbs repeated ACKs.
    pub(crate) fn i(&self, transport: Transport) -> Duration {
        self.lingering(transport, self.t4)
    }

    /// Timer J: the server absorbs repeated requests.
    pub(crate) fn j(&self, transport: Transport) -> Duration {
        self.lingering(transport, self.linger)
    }

    /// Timer K: the client absorbs repeated responses.
    pub(crate) fn k(&self, transport: Transport) -> Duration {
        self.lingering(transport, self.t4)
    }

    /// The next interval of Timers E and G: doubled, at most T2.
    pub(crate) fn backed_off(&self, interval: Duration) -> Duration {
        (interval * 2).min(self.t2)
    }

    fn lingering(&self, transport: Transport, unreliable: Duration) -> Duration {
        if transport.is_reliable() {
            Duration::ZERO
        } else {
            unreliable
        }
    }
}
