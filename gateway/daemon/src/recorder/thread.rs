//! The recorder's thread: takes frames and orders, writes files, answers people.
//!
//! The only place where a recording waits for a disk. Invariant: whatever a disk does, the thread
//! goes on taking frames.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use media::level::{FLOOR_DBOV, Meter, dbov};
use model::{CallId, LegId, Timestamp};
use switchboard::Frame;
use tokio::sync::{mpsc, oneshot};

use super::recordings::Recording;
use super::{AskedId, Id, LevelAsked, Order, RecorderFigures, RecorderOptions, folder};
use crate::control::protocol::{LevelView, MediaReply, RecordedView, Reply, SoundLevel};
use crate::store::RecordingNote;

/// Recordings at the same time; each costs an encoder for each side.
const MOST: usize = 512;
/// How long orders and files may wait for a frame.
const TURN: Duration = Duration::from_millis(100);
/// Pause between two rounds of tidying.
const TIDY: Duration = Duration::from_secs(60);
/// A meter that nobody reads is forgotten.
const METER_READ: Duration = Duration::from_secs(5);

/// How loud a leg was since it was asked for last.
struct Ear {
    meter: Meter,
    /// Of all frames, in squares of full scale, and how many those were.
    power: f64,
    frames: u32,
    read: Instant,
}

impl Ear {
    fn new(now: Instant) -> Self {
        Self {
            meter: Meter::default(),
            power: 0.0,
            frames: 0,
            read: now,
        }
    }

    fn hear(&mut self, samples: &[i16]) {
        self.meter.add(samples);
        self.power += 10f64.powf(f64::from(dbov(samples)) / 10.0);
        self.frames += 1;
    }

    fn read(&mut self, now: Instant) -> SoundLevel {
        let mean =
            std::mem::take(&mut self.power) / f64::from(std::mem::take(&mut self.frames).max(1));
        self.read = now;
        SoundLevel {
            rms: (10.0 * mean.log10()).max(f64::from(FLOOR_DBOV)) as f32,
            peak: self.meter.take_peak_dbfs().max(FLOOR_DBOV),
            clipped: self.meter.clipped(),
        }
    }
}

struct Work<'a> {
    options: RecorderOptions,
    notices: &'a mpsc::Sender<RecordingNote>,
    figures: &'a Arc<RecorderFigures>,
    recordings: BTreeMap<Id, Recording>,
    ears: BTreeMap<LegId, Ear>,
}

pub(super) fn run(
    options: RecorderOptions,
    frames: &Receiver<Frame>,
    orders: &Receiver<Order>,
    notices: &mpsc::Sender<RecordingNote>,
    figures: &Arc<RecorderFigures>,
) {
    let mut work = Work {
        options,
        notices,
        figures,
        recordings: BTreeMap::new(),
        ears: BTreeMap::new(),
    };
    let now = Instant::now();
    let (mut turn, mut tidy) = (now, now);
    loop {
        // Both ends of it go with the main loop.
        match frames.recv_timeout(TURN) {
            Ok(frame) => work.hear(&frame),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break work.finish(),
        }
        loop {
            match orders.try_recv() {
                Ok(Order::Finish) => return work.finish(),
                Ok(order) => work.obey(order),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return work.finish(),
            }
        }
        let now = Instant::now();
        if now >= turn {
            turn = now + TURN;
            work.write(now);
        }
        if now >= tidy {
            tidy = now + TIDY;
            work.tidy();
        }
    }
}

impl Work<'_> {
    fn hear(&mut self, frame: &Frame) {
        for recording in self.recordings.values_mut() {
            recording.hear(frame);
        }
        if let Some(ear) = self.ears.get_mut(&frame.leg) {
            ear.hear(&frame.samples);
        }
    }

    fn obey(&mut self, order: Order) {
        let now = Instant::now();
        match order {
            Order::Call { call, wall, now } => self.begin_call(call, wall, now),
            Order::Asked {
                id,
                layout,
                most,
                now,
            } => match Recording::for_person(layout, most, now) {
                // If there is no place for it, whoever asked finds it ended.
                Ok(recording) => drop(self.begin(Id::Asked(id), recording)),
                Err(error) => self.failed(&error),
            },
            Order::Join { id, leg, side } => {
                if let Some(recording) = self.recordings.get_mut(&id) {
                    recording.join(leg, side);
                }
            }
            Order::Leave { leg } => {
                self.ears.remove(&leg);
                let left = self.recordings.iter_mut();
                let left = left.filter_map(|(id, recording)| recording.leave(leg).then_some(*id));
                // A call's recording ends with the call; another leg may come.
                let alone: Vec<Id> = left.filter(|id| matches!(id, Id::Asked(_))).collect();
                for id in alone {
                    self.end(id, now, None);
                }
            }
            Order::End { id } => self.end(id, now, None),
            Order::Take { id, answer } => self.take(id, now, answer),
            Order::Level { legs, answer } => self.level(legs, now, answer),
            // The loop's own.
            Order::Finish => {}
        }
    }

    fn begin_call(&mut self, call: CallId, wall: Timestamp, now: Instant) {
        let made = folder::create(&self.options.folder, call, wall);
        let begun = made
            .map_err(|error| error.to_string())
            .and_then(|made| Recording::of_call(call, wall, made, now));
        match begun {
            Ok(recording) => {
                tracing::info!(%call, file = ?recording.path(), "a call is being recorded");
                let note = recording.note();
                if self.begin(Id::Call(call), recording) {
                    self.note(note);
                }
            }
            Err(error) => self.failed(&error),
        }
    }

    /// `false`: there is no place for it.
    fn begin(&mut self, id: Id, recording: Recording) -> bool {
        if self.recordings.len() >= MOST {
            self.failed("there are as many recordings as can be made at once");
            return false;
        }
        self.figures.recordings.fetch_add(1, Ordering::Relaxed);
        self.recordings.insert(id, recording);
        self.show_running();
        true
    }

    fn failed(&self, error: &str) {
        self.figures.failed.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            error,
            folder = %self.options.folder.display(),
            "a recording cannot begin; look at the disk and at the rights of the folder"
        );
    }

    fn write(&mut self, now: Instant) {
        let mut ended = Vec::new();
        for (id, recording) in &mut self.recordings {
            match recording.write(now) {
                Ok(octets) => {
                    self.figures.bytes.fetch_add(octets, Ordering::Relaxed);
                }
                Err(error) => ended.push((*id, Some(error.to_string()))),
            }
            if recording.is_over(now) {
                ended.push((*id, None));
            }
        }
        for (id, failure) in ended {
            self.end(id, now, failure);
        }
        self.recordings
            .retain(|_, recording| !recording.is_abandoned(now));
        self.ears
            .retain(|_, ear| now.saturating_duration_since(ear.read) < METER_READ);
        self.show_running();
    }

    fn end(&mut self, id: Id, now: Instant, failure: Option<String>) {
        let Some(recording) = self.recordings.get_mut(&id) else {
            return;
        };
        let note = recording.finish(now, failure);
        // What a person has yet to fetch stays until it is fetched.
        if note.is_some() {
            self.recordings.remove(&id);
        }
        self.note(note);
    }

    fn note(&self, note: Option<RecordingNote>) {
        let Some(note) = note else { return };
        let (call, file) = (note.call, note.file.display());
        match note.end.as_ref().map(|end| (end, &end.failure)) {
            None => {}
            Some((end, None)) => {
                tracing::info!(%call, %file, length = ?end.length, "a recording is complete");
            }
            Some((end, Some(error))) => {
                self.figures.failed.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    %call,
                    %file,
                    length = ?end.length,
                    error,
                    "a recording was cut short; the call goes on; look at the disk"
                );
            }
        }
        // The main loop has a thousand to hear already: the log has it.
        let _ = self.notices.try_send(note);
    }

    fn take(&mut self, id: AskedId, now: Instant, answer: oneshot::Sender<Reply>) {
        let id = Id::Asked(id);
        let reply = match self.recordings.get_mut(&id) {
            Some(recording) => {
                let taken = recording.take(now);
                if taken.over {
                    self.recordings.remove(&id);
                }
                Reply::Media(MediaReply::Recorded(RecordedView {
                    octets: BASE64_STANDARD.encode(&taken.octets),
                    over: taken.over,
                }))
            }
            None => Reply::Media(MediaReply::Recorded(RecordedView {
                octets: String::new(),
                over: true,
            })),
        };
        // Whoever asked may have left.
        let _ = answer.send(reply);
    }

    fn level(&mut self, legs: Vec<LevelAsked>, now: Instant, answer: oneshot::Sender<Reply>) {
        let asked = legs.iter().flat_map(|asked| [Some(asked.leg), asked.hears]);
        let asked: BTreeSet<LegId> = asked.flatten().collect();
        let levels: BTreeMap<LegId, SoundLevel> = asked
            .into_iter()
            .map(|leg| {
                let ear = self.ears.entry(leg).or_insert_with(|| Ear::new(now));
                (leg, ear.read(now))
            })
            .collect();
        let view = |asked: LevelAsked| {
            Some(LevelView {
                call: asked.call.get(),
                leg: asked.leg.get(),
                says: levels.get(&asked.leg).copied()?,
                hears: asked.hears.and_then(|leg| levels.get(&leg).copied()),
                party: asked.party,
            })
        };
        let views = legs.into_iter().filter_map(view).collect();
        // Whoever asked may have left.
        let _ = answer.send(Reply::Media(MediaReply::Level(views)));
    }

    fn tidy(&self) {
        let running: Vec<&Path> = self
            .recordings
            .values()
            .filter_map(Recording::path)
            .collect();
        let options = &self.options;
        match folder::tidy(&options.folder, options.keep, options.most_bytes, &running) {
            Ok(0) => {}
            Ok(removed) => {
                self.figures.removed.fetch_add(removed, Ordering::Relaxed);
                tracing::info!(removed, "old recordings were removed");
            }
            Err(error) => tracing::error!(
                %error,
                folder = %options.folder.display(),
                "old recordings cannot be removed; make the user of the gateway their owner"
            ),
        }
    }

    fn finish(mut self) {
        let now = Instant::now();
        let all: Vec<Id> = self.recordings.keys().copied().collect();
        for id in all {
            self.end(id, now, None);
        }
    }

    fn show_running(&self) {
        let running = self.recordings.len() as u64;
        self.figures.running.store(running, Ordering::Relaxed);
    }
}
