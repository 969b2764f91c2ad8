//! The buffer itself: which packet is due when.
//!
//! All times are microseconds since it was made, media time is in ticks since
//! the first packet. A piece at media time m is due at `anchor + m`; the anchor
//! minus the least transit time is the wait.

use std::time::{Duration, Instant};

use super::delays::Delays;
use super::store::{Entry, Store};
use super::{Figures, LEAST_WAIT, MOST_WAIT, Packet, Placed, Setup, Shift, Step, Wish};

const LEAST: i64 = LEAST_WAIT.as_micros() as i64;
const MOST: i64 = MOST_WAIT.as_micros() as i64;
const FRAME: i64 = 20_000;

/// While packets are handed over at once, a missing one is waited for so long:
/// then its successor, which may carry a copy of it, is there too.
pub(super) const PATIENCE: i64 = LEAST + 5_000;

/// Handing over at once begins again only when the reach is clearly below 20 ms.
const EVEN: i64 = 15_000;

/// On uneven ways so much more than what was needed of late: what comes is now and then a little
/// worse, and the least transit of a slow sender's clock lags.
const HEADROOM: i64 = 4_000;

/// The anchor follows the sender's clock no faster than by this part of time.
const SLEW: i64 = 1000;

/// What the least transit changes by at once is no drift.
const STEP: i64 = 5_000;

/// How far the wait may be from its goal before sound is changed. Together
/// more than a frame, by which a pause changes.
const TOO_SHORT: i64 = 3_000;
const TOO_LONG: i64 = 20_000;

/// A longer wait is cut at once: the sender bursts.
const ABSURD: i64 = 2 * MOST;

/// Missing packets are invented so often in a row; then the sender is silent.
const GIVE_UP: u32 = 10;

/// Nobody asked for sound for so long: what was due then is of no use.
const ASLEEP: i64 = 1_000_000;

/// Packets for which a loss makes the buffer wait for copies.
pub(super) const WARY: u32 = 250;

#[derive(Debug)]
pub struct JitterBuffer {
    pub(super) clock_rate: u32,
    redundant: bool,
    /// Ticks in 20 ms.
    pub(super) frame: u32,
    start: Instant,
    pub(super) store: Store,
    pub(super) delays: Delays,
    pub(super) stream: Option<Stream>,
    pub(super) figures: Figures,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) epoch: u32,
    pub(super) newest: Newest,
    /// Bit n: `newest.sequence - n` has come.
    pub(super) seen: u128,
    pub(super) next_sequence: i64,
    pub(super) next_position: i64,
    pub(super) anchor: i64,
    /// The least transit that the anchor has followed so far.
    pub(super) followed: i64,
    /// Each packet is handed over when it comes.
    pub(super) prompt: bool,
    /// The listener has its own clock.
    pub(super) pulled: bool,
    /// Steps in a row for which nothing was there.
    pub(super) starved: u32,
    pub(super) late_run: u32,
    /// Packets since the last loss.
    pub(super) unharmed: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Newest {
    pub(super) sequence: i64,
    pub(super) timestamp: u32,
    pub(super) position: i64,
    pub(super) duration: u32,
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
        Figures {
            wait: self.wait(),
            goal: duration(self.goal()),
            ..self.figures
        }
    }

    /// How long a packet on the fastest way waits now.
    pub(crate) fn wait(&self) -> Duration {
        match &self.stream {
            Some(stream) if !stream.prompt => duration(stream.anchor - self.delays.base()),
            Some(_) | None => Duration::ZERO,
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
    pub(super) fn goal(&self) -> i64 {
        let wary = |stream: &Stream| self.redundant && stream.unharmed < WARY;
        let copies = match self.stream.as_ref().is_some_and(wary) {
            true => FRAME,
            false => 0,
        };
        let reach = self.delays.reach();
        let headroom = if reach > EVEN { HEADROOM } else { 0 };
        (reach + headroom + copies).clamp(LEAST, MOST)
    }
}

// ---- where the clock goes -----------------------------------------------------

impl JitterBuffer {
    /// Moves the clock along with the sender's, and hardly faster than clocks
    /// differ towards the goal: what a listener behind us hears as sound that
    /// gets longer is only what [`Wish`]es made longer.
    pub(super) fn steer(&mut self) {
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
            stream.followed = base;
            stream.anchor = base + PATIENCE;
            return;
        }
        if wait > ABSURD {
            self.catch_up();
            return;
        }
        let drifted = base - stream.followed;
        let most = micros(i64::from(stream.newest.duration), clock_rate) / SLEW;
        let with_sender = match drifted.abs() {
            // Another way, not another clock: wishes will see to it.
            STEP.. => 0,
            ..STEP => drifted.clamp(-most, most),
        };
        stream.followed = if with_sender == 0 {
            base
        } else {
            stream.followed + with_sender
        };
        // Upwards faster: it is a matter of a few milliseconds, and packets are late.
        let to_goal = (base + goal - stream.anchor).clamp(-(most / 10).max(1), most / 2);
        stream.anchor += with_sender + to_goal;
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
        // One cut more, and packets are handed over at once again.
        let even = !stream.pulled && self.delays.reach() <= EVEN;
        let longest = if even { PATIENCE } else { goal + TOO_LONG };
        if wait > longest {
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

pub(super) fn gap(from: i64, to: i64) -> u64 {
    to.saturating_sub(from).max(0).unsigned_abs()
}

fn duration(micros: i64) -> Duration {
    Duration::from_micros(micros.max(0).unsigned_abs())
}

pub(super) fn micros(ticks: i64, clock_rate: u32) -> i64 {
    // In parts, because the product of long calls does not fit.
    let rate = i64::from(clock_rate);
    ticks / rate * 1_000_000 + ticks % rate * 1_000_000 / rate
}

pub(super) fn ticks(micros: i64, clock_rate: u32) -> i64 {
    let rate = i64::from(clock_rate);
    micros / 1_000_000 * rate + micros % 1_000_000 * rate / 1_000_000
}
