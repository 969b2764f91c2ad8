//! Puts the figures of a leg together: its two streams, what is decoded of it, what it is told.
//!
//! Measures nothing by itself. Invariant: what was true of a leg while it was connected is still
//! said of it when it no longer is, so its last figures tell of the call and not of its end.

use std::time::{Duration, Instant};

use crate::decoded::Decoding;
use crate::emodel::{self, Path};
use crate::format::Codec;
use crate::leg::Leg;
use crate::quality::Quality;
use crate::session::{Session, slots};
use crate::voice::Hearing;

/// Where we do not decode, the listener's buffer is taken as twice the jitter, and this at least.
const USUAL_BUFFER: Duration = Duration::from_millis(40);

/// What a leg was told last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) codec: Codec,
    pub(crate) by: Teller,
}

/// Whose words a leg hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Teller {
    /// Another leg's, as they are.
    Peer,
    /// What we encode.
    Us,
}

impl Leg {
    /// What is decoded for this leg of the one that it hears.
    fn decoding(&self) -> Option<Decoding> {
        let live = self.live_hearing().map(Hearing::decoding);
        match (self.spent, live) {
            (Some(spent), Some(live)) => Some(spent.and_then(live)),
            (spent, live) => spent.or(live),
        }
    }

    /// A hearing half of this leg ends; its figures stay.
    pub(crate) fn spend(&mut self, decoding: Decoding) {
        self.spent = Some(match self.spent {
            Some(spent) => spent.and_then(decoding),
            None => decoding,
        });
    }

    fn quality(&self, now: Instant) -> Quality {
        let tally = self.source.tally();
        let ours = self.told.is_some_and(|told| told.by == Teller::Us);
        Quality {
            codec: self.voice_heard().map(|format| format.codec),
            transcoded: ours || self.was_decoded,
            suite: self.guard.suite(),
            packets: tally.packets,
            octets: tally.octets,
            expected: self.source.expected(),
            lost: self.source.lost(),
            duplicates: tally.duplicates,
            reordered: tally.reordered,
            jitter: self.source.jitter(),
            sent_packets: self.out.packets(),
            sent_octets: self.out.octets(),
            last_packet: self
                .source
                .last()
                .map(|at| now.saturating_duration_since(at)),
            round_trip: self.out.round_trip(),
            delay: None,
            decoded: None,
            far: self.out.far(),
            mos: None,
            far_mos: None,
            drops: self.drops,
        }
    }

    /// The score of what the peer is sent, by its own reports.
    fn far_score(&self, quality: &Quality) -> Option<f32> {
        let (far, told) = (quality.far?, self.told?);
        let buffer = (2 * far.jitter).max(USUAL_BUFFER);
        emodel::score(&Path {
            codec: told.codec,
            lost: u64::try_from(far.lost).unwrap_or(0),
            expected: quality.sent_packets,
            delay: one_way(quality.round_trip, told.codec, buffer),
        })
    }
}

impl Session {
    /// A leg's figures so far.
    pub(crate) fn quality(&self, slot: u8, now: Instant) -> Option<Quality> {
        let leg = self.leg(slot)?;
        let mut quality = leg.quality(now);
        let listeners = slots(leg.heard_by).filter_map(|listener| self.leg(listener));
        let decodings = listeners.filter_map(Leg::decoding);
        quality.decoded = leg.past.with(decodings.chain(self.said_in_room(slot)));
        quality.far_mos = leg.far_score(&quality);
        if let Some(codec) = quality.codec {
            let buffer = match quality.decoded {
                Some(decoded) => decoded.wait,
                None => (2 * quality.jitter).max(USUAL_BUFFER),
            };
            let delay = one_way(quality.round_trip, codec, buffer);
            quality.delay = quality.round_trip.map(|_| delay);
            let late = quality.decoded.map_or(0, |decoded| decoded.late);
            quality.mos = emodel::score(&Path {
                codec,
                lost: quality.lost + late,
                expected: quality.expected,
                delay,
            });
        }
        Some(quality)
    }

    /// The listener hears whom it heard no more: what was decoded of that one stays with it.
    pub(crate) fn settle(&mut self, listener: u8) {
        let Some(leg) = self.leg_mut(listener) else {
            return;
        };
        let (spent, source) = (leg.spent.take(), leg.hears);
        if let (Some(spent), Some(source)) = (spent, source.and_then(|slot| self.leg_mut(slot))) {
            source.past.add(spent);
        }
    }
}

/// A way of which the two directions are taken as equal.
fn one_way(round_trip: Option<Duration>, codec: Codec, buffer: Duration) -> Duration {
    round_trip.unwrap_or_default() / 2 + emodel::framing(codec) + buffer
}
