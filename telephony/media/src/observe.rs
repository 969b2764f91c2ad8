//! A stream of RTP seen from aside: in a capture, not in a call.
//!
//! Counts as [`crate::Quality`] counts what a leg receives, with the same code, so that a capture
//! and a call record can be compared. Passes nothing on. Invariant: its size does not grow with
//! the stream.

use std::time::{Duration, Instant};

use crate::rtp::Header;
use crate::source::{Source, Verdict};

#[derive(Debug)]
pub struct Observer {
    source: Source,
    most: Duration,
}

/// What an [`Observer`] has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    pub packets: u64,
    pub expected: u64,
    pub lost: u64,
    pub duplicates: u64,
    pub reordered: u64,
    /// RFC 3550 A.8, at the end and at most; zero where the clock is not known.
    pub jitter: Duration,
    pub most_jitter: Duration,
}

impl Observer {
    /// Times of packets count from `start`.
    pub fn new(start: Instant) -> Observer {
        Observer {
            source: Source::new(start),
            most: Duration::ZERO,
        }
    }

    /// A packet was seen. `clock_rate`: of its payload, if it is known and its time counts.
    pub fn see(&mut self, header: &Header, octets: usize, clock_rate: Option<u32>, at: Instant) {
        let verdict = self.source.receive(header, octets, at);
        if let (Verdict::Accepted(_), Some(rate)) = (verdict, clock_rate) {
            self.source.time(header.timestamp, rate, at);
            self.most = self.most.max(self.source.jitter());
        }
    }

    pub fn observed(&self) -> Observed {
        let tally = self.source.tally();
        Observed {
            packets: tally.packets,
            expected: self.source.expected(),
            lost: self.source.lost(),
            duplicates: tally.duplicates,
            reordered: tally.reordered,
            jitter: self.source.jitter(),
            most_jitter: self.most,
        }
    }
}
