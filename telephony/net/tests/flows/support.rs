//! What the stories of flows share: short configurations, and waiting with an end.

use std::net::SocketAddr;
use std::time::Duration;

use net::flows::{
    Flow, FlowEvent, Flows, FlowsConfig, ListenerConfig, ListenerId, ListenerKind, ListenerSocket,
    StreamSettings,
};
use tokio::time::timeout;

/// Longer than anything here takes; turns a hang into a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn listener(id: u16, kind: ListenerKind, address: &str) -> ListenerConfig {
    ListenerConfig {
        id: ListenerId(id),
        socket: ListenerSocket::Bind(address.parse().unwrap()),
        kind,
    }
}

pub(crate) fn bind(kind: ListenerKind) -> (Flows, SocketAddr) {
    bind_with(kind, StreamSettings::default())
}

/// One listener with the id 1 on a free port of 127.0.0.1.
pub(crate) fn bind_with(kind: ListenerKind, streams: StreamSettings) -> (Flows, SocketAddr) {
    let flows = Flows::bind(FlowsConfig {
        listeners: vec![listener(1, kind, "127.0.0.1:0")],
        streams,
        ..FlowsConfig::default()
    })
    .unwrap();
    let address = flows.listeners().next().unwrap().local;
    (flows, address)
}

pub(crate) async fn next(flows: &mut Flows) -> FlowEvent {
    timeout(PATIENCE, flows.next())
        .await
        .expect("an event should come")
}

pub(crate) async fn opened(flows: &mut Flows) -> Flow {
    match next(flows).await {
        FlowEvent::Opened { flow } => flow,
        event => panic!("expected an opened connection, got {event:?}"),
    }
}

pub(crate) async fn received(flows: &mut Flows) -> (Flow, Vec<u8>) {
    match next(flows).await {
        FlowEvent::Received { flow, bytes } => (flow, bytes.to_vec()),
        event => panic!("expected bytes, got {event:?}"),
    }
}

/// The stream's next `length` bytes.
pub(crate) async fn received_exactly(flows: &mut Flows, length: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < length {
        all.extend(received(flows).await.1);
    }
    assert_eq!(all.len(), length);
    all
}
