//! Lines to older intercom servers, as the world has them: devices, sockets, certificates.
//!
//! One task per line, all on a thread of their own; the main loop hands them orders and hears what
//! came, by bounded channels both ways. What the octets mean, when to open again and what to do
//! with a lost line the machine says. Invariant: the main loop never waits for a line.

mod health;
mod medium;
mod thread;
mod view;

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use gateway_core::{Driver, LineCommand, LineEvent, LineId};
use legacy_protocols::port::LinkState;
use net::lines::{BindError, LineEvent as Told, LineHandle, LineKey};
use tokio::sync::mpsc;

pub(crate) use self::medium::medium;
pub(crate) use self::view::line_views;

use self::health::{Health, Seen};
use self::thread::Thread;
use crate::config::LineSettings;
use crate::control::protocol::LineBrief;

/// Events of all lines that may wait for the main loop.
const WAITING: usize = 1_024;

/// Why the lines cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("the certificates of line \"{line}\" cannot be used: {why}")]
    Tls { line: String, why: String },
    #[error("the thread of the lines cannot be started: {0}")]
    Thread(#[from] io::Error),
}

/// The main loop's end of all lines.
#[derive(Debug)]
pub(crate) struct LineShell {
    lines: Vec<Shelled>,
    told: mpsc::Receiver<net::lines::Told>,
    /// None where no line runs over anything.
    thread: Option<Thread>,
}

/// One line as the shell knows it.
#[derive(Debug)]
struct Shelled {
    name: String,
    /// `LAN`, `S0` ...
    kind: &'static str,
    driver: String,
    missing: Option<String>,
    version: Option<String>,
    state: LinkState,
    /// Where the other end is waited for.
    listens: Option<SocketAddr>,
    handle: Option<LineHandle>,
    /// Who is at the other end now.
    peer: Option<String>,
    /// Since when it is open, or not.
    since: Instant,
    /// Why it was closed last.
    ended: Option<String>,
    health: Health,
}

impl LineShell {
    /// Binds what others connect to, and starts a task for each line.
    pub(crate) fn start(settings: &[LineSettings], now: Instant) -> Result<Self, StartError> {
        let (events, told) = mpsc::channel(WAITING);
        let mut lines = Vec::new();
        let mut tasks = Vec::new();
        for (id, settings) in (0..).zip(settings) {
            let name = settings.config.name.clone();
            let medium = medium(&settings.medium).map_err(|error| StartError::Tls {
                line: name.clone(),
                why: format!("{error:#}"),
            })?;
            let mut listens = None;
            let handle = match medium {
                Some(medium) => {
                    let bound = medium.bind()?;
                    listens = bound.local();
                    if let Some(local) = listens {
                        tracing::info!(line = name, address = %local, "waiting for the other end");
                    }
                    let (handle, orders) = net::lines::line(LineKey(id), events.clone());
                    tasks.push((bound, orders));
                    Some(handle)
                }
                None => None,
            };
            lines.push(Shelled {
                name,
                kind: settings.config.kind.name(),
                driver: settings.config.driver.name().to_owned(),
                missing: match &settings.config.driver {
                    Driver::Missing { why } => Some(why.clone()),
                    Driver::Versicle(_) | Driver::Acdp(_) | Driver::Isdn(_) | Driver::Table(_) => {
                        None
                    }
                },
                version: settings.version.clone(),
                state: LinkState::Down,
                listens,
                handle,
                peer: None,
                since: now,
                ended: None,
                health: Health::default(),
            });
        }
        let thread = match tasks.is_empty() {
            true => None,
            false => Some(Thread::start(tasks)?),
        };
        Ok(Self {
            lines,
            told,
            thread,
        })
    }

    /// The next thing that a line tells. Pending for ever where there is no line. Cancel-safe.
    pub(crate) async fn told(&mut self) -> net::lines::Told {
        match self.told.recv().await {
            Some(told) => told,
            None => std::future::pending().await,
        }
    }

    /// What was told, in the machine's words; None: of an opening that is over.
    pub(crate) fn hear(
        &mut self,
        told: net::lines::Told,
        now: Instant,
    ) -> Option<(LineId, LineEvent)> {
        let line = self.lines.get_mut(usize::from(told.line.0))?;
        if !line.handle.as_mut()?.hears(&told) {
            return None;
        }
        let event = line.hear(told.event, now)?;
        Some((LineId(told.line.0), event))
    }

    /// Carries out what the machine wants; what follows is told later.
    pub(crate) fn command(&mut self, id: LineId, command: LineCommand, now: Instant) {
        let Some(line) = self.lines.get_mut(usize::from(id.0)) else {
            return;
        };
        let Some(handle) = &mut line.handle else {
            return;
        };
        match command {
            LineCommand::Open => handle.open(),
            LineCommand::Send(octets) => {
                // A link that is not served notices what is missing; the refusal is counted.
                if handle.send(Bytes::from(octets)).is_err() {
                    tracing::warn!(line = line.name, "too much waits to be sent on this line");
                }
            }
            LineCommand::Close { why } => {
                handle.close();
                tracing::info!(line = line.name, why, "a line is closed");
                line.closed(why.to_owned(), now);
            }
            // Only lines of ISDN have channels, and none of them has been told of any.
            LineCommand::Join { .. } | LineCommand::Leave { .. } => {}
        }
    }

    /// The machine says how a line is.
    pub(crate) fn is(&mut self, id: LineId, state: LinkState) {
        let Some(line) = self.lines.get_mut(usize::from(id.0)) else {
            return;
        };
        let name = &line.name;
        match state {
            LinkState::Up(_) => tracing::info!(line = name, ?state, "a line is up"),
            LinkState::Suspect => tracing::warn!(line = name, "a line is silent"),
            LinkState::Down | LinkState::Connecting | LinkState::Syncing => {
                tracing::debug!(line = name, ?state, "a line has changed");
            }
        }
        line.state = state;
    }

    /// All lines, in a few words.
    pub(crate) fn briefly(&self) -> Vec<LineBrief> {
        let brief = |line: &Shelled| LineBrief {
            name: line.name.clone(),
            kind: line.kind.to_owned(),
            driver: line.driver.clone(),
            state: view::state_name(line.state).to_owned(),
            missing: line.missing.clone(),
            trouble: line.health.trouble().map(|trouble| trouble.to_string()),
            listens: line.listens,
        };
        self.lines.iter().map(brief).collect()
    }

    /// Looks at what came since the last look; says what is new about the health of a line.
    pub(crate) fn look(&mut self, lines: &[gateway_core::LineView], now: Instant) {
        for (line, view) in self.lines.iter_mut().zip(lines) {
            let Some(handle) = &line.handle else { continue };
            let seen = Seen {
                octets: view.port.octets_in,
                frames: view.protocol.frames,
                wrong_octets: handle.counters().wrong_octets,
            };
            let before = line.health.trouble();
            line.health.look(seen, now);
            let trouble = line.health.trouble();
            if let (true, Some(trouble)) = (trouble != before, trouble) {
                tracing::warn!(line = line.name, "{trouble}");
            }
        }
    }

    /// Closes all lines and waits for their tasks.
    pub(crate) fn finish(self) {
        let Self {
            lines,
            told,
            thread,
        } = self;
        drop((lines, told));
        if let Some(thread) = thread {
            thread.finish();
        }
    }
}

impl Shelled {
    fn hear(&mut self, told: Told, now: Instant) -> Option<LineEvent> {
        match told {
            Told::Opened { peer } => {
                tracing::info!(line = self.name, peer, "a line is open");
                self.peer = Some(peer);
                self.since = now;
                self.health = Health::default();
                Some(LineEvent::Opened)
            }
            Told::Closed(end) => {
                match self.peer {
                    Some(_) => tracing::warn!(line = self.name, why = %end, "a line is lost"),
                    None => tracing::debug!(line = self.name, why = %end, "a line stays closed"),
                }
                self.closed(end.to_string(), now);
                Some(LineEvent::Closed)
            }
            Told::Received(octets) => Some(LineEvent::Received(octets)),
            Told::Refused { peer, why } => {
                tracing::warn!(line = self.name, peer, why, "somebody was not let in");
                None
            }
        }
    }

    fn closed(&mut self, why: String, now: Instant) {
        if self.peer.take().is_some() {
            self.since = now;
        }
        self.ended = Some(why);
    }
}
