//! UDP, TCP and TLS flows for one owner, usually the task that holds the signalling state.
//!
//! Made for a current-thread runtime where a message should cost as little as it can: the owner
//! waits in [`Flows::ready`] and then takes everything there is with [`Flows::drain`], UDP straight
//! from the socket. Sending never waits. TCP and TLS connections have a task each, which reports
//! over one bounded channel.
//!
//! What it does not do: framing, resolving names, choosing or reusing connections, logging. It
//! knows no protocol.
//!
//! Invariants: every connection gets one last word (`Closed`, or `Refused` if it never opened) and
//! nothing after it. Whatever a peer can make grow has a cap in [`StreamSettings`] or
//! [`DatagramSettings`] and a counter in [`Counters`]. No source starves another: the owner gets
//! them in turn, and after some hundred events the runtime gets its turn too.

mod accept;
mod config;
mod connection;
mod connections;
mod counters;
mod datagram;
mod flow;
mod outbox;
mod outlet;
mod sockets;
mod undeliverable;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Duration, timeout};

use self::accept::StreamListener;
use self::connection::TaskEvent;
use self::connections::Connections;
use self::datagram::{DatagramListener, ReceiveSpace};
use crate::tls::{ClientTls, ServerTls};

pub use self::config::{
    DatagramSettings, Dscp, FlowsConfig, Keepalive, ListenerConfig, ListenerKind, ListenerSocket,
    StreamSettings,
};
pub use self::counters::{CloseCounts, Counters, SendErrors};
pub use self::flow::{
    CloseReason, ConnectionId, Flow, FlowEvent, ListenerId, Obstacle, Refusal, SendError, Transport,
};
pub use self::outlet::{ConnectError, Destination, Outlet};
pub use self::sockets::BindError;

/// Events of all connections that may wait for the owner; each holds at most 8 KiB.
const WAITING_EVENTS: usize = 256;

/// Events taken from one source before the next has its turn.
const TURN: usize = 16;

/// Events after which the owner lets the other tasks of its runtime run.
const BREATH: usize = 256;

/// All flows of one process, or of one of its parts.
#[derive(Debug)]
pub struct Flows {
    outlet: Outlet,
    streams: Vec<StreamListener>,
    space: ReceiveSpace,
    task_events: mpsc::Receiver<TaskEvent>,
    task_events_in: mpsc::Sender<TaskEvent>,
    /// Taken from the channel to see whether there is one, and not handed out yet.
    held: Option<TaskEvent>,
    watchers: JoinSet<()>,
    /// The source that has its turn: 0 is the connections, then the UDP listeners.
    turn: usize,
    since_breath: usize,
}

/// A listener as it came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerInfo {
    pub id: ListenerId,
    pub transport: Transport,
    /// With the port the kernel chose, if it was asked to.
    pub local: SocketAddr,
    /// UDP: what the kernel granted, its own bookkeeping included (about twice what is usable).
    pub receive_buffer: Option<usize>,
}

impl Flows {
    /// Opens all listeners. Must be called within a tokio runtime with I/O and time.
    pub fn bind(config: FlowsConfig) -> Result<Self, BindError> {
        let (task_events_in, task_events) = mpsc::channel(WAITING_EVENTS);
        let mut flows = Self {
            outlet: Outlet {
                datagrams: Vec::new(),
                connections: Connections::new(config.streams, task_events_in.clone()),
                counters: Counters::default(),
                client_tls: config.client_tls,
                dscp: config.dscp,
            },
            streams: Vec::new(),
            space: ReceiveSpace::new(&config.datagrams),
            task_events,
            task_events_in,
            held: None,
            watchers: JoinSet::new(),
            turn: 0,
            since_breath: 0,
        };
        for listener in config.listeners {
            flows.listen(listener, &config.datagrams, &config.streams)?;
        }
        Ok(flows)
    }

    pub fn listeners(&self) -> impl Iterator<Item = ListenerInfo> {
        let datagrams = self.outlet.datagrams.iter().map(|at| ListenerInfo {
            id: at.id,
            transport: Transport::Udp,
            local: at.local,
            receive_buffer: Some(at.receive_buffer),
        });
        let streams = self.streams.iter().map(|at| ListenerInfo {
            id: at.id,
            transport: at.transport(),
            local: at.local,
            receive_buffer: None,
        });
        datagrams.chain(streams)
    }

    /// Waits until [`Self::drain`] is likely to find something. Cancel-safe: nothing is consumed.
    /// Connections are accepted here, so the owner comes back here between drains.
    pub async fn ready(&mut self) {
        poll_fn(|cx| self.poll_ready(cx)).await;
    }

    /// Hands out what is there, at most `max` events, without waiting. The owner may send, connect
    /// and close while it looks at one. Returns how many there were; fewer than `max` means that
    /// everything known at the last [`Self::ready`] is taken.
    pub fn drain(
        &mut self,
        max: usize,
        mut on_event: impl FnMut(&mut Outlet, FlowEvent<&[u8]>),
    ) -> usize {
        let sources = 1 + self.outlet.datagrams.len();
        let mut handed_out = 0;
        let mut dry = 0;
        while handed_out < max && dry < sources {
            let room = TURN.min(max - handed_out);
            let taken = match self.turn {
                0 => self.drain_connections(room, &mut on_event),
                listener => self.drain_datagrams(listener - 1, room, &mut on_event),
            };
            handed_out += taken;
            dry = if taken < room { dry + 1 } else { 0 };
            self.turn = (self.turn + 1) % sources;
        }
        self.since_breath += handed_out;
        handed_out
    }

    /// The next event, with bytes of its own: simple where speed does not matter. Cancel-safe.
    pub async fn next(&mut self) -> FlowEvent {
        let mut next = None;
        loop {
            self.ready().await;
            self.drain(1, |_, event| next = Some(event.map(Bytes::copy_from_slice)));
            if let Some(event) = next {
                return event;
            }
        }
    }

    pub fn outlet(&mut self) -> &mut Outlet {
        &mut self.outlet
    }

    pub fn counters(&self) -> &Counters {
        self.outlet.counters()
    }

    /// For connections accepted from now on; open ones and sessions resumed on them end with the
    /// old settings. False: no TLS listener has this id.
    #[must_use]
    pub fn replace_tls(&mut self, listener: ListenerId, tls: ServerTls) -> bool {
        let found = self.streams.iter_mut().find(|at| at.id == listener);
        found.is_some_and(|at| at.replace_tls(tls))
    }

    /// For connections opened from now on.
    pub fn replace_client_tls(&mut self, tls: ClientTls) {
        self.outlet.client_tls = Some(tls);
    }

    /// Stops listening, lets connections send what they have, and closes them; no longer than
    /// `grace`.
    pub async fn shutdown(mut self, grace: Duration) {
        self.streams.clear();
        drop(self.task_events);
        // After the grace period the rest is closed by being dropped.
        let _rest = timeout(grace, self.outlet.connections.finish()).await;
    }

    fn listen(
        &mut self,
        listener: ListenerConfig,
        datagrams: &DatagramSettings,
        streams: &StreamSettings,
    ) -> Result<(), BindError> {
        let ListenerConfig { id, socket, kind } = listener;
        if id == ListenerId::OUTGOING || self.listeners().any(|other| other.id == id) {
            return Err(BindError::Id(id));
        }
        let dscp = self.outlet.dscp;
        let tls = match kind {
            ListenerKind::Udp => {
                let at = DatagramListener::bind(id, socket, datagrams, dscp)?;
                let events = self.task_events_in.clone();
                let socket = at.socket.clone();
                self.watchers
                    .spawn(undeliverable::watch(id, at.local, socket, events));
                self.outlet.datagrams.push(at);
                return Ok(());
            }
            ListenerKind::Tcp => None,
            ListenerKind::Tls(tls) => Some(tls),
        };
        let at = StreamListener::bind(id, socket, tls, streams, dscp)?;
        self.streams.push(at);
        Ok(())
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.since_breath >= BREATH {
            self.since_breath = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Outlet {
            datagrams,
            connections,
            counters,
            ..
        } = &mut self.outlet;
        let mut is_ready = false;
        for listener in &mut self.streams {
            is_ready |= listener.poll_accept(cx, connections, counters).is_ready();
        }
        for listener in datagrams {
            listener.flush(cx, counters);
            is_ready |= listener.poll_readable(cx).is_ready();
        }
        connections.reap(cx, counters);
        is_ready |= connections.has_own_events();
        if self.held.is_none()
            && let Poll::Ready(event) = self.task_events.poll_recv(cx)
        {
            self.held = event;
        }
        if is_ready || self.held.is_some() {
            return Poll::Ready(());
        }
        self.since_breath = 0;
        Poll::Pending
    }

    fn drain_connections(
        &mut self,
        room: usize,
        on_event: &mut impl FnMut(&mut Outlet, FlowEvent<&[u8]>),
    ) -> usize {
        let mut taken = 0;
        while taken < room {
            let Outlet {
                connections,
                counters,
                ..
            } = &mut self.outlet;
            let event = if let Some(event) = connections.take_own_event() {
                Some(event)
            } else if let Some(event) = self.held.take() {
                connections.settle(event, counters)
            } else if let Ok(event) = self.task_events.try_recv() {
                connections.settle(event, counters)
            } else {
                break;
            };
            if let Some(event) = event {
                let mut piece = Bytes::new();
                let event = event.map(|bytes| piece = bytes);
                on_event(&mut self.outlet, event.map(|()| &piece[..]));
                taken += 1;
            }
        }
        taken
    }

    fn drain_datagrams(
        &mut self,
        listener: usize,
        room: usize,
        on_event: &mut impl FnMut(&mut Outlet, FlowEvent<&[u8]>),
    ) -> usize {
        for taken in 0..room {
            let Outlet {
                datagrams,
                counters,
                ..
            } = &mut self.outlet;
            let Some((flow, length)) = datagrams[listener].receive(&mut self.space, counters)
            else {
                return taken;
            };
            let bytes = self.space.datagram(length);
            on_event(&mut self.outlet, FlowEvent::Received { flow, bytes });
        }
        room
    }
}
