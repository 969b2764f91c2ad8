//! The table of all TCP and TLS connections: who may come in, how many, and what their tasks say.
//!
//! Invariant: an entry lives from the moment its task starts until the task's `Closed` is taken
//! from the channel or its panic is found; so the owner hears one `Closed` (or `Refused`) of each,
//! and nothing after it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::mpsc;
use tokio::task::{self, JoinSet};
use tokio::time::{Duration, Instant, Sleep, sleep};

use super::config::StreamSettings;
use super::connection::{Connection, Start, TaskEvent};
use super::counters::Counters;
use super::flow::{
    CloseReason, ConnectionId, Flow, FlowEvent, ListenerId, Refusal, SendError, Source, Transport,
};
use super::outbox::{Order, Outbox, Overflow};
use crate::tls::PeerCertificate;

/// Refusals that may wait for the owner's log; the rest is only counted.
const REFUSALS_TOLD: usize = 64;

#[derive(Debug)]
pub(super) struct Connections {
    pub(super) settings: Arc<StreamSettings>,
    table: HashMap<ConnectionId, Entry>,
    per_source: HashMap<Source, usize>,
    /// Incoming ones in their TLS handshake and when it began, oldest first.
    handshakes: BTreeMap<ConnectionId, Instant>,
    /// Goes off when the oldest handshake may be displaced.
    displacement: Pin<Box<Sleep>>,
    outgoing: usize,
    last_id: u64,
    tasks: JoinSet<()>,
    events: mpsc::Sender<TaskEvent>,
    /// Events that no task can report.
    own_events: VecDeque<FlowEvent>,
}

#[derive(Debug)]
struct Entry {
    flow: Flow,
    is_open: bool,
    outbox: Arc<Outbox>,
    task: task::Id,
    peer: Option<Arc<PeerCertificate>>,
}

impl Connections {
    pub(super) fn new(settings: StreamSettings, events: mpsc::Sender<TaskEvent>) -> Self {
        Self {
            settings: Arc::new(settings),
            table: HashMap::new(),
            per_source: HashMap::new(),
            handshakes: BTreeMap::new(),
            displacement: Box::pin(sleep(Duration::ZERO)),
            outgoing: 0,
            last_id: 0,
            tasks: JoinSet::new(),
            events,
            own_events: VecDeque::new(),
        }
    }

    pub(super) fn incoming(&self) -> usize {
        self.table.len() - self.outgoing
    }

    pub(super) fn outgoing(&self) -> usize {
        self.outgoing
    }

    pub(super) fn handshakes(&self) -> usize {
        self.handshakes.len()
    }

    pub(super) fn peer_certificate(&self, connection: ConnectionId) -> Option<&PeerCertificate> {
        self.table.get(&connection)?.peer.as_deref()
    }

    /// Whether one more connection from there may come in. If not, that is told and counted.
    pub(super) fn admits(
        &mut self,
        listener: ListenerId,
        remote: SocketAddr,
        counters: &mut Counters,
    ) -> bool {
        let of_source = self.per_source.get(&Source::of(remote)).copied();
        let why = if self.incoming() >= self.settings.incoming {
            counters.refused_total += 1;
            Refusal::Total
        } else if of_source.unwrap_or_default() >= self.settings.per_source {
            counters.refused_source += 1;
            Refusal::Source
        } else {
            return true;
        };
        if self.own_events.len() < REFUSALS_TOLD {
            self.own_events.push_back(FlowEvent::Refused {
                listener,
                remote,
                why,
            });
        } else {
            counters.refusals_untold += 1;
        }
        false
    }

    /// Takes in a connection that is admitted and has room for its handshake.
    pub(super) fn accept(
        &mut self,
        listener: ListenerId,
        transport: Transport,
        remote: SocketAddr,
        start: Start,
    ) {
        *self.per_source.entry(Source::of(remote)).or_default() += 1;
        let flow = self.spawn(listener, transport, remote, start);
        if transport == Transport::Tls {
            self.handshakes.insert(flow.connection, Instant::now());
        }
    }

    /// Ready when one more TLS handshake may begin. Honest ones take milliseconds, so in a storm
    /// new connections wait in the kernel until the ones before are through; a handshake that
    /// hangs makes room.
    pub(super) fn poll_handshake_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.handshakes.len() >= self.settings.handshakes
            && let Some((&oldest, &begun)) = self.handshakes.first_key_value()
        {
            self.displacement
                .as_mut()
                .reset(begun + self.settings.handshake_patience);
            ready!(self.displacement.as_mut().poll(cx));
            self.handshakes.remove(&oldest);
            self.order(oldest, Order::Abort(CloseReason::Displaced));
        }
        Poll::Ready(())
    }

    pub(super) fn has_room_outgoing(&self) -> bool {
        self.outgoing < self.settings.outgoing
    }

    pub(super) fn connect(
        &mut self,
        transport: Transport,
        remote: SocketAddr,
        start: Start,
    ) -> Flow {
        self.outgoing += 1;
        self.spawn(ListenerId::OUTGOING, transport, remote, start)
    }

    pub(super) fn send(&self, connection: ConnectionId, bytes: &[u8]) -> Result<(), SendError> {
        let entry = self.table.get(&connection).ok_or(SendError::Closed)?;
        entry.outbox.push(bytes).map_err(|Overflow| {
            let abort = Order::Abort(CloseReason::NotReading);
            entry.outbox.order(abort);
            SendError::NotReading
        })
    }

    pub(super) fn order(&self, connection: ConnectionId, order: Order) {
        if let Some(entry) = self.table.get(&connection) {
            entry.outbox.order(order);
        }
    }

    pub(super) fn take_own_event(&mut self) -> Option<FlowEvent> {
        self.own_events.pop_front()
    }

    pub(super) fn has_own_events(&self) -> bool {
        !self.own_events.is_empty()
    }

    /// What a task said, in the owner's terms. `None`: nothing that concerns the owner.
    pub(super) fn settle(
        &mut self,
        event: TaskEvent,
        counters: &mut Counters,
    ) -> Option<FlowEvent> {
        match event {
            TaskEvent::Opened {
                connection,
                local,
                peer,
            } => {
                self.handshakes.remove(&connection);
                let entry = self.table.get_mut(&connection)?;
                entry.is_open = true;
                entry.flow.local = local;
                entry.peer = peer;
                let flow = entry.flow;
                if flow.listener == ListenerId::OUTGOING {
                    counters.connected += 1;
                }
                Some(FlowEvent::Opened { flow })
            }
            TaskEvent::Received { connection, bytes } => {
                let flow = self.table.get(&connection)?.flow;
                counters.stream_bytes_received += bytes.len() as u64;
                Some(FlowEvent::Received { flow, bytes })
            }
            TaskEvent::Closed { connection, why } => self.remove(connection, why, counters),
            TaskEvent::Undeliverable(flow, why) => {
                counters.undeliverable += 1;
                Some(FlowEvent::Undeliverable { flow, why })
            }
        }
    }

    /// Joins tasks that ended. One that panicked told nobody, so its story is told here.
    pub(super) fn reap(&mut self, cx: &mut Context<'_>, counters: &mut Counters) {
        while let Poll::Ready(Some(ended)) = self.tasks.poll_join_next(cx) {
            let Err(fault) = ended else { continue };
            let is_its =
                |(id, entry): (&ConnectionId, &Entry)| (entry.task == fault.id()).then_some(*id);
            if let Some(id) = self.table.iter().find_map(is_its)
                && let Some(event) = self.remove(id, CloseReason::Fault, counters)
            {
                self.own_events.push_back(event);
            }
        }
    }

    /// Lets every connection send what it has, and waits until all are closed.
    pub(super) async fn finish(&mut self) {
        for entry in self.table.values() {
            entry.outbox.order(Order::Finish);
        }
        while self.tasks.join_next().await.is_some() {}
    }

    fn spawn(
        &mut self,
        listener: ListenerId,
        transport: Transport,
        remote: SocketAddr,
        start: Start,
    ) -> Flow {
        self.last_id += 1;
        let id = ConnectionId(self.last_id);
        let outbox = Arc::new(Outbox::new(self.settings.queued_bytes));
        let connection = Connection {
            id,
            outbox: Arc::clone(&outbox),
            events: self.events.clone(),
            settings: Arc::clone(&self.settings),
        };
        let flow = Flow {
            transport,
            listener,
            remote,
            local: unspecified_like(remote),
            connection: id,
        };
        let task = self.tasks.spawn(connection.run(start)).id();
        let entry = Entry {
            flow,
            is_open: false,
            outbox,
            task,
            peer: None,
        };
        self.table.insert(id, entry);
        flow
    }

    fn remove(
        &mut self,
        connection: ConnectionId,
        why: CloseReason,
        counters: &mut Counters,
    ) -> Option<FlowEvent> {
        let Entry { flow, is_open, .. } = self.table.remove(&connection)?;
        counters.closed.count(&why);
        self.handshakes.remove(&connection);
        if flow.listener == ListenerId::OUTGOING {
            self.outgoing -= 1;
            return Some(FlowEvent::Closed { flow, why });
        }
        let source = Source::of(flow.remote);
        if let Some(of_source) = self.per_source.get_mut(&source) {
            *of_source -= 1;
            if *of_source == 0 {
                self.per_source.remove(&source);
            }
        }
        Some(if is_open {
            FlowEvent::Closed { flow, why }
        } else {
            FlowEvent::Refused {
                listener: flow.listener,
                remote: flow.remote,
                why: Refusal::Handshake(why),
            }
        })
    }
}

fn unspecified_like(remote: SocketAddr) -> SocketAddr {
    let any = if remote.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    SocketAddr::new(any, 0)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// A panic is a bug of ours; it must cost one connection, and the owner must hear of it.
    #[tokio::test]
    async fn a_task_that_panics_ends_its_connection() {
        let (events, _owner) = mpsc::channel(1);
        let mut connections = Connections::new(StreamSettings::default(), events);
        let mut counters = Counters::default();
        let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 5_060));
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        let flow = connections.connect(Transport::Tcp, remote, Start::Connect(socket, remote));
        let bug = async { panic!("a bug on purpose") };
        let task = connections.tasks.spawn(bug).id();
        let entry = connections.table.get_mut(&flow.connection).unwrap();
        entry.task = task;
        let event = poll_fn(|cx| {
            connections.reap(cx, &mut counters);
            connections
                .take_own_event()
                .map_or(Poll::Pending, Poll::Ready)
        });
        let why = CloseReason::Fault;
        assert_eq!(event.await, FlowEvent::Closed { flow, why });
        assert_eq!(counters.closed.fault, 1);
        assert_eq!(connections.outgoing(), 0);
        assert_eq!(
            connections.send(flow.connection, b"x"),
            Err(SendError::Closed)
        );
    }
}
