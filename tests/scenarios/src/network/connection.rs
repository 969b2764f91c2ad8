//! TCP connections: pieces in order, nothing lost, until they break.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::flow::{ConnectionId, Destination, Flow, Transport};

use super::{Arrival, Fate, TCP};
use crate::clock::{MILLISECOND, SECOND};
use crate::random::Random;

const DELAY: Duration = MILLISECOND;
/// How often a host tries again that gets no acknowledgement.
const RETRY: Duration = SECOND;
/// After so long without one it gives the connection up.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Connections {
    all: BTreeMap<ConnectionId, Connection>,
    opened: u64,
}

#[derive(Debug)]
struct Connection {
    /// Who opened it, and who was called.
    ends: [SocketAddr; 2],
    /// What each of the two ends notices next, in order.
    inbox: [VecDeque<Notice>; 2],
    /// When the inbox is looked at, and since when that failed.
    due: [Option<Instant>; 2],
    stuck: [Option<Instant>; 2],
    closed: bool,
}

#[derive(Debug)]
enum Notice {
    Opened,
    Piece(Bytes),
    Closed,
    Unreachable(Destination),
}

impl Connections {
    pub(super) fn push(
        &mut self,
        id: ConnectionId,
        from: SocketAddr,
        bytes: &Bytes,
        random: &mut Random,
        now: Instant,
    ) -> Fate {
        let Some(connection) = self
            .all
            .get_mut(&id)
            .filter(|connection| !connection.closed)
        else {
            return Fate::Lost;
        };
        let to = usize::from(connection.ends[0] == from);
        let cut = match bytes.len() > 1 && random.one_in(4) {
            true => 1 + random.below(bytes.len() - 1),
            false => bytes.len(),
        };
        for piece in [bytes.slice(..cut), bytes.slice(cut..)] {
            if !piece.is_empty() {
                connection.inbox[to].push_back(Notice::Piece(piece));
            }
        }
        connection.wake(to, now + DELAY);
        Fate::Sent
    }

    pub(super) fn push_to(
        &mut self,
        from: SocketAddr,
        to: &Destination,
        known: bool,
        bytes: &Bytes,
        random: &mut Random,
        now: Instant,
    ) -> Fate {
        let mut open = self.all.iter().filter(|(_, connection)| !connection.closed);
        let found = open.find(|(_, connection)| connection.joins(from.ip(), to.addr));
        if let Some((id, end)) = found.map(|(id, c)| (*id, c.end_of(from.ip()))) {
            return self.push(id, end, bytes, random, now);
        }
        self.opened += 1;
        let id = ConnectionId(self.opened);
        let mut own = from;
        own.set_port(40_000 + (self.opened % 20_000) as u16);
        let mut connection = Connection::new([own, to.addr]);
        if known {
            connection.inbox[1].push_back(Notice::Opened);
            connection.inbox[0].push_back(Notice::Opened);
            connection.wake(1, now + DELAY);
            connection.wake(0, now + 2 * DELAY);
            self.all.insert(id, connection);
            return self.push(id, own, bytes, random, now);
        }
        connection.inbox[0].push_back(Notice::Unreachable(to.clone()));
        connection.closed = true;
        connection.wake(0, now + DELAY);
        self.all.insert(id, connection);
        Fate::Lost
    }

    pub(super) fn close(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self
            .all
            .get_mut(&id)
            .filter(|connection| !connection.closed)
        else {
            return;
        };
        connection.closed = true;
        for end in [0, 1] {
            connection.inbox[end].push_back(Notice::Closed);
            connection.wake(end, now + DELAY);
        }
    }

    pub(super) fn of(&self, host: IpAddr) -> Vec<ConnectionId> {
        let mine = self
            .all
            .iter()
            .filter(|(_, c)| c.ends.iter().any(|end| end.ip() == host));
        mine.map(|(id, _)| *id).collect()
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.all
            .values()
            .flat_map(|connection| connection.due)
            .flatten()
            .min()
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.next().is_none()
    }

    pub(super) fn arrive(
        &mut self,
        cut_off: &BTreeSet<IpAddr>,
        now: Instant,
    ) -> Option<(IpAddr, Arrival)> {
        let due = self.all.iter().flat_map(|(id, connection)| {
            let due = |end: usize| connection.due[end].map(|at| (at, *id, end));
            [due(0), due(1)].into_iter().flatten()
        });
        let (_, id, end) = due.filter(|(at, ..)| *at <= now).min()?;
        let connection = self.all.get_mut(&id)?;
        let arrival = connection.arrive(id, end, cut_off, now);
        if connection.closed && connection.inbox.iter().all(VecDeque::is_empty) {
            self.all.remove(&id);
        }
        match arrival {
            Some(arrival) => Some(arrival),
            // It was only a try; there may be more.
            None => self.arrive(cut_off, now),
        }
    }
}

impl Connection {
    fn new(ends: [SocketAddr; 2]) -> Self {
        Self {
            ends,
            inbox: [VecDeque::new(), VecDeque::new()],
            due: [None, None],
            stuck: [None, None],
            closed: false,
        }
    }

    fn joins(&self, from: IpAddr, to: SocketAddr) -> bool {
        let [a, b] = self.ends;
        (a.ip() == from && b == to) || (b.ip() == from && a == to)
    }

    fn end_of(&self, host: IpAddr) -> SocketAddr {
        let [a, b] = self.ends;
        if a.ip() == host { a } else { b }
    }

    fn wake(&mut self, end: usize, at: Instant) {
        self.due[end].get_or_insert(at);
    }

    fn arrive(
        &mut self,
        id: ConnectionId,
        end: usize,
        cut_off: &BTreeSet<IpAddr>,
        now: Instant,
    ) -> Option<(IpAddr, Arrival)> {
        self.due[end] = None;
        let cut = self.ends.iter().any(|end| cut_off.contains(&end.ip()));
        let crosses = matches!(
            self.inbox[end].front(),
            Some(Notice::Opened | Notice::Piece(_))
        );
        if cut && crosses {
            let since = *self.stuck[end].get_or_insert(now);
            if now < since + PATIENCE {
                self.due[end] = Some(now + RETRY);
                return None;
            }
            self.give_up(now);
        }
        self.stuck[end] = None;
        let notice = self.inbox[end].pop_front()?;
        if !self.inbox[end].is_empty() {
            self.due[end] = Some(now);
        }
        let flow = Flow {
            transport: Transport::Tcp,
            listener: TCP,
            remote: self.ends[1 - end],
            local: self.ends[end],
            connection: id,
        };
        let arrival = match notice {
            Notice::Opened => Arrival::Opened(flow),
            Notice::Piece(bytes) => Arrival::Received { flow, bytes },
            Notice::Closed => Arrival::Closed(flow),
            Notice::Unreachable(destination) => Arrival::Unreachable(destination),
        };
        Some((self.ends[end].ip(), arrival))
    }

    /// No acknowledgement for too long: both ends, each for itself, give up.
    fn give_up(&mut self, now: Instant) {
        self.closed = true;
        for inbox in &mut self.inbox {
            inbox.retain(|notice| !matches!(notice, Notice::Piece(_) | Notice::Opened));
            inbox.push_back(Notice::Closed);
        }
        self.due = [Some(now), Some(now)];
    }
}
