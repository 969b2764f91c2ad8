//! Which connection a message to an address takes: one that is open already, or a new one.
//!
//! Also maps flows between `net`, which has them, and `sip`, which names them. It opens through
//! `net` and decides nothing about calls. Invariant: at most one connection of ours per
//! destination; one that ended is never used again.

use std::collections::HashMap;

use net::flows::{ConnectError, Outlet, SendError};
use sip::flow as names;

/// Connections that we opened, by where they lead.
#[derive(Debug, Default)]
pub struct Outgoing {
    by_destination: HashMap<names::Destination, net::flows::Flow>,
    by_connection: HashMap<net::flows::ConnectionId, names::Destination>,
    /// Bound addresses of the UDP listeners.
    datagrams: Vec<(net::flows::ListenerId, std::net::SocketAddr)>,
}

/// Why a message did not leave.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("no UDP listener fits the address")]
    NoListener,
}

impl Outgoing {
    pub fn new(listeners: impl Iterator<Item = net::flows::ListenerInfo>) -> Self {
        let udp = |info: &net::flows::ListenerInfo| info.transport == net::flows::Transport::Udp;
        Self {
            datagrams: listeners
                .filter(udp)
                .map(|info| (info.id, info.local))
                .collect(),
            ..Self::default()
        }
    }

    /// Sends, or starts to open the connection that will carry it; answers which way it goes.
    pub fn send(
        &mut self,
        to: &names::Hop,
        bytes: &[u8],
        outlet: &mut Outlet,
    ) -> Result<net::flows::Flow, NotSent> {
        let flow = match to {
            names::Hop::Flow(flow) => net_flow(flow),
            names::Hop::Destination(destination) => self.flow_to(destination, outlet)?,
        };
        outlet.send(&flow, bytes)?;
        Ok(flow)
    }

    /// A connection is open: its own address is known now.
    pub fn opened(&mut self, flow: &net::flows::Flow) {
        if let Some(destination) = self.by_connection.get(&flow.connection)
            && let Some(current) = self.by_destination.get_mut(destination)
            && current.connection == flow.connection
        {
            current.local = flow.local;
        }
    }

    /// A connection has ended; if it was one of ours, where it led.
    pub fn closed(&mut self, flow: &net::flows::Flow) -> Option<names::Destination> {
        let destination = self.by_connection.remove(&flow.connection)?;
        if let Some(current) = self.by_destination.get(&destination)
            && current.connection == flow.connection
        {
            self.by_destination.remove(&destination);
        }
        Some(destination)
    }

    fn flow_to(
        &mut self,
        destination: &names::Destination,
        outlet: &mut Outlet,
    ) -> Result<net::flows::Flow, NotSent> {
        if destination.transport == names::Transport::Udp {
            return self.datagrams_to(destination).ok_or(NotSent::NoListener);
        }
        // The listener says only what stands in our headers: no reason for a second connection.
        let key = names::Destination {
            listener: None,
            ..destination.clone()
        };
        if let Some(flow) = self.by_destination.get(&key) {
            return Ok(*flow);
        }
        let flow = outlet.connect(&net::flows::Destination {
            transport: net_transport(key.transport),
            remote: key.addr,
            from: None,
            server_name: key.server_name.as_deref().map(str::to_owned),
        })?;
        self.by_connection.insert(flow.connection, key.clone());
        self.by_destination.insert(key, flow);
        Ok(flow)
    }

    fn datagrams_to(&self, destination: &names::Destination) -> Option<net::flows::Flow> {
        let wanted = destination.listener.map(net_listener);
        let fits = |(id, local): &&(net::flows::ListenerId, std::net::SocketAddr)| match wanted {
            Some(wanted) => *id == wanted,
            None => local.is_ipv4() == destination.addr.is_ipv4(),
        };
        let (id, local) = self.datagrams.iter().find(fits)?;
        Some(net::flows::Flow::datagrams(*id, *local, destination.addr))
    }
}

pub fn sip_flow(flow: &net::flows::Flow) -> names::Flow {
    names::Flow {
        transport: sip_transport(flow.transport),
        listener: names::ListenerId(flow.listener.0),
        remote: flow.remote,
        local: flow.local,
        connection: names::ConnectionId(flow.connection.0),
    }
}

pub fn net_connection(connection: names::ConnectionId) -> net::flows::ConnectionId {
    net::flows::ConnectionId(connection.0)
}

pub fn sip_transport(transport: net::flows::Transport) -> names::Transport {
    match transport {
        net::flows::Transport::Udp => names::Transport::Udp,
        net::flows::Transport::Tcp => names::Transport::Tcp,
        net::flows::Transport::Tls => names::Transport::Tls,
    }
}

fn net_flow(flow: &names::Flow) -> net::flows::Flow {
    net::flows::Flow {
        transport: net_transport(flow.transport),
        listener: net_listener(flow.listener),
        remote: flow.remote,
        local: flow.local,
        connection: net_connection(flow.connection),
    }
}

fn net_listener(listener: names::ListenerId) -> net::flows::ListenerId {
    net::flows::ListenerId(listener.0)
}

fn net_transport(transport: names::Transport) -> net::flows::Transport {
    match transport {
        names::Transport::Udp => net::flows::Transport::Udp,
        names::Transport::Tcp => net::flows::Transport::Tcp,
        names::Transport::Tls => net::flows::Transport::Tls,
    }
}

#[cfg(test)]
mod tests {
    use net::flows::{FlowEvent, Flows, FlowsConfig, ListenerConfig, ListenerKind, ListenerSocket};

    use super::*;

    fn listener(id: u16, kind: ListenerKind) -> ListenerConfig {
        ListenerConfig {
            id: net::flows::ListenerId(id),
            socket: ListenerSocket::Bind("127.0.0.1:0".parse().unwrap()),
            kind,
        }
    }

    fn flows() -> (Flows, Outgoing, Vec<std::net::SocketAddr>) {
        let flows = Flows::bind(FlowsConfig {
            listeners: vec![
                listener(3, ListenerKind::Udp),
                listener(4, ListenerKind::Tcp),
            ],
            ..FlowsConfig::default()
        })
        .unwrap();
        let outgoing = Outgoing::new(flows.listeners());
        let locals = flows.listeners().map(|info| info.local).collect();
        (flows, outgoing, locals)
    }

    #[tokio::test]
    async fn datagrams_leave_through_the_listener_that_was_named_or_fits() {
        let (mut flows, mut outgoing, locals) = flows();
        let mut to = names::Destination::new(names::Transport::Udp, locals[0]);
        for listener in [None, Some(names::ListenerId(3))] {
            to.listener = listener;
            let hop = names::Hop::Destination(to.clone());
            outgoing.send(&hop, b"x", flows.outlet()).unwrap();
            assert!(matches!(flows.next().await, FlowEvent::Received { .. }));
        }
        to.listener = Some(names::ListenerId(9));
        let refused = outgoing.send(&names::Hop::Destination(to), b"x", flows.outlet());
        assert!(matches!(refused, Err(NotSent::NoListener)));
    }

    #[tokio::test]
    async fn one_connection_serves_a_destination_until_it_ends() {
        let (mut flows, mut outgoing, locals) = flows();
        let to = names::Destination::new(names::Transport::Tcp, locals[1]);
        let hop = names::Hop::Destination(to.clone());
        for _ in 0..2 {
            outgoing.send(&hop, b"x", flows.outlet()).unwrap();
        }
        assert_eq!(flows.outlet().outgoing(), 1);
        let first = *outgoing.by_destination.values().next().unwrap();
        assert_eq!(outgoing.closed(&first), Some(to));
        assert_eq!(outgoing.closed(&first), None);
        outgoing.send(&hop, b"x", flows.outlet()).unwrap();
        assert_eq!(flows.outlet().outgoing(), 2);
    }
}
