//! The buffer itself: which packet is due when.
//!
//! All times are microseconds since it was made, media time is in ticks since
//! the first packet. A piece at media time m is due at `anchor + m`; the anchor
//! minus the least transit time is the wait.

use std::time::{Duration, Instant};

use super::delays::Delays;
use super::store::{Entry, MAX_PACKETS, Store};
use super::{
    Figures, LEAST_WAIT, MAX_PAYLOAD, MOST_WAIT, Packet, Placed, Setup, Shift, Step, Wish,
};

const LEAST: i64 = LEAST_WAIT.as_micros() as i64;
const MOST: i64 = MOST_WAIT.as_micros() as i64;
const FRAME: i64 = 20_000;

/// While packets are handed over at once, a missing one is waited for so long:
/// then its successor, which may carry a copy of it, is there too.
const PATIENCE: i64 = LEAST + 5_000;

/// Handing over at once begins again only when the reach is clearly below 20 ms.
const EVEN: i64 = 15_000;

/// The anchor moves no faster than this part of time; twice what clocks differ by.
const SLEW: i64 = 1000;

/// How far the wait may be from its goal before sound is changed.
const TOO_SHORT: i64 = 10_000;
const TOO_LONG: i64 = 22_000;

/// A longer wait is cut at once: the sender bursts.
const ABSURD: i64 = 2 * MOST;

/// Missing packets are invented so often in a row; then the sender is silent.
const GIVE_UP: u32 = 10;

/// A time stamp that leads so far before the clock, or lags so far, is a jump.
const JUMP_AHEAD: i64 = 60_000;
const JUMP_BACK: i64 = 2_000_000;

/// Sequence numbers so far apart are two streams, as RFC 3550 A.1 has it.
const RESTART: i64 = 3000;

/// No stream comes so far; sums of smaller numbers cannot overflow.
const MAX_SEQUENCE: u64 = 1 << 60;

/// So many packets that are late in order, or one that is so late, mean that
/// the way or the sender's clock has changed.
const LATE_RUN: u32 = 3;
const LATE_BY: i64 = 500_000;

/// Nobody asked for sound for so long: what was due then is of no use.
const ASLEEP: i64 = 1_000_000;

/// Packets for which a loss makes the buffer wait for copies.
const WARY: u32 = 250;

#[derive(Debug)]
pub struct JitterBuffer {
    clock_rate: u32,
    redundant: bool,
    /// Ticks in 20 ms.
    frame: u32,
    start: Instant,
    store: Store,
    delays: Delays,
    stream: Option<Stream>,
    figures: Figures,
}

#[derive(Debug)]
struct Stream {
    epoch: u32,
    newest: Newest,
    /// Bit n: `newest.sequence - n` has come.
    seen: u128,
    next_sequence: i64,
    next_position: i64,
    anchor: i64,
    /// Each packet is handed over when it comes.
    prompt: bool,
    /// The listener has its own clock.
    pulled: bool,
    /// Steps in a row for which nothing was there.
    starved: u32,
    late_run: u32,
    /// Packets since the last loss.
    unharmed: u32,
}

#[derive(Debug, Clone, Copy)]
struct Newest {
    sequence: i64,
    timestamp: u32,
    position: i64,
    duration: u32,
}

impl JitterBuffer {
    pub fn new(setup: Setup, now: Instant) -> JitterBuffer {
        // A clock of nought would stand still; 1000 is below any codec's.
        let clock_rate = setup.clock_rate.clamp(1000, 1_000_000);
        JitterBuffer {
            clock_rate,
            redundant: setup.redundant,
            frame: clock_rate / 50,
            start: now,
            store: Store::new(),
            delays: Delays::new(),
            stream: None,
            figures: Figures::default(),
        }
    }

    /// A packet has come.
    pub fn insert(&mut self, packet: &Packet<'_>, now: Instant) -> Placed {
        let placed = self.place(packet, self.since_start(now));
        match placed {
            Placed::Waits => {}
            Placed::Late => self.figures.late += 1,
            Placed::Duplicate => self.figures.duplicates += 1,
            Placed::Dropped => self.figures.dropped += 1,
        }
        placed
    }

    /// What is due now, step by step until `None`. To be asked after each
    /// [`JitterBuffer::insert`] and at [`JitterBuffer::deadline`].
    pub fn poll(&mut self, now: Instant) -> Option<Step<'_>> {
        let at = self.since_start(now);
        let clock_rate = self.clock_rate;
        let stream = self.stream.as_mut()?;
        stream.pulled = false;
        let asleep = at - stream.due(clock_rate);
        if asleep > ASLEEP {
            stream.anchor += asleep;
            self.catch_up();
        }
        let stream = self.stream.as_ref()?;
        let handed = stream.prompt && self.is_next_there(stream);
        if !handed && at < stream.due(clock_rate) {
            return None;
        }
        self.step()
    }

    /// The next piece, for a listener with its own clock; to be asked as often
    /// as it needs sound. `None`: the first packet has not come, or has not
    /// waited its 20 ms.
    pub fn pull(&mut self, now: Instant) -> Option<Step<'_>> {
        let at = self.since_start(now);
        let clock_rate = self.clock_rate;
        let stream = self.stream.as_mut()?;
        if !stream.pulled {
            if at < self.delays.base() + micros(stream.next_position, clock_rate) + LEAST {
                return None;
            }
            stream.pulled = true;
            stream.prompt = false;
        }
        stream.anchor = at - micros(stream.next_position, clock_rate);
        if stream.anchor - self.delays.base() > ABSURD {
            self.catch_up();
        }
        self.step()
    }

    /// When to [`JitterBuffer::poll`] at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        let due = self.stream.as_ref()?.due(self.clock_rate);
        Some(self.start + Duration::from_micros(due.max(0).unsigned_abs()))
    }

    /// What [`super::Elastic`] did to the sound of the last step.
    pub fn shifted(&mut self, shift: Shift) {
        let by = Duration::from_micros(shift.0.unsigned_abs());
        match shift.0 {
            0.. => self.figures.lengthened += by,
            ..0 => self.figures.shortened += by,
        }
        if let Some(stream) = &mut self.stream {
            stream.anchor += shift.0;
        }
    }

    pub fn figures(&self) -> Figures {
        let wait = match &self.stream {
            Some(stream) if !stream.prompt => stream.anchor - self.delays.base(),
            Some(_) | None => 0,
        };
        let micros = |time: i64| Duration::from_micros(time.max(0).unsigned_abs());
        Figures {
            wait: micros(wait),
            goal: micros(self.goal()),
            ..self.figures
        }
    }

    /// Packets that wait.
    pub fn waiting(&self) -> usize {
        self.store.len()
    }

    fn since_start(&self, now: Instant) -> i64 {
        let passed = now.saturating_duration_since(self.start).as_micros();
        i64::try_from(passed).unwrap_or(i64::MAX / 4)
    }

    /// Where the wait should be.
    fn goal(&self) -> i64 {
        let wary = |stream: &Stream| self.redundant && stream.unharmed < WARY;
        let copies = match self.stream.as_ref().is_some_and(wary) {
            true => FRAME,
            false => 0,
        };
        (self.delays.reach() + copies).clamp(LEAST, MOST)
    }
}

// ---- what comes in -------------------------------------------------------------

impl JitterBuffer {
    fn place(&mut self, packet: &Packet<'_>, at: i64) -> Placed {
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

    /// By its time stamp, unless that jumps without the clock or the sequence
    /// numbers having a reason for it.
    fn position_of_newer(&mut self, packet: &Packet<'_>, step: i64, at: i64) -> i64 {
        let Some(stream) = &self.stream else { return 0 };
        let newest = &stream.newest;
        let stamped = i64::from(packet.timestamp.wrapping_sub(newest.timestamp) as i32);
        let counted = i64::from(newest.duration) * step;
        let ahead = self.delays.base() - (at - micros(newest.position + stamped, self.clock_rate));
        if stamped == counted || (stamped > 0 && (-JUMP_BACK..=JUMP_AHEAD).contains(&ahead)) {
            return newest.position + stamped;
        }
        self.figures.restarts += 1;
        newest.position + counted
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

    /// Moves the clock towards its goal, as slowly as clocks differ.
    fn steer(&mut self) {
        let (base, reach, goal) = (self.delays.base(), self.delays.reach(), self.goal());
        let clock_rate = self.clock_rate;
        let Some(stream) = &mut self.stream else {
            return;
        };
        if stream.pulled {
            return;
        }
        let wait = stream.anchor - base;
        if stream.prompt && reach > PATIENCE {
            stream.prompt = false;
        } else if !stream.prompt && reach <= EVEN && wait <= PATIENCE {
            stream.prompt = true;
        }
        if stream.prompt {
            stream.anchor = base + PATIENCE;
            return;
        }
        if wait > ABSURD {
            self.catch_up();
            return;
        }
        let aim = if reach <= EVEN { PATIENCE } else { goal };
        let most = micros(i64::from(stream.newest.duration), clock_rate) / SLEW;
        stream.anchor += (base + aim - stream.anchor).clamp(-most, most);
    }

    /// Gives up what would be played too late to be of use.
    fn catch_up(&mut self) {
        let (base, goal) = (self.delays.base(), self.goal());
        let clock_rate = self.clock_rate;
        let Some(stream) = &mut self.stream else {
            return;
        };
        let over = stream.anchor - base - goal;
        let until = stream.next_position + ticks(over, clock_rate);
        while let Some(entry) = self.store.first(stream.next_sequence) {
            if entry.position >= until {
                break;
            }
            self.store.take(entry);
            self.figures.dropped += 1;
            self.figures.lost += gap(stream.next_sequence, entry.sequence + 1);
            stream.next_sequence = entry.sequence + 1;
        }
        stream.next_position = until;
        stream.anchor -= over;
    }
}

// ---- what goes out -------------------------------------------------------------

impl JitterBuffer {
    /// The next packet in order, or the one behind a gap that is filled.
    fn is_next_there(&self, stream: &Stream) -> bool {
        let first = self.store.first(stream.next_sequence);
        first.is_some_and(|entry| {
            entry.sequence == stream.next_sequence || entry.position <= stream.next_position
        })
    }

    fn step(&mut self) -> Option<Step<'_>> {
        let wish = self.wish();
        let stream = self.stream.as_mut()?;
        let frame = i64::from(self.frame);
        let Some(entry) = self.store.first(stream.next_sequence) else {
            stream.next_position += frame;
            stream.starved = stream.starved.saturating_add(1);
            if stream.starved > GIVE_UP {
                return Some(Step::Silence { ticks: self.frame });
            }
            self.figures.invented += 1;
            return Some(Step::Lost {
                ticks: self.frame,
                next: None,
            });
        };
        stream.starved = 0;
        let missing = gap(stream.next_sequence, entry.sequence);
        let until = entry.position - stream.next_position;
        // Less than a tenth of a frame is rounding, not silence.
        if until <= frame / 10 {
            return self.play(entry, missing, wish);
        }
        let ticks = until.min(frame);
        stream.next_position += ticks;
        let ticks = ticks as u32;
        if missing == 0 {
            return Some(Step::Silence { ticks });
        }
        stream.unharmed = 0;
        self.figures.invented += 1;
        let carries = until <= frame;
        Some(Step::Lost {
            ticks,
            next: carries.then(|| self.store.payload(entry)),
        })
    }

    fn play(&mut self, entry: Entry, missing: u64, wish: Wish) -> Option<Step<'_>> {
        let clock_rate = self.clock_rate;
        let stream = self.stream.as_mut()?;
        // What was invented or rounded too much makes the wait longer.
        stream.anchor += micros(stream.next_position - entry.position, clock_rate);
        stream.next_position = entry.position + i64::from(entry.duration);
        stream.next_sequence = entry.sequence + 1;
        stream.unharmed = match missing {
            0 => stream.unharmed.saturating_add(1),
            1.. => 0,
        };
        self.figures.lost += missing;
        self.figures.played += 1;
        self.store.take(entry);
        Some(Step::Play {
            sequence: entry.sequence,
            timestamp: entry.timestamp,
            payload: self.store.payload(entry),
            wish,
        })
    }

    fn wish(&self) -> Wish {
        let Some(stream) = &self.stream else {
            return Wish::Keep;
        };
        if stream.prompt && !stream.pulled {
            return Wish::Keep;
        }
        let wait = stream.anchor - self.delays.base();
        let goal = self.goal();
        if wait > goal + TOO_LONG {
            Wish::Shorten
        } else if wait < goal - TOO_SHORT {
            Wish::Lengthen
        } else {
            Wish::Keep
        }
    }
}

impl Stream {
    fn due(&self, clock_rate: u32) -> i64 {
        self.anchor + micros(self.next_position, clock_rate)
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

fn gap(from: i64, to: i64) -> u64 {
    to.saturating_sub(from).max(0).unsigned_abs()
}

fn micros(ticks: i64, clock_rate: u32) -> i64 {
    // In parts, because the product of long calls does not fit.
    let rate = i64::from(clock_rate);
    ticks / rate * 1_000_000 + ticks % rate * 1_000_000 / rate
}

fn ticks(micros: i64, clock_rate: u32) -> i64 {
    let rate = i64::from(clock_rate);
    micros / 1_000_000 * rate + micros % 1_000_000 * rate / 1_000_000
}
