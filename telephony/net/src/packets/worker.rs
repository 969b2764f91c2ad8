//! One media thread.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use thiserror::Error;
use tokio::sync::mpsc;

use super::counters::{Counters, Shared, add};
use super::sockets::{Io, SocketKey};

/// Longer datagrams are dropped: a jumbo frame fits.
const LONGEST: usize = 9216;

/// Room behind the datagram for what a handler appends before it sends, such
/// as an authentication tag.
const TAIL: usize = 128;

/// Sockets served per turn; each gives one datagram, so that a flood at one
/// delays the others by one datagram.
///
/// A turn first receives all and then lets the handler send: each system call
/// finds the path that it takes in the cache, and a far end on the same host is
/// woken once. A fifth of the CPU time of a relayed packet was measured.
const BATCH: usize = 4;
const EVENTS: usize = 64;

/// Commands served per turn.
const COMMANDS: usize = 64;

/// The key of the wake-up in epoll; no socket reaches this number.
const WAKE: u64 = u64::MAX;

/// What a worker does with what it receives. Runs on the worker's thread; must
/// not block.
pub trait Handler: Send + 'static {
    type Command: Send + 'static;
    type Event: Send + 'static;

    fn packet(&mut self, arrival: Arrival, datagram: &mut Datagram<'_>, io: &mut Io<Self::Event>);

    fn command(&mut self, command: Self::Command, now: Instant, io: &mut Io<Self::Event>);

    /// The deadline has come.
    fn timeout(&mut self, now: Instant, io: &mut Io<Self::Event>);

    /// Asked after each turn.
    fn deadline(&self) -> Option<Instant>;
}

/// Where and when a datagram came.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub socket: SocketKey,
    pub from: SocketAddr,
    pub at: Instant,
}

/// A datagram in the worker's buffer, with room behind it.
#[derive(Debug)]
pub struct Datagram<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

impl Datagram<'_> {
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.len]
    }

    /// The whole buffer and how much of it the datagram fills.
    pub fn with_room(&mut self) -> (&mut [u8], usize) {
        (self.buffer, self.len)
    }
}

/// How a worker is made.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// The thread's name, at most 15 octets are shown.
    pub name: String,
    pub max_sockets: usize,
    /// Commands that may wait.
    pub commands: usize,
    /// The thread's niceness if the process may set it; media above the rest.
    pub niceness: Option<i32>,
}

impl Default for WorkerConfig {
    fn default() -> WorkerConfig {
        WorkerConfig {
            name: "media".to_owned(),
            max_sockets: 16_384,
            commands: 4096,
            niceness: Some(-15),
        }
    }
}

/// Why a command was not taken; it is given back.
#[derive(Debug, Error)]
pub enum CommandError<C> {
    #[error("the worker has too many commands waiting; try again later")]
    Full(C),
    #[error("the worker has ended")]
    Ended(C),
}

/// A running worker. Dropping it ends the thread and closes its sockets.
#[derive(Debug)]
pub struct Worker<C> {
    commands: Option<SyncSender<C>>,
    /// The thread has yet to be told of commands.
    untold: bool,
    wake: Arc<OwnedFd>,
    counters: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl<C: Send + 'static> Worker<C> {
    /// Starts the thread. Events of the handler go to `events`.
    pub fn spawn<H>(
        config: WorkerConfig,
        handler: H,
        events: mpsc::Sender<H::Event>,
    ) -> io::Result<Worker<C>>
    where
        H: Handler<Command = C>,
    {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let wake = Arc::new(eventfd(0, flags)?);
        epoll::add(&epoll, &*wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        let counters = Arc::new(Shared::default());
        let (commands, inbox) = sync_channel(config.commands);
        let turns = Turns {
            io: Io::new(epoll, config.max_sockets, events, counters.clone()),
            handler,
            inbox,
            wake: wake.clone(),
            counters: counters.clone(),
            niceness: config.niceness,
        };
        let thread = std::thread::Builder::new()
            .name(config.name)
            .spawn(move || turns.run())?;
        Ok(Worker {
            commands: Some(commands),
            untold: false,
            wake,
            counters,
            thread: Some(thread),
        })
    }

    /// Gives the handler a command, which it finds after the next [`Worker::flush`] at the latest;
    /// never waits.
    pub fn command(&mut self, command: C) -> Result<(), CommandError<C>> {
        let Some(commands) = &self.commands else {
            return Err(CommandError::Ended(command));
        };
        commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(command) => CommandError::Full(command),
            TrySendError::Disconnected(command) => CommandError::Ended(command),
        })?;
        self.untold = true;
        Ok(())
    }

    /// Wakes the thread for the commands given since the last time: once for all that an input has
    /// caused, because to wake costs more than most commands do.
    pub fn flush(&mut self) {
        if std::mem::take(&mut self.untold) {
            wake(&self.wake);
        }
    }

    pub fn counters(&self) -> Counters {
        self.counters.snapshot()
    }
}

impl<C> Drop for Worker<C> {
    fn drop(&mut self) {
        self.commands = None;
        wake(&self.wake);
        if let Some(thread) = self.thread.take() {
            // A panic of the handler was printed by its thread.
            let _ = thread.join();
        }
    }
}

fn wake(eventfd: &OwnedFd) {
    // Only a counter at its limit refuses, and then the thread is awake.
    let _ = rustix::io::write(eventfd, &1u64.to_ne_bytes());
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inbox {
    Empty,
    More,
    Ended,
}

struct Turns<H: Handler> {
    io: Io<H::Event>,
    handler: H,
    inbox: Receiver<H::Command>,
    wake: Arc<OwnedFd>,
    counters: Arc<Shared>,
    niceness: Option<i32>,
}

impl<H: Handler> Turns<H> {
    fn run(mut self) {
        if let Some(niceness) = self.niceness {
            // Without the right to it the thread runs like any other.
            let thread = rustix::thread::gettid();
            let _ = rustix::process::setpriority_process(Some(thread), niceness);
        }
        let mut events = Vec::with_capacity(EVENTS);
        let mut batch = Batch::new();
        let mut inbox = Inbox::Empty;
        loop {
            let wait = match inbox {
                Inbox::Empty => self.handler.deadline().map(until),
                Inbox::More => Some(Timespec::default()),
                Inbox::Ended => return,
            };
            events.clear();
            // An interruption is a turn without events.
            let _ = epoll::wait(self.io.epoll(), spare_capacity(&mut events), wait.as_ref());
            add(&self.counters.wakeups);
            let mut woken = inbox == Inbox::More;
            for event in &events {
                match event.data.u64() {
                    WAKE => {
                        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
                        woken = true;
                    }
                    bits => {
                        batch.receive(SocketKey::from_bits(bits), &self.io);
                        if batch.received.len() == BATCH {
                            batch.hand_over(&mut self.handler, &mut self.io);
                        }
                    }
                }
            }
            batch.hand_over(&mut self.handler, &mut self.io);
            if woken {
                inbox = self.obey();
            }
            self.keep_time();
        }
    }

    fn obey(&mut self) -> Inbox {
        for _ in 0..COMMANDS {
            match self.inbox.try_recv() {
                Ok(command) => {
                    add(&self.counters.commands);
                    self.handler.command(command, Instant::now(), &mut self.io);
                }
                Err(TryRecvError::Empty) => return Inbox::Empty,
                Err(TryRecvError::Disconnected) => return Inbox::Ended,
            }
        }
        Inbox::More
    }

    fn keep_time(&mut self) {
        if let Some(deadline) = self.handler.deadline() {
            let now = Instant::now();
            if deadline <= now {
                self.handler.timeout(now, &mut self.io);
            }
        }
    }
}

/// The datagrams of one turn, each in a buffer of its own.
struct Batch {
    buffers: Vec<u8>,
    received: Vec<(SocketKey, usize, SocketAddr)>,
}

impl Batch {
    const STRIDE: usize = LONGEST + TAIL;

    fn new() -> Batch {
        Batch {
            buffers: vec![0; BATCH * Batch::STRIDE],
            received: Vec::with_capacity(BATCH),
        }
    }

    fn receive<E>(&mut self, socket: SocketKey, io: &Io<E>) {
        let start = self.received.len() * Batch::STRIDE;
        let Some(room) = self.buffers.get_mut(start..start + LONGEST) else {
            return;
        };
        if let Some((len, from)) = io.receive(socket, room) {
            self.received.push((socket, len, from));
        }
    }

    fn hand_over<H: Handler>(&mut self, handler: &mut H, io: &mut Io<H::Event>) {
        if self.received.is_empty() {
            return;
        }
        let at = Instant::now();
        let buffers = self.buffers.chunks_exact_mut(Batch::STRIDE);
        for ((socket, len, from), buffer) in self.received.drain(..).zip(buffers) {
            // The handler may have let go of it a moment ago.
            if io.is_attached(socket) {
                let arrival = Arrival { socket, from, at };
                handler.packet(arrival, &mut Datagram { buffer, len }, io);
            }
        }
    }
}

/// Rounded up to the millisecond, so that nothing spins before a deadline.
fn until(deadline: Instant) -> Timespec {
    let left = deadline.saturating_duration_since(Instant::now());
    let rounded = left + Duration::from_nanos(999_999);
    let millis = i32::try_from(rounded.as_millis()).unwrap_or(i32::MAX);
    Timespec {
        tv_sec: i64::from(millis / 1000),
        tv_nsec: i64::from(millis % 1000) * 1_000_000,
    }
}
