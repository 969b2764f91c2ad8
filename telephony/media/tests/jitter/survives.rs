//! What must hold for any stream of packets. The fuzz target `jitter` feeds the
//! same body.

use std::time::{Duration, Instant};

use media::SampleRate;
use media::jitter::{
    Elastic, JitterBuffer, LEAST_WAIT, MAX_PAYLOAD, MOST_WAIT, Packet, Placed, Setup, Step, Wish,
};

/// As many as a buffer ever holds.
const MOST_WAITING: usize = 64;

/// Reads `script` as what happens to a buffer: pieces of ten octets, each a
/// packet that comes, sound that is asked for, or both.
pub(crate) fn stream(script: &[u8]) {
    let Some((first, script)) = script.split_first() else {
        return;
    };
    let mut leg = Leg::new(*first);
    let (pieces, _) = script.as_chunks::<10>();
    for piece in pieces {
        leg.live(piece);
    }
    leg.end();
}

/// A buffer, what came out of it, and where its sender is.
struct Leg {
    buffer: JitterBuffer,
    elastic: Elastic,
    now: Instant,
    /// In 20 ms.
    ticks: u32,
    pulled: bool,
    epoch: u32,
    sequence: i64,
    timestamp: u32,
    /// Of the last packet that was not dropped.
    taken: u32,
    /// The last that was played, in its epoch.
    played: Option<(u32, i64)>,
    /// Packets that were told to wait.
    waits: u64,
}

impl Leg {
    fn new(kind: u8) -> Leg {
        let now = Instant::now();
        let clock_rate = [8000, 48_000, 0, u32::MAX][usize::from(kind % 4)];
        let redundant = kind & 4 != 0;
        let setup = Setup {
            clock_rate,
            redundant,
        };
        Leg {
            buffer: JitterBuffer::new(setup, now),
            elastic: Elastic::new(SampleRate::Hz8000),
            now,
            ticks: clock_rate.clamp(1000, 1_000_000) / 50,
            pulled: kind & 8 != 0,
            epoch: 0,
            sequence: i64::from(kind),
            timestamp: 0,
            taken: 0,
            played: None,
            waits: 0,
        }
    }

    fn live(&mut self, piece: &[u8; 10]) {
        let [kind, ms, sequence, timestamp, wide @ ..] = *piece;
        let wide = u32::from_be_bytes([wide[0], wide[1], wide[2], wide[3]]);
        self.pass(Duration::from_millis(u64::from(ms)));
        match kind % 16 {
            0 => self.epoch = self.epoch.wrapping_add(1),
            1 => self.sequence = self.sequence.wrapping_add(i64::from(wide) << (ms % 40)),
            2 => self.timestamp = wide,
            3 => self.pass(Duration::from_secs(u64::from(wide % 100_000))),
            4 => self.pulled = !self.pulled,
            5.. => {}
        }
        // Mostly the next packet in order.
        self.sequence = self.sequence.wrapping_add(i64::from(sequence as i8 / 16));
        self.timestamp = self
            .timestamp
            .wrapping_add(u32::from(timestamp) * 4)
            .wrapping_add(160);
        let payload = [piece[8]; 2 * MAX_PAYLOAD];
        let len = match piece[9] {
            255 => payload.len(),
            len => usize::from(len) * 6,
        };
        let packet = Packet {
            epoch: self.epoch,
            sequence: self.sequence,
            timestamp: self.timestamp,
            duration: wide >> (wide % 32),
            payload: &payload[..len],
        };
        let placed = self.buffer.insert(&packet, self.now);
        assert!(len <= MAX_PAYLOAD || placed == Placed::Dropped);
        self.waits += u64::from(placed == Placed::Waits);
        if placed != Placed::Dropped {
            self.taken = self.epoch;
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.take();
        assert!(self.buffer.waiting() <= MOST_WAITING);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.take();
    }

    /// Takes out what is due, or what a listener needs for a frame.
    fn take(&mut self) {
        let mut frame = [0; 160];
        if self.pulled {
            // What is cut out makes no frame.
            for _ in 0..10 {
                if self.elastic.pull(&mut frame) || !self.step() {
                    break;
                }
            }
            return;
        }
        // A second of sound at most was due, and what waits.
        for _ in 0..200 {
            if !self.step() {
                let due = self.buffer.deadline();
                assert!(
                    due.is_none_or(|due| due > self.now),
                    "a deadline in the past"
                );
                return;
            }
            while self.elastic.pull(&mut frame) {}
        }
        panic!("a drain without end");
    }

    fn step(&mut self) -> bool {
        let step = match self.pulled {
            true => self.buffer.pull(self.now),
            false => self.buffer.poll(self.now),
        };
        let Some(step) = step else { return false };
        let mut played = None;
        let mut wish = Wish::Keep;
        match step {
            Step::Play {
                sequence,
                payload,
                wish: wished,
                ..
            } => {
                assert!(payload.len() <= MAX_PAYLOAD);
                assert!(payload.windows(2).all(|pair| pair[0] == pair[1]), "torn");
                played = Some(sequence);
                wish = wished;
            }
            Step::Lost { ticks, next } => {
                assert!(ticks > 0);
                assert!(next.is_none_or(|next| next.len() <= MAX_PAYLOAD));
            }
            Step::Silence { ticks } => assert!(ticks > 0),
        }
        if let Some(sequence) = played {
            self.judge_order(sequence);
        }
        // Soft enough for a pause.
        let sound = [(self.waits % 8) as i16; 160];
        let shift = self.elastic.push(&sound, wish);
        self.buffer.shifted(shift);
        true
    }

    /// What is played belongs to the newest epoch and is newer than the last.
    /// A jump of the numbers counts as a new epoch inside.
    fn judge_order(&mut self, sequence: i64) {
        if let Some((epoch, last)) = self.played
            && epoch == self.taken
        {
            let jumped = last.abs_diff(sequence) > 3000;
            assert!(sequence > last || jumped, "{sequence} after {last}");
        }
        self.played = Some((self.taken, sequence));
    }

    fn end(&mut self) {
        let figures = self.buffer.figures();
        let waiting = self.buffer.waiting() as u64;
        assert!(
            figures.played + waiting <= self.waits,
            "more came out than went in"
        );
        assert!((LEAST_WAIT..=MOST_WAIT).contains(&figures.goal));
        self.recover();
    }

    /// Whatever was before: after twelve good seconds all is played, and soon.
    fn recover(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        let before = self.buffer.figures();
        for n in 0..600u32 {
            let packet = Packet {
                epoch: self.epoch,
                sequence: n.into(),
                timestamp: n * self.ticks,
                duration: self.ticks,
                payload: &[1; 20],
            };
            self.now += media::FRAME;
            self.buffer.insert(&packet, self.now);
            self.taken = self.epoch;
            self.take();
        }
        let after = self.buffer.figures();
        let lost = after.lost - before.lost;
        assert!(lost < 20, "{lost} of 600 lost: {before:?} {after:?}");
        assert!(after.wait <= MOST_WAIT, "{after:?}");
        let (epoch, last) = self.played.expect("they were played");
        assert!(epoch == self.epoch && last > 590, "{last}");
    }
}
