//! Plugs the media relay into threads with sockets.
//!
//! The main loop's end: it announces free ports to the calls, takes the pair that a call has named,
//! and passes commands on without waiting, each to the thread that has the leg. What happens to
//! packets is decided in `media`; how they move, in `net`; which thread has a leg, in the calls'
//! media plan. Invariant: a pair of ports is handed to the thread before any command that speaks
//! of it.

mod ears;
mod figures;
mod keys;
mod relay;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use exchange::{FreePort, MediaCommand, MediaEvent};
use media::Reason;
use model::LegId;
use net::packets::{
    Counters, PortRange, Ports, PortsConfig, PortsEvent, PortsTrouble, Worker, WorkerConfig,
};
use tokio::sync::mpsc;

use self::ears::Use;
pub use self::ears::Wanted;
use self::relay::{OtherCodecs, Refused, RelayThread, ThreadCommand};
use crate::frames::FrameSender;

/// Pairs of ports that wait bound at each address. Those for alarms and those about to be replaced
/// aside, a call with video that rings a group of 32 finds all it needs.
const READY: usize = 192;
/// Of these, for alarms alone: two that ring a group of 32 each.
const FOR_ALARMS: usize = 66;
/// Events of the thread that may wait for the main loop; keys and silences, no packets.
const EVENTS: usize = 1_024;

/// How media are set up.
#[derive(Clone, Debug)]
pub struct MediaOptions {
    /// Local addresses; link-local ones with their scope.
    pub addresses: Vec<SocketAddr>,
    pub ports: RangeInclusive<u16>,
    pub dscp: u8,
    /// So many share the work; at least one.
    pub threads: u16,
    pub seed: u64,
    /// Where the sound goes that is listened to.
    pub frames: FrameSender,
}

/// Of the ports that wait bound, how many are kept for alarms: never more than a quarter of the
/// range, so that a small one still carries calls.
pub fn ports_for_alarms(range: &RangeInclusive<u16>) -> usize {
    FOR_ALARMS.min(range.len() / 2 / 4)
}

/// What the main loop learns from the media side.
#[derive(Debug)]
pub enum Heard {
    /// Ports that calls may name.
    Ports(Vec<FreePort>),
    Event(MediaEvent),
}

/// The media side, as the main loop holds it.
#[derive(Debug)]
pub struct MediaShell {
    ports: Ports,
    /// Addresses that have not yet had their first ports.
    unheard: BTreeSet<IpAddr>,
    threads: Vec<MediaThread>,
    /// At which thread each leg is that has ports.
    homes: BTreeMap<LegId, usize>,
    /// Legs that shall be listened to once they have ports.
    wanted_early: BTreeSet<LegId>,
    events: mpsc::Receiver<MediaEvent>,
    /// Commands that a thread was too busy to take. A call without sound, so never silently.
    lost_commands: u64,
    /// Ports that a call named and that were not there.
    missing_ports: u64,
}

#[derive(Debug)]
struct MediaThread {
    worker: Worker<ThreadCommand>,
    refused: Arc<Refused>,
}

impl MediaShell {
    pub fn start(options: MediaOptions) -> io::Result<Self> {
        let range = PortRange::new(*options.ports.start(), *options.ports.end());
        let range = range.map_err(io::Error::other)?;
        let unheard = options.addresses.iter().map(SocketAddr::ip).collect();
        let ports = Ports::start(PortsConfig {
            addresses: options.addresses,
            range,
            ready: READY.min(usize::from(range.pairs())),
            // The upper six bits of the traffic class (RFC 2474 3).
            traffic_class: u32::from(options.dscp) << 2,
        })?;
        let (sender, events) = mpsc::channel(EVENTS);
        let codecs = Arc::<OtherCodecs>::default();
        let thread = |number: u16| {
            let refused = Arc::<Refused>::default();
            let seed = options.seed.wrapping_add(u64::from(number));
            let (codecs, frames) = (Arc::clone(&codecs), options.frames.clone());
            let relay = RelayThread::new(number, seed, codecs, Arc::clone(&refused), frames);
            let config = WorkerConfig {
                name: format!("media-{number}"),
                ..WorkerConfig::default()
            };
            let worker = Worker::spawn(config, relay, sender.clone())?;
            Ok(MediaThread { worker, refused })
        };
        let threads = (0..options.threads.max(1)).map(thread);
        Ok(Self {
            ports,
            unheard,
            threads: threads.collect::<io::Result<_>>()?,
            homes: BTreeMap::new(),
            wanted_early: BTreeSet::new(),
            events,
            lost_commands: 0,
            missing_ports: 0,
        })
    }

    /// The ports that are there to begin with, once every address has some or has said why not:
    /// before that, a call would be refused.
    pub async fn first_ports(&mut self) -> Vec<FreePort> {
        let mut missing = std::mem::take(&mut self.unheard);
        let mut free = Vec::new();
        while !missing.is_empty() {
            match self.ports.next().await {
                Some(PortsEvent::Free { rtp }) => {
                    missing.remove(&rtp.ip());
                    free.push(free_port(rtp));
                }
                Some(PortsEvent::Trouble { address, trouble }) => {
                    missing.remove(&address.ip());
                    tell_trouble(address, &trouble);
                }
                None => break,
            }
        }
        free.extend(self.more_ports());
        free
    }

    fn more_ports(&mut self) -> impl Iterator<Item = FreePort> + '_ {
        std::iter::from_fn(|| self.ports.next_free()).map(free_port)
    }

    /// Waits for what there is to learn. Loses nothing when dropped before it is ready.
    pub async fn heard(&mut self) -> Option<Heard> {
        loop {
            let event = tokio::select! {
                event = self.ports.next() => event?,
                event = self.events.recv() => return event.map(Heard::Event),
            };
            match event {
                PortsEvent::Free { rtp } => {
                    let mut free = vec![free_port(rtp)];
                    free.extend(self.more_ports());
                    return Some(Heard::Ports(free));
                }
                PortsEvent::Trouble { address, trouble } => tell_trouble(address, &trouble),
            }
        }
    }

    /// Passes a command on, with the next [`MediaShell::flush`].
    pub fn command(&mut self, command: MediaCommand) {
        let (leg, command) = match command {
            MediaCommand::Open {
                leg,
                stream,
                medium,
                port,
                thread,
            } => {
                let Some(pair) = self.ports.take(port.rtp) else {
                    self.missing_ports += 1;
                    tracing::error!(%leg, "a call named a media port that is not there");
                    return;
                };
                self.homes.insert(leg, usize::from(thread));
                let command = ThreadCommand::Open {
                    leg,
                    stream,
                    medium,
                    pair,
                };
                (leg, command)
            }
            MediaCommand::Move { legs, thread } => return self.hand_over(&legs, thread.into()),
            MediaCommand::Remote {
                leg,
                stream,
                remote,
            } => {
                let remote = Box::new(remote);
                let command = ThreadCommand::Remote {
                    leg,
                    stream,
                    remote,
                };
                (leg, command)
            }
            MediaCommand::Route { from, to, streams } => {
                (to, ThreadCommand::Route { from, to, streams })
            }
            MediaCommand::Unroute { from, to } => (to, ThreadCommand::Unroute { from, to }),
            MediaCommand::Mix {
                room,
                leg,
                stream,
                part,
            } => {
                let command = ThreadCommand::Mix {
                    room,
                    leg,
                    stream,
                    part,
                };
                (leg, command)
            }
            MediaCommand::Unmix { leg } => (leg, ThreadCommand::Unmix { leg }),
            MediaCommand::KeyTones { leg, listen } => {
                let command = ThreadCommand::Tap {
                    leg,
                    to: Use::Keys,
                    wanted: if listen { Wanted::Yes } else { Wanted::No },
                };
                (leg, command)
            }
            MediaCommand::Play {
                leg,
                stream,
                key,
                sound,
            } => {
                let sound = Box::new(sound);
                let command = ThreadCommand::Play {
                    leg,
                    stream,
                    key,
                    sound,
                };
                (leg, command)
            }
            MediaCommand::StopSound { leg, stream } => {
                (leg, ThreadCommand::StopSound { leg, stream })
            }
            MediaCommand::Press {
                leg,
                stream,
                digit,
                lasting,
            } => {
                let command = ThreadCommand::Press {
                    leg,
                    stream,
                    digit,
                    lasting,
                };
                (leg, command)
            }
            MediaCommand::Treat { leg, treatment } => {
                (leg, ThreadCommand::Treat { leg, treatment })
            }
            MediaCommand::Close { leg } => (leg, ThreadCommand::Close { leg }),
        };
        let home = match command {
            ThreadCommand::Close { leg } => self.homes.remove(&leg),
            _ => self.homes.get(&leg).copied(),
        };
        // A leg without ports is nowhere, and any thread can say so.
        self.send(home.unwrap_or(0), command);
        if self.wanted_early.remove(&leg) && self.homes.contains_key(&leg) {
            self.listen(leg, Wanted::Yes);
        }
    }

    /// Begins or ends listening to a leg for the recorder.
    pub fn listen(&mut self, leg: LegId, sound: Wanted) {
        match (self.homes.get(&leg), sound) {
            (Some(home), wanted) => {
                let to = Use::Sound;
                self.send(*home, ThreadCommand::Tap { leg, to, wanted });
            }
            (None, Wanted::Yes) => _ = self.wanted_early.insert(leg),
            (None, Wanted::No) => _ = self.wanted_early.remove(&leg),
        }
    }

    /// Legs change their thread. They are at one: the plan keeps together who hears each other.
    fn hand_over(&mut self, legs: &[LegId], thread: usize) {
        let mut old: BTreeMap<usize, Vec<LegId>> = BTreeMap::new();
        for leg in legs {
            if let Some(home) = self.homes.get_mut(leg).filter(|home| **home != thread) {
                old.entry(*home).or_default().push(*leg);
                *home = thread;
            }
        }
        for (home, legs) in old {
            let (to, from) = sync_channel(1);
            self.send(home, ThreadCommand::Give { legs, to });
            self.send(thread, ThreadCommand::Take { from });
        }
    }

    fn send(&mut self, thread: usize, command: ThreadCommand) {
        let Some(thread) = self.threads.get_mut(thread) else {
            self.lost_commands += 1;
            tracing::error!(thread, "a command for a media thread that is not there");
            return;
        };
        if let Err(error) = thread.worker.command(command) {
            self.lost_commands += 1;
            tracing::error!(%error, "a media thread has not taken a command");
        }
    }

    pub fn flush(&mut self) {
        for thread in &mut self.threads {
            thread.worker.flush();
        }
    }

    /// Of all threads together.
    pub fn counters(&self) -> Counters {
        let each = self.threads.iter().map(|thread| thread.worker.counters());
        each.fold(Counters::default(), |sum, one| sum + one)
    }

    /// Packets that nobody was given, by reason.
    pub fn refused(&self, reason: Reason) -> u64 {
        self.threads
            .iter()
            .map(|thread| thread.refused.of(reason))
            .sum()
    }

    /// Packets at sockets that no leg has.
    pub fn stray(&self) -> u64 {
        self.threads
            .iter()
            .map(|thread| thread.refused.stray())
            .sum()
    }

    /// Keys that were not passed on to a leg: too many waited, or it takes none.
    pub fn refused_keys(&self) -> u64 {
        self.threads
            .iter()
            .map(|thread| thread.refused.keys())
            .sum()
    }

    pub fn lost_commands(&self) -> u64 {
        self.lost_commands + self.missing_ports
    }
}

fn tell_trouble(address: SocketAddr, trouble: &PortsTrouble) {
    tracing::error!(%address, %trouble, "no port for audio can be opened");
}

fn free_port(rtp: SocketAddr) -> FreePort {
    let mut rtcp = rtp;
    rtcp.set_port(rtp.port().saturating_add(1));
    FreePort { rtp, rtcp }
}

#[cfg(test)]
mod tests;
