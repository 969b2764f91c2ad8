//! A 2xx of ours that waits for its ACK.

use std::time::Instant;

use bytes::Bytes;

use crate::endpoint::Output;
use crate::endpoint::core::Core;
use crate::flow::Hop;
use crate::transaction::Repeat;

/// A 2xx of ours that is repeated end to end (RFC 3261 13.3.1.4).
#[derive(Debug)]
pub(in crate::session) struct Unacked {
    number: u32,
    bytes: Bytes,
    hop: Hop,
    repeat: Repeat,
    give_up: Instant,
}

impl Unacked {
    pub(in crate::session) fn new(number: u32, bytes: Bytes, hop: Hop, core: &Core) -> Self {
        let timers = core.settings.timers;
        Self {
            number,
            bytes,
            hop,
            repeat: Repeat::always(timers.t1, core.now),
            give_up: core.now + timers.give_up,
        }
    }

    pub(in crate::session) fn deadline(&self) -> Instant {
        self.repeat.at().min(self.give_up)
    }

    pub(in crate::session) fn is_acked_by(&self, number: u32) -> bool {
        self.number == number
    }

    /// `false` when the peer has had its time.
    pub(in crate::session) fn on_timeout(&mut self, core: &mut Core) -> bool {
        if self.give_up <= core.now {
            return false;
        }
        if self.repeat.is_due(core.now) {
            self.repeat.back_off(&core.settings.timers, core.now);
            core.out.push_back(Output::Transmit {
                to: self.hop.clone(),
                bytes: self.bytes.clone(),
            });
        }
        true
    }
}
