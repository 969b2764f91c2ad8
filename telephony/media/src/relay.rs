//! All media sessions of one media thread, as one machine.
//!
//! Finds the leg of a socket, keeps one deadline for all sessions, collects
//! what the owner must know. Owns no socket and reads no clock: packets come
//! in with [`Relay::receive`] and leave through the [`Sink`] before it returns,
//! rewritten in place.
//!
//! Invariants: after a call nothing waits inside but what [`Relay::poll_output`]
//! gives; equal inputs and seed give equal outputs; a packet allocates nothing.

mod handover;
mod sounds;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use thiserror::Error;

pub use handover::Moving;

use crate::format::FormatError;
use crate::guard::{Outlet, Scratch};
use crate::latch::LatchWindow;
use crate::leg::{Component, LegKey, LegSetup, LegUpdate, PortKey, SessionId};
use crate::limiter::Rate;
use crate::player::SoundKey;
use crate::pressing::MAX_WAITING;
use crate::quality::{Drops, Quality};
use crate::seed::Seed;
use crate::session::Session;
use crate::tap::Overheard;
use crate::telephone_event::Press;
use crate::traffic::{Place, Waiting};

/// Limits and times; the defaults suit intercom calls with video.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    pub max_sessions: usize,
    /// A session whose connected legs are all silent for so long is told.
    pub silence: Duration,
    pub latch_window: LatchWindow,
    /// RTP of one leg; 20 ms audio is 50 a second, video some hundreds.
    pub packet_rate: Rate,
    pub rtcp_rate: Rate,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            max_sessions: 10_000,
            silence: Duration::from_secs(60),
            latch_window: LatchWindow {
                packets: 25,
                time: Duration::from_secs(3),
            },
            packet_rate: Rate {
                per_second: 2000,
                burst: 500,
            },
            rtcp_rate: Rate {
                per_second: 50,
                burst: 50,
            },
        }
    }
}

/// Takes packets that leave.
pub trait Sink {
    fn send(&mut self, port: PortKey, to: SocketAddr, packet: &[u8]);

    /// Takes the sound of legs that are tapped for it; see [`Relay::tap`].
    fn sound(&mut self, _: &Overheard<'_>) {}
}

/// Where and when a datagram came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    pub port: PortKey,
    pub from: SocketAddr,
    pub at: Instant,
}

/// What the owner must do or know.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// The port's packets come from this address only, until told otherwise: a
    /// socket may be connected (`Some`) or must be open to all again (`None`).
    Peer {
        port: PortKey,
        remote: Option<SocketAddr>,
    },
    /// No leg has this port any more.
    Release {
        port: PortKey,
    },
    Event {
        session: SessionId,
        event: Event,
    },
    /// Nothing else now; call [`Relay::handle_timeout`] then.
    Timeout(Option<Instant>),
}

/// What happened in a session.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The first packet of a leg.
    Started {
        leg: LegKey,
        from: SocketAddr,
    },
    Digit {
        leg: LegKey,
        press: Press,
        form: KeyForm,
    },
    /// No connected leg that may speak has sent anything for so long; told
    /// again after as long again.
    Silent {
        lasting: Duration,
    },
    /// A sound that was played to a leg has come to its end.
    SoundOver {
        leg: LegKey,
        sound: SoundKey,
    },
    LegClosed {
        leg: LegKey,
        quality: Box<Quality>,
    },
}

/// How a leg told a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// RFC 4733.
    Event,
    /// Two tones in its sound.
    Tones,
}

/// Why a leg was not opened; the owner is at fault, or its limits are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpenError {
    #[error("there are as many media sessions as allowed; end one or raise the limit")]
    TooManySessions,
    #[error("a session holds at most 64 legs")]
    TooManyLegs,
    #[error("leg {0:?} is open already")]
    LegExists(LegKey),
    #[error("socket {0:?} belongs to an open leg")]
    PortInUse(PortKey),
    #[error("the formats of the leg cannot be used")]
    Format(#[from] FormatError),
}

/// Why a command for a leg changed nothing; the owner is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CommandError {
    #[error("there is no media session {0:?}")]
    NoSession(SessionId),
    #[error("the media session has no leg {0:?}")]
    NoLeg(LegKey),
    #[error("a leg is connected with another one; alone it can only listen to itself")]
    SameLeg,
    #[error("leg {0:?} has no codec that sound can be made for: only G.711, G.722 and Opus are")]
    NoCodec(LegKey),
    #[error("leg {0:?} has agreed on no events for keys beside a codec of ours; send them by INFO")]
    NoEvents(LegKey),
    #[error("{MAX_WAITING} keys wait for leg {0:?} already; press the next one later")]
    TooManyKeys(LegKey),
    #[error("the formats of the leg cannot be used")]
    Format(#[from] FormatError),
}

/// Why a leg stayed where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MoveError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("the other session has no place for the leg; it holds at most 64")]
    Full,
}

/// Figures over all sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub sessions: usize,
    /// Datagrams at sockets that no leg has.
    pub stray: u64,
    /// Of all legs, closed ones too; not what a listener could not be given.
    pub drops: Drops,
}

#[derive(Debug)]
pub struct Relay {
    config: Config,
    seed: Seed,
    ids: HashMap<SessionId, u32>,
    sessions: Vec<Option<Session>>,
    free: Vec<u32>,
    /// By [`PortKey`].
    ports: Vec<Option<(u32, Place)>>,
    deadlines: BTreeSet<(Instant, u32)>,
    outputs: VecDeque<Output>,
    scratch: Scratch,
    totals: Totals,
}

impl Relay {
    pub fn new(config: Config, seed: u64) -> Relay {
        Relay {
            config: Config {
                // Zero would be due again at once, for ever.
                silence: config.silence.max(Duration::from_secs(1)),
                ..config
            },
            seed: Seed::new(seed),
            ids: HashMap::new(),
            sessions: Vec::new(),
            free: Vec::new(),
            ports: Vec::new(),
            deadlines: BTreeSet::new(),
            outputs: VecDeque::new(),
            scratch: Scratch::new(),
            totals: Totals::default(),
        }
    }

    /// Opens a leg, and its session with the first one. It hears nobody yet.
    pub fn open(
        &mut self,
        session: SessionId,
        leg: LegKey,
        setup: LegSetup,
        now: Instant,
    ) -> Result<(), OpenError> {
        let keys = [Some(setup.rtp), setup.rtcp];
        if setup.rtcp == Some(setup.rtp) {
            return Err(OpenError::PortInUse(setup.rtp));
        }
        for key in keys.into_iter().flatten() {
            if self.ports.get(key.0 as usize).is_some_and(Option::is_some) {
                return Err(OpenError::PortInUse(key));
            }
        }
        let index = self.session_index(session, now)?;
        let Some(opened) = &mut self.sessions[index as usize] else {
            return Err(OpenError::TooManySessions);
        };
        let slot = match opened.open(leg, setup, &self.config, now) {
            Ok(slot) => slot,
            Err(error) => {
                self.forget_if_empty(session);
                return Err(error);
            }
        };
        self.rehouse(index, slot);
        Ok(())
    }

    /// New signalling for a leg: address, formats, hold.
    pub fn update(
        &mut self,
        session: SessionId,
        leg: LegKey,
        update: LegUpdate,
        now: Instant,
    ) -> Result<(), CommandError> {
        let (index, slot) = self.find(session, leg)?;
        let config = self.config;
        if let Some(session) = &mut self.sessions[index as usize] {
            session.update(slot, update, &config, now, &mut self.outputs)?;
        }
        self.schedule(index);
        Ok(())
    }

    /// Both hear each other, and nobody else.
    pub fn connect(
        &mut self,
        session: SessionId,
        a: LegKey,
        b: LegKey,
        now: Instant,
    ) -> Result<(), CommandError> {
        if a == b {
            return Err(CommandError::SameLeg);
        }
        self.listen(session, a, b, now)?;
        self.listen(session, b, a, now)
    }

    /// `listener` hears `source` from now on: early media, a group's talker.
    /// What `source` hears stays as it is. A leg may hear itself: an echo test.
    pub fn listen(
        &mut self,
        session: SessionId,
        listener: LegKey,
        source: LegKey,
        now: Instant,
    ) -> Result<(), CommandError> {
        let (index, ear) = self.find(session, listener)?;
        let (_, mouth) = self.find(session, source)?;
        if let Some(session) = &mut self.sessions[index as usize] {
            session.listen(ear, mouth, now);
        }
        self.schedule(index);
        Ok(())
    }

    /// `listener` hears `source` no more, if it did.
    pub fn unlisten(
        &mut self,
        session: SessionId,
        listener: LegKey,
        source: LegKey,
    ) -> Result<(), CommandError> {
        let (index, ear) = self.find(session, listener)?;
        let (_, mouth) = self.find(session, source)?;
        if let Some(session) = &mut self.sessions[index as usize] {
            session.unlisten(ear, mouth);
        }
        self.schedule(index);
        Ok(())
    }

    /// The leg hears nobody and nobody hears it.
    pub fn disconnect(&mut self, session: SessionId, leg: LegKey) -> Result<(), CommandError> {
        let (index, slot) = self.find(session, leg)?;
        if let Some(session) = &mut self.sessions[index as usize] {
            session.isolate(slot);
        }
        self.schedule(index);
        Ok(())
    }

    /// Moves a leg into another session, where it may be joined with the legs of that one: calls
    /// that become one (attended transfer). Its peer hears one continuous stream all along.
    pub fn move_leg(
        &mut self,
        from: SessionId,
        leg: LegKey,
        to: SessionId,
        now: Instant,
    ) -> Result<(), MoveError> {
        let (old, slot) = self.find(from, leg)?;
        let new = self.ids.get(&to).copied();
        let new = new.ok_or(CommandError::NoSession(to))?;
        if old == new {
            return Ok(());
        }
        let released = self.sessions[old as usize]
            .as_mut()
            .and_then(|session| session.release(slot));
        let (Some(moving), Some(session)) = (released, &mut self.sessions[new as usize]) else {
            return Err(CommandError::NoLeg(leg).into());
        };
        let refused = match session.adopt(moving, now) {
            Ok(slot) => {
                self.rehouse(new, slot);
                self.forget_if_empty(from);
                self.schedule(new);
                return Ok(());
            }
            Err(refused) => refused,
        };
        // Its old place is free still.
        if let Some(session) = &mut self.sessions[old as usize]
            && let Ok(slot) = session.adopt(*refused, now)
        {
            self.rehouse(old, slot);
        }
        Err(MoveError::Full)
    }

    /// The ports of the leg in this place lead there.
    fn rehouse(&mut self, index: u32, slot: u8) {
        let session = self
            .sessions
            .get_mut(index as usize)
            .and_then(Option::as_mut);
        let Some(leg) = session.and_then(|session| session.leg_mut(slot)) else {
            return;
        };
        for (port, component) in leg.ports_mut().zip([Component::Rtp, Component::Rtcp]) {
            let at = port.key.0 as usize;
            if self.ports.len() <= at {
                self.ports.resize(at + 1, None);
            }
            self.ports[at] = Some((index, Place { slot, component }));
        }
    }

    /// Ends one leg; the session ends with its last leg.
    pub fn close_leg(
        &mut self,
        session: SessionId,
        leg: LegKey,
        now: Instant,
        sink: &mut impl Sink,
    ) -> Result<(), CommandError> {
        let (index, slot) = self.find(session, leg)?;
        self.close_slot(index, slot, now, sink);
        self.forget_if_empty(session);
        self.schedule(index);
        Ok(())
    }

    /// Ends a session with all its legs.
    pub fn close(
        &mut self,
        session: SessionId,
        now: Instant,
        sink: &mut impl Sink,
    ) -> Result<(), CommandError> {
        let found = self.ids.get(&session).copied();
        let index = found.ok_or(CommandError::NoSession(session))?;
        let slots = self.sessions[index as usize].as_ref().map(Session::slots);
        for slot in slots.into_iter().flatten() {
            self.close_slot(index, slot, now, sink);
        }
        self.forget_if_empty(session);
        Ok(())
    }

    /// A leg's figures so far.
    pub fn quality(&self, session: SessionId, leg: LegKey, now: Instant) -> Option<Quality> {
        let (index, slot) = self.find(session, leg).ok()?;
        let session = self.sessions.get(index as usize)?.as_ref()?;
        session.quality(slot, now)
    }

    pub fn totals(&self) -> Totals {
        Totals {
            sessions: self.ids.len(),
            ..self.totals
        }
    }

    /// A datagram came. It is decrypted and rewritten in place, once for each leg that gets it.
    pub fn receive(&mut self, arrival: &Arrival, packet: &mut [u8], sink: &mut impl Sink) {
        let port = self.ports.get(arrival.port.0 as usize);
        let Some((index, place)) = port.copied().flatten() else {
            self.totals.stray += 1;
            return;
        };
        let Some(session) = &mut self.sessions[index as usize] else {
            return;
        };
        let scratch = &mut self.scratch;
        match session.receive(
            place,
            arrival,
            packet,
            &self.config,
            &mut self.outputs,
            &mut Outlet { sink, scratch },
        ) {
            Ok(Waiting::No) => {}
            Ok(Waiting::Yes) => self.schedule(index),
            Err(reason) => self.totals.drops.count(reason),
        }
    }

    pub fn handle_timeout(&mut self, now: Instant, sink: &mut impl Sink) {
        while let Some((_, index)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.pop_first();
            if let Some(session) = &mut self.sessions[index as usize] {
                session.scheduled = None;
                let scratch = &mut self.scratch;
                let outlet = &mut Outlet { sink, scratch };
                session.handle_timeout(&self.config, now, &mut self.outputs, outlet);
            }
            self.schedule(index);
        }
    }

    pub fn poll_output(&mut self) -> Output {
        let next = self.deadlines.first().map(|(at, _)| *at);
        self.outputs.pop_front().unwrap_or(Output::Timeout(next))
    }

    /// Puts the session's deadline forward if it is nearer than planned. One
    /// that moved away is found out when the planned one comes.
    fn schedule(&mut self, index: u32) {
        let Some(session) = self
            .sessions
            .get_mut(index as usize)
            .and_then(Option::as_mut)
        else {
            return;
        };
        let Some(deadline) = session.deadline(&self.config) else {
            return;
        };
        match session.scheduled {
            Some(planned) if planned <= deadline => return,
            Some(planned) => {
                self.deadlines.remove(&(planned, index));
            }
            None => {}
        }
        session.scheduled = Some(deadline);
        self.deadlines.insert((deadline, index));
    }

    fn find(&self, session: SessionId, leg: LegKey) -> Result<(u32, u8), CommandError> {
        let found = self.ids.get(&session).copied();
        let index = found.ok_or(CommandError::NoSession(session))?;
        let slot = self.sessions[index as usize]
            .as_ref()
            .and_then(|session| session.slot_of(leg));
        Ok((index, slot.ok_or(CommandError::NoLeg(leg))?))
    }

    fn session_index(&mut self, id: SessionId, now: Instant) -> Result<u32, OpenError> {
        if let Some(index) = self.ids.get(&id) {
            return Ok(*index);
        }
        if self.ids.len() >= self.config.max_sessions {
            return Err(OpenError::TooManySessions);
        }
        let session = Session::new(id, Seed::new(self.seed.next_u64()), now);
        let index = self.free.pop().unwrap_or(self.sessions.len() as u32);
        match self.sessions.get_mut(index as usize) {
            Some(place) => *place = Some(session),
            None => self.sessions.push(Some(session)),
        }
        self.ids.insert(id, index);
        Ok(index)
    }

    fn close_slot(&mut self, index: u32, slot: u8, now: Instant, sink: &mut impl Sink) {
        let Some(session) = &mut self.sessions[index as usize] else {
            return;
        };
        let first = self.outputs.len();
        let mut outlet = Outlet {
            sink,
            scratch: &mut self.scratch,
        };
        session.close(slot, now, &mut self.outputs, &mut outlet);
        for output in self.outputs.iter().skip(first) {
            if let Output::Release { port } = output
                && let Some(place) = self.ports.get_mut(port.0 as usize)
            {
                *place = None;
            }
        }
    }

    fn forget_if_empty(&mut self, id: SessionId) {
        let Some(index) = self.ids.get(&id).copied() else {
            return;
        };
        let place = &mut self.sessions[index as usize];
        if place.as_ref().is_some_and(|session| !session.is_empty()) {
            return;
        }
        if let Some(planned) = place.take().and_then(|session| session.scheduled) {
            self.deadlines.remove(&(planned, index));
        }
        self.ids.remove(&id);
        self.free.push(index);
    }
}
