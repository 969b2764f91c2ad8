//! Plugs the media relay into a thread with sockets.
//!
//! The main loop's end: it announces free ports to the calls, takes the pair that a call has named,
//! and passes commands on without waiting. What happens to packets is decided in `media`; how they
//! move, in `net`. Invariant: a pair of ports is handed to the thread before any command that
//! speaks of it.

mod ears;
mod figures;
mod keys;
mod relay;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use gateway_core::{FreePort, MediaCommand, MediaEvent};
use model::LegId;
use net::packets::{
    Counters, PortRange, Ports, PortsConfig, PortsEvent, PortsTrouble, Worker, WorkerConfig,
};
use tokio::sync::mpsc;

use self::ears::Use;
pub(crate) use self::ears::Wanted;
pub(crate) use self::relay::Refused;
use self::relay::{RelayThread, ThreadCommand};
use crate::recorder::FrameSender;

/// Pairs of ports that wait bound at each address. Those for alarms and those about to be replaced
/// aside, a call with video that rings a group of 32 finds all it needs.
const READY: usize = 192;
/// Of these, for alarms alone: two that ring a group of 32 each.
const FOR_ALARMS: usize = 66;
/// Events of the thread that may wait for the main loop; keys and silences, no packets.
const EVENTS: usize = 1_024;

/// How media are set up.
#[derive(Clone, Debug)]
pub(crate) struct MediaOptions {
    /// Local addresses; link-local ones with their scope.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) ports: RangeInclusive<u16>,
    pub(crate) dscp: u8,
    pub(crate) seed: u64,
    /// Where the sound goes that is listened to.
    pub(crate) frames: FrameSender,
}

/// Of the ports that wait bound, how many are kept for alarms: never more than a quarter of the
/// range, so that a small one still carries calls.
pub(crate) fn ports_for_alarms(range: &RangeInclusive<u16>) -> usize {
    FOR_ALARMS.min(range.len() / 2 / 4)
}

/// What the main loop learns from the media side.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Ports that calls may name.
    Ports(Vec<FreePort>),
    Event(MediaEvent),
}

/// The media side, as the main loop holds it.
#[derive(Debug)]
pub(crate) struct MediaShell {
    ports: Ports,
    /// Addresses that have not yet had their first ports.
    unheard: BTreeSet<IpAddr>,
    worker: Worker<ThreadCommand>,
    events: mpsc::Receiver<MediaEvent>,
    refused: Arc<Refused>,
    /// Commands that the thread was too busy to take. A call without sound, so never silently.
    lost_commands: u64,
    /// Ports that a call named and that were not there.
    missing_ports: u64,
}

impl MediaShell {
    pub(crate) fn start(options: MediaOptions) -> io::Result<Self> {
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
        let refused = Arc::<Refused>::default();
        let relay = RelayThread::new(options.seed, Arc::clone(&refused), options.frames);
        let worker = Worker::spawn(WorkerConfig::default(), relay, sender)?;
        Ok(Self {
            ports,
            unheard,
            worker,
            events,
            refused,
            lost_commands: 0,
            missing_ports: 0,
        })
    }

    /// The ports that are there to begin with, once every address has some or has said why not:
    /// before that, a call would be refused.
    pub(crate) async fn first_ports(&mut self) -> Vec<FreePort> {
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
    pub(crate) async fn heard(&mut self) -> Option<Heard> {
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
    pub(crate) fn command(&mut self, command: MediaCommand) {
        let command = match command {
            MediaCommand::Open {
                leg,
                stream,
                medium,
                port,
            } => match self.ports.take(port.rtp) {
                Some(pair) => ThreadCommand::Open {
                    leg,
                    stream,
                    medium,
                    pair,
                },
                None => {
                    self.missing_ports += 1;
                    tracing::error!(%leg, "a call named a media port that is not there");
                    return;
                }
            },
            MediaCommand::Remote {
                leg,
                stream,
                remote,
            } => ThreadCommand::Remote {
                leg,
                stream,
                remote: Box::new(remote),
            },
            MediaCommand::Route { from, to, streams } => ThreadCommand::Route { from, to, streams },
            MediaCommand::Unroute { from, to } => ThreadCommand::Unroute { from, to },
            MediaCommand::Mix {
                room,
                leg,
                stream,
                part,
            } => ThreadCommand::Mix {
                room,
                leg,
                stream,
                part,
            },
            MediaCommand::Unmix { leg } => ThreadCommand::Unmix { leg },
            MediaCommand::KeyTones { leg, listen } => ThreadCommand::Tap {
                leg,
                to: Use::Keys,
                wanted: if listen { Wanted::Yes } else { Wanted::No },
            },
            MediaCommand::Play {
                leg,
                stream,
                key,
                sound,
            } => ThreadCommand::Play {
                leg,
                stream,
                key,
                sound: Box::new(sound),
            },
            MediaCommand::StopSound { leg, stream } => ThreadCommand::StopSound { leg, stream },
            MediaCommand::Close { leg } => ThreadCommand::Close { leg },
        };
        self.hand_over(command);
    }

    /// Begins or ends listening to a leg for the recorder.
    pub(crate) fn listen(&mut self, leg: LegId, sound: Wanted) {
        self.hand_over(ThreadCommand::Tap {
            leg,
            to: Use::Sound,
            wanted: sound,
        });
    }

    fn hand_over(&mut self, command: ThreadCommand) {
        if let Err(error) = self.worker.command(command) {
            self.lost_commands += 1;
            tracing::error!(%error, "the media thread has not taken a command");
        }
    }

    pub(crate) fn flush(&mut self) {
        self.worker.flush();
    }

    pub(crate) fn counters(&self) -> Counters {
        self.worker.counters()
    }

    pub(crate) fn refused(&self) -> &Refused {
        &self.refused
    }

    pub(crate) fn lost_commands(&self) -> u64 {
        self.lost_commands + self.missing_ports
    }
}

fn tell_trouble(address: SocketAddr, trouble: &PortsTrouble) {
    tracing::error!(%address, %trouble, "no port for audio can be opened");
}

fn free_port(rtp: SocketAddr) -> FreePort {
    let mut rtcp = rtp;
    rtcp.set_port(rtp.port().saturating_add(1));
    FreePort {
        rtp,
        rtcp,
        thread: 0,
    }
}

#[cfg(test)]
mod tests;
