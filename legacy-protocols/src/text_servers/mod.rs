//! The servers' ends of two protocols of text that a gateway speaks by a table: MC-IP and OpenWebNet.
//!
//! For simulators, never for a gateway. They are written by hand and share nothing with the tables,
//! so that each is a check of the other; how surely their words are known stands in `table::presets`.
//! No login of any kind.

mod frames;
mod mcip;
mod openwebnet;
#[cfg(test)]
mod tests;

pub use mcip::McIpServer;
pub use openwebnet::OpenWebNetServer;

use std::sync::Arc;
use std::time::Instant;

use crate::command::Purpose;
use crate::event::{Origin, Provenance};
use crate::number::{Number, Party};

/// What is asked and has no answer yet, and requests that can be taken back, each at most.
const MOST_KNOWN: usize = 256;

fn provenance(raw: &[u8], now: Instant) -> Provenance {
    Provenance {
        raw: Arc::from(raw),
        at: now,
        origin: Origin::Live,
        purpose: Purpose::Live,
    }
}

/// Numbers have no server on these lines.
const fn bare(party: Party) -> Number {
    party.number
}
