//! What is heard, written down as Ogg Opus (RFC 3533, RFC 7845).
//!
//! A [`Recorder`] takes 20 ms frames of legs as they come, puts them on one line of time, on one
//! side or on two, and gives the octets of a file, page by page. With two sides the caller is left and the
//! called right: two mono streams in one packet, because stereo coupling would let each side be
//! heard in the other. Knows no file and no packets of a network.
//!
//! Invariants: a page ends at least once a second, so a file that is cut off anywhere is playable
//! up to a second before; what a side does not say is silence of the same length; what waits is at
//! most [`HORIZON`] long, whatever comes.

mod file;
mod playback;
mod track;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::codec::opus::OpenError;
use crate::rate::{FRAME, SampleRate};

use self::file::OggOpus;
pub use self::playback::{PlaybackError, read};
use self::track::Track;

/// What recordings are sampled at: all that G.722 carries.
pub const RATE: SampleRate = SampleRate::Hz16000;

/// The samples of a frame of a recording.
const LEN: usize = RATE.frame();

/// So long the other side is waited for before its silence is written.
pub const HORIZON: Duration = Duration::from_millis(500);

const HORIZON_FRAMES: u64 = (HORIZON.as_millis() / FRAME.as_millis()) as u64;

/// Who is in a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One leg, mono.
    One,
    /// Both sides of a call: two channels.
    Both,
}

impl Layout {
    pub(crate) fn channels(self) -> u8 {
        match self {
            Layout::One => 1,
            Layout::Both => 2,
        }
    }
}

/// Whose sound it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Side {
    /// The caller, or the only one.
    #[default]
    Left,
    /// The called.
    Right,
}

/// More at once than a ring group has legs.
const MOST_SOURCES: usize = 64;

/// What came and was not written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Frames that came before their time, or after it had been written as silence.
    pub misplaced: u64,
    /// Frames of a length that no frame has.
    pub malformed: u64,
    /// Frames of more legs than can be in a recording at once.
    pub crowded: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Recorder {
    layout: Layout,
    started: Instant,
    /// By leg. Whoever is silent beyond the horizon has none.
    tracks: BTreeMap<u64, (Side, Track)>,
    /// Frames written so far.
    written: u64,
    file: OggOpus,
    losses: Losses,
}

impl Recorder {
    /// `serial` tells this stream from others in a file (RFC 3533 4); `tags` are of the form
    /// `NAME=text` (RFC 7845 5.2).
    pub fn new(
        layout: Layout,
        serial: u32,
        tags: &[String],
        now: Instant,
    ) -> Result<Recorder, OpenError> {
        Ok(Recorder {
            layout,
            started: now,
            tracks: BTreeMap::new(),
            written: 0,
            file: OggOpus::new(layout, serial, tags)?,
            losses: Losses::default(),
        })
    }

    /// A leg was heard: 20 ms at any rate. All legs of a side are mixed, and all of both where the
    /// layout has one.
    pub fn hear(&mut self, source: u64, side: Side, frame: &[i16], rate: SampleRate, at: Instant) {
        if frame.len() != rate.frame() {
            self.losses.malformed += 1;
            return;
        }
        self.advance(at);
        let due = self.frames_until(at);
        if self.tracks.len() >= MOST_SOURCES && !self.tracks.contains_key(&source) {
            self.losses.crowded += 1;
            return;
        }
        let side = match self.layout {
            Layout::One => Side::Left,
            Layout::Both => side,
        };
        let (kept, track) = self.tracks.entry(source).or_default();
        *kept = side;
        if !track.put(frame, rate, self.written, due) {
            self.losses.misplaced += 1;
        }
        self.write_complete();
    }

    /// Time has passed: what was waited for too long is written as silence.
    pub fn advance(&mut self, now: Instant) {
        let latest = self.frames_until(now);
        while self.written + HORIZON_FRAMES < latest {
            self.tracks.retain(|_, (_, track)| track.is_there());
            self.write_frame();
        }
    }

    /// Everything until now is written and the stream ended.
    pub fn finish(&mut self, now: Instant) {
        let end = self.frames_until(now);
        while self.written < end {
            self.write_frame();
        }
        self.file.finish();
    }

    /// The octets of the file since the last time; always whole pages.
    pub fn take_written(&mut self) -> Vec<u8> {
        self.file.take()
    }

    pub fn losses(&self) -> Losses {
        self.losses
    }

    /// How long the recording is.
    pub fn duration(&self) -> Duration {
        FRAME * u32::try_from(self.written).unwrap_or(u32::MAX)
    }

    fn frames_until(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.started);
        u64::try_from(since.as_millis() / FRAME.as_millis()).unwrap_or(u64::MAX)
    }

    fn write_complete(&mut self) {
        let all_sides = |tracks: &BTreeMap<u64, (Side, Track)>| {
            let has = |side| tracks.values().any(|(of, _)| *of == side);
            has(Side::Left) && (self.layout == Layout::One || has(Side::Right))
        };
        if !all_sides(&self.tracks) {
            return;
        }
        while self.tracks.values().all(|(_, track)| track.is_there()) {
            self.write_frame();
        }
    }

    fn write_frame(&mut self) {
        let mut frames = [[0; LEN]; 2];
        for (side, track) in self.tracks.values_mut() {
            track.add_next(&mut frames[*side as usize]);
        }
        self.file.write(&frames);
        self.written += 1;
    }
}
