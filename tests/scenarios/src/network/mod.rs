//! The network between the gateway and the telephones: datagrams and connections in virtual time.
//!
//! Datagrams are delayed, lost, doubled and overtake each other as the [`Weather`] says, or are
//! lost on purpose by a [`Loss`]. Connections lose nothing, keep the order, cut messages into
//! pieces, and break when a host is cut off for long. Each host has one address with one UDP and
//! one TCP listener. Invariant: what arrives, and when, depends on the seed and what was sent.

mod connection;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::flow::{ConnectionId, Destination, Flow, Hop, ListenerId, Transport};

use crate::clock::MILLISECOND;
use crate::random::Random;
use connection::Connections;
use wire::Wire;
pub use wire::{Loss, What};

/// The listeners of every host.
pub const UDP: ListenerId = ListenerId(0);
pub const TCP: ListenerId = ListenerId(1);

/// What becomes of datagrams on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    pub delay: Duration,
    /// Up to so much longer, each its own: who sends twice within it may be overtaken.
    pub jitter: Duration,
    /// In a thousand.
    pub lost: u32,
    pub doubled: u32,
}

impl Weather {
    /// A quiet local network.
    pub const FAIR: Self = Self {
        delay: MILLISECOND,
        jitter: Duration::ZERO,
        lost: 0,
        doubled: 0,
    };
    /// A wireless bridge on a bad day.
    pub const FOUL: Self = Self {
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(700),
        lost: 150,
        doubled: 100,
    };
}

/// What a host notices.
#[derive(Clone, Debug)]
pub enum Arrival {
    Received { flow: Flow, bytes: Bytes },
    Opened(Flow),
    Closed(Flow),
    Unreachable(Destination),
}

/// See the module.
#[derive(Debug)]
pub struct Network {
    random: Random,
    pub weather: Weather,
    hosts: BTreeMap<IpAddr, SocketAddr>,
    cut_off: BTreeSet<IpAddr>,
    /// Hosts without a process that listens: datagrams vanish, connections are refused.
    deaf: BTreeSet<IpAddr>,
    losses: Vec<Loss>,
    datagrams: BTreeMap<(Instant, u64), (Flow, Bytes)>,
    sent: u64,
    connections: Connections,
    wire: Wire,
}

impl Network {
    pub fn new(random: Random) -> Self {
        Self {
            random,
            weather: Weather::FAIR,
            hosts: BTreeMap::new(),
            cut_off: BTreeSet::new(),
            deaf: BTreeSet::new(),
            losses: Vec::new(),
            datagrams: BTreeMap::new(),
            sent: 0,
            connections: Connections::default(),
            wire: Wire::default(),
        }
    }

    pub fn add_host(&mut self, address: SocketAddr) {
        self.hosts.insert(address.ip(), address);
    }

    /// Nothing comes from or to this host until it is joined again.
    pub fn cut_off(&mut self, host: IpAddr) {
        self.cut_off.insert(host);
    }

    pub fn join(&mut self, host: IpAddr) {
        self.cut_off.remove(&host);
    }

    pub fn is_cut_off(&self, host: IpAddr) -> bool {
        self.cut_off.contains(&host)
    }

    /// The process of this host is gone; its connections break.
    pub fn silence(&mut self, host: IpAddr, now: Instant) {
        self.deaf.insert(host);
        for connection in self.connections.of(host) {
            self.connections.close(connection, now);
        }
    }

    /// It listens again.
    pub fn listen(&mut self, host: IpAddr) {
        self.deaf.remove(&host);
    }

    /// Loses datagrams on purpose from now on.
    pub fn lose(&mut self, loss: Loss) {
        self.losses.push(loss);
    }

    /// Loses one single datagram: the n-th that is sent from now on.
    pub fn lose_nth_from_now(&mut self, n: u32) {
        self.losses.push(Loss::nth(n));
    }

    pub fn lose_no_more(&mut self) {
        self.losses.clear();
    }

    /// Sends what a host wants sent.
    pub fn send(&mut self, from: IpAddr, hop: &Hop, bytes: Bytes, now: Instant) {
        let (from, to) = match hop {
            Hop::Flow(flow) => (flow.local, flow.remote),
            Hop::Destination(destination) => (self.hosts[&from], destination.addr),
        };
        let fate = match (hop.transport(), hop) {
            (Transport::Udp, _) => self.send_datagram(from, to, &bytes, now),
            (Transport::Tcp | Transport::Tls, Hop::Flow(flow)) => {
                self.connections
                    .push(flow.connection, from, &bytes, &mut self.random, now)
            }
            (Transport::Tcp | Transport::Tls, Hop::Destination(destination)) => {
                let host = destination.addr.ip();
                let known = self.hosts.contains_key(&host) && !self.deaf.contains(&host);
                let connections = &mut self.connections;
                connections.push_to(from, destination, known, &bytes, &mut self.random, now)
            }
        };
        self.wire
            .note(now, (from, to), hop.transport(), fate, &bytes);
    }

    fn send_datagram(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &Bytes,
        now: Instant,
    ) -> Fate {
        let cut = self.cut_off.contains(&from.ip()) || self.cut_off.contains(&to.ip());
        let by_rule = self
            .losses
            .iter_mut()
            .any(|loss| loss.takes(from.ip(), to.ip(), bytes));
        let weather = self.weather;
        if cut || by_rule || self.random.permille(weather.lost) {
            return Fate::Lost;
        }
        let copies = if self.random.permille(weather.doubled) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let at = now + weather.delay + self.random.up_to(weather.jitter);
            self.sent += 1;
            let flow = Flow::udp(UDP, to, from);
            self.datagrams
                .insert((at, self.sent), (flow, bytes.clone()));
        }
        Fate::Sent
    }

    /// A host closes one of its connections; both ends hear of it.
    pub fn close(&mut self, connection: ConnectionId, now: Instant) {
        self.connections.close(connection, now);
    }

    /// When something arrives somewhere, or would.
    pub fn next(&self) -> Option<Instant> {
        let datagram = self.datagrams.keys().next().map(|(at, _)| *at);
        [datagram, self.connections.next()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next thing that a host notices by now.
    pub fn arrive(&mut self, now: Instant) -> Option<(IpAddr, Arrival)> {
        while let Some(entry) = self
            .datagrams
            .first_entry()
            .filter(|entry| entry.key().0 <= now)
        {
            let (flow, bytes) = entry.remove();
            let host = flow.local.ip();
            let cut = self.cut_off.contains(&host) || self.cut_off.contains(&flow.remote.ip());
            if !cut && !self.deaf.contains(&host) && self.hosts.contains_key(&host) {
                return Some((host, Arrival::Received { flow, bytes }));
            }
        }
        self.connections.arrive(&self.cut_off, now)
    }

    /// The last messages, for somebody who wonders what happened.
    pub fn trace(&self, most: usize) -> String {
        self.wire.trace(most)
    }

    /// Datagrams and bytes that are still on their way.
    pub fn is_quiet(&self) -> bool {
        self.datagrams.is_empty() && self.connections.is_quiet()
    }

    /// How many messages began with these words, in all, from one host or from anywhere.
    pub fn count(&self, from: Option<IpAddr>, words: &str) -> usize {
        self.wire.count(from, words)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Sent,
    Lost,
}
