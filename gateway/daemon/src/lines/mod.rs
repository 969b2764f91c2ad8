//! Lines to older intercom servers, as the world has them: devices, sockets, certificates.
//!
//! One task per line, all on a thread of their own; the main loop hands them orders and hears what
//! came, by bounded channels both ways. What the octets mean, when to open again and what to do
//! with a lost line the machine says. Invariant: the main loop never waits for a line.

mod health;
mod isdn;
mod medium;
mod thread;
mod view;

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use exchange::{Driver, LineCommand, LineEvent, LineId};
use legacy_protocols::isdn::codec::Interface;
use legacy_protocols::isdn::layer1::l1oip;
use legacy_protocols::port::LinkState;
use net::lines::{BindError, LineEvent as Told, LineHandle, LineKey};
use tokio::sync::mpsc;

pub(crate) use self::medium::medium;
pub(crate) use self::view::line_views;

use self::health::{Health, Seen};
use self::isdn::{Bearing, Channels, E1d, IsdnLine, L1oip, Span};
use self::thread::{Served, Thread};
use crate::config::{LineSettings, MediumSettings};
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
    #[error("line \"{line}\" cannot be opened at {place}: {source}")]
    Isdn {
        line: String,
        place: String,
        source: io::Error,
    },
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
    /// The B channels of a line of ISDN.
    channels: Option<Channels>,
    /// Who is at the other end now.
    peer: Option<String>,
    /// Since when it is open, or not.
    since: Instant,
    /// Why it was closed last.
    ended: Option<String>,
    health: Health,
}

impl LineShell {
    /// Binds what others connect to, and starts a task for each line. `seed` is random.
    pub(crate) fn start(
        settings: &[LineSettings],
        seed: u64,
        now: Instant,
    ) -> Result<Self, StartError> {
        let (events, told) = mpsc::channel(WAITING);
        let mut lines = Vec::new();
        let mut tasks = Vec::new();
        for (id, settings) in (0..).zip(settings) {
            let mut line = Shelled::new(settings, now);
            if let Some(served) = line.bind(settings, seed.wrapping_add(u64::from(id)))? {
                let (handle, orders) = net::lines::line(LineKey(id), events.clone());
                tasks.push((served, orders));
                line.handle = Some(handle);
            }
            lines.push(line);
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

    /// Where the sound of each line's B channels is, for the machine to be told once.
    pub(crate) fn channels(&self) -> Vec<(LineId, Vec<(u8, SocketAddr)>)> {
        let lines = (0..).map(LineId).zip(&self.lines);
        lines
            .filter_map(|(id, line)| Some((id, line.channels.as_ref()?.at.clone())))
            .collect()
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
            LineCommand::Join { channel, ours } => line.bear(Bearing::Join { channel, ours }),
            LineCommand::Leave { channel } => line.bear(Bearing::Leave { channel }),
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
    pub(crate) fn look(&mut self, lines: &[exchange::LineView], now: Instant) {
        for (line, view) in self.lines.iter_mut().zip(lines) {
            let Some(handle) = &line.handle else { continue };
            // Frames of a D channel are checked below, and on an idle one none holds a message.
            if line.channels.is_some() {
                continue;
            }
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
    fn new(settings: &LineSettings, now: Instant) -> Self {
        let config = &settings.config;
        Self {
            name: config.name.clone(),
            kind: config.kind.name(),
            driver: config.driver.name().to_owned(),
            missing: match &config.driver {
                Driver::Missing { why } => Some(why.clone()),
                Driver::Versicle(_) | Driver::Acdp(_) | Driver::Isdn(_) | Driver::Table(_) => None,
            },
            version: settings.version.clone(),
            state: LinkState::Down,
            listens: None,
            handle: None,
            channels: None,
            peer: None,
            since: now,
            ended: None,
            health: Health::default(),
        }
    }

    /// What its task will serve; None: the line runs over nothing.
    fn bind(&mut self, settings: &LineSettings, seed: u64) -> Result<Option<Served>, StartError> {
        if let Some((span, interface)) = self.span(settings)? {
            let (line, channels) =
                IsdnLine::new(span, interface, seed).map_err(|source| StartError::Isdn {
                    line: self.name.clone(),
                    place: "loopback".to_owned(),
                    source,
                })?;
            self.channels = Some(channels);
            return Ok(Some(Served::Isdn(Box::new(line))));
        }
        let medium = medium(&settings.medium).map_err(|error| StartError::Tls {
            line: self.name.clone(),
            why: format!("{error:#}"),
        })?;
        let Some(medium) = medium else {
            return Ok(None);
        };
        let bound = medium.bind()?;
        self.listens = bound.local();
        if let Some(local) = self.listens {
            tracing::info!(line = self.name, address = %local, "waiting for the other end");
        }
        Ok(Some(Served::Stream(bound)))
    }

    fn span(&self, settings: &LineSettings) -> Result<Option<(Span, Interface)>, StartError> {
        let Driver::Isdn(isdn) = &settings.config.driver else {
            return Ok(None);
        };
        let interface = isdn.line.interface;
        let span = match &settings.medium {
            MediumSettings::L1oip {
                bind,
                peer,
                identity,
            } => {
                let config = l1oip::Config::new(interface, *identity);
                let l1oip =
                    L1oip::bind(*bind, *peer, config).map_err(|source| StartError::Isdn {
                        line: self.name.clone(),
                        place: bind.to_string(),
                        source,
                    })?;
                Span::L1oip(l1oip)
            }
            MediumSettings::E1d {
                socket,
                interface,
                line,
            } => Span::E1d(E1d {
                socket: socket.clone(),
                interface: *interface,
                line: *line,
            }),
            MediumSettings::Nothing
            | MediumSettings::Serial(_)
            | MediumSettings::Connect { .. }
            | MediumSettings::Listen { .. }
            | MediumSettings::ConnectUnix(_)
            | MediumSettings::ListenUnix(_) => return Ok(None),
        };
        Ok(Some((span, interface)))
    }

    fn bear(&self, bearing: Bearing) {
        let taken = self
            .channels
            .as_ref()
            .is_none_or(|channels| channels.bear(bearing));
        if !taken {
            tracing::warn!(
                line = self.name,
                "the sound of a call is not joined: too much waits"
            );
        }
    }

    fn hear(&mut self, told: Told, now: Instant) -> Option<LineEvent> {
        match told {
            Told::Opened { peer } => {
                tracing::info!(line = self.name, peer, "a line is open");
                self.peer = Some(peer);
                self.since = now;
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
