//! The recordings that are being made, and where each of them goes.
//!
//! Called by the thread alone. Invariant: a recording whose file fails ends then and there, says so
//! once, and takes nothing else with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use media::recording::{Layout, Recorder, Side};
use model::{CallId, LegId, Timestamp};

use super::Frame;
use crate::store::{RecordingEnd, RecordingNote};

/// Octets that wait for somebody who takes them; some minutes of a call.
const MOST_WAITING: usize = 2 << 20;
/// Whoever has not taken anything for so long is gone.
const GONE: Duration = Duration::from_secs(20);
/// How often a file is given to the disk: what a power cut may cost beside the last page.
const SETTLE: Duration = Duration::from_secs(5);

/// One recording.
#[derive(Debug)]
pub(super) struct Recording {
    recorder: Recorder,
    legs: BTreeMap<LegId, Side>,
    /// All that were ever in it.
    heard: BTreeSet<LegId>,
    to: Destination,
    bytes: u64,
}

#[derive(Debug)]
enum Destination {
    Folder {
        call: CallId,
        began: Timestamp,
        file: File,
        path: PathBuf,
        settled: Instant,
    },
    Person {
        waiting: Vec<u8>,
        taken: Instant,
        until: Instant,
        over: bool,
    },
}

/// What somebody who takes a recording gets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) octets: Vec<u8>,
    /// Nothing follows.
    pub(super) over: bool,
}

impl Recording {
    pub(super) fn of_call(
        call: CallId,
        began: Timestamp,
        (file, path): (File, PathBuf),
        now: Instant,
    ) -> Result<Self, String> {
        let to = Destination::Folder {
            call,
            began,
            file,
            path,
            settled: now,
        };
        Self::new(Layout::Both, &[format!("TITLE={call}")], to, now)
    }

    pub(super) fn for_person(layout: Layout, most: Duration, now: Instant) -> Result<Self, String> {
        let to = Destination::Person {
            waiting: Vec::new(),
            taken: now,
            until: now + most,
            over: false,
        };
        Self::new(layout, &[], to, now)
    }

    fn new(layout: Layout, tags: &[String], to: Destination, now: Instant) -> Result<Self, String> {
        // One stream in a file: any number serves (RFC 3533 4).
        let recorder = Recorder::new(layout, 1, tags, now).map_err(|error| error.to_string())?;
        Ok(Self {
            recorder,
            legs: BTreeMap::new(),
            heard: BTreeSet::new(),
            to,
            bytes: 0,
        })
    }

    pub(super) fn join(&mut self, leg: LegId, side: Side) {
        self.legs.insert(leg, side);
        self.heard.insert(leg);
    }

    pub(super) fn hear(&mut self, frame: &Frame) {
        if let Some(side) = self.legs.get(&frame.leg) {
            let source = frame.leg.get();
            self.recorder
                .hear(source, *side, &frame.samples, frame.rate, frame.at);
        }
    }

    /// `true`: nobody is left in it.
    pub(super) fn leave(&mut self, leg: LegId) -> bool {
        self.legs.remove(&leg).is_some() && self.legs.is_empty()
    }

    /// Writes what there is, and gives how much that was. An error is that of the disk.
    pub(super) fn write(&mut self, now: Instant) -> io::Result<u64> {
        self.recorder.advance(now);
        self.put(now)
    }

    fn put(&mut self, now: Instant) -> io::Result<u64> {
        let octets = self.recorder.take_written();
        let count = octets.len() as u64;
        self.bytes += count;
        match &mut self.to {
            Destination::Folder { file, settled, .. } => {
                file.write_all(&octets)?;
                if now.saturating_duration_since(*settled) >= SETTLE {
                    file.sync_data()?;
                    *settled = now;
                }
            }
            Destination::Person { waiting, until, .. } => {
                if waiting.len() + octets.len() > MOST_WAITING {
                    // Whoever takes it is too slow: it ends here.
                    *until = now;
                } else {
                    waiting.extend(octets);
                }
            }
        }
        Ok(count)
    }

    /// Whether it has lasted as long as it was wanted, or nobody wants it any more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        match &self.to {
            Destination::Folder { .. } => false,
            Destination::Person { until, over, .. } => !*over && now >= *until,
        }
    }

    /// A person's recording that nobody fetches.
    pub(super) fn is_abandoned(&self, now: Instant) -> bool {
        match &self.to {
            Destination::Folder { .. } => false,
            Destination::Person { taken, .. } => now.saturating_duration_since(*taken) > GONE,
        }
    }

    /// What was recorded since the last time, for the person it is for.
    pub(super) fn take(&mut self, now: Instant) -> Taken {
        match &mut self.to {
            Destination::Folder { .. } => Taken::default(),
            Destination::Person {
                waiting,
                taken,
                over,
                ..
            } => {
                *taken = now;
                Taken {
                    octets: std::mem::take(waiting),
                    over: *over,
                }
            }
        }
    }

    /// The last page. The disk's error is told in what comes back.
    pub(super) fn finish(
        &mut self,
        now: Instant,
        failure: Option<String>,
    ) -> Option<RecordingNote> {
        let mut failure = failure;
        if failure.is_none() {
            self.recorder.finish(now);
            failure = self.put(now).err().map(|error| error.to_string());
        }
        match &mut self.to {
            Destination::Person { over, .. } => {
                *over = true;
                return None;
            }
            Destination::Folder { file, .. } => {
                let synced = file.sync_data();
                failure = failure.or(synced.err().map(|error| error.to_string()));
            }
        }
        let end = RecordingEnd {
            length: self.recorder.duration(),
            bytes: self.bytes,
            legs: self.heard.iter().copied().collect(),
            failure,
        };
        Some(RecordingNote {
            end: Some(end),
            ..self.note()?
        })
    }

    /// What is known of the recording of a call so far.
    pub(super) fn note(&self) -> Option<RecordingNote> {
        match &self.to {
            Destination::Person { .. } => None,
            Destination::Folder {
                call, began, path, ..
            } => Some(RecordingNote {
                call: *call,
                file: path.clone(),
                began: *began,
                end: None,
            }),
        }
    }

    pub(super) fn path(&self) -> Option<&Path> {
        match &self.to {
            Destination::Folder { path, .. } => Some(path),
            Destination::Person { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::{FRAME, SampleRate};

    #[test]
    fn a_full_disk_ends_the_recording_and_says_so() {
        // Takes no octet, as a disk without space.
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (call, leg) = (CallId::new(7), LegId::new(8));
        let (began, start) = (Timestamp::from_unix_ms(0), Instant::now());
        let made = (full, PathBuf::from("/dev/full"));
        let mut recording = Recording::of_call(call, began, made, start).unwrap();
        recording.join(leg, Side::Left);
        for n in 0..100 {
            recording.hear(&Frame {
                leg,
                samples: vec![0; 160].into(),
                rate: SampleRate::Hz8000,
                at: start + FRAME * n,
            });
        }
        let now = start + FRAME * 100;
        let error = recording.write(now).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let note = recording.finish(now, Some(error.to_string())).unwrap();
        let end = note.end.unwrap();
        assert_eq!((note.call, end.legs), (call, vec![leg]));
        assert!(end.failure.is_some());
    }

    #[test]
    fn a_recording_for_somebody_ends_when_it_is_long_enough_and_is_fetched_whole() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut recording = Recording::for_person(Layout::One, second, start).unwrap();
        recording.write(start + second / 2).unwrap();
        assert!(!recording.is_over(start + second / 2));
        assert!(recording.is_over(start + second));
        assert_eq!(recording.finish(start + second, None), None);
        let taken = recording.take(start + second);
        assert!(taken.over && taken.octets.starts_with(b"OggS"));
        assert!(recording.take(start + second).octets.is_empty());
        assert!(recording.is_abandoned(start + second + 2 * GONE));
    }
}
