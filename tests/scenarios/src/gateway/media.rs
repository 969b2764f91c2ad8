//! The media threads as the gateway's machine sees them: ports, streams, who is passed on to whom.
//!
//! No packet moves: where sound would go is read off what was commanded. Every command is checked
//! against what there is. Invariant: a port belongs to at most one stream.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use calls::Part;
use exchange::{FreePort, MediaCommand, Remote, StreamIndex};
use media::{Sound, SoundKey};
use model::{CallId, Carried, Digit, LegAudio, LegId, Received, Sent};
use sip::sdp::{self, Format};

/// Whether the media threads can carry it over into another codec.
pub(crate) fn is_voice(format: &Format) -> bool {
    let all = sdp::WIDEBAND_FIRST.iter();
    all.copied().any(|(codec, _)| format.codec() == Some(codec))
}

#[derive(Debug)]
pub struct Media {
    free: BTreeSet<FreePort>,
    legs: BTreeMap<LegId, Leg>,
    routes: BTreeMap<(LegId, LegId), Vec<(StreamIndex, StreamIndex)>>,
    /// Who is in the room of which call.
    rooms: BTreeMap<LegId, (CallId, StreamIndex, Part)>,
    /// What each leg was played last, until it was stopped.
    sounds: BTreeMap<LegId, (SoundKey, Sound)>,
    /// Keys that were told as events, in order.
    pressed: Vec<(LegId, Digit)>,
    /// Whether the threads say what they have closed.
    pub speaks: bool,
}

#[derive(Debug, Default)]
struct Leg {
    thread: u16,
    ports: BTreeMap<StreamIndex, FreePort>,
    remotes: BTreeMap<StreamIndex, Remote>,
    /// Somebody listens for keys in its sound.
    key_tones: bool,
}

impl Media {
    pub fn new(address: IpAddr, pairs: u16) -> Self {
        let pair = |n: u16| FreePort {
            rtp: (address, 20_000 + 2 * n).into(),
            rtcp: (address, 20_001 + 2 * n).into(),
        };
        Self {
            free: (0..pairs).map(pair).collect(),
            legs: BTreeMap::new(),
            routes: BTreeMap::new(),
            rooms: BTreeMap::new(),
            sounds: BTreeMap::new(),
            pressed: Vec::new(),
            speaks: true,
        }
    }

    /// All ports, for a machine that begins.
    pub fn grant(&self) -> Vec<FreePort> {
        assert!(self.legs.is_empty(), "a machine begins with all ports free");
        self.free.iter().copied().collect()
    }

    /// The machine is gone, and all that it had opened.
    pub fn forget(&mut self) {
        let legs: Vec<LegId> = self.legs.keys().copied().collect();
        for leg in legs {
            self.close(leg);
        }
        self.routes.clear();
        self.rooms.clear();
    }

    /// Carries a command out; ports that became free come back.
    pub fn command(&mut self, command: MediaCommand) -> Vec<FreePort> {
        match command {
            MediaCommand::Open {
                leg,
                stream,
                port,
                thread,
                ..
            } => {
                assert!(self.free.remove(&port), "{port:?} is not free");
                let opened = self.legs.entry(leg).or_default();
                let begins = opened.ports.is_empty();
                assert!(begins || opened.thread == thread, "{leg} is at two threads");
                opened.thread = thread;
                let before = opened.ports.insert(stream, port);
                assert_eq!(before, None, "{leg}, stream {stream} is open already");
            }
            MediaCommand::Remote {
                leg,
                stream,
                remote,
            } => {
                let known = self
                    .legs
                    .get_mut(&leg)
                    .filter(|leg| leg.ports.contains_key(&stream));
                let known = known.unwrap_or_else(|| panic!("{leg}, stream {stream} is not open"));
                known.remotes.insert(stream, remote);
            }
            MediaCommand::Route { from, to, streams } => {
                assert!(self.are_together(from, to), "{from} and {to} are apart");
                self.routes.insert((from, to), streams);
            }
            MediaCommand::Unroute { from, to } => {
                assert!(
                    self.routes.remove(&(from, to)).is_some(),
                    "{from} was not heard by {to}"
                );
            }
            MediaCommand::Mix {
                room,
                leg,
                stream,
                part,
            } => {
                let ports = self.legs.get(&leg).map(|leg| &leg.ports);
                let is_open = ports.is_some_and(|ports| ports.contains_key(&stream));
                assert!(is_open, "{leg}, stream {stream} is not open");
                let mut mates = self.rooms.iter().filter(|(_, (of, ..))| *of == room);
                let apart = mates.find(|(mate, _)| !self.are_together(leg, **mate));
                assert_eq!(apart, None, "{leg} is mixed with a leg at another thread");
                self.rooms.insert(leg, (room, stream, part));
            }
            MediaCommand::Unmix { leg } => {
                assert!(self.rooms.remove(&leg).is_some(), "{leg} is in no room");
            }
            MediaCommand::KeyTones { leg, listen } => {
                let known = self.legs.get_mut(&leg);
                known
                    .unwrap_or_else(|| panic!("{leg} is not open"))
                    .key_tones = listen;
            }
            MediaCommand::Play {
                leg,
                stream,
                key,
                sound,
            } => {
                let remotes = self.legs.get(&leg).map(|leg| &leg.remotes);
                let is_known = remotes.is_some_and(|known| known.contains_key(&stream));
                assert!(is_known, "{leg}, stream {stream} has nowhere to play to");
                self.sounds.insert(leg, (key, sound));
            }
            MediaCommand::StopSound { leg, .. } => {
                assert!(self.sounds.remove(&leg).is_some(), "{leg} hears no sound");
            }
            MediaCommand::Press {
                leg, stream, digit, ..
            } => {
                let remotes = self.legs.get(&leg).map(|leg| &leg.remotes);
                let remote = remotes.and_then(|known| known.get(&stream));
                let is_event = |format: &Format| format.codec() == Some(sdp::Codec::TelephoneEvent);
                let takes_events = remote.is_some_and(|of| of.formats.iter().any(is_event));
                assert!(takes_events, "{leg}, stream {stream} takes no events");
                self.pressed.push((leg, digit));
            }
            MediaCommand::Move { legs, thread } => {
                for leg in &legs {
                    if let Some(leg) = self.legs.get_mut(leg) {
                        leg.thread = thread;
                    }
                }
                let mut routes = self.routes.keys();
                let parted = routes.find(|(from, to)| !self.are_together(*from, *to));
                assert_eq!(parted, None, "moving {legs:?} parted two legs");
            }
            MediaCommand::Treat { leg, .. } => {
                assert!(self.legs.contains_key(&leg), "{leg} is not open");
            }
            MediaCommand::Close { leg } => return self.close(leg),
        }
        Vec::new()
    }

    /// Packets never pass from one thread to another.
    fn are_together(&self, a: LegId, b: LegId) -> bool {
        let thread = |leg: LegId| self.legs.get(&leg).map(|leg| leg.thread);
        let (a, b) = (thread(a), thread(b));
        a.is_none() || b.is_none() || a == b
    }

    fn close(&mut self, leg: LegId) -> Vec<FreePort> {
        self.sounds.remove(&leg);
        let ports: Vec<FreePort> = self
            .legs
            .remove(&leg)
            .map_or(Vec::new(), |leg| leg.ports.into_values().collect());
        for port in &ports {
            assert!(self.free.insert(*port), "{port:?} was free already");
        }
        ports
    }

    pub fn listens_for_keys(&self, leg: LegId) -> bool {
        self.legs.get(&leg).is_some_and(|leg| leg.key_tones)
    }

    /// The leg that listens at a port of ours.
    pub fn leg_at(&self, port: SocketAddr) -> Option<(LegId, StreamIndex)> {
        self.legs.iter().find_map(|(id, leg)| {
            let mut ports = leg.ports.iter();
            ports
                .find(|(_, open)| open.rtp == port)
                .map(|(stream, _)| (*id, *stream))
        })
    }

    /// Where a packet goes that arrives at a port of ours with this number, and with which number
    /// there.
    pub fn passes_on(&self, port: SocketAddr, payload_type: u8) -> Vec<(SocketAddr, u8)> {
        let Some((from, stream)) = self.leg_at(port) else {
            return Vec::new();
        };
        let Some(format) = self.format(from, stream, payload_type) else {
            return Vec::new();
        };
        let routes = self
            .routes
            .iter()
            .filter(|((source, _), _)| *source == from);
        let routed = routes.flat_map(|((_, to), streams)| {
            let pairs = streams.iter().filter(|(of, _)| *of == stream);
            pairs.map(|(_, there)| (*to, *there))
        });
        let in_room = self.heard_in_room(from, stream);
        let onward = routed.chain(in_room);
        onward
            .filter_map(|(to, there)| self.to_remote(to, there, &format))
            .collect()
    }

    /// Who hears in a room what comes from this stream.
    fn heard_in_room(
        &self,
        from: LegId,
        stream: StreamIndex,
    ) -> impl Iterator<Item = (LegId, StreamIndex)> {
        let talks = self
            .rooms
            .get(&from)
            .filter(|(_, of, part)| *of == stream && *part != Part::Listen);
        let all = self.rooms.iter();
        all.filter_map(move |(leg, (room, of, part))| {
            let hears = *part != Part::Talk && *leg != from;
            (talks?.0 == *room && hears).then_some((*leg, *of))
        })
    }

    fn format(&self, leg: LegId, stream: StreamIndex, payload_type: u8) -> Option<Format> {
        let remote = self.legs.get(&leg)?.remotes.get(&stream)?;
        let mut formats = remote.formats.iter().filter(|_| remote.sends);
        formats
            .find(|format| format.payload_type == payload_type)
            .cloned()
    }

    fn to_remote(
        &self,
        leg: LegId,
        stream: StreamIndex,
        spoken: &Format,
    ) -> Option<(SocketAddr, u8)> {
        let remote = self
            .legs
            .get(&leg)?
            .remotes
            .get(&stream)
            .filter(|r| r.receives)?;
        let same = |format: &&Format| format.is_same_as(spoken);
        let voice = |format: &&Format| is_voice(spoken) && is_voice(format);
        let formats = || remote.formats.iter();
        let heard = formats().find(same).or_else(|| formats().find(voice))?;
        Some((remote.rtp, heard.payload_type))
    }

    /// Figures that tell one leg from another: as many packets as its number says.
    pub fn last_figures(&self, leg: LegId) -> Option<LegAudio> {
        Some(LegAudio {
            codec: None,
            band: None,
            carried: Carried::Relayed,
            encryption: None,
            round_trip: None,
            silent_for: None,
            received: Received {
                packets: leg.get(),
                ..Received::default()
            },
            sent: Sent::default(),
        })
    }

    /// What is played to the far end with this address.
    pub fn played_to(&self, remote: SocketAddr) -> Option<(LegId, SoundKey, &Sound)> {
        let mut sounds = self.sounds.iter();
        let is_there = |leg: LegId| self.remotes(leg).any(|at| at == remote);
        sounds.find_map(|(leg, (key, sound))| is_there(*leg).then_some((*leg, *key, sound)))
    }

    /// The keys that whoever takes sound at `remote` was told as events.
    pub fn pressed_for(&self, remote: SocketAddr) -> String {
        let is_there = |leg: LegId| self.remotes(leg).any(|at| at == remote);
        let pressed = self.pressed.iter().filter(|(leg, _)| is_there(*leg));
        pressed.map(|(_, digit)| digit.to_char()).collect()
    }

    pub fn carries_anything(&self) -> bool {
        !self.joined().is_empty()
    }

    /// Pairs of legs of which at least one hears the other.
    pub fn joined(&self) -> BTreeSet<(LegId, LegId)> {
        let routed = self.routes.keys().copied();
        let in_rooms = self.rooms.iter().flat_map(|(leg, (_, stream, _))| {
            let heard = self.heard_in_room(*leg, *stream);
            heard.map(|(other, _)| (*leg, other))
        });
        let pairs = routed.chain(in_rooms);
        pairs
            .map(|(from, to)| (from.min(to), from.max(to)))
            .collect()
    }

    /// Where the other ends of a leg's streams are.
    pub fn remotes(&self, leg: LegId) -> impl Iterator<Item = SocketAddr> {
        let remotes = self
            .legs
            .get(&leg)
            .into_iter()
            .flat_map(|leg| leg.remotes.values());
        remotes.map(|remote| remote.rtp)
    }

    /// Legs, and routes and places in rooms, that are not closed.
    pub fn leftovers(&self) -> (usize, usize) {
        (self.legs.len(), self.routes.len() + self.rooms.len())
    }

    pub fn free_ports(&self) -> usize {
        self.free.len()
    }
}
