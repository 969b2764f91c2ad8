//! Where a packet that comes has its place: in media time, in the order, or
//! nowhere, because it came twice or too late.
//!
//! Does not say when anything is due ([`super::buffer`] does), but makes the
//! wait longer where a delayed sender would otherwise lose what it said.

use std::time::Duration;

use super::buffer::{JitterBuffer, Newest, PATIENCE, Stream, WARY, gap, micros, ticks};
use super::delays::Delays;
use super::store::MAX_PACKETS;
use super::{MAX_PAYLOAD, MOST_WAIT, Packet, Placed};

const MOST: i64 = MOST_WAIT.as_micros() as i64;

/// A time stamp that leads so far before the clock, or lags so far, is a jump.
const JUMP_AHEAD: i64 = 60_000;
const JUMP_BACK: i64 = 2_000_000;

/// Numbers that are closer together are believed against the clock.
const LEAP: i64 = 50;

/// Sequence numbers so far apart are two streams, as RFC 3550 A.1 has it.
const RESTART: i64 = 3000;

/// No stream comes so far; sums of smaller numbers cannot overflow.
const MAX_SEQUENCE: u64 = 1 << 60;

/// So many packets that are late in order, or one that is so late, mean that
/// the way or the sender's clock has changed.
const LATE_RUN: u32 = 3;
const LATE_BY: i64 = 500_000;

impl JitterBuffer {
    pub(super) fn place(&mut self, packet: &Packet<'_>, at: i64) -> Placed {
        if packet.payload.len() > MAX_PAYLOAD || packet.sequence.unsigned_abs() > MAX_SEQUENCE {
            return Placed::Dropped;
        }
        let Some(stream) = &self.stream else {
            return self.begin(packet, at);
        };
        let newest = stream.newest;
        let step = packet.sequence.saturating_sub(newest.sequence);
        if stream.epoch != packet.epoch || step.abs() > RESTART {
            return self.restart(packet, at);
        }
        let duration = self.duration(packet, newest.duration);
        let position = if step > 0 {
            self.position_of_newer(packet, step, at)
        } else {
            position_of_older(packet, step, &newest)
        };
        if !self.note(packet, step, position, duration) {
            return Placed::Duplicate;
        }
        let transit = at - micros(position, self.clock_rate);
        self.delays.add(transit);
        let Some(next) = self.stream.as_ref().map(|stream| stream.next_sequence) else {
            return Placed::Dropped;
        };
        if packet.sequence < next {
            return Placed::Late;
        }
        if let Some(late) = self.judge_lateness(step > 0, position, transit) {
            return late;
        }
        let placed = self.keep(packet, position, duration);
        self.steer();
        placed
    }

    fn begin(&mut self, packet: &Packet<'_>, at: i64) -> Placed {
        let duration = self.duration(packet, self.frame);
        self.delays.add(at);
        self.stream = Some(Stream {
            epoch: packet.epoch,
            newest: Newest {
                sequence: packet.sequence,
                timestamp: packet.timestamp,
                position: 0,
                duration,
            },
            seen: 1,
            next_sequence: packet.sequence,
            next_position: 0,
            anchor: at + PATIENCE,
            followed: at,
            prompt: true,
            pulled: false,
            starved: 0,
            late_run: 0,
            unharmed: WARY,
        });
        self.keep(packet, 0, duration)
    }

    /// Another stream goes on where the old one stopped.
    fn restart(&mut self, packet: &Packet<'_>, at: i64) -> Placed {
        self.figures.restarts += 1;
        self.figures.dropped += self.store.len() as u64;
        self.store.clear();
        let duration = self.duration(packet, self.frame);
        let clock_rate = self.clock_rate;
        let goal = self.goal();
        let Some(stream) = &mut self.stream else {
            return Placed::Dropped;
        };
        let position = stream.next_position;
        stream.epoch = packet.epoch;
        stream.seen = 1;
        stream.newest = Newest {
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            position,
            duration,
        };
        stream.next_sequence = packet.sequence;
        stream.starved = 0;
        stream.late_run = 0;
        let transit = at - micros(position, clock_rate);
        self.delays.move_base(transit);
        stream.followed = transit;
        stream.anchor = match stream.prompt {
            true => transit + PATIENCE,
            false => transit + goal,
        };
        self.keep(packet, position, duration)
    }

    fn duration(&self, packet: &Packet<'_>, last: u32) -> u32 {
        // RFC 6716 2: no packet holds more than 120 ms.
        match packet.duration {
            1.. if packet.duration <= self.frame * 6 => packet.duration,
            _ => last,
        }
    }

    /// By its time stamp, if the clock or the sequence numbers agree with it;
    /// else by the numbers; and by the clock, if these have made a leap too.
    fn position_of_newer(&mut self, packet: &Packet<'_>, step: i64, at: i64) -> i64 {
        let Some(stream) = &self.stream else { return 0 };
        let newest = &stream.newest;
        let by_clock = at - self.delays.base() - micros(newest.position, self.clock_rate);
        let agrees = |advance: i64| {
            let ahead = micros(advance, self.clock_rate) - by_clock;
            (-JUMP_BACK..=JUMP_AHEAD).contains(&ahead)
        };
        let stamped = i64::from(packet.timestamp.wrapping_sub(newest.timestamp) as i32);
        let counted = i64::from(newest.duration) * step;
        let near = step <= LEAP;
        if stamped > 0 && (agrees(stamped) || near && stamped == counted) {
            return newest.position + stamped;
        }
        self.figures.restarts += 1;
        match near || agrees(counted) {
            true => newest.position + counted,
            false => {
                let by_clock = ticks(by_clock, self.clock_rate);
                newest.position + by_clock.max(newest.duration.into())
            }
        }
    }

    /// Marks it as seen. `false`: it was already.
    fn note(&mut self, packet: &Packet<'_>, step: i64, position: i64, duration: u32) -> bool {
        let Some(stream) = &mut self.stream else {
            return false;
        };
        if step > 0 {
            let by = u32::try_from(step).unwrap_or(u32::MAX);
            stream.seen = stream.seen.checked_shl(by).unwrap_or(0) | 1;
            stream.newest = Newest {
                sequence: packet.sequence,
                timestamp: packet.timestamp,
                position,
                duration,
            };
            return true;
        }
        let back = u32::try_from(-step).unwrap_or(u32::MAX);
        // So old that nobody knows: it is late in any case.
        let bit = 1u128.checked_shl(back).unwrap_or(0);
        let new = stream.seen & bit == 0;
        stream.seen |= bit;
        new
    }

    /// Its time may have passed: then the wait grows by what was invented for
    /// it, or it comes too late. `None`: it has its place.
    fn judge_lateness(&mut self, newest: bool, position: i64, transit: i64) -> Option<Placed> {
        let clock_rate = self.clock_rate;
        let waiting = self.store.len();
        let (base, goal) = (self.delays.base(), self.goal());
        let stream = self.stream.as_mut()?;
        let late = micros(stream.next_position - position, clock_rate);
        if late <= 0 {
            stream.late_run = 0;
            return None;
        }
        // Others wait behind it already: a straggler, whose gap was filled.
        if !newest || waiting > 0 {
            return Some(Placed::Late);
        }
        let wait = stream.anchor + late - base;
        if wait <= MOST {
            stream.next_position = position;
            stream.anchor += late;
            stream.prompt = false;
            stream.late_run = 0;
            self.figures.lengthened += Duration::from_micros(late.unsigned_abs());
            return None;
        }
        stream.late_run += 1;
        if stream.late_run < LATE_RUN && late < LATE_BY {
            return Some(Placed::Late);
        }
        self.figures.restarts += 1;
        stream.next_position = position;
        stream.late_run = 0;
        self.delays = Delays::new();
        self.delays.add(transit);
        stream.followed = transit;
        stream.anchor = match stream.prompt {
            true => transit + PATIENCE,
            false => transit + goal,
        };
        None
    }

    fn keep(&mut self, packet: &Packet<'_>, position: i64, duration: u32) -> Placed {
        let Some(stream) = &mut self.stream else {
            return Placed::Dropped;
        };
        // What no longer fits into the window with it is given up.
        let oldest = packet.sequence.saturating_sub(MAX_PACKETS as i64 - 1);
        while stream.next_sequence < oldest {
            match self.store.first(stream.next_sequence) {
                Some(entry) if entry.sequence < oldest => {
                    self.store.take(entry);
                    self.figures.dropped += 1;
                    stream.next_position = entry.position + i64::from(entry.duration);
                    self.figures.lost += gap(stream.next_sequence, entry.sequence + 1);
                    stream.next_sequence = entry.sequence + 1;
                }
                Some(_) | None => {
                    self.figures.lost += gap(stream.next_sequence, oldest);
                    stream.next_sequence = oldest;
                }
            }
        }
        let kept = self.store.put(
            packet.sequence,
            position,
            duration,
            packet.timestamp,
            packet.payload,
        );
        match kept {
            true => Placed::Waits,
            false => Placed::Dropped,
        }
    }
}

/// By its time stamp, if that agrees with its place in the order.
fn position_of_older(packet: &Packet<'_>, step: i64, newest: &Newest) -> i64 {
    let stamped = i64::from(packet.timestamp.wrapping_sub(newest.timestamp) as i32);
    let counted = i64::from(newest.duration) * step;
    match stamped {
        ..0 if stamped >= counted * 8 => newest.position + stamped,
        _ => newest.position + counted,
    }
}
