//! Our line on one end of a D channel and libpri, in a process of its own, on the other.
//!
//! The line lives in real time, since libpri does. Nothing sleeps: the rig waits for a frame, an
//! event or a deadline, and gives up after [`PATIENCE`].

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use legacy_protocols::isdn::link::{Side, Topology};
use legacy_protocols::isdn::session::{
    CallEvent, CallId, Config, Dialect, Event, IncomingCall, Line, Output,
};

use super::capture::{Direction, Frames, Place};

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    PrimaryDss1,
    PrimaryQsig,
    BasicBus,
    BasicLine,
}

pub(crate) const MODES: [Mode; 4] = [
    Mode::PrimaryDss1,
    Mode::PrimaryQsig,
    Mode::BasicBus,
    Mode::BasicLine,
];

pub(crate) const SIDES: [Side; 2] = [Side::User, Side::Network];

impl Mode {
    pub(crate) fn config(self, side: Side) -> Config {
        match self {
            Self::PrimaryDss1 => Config::primary_rate(side, Dialect::Dss1),
            Self::PrimaryQsig => Config::primary_rate(side, Dialect::Qsig),
            Self::BasicBus => Config::basic_rate(side, Topology::PointToMultipoint),
            Self::BasicLine => Config::basic_rate(side, Topology::PointToPoint),
        }
    }

    fn name_for_peer(self) -> &'static str {
        match self {
            Self::PrimaryDss1 => "pri",
            Self::PrimaryQsig => "qsig",
            Self::BasicBus => "bus",
            Self::BasicLine => "line",
        }
    }
}

/// Which frames get lost: every so many of both directions together.
pub(crate) type LoseEvery = Option<usize>;

pub(crate) struct Rig {
    pub(crate) line: Line,
    peer: Child,
    wire: UnixDatagram,
    said: Frames,
    pub(crate) lose: LoseEvery,
    /// Nothing gets through in either direction.
    pub(crate) cut: bool,
    /// Nothing gets to the peer until [`Self::let_go`].
    held: Option<Vec<Vec<u8>>>,
    frames: usize,
    /// What the line said and nobody asked for yet.
    events: VecDeque<Event>,
    /// What the peer said likewise.
    words: VecDeque<String>,
    began: Instant,
}

impl Rig {
    /// Both ends, and the line up.
    pub(crate) fn up(mode: Mode, side: Side) -> Self {
        let mut rig = Self::new(mode, mode.config(side));
        rig.wait_until_up(mode);
        rig
    }

    pub(crate) fn wait_until_up(&mut self, mode: Mode) {
        let side = self.line.config().link.side;
        match (mode, side) {
            // Terminals come and go; a line of many has no state of its own.
            (Mode::BasicBus, _) => {
                self.event("a terminal", |event| {
                    matches!(event, Event::TerminalUp(_)).then_some(())
                });
            }
            _ => {
                self.event("the line", |event| (*event == Event::LineUp).then_some(()));
                self.peer_says("up");
            }
        }
    }

    pub(crate) fn new(mode: Mode, config: Config) -> Self {
        let side = config.link.side;
        let (wire, far) = UnixDatagram::pair().expect("a socket pair");
        let role = if side == Side::User {
            "network"
        } else {
            "user"
        };
        let mut peer = Command::new(peer_program());
        peer.args([role, mode.name_for_peer()]);
        let peer = peer.stdin(Stdio::from(OwnedFd::from(far))).spawn();
        let peer = peer.expect("the peer starts");
        let place = if side == Side::User {
            Place::User
        } else {
            Place::Network
        };
        let now = Instant::now();
        let mut rig = Self {
            line: Line::new(config, 7, now),
            peer,
            wire,
            said: Frames::new(place),
            lose: None,
            cut: false,
            held: None,
            frames: 0,
            events: VecDeque::new(),
            words: VecDeque::new(),
            began: now,
        };
        rig.drain();
        rig
    }

    /// Ends the peer and gives all that was said.
    pub(crate) fn end(mut self) -> Frames {
        self.command("quit");
        let place = self.place();
        std::mem::replace(&mut self.said, Frames::new(place))
    }

    fn place(&self) -> Place {
        match self.line.config().link.side {
            Side::User => Place::User,
            Side::Network => Place::Network,
        }
    }

    /// A command to the peer; see `peer/libpri_peer.c`.
    pub(crate) fn command(&self, words: &str) {
        let datagram = [b"C", words.as_bytes()].concat();
        self.wire.send(&datagram).expect("the peer listens");
    }

    /// The line does something, and can.
    pub(crate) fn does<T, E: Debug>(
        &mut self,
        act: impl FnOnce(&mut Line, Instant) -> Result<T, E>,
    ) -> T {
        let done = act(&mut self.line, Instant::now());
        self.drain();
        done.expect("the line does as it is told")
    }

    /// The next event of the line that fits; those before it are forgotten.
    pub(crate) fn event<T>(&mut self, what: &str, fits: impl Fn(&Event) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            while let Some(event) = self.events.pop_front() {
                if let Some(found) = fits(&event) {
                    return found;
                }
            }
            self.step(began, what);
        }
    }

    /// The next event of a call that fits.
    pub(crate) fn call_event(&mut self, call: CallId, expected: &CallEvent) {
        self.event(&format!("{expected:?}"), |event| match event {
            Event::Call {
                call: one, what, ..
            } if *one == call && what == expected => Some(()),
            _ => None,
        });
    }

    /// A call that arrives.
    pub(crate) fn incoming(&mut self) -> (CallId, IncomingCall) {
        self.event("an incoming call", |event| match event {
            Event::Call {
                call,
                what: CallEvent::Incoming(incoming),
                ..
            } => Some((*call, incoming.clone())),
            _ => None,
        })
    }

    /// Waits until the peer says something that begins so; what it said before is forgotten.
    pub(crate) fn peer_says(&mut self, words: &str) -> String {
        let began = Instant::now();
        loop {
            while let Some(said) = self.words.pop_front() {
                assert!(!said.starts_with("error"), "the peer says: {said}");
                if said.starts_with(words) {
                    return said;
                }
            }
            self.step(began, words);
        }
    }

    /// Goes on until something holds.
    pub(crate) fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            self.step(began, what);
        }
    }

    /// From now on frames to the peer wait.
    pub(crate) fn hold(&mut self) {
        self.held = Some(Vec::new());
    }

    pub(crate) fn let_go(&mut self) {
        for frame in self.held.take().unwrap_or_default() {
            self.to_peer(&frame);
        }
    }

    /// A frame to the peer that is not ours.
    pub(crate) fn forge(&mut self, frame: &[u8]) {
        self.said.add(Direction::Out, frame);
        self.to_peer(frame);
    }

    /// A frame that somebody else on the bus says to us.
    pub(crate) fn hear(&mut self, frame: &[u8]) {
        self.said.add(Direction::In, frame);
        self.line.receive(frame, Instant::now());
        self.drain();
    }

    fn step(&mut self, began: Instant, waits_for: &str) {
        assert!(
            began.elapsed() < PATIENCE,
            "{} s in, {:?}: waiting in vain for {waits_for}",
            self.began.elapsed().as_secs(),
            self.line.config().interface,
        );
        let deadline = match self.line.poll_output() {
            Output::Timeout(at) => at,
            other => panic!("not drained: {other:?}"),
        };
        let now = Instant::now();
        let wait = deadline.map_or(PATIENCE, |at| at.saturating_duration_since(now));
        let wait = wait.clamp(Duration::from_millis(1), Duration::from_secs(1));
        let set = self.wire.set_read_timeout(Some(wait));
        set.expect("a timeout that is not zero");
        let mut datagram = [0; 1100];
        match self.wire.recv(&mut datagram) {
            Ok(0) => {}
            Ok(length) => self.heard_from_peer(&datagram[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("the peer is gone: {error}"),
        }
        let now = Instant::now();
        if deadline.is_some_and(|at| at <= now) {
            self.line.handle_timeout(now);
        }
        self.drain();
    }

    fn heard_from_peer(&mut self, datagram: &[u8]) {
        match datagram {
            [b'F', frame @ ..] => {
                self.said.add(Direction::In, frame);
                if !self.is_lost() {
                    self.line.receive(frame, Instant::now());
                }
            }
            [b'E', words @ ..] => {
                let words = String::from_utf8_lossy(words).into_owned();
                self.words.push_back(words);
            }
            other => panic!("the peer says {other:?}"),
        }
    }

    fn drain(&mut self) {
        loop {
            match self.line.poll_output() {
                Output::Transmit(frame) => {
                    self.said.add(Direction::Out, &frame);
                    if self.is_lost() {
                        continue;
                    }
                    match &mut self.held {
                        Some(held) => held.push(frame),
                        None => self.to_peer(&frame),
                    }
                }
                Output::Event(event) => self.events.push_back(event),
                Output::Timeout(_) => return,
            }
        }
    }

    fn to_peer(&self, frame: &[u8]) {
        let sent = self.wire.send(&[b"F", frame].concat());
        sent.expect("the peer listens");
    }

    fn is_lost(&mut self) -> bool {
        self.frames += 1;
        self.cut
            || self
                .lose
                .is_some_and(|every| self.frames.is_multiple_of(every))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.peer.kill();
        let _ = self.peer.wait();
    }
}

/// Builds the peer once per run.
fn peer_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let program = folder.join("libpri_peer");
        // Another run may be executing it: it is replaced, not overwritten.
        let fresh = folder.join(format!("libpri_peer-{}", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peer/libpri_peer.c");
        let built = Command::new("cc")
            .args(["-Wall", "-Wextra", "-Werror", "-O1", "-o"])
            .arg(&fresh)
            .arg(source)
            .arg("-lpri")
            .status();
        assert!(
            built.is_ok_and(|status| status.success()),
            "the peer does not build; scripts/setup.sh test installs libpri-dev",
        );
        std::fs::rename(&fresh, &program).expect("the peer in its place");
        program
    })
}
