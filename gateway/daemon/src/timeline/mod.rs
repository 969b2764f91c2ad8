//! The flight recorder: what came, what left and what was made of it, on one timeline.
//!
//! The main loop hands entries over and never waits: a thread masks what is secret, chains each
//! line to the one before by a hash and writes (`docs/adr/0012-timeline.md`). Reading is done from
//! the files, by the command line, also while they are written and when no gateway runs.
//!
//! It records no sound and no secrets, and decides nothing. Invariants: the queue is bounded in
//! entries and octets; what is missing is counted and stands in the chain as a gap; a disk that
//! fails costs entries, never calls.

mod chain;
pub(crate) mod entry;
mod export;
mod folder;
mod lines;
mod mask;
mod opening;
mod read;
mod sources;
mod story;
mod streams;
mod telling;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use exchange::{LineCommand, LineEvent, LineId, MediaEvent, OperatorCommand, UrlReply, UrlRequest};
use model::{CallId, CallRecord, CommandId, DoorRecord, HttpUrl, LegId};
use net::flows::{Flow, Transport};
use sip::flow::Hop;

use self::entry::{Happened, Missed, Time, Way};
pub(crate) use self::export::{Comments, Export};
pub(crate) use self::lines::LineName;
use self::lines::Lines;
use self::opening::Opening;
pub(crate) use self::read::Reader;
use self::sources::Sources;
pub(crate) use self::story::{Story, Wanted};
use self::streams::Streams;
pub(crate) use self::telling::{LineSaid, Names};
pub(crate) use self::verify::{Report, verify};
use switchboard::NotSent;

use crate::control::protocol::RemoteAction;

/// Name of its folder in the state folder.
pub(crate) const FOLDER: &str = "timeline";

/// Entries that may wait for the writer: more than a second of a flooded gateway.
const QUEUE: usize = 16_384;
/// Octets that may wait with them.
const MOST_WAITING: usize = 16 << 20;
/// What an entry costs beside its octets.
const ENTRY: usize = 256;

/// Where the timeline is kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimelineOptions {
    pub(crate) folder: PathBuf,
    pub(crate) keep: Duration,
    pub(crate) most_bytes: u64,
    /// The name of the gateway.
    pub(crate) gateway: String,
}

/// What the timeline counts.
#[derive(Debug, Default)]
pub(crate) struct TimelineFigures {
    pub(crate) entries: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Entries that are missing: the disk failed, the writer was behind, a sender flooded.
    pub(crate) lost: [AtomicU64; 3],
    pub(crate) removed: AtomicU64,
    /// 1 while the disk fails.
    pub(crate) failing: AtomicU64,
}

/// The main loop's end; without a configuration that wants one, it does nothing.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    recording: Option<Recording>,
    figures: Arc<TimelineFigures>,
}

#[derive(Debug)]
struct Recording {
    queue: SyncSender<Job>,
    waiting: Arc<Waiting>,
    thread: JoinHandle<()>,
    next: u64,
    /// The entry of what is being handled.
    because: Option<u64>,
    streams: Streams,
    lines: Lines,
    sources: Sources,
    opening: Opening,
    missed: [u64; 2],
}

/// Octets in the queue.
#[derive(Debug, Default)]
struct Waiting(AtomicUsize);

impl Waiting {
    fn admit(&self, octets: usize) -> bool {
        let cost = octets + ENTRY;
        let before = self.0.fetch_add(cost, Ordering::Relaxed);
        let fits = before + cost <= MOST_WAITING;
        if !fits {
            self.left(octets);
        }
        fits
    }

    fn left(&self, octets: usize) {
        self.0.fetch_sub(octets + ENTRY, Ordering::Relaxed);
    }
}

/// What the writer is told.
#[derive(Debug)]
enum Job {
    Entry {
        number: u64,
        time: Time,
        because: Option<u64>,
        raw: Raw,
    },
    /// The directory has changed.
    Names(Box<Names>),
    Finish,
}

/// An entry as the main loop hands it over, at the least cost.
#[derive(Debug)]
enum Raw {
    Sip(SipSeen),
    Frame(FrameSeen),
    Line {
        line: Arc<str>,
        said: Box<LineSaid>,
    },
    Leg {
        leg: LegId,
        call: Option<CallId>,
        call_id: Box<str>,
    },
    Calls(Box<calls::Event>),
    Registrar(Box<sip::registrar::Event>),
    Door(Box<DoorRecord>),
    Record(Box<CallRecord>),
    Url(Box<UrlRequest>),
    UrlReply {
        command: CommandId,
        reply: UrlReply,
    },
    Happened(Box<Happened>),
    Gap {
        missed: u64,
        why: Missed,
    },
}

#[derive(Debug)]
struct SipSeen {
    way: Way,
    transport: entry::Transport,
    source: SocketAddr,
    target: SocketAddr,
    not_sent: Option<String>,
    bytes: Bytes,
}

#[derive(Debug)]
struct FrameSeen {
    line: LineName,
    way: Way,
    bytes: Bytes,
}

impl Raw {
    fn bytes(&self) -> usize {
        match self {
            Self::Sip(seen) => seen.bytes.len(),
            Self::Frame(seen) => seen.bytes.len(),
            Self::Line { .. }
            | Self::Leg { .. }
            | Self::Calls(_)
            | Self::Registrar(_)
            | Self::Door(_)
            | Self::Record(_)
            | Self::Url(_)
            | Self::UrlReply { .. }
            | Self::Happened(_)
            | Self::Gap { .. } => 0,
        }
    }
}

impl Timeline {
    /// Goes on where the files in the folder end, in a file of its own.
    pub(crate) fn start(
        options: TimelineOptions,
        names: Names,
        lines: Vec<LineName>,
    ) -> io::Result<Self> {
        let figures = Arc::<TimelineFigures>::default();
        let waiting = Arc::<Waiting>::default();
        let end = folder::end(&options.folder).unwrap_or_else(|error| {
            tracing::error!(
                %error,
                folder = %options.folder.display(),
                "the timeline cannot be read; make the user of the gateway its owner"
            );
            folder::End::nothing()
        });
        let next = end.entry + 1;
        let (queue, jobs) = sync_channel(QUEUE);
        let start = writer::Start {
            options,
            end,
            names,
            waiting: Arc::clone(&waiting),
            figures: Arc::clone(&figures),
        };
        let thread = std::thread::Builder::new()
            .name("timeline".to_owned())
            .spawn(move || writer::run(start, &jobs))?;
        let recording = Recording {
            queue,
            waiting,
            thread,
            next,
            because: None,
            streams: Streams::default(),
            lines: Lines::new(lines),
            sources: Sources::default(),
            opening: Opening::default(),
            missed: [0; 2],
        };
        Ok(Self {
            recording: Some(recording),
            figures,
        })
    }

    pub(crate) fn figures(&self) -> &TimelineFigures {
        &self.figures
    }

    /// What is told from here on has no cause that is known.
    pub(crate) fn turn_over(&mut self) {
        if let Some(recording) = &mut self.recording {
            recording.because = None;
        }
    }

    /// A datagram or a piece of a stream came; what is told until `turn_over` came of it.
    pub(crate) fn received(&mut self, flow: &Flow, bytes: &Bytes, now: Instant) {
        let Some(recording) = &mut self.recording else {
            return;
        };
        let messages = match flow.transport {
            Transport::Udp if is_keep_alive(bytes) => return,
            Transport::Udp => vec![bytes.clone()],
            Transport::Tcp | Transport::Tls => {
                let cut = recording.streams.take(flow.connection, bytes);
                if cut.lost {
                    recording.miss(Missed::Behind, &self.figures);
                }
                cut.messages
            }
        };
        for bytes in messages {
            if !recording.sources.admit(flow.remote.ip(), now) {
                recording.miss(Missed::Flood, &self.figures);
                continue;
            }
            let seen = SipSeen {
                way: Way::In,
                transport: transport(flow.transport),
                source: flow.remote,
                target: flow.local,
                not_sent: None,
                bytes,
            };
            recording.because = recording.tell(Raw::Sip(seen), &self.figures);
        }
    }

    /// A connection is open: what waited for it leaves now.
    pub(crate) fn opened(&mut self, flow: &Flow) {
        let Some(recording) = &mut self.recording else {
            return;
        };
        for (because, seen) in recording.opening.take(flow.connection) {
            let source = flow.local;
            recording.tell_of(because, SipSeen { source, ..seen }, &self.figures);
        }
    }

    pub(crate) fn closed(&mut self, flow: &Flow) {
        let Some(recording) = &mut self.recording else {
            return;
        };
        recording.streams.closed(flow.connection);
        // It never was open.
        for (because, seen) in recording.opening.take(flow.connection) {
            let not_sent = Some("the connection did not open".to_owned());
            recording.tell_of(because, SipSeen { not_sent, ..seen }, &self.figures);
        }
    }

    /// A message of ours left, or leaves when its connection is open.
    pub(crate) fn sent(&mut self, flow: &Flow, bytes: &Bytes) {
        if flow.local.port() == 0
            && let Some(recording) = &mut self.recording
            && !is_keep_alive(bytes)
        {
            let seen = SipSeen {
                way: Way::Out,
                transport: transport(flow.transport),
                source: flow.local,
                target: flow.remote,
                not_sent: None,
                bytes: bytes.clone(),
            };
            let because = recording.because;
            let Some(seen) = recording.opening.keep(flow.connection, because, seen) else {
                return;
            };
            // Too many wait: it is told without our address.
            recording.tell(Raw::Sip(seen), &self.figures);
            return;
        }
        let ways = (transport(flow.transport), flow.local, flow.remote);
        self.message_of_ours(ways, bytes, None);
    }

    /// A message of ours could not leave.
    pub(crate) fn not_sent(&mut self, to: &Hop, bytes: &Bytes, why: &NotSent) {
        let transport = match to.transport() {
            sip::flow::Transport::Udp => entry::Transport::Udp,
            sip::flow::Transport::Tcp => entry::Transport::Tcp,
            sip::flow::Transport::Tls => entry::Transport::Tls,
        };
        let local = match to {
            Hop::Flow(flow) => flow.local,
            Hop::Destination(_) => SocketAddr::new(unspecified(to.remote().ip()), 0),
        };
        self.message_of_ours((transport, local, to.remote()), bytes, Some(why));
    }

    fn message_of_ours(
        &mut self,
        (transport, source, target): (entry::Transport, SocketAddr, SocketAddr),
        bytes: &Bytes,
        not_sent: Option<&NotSent>,
    ) {
        if self.recording.is_none() || is_keep_alive(bytes) {
            return;
        }
        self.tell(Raw::Sip(SipSeen {
            way: Way::Out,
            transport,
            source,
            target,
            not_sent: not_sent.map(ToString::to_string),
            bytes: bytes.clone(),
        }));
    }

    /// What a transport of a line told; what is told until `turn_over` came of it.
    pub(crate) fn line_event(&mut self, line: LineId, event: &LineEvent) {
        let Some(recording) = &mut self.recording else {
            return;
        };
        let bytes = match event {
            LineEvent::Received(bytes) => bytes,
            LineEvent::Opened => return recording.lines.opened(line),
            LineEvent::Closed | LineEvent::Channels(_) => return,
        };
        let Some(name) = recording.lines.name(line).cloned() else {
            return;
        };
        for bytes in recording.lines.take(line, bytes) {
            let seen = FrameSeen {
                line: name.clone(),
                way: Way::In,
                bytes,
            };
            recording.because = recording.tell(Raw::Frame(seen), &self.figures);
        }
    }

    /// What the transport of a line is to do.
    pub(crate) fn line_command(&mut self, line: LineId, command: &LineCommand) {
        let (Some(recording), LineCommand::Send(octets)) = (&mut self.recording, command) else {
            return;
        };
        if let Some(line) = recording.lines.name(line).cloned() {
            let seen = FrameSeen {
                line,
                way: Way::Out,
                bytes: Bytes::copy_from_slice(octets),
            };
            recording.tell(Raw::Frame(seen), &self.figures);
        }
    }

    /// What a line says and is told.
    pub(crate) fn line_says(&mut self, line: LineId, said: LineSaid) {
        if let Some(recording) = &mut self.recording {
            let known = recording
                .lines
                .name(line)
                .map(|line| Arc::clone(&line.name));
            let line = known.unwrap_or_else(|| telling::unnamed(line).into());
            let said = Box::new(said);
            recording.tell(Raw::Line { line, said }, &self.figures);
        }
    }

    /// A leg of a call is this SIP dialog.
    pub(crate) fn leg(&mut self, leg: LegId, call: Option<CallId>, call_id: Box<str>) {
        self.tell(Raw::Leg { leg, call, call_id });
    }

    pub(crate) fn calls(&mut self, event: &calls::Event) {
        if self.recording.is_some() {
            self.tell(Raw::Calls(Box::new(event.clone())));
        }
    }

    pub(crate) fn registrar(&mut self, event: &sip::registrar::Event) {
        if self.recording.is_some() {
            self.tell(Raw::Registrar(Box::new(event.clone())));
        }
    }

    pub(crate) fn door_record(&mut self, record: &DoorRecord) {
        if self.recording.is_some() {
            self.tell(Raw::Door(Box::new(record.clone())));
        }
    }

    pub(crate) fn call_record(&mut self, record: &CallRecord) {
        if self.recording.is_some() {
            self.tell(Raw::Record(Box::new(record.clone())));
        }
    }

    pub(crate) fn url_asked(&mut self, request: &UrlRequest) {
        if self.recording.is_some() {
            self.tell(Raw::Url(Box::new(request.clone())));
        }
    }

    /// A device has answered; what is told until `turn_over` came of it.
    pub(crate) fn url_answered(&mut self, command: CommandId, reply: UrlReply) {
        self.cause(Raw::UrlReply { command, reply });
    }

    /// What the sound of a leg told. Of a key it is kept that there was one, not which.
    pub(crate) fn media(&mut self, event: &MediaEvent) {
        let told = match event {
            MediaEvent::Digit { leg, form, .. } => Happened::of_key(*leg, *form),
            MediaEvent::Silent { leg } => Happened::of_silence(*leg),
            MediaEvent::SoundOver { .. } | MediaEvent::Figures(_) | MediaEvent::Closed { .. } => {
                return;
            }
        };
        self.cause(Raw::Happened(Box::new(told)));
    }

    /// Somebody at the command line changes something.
    pub(crate) fn operator(&mut self, command: &OperatorCommand) {
        if let Some(told) = Happened::of_operator(command) {
            self.cause(Raw::Happened(Box::new(told)));
        }
    }

    /// Somebody at the command line has a station's own page asked for.
    pub(crate) fn page_asked(&mut self, station: &str, action: RemoteAction, url: &HttpUrl) {
        if self.recording.is_some() {
            let told = Happened::of_page(station, action, url);
            self.tell(Raw::Happened(Box::new(told)));
        }
    }

    /// What is told until `turn_over` came of this.
    fn cause(&mut self, raw: Raw) {
        if let Some(recording) = &mut self.recording {
            recording.because = recording.tell(raw, &self.figures);
        }
    }

    pub(crate) fn names(&self, names: Names) {
        if let Some(recording) = &self.recording {
            // A full queue: numbers of before are shown until the next change.
            let _ = recording.queue.try_send(Job::Names(Box::new(names)));
        }
    }

    /// Waits until everything handed over is written. Blocks; for the end of the process.
    pub(crate) fn finish(self) {
        let Some(recording) = self.recording else {
            return;
        };
        // The thread goes on taking until it finds this, or that nobody can send any more.
        let _ = recording.queue.send(Job::Finish);
        if recording.thread.join().is_err() {
            tracing::error!("the timeline thread panicked");
        }
    }

    fn tell(&mut self, raw: Raw) -> Option<u64> {
        self.recording.as_mut()?.tell(raw, &self.figures)
    }
}

impl Recording {
    /// Hands an entry over; its number, unless it is lost.
    fn tell(&mut self, raw: Raw, figures: &TimelineFigures) -> Option<u64> {
        self.tell_gaps();
        let number = self.hand_over(raw);
        if number.is_none() {
            self.miss(Missed::Behind, figures);
        }
        number
    }

    /// Of a message that waited: what caused it is long over.
    fn tell_of(&mut self, because: Option<u64>, seen: SipSeen, figures: &TimelineFigures) {
        let now = std::mem::replace(&mut self.because, because);
        self.tell(Raw::Sip(seen), figures);
        self.because = now;
    }

    /// What is missing stands before what comes next.
    fn tell_gaps(&mut self) {
        for (index, why) in [Missed::Behind, Missed::Flood].into_iter().enumerate() {
            let missed = self.missed[index];
            if missed > 0 && self.hand_over(Raw::Gap { missed, why }).is_some() {
                self.missed[index] = 0;
            }
        }
    }

    fn hand_over(&mut self, raw: Raw) -> Option<u64> {
        let octets = raw.bytes();
        if !self.waiting.admit(octets) {
            return None;
        }
        let because = match raw {
            Raw::Gap { .. } => None,
            _ => self.because,
        };
        let job = Job::Entry {
            number: self.next,
            time: Time::now(),
            because,
            raw,
        };
        match self.queue.try_send(job) {
            Ok(()) => {
                self.next += 1;
                Some(self.next - 1)
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.waiting.left(octets);
                None
            }
        }
    }

    fn miss(&mut self, why: Missed, figures: &TimelineFigures) {
        let index = match why {
            Missed::Behind => 0,
            Missed::Flood | Missed::Disk => 1,
        };
        self.missed[index] += 1;
        figures.lost[index + 1].fetch_add(1, Ordering::Relaxed);
    }
}

/// RFC 5626 3.5.1, and what devices send to keep a way through address translation open.
fn is_keep_alive(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

fn unspecified(of: IpAddr) -> IpAddr {
    match of {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn transport(transport: Transport) -> entry::Transport {
    match transport {
        Transport::Udp => entry::Transport::Udp,
        Transport::Tcp => entry::Transport::Tcp,
        Transport::Tls => entry::Transport::Tls,
    }
}
