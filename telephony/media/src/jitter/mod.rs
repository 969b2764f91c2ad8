//! The jitter buffer of a leg whose sound is decoded here.
//!
//! Packets go in as they come; out comes, in order and in time, what to play:
//! a packet, the order to invent one, or silence. Legs that are only relayed
//! need none. It decodes nothing and changes no sound; where a wait must become
//! longer or shorter it wishes so ([`Wish`]), and [`Elastic`] does it where
//! nobody hears it.
//!
//! Two ways to take sound out:
//!
//! - [`JitterBuffer::poll`], for a leg that is encoded again and sent on. While
//!   packets come evenly (nearly all within 20 ms) each is handed over in the
//!   moment it comes, so the buffer costs no delay, and its clock only decides
//!   when a missing one is given up. When they do not, all are played by the
//!   clock, which follows the sender's: a wrong clock there costs nothing.
//! - [`JitterBuffer::pull`], for a listener with its own clock (a room with
//!   others, a recording): one step whenever it needs sound. The wait is then
//!   what it happens to be, and wishes keep it near its goal against the drift
//!   of the clocks.
//!
//! The wait aims at what nearly all packets need, between 20 and 120 ms.
//! Sequence numbers are the extended ones of the leg's source, which has also
//! judged SSRCs and jumps; each new stream has its epoch.
//!
//! Invariants: a packet is played at most once, in an epoch in rising order;
//! memory is bounded whatever comes; no step allocates once the store has grown
//! to what the stream needs.

mod arrival;
mod buffer;
mod delays;
mod elastic;
mod store;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use buffer::JitterBuffer;
pub use elastic::Elastic;

/// The wait is never aimed lower or higher.
pub const LEAST_WAIT: Duration = Duration::from_millis(20);
pub const MOST_WAIT: Duration = Duration::from_millis(120);

/// A longer payload is no sound; what fits into a datagram of an Ethernet.
pub const MAX_PAYLOAD: usize = 1500;

/// What one stream needs known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// The RTP clock.
    pub clock_rate: u32,
    /// A packet may carry the one before it (Opus in-band FEC): when packets
    /// get lost, wait long enough for the next.
    pub redundant: bool,
}

/// A packet of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'p> {
    /// Changes with each new stream of the leg.
    pub epoch: u32,
    /// Extended, so that it never wraps.
    pub sequence: i64,
    pub timestamp: u32,
    /// Ticks of sound in it; 0: as many as in the one before.
    pub duration: u32,
    pub payload: &'p [u8],
}

/// What became of a packet that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    Waits,
    /// Its time had passed.
    Late,
    Duplicate,
    /// No room, or too long.
    Dropped,
}

/// What to do for the next piece of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'b> {
    /// Decode this and give it to [`Elastic`] with the wish.
    Play {
        sequence: i64,
        timestamp: u32,
        payload: &'b [u8],
        wish: Wish,
    },
    /// A piece is missing: invent so many ticks. `next` is the packet after
    /// it, if that is there, which may carry a copy; it is played in its turn.
    Lost { ticks: u32, next: Option<&'b [u8]> },
    /// Nothing is missing: the sender is silent (DTX), or has been for long.
    Silence { ticks: u32 },
}

/// Which way the wait should change, when sound allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Keep,
    Shorten,
    Lengthen,
}

/// How much longer (or shorter) sound became than it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift(i64);

impl Shift {
    pub const NONE: Shift = Shift(0);

    /// Microseconds; negative: shorter.
    pub fn micros(self) -> i64 {
        self.0
    }
}

/// For the quality record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    pub played: u64,
    /// Never played: lost on the way, or late.
    pub lost: u64,
    pub late: u64,
    pub duplicates: u64,
    /// No room, or given up to catch up.
    pub dropped: u64,
    /// Pieces that had to be invented.
    pub invented: u64,
    /// Time stamps that jumped without reason, streams that began anew.
    pub restarts: u64,
    /// How long a packet on the fastest way waits now.
    pub wait: Duration,
    /// Where the wait should be.
    pub goal: Duration,
    /// By which sound was made longer and shorter.
    pub lengthened: Duration,
    pub shortened: Duration,
}
