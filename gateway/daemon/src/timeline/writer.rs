//! The thread that writes the timeline: masks, chains, writes in batches, makes room.
//!
//! It alone knows the end of the chain. What the disk does not take is lost, counted, and stands in
//! the chain as a gap once the disk takes something again. Invariant: an entry is handed to the
//! system whole or not at all, within a tenth of a second; the disk has it about a second later.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::chain::{self, Hash};
use super::entry::{Entry, Frame, Gap, LegNamed, Missed, Octets, SipMessage, Time, What};
use super::folder::{self, End, FORMAT, Heading};
use super::telling::{self, Names};
use super::{Job, Raw, TimelineFigures, TimelineOptions, Waiting, mask};

/// Pause between two batches of a busy gateway: a batch costs as much as many entries.
const PACE: Duration = Duration::from_millis(50);
const BATCH: usize = 4_096;
/// Octets that are handed to the system at once.
const CHUNK: usize = 128 << 10;
/// What was written is given to the disk after this time.
const SETTLE: Duration = Duration::from_secs(1);
/// Pause between two tries while the disk fails.
const RETRY: Duration = Duration::from_secs(1);
const TIDY: Duration = Duration::from_secs(60);
/// More of one message or frame is not kept.
const LONGEST: usize = 65_536;

/// Everything the thread starts with.
pub(super) struct Start {
    pub(super) options: TimelineOptions,
    pub(super) end: End,
    pub(super) names: Names,
    pub(super) waiting: Arc<Waiting>,
    pub(super) figures: Arc<TimelineFigures>,
}

struct Writer {
    start: Start,
    file: Option<OpenFile>,
    /// Number and hash of the last line that the system has.
    number: u64,
    hash: Hash,
    /// What the disk did not take: how many entries, and the number of the last.
    lost: Option<(u64, u64)>,
    retry_at: Option<Instant>,
    unsettled_since: Option<Instant>,
    tidied: Instant,
    failing: bool,
}

struct OpenFile {
    file: File,
    number: u64,
    path: PathBuf,
    bytes: u64,
}

pub(super) fn run(start: Start, jobs: &Receiver<Job>) {
    let mut writer = Writer {
        number: start.end.entry,
        hash: start.end.hash.clone(),
        start,
        file: None,
        lost: None,
        retry_at: None,
        unsettled_since: None,
        tidied: Instant::now(),
        failing: false,
    };
    writer.open_next();
    while writer.turn(jobs) {}
    writer.settle();
    tracing::info!(entries = writer.number, head = %writer.hash, "the timeline ends here");
}

impl Writer {
    /// Takes what is there and writes it; false when no more can come.
    fn turn(&mut self, jobs: &Receiver<Job>) -> bool {
        let mut batch = Vec::new();
        let wait = self
            .unsettled_since
            .map_or(TIDY, |since| SETTLE.saturating_sub(since.elapsed()));
        let mut open = match jobs.recv_timeout(wait) {
            Ok(job) => {
                batch.push(job);
                true
            }
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => false,
        };
        if open && !batch.is_empty() {
            std::thread::sleep(PACE);
        }
        while batch.len() < BATCH {
            match jobs.try_recv() {
                Ok(job) => batch.push(job),
                Err(_) => break,
            }
        }
        if let Some(Job::Finish) = batch.last() {
            open = false;
        }
        self.write(batch);
        if self
            .unsettled_since
            .is_some_and(|since| since.elapsed() >= SETTLE)
        {
            self.settle();
        }
        if self.tidied.elapsed() >= TIDY {
            self.tidy();
        }
        open
    }

    fn write(&mut self, batch: Vec<Job>) {
        let resting = self.retry_at.is_some_and(|retry| Instant::now() < retry);
        if self.file.is_none() && !resting && !batch.is_empty() {
            self.open_next();
        }
        let mut chunk = Chunk::after(self);
        for job in batch {
            let Some((number, json)) = self.line_of(job) else {
                continue;
            };
            chunk.add(number, &json);
            if chunk.lines.len() >= CHUNK {
                self.hand_over(chunk);
                chunk = Chunk::after(self);
            }
        }
        if chunk.count > 0 {
            self.hand_over(chunk);
        }
    }

    fn hand_over(&mut self, chunk: Chunk) {
        let written = match &mut self.file {
            Some(open) => open.append(&chunk.lines),
            None => return self.lose(chunk.count, chunk.last),
        };
        let figures = &self.start.figures;
        match written {
            Ok(full) => {
                let bytes = chunk.lines.len() as u64;
                figures.entries.fetch_add(chunk.count, Ordering::Relaxed);
                figures.bytes.fetch_add(bytes, Ordering::Relaxed);
                (self.hash, self.number, self.lost) = (chunk.hash, chunk.last, None);
                self.unsettled_since.get_or_insert_with(Instant::now);
                self.well();
                if full >= self.file_bytes() {
                    self.next_file();
                }
            }
            Err(Torn { octets, error }) => {
                self.start.end.torn = octets;
                self.failed(&error);
                self.file = None;
                self.lose(chunk.count, chunk.last);
            }
        }
    }

    fn lose(&mut self, count: u64, last: u64) {
        let before = self.lost.map_or(0, |(missed, _)| missed);
        self.lost = Some((before + count, last));
        self.start.figures.lost[0].fetch_add(count, Ordering::Relaxed);
    }

    /// The number and the JSON of an entry; nothing for what is no entry.
    fn line_of(&mut self, job: Job) -> Option<(u64, Vec<u8>)> {
        match job {
            Job::Entry {
                number,
                time,
                because,
                raw,
            } => {
                self.start.waiting.left(raw.bytes());
                let what = self.what(raw);
                let entry = Entry {
                    entry: number,
                    time,
                    because,
                    what,
                };
                Some((number, json(&entry)))
            }
            Job::Names(names) => {
                self.start.names = *names;
                None
            }
            Job::Finish => None,
        }
    }

    fn what(&self, raw: Raw) -> What {
        let names = &self.start.names;
        match raw {
            Raw::Sip(seen) => {
                let whole = seen.bytes.len();
                let mut octets = seen.bytes[..whole.min(LONGEST)].to_vec();
                let masked = mask::sip(&mut octets);
                let mut octets_kept = Octets::new(octets, masked);
                octets_kept.cut_from = (whole > LONGEST).then_some(whole);
                What::Sip(SipMessage {
                    way: seen.way,
                    transport: seen.transport,
                    source: seen.source,
                    target: seen.target,
                    call_id: call_id(&seen.bytes),
                    not_sent: seen.not_sent,
                    octets: octets_kept,
                })
            }
            Raw::Frame(seen) => {
                let whole = seen.bytes.len();
                let mut octets = seen.bytes[..whole.min(LONGEST)].to_vec();
                let masked = mask::line(&seen.line, &mut octets);
                let mut octets = Octets::new(octets, masked);
                octets.cut_from = (whole > LONGEST).then_some(whole);
                What::Frame(Frame {
                    line: seen.line.name.to_string(),
                    protocol: seen.line.protocol.to_owned(),
                    way: seen.way,
                    octets,
                })
            }
            Raw::Line { line, said } => What::Event(telling::of_line(&line, &said)),
            Raw::Leg { leg, call, call_id } => What::Leg(LegNamed {
                leg: leg.get(),
                call: call.map(|call| call.get()),
                call_id: call_id.into(),
            }),
            Raw::Calls(event) => What::Event(telling::of_calls(&event, names)),
            Raw::Registrar(event) => What::Event(telling::of_registrar(&event)),
            Raw::Door(record) => What::Event(telling::of_door_record(&record, names)),
            Raw::Record(record) => What::Event(telling::of_record(&record, names)),
            Raw::Url(request) => What::Event(telling::of_url(&request)),
            Raw::UrlReply { command, reply } => What::Event(telling::of_url_reply(command, reply)),
            Raw::Happened(happened) => What::Event(*happened),
            Raw::Gap { missed, why } => What::Gap(Gap {
                missed,
                why: why.name().to_owned(),
            }),
        }
    }

    fn next_file(&mut self) {
        self.settle();
        if let Some(open) = self.file.take() {
            // Whoever doubts the files finds the hash in the system's log as well.
            tracing::info!(
                file = %open.path.display(),
                entries = self.number,
                head = %self.hash,
                "a file of the timeline is complete"
            );
        }
        self.start.end.torn = 0;
        self.tidy();
        self.open_next();
    }

    /// Begins the next file. Where that fails, it is tried again with later entries.
    fn open_next(&mut self) {
        let number = self.start.end.file + 1;
        let options = &self.start.options;
        let heading = Heading {
            timeline: FORMAT,
            file: number,
            first: self.number + 1,
            time: Time::now(),
            follows: self.hash.to_string(),
            torn: self.start.end.torn,
            gateway: options.gateway.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let mut line = Vec::new();
        let hash = chain::append(&self.hash, &json(&heading), &mut line);
        // Its name is taken even if it cannot be written.
        self.start.end.file = number;
        let file = match folder::create(&options.folder, number) {
            Ok(file) => file,
            Err(error) => return self.failed(&error),
        };
        let mut open = OpenFile {
            file,
            number,
            path: folder::path_of(&options.folder, number),
            bytes: 0,
        };
        match open.append(&line) {
            Ok(_) => {
                self.hash = hash;
                self.file = Some(open);
                self.unsettled_since.get_or_insert_with(Instant::now);
            }
            Err(Torn { error, .. }) => {
                // Half a heading is no line of the chain; it was made this moment.
                let _ = std::fs::remove_file(&open.path);
                self.failed(&error);
            }
        }
    }

    fn file_bytes(&self) -> u64 {
        (self.start.options.most_bytes / 16).clamp(256 << 10, 16 << 20)
    }

    fn settle(&mut self) {
        self.unsettled_since = None;
        let Some(open) = &self.file else { return };
        if let Err(error) = open.file.sync_data() {
            self.failed(&error);
        }
    }

    fn tidy(&mut self) {
        self.tidied = Instant::now();
        let options = &self.start.options;
        // The file that is being written counts with what it may become.
        let becomes = self.file_bytes() + 2 * CHUNK as u64;
        let most = options.most_bytes.saturating_sub(becomes);
        match folder::tidy(&options.folder, options.keep, most) {
            Ok(removed) => {
                self.start
                    .figures
                    .removed
                    .fetch_add(removed, Ordering::Relaxed);
            }
            Err(error) => tracing::error!(
                %error,
                folder = %options.folder.display(),
                "old files of the timeline cannot be removed; make the user of the gateway their \
                 owner"
            ),
        }
    }

    fn failed(&mut self, error: &io::Error) {
        self.retry_at = Some(Instant::now() + RETRY);
        if !std::mem::replace(&mut self.failing, true) {
            self.start.figures.failing.store(1, Ordering::Relaxed);
            tracing::error!(
                %error,
                folder = %self.start.options.folder.display(),
                file = self.file.as_ref().map(|file| file.number),
                "the timeline cannot be written; calls go on; look at the disk and at the rights \
                 of the folder"
            );
        }
    }

    fn well(&mut self) {
        self.retry_at = None;
        if std::mem::replace(&mut self.failing, false) {
            self.start.figures.failing.store(0, Ordering::Relaxed);
            tracing::warn!("the timeline is being written again");
        }
    }
}

/// Lines on their way to the system.
struct Chunk {
    lines: Vec<u8>,
    hash: Hash,
    /// Number of the last entry.
    last: u64,
    count: u64,
}

impl Chunk {
    /// Goes on where the writer is; what was lost stands in front.
    fn after(writer: &Writer) -> Self {
        let mut lines = Vec::new();
        let hash = match writer.lost {
            Some((missed, number)) => chain::append(&writer.hash, &gap(missed, number), &mut lines),
            None => writer.hash.clone(),
        };
        Self {
            lines,
            hash,
            last: writer.number,
            count: 0,
        }
    }

    fn add(&mut self, number: u64, json: &[u8]) {
        self.hash = chain::append(&self.hash, json, &mut self.lines);
        self.last = number;
        self.count += 1;
    }
}

/// A batch that did not get to the disk, and how much of it stands there all the same.
struct Torn {
    octets: u64,
    error: io::Error,
}

impl OpenFile {
    /// Writes lines; how long the file is then.
    fn append(&mut self, lines: &[u8]) -> Result<u64, Torn> {
        match self.file.write_all(lines) {
            Ok(()) => {
                self.bytes += lines.len() as u64;
                Ok(self.bytes)
            }
            Err(error) => {
                // Half a batch would be a break in the chain.
                let octets = match self.file.set_len(self.bytes) {
                    Ok(()) => 0,
                    Err(_) => {
                        let length = self.file.metadata().map_or(0, |about| about.len());
                        length.saturating_sub(self.bytes)
                    }
                };
                Err(Torn { octets, error })
            }
        }
    }
}

/// The entry in place of those that the disk did not take; it has the number of the last.
fn gap(missed: u64, number: u64) -> Vec<u8> {
    json(&Entry {
        entry: number,
        time: Time::now(),
        because: None,
        what: What::Gap(Gap {
            missed,
            why: Missed::Disk.name().to_owned(),
        }),
    })
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("numbers, texts and lists of them are always JSON")
}

/// RFC 3261 20.8, also in its compact form.
fn call_id(message: &[u8]) -> Option<String> {
    let lines = message.split(|byte| *byte == b'\n');
    let head = lines.take_while(|line| !line.trim_ascii().is_empty());
    head.filter_map(|line| {
        let (name, value) = line.split_at_checked(line.iter().position(|byte| *byte == b':')?)?;
        let name = name.trim_ascii();
        let named = name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i");
        let value = std::str::from_utf8(value[1..].trim_ascii()).ok()?;
        named.then(|| value.to_owned())
    })
    .next()
}
